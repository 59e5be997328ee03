"""What a handler may answer, and the status, the type and the bytes that each answer has on the wire."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.json.provider import DefaultJSONProvider

from flask_webpubsub import (
    NOT_GIVEN,
    ConnectEventResponse,
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    MqttConnectEventResponse,
    MqttConnectProperties,
    MqttProtocolVersion,
    MqttUserProperty,
    UserEventResponse,
    WebPubSub,
    WebPubSubDataType,
    WebPubSubErrorCode,
    WebPubSubEventResponse,
)
from flask_webpubsub.testing import WebPubSubTestClient
from tests.test_codec import log_lines

V500 = MqttConnectProperties(protocol_version=MqttProtocolVersion.V500)
TEXT, JSON, BINARY = "text/plain; charset=utf-8", "application/json", "application/octet-stream"


# The objects.


def test_a_field_that_was_not_given_is_neither_none_nor_empty() -> None:
    response = ConnectEventResponse()
    assert response.user_id is response.groups is response.roles is response.subprotocol is NOT_GIVEN
    others: list[Any] = [None, [], ""]
    assert NOT_GIVEN not in others
    assert not NOT_GIVEN
    assert repr(NOT_GIVEN) == "NOT_GIVEN"


def test_responses_take_their_main_values_by_position() -> None:
    assert ConnectEventResponse("a", ["g"], ["r"], "s") == ConnectEventResponse(
        user_id="a", groups=["g"], roles=["r"], subprotocol="s"
    )
    assert UserEventResponse("ack", "json") == UserEventResponse(data="ack", data_type=WebPubSubDataType.JSON)
    assert EventErrorResponse(403, "No.") == EventErrorResponse(code=403, error_message="No.")
    properties = [MqttUserProperty("a", "b")]
    assert MqttConnectEventErrorResponse(5, "No.", properties) == MqttConnectEventErrorResponse(
        code=5, reason="No.", user_properties=properties
    )


@pytest.mark.parametrize(
    ("data", "data_type"),
    [("a", "text"), ("", "text"), (b"a", "binary"), (None, "json"), (0, "json"), ([], "json"), ({"a": 1}, "json")],
    ids=repr,
)
def test_the_type_of_data_is_guessed(data: Any, data_type: str) -> None:
    assert UserEventResponse(data).data_type == data_type


def test_a_response_without_data_has_no_type() -> None:
    assert UserEventResponse().data_type is None


@pytest.mark.parametrize("data_type", ["xml", "", 1, True])
def test_another_data_type_is_refused_where_it_is_made(data_type: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid WebPubSubDataType"):
        UserEventResponse("a", data_type)


@pytest.mark.parametrize("code", [True, 200, 600, "forbidden", None, 401.0])
def test_another_error_code_is_refused_where_it_is_made(code: Any) -> None:
    with pytest.raises(ValueError, match="is no error code"):
        EventErrorResponse(code)


def test_errors_have_no_states() -> None:
    for error in (EventErrorResponse(403), MqttConnectEventErrorResponse(5)):
        assert not isinstance(error, WebPubSubEventResponse)
        assert not hasattr(error, "set_state")


def test_states_are_not_shared_between_responses() -> None:
    given = {"a": 1}
    first, second = UserEventResponse(states=given), UserEventResponse(states=given)
    first.set_state("b", 2)
    assert (first.states, second.states, given) == ({"a": 1, "b": 2}, {"a": 1}, {"a": 1})


def test_responses_are_mutable() -> None:
    response = UserEventResponse("a")
    response.data = b"b"
    response.data_type = "binary"
    assert response == UserEventResponse(b"b")
    assert all(field.init for field in fields(UserEventResponse) if field.name != "states_cleared")


# On the wire: connect.


CONNECTS: dict[str, tuple[Any, Any]] = {
    "unset": (ConnectEventResponse(), {}),
    "user": (ConnectEventResponse("alice"), {"userId": "alice"}),
    "all": (
        ConnectEventResponse("é", ["a", "b"], ["r"], "chat"),
        {"userId": "é", "groups": ["a", "b"], "roles": ["r"], "subprotocol": "chat"},
    ),
    "empty-lists": (ConnectEventResponse(groups=[], roles=[]), {"groups": [], "roles": []}),
    "none": (ConnectEventResponse(None, None, None, None), dict.fromkeys(("userId", "groups", "roles", "subprotocol"))),
    "empty-texts": (ConnectEventResponse("", subprotocol=""), {"userId": "", "subprotocol": ""}),
    "tuple": (ConnectEventResponse(groups=("a",), roles={"r"}), {"groups": ["a"], "roles": ["r"]}),
    "mapping": ({"userId": "alice", "roles": []}, {"userId": "alice", "roles": []}),
    "mapping-snake": ({"user_id": None}, {"userId": None}),
    "mapping-ordered": (OrderedDict(GROUPS=["a"]), {"groups": ["a"]}),
    "mapping-empty": ({}, {}),
}


@pytest.mark.parametrize(("result", "body"), CONNECTS.values(), ids=CONNECTS)
@pytest.mark.parametrize("mqtt", [None, V500], ids=["plain", "mqtt"])
def test_a_client_is_let_in_with_what_was_set_and_no_more(
    result: Any, body: Any, mqtt: Any, wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    @wps.on_connect
    def connect() -> Any:
        return result

    answer = client.connect(mqtt=mqtt).answer
    assert (answer.status, answer.header("Content-Type")) == (200, JSON)
    sent = json.loads(answer.body)
    if mqtt is not None and isinstance(result, dict):
        body = {"subprotocol": "mqtt"} | body
    assert sent == body
    assert answer.header("ce-connectionState") is None


def test_the_body_of_an_answer_is_compact_utf_8(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    wps.on_connect(lambda: ConnectEventResponse("é", []))
    assert client.connect().answer.body == '{"userId":"é","groups":[]}'.encode()


def test_no_answer_to_connect_is_204(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    wps.on_connect(lambda: None)
    connection = client.connect()
    assert (connection.answer.status, connection.answer.body, connection.accepted) == (204, b"", True)
    assert connection.answer.header("Content-Type") is None


MQTT_CONNECTS: dict[str, tuple[Any, Any]] = {
    "unset": (MqttConnectEventResponse(), {"subprotocol": "mqtt"}),
    "user": (MqttConnectEventResponse("a"), {"subprotocol": "mqtt", "userId": "a"}),
    "properties": (
        MqttConnectEventResponse(user_properties=[MqttUserProperty("a", "b")]),
        {"subprotocol": "mqtt", "mqtt": {"userProperties": [{"name": "a", "value": "b"}]}},
    ),
    "no-properties": (
        MqttConnectEventResponse(user_properties=[]),
        {"subprotocol": "mqtt", "mqtt": {"userProperties": []}},
    ),
    "mapping": (
        {"mqtt": {"userProperties": [{"name": "a", "value": "b"}]}},
        {"subprotocol": "mqtt", "mqtt": {"userProperties": [{"name": "a", "value": "b"}]}},
    ),
}


@pytest.mark.parametrize(("result", "body"), MQTT_CONNECTS.values(), ids=MQTT_CONNECTS)
def test_an_mqtt_client_is_let_in_with_its_properties(
    result: Any, body: Any, wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    wps.on_connect(lambda: result)
    connection = client.connect(mqtt=V500)
    assert (connection.answer.status, json.loads(connection.answer.body)) == (200, body)
    assert connection.accepted


WRONG_CONNECTS: dict[str, tuple[Any, str]] = {
    "user-id": (ConnectEventResponse(1), "userId"),  # type: ignore[arg-type]
    "groups": (ConnectEventResponse(groups="lobby"), "groups"),
    "group": (ConnectEventResponse(groups=[1]), "groups"),  # type: ignore[list-item]
    "roles": (ConnectEventResponse(roles={"a": "b"}), "roles"),
    "subprotocol": (ConnectEventResponse(subprotocol=["a"]), "subprotocol"),  # type: ignore[arg-type]
    "surrogate": (ConnectEventResponse("\ud800"), "JSON"),
    "mapping-user-id": ({"userId": 1}, "userId"),
    "mapping-groups": ({"groups": "a"}, "groups"),
    "mapping-roles": ({"roles": [1]}, "roles"),
    "mapping-misspelt": ({"role": []}, "role"),
    "mapping-both": ({"user_id": "a", "userId": "a"}, "userId"),
    "mapping-mqtt": ({"mqtt": {"code": 5}}, "mqtt"),
    "mapping-data": ({"data": "a"}, "data"),
}


@pytest.mark.parametrize(("result", "part"), WRONG_CONNECTS.values(), ids=WRONG_CONNECTS)
def test_a_wrong_answer_to_connect_keeps_the_client_out(
    result: Any, part: str, wps: WebPubSub, client: WebPubSubTestClient, caplog: pytest.LogCaptureFixture
) -> None:
    wps.on_connect(lambda: result)
    connection = client.connect()
    assert not connection.accepted
    assert (connection.answer.status, connection.answer.body) == (500, b"Internal Server Error")
    [line] = log_lines(caplog)
    assert part in line
    if isinstance(result, dict):
        assert "userId, groups, roles, subprotocol, states" in line


# On the wire: messages.


@dataclass
class Point:
    x: int
    y: int


class Colour(StrEnum):
    RED = "red"


MESSAGES: dict[str, tuple[UserEventResponse, int, str | None, bytes]] = {
    "nothing": (UserEventResponse(), 204, None, b""),
    "text": (UserEventResponse("é"), 200, TEXT, "é".encode()),
    "empty-text": (UserEventResponse(""), 200, TEXT, b""),
    "bytes-as-text": (UserEventResponse(b"\xc3\xa9", "text"), 200, TEXT, b"\xc3\xa9"),
    "enum": (UserEventResponse(Colour.RED), 200, TEXT, b"red"),
    "binary": (UserEventResponse(b"\x00"), 200, BINARY, b"\x00"),
    "empty-binary": (UserEventResponse(b""), 200, BINARY, b""),
    "text-as-binary": (UserEventResponse("é", "binary"), 200, BINARY, "é".encode()),
    "json": (UserEventResponse({"a": [1, None]}), 200, JSON, b'{"a":[1,null]}'),
    "json-text": (UserEventResponse("é", "json"), 200, JSON, '"é"'.encode()),
    "json-json-text": (UserEventResponse("{}", "JSON"), 200, JSON, b'"{}"'),
    "json-null": (UserEventResponse(None), 200, JSON, b"null"),
    "json-zero": (UserEventResponse(0), 200, JSON, b"0"),
    "json-false": (UserEventResponse(False), 200, JSON, b"false"),
    "json-empty": (UserEventResponse([]), 200, JSON, b"[]"),
    "json-tuple": (UserEventResponse((1, 2)), 200, JSON, b"[1,2]"),
    "json-bytes": (UserEventResponse(b' {"a" : 1}', "json"), 200, JSON, b' {"a" : 1}'),
    "datetime": (
        UserEventResponse(datetime(2026, 1, 1, tzinfo=UTC)),
        200,
        JSON,
        b'"Thu, 01 Jan 2026 00:00:00 GMT"',
    ),
    "date": (UserEventResponse({"on": date(2026, 1, 1)}), 200, JSON, b'{"on":"Thu, 01 Jan 2026 00:00:00 GMT"}'),
    "uuid": (UserEventResponse([UUID(int=1)]), 200, JSON, b'["00000000-0000-0000-0000-000000000001"]'),
    "dataclass": (UserEventResponse(Point(1, 2)), 200, JSON, b'{"x":1,"y":2}'),
}


@pytest.mark.parametrize(("response", "status", "content_type", "body"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_is_answered_with_its_type_and_bytes(
    response: Any, status: int, content_type: str | None, body: bytes, wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    wps.on_message(lambda: response)
    connection = client.connect()
    connection.send_text("hi")
    answer = connection.answer
    assert (answer.status, answer.header("Content-Type"), answer.body) == (status, content_type, body)


MAPPINGS: dict[str, tuple[Any, int, str | None, bytes]] = {
    "empty": ({}, 204, None, b""),
    "seed": ({"data": "ack", "dataType": "text"}, 200, TEXT, b"ack"),
    "snake": ({"data": "ack", "data_type": "Text"}, 200, TEXT, b"ack"),
    "no-type": ({"data": "ack"}, 200, TEXT, b"ack"),
    "no-type-bytes": ({"data": b"ack"}, 200, BINARY, b"ack"),
    "no-type-json": ({"Data": {"a": 1}}, 200, JSON, b'{"a":1}'),
    "null": ({"data": None}, 200, JSON, b"null"),
    "null-type": ({"data": "ack", "dataType": None}, 200, TEXT, b"ack"),
    "json-text": ({"data": ' {"a" : 1}', "dataType": "json"}, 200, JSON, b' {"a" : 1}'),
    "json-number": ({"data": "1", "dataType": "json"}, 200, JSON, b"1"),
    "json-no-text": ({"data": "hello", "dataType": "json"}, 200, JSON, b'"hello"'),
    "json-empty": ({"data": "", "dataType": "json"}, 200, JSON, b'""'),
    "json-nan": ({"data": "NaN", "dataType": "json"}, 200, JSON, b'"NaN"'),
    "json-bytes": ({"data": b"[1]", "dataType": "json"}, 200, JSON, b"[1]"),
    "binary-text": ({"data": "ack", "DATATYPE": "BINARY"}, 200, BINARY, b"ack"),
}


@pytest.mark.parametrize(("mapping", "status", "content_type", "body"), MAPPINGS.values(), ids=MAPPINGS)
def test_a_message_is_answered_by_a_mapping(
    mapping: Any, status: int, content_type: str | None, body: bytes, wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    wps.on_message(lambda: mapping)
    connection = client.connect()
    connection.send_text("hi")
    answer = connection.answer
    assert (answer.status, answer.header("Content-Type"), answer.body) == (status, content_type, body)


WRONG_MESSAGES: dict[str, Any] = {
    "nan": UserEventResponse(float("nan")),
    "infinity": UserEventResponse([float("inf")]),
    "surrogate-text": UserEventResponse("\ud800"),
    "surrogate-json": UserEventResponse({"a": "\ud800"}),
    "surrogate-binary": UserEventResponse("\ud800", "binary"),
    "surrogate-shorthand": "\ud800",
    "surrogate-mapping": {"data": "\ud800"},
    "surrogate-mapping-json": {"data": "\ud800", "dataType": "json"},
    "surrogate-mapping-json-text": {"data": '"\ud800"', "dataType": "json"},
    "object": UserEventResponse(object()),
    "set": UserEventResponse({1}),
    "broken-json-bytes": UserEventResponse(b"{", "json"),
    "nan-bytes": UserEventResponse(b"NaN", "json"),
    "latin-bytes": UserEventResponse(b'"\xff"', "json"),
    "json-as-text": UserEventResponse({"a": 1}, "text"),
    "number-as-binary": UserEventResponse(1, "binary"),
    "none-as-text": UserEventResponse(None, "text"),
    "misspelt": {"date": "ack"},
    "misspelt-type": {"data": "ack", "type": "text"},
    "wrong-type": {"data": "ack", "dataType": "xml"},
    "wrong-type-type": {"data": "ack", "dataType": 1},
    "both": {"dataType": "text", "data_type": "text"},
    "number-key": {1: "a"},
}


@pytest.mark.parametrize("result", WRONG_MESSAGES.values(), ids=WRONG_MESSAGES)
def test_a_wrong_answer_to_a_message_is_500(
    result: Any, wps: WebPubSub, client: WebPubSubTestClient, caplog: pytest.LogCaptureFixture
) -> None:
    wps.on_message(lambda: result)
    connection = client.connect()
    assert connection.send_text("hi") == EventErrorResponse("serverError", "Internal Server Error")
    [line] = log_lines(caplog)
    assert "can not be sent" in line or "data, dataType, states, metadata, userProperties" in line


def test_data_that_was_changed_to_another_type_is_sent_as_that(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message() -> UserEventResponse:
        response = UserEventResponse("a")
        response.data_type = "json"
        return response

    assert client.connect().send_text("hi") == UserEventResponse("a", "json")


def test_an_apps_own_json_provider_is_asked(app: Flask) -> None:
    class Provider(DefaultJSONProvider):
        @staticmethod
        def default(o: Any) -> Any:
            return f"<{type(o).__name__}>"

    app.json = Provider(app)
    wps = WebPubSub(app)
    wps.on_message(lambda: {"data": {"a": {1}}, "dataType": "json"})
    assert wps.test_client(app).connect().send_text("hi") == UserEventResponse({"a": "<set>"})


# On the wire: errors.

ERRORS: dict[str, tuple[Any, int, str]] = {
    "unauthorized": (EventErrorResponse("unauthorized", "Sign in."), 401, "Sign in."),
    "user-error": (EventErrorResponse("userError"), 400, ""),
    "server-error": (EventErrorResponse("SERVERERROR", "é"), 500, "é"),
    "member": (EventErrorResponse(WebPubSubErrorCode.UNAUTHORIZED), 401, ""),
    "integer-400": (EventErrorResponse(400), 400, ""),
    "integer-401": (EventErrorResponse(401), 401, ""),
    "integer-429": (EventErrorResponse(429, "Slow down."), 429, "Slow down."),
    "integer-500": (EventErrorResponse(500), 500, ""),
    "integer-503": (EventErrorResponse(503), 503, ""),
    "integer-599": (EventErrorResponse(599), 599, ""),
    "mapping": ({"code": "unauthorized", "errorMessage": "No."}, 401, "No."),
    "mapping-snake": ({"code": "unauthorized", "error_message": "No."}, 401, "No."),
    "mapping-any-case": ({"CODE": "UserError", "ErrorMessage": "No."}, 400, "No."),
    "mapping-null": ({"code": 403, "errorMessage": None}, 403, ""),
    "mapping-code-first": ({"code": 403, "data": "x", "userId": "a", "states": {}, "later": 1}, 403, ""),
}


@pytest.mark.parametrize(("result", "status", "text"), ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("event", ["connect", "message"])
def test_an_error_has_its_status_and_its_text(
    result: Any, status: int, text: str, event: str, app: Flask, wps: WebPubSub
) -> None:
    handler = wps.on_connect if event == "connect" else wps.on_message
    handler(lambda: result)
    connection = wps.test_client(app).connect()
    if event == "message":
        connection.send_text("hi")
    answer = connection.answer
    assert (answer.status, answer.header("Content-Type"), answer.body) == (status, TEXT, text.encode())
    assert connection.accepted == (event == "message")


WRONG_ERRORS: dict[str, Any] = {
    **{f"code-{code!r}": {"code": code} for code in (True, False, None, 200, 204, 399, 600, "ok", "", 401.0, [401])},
    "message-number": {"code": 403, "errorMessage": 1},
    "two-codes": {"code": 403, "Code": 404},
    "two-messages": {"code": 403, "errorMessage": "a", "error_message": "b"},
    "message-typed": EventErrorResponse(403, 1),  # type: ignore[arg-type]
    "message-surrogate": EventErrorResponse(403, "\ud800"),
}


@pytest.mark.parametrize("result", WRONG_ERRORS.values(), ids=WRONG_ERRORS)
@pytest.mark.parametrize("event", ["connect", "message"])
def test_a_wrong_error_is_500_and_never_a_success(
    result: Any, event: str, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    handler = wps.on_connect if event == "connect" else wps.on_message
    handler(lambda: result)
    connection = wps.test_client(app).connect()
    if event == "message":
        connection.send_text("hi")
    assert (connection.answer.status, connection.answer.body) == (500, b"Internal Server Error")
    assert len(log_lines(caplog)) == 1


@pytest.mark.parametrize("code", [True, 200, "ok"])
def test_an_error_that_was_changed_to_a_success_is_500(code: Any, wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_connect
    def connect() -> EventErrorResponse:
        response = EventErrorResponse(403)
        response.code = code
        return response

    assert client.connect().answer.status == 500
