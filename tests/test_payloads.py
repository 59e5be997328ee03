"""The schemas of a message and of its answer: what fits reaches the handler, what does not is told to the client."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pytest
from flask import Flask, abort, jsonify
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_dump, post_load, validate, validates_schema

import flask_webpubsub
from flask_webpubsub import (
    ConfigurationError,
    EventError,
    EventErrorResponse,
    Hub,
    InvalidHandlerResultError,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
    WebPubSubDataType,
    event_handled,
    event_rejected,
)
from flask_webpubsub.mqtt import MqttConnectProperties, MqttProtocolVersion
from flask_webpubsub.testing import Connection, WebPubSubTestClient
from tests.test_dispatch import call, make_event
from tests.test_signals import recorded

pytestmark = pytest.mark.both_doors


@dataclass
class Move:
    """A piece on a board goes there."""

    x: int
    y: int


class MoveSchema(Schema):
    x = fields.Integer(required=True, validate=validate.Range(0, 7))
    y = fields.Integer(required=True, validate=validate.Range(0, 7))

    @post_load
    def make(self, values: dict[str, Any], **extra: Any) -> Move:
        return Move(**values)


class PlainSchema(Schema):
    x = fields.Integer(required=True)


class CircleSchema(Schema):
    inner = fields.Nested(lambda: CircleSchema())


@pytest.fixture
def chat(client: WebPubSubTestClient) -> Connection:
    return client.connect("ada")


def read_errors(connection: Connection) -> Any:
    """What the answer says of a message that does not fit."""
    assert connection.answer.status == 400
    assert connection.answer.header("Content-Type") == "application/json"
    body = json.loads(connection.answer.body)
    assert body.keys() == {"errors"}
    return body["errors"]


# What fits.

REGISTER: dict[str, Callable[[WebPubSub, Any], Any]] = {
    "on_user_event": lambda wps, schema: wps.on_user_event("move", schema=schema),
    "trigger": lambda wps, schema: wps.trigger("move", event_type="user", schema=schema),
    "every user event": lambda wps, schema: wps.on_user_event("*", schema=schema),
}


@pytest.mark.parametrize("schema", [MoveSchema, MoveSchema()], ids=["class", "instance"])
@pytest.mark.parametrize("register", REGISTER.values(), ids=REGISTER)
def test_the_handler_gets_what_the_schema_made(
    wps: WebPubSub, client: WebPubSubTestClient, register: Callable[[WebPubSub, Any], Any], schema: Any
) -> None:
    seen: list[Any] = []

    @register(wps, schema)  # type: ignore[untyped-decorator]
    def move(request: UserEventRequest, data: Move, data_type: WebPubSubDataType) -> str:
        seen.extend([data, request.data, request.get_data(), data_type])
        return "moved"

    chat = client.connect()
    assert chat.send_event("move", {"x": "3", "y": 4}) == UserEventResponse("moved")
    assert seen == [Move(3, 4), Move(3, 4), b'{"x":"3","y":4}', "json"]


def test_on_message_and_a_hub_take_a_schema_too(app: Flask) -> None:
    hub = Hub("games")
    hub.on_message(schema=MoveSchema)(lambda data: f"message {data.x}")
    hub.on_user_event("move", schema=MoveSchema)(lambda data: f"move {data.x}")
    hub.trigger("jump", schema=MoveSchema)(lambda data: f"jump {data.x}")
    wps = WebPubSub(app)
    wps.register_hub(hub)

    chat = wps.test_client(app, "games").connect()
    answers = [chat.send_event(name, {"x": 1, "y": 2}) for name in ("message", "move", "jump")]
    assert answers == [UserEventResponse("message 1"), UserEventResponse("move 1"), UserEventResponse("jump 1")]


def test_an_instance_keeps_its_options(wps: WebPubSub, chat: Connection) -> None:
    @wps.on_message(schema=MoveSchema(many=True, unknown=EXCLUDE))
    def moves(data: list[Move]) -> str:
        return repr(data)

    assert chat.send_json([{"x": 1, "y": 2, "z": 3}]) == UserEventResponse("[Move(x=1, y=2)]")


JSON_OF_ALL_SORTS: dict[str, Callable[[Connection], Any]] = {
    "json": lambda chat: chat.send_json({"x": 1, "y": 2}),
    "text, as clients without a subprotocol send it": lambda chat: chat.send_text('{"x": 1, "y": 2}'),
    "binary": lambda chat: chat.send_bytes(b'{"x": 1, "y": 2}'),
}


@pytest.mark.parametrize("send", JSON_OF_ALL_SORTS.values(), ids=JSON_OF_ALL_SORTS)
def test_json_is_loaded_whatever_it_is_sent_as(wps: WebPubSub, chat: Connection, send: Any) -> None:
    wps.on_message(schema=MoveSchema)(lambda data: f"{data.x},{data.y}")

    assert send(chat) == UserEventResponse("1,2")


@pytest.mark.parametrize("content_type", ["application/octet-stream", "text/x-move", "application/json"])
def test_an_mqtt_client_may_send_json_as_any_type(
    wps: WebPubSub, client: WebPubSubTestClient, content_type: str
) -> None:
    wps.on_user_event("move", schema=MoveSchema)(lambda data: f"{data.x},{data.y}")
    chat = client.connect(mqtt=MqttConnectProperties(protocol_version=MqttProtocolVersion.V311))

    answer = chat.send_event("move", b'{"x": 1, "y": 2}', "binary", content_type=content_type)
    assert answer == UserEventResponse("1,2")


def test_a_message_is_checked_also_where_the_handler_does_not_look_at_it(wps: WebPubSub, chat: Connection) -> None:
    calls: list[str] = []

    @wps.on_message(schema=MoveSchema)
    def moved(user_id: str) -> None:
        calls.append(user_id)

    assert chat.send_json({"x": 1, "y": 2}) is None
    chat.send_json({"x": 1})
    assert read_errors(chat) == {"y": ["Missing data for required field."]}
    assert calls == ["ada"]


def test_a_coroutine_function_gets_the_loaded_data(wps: WebPubSub, chat: Connection) -> None:
    @wps.on_message(schema=MoveSchema, reply_schema=MoveSchema)
    async def move(data: Move) -> Move:
        return Move(data.y, data.x)

    assert chat.send_json({"x": 1, "y": 2}) == UserEventResponse({"x": 2, "y": 1}, "json")
    chat.send_json({})
    assert read_errors(chat).keys() == {"x", "y"}


# What does not fit.

REQUIRED = "Missing data for required field."
MISFITS: dict[str, tuple[Any, Any]] = {
    "a field is missing": ({"x": 1}, {"y": [REQUIRED]}),
    "a value is wrong": ({"x": "one", "y": 2}, {"x": ["Not a valid integer."]}),
    "a value is refused": (
        {"x": 8, "y": 2},
        {"x": ["Must be greater than or equal to 0 and less than or equal to 7."]},
    ),
    "a key is unknown": ({"x": 1, "y": 2, "z": 3}, {"z": ["Unknown field."]}),
    "a list": ([1], {"_schema": ["Invalid input type."]}),
    "null": (None, {"_schema": ["Invalid input type."]}),
    "zero": (0, {"_schema": ["Invalid input type."]}),
}


@pytest.mark.parametrize(("value", "errors"), MISFITS.values(), ids=MISFITS)
def test_a_message_that_does_not_fit_is_answered_with_what_is_wrong(
    wps: WebPubSub, chat: Connection, value: Any, errors: Any
) -> None:
    calls: list[Any] = []
    wps.on_message(schema=MoveSchema)(lambda data: calls.append(data))

    response = chat.send_json(value)

    assert isinstance(response, EventErrorResponse)
    assert response.code == "userError"
    assert read_errors(chat) == errors
    assert calls == []


def test_errors_in_lists_and_within_are_told_by_their_place(wps: WebPubSub, chat: Connection) -> None:
    class GameSchema(Schema):
        moves = fields.List(fields.Nested(MoveSchema))

    wps.on_message(schema=GameSchema(many=True))(lambda data: None)

    chat.send_json([{"moves": []}, {"moves": [{"x": 1, "y": 2}, {"x": 1}]}])
    assert read_errors(chat) == {"1": {"moves": {"1": {"y": [REQUIRED]}}}}


def test_the_states_and_cookies_of_a_connection_stay(wps: WebPubSub, chat: Connection) -> None:
    @wps.on_message(schema=MoveSchema)
    def move(request: UserEventRequest) -> UserEventResponse:
        response = request.create_response()
        response.set_state("moved", True)
        return response

    chat.send_json({"x": 1, "y": 2})
    chat.send_json({})
    assert chat.answer.header("ce-connectionState") is None
    assert chat.states == {"moved": True}


NO_JSON: dict[str, Callable[[Connection], Any]] = {
    "text": lambda chat: chat.send_text("hello"),
    "empty text": lambda chat: chat.send_text(""),
    "text with a number that is none": lambda chat: chat.send_text('{"x": NaN, "y": 1}'),
    "bytes that are no text": lambda chat: chat.send_bytes(b"\xff\x00"),
    "half of it": lambda chat: chat.send_bytes(b'{"x": 1'),
    "protobuf": lambda chat: chat.send_event("message", b"\x0a\x01", "binary", content_type="application/x-protobuf"),
}


@pytest.mark.parametrize("send", NO_JSON.values(), ids=NO_JSON)
def test_a_message_that_is_no_json_is_told_so(wps: WebPubSub, chat: Connection, send: Any) -> None:
    wps.on_message(schema=MoveSchema)(lambda data: "never")

    send(chat)
    assert read_errors(chat) == {"_schema": ["The message is not JSON."]}


def test_malformed_json_of_the_service_is_refused_as_without_a_schema(wps: WebPubSub, app: Flask) -> None:
    wps.on_message(schema=MoveSchema)(lambda data: "never")

    answer = call(app, make_event(body=b"{", headers={"Content-Type": "application/json"}))
    assert (answer.status, answer.body) == (400, b"Bad Request")


def test_nothing_is_loaded_before_the_signature_holds(wps: WebPubSub, app: Flask) -> None:
    calls: list[Any] = []

    class Watched(MoveSchema):
        @validates_schema
        def note(self, data: Any, **extra: Any) -> None:
            calls.append(data)

    wps.on_message(schema=Watched)(lambda data: "never")

    forged = make_event(body=b'{"x": 1, "y": 2}', key="forged", headers={"Content-Type": "application/json"})
    assert call(app, forged).status == 401
    assert calls == []


def test_a_message_nested_too_deep_for_its_schema_is_refused(wps: WebPubSub, chat: Connection) -> None:
    wps.on_message(schema=CircleSchema)(lambda data: "loaded")

    depth = 800  # less than the JSON reader takes, more than the schema does
    assert chat.send_text('{"inner":' * 5 + "{}" + "}" * 5) == UserEventResponse("loaded")
    chat.send_text('{"inner":' * depth + "{}" + "}" * depth)
    assert read_errors(chat) == {"_schema": ["The message is nested too deep."]}


def test_a_message_of_any_object_is_told_as_its_text(wps: WebPubSub, chat: Connection) -> None:
    class Lazy:
        """A translated text, as Flask-Babel has it."""

        def __str__(self) -> str:
            return "Zug ungültig."

    class TranslatedSchema(Schema):
        @validates_schema
        def refuse(self, data: Any, **extra: Any) -> None:
            raise ValidationError({"board": [Lazy(), {"code": 7}]})

    wps.on_message(schema=TranslatedSchema)(lambda data: "never")

    chat.send_json({})
    assert read_errors(chat) == {"board": ["Zug ungültig.", {"code": "7"}]}


def test_very_many_errors_are_not_all_told(wps: WebPubSub, chat: Connection) -> None:
    wps.on_message(schema=MoveSchema)(lambda data: "never")

    chat.send_json({f"key{number}": 1 for number in range(10_000)})
    assert read_errors(chat) == {"_schema": ["There are too many errors to list."]}


def test_what_a_schema_itself_does_wrong_reaches_flask(wps: WebPubSub, app: Flask, chat: Connection) -> None:
    class BrokenSchema(Schema):
        @post_load
        def make(self, values: Any, **extra: Any) -> None:
            raise LookupError("no such board")

    wps.on_message(schema=BrokenSchema)(lambda data: "never")

    with recorded(event_handled) as handled, pytest.raises(LookupError):
        chat.send_json({})
    assert [values["status"] for _, values in handled] == [500]


def test_a_validation_error_of_the_handler_is_none_of_the_message(wps: WebPubSub, chat: Connection) -> None:
    @wps.on_message(schema=MoveSchema)
    def move(data: Move) -> None:
        PlainSchema().load({})  # of something else

    with pytest.raises(ValidationError):
        chat.send_json({"x": 1, "y": 2})


# Who is told.

HIDDEN = EventErrorResponse("userError", "Bad Request")


@pytest.mark.parametrize(
    ("setting", "argument", "shown"),
    [
        (None, None, True),
        (True, None, True),
        (False, None, False),
        (None, True, True),
        (None, False, False),
        (True, False, False),
        (False, True, True),
    ],
)
def test_the_setting_or_the_argument_says_whether_errors_are_shown(
    app: Flask, setting: bool | None, argument: bool | None, shown: bool
) -> None:
    if setting is not None:
        app.config["WEBPUBSUB_SCHEMA_ERRORS"] = setting
    wps = WebPubSub(app)
    wps.on_message(schema=MoveSchema, schema_errors=argument)(lambda data: "never")
    chat = wps.test_client(app).connect()

    response = chat.send_json({"x": 1})

    if shown:
        assert read_errors(chat) == {"y": [REQUIRED]}
    else:
        assert response == HIDDEN
        assert chat.answer.header("Content-Type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("value", [None, 0, "no"], ids=repr)
def test_a_setting_that_is_neither_true_nor_false_is_refused(app: Flask, value: Any) -> None:
    app.config["WEBPUBSUB_SCHEMA_ERRORS"] = value

    with pytest.raises(ConfigurationError, match=r"WEBPUBSUB_SCHEMA_ERRORS is .*: set it to True or False"):
        WebPubSub(app)


def test_one_log_line_says_where_it_does_not_fit_and_no_value(
    wps: WebPubSub, chat: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    class SecretSchema(MoveSchema):
        @validates_schema
        def refuse(self, data: dict[str, Any], **extra: Any) -> None:
            raise ValidationError(f"I do not like {data}.", "x")

    wps.on_message(schema=SecretSchema)(lambda data: "never")

    chat.send_json({"x": "hunter2", "y": "hunter3", "hunter4": 1, "hunter5": 1})

    (record,) = [record for record in caplog.records if record.name == "flask_webpubsub"]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "Refused with 400: the data of the user event 'message' of hub 'chat' does not fit SecretSchema: 'x', 'y' and "
        "2 more (request None)"
    )


PLACES: dict[str, tuple[Schema, Any, str]] = {
    "none that it knows": (MoveSchema(partial=True), {"secret": 1}, "1 more"),
    "a field by its name on the wire": (Schema.from_dict({"a": fields.Int(data_key="aB")})(), {"aB": "x"}, "'aB'"),
    "items of a list": (MoveSchema(many=True, partial=True), [{}, {"x": "a"}, {"y": "b"}], "1, 2"),
    "items of a long list": (MoveSchema(many=True), [{}] * 12, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"),
    "no object": (MoveSchema(), 5, "'_schema'"),
}


@pytest.mark.parametrize(("schema", "value", "places"), PLACES.values(), ids=PLACES)
def test_the_log_line_names_places(
    wps: WebPubSub, chat: Connection, caplog: pytest.LogCaptureFixture, schema: Schema, value: Any, places: str
) -> None:
    wps.on_message(schema=schema)(lambda data: "never")

    chat.send_json(value)
    (line,) = caplog.messages
    assert line.endswith(f": {places} (request None)")


def test_a_message_that_does_not_fit_is_a_handled_event(wps: WebPubSub, chat: Connection) -> None:
    wps.on_message(schema=MoveSchema)(lambda data: "never")

    with recorded(event_handled) as handled, recorded(event_rejected) as rejected:
        chat.send_json({})

    assert [values["status"] for _, values in handled] == [400]
    assert rejected == []


# The answer.


class Point(NamedTuple):
    x: int
    y: int


class PriceSchema(Schema):
    price = fields.Decimal()


def generate() -> Iterator[Move]:
    yield Move(1, 2)


REPLIES: dict[str, tuple[Schema | type[Schema], Callable[[], Any], Any]] = {
    "an object": (MoveSchema, lambda: Move(1, 2), {"x": 1, "y": 2}),
    "a mapping": (MoveSchema, lambda: {"x": "1", "y": 2, "secret": 3}, {"x": 1, "y": 2}),
    "a named tuple": (MoveSchema, lambda: Point(1, 2), {"x": 1, "y": 2}),
    "an empty mapping": (MoveSchema, dict, {}),
    "a list": (MoveSchema(many=True), lambda: [Move(1, 2), {"x": 3, "y": 4}], [{"x": 1, "y": 2}, {"x": 3, "y": 4}]),
    "an empty list": (MoveSchema(many=True), list, []),
    "a generator": (MoveSchema(many=True), generate, [{"x": 1, "y": 2}]),
    "some of its fields": (MoveSchema(only=["x"]), lambda: Move(1, 2), {"x": 1}),
    "a value that JSON does not know": (PriceSchema, lambda: {"price": Decimal("1.50")}, {"price": "1.50"}),
    "a typed response": (MoveSchema, lambda: UserEventResponse(Move(1, 2)), {"x": 1, "y": 2}),
    "a typed response of a list": (
        MoveSchema(many=True),
        lambda: UserEventResponse([Move(1, 2)], "json"),
        [{"x": 1, "y": 2}],
    ),
}


@pytest.mark.parametrize(("schema", "make", "data"), REPLIES.values(), ids=REPLIES)
def test_what_the_handler_returns_is_dumped_into_json(
    wps: WebPubSub, chat: Connection, schema: Any, make: Callable[[], Any], data: Any
) -> None:
    @wps.on_message(reply_schema=schema)
    def message() -> Any:
        return make()

    assert chat.send_text("go") == UserEventResponse(data, "json")
    assert chat.answer.header("Content-Type") == "application/json"


def test_a_schema_may_wrap_the_list_that_it_dumps(wps: WebPubSub, chat: Connection) -> None:
    class WrappedSchema(MoveSchema):
        @post_dump(pass_collection=True)
        def wrap(self, data: Any, many: bool, **extra: Any) -> Any:
            return {"moves": data}

    wps.on_message(reply_schema=WrappedSchema(many=True))(lambda: [Move(1, 2)])

    assert chat.send_text("go") == UserEventResponse({"moves": [{"x": 1, "y": 2}]}, "json")


def test_a_typed_response_keeps_its_states_and_metadata(wps: WebPubSub, chat: Connection) -> None:
    response = UserEventResponse(Move(1, 2), metadata={"kind": "move"})
    response.clear_states()
    response.set_state("moves", 1)

    @wps.on_message
    def message() -> UserEventResponse:
        first = UserEventResponse()
        first.set_state("old", True)
        return first

    wps.on_user_event("move", reply_schema=MoveSchema)(lambda: response)

    chat.send_text("hi")
    assert chat.states == {"old": True}
    for _ in range(2):  # the same object, which is not dumped twice
        answer = chat.send_event("move", "go")
        assert isinstance(answer, UserEventResponse)
        assert (answer.data, answer.metadata) == ({"x": 1, "y": 2}, {"kind": "move"})
    assert chat.states == {"moves": 1}
    assert response.data == Move(1, 2)


def raise_event_error() -> None:
    raise EventError("unauthorized", "No.")


UNTOUCHED: dict[str, tuple[Callable[[], Any], Any]] = {
    "nothing": (lambda: None, None),
    "text": (lambda: "ack", UserEventResponse("ack")),
    "bytes": (lambda: b"ack", UserEventResponse(b"ack")),
    "an error": (lambda: EventErrorResponse("userError", "No."), EventErrorResponse("userError", "No.")),
    "a mapping with a code": (lambda: {"Code": 429, "x": 1}, EventErrorResponse(429)),
    "an error that is raised": (raise_event_error, EventErrorResponse("unauthorized", "No.")),
    "abort": (lambda: abort(403, "No."), EventErrorResponse(403, "No.")),
    "a typed response without data": (lambda: UserEventResponse(), None),
    "a typed response of text": (lambda: UserEventResponse("ack", "text"), UserEventResponse("ack")),
    "a typed response of null": (lambda: UserEventResponse(None, "json"), UserEventResponse(None, "json")),
    "a typed response of written JSON": (lambda: UserEventResponse(b"[1]", "json"), UserEventResponse([1], "json")),
    "a response of Flask": (lambda: jsonify(1), UserEventResponse(1, "json")),
}


@pytest.mark.parametrize(("handler", "answer"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_is_no_data_for_the_schema_is_answered_as_ever(
    wps: WebPubSub, chat: Connection, handler: Any, answer: Any
) -> None:
    wps.on_message(reply_schema=MoveSchema)(handler)

    assert chat.send_text("go") == answer


WRONG: dict[str, tuple[Any, Any, str]] = {
    "a list for one": (
        MoveSchema,
        [Move(1, 2)],
        "returned a list: its reply_schema MoveSchema dumps one object",
    ),
    "data and a status, as a view returns": (MoveSchema, (Move(1, 2), 200), "returned a tuple"),
    "a generator for one": (MoveSchema, (Move(1, 2) for _ in "a"), r"a generator: .*MoveSchema\(many=True\)"),
    "an object for many": (MoveSchema(many=True), Move(1, 2), "returned a Move: .* dumps a list of objects"),
    "a mapping for many": (MoveSchema(many=True), {"x": 1, "y": 2}, "returned a dict: .* dumps a list of objects"),
    "a tuple for many": (MoveSchema(many=True), ([Move(1, 2)], 200), "returned a tuple: .* dumps a list of objects"),
    "a number": (MoveSchema, 5, "returned a int in which its reply_schema MoveSchema finds no field"),
    "another object": (MoveSchema, object(), "returned a object in which"),
    "the mapping of an answer": (MoveSchema, {"data": Move(1, 2)}, "returned a dict in which"),
    "another object in a list": (MoveSchema(many=True), [Move(1, 2), object()], "returned a object in which"),
    "another object in a typed response": (MoveSchema, UserEventResponse({"z": 1}), "returned a dict in which"),
    "text as JSON": (MoveSchema, UserEventResponse("text", "json"), "returned a str in which"),
}


@pytest.mark.parametrize(("schema", "result", "message"), WRONG.values(), ids=WRONG)
def test_a_result_that_the_schema_can_not_dump_is_an_error_of_the_handler(
    wps: WebPubSub, client: WebPubSubTestClient, chat: Connection, schema: Any, result: Any, message: str
) -> None:
    @wps.on_message(reply_schema=schema)
    def handler() -> Any:
        return result

    with pytest.raises(InvalidHandlerResultError, match=message) as refusal:
        chat.send_text("go")
    assert "test_payloads" in str(refusal.value)

    client.raise_exceptions = False
    chat.send_text("go")
    assert chat.answer.status == 500


@pytest.mark.parametrize("result", [Move, flask_webpubsub.ConnectEventResponse()], ids=["a class", "another answer"])
def test_what_was_no_answer_without_the_schema_is_none_with_it(
    wps: WebPubSub, chat: Connection, caplog: pytest.LogCaptureFixture, result: Any
) -> None:
    wps.on_message(lambda: result)
    wps.on_user_event("move", reply_schema=MoveSchema)(lambda: result)

    chat.send_text("go")
    plain = chat.answer
    chat.send_event("move", "go")
    assert chat.answer.status == plain.status
    assert len(caplog.messages) == 2


def test_the_message_stays_as_it_is_where_only_the_answer_has_a_schema(wps: WebPubSub, app: Flask) -> None:
    @wps.on_message(reply_schema=MoveSchema)
    def message(data: str) -> Move:
        return Move(*map(int, data.split(",")))

    chat = wps.test_client(app).connect()
    assert chat.send_text("1,2") == UserEventResponse({"x": 1, "y": 2}, "json")
    assert call(app, make_event(body=b"\xff", headers={"Content-Type": "application/octet-stream"})).status == 400


# Registration.

SYSTEM = ["on_connect", "on_connected", "on_disconnected", "on_group_joined", "on_group_left"]


@pytest.mark.parametrize("option", ["schema", "reply_schema"])
@pytest.mark.parametrize("decorator", SYSTEM)
def test_other_events_have_no_schema(decorator: str, option: str) -> None:
    with pytest.raises(ConfigurationError, match=r"for user events.*: a (system|presence) event has none"):
        getattr(WebPubSub(), decorator)(**{option: MoveSchema})
    with pytest.raises(ConfigurationError, match="for user events"):
        Hub("chat").trigger("connect", event_type="system", **{option: MoveSchema})  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["schema", "reply_schema"])
@pytest.mark.parametrize("value", [dict, {"x": int}, "MoveSchema", 5, lambda: MoveSchema()], ids=repr)
def test_what_is_no_schema_is_refused(option: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{option}= takes a marshmallow schema, a class or an instance"):
        WebPubSub().on_user_event("move", **{option: value})


@pytest.mark.parametrize("value", [True, False])
def test_schema_errors_without_a_schema_is_refused(value: bool) -> None:
    with pytest.raises(ConfigurationError, match="give schema= too"):
        WebPubSub().on_user_event("move", reply_schema=MoveSchema, schema_errors=value)


def take_text(data: str) -> None: ...


def take_bytes(data: bytes | None) -> None: ...


def take_stream(data: BinaryIO) -> None: ...


@pytest.mark.parametrize("handler", [take_text, take_bytes, take_stream])
def test_a_handler_that_wants_the_message_as_it_came_is_refused(handler: Callable[..., None]) -> None:
    with pytest.raises(TypeError, match=r"'data' is what MoveSchema loads.*request\.get_data\(\)"):
        WebPubSub().on_message(schema=MoveSchema)(handler)


def test_the_decorated_function_is_returned_as_it_is(wps: WebPubSub) -> None:
    @wps.on_user_event("move", schema=MoveSchema, reply_schema=MoveSchema)
    def move(data: Move) -> Move:
        return data

    assert move(Move(1, 2)) == Move(1, 2)


def test_a_handler_without_a_schema_is_called_as_before(wps: WebPubSub, app: Flask) -> None:
    def message() -> None: ...

    wps.on_message(message)

    (handler,) = app.extensions["webpubsub"].handlers
    assert handler.call is message


def test_one_extension_on_two_apps_shows_errors_as_each_of_them_says(app: Flask) -> None:
    other = Flask("other")
    other.config.update(app.config, WEBPUBSUB_SCHEMA_ERRORS=False)
    wps = WebPubSub(app)
    wps.on_message(schema=MoveSchema)(lambda data: "never")
    wps.init_app(other)

    shown, hidden = wps.test_client(app).connect(), wps.test_client(other).connect()
    shown.send_json({"x": 1})
    assert read_errors(shown) == {"y": [REQUIRED]}
    assert hidden.send_json({"x": 1}) == HIDDEN


# Types.

RIGHT_AND_WRONG = """
from __future__ import annotations

from marshmallow import Schema, fields

from flask_webpubsub import EventErrorResponse, Hub, WebPubSub

wps = WebPubSub()
hub = Hub("games")


class Move:
    x: int


class MoveSchema(Schema):
    x = fields.Integer(required=True)


@wps.on_user_event("move", schema=MoveSchema, reply_schema=MoveSchema(many=True), schema_errors=False)
def move(data: Move) -> list[Move] | EventErrorResponse:
    return [data]


@wps.on_message(schema=MoveSchema())
def message(data: Move) -> None: ...


@hub.on_message(hub="games", reply_schema=MoveSchema)
async def game(data: str) -> Move:
    return Move()


@hub.trigger("jump", schema=MoveSchema, schema_errors=True)
def jump(data: Move) -> None: ...


@wps.on_message
def plain(data: str) -> str:
    return data


kept: list[Move] | EventErrorResponse = move(Move())
text: str = plain("hi")


@wps.on_connect(schema=MoveSchema)  # refused
def connect() -> None: ...


@wps.on_message(schema=dict)  # refused
def wrong() -> None: ...


@wps.on_user_event("jump", schema=MoveSchema, schema_errors="no")  # refused
def other() -> None: ...


move("not a move")  # refused
"""


def test_mypy_knows_the_options(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    (tmp_path / "program.py").write_text(RIGHT_AND_WRONG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir=cache", "program.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(Path(flask_webpubsub.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {int(line) for line in re.findall(r"^program\.py:(\d+): error:", done.stdout, re.MULTILINE)}
    expected = {number for number, line in enumerate(RIGHT_AND_WRONG.splitlines(), 1) if "# refused" in line}

    assert found == expected, done.stdout + done.stderr
