"""Raw clients: bare frames, as events or to one group."""

from __future__ import annotations

from typing import Any

import pytest

from flask_webpubsub import UserEventResponse
from flask_webpubsub.emulator.clients import DEFAULT_REASON
from flask_webpubsub.emulator.delivery import Outcome
from flask_webpubsub.emulator.hub import Message
from flask_webpubsub.emulator.raw import GroupTarget, RawClient
from flask_webpubsub.enums import WebPubSubDataType
from tests.emulator.parts import FAILED, UNHANDLED, Scene, in_loop

TEXT, JSON, BINARY = WebPubSubDataType.TEXT, WebPubSubDataType.JSON, WebPubSubDataType.BINARY


@in_loop
async def test_a_raw_client_is_not_greeted() -> None:
    _, socket = Scene().connect(RawClient)
    assert socket.frames == []


@in_loop
async def test_a_frame_is_the_event_message() -> None:
    scene = Scene()
    scene.app.answer("message", None)
    client, socket = scene.connect(RawClient)

    await client.receive(socket, "hi")
    await client.receive(socket, b"\x00\xff")

    assert [(request.data, request.data_type) for request in scene.app.requests] == [  # type: ignore[attr-defined]
        ("hi", TEXT),
        (b"\x00\xff", BINARY),
    ]
    assert (socket.frames, socket.closed) == ([], None)


@pytest.mark.parametrize(
    ("data", "data_type", "frame"),
    [
        ("hällo", TEXT, "hällo"),
        ({"a": [1, None]}, JSON, '{"a":[1,null]}'),
        ("text", JSON, '"text"'),
        (None, JSON, "null"),
        (b"\x00\xff", BINARY, b"\x00\xff"),
    ],
    ids=["text", "json", "json-string-keeps-quotes", "json-null", "binary"],
)
@in_loop
async def test_messages_arrive_bare(data: Any, data_type: WebPubSubDataType, frame: str | bytes) -> None:
    scene = Scene()
    client, socket = scene.connect(RawClient)
    client.connection.send(Message(data, data_type, "server"))
    client.connection.send(Message(data, data_type, "group", "room", "alice"))
    assert socket.frames == [frame, frame]


@in_loop
async def test_the_answer_to_an_event_comes_back_as_a_frame() -> None:
    scene = Scene()
    scene.app.answer("message", UserEventResponse({"n": 1}))
    client, socket = scene.connect(RawClient)
    await client.receive(socket, "hi")
    assert socket.frames == ['{"n":1}']


@pytest.mark.parametrize(
    ("response", "frames"),
    [
        (None, []),
        (UserEventResponse(), []),
        (UserEventResponse(""), []),
        (UserEventResponse(b""), []),
        (UserEventResponse("", metadata={"a": "1"}), [""]),
        (UserEventResponse("", "json"), ['""']),
        (UserEventResponse(0), ["0"]),
        (UserEventResponse([]), ["[]"]),
    ],
    ids=["204", "no-data", "empty-text", "empty-binary", "metadata-alone", "json-empty-string", "json-0", "json-[]"],
)
@in_loop
async def test_an_empty_answer_is_no_message(response: UserEventResponse | None, frames: list[str]) -> None:
    scene = Scene()
    # An empty JSON string has a body, of two quotes.
    scene.app.answer("message", response)
    client, socket = scene.connect(RawClient)
    await client.receive(socket, "hi")
    assert socket.frames == frames


@pytest.mark.parametrize("outcome", [FAILED, UNHANDLED], ids=["failed", "no-handler"])
@in_loop
async def test_an_event_that_nobody_answers_closes_the_client(outcome: Outcome) -> None:
    scene = Scene()
    scene.app.answers["message"] = lambda request: outcome
    client, socket = scene.connect(RawClient)

    await client.receive(socket, "hi")

    assert socket.closed is not None
    assert socket.closed[0] == 1011
    assert scene.hub.connections == {}
    await scene.app.wait_for("disconnected")


@in_loop
async def test_frames_go_to_the_group_of_the_url() -> None:
    scene = Scene()
    client, socket = scene.connect(RawClient, "1", user_id="alice", target=GroupTarget("room"))
    other, other_socket = scene.connect(RawClient, "2", roles=())
    scene.hub.join(other.connection, "room")

    await client.receive(socket, "hi")
    await client.receive(socket, b"\x01")

    assert other_socket.frames == ["hi", b"\x01"]
    assert scene.app.messages == []
    assert socket.frames == []  # sending does not join
    assert client.connection.groups == set()


@pytest.mark.parametrize("echo", [True, False])
@in_loop
async def test_a_member_hears_itself_unless_it_wants_no_echo(echo: bool) -> None:
    scene = Scene()
    client, socket = scene.connect(RawClient, target=GroupTarget("room", echo=echo))
    scene.hub.join(client.connection, "room")
    await client.receive(socket, "hi")
    assert socket.frames == (["hi"] if echo else [])


@pytest.mark.parametrize(
    ("role", "closed"),
    [
        ("webpubsub.sendToGroup", False),
        ("webpubsub.sendToGroup.room", False),
        ("webpubsub.sendToGroups.ro*", False),
        ("webpubsub.sendToGroup.other", True),
        ("webpubsub.joinLeaveGroup", True),
    ],
)
@in_loop
async def test_sending_to_the_group_needs_its_permission(role: str, closed: bool) -> None:
    scene = Scene()
    client, socket = scene.connect(RawClient, roles=(role,), target=GroupTarget("room"))
    await client.receive(socket, "hi")
    assert (socket.closed[0] if socket.closed else None) == (1008 if closed else None)


@in_loop
async def test_a_close_over_rest_says_why_and_ends_the_connection() -> None:
    scene = Scene()
    client, socket = scene.connect(RawClient)
    client.connection.close("Enough.")
    assert (socket.frames, socket.closed) == ([], (1000, "Enough."))
    told = await scene.app.wait_for("disconnected")
    assert told.reason == "Enough."  # type: ignore[attr-defined]


@pytest.mark.parametrize("reason", [None, ""])
@in_loop
async def test_a_close_without_a_reason_has_the_services_own(reason: str | None) -> None:
    scene = Scene()
    client, socket = scene.connect(RawClient)
    client.connection.close(reason)
    assert socket.closed == (1000, DEFAULT_REASON)


@in_loop
async def test_a_client_that_does_not_read_is_closed_and_its_frames_thrown_away() -> None:
    scene = Scene()
    client, socket = scene.connect(RawClient, room=2)
    for number in range(5):
        client.connection.send(Message(str(number), TEXT, "server"))
    assert socket.closed is not None
    assert (socket.closed[0], socket.frames) == (1008, [])
    assert scene.hub.connections == {}


@in_loop
async def test_a_lost_client_is_disconnected_once() -> None:
    scene = Scene()
    client, socket = scene.connect(RawClient)
    client.detached(socket, "Lost.", final=False)
    client.detached(socket, "Lost.", final=False)
    client.connection.close()
    await scene.app.wait_for("disconnected")
    assert (scene.app.names, socket.closed) == (["disconnected"], None)


@in_loop
async def test_what_a_client_sent_before_it_was_closed_is_dropped() -> None:
    scene = Scene()
    scene.app.answer("message", None)
    client, socket = scene.connect(RawClient)
    client.connection.close()
    await client.receive(socket, "too late")
    assert scene.app.messages == []
