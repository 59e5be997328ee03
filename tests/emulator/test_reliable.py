"""Clients that speak ``json.reliable.webpubsub.azure.v1``, and what they find when they come back."""

from __future__ import annotations

import asyncio
from typing import Any

from flask_webpubsub import UserEventResponse
from flask_webpubsub.emulator.hub import Message
from flask_webpubsub.emulator.reliable import ReliableJsonClient
from flask_webpubsub.enums import WebPubSubDataType
from tests.emulator.parts import Scene, WatchedSocket, frame, in_loop


def connect(scene: Scene, connection_id: str = "c1", **arguments: Any) -> tuple[ReliableJsonClient, WatchedSocket]:
    client, socket = scene.connect(
        ReliableJsonClient, connection_id, make_token=lambda text: f"token of {text}", **arguments
    )
    return client, socket


def send(client: ReliableJsonClient, *texts: str) -> None:
    for text in texts:
        client.connection.send(Message(text, WebPubSubDataType.TEXT, "server"))


def numbered(socket: WatchedSocket) -> list[tuple[int, str]]:
    return [(item["sequenceId"], item["data"]) for item in socket.read if item["type"] == "message"]


@in_loop
async def test_the_first_frame_has_the_token_to_come_back_with() -> None:
    _, socket = connect(Scene(), user_id="alice")
    assert socket.read == [
        {
            "type": "system",
            "event": "connected",
            "userId": "alice",
            "connectionId": "c1",
            "reconnectionToken": "token of c1",
        }
    ]


@in_loop
async def test_messages_are_numbered_from_one() -> None:
    client, socket = connect(Scene())
    send(client, "a", "b")
    await client.receive(socket, frame("joinGroup", group="room"))
    await client.receive(socket, frame("sendToGroup", group="room", dataType="text", data="c"))
    assert numbered(socket) == [(1, "a"), (2, "b"), (3, "c")]


@in_loop
async def test_acknowledgements_and_pongs_are_not_numbered() -> None:
    client, socket = connect(Scene())
    socket.clear()
    await client.receive(socket, frame("joinGroup", group="room", ackId=1))
    await client.receive(socket, frame("ping"))
    assert socket.read == [{"type": "ack", "ackId": 1, "success": True}, {"type": "pong"}]


@in_loop
async def test_a_client_that_comes_back_gets_what_it_missed_and_numbers_go_on() -> None:
    client, socket = connect(Scene())
    send(client, "a", "b", "c")
    await client.receive(socket, frame("sequenceAck", sequenceId=1))
    client.detached(socket, "Lost.", final=False)
    send(client, "d")

    again = WatchedSocket()
    client.recover(again)
    send(client, "e")

    connected, *_ = again.frames
    assert '"reconnectionToken":"token of c1"' in str(connected)
    assert numbered(again) == [(2, "b"), (3, "c"), (4, "d"), (5, "e")]


@in_loop
async def test_a_second_recovery_still_has_what_was_not_acknowledged() -> None:
    client, socket = connect(Scene())
    send(client, "a", "b")
    for _ in range(2):
        client.detached(socket, "Lost.", final=False)
        socket = WatchedSocket()
        client.recover(socket)
    assert numbered(socket) == [(1, "a"), (2, "b")]


@in_loop
async def test_a_client_may_come_back_before_its_loss_is_noticed() -> None:
    scene = Scene()
    client, old = connect(scene)
    new = WatchedSocket()
    client.recover(new)
    assert old.aborted
    # The loss is noticed now, and a frame that was on its way is not taken twice.
    await client.receive(old, frame("joinGroup", group="room"))
    client.detached(old, "Lost.", final=False)
    send(client, "a")
    assert numbered(new) == [(1, "a")]
    assert client.connection.groups == set()


@in_loop
async def test_coming_back_keeps_groups_permissions_and_what_was_done() -> None:
    scene = Scene()
    client, socket = connect(scene)
    await client.receive(socket, frame("joinGroup", group="room", ackId=1))
    client.detached(socket, "Lost.", final=False)
    assert scene.hub.in_group("room") == [client.connection]
    again = WatchedSocket()
    client.recover(again)
    again.clear()
    await client.receive(again, frame("joinGroup", group="room", ackId=1))
    assert [item["error"]["name"] for item in again.read] == ["Duplicate"]


@in_loop
async def test_coming_back_is_no_event() -> None:
    scene = Scene()
    client, socket = connect(scene)
    client.detached(socket, "Lost.", final=False)
    client.recover(WatchedSocket())
    scene.app.answer("act", None)
    await client.raise_event("act", 1, WebPubSubDataType.JSON)
    assert scene.app.names == ["act"]


@in_loop
async def test_the_answer_to_an_event_of_before_the_loss_arrives_after_it() -> None:
    scene = Scene()
    answered = scene.app.hold("act", UserEventResponse("late"))
    client, socket = connect(scene)
    event = asyncio.create_task(client.receive(socket, frame("event", event="act", data=1, ackId=1)))
    await scene.app.wait_for("act")
    again = WatchedSocket()
    client.recover(again)
    waiting = asyncio.create_task(client.receive(again, frame("event", event="act", data=1, ackId=1)))
    answered.set()
    await asyncio.gather(event, waiting)
    _, message, done, duplicate = again.read
    assert (message["sequenceId"], message["data"]) == (1, "late")
    assert (done["success"], duplicate["error"]["name"]) == (True, "Duplicate")
    assert scene.app.messages == [1]


@in_loop
async def test_a_client_that_stays_away_too_long_is_disconnected() -> None:
    scene = Scene(recovery_seconds=0.05)
    client, socket = connect(scene)
    client.detached(socket, "Lost.", final=False)
    assert scene.hub.has(client.connection)
    told = await scene.app.wait_for("disconnected")
    assert told.reason == "Lost."  # type: ignore[attr-defined]
    assert not scene.hub.has(client.connection)


@in_loop
async def test_a_client_that_came_back_in_time_stays() -> None:
    scene = Scene(recovery_seconds=0.05)
    client, socket = connect(scene)
    client.detached(socket, "Lost.", final=False)
    client.recover(WatchedSocket())
    other, other_socket = connect(scene, "c2")
    other.detached(other_socket, "Lost.", final=False)
    await scene.app.wait_for("disconnected")
    assert list(scene.hub.connections) == ["c1"]


@in_loop
async def test_a_goodbye_ends_the_connection_at_once() -> None:
    scene = Scene()
    client, socket = connect(scene)
    client.detached(socket, None, final=True)
    await scene.app.wait_for("disconnected")
    assert scene.hub.connections == {}


@in_loop
async def test_a_close_over_rest_is_final_while_the_client_is_here() -> None:
    scene = Scene()
    client, socket = connect(scene)
    socket.clear()
    client.connection.close("Enough.")
    assert socket.read == [{"type": "system", "event": "disconnected", "message": "Enough."}]
    assert socket.closed == (1000, "Enough.")
    client.detached(socket, None, final=False)
    await scene.app.wait_for("disconnected")
    assert (scene.hub.connections, scene.app.names) == ({}, ["disconnected"])


@in_loop
async def test_a_close_over_rest_is_final_while_the_client_is_away() -> None:
    scene = Scene(recovery_seconds=0.05)
    client, socket = connect(scene)
    client.detached(socket, "Lost.", final=False)
    client.connection.close("Enough.")
    told = await scene.app.wait_for("disconnected")
    assert told.reason == "Enough."  # type: ignore[attr-defined]
    await asyncio.sleep(0.1)  # past the end of the window that was open
    assert (scene.hub.connections, scene.app.names) == ({}, ["disconnected"])


@in_loop
async def test_a_client_with_too_many_messages_unacknowledged_is_closed_for_good() -> None:
    scene = Scene(max_unacknowledged_messages=3)
    client, socket = connect(scene)
    send(client, "a", "b", "c")
    assert socket.closed is None
    await client.receive(socket, frame("sequenceAck", sequenceId=1))
    send(client, "d")
    assert socket.closed is None
    send(client, "e", "f")
    assert socket.closed is not None
    assert socket.closed[0] == 1008
    assert scene.hub.connections == {}


@in_loop
async def test_a_client_with_too_many_bytes_unacknowledged_is_closed_for_good() -> None:
    scene = Scene(max_unacknowledged_bytes=1000)
    client, socket = connect(scene)
    send(client, "x" * 500)
    assert socket.closed is None
    send(client, "x" * 500)
    assert socket.closed is not None
    assert (socket.closed[0], scene.hub.connections) == (1008, {})


@in_loop
async def test_messages_may_become_too_many_while_the_client_is_away() -> None:
    scene = Scene(max_unacknowledged_messages=2)
    client, socket = connect(scene)
    client.detached(socket, "Lost.", final=False)
    send(client, "a", "b", "c")
    await scene.app.wait_for("disconnected")
    assert scene.hub.connections == {}


@in_loop
async def test_an_acknowledgement_of_more_than_was_sent_is_of_all() -> None:
    client, socket = connect(Scene(max_unacknowledged_messages=2))
    send(client, "a", "b")
    await client.receive(socket, frame("sequenceAck", sequenceId=2**64 - 1))
    await client.receive(socket, frame("sequenceAck", sequenceId=0))
    send(client, "c")
    assert (numbered(socket)[-1], socket.closed) == ((3, "c"), None)


@in_loop
async def test_a_broken_frame_is_final() -> None:
    scene = Scene()
    client, socket = connect(scene)
    await client.receive(socket, "{")
    assert socket.closed is not None
    assert (socket.closed[0], scene.hub.connections) == (1007, {})
