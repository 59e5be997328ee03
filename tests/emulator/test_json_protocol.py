"""Clients that speak ``json.webpubsub.azure.v1``."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_webpubsub import EventErrorResponse, UserEventResponse
from flask_webpubsub.emulator.delivery import Outcome
from flask_webpubsub.emulator.hub import Message
from flask_webpubsub.emulator.json_protocol import JsonClient, read_request, write_message
from flask_webpubsub.enums import WebPubSubDataType
from tests.emulator.parts import FAILED, UNHANDLED, Scene, frame, in_loop

TEXT, JSON, BINARY = WebPubSubDataType.TEXT, WebPubSubDataType.JSON, WebPubSubDataType.BINARY


def ack(ack_id: int) -> dict[str, Any]:
    return {"type": "ack", "ackId": ack_id, "success": True}


@pytest.mark.parametrize("user_id", ["alice", None])
@in_loop
async def test_the_first_frame_says_who_the_client_is(user_id: str | None) -> None:
    _, socket = Scene().connect(JsonClient, "c1", user_id=user_id)
    assert socket.read == [{"type": "system", "event": "connected", "userId": user_id, "connectionId": "c1"}]


@in_loop
async def test_a_client_joins_and_leaves() -> None:
    scene = Scene()
    client, socket = scene.connect(JsonClient)
    socket.clear()

    await client.receive(socket, frame("joinGroup", group="room", ackId=1))
    assert client.connection.groups == {"room"}
    await client.receive(socket, frame("leaveGroup", group="room", ackId=2))
    assert client.connection.groups == set()

    assert socket.read == [ack(1), ack(2)]
    await scene.app.wait_for("left")
    assert [(told.connection_context.event_name, told.group) for told in scene.app.requests] == [  # type: ignore[attr-defined]
        ("joined", "room"),
        ("left", "room"),
    ]


@in_loop
async def test_nothing_is_acknowledged_that_has_no_ack_id() -> None:
    scene = Scene()
    scene.app.answer("act", None)
    client, socket = scene.connect(JsonClient)
    socket.clear()
    for text in (
        frame("joinGroup", group="room"),
        frame("sendToGroup", group="room", data=1, noEcho=True),
        frame("event", event="act", data=1, ackId=None),
        frame("leaveGroup", group="room"),
    ):
        await client.receive(socket, text)
    assert (socket.read, socket.closed) == ([], None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"data": {"a": 1}}, {"dataType": "json", "data": {"a": 1}}),
        ({"dataType": "json", "data": "x"}, {"dataType": "json", "data": "x"}),
        ({"dataType": "json", "data": 0}, {"dataType": "json", "data": 0}),
        ({"dataType": "json", "data": False}, {"dataType": "json", "data": False}),
        ({"dataType": "text", "data": "hällo"}, {"dataType": "text", "data": "hällo"}),
        ({"dataType": "text", "data": ""}, {"dataType": "text", "data": ""}),
        ({"dataType": "binary", "data": "AP8="}, {"dataType": "binary", "data": "AP8="}),
        ({"dataType": "TEXT", "data": "x"}, {"dataType": "text", "data": "x"}),
        (
            {"dataType": "text", "data": "x", "metadata": {"Trace": "1"}},
            {"dataType": "text", "data": "x", "metadata": {"Trace": "1"}},
        ),
        ({"metadata": {"a": "1"}}, {"dataType": "text", "data": "", "metadata": {"a": "1"}}),
        ({"data": 1, "ttlSeconds": 300}, {"dataType": "json", "data": 1}),
        ({"data": 1, "ttlSeconds": None, "noEcho": None, "metadata": None}, {"dataType": "json", "data": 1}),
    ],
    ids=[
        "json-by-default",
        "json-string",
        "json-0",
        "json-false",
        "text",
        "empty-text",
        "binary",
        "type-in-any-case",
        "metadata",
        "metadata-alone",
        "ttl",
        "nulls",
    ],
)
@in_loop
async def test_a_message_to_a_group_reaches_its_members(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    scene = Scene()
    client, socket = scene.connect(JsonClient, "1", user_id="alice")
    member, member_socket = scene.connect(JsonClient, "2")
    scene.hub.join(member.connection, "room")
    socket.clear()
    member_socket.clear()

    await client.receive(socket, frame("sendToGroup", group="room", ackId=7, **fields))

    message = {"type": "message", "from": "group", "group": "room", "fromUserId": "alice"}
    assert member_socket.read == [{**message, **expected}]
    assert socket.read == [ack(7)]


@in_loop
async def test_the_sender_is_a_member_like_others_unless_it_wants_no_echo() -> None:
    scene = Scene()
    client, socket = scene.connect(JsonClient)
    scene.hub.join(client.connection, "room")
    socket.clear()
    await client.receive(socket, frame("sendToGroup", group="room", data=1, ackId=1))
    await client.receive(socket, frame("sendToGroup", group="room", data=2, ackId=2, noEcho=True))
    message, *acks = socket.read
    assert (message["data"], message["fromUserId"]) == (1, None)
    assert acks == [ack(1), ack(2)]


@in_loop
async def test_types_are_known_in_any_case() -> None:
    scene = Scene()
    client, socket = scene.connect(JsonClient)
    socket.clear()
    await client.receive(socket, frame("JOINGROUP", group="room", ackId=1))
    await client.receive(socket, frame("Ping"))
    assert socket.read == [ack(1), {"type": "pong"}]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (frame("joinGroup", group="room", ackId=1), "join"),
        (frame("leaveGroup", group="room", ackId=1), "leave"),
        (frame("sendToGroup", group="room", data=1, ackId=1), "send"),
    ],
    ids=["join", "leave", "send"],
)
@in_loop
async def test_without_permission_the_answer_is_forbidden(text: str, word: str) -> None:
    scene = Scene()
    client, socket = scene.connect(JsonClient, roles=("webpubsub.joinLeaveGroup.other", "webpubsub.sendToGroup.other"))
    member, member_socket = scene.connect(JsonClient, "2")
    scene.hub.join(member.connection, "room")
    socket.clear()
    member_socket.clear()

    await client.receive(socket, text)

    (answer,) = socket.read
    assert (answer["ackId"], answer["success"], answer["error"]["name"]) == (1, False, "Forbidden")
    assert word in answer["error"]["message"]
    assert (member_socket.read, client.connection.groups, socket.closed) == ([], set(), None)


@in_loop
async def test_what_was_forbidden_may_be_tried_again_with_the_same_id() -> None:
    scene = Scene()
    client, socket = scene.connect(JsonClient, roles=())
    await client.receive(socket, frame("joinGroup", group="room", ackId=1))
    client.connection.permissions.grant("joinLeaveGroup", "room")
    socket.clear()
    await client.receive(socket, frame("joinGroup", group="room", ackId=1))
    assert socket.read == [ack(1)]


@in_loop
async def test_what_was_done_is_not_done_again() -> None:
    scene = Scene()
    scene.app.answer("act", UserEventResponse("done"))
    client, socket = scene.connect(JsonClient)
    await client.receive(socket, frame("event", event="act", data=1, ackId=5))
    socket.clear()

    await client.receive(socket, frame("event", event="act", data=1, ackId=5))
    await client.receive(socket, frame("joinGroup", group="room", ackId=5))

    error = {"name": "Duplicate", "message": "Message with ack-id: 5 has been processed"}
    assert socket.read == [{"type": "ack", "ackId": 5, "success": False, "error": error}] * 2
    assert (scene.app.messages, client.connection.groups) == ([1], set())


@in_loop
async def test_an_event_reaches_the_app() -> None:
    scene = Scene()
    scene.app.answer("act", None)
    client, socket = scene.connect(JsonClient, user_id="alice")
    socket.clear()
    await client.receive(socket, frame("event", event="act", dataType="binary", data="AP8=", metadata={"A": "1"}))
    (request,) = scene.app.requests
    assert (request.data, request.data_type, request.metadata) == (b"\x00\xff", BINARY, {"A": "1"})  # type: ignore[attr-defined]
    context = request.connection_context
    assert (context.hub, context.connection_id, context.user_id, context.event_id) == ("chat", "c1", "alice", "0")


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (UserEventResponse("hi"), {"dataType": "text", "data": "hi"}),
        (UserEventResponse({"a": None}), {"dataType": "json", "data": {"a": None}}),
        (UserEventResponse(b"\x00\xff"), {"dataType": "binary", "data": "AP8="}),
        (
            UserEventResponse("", metadata={"a": "1"}),
            {"dataType": "text", "data": "", "metadata": {"a": "1"}},
        ),
    ],
    ids=["text", "json", "binary", "metadata-alone"],
)
@in_loop
async def test_the_answer_comes_before_its_acknowledgement(
    response: UserEventResponse, expected: dict[str, Any]
) -> None:
    scene = Scene()
    scene.app.answer("act", response)
    client, socket = scene.connect(JsonClient)
    socket.clear()
    await client.receive(socket, frame("event", event="act", data=1, ackId=1))
    assert socket.read == [{"type": "message", "from": "server", **expected}, ack(1)]


@pytest.mark.parametrize(
    "outcome",
    [FAILED, UNHANDLED, Outcome(EventErrorResponse("userError", "secret"), failed=True, status=400)],
    ids=["failed", "no-handler", "error"],
)
@in_loop
async def test_an_event_that_fails_is_an_internal_error_and_the_client_stays(outcome: Outcome) -> None:
    scene = Scene()
    scene.app.answers["act"] = lambda request: outcome
    client, socket = scene.connect(JsonClient)
    socket.clear()

    await client.receive(socket, frame("event", event="act", data=1))
    assert socket.read == []
    await client.receive(socket, frame("event", event="act", data=1, ackId=1))

    error = {"name": "InternalServerError", "message": "Internal server error"}
    assert socket.read == [{"type": "ack", "ackId": 1, "success": False, "error": error}]
    assert socket.closed is None
    scene.app.answer("act", None)
    await client.receive(socket, frame("event", event="act", data=1, ackId=1))
    assert socket.read == [ack(1)]


@in_loop
async def test_a_client_waits_for_its_own_event_and_others_do_not() -> None:
    scene = Scene()
    answered = scene.app.hold("act", UserEventResponse("late"))
    client, socket = scene.connect(JsonClient, "1")
    other, other_socket = scene.connect(JsonClient, "2")
    socket.clear()
    other_socket.clear()

    first = asyncio.create_task(client.receive(socket, frame("event", event="act", data=1, ackId=1)))
    await scene.app.wait_for("act")
    second = asyncio.create_task(client.receive(socket, frame("joinGroup", group="room", ackId=2)))
    await other.receive(other_socket, frame("joinGroup", group="room", ackId=1))
    # What the handler does over REST while its event is under way.
    scene.hub.join(client.connection, "from-rest")
    scene.hub.send(scene.hub.in_group("from-rest"), Message("meanwhile", TEXT, "server"))

    assert other_socket.read == [ack(1)]
    assert client.connection.groups == {"from-rest"}
    assert [item["data"] for item in socket.read] == ["meanwhile"]
    answered.set()
    await asyncio.gather(first, second)
    assert [item.get("data", item.get("ackId")) for item in socket.read] == ["late", 1, 2]


@in_loop
async def test_a_connection_closed_during_its_event_hears_nothing_more() -> None:
    scene = Scene()
    answered = scene.app.hold("act", UserEventResponse("late"))
    client, socket = scene.connect(JsonClient)
    socket.clear()
    event = asyncio.create_task(client.receive(socket, frame("event", event="act", data=1, ackId=1)))
    await scene.app.wait_for("act")
    client.connection.close("Enough.")
    answered.set()
    await event
    assert socket.read == [{"type": "system", "event": "disconnected", "message": "Enough."}]
    assert socket.closed == (1000, "Enough.")


@in_loop
async def test_binary_frames_are_the_wrong_kind() -> None:
    client, socket = Scene().connect(JsonClient)
    await client.receive(socket, b"{}")
    assert socket.closed is not None
    assert socket.closed[0] == 1003


INVALID = {
    "no-json": "{",
    "empty": "",
    "no-object": "[]",
    "null": "null",
    "no-type": "{}",
    "type-is-no-string": '{"type": 1}',
    "unknown-type": frame("dance"),
    "preview-invoke": frame("invoke", invocationId="1", target="event", event="e"),
    "preview-stream": frame("streamData", streamId="1", streamSequenceId=1, dataType="text", data="x"),
    "preview-state": frame("setGroupState", group="room", state={}),
    "no-group": frame("joinGroup"),
    "group-is-no-string": frame("joinGroup", group=1),
    "blank-group": frame("joinGroup", group="  "),
    "long-group": frame("joinGroup", group="x" * 1025),
    "ack-id-is-text": frame("joinGroup", group="room", ackId="1"),
    "ack-id-is-negative": frame("joinGroup", group="room", ackId=-1),
    "ack-id-is-a-boolean": frame("joinGroup", group="room", ackId=True),
    "ack-id-is-a-fraction": '{"type": "joinGroup", "group": "room", "ackId": 1.5}',
    "ack-id-is-too-large": frame("joinGroup", group="room", ackId=2**64),
    "no-data": frame("sendToGroup", group="room"),
    "null-data": frame("sendToGroup", group="room", data=None),
    "unknown-data-type": frame("sendToGroup", group="room", dataType="xml", data="x"),
    "data-type-is-null": frame("sendToGroup", group="room", dataType=None, data="x"),
    "text-is-no-string": frame("sendToGroup", group="room", dataType="text", data=1),
    "bad-base64": frame("sendToGroup", group="room", dataType="binary", data="!"),
    "base64-is-no-ascii": frame("sendToGroup", group="room", dataType="binary", data="ä"),
    "no-echo-is-text": frame("sendToGroup", group="room", data=1, noEcho="yes"),
    "ttl-is-too-long": frame("sendToGroup", group="room", data=1, ttlSeconds=301),
    "ttl-is-negative": frame("sendToGroup", group="room", data=1, ttlSeconds=-1),
    "ttl-is-text": frame("sendToGroup", group="room", data=1, ttlSeconds="1"),
    "no-event": frame("event", data=1),
    "bad-event": frame("event", event="1 2", data=1),
    "event-without-data": frame("event", event="act"),
    "metadata-is-a-list": frame("event", event="act", data=1, metadata=[]),
    "metadata-value-is-a-number": frame("event", event="act", data=1, metadata={"a": 1}),
    "metadata-key-is-no-token": frame("event", event="act", data=1, metadata={"a b": "1"}),
    "metadata-value-is-no-ascii": frame("event", event="act", data=1, metadata={"a": "ä"}),
    "metadata-value-is-too-long": frame("event", event="act", data=1, metadata={"a": "x" * 1025}),
    "metadata-is-too-large": frame("event", event="act", data=1, metadata={f"k{n}": "x" * 1000 for n in range(9)}),
    "no-sequence-id": frame("sequenceAck"),
    "lone-surrogate": '{"type": "event", "event": "act", "data": "\\ud800"}',
    "too-deep": '{"type": "event", "event": "act", "data": ' + "[" * 64 + "]" * 64 + "}",
    "much-too-deep": "[" * 100_000,
    "not-a-number": '{"type": "event", "event": "act", "data": NaN}',
}


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID.keys())
@in_loop
async def test_what_is_no_message_of_the_protocol_closes_the_client(text: str) -> None:
    scene = Scene()
    client, socket = scene.connect(JsonClient)
    socket.clear()
    await client.receive(socket, text)
    assert socket.closed is not None
    assert socket.closed[0] == 1007
    assert [item["event"] for item in socket.read] == ["disconnected"]
    await scene.app.wait_for("disconnected")
    assert scene.hub.connections == {}


def test_json_may_be_nested_as_deep_as_the_limit() -> None:
    request = read_request('{"type": "event", "event": "act", "data": ' + "[" * 63 + "]" * 63 + "}")
    assert json.loads(write_message(Message(request.data, JSON, "server")))  # type: ignore[union-attr]


@in_loop
async def test_a_sequence_ack_of_a_client_that_is_not_reliable_does_nothing() -> None:
    client, socket = Scene().connect(JsonClient)
    socket.clear()
    await client.receive(socket, frame("sequenceAck", sequenceId=1))
    assert (socket.read, socket.closed) == ([], None)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {"type": st.sampled_from(["joinGroup", "leaveGroup", "sendToGroup", "event", "sequenceAck", "ping", "invoke"])},
    optional=dict.fromkeys(
        ("group", "data", "dataType", "ackId", "noEcho", "ttlSeconds", "metadata", "event", "sequenceId"), JSON_VALUES
    ),
)


@given(text=st.one_of(st.text(), JSON_VALUES.map(json.dumps), FIELDS.map(json.dumps)))
def test_no_frame_is_more_than_a_request_or_an_error(text: str) -> None:
    try:
        request = read_request(text)
    except ValueError:
        return
    assert type(request).__name__ in ("Join", "Leave", "Publish", "Event", "SequenceAck", "Ping")


@given(data=JSON_VALUES.filter(lambda value: value is not None))
def test_json_data_arrives_as_it_was_sent(data: Any) -> None:
    try:
        request = read_request(json.dumps({"type": "event", "event": "act", "data": data}))
    except ValueError:
        return  # such as a lone surrogate
    written = json.loads(write_message(Message(request.data, JSON, "server")))  # type: ignore[union-attr]
    assert written["data"] == data


@given(frames=st.lists(st.one_of(st.binary(max_size=20), st.text(), FIELDS.map(json.dumps)), max_size=20))
def test_no_frames_are_too_much_for_a_client(frames: list[str | bytes]) -> None:
    async def send_all() -> None:
        scene = Scene()
        client, socket = scene.connect(JsonClient)
        for item in frames:
            await client.receive(socket, item)
        assert (socket.closed is None) == scene.hub.has(client.connection)

    asyncio.run(send_all())
