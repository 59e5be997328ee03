"""The codec says what plain marshmallow says of the same schemas: the same values, and the same messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, TypeVar

from marshmallow import Schema, ValidationError

from flask_webpubsub import (
    ConnectEventResponse,
    InvalidAnswerError,
    InvalidEventError,
    InvalidHandlerResultError,
    WebPubSubEventRequest,
    schemas,
)
from flask_webpubsub.codec import decode_context, decode_event, decode_response, encode_response
from flask_webpubsub.messages import Answer, Message, environ_name
from flask_webpubsub.results import make_response
from flask_webpubsub.schemas import describe
from flask_webpubsub.wire_json import read_json, write_json
from tests.wire import replay

from . import results
from .literals import build
from .mutations import json_value, one_in, some, spoil_json, spoil_text, text

T = TypeVar("T")

_EVENTS = {name: replay.read(name) for name in replay.EVENTS}
#: The events that have a body of their own, and its shape.
_BODIES: dict[str, Schema] = {
    "connect": schemas.ConnectSchema(),
    "mqtt_connect_311": schemas.MqttConnectSchema(),
    "mqtt_connect_500": schemas.MqttConnectSchema(),
    "disconnected": schemas.DisconnectedSchema(),
    "mqtt_disconnected": schemas.MqttDisconnectedSchema(),
    "joined": schemas.GroupSchema(),
    "left": schemas.GroupSchema(),
}
#: The shapes of a handler's mappings.
_MAPPINGS: dict[str, Schema] = {
    "connect": schemas.ConnectAnswerSchema(),
    "mqtt_connect_500": schemas.MqttConnectAnswerSchema(),
    "message_text": schemas.UserAnswerSchema(),
}
_CONTEXT = schemas.ContextSchema()
_CONNECT_ANSWER = schemas.ConnectAnswerSchema()
_ERROR = schemas.ErrorAnswerSchema()
_MQTT_ERROR = schemas.MqttErrorAnswerSchema()
_REQUESTS = {name: _EVENTS[name].decode() for name in _MAPPINGS}


def make(random: Random) -> dict[str, Any]:
    """Something to read or to write, by the part of the codec that does it."""
    part = random.choice(sorted(_CHECKS))
    events = {"bodies": sorted(_BODIES), "headers": sorted(_EVENTS)}
    event = random.choice(events.get(part, sorted(_MAPPINGS)))
    return {"part": part, "event": event, "value": _MAKERS[part](random, event)}


def check(given: dict[str, Any]) -> None:
    """Read it both ways."""
    _CHECKS[given["part"]](given["event"], given["value"])


def _check_headers(event: str, headers: list[tuple[str, str]]) -> None:
    environ = replay.WireRequest("POST", "/", tuple(headers)).environ()
    names = [field.data_key or name for name, field in _CONTEXT.load_fields.items()]
    found = {name: environ[environ_name(name)] for name in names if environ_name(name) in environ}
    values = load(_CONTEXT, found)
    context = outcome_of(lambda: decode_context(Message(environ)), InvalidEventError)
    if isinstance(values, str):
        assert context == f"The event's headers are wrong: {values}"
        return
    if isinstance(context, str):
        assert values["type"][1].lower() != values["event_name"].lower(), context
        return
    assert values["type"] == (context.event_type, values["type"][1])
    read = vars(context)
    same = read.keys() & _CONTEXT.load_fields.keys() - {"states"}
    assert {name: read[name] for name in same} == {name: values.get(name) for name in same}
    assert len(same) >= 8


def _check_bodies(event: str, body: bytes) -> None:
    message = Message(_EVENTS[event].changed(body=body).environ())
    values = outcome_of(lambda: load(_BODIES[event], read_json(body)), ValueError)
    request = outcome_of(lambda: decode_event(decode_context(message), message), InvalidEventError)
    if isinstance(request, str):
        assert request == f"The body is malformed: {values!s}"
        return
    assert not isinstance(values, str), values
    _compare(vars(request) | {"reason": getattr(request, "reason", None)}, values)


def _check_mappings(event: str, literal: Any) -> None:
    mapping, request = build(literal), _REQUESTS[event]
    schema = _schema_of(event, mapping)
    values = load(schema, mapping)
    response = outcome_of(lambda: make_response(mapping, request), InvalidHandlerResultError)
    if isinstance(response, str):
        assert f"is no answer to it: {values!s} An answer may" in response
        return
    assert not isinstance(values, str), values
    expected = dict(values) | dict(values.get("mqtt") or {})
    if "states" in expected and expected["states"] is None:
        expected["states"] = {}
    if schema is _ERROR:
        expected["error_message"] = expected["error_message"] or ""
    made = dict(vars(response))
    if isinstance(made.get("data"), bytes) and isinstance(expected["data"], str):
        made["data"] = made["data"].decode()  # JSON text that goes out as it stands
    expected.pop("mqtt", None)
    _compare(made, {name: value for name, value in expected.items() if (name, value) != ("data_type", None)})


def _check_answers(event: str, literal: Any) -> None:
    response = ConnectEventResponse(**build(literal))
    expected = outcome_of(lambda: write_json(_CONNECT_ANSWER.dump(response)), ValueError, ValidationError)
    answer = outcome_of(lambda: encode_response(response, _REQUESTS["connect"]), InvalidHandlerResultError)
    if isinstance(answer, str):
        assert answer == f"The ConnectEventResponse can not be sent: {expected!s}"
    else:
        assert answer.body == expected


def _check_replies(event: str, body: bytes) -> None:
    request: WebPubSubEventRequest = _REQUESTS["connect"]
    answer = Answer(200, [("Content-Type", "application/json")], body)
    values = outcome_of(lambda: _load_reply(body), ValueError)
    response = outcome_of(lambda: decode_response(answer, request), InvalidAnswerError)
    if isinstance(response, str):
        assert response == f"The answer can not be read: {values!s}"
        return
    assert not isinstance(values, str), values
    assert (values is None) is (response is None)
    _compare(vars(response) if response else {}, values or {})


def _load_reply(body: bytes) -> Mapping[str, Any] | str | None:
    value = read_json(body)
    return None if value is None else load(_CONNECT_ANSWER, value)


def load(schema: Schema, data: Any) -> Mapping[str, Any] | str:
    """What plain marshmallow makes of it: values, or the text of an error."""
    values: Mapping[str, Any] | str = outcome_of(lambda: schema.load(data), ValidationError)
    return values


def outcome_of(do: Callable[[], T], *error_classes: type[Exception]) -> T | str:
    """What a call gives, or the text of its error."""
    try:
        return do()
    except error_classes as error:
        return describe(error) if isinstance(error, ValidationError) else str(error)


def _compare(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert {name: found[name] for name in expected} == expected
    assert {name: type(found[name]) for name in expected} == {name: type(value) for name, value in expected.items()}


def _schema_of(event: str, mapping: Mapping[Any, Any]) -> Schema:
    folded = {key.lower(): value for key, value in mapping.items() if isinstance(key, str)}
    if "code" in folded:
        return _ERROR
    mqtt = folded.get("mqtt") if event == "mqtt_connect_500" else None
    refuses = isinstance(mqtt, Mapping) and any(isinstance(key, str) and key.lower() == "code" for key in mqtt)
    return _MQTT_ERROR if refuses else _MAPPINGS[event]


def _make_headers(random: Random, event: str) -> list[tuple[str, str]]:
    pairs = [(name, value) for name, value in _EVENTS[event].headers if not one_in(random, 12)]
    for _ in range(some(random, 3)):
        index = random.randrange(len(pairs) + 1)
        name, value = pairs[index] if index < len(pairs) else ("ce-sessionId", "s1")
        pairs.insert(index, (name, spoil_text(random, value)))
        if not one_in(random, 4) and index + 1 < len(pairs):
            del pairs[index + 1]
    return pairs


def _make_body(random: Random, event: str) -> bytes:
    value = json.loads(_EVENTS[event].body)
    for _ in range(some(random, 3)):
        value = spoil_json(random, value)
    return json.dumps(value).encode()


def _make_reply(random: Random, event: str) -> bytes:
    value = {"userId": "alice", "groups": ["lobby"], "roles": [], "subprotocol": None}
    return json.dumps(spoil_json(random, value)).encode()


def _make_fields(random: Random, event: str) -> dict[str, Any]:
    names = random.sample(("user_id", "groups", "roles", "subprotocol"), some(random, 4))
    return {name: text(random) if one_in(random, 2) else json_value(random) for name in names}


_MAKERS: dict[str, Callable[[Random, str], Any]] = {
    "headers": _make_headers,
    "bodies": _make_body,
    "mappings": lambda random, event: results.make_mapping(random),
    "answers": _make_fields,
    "replies": _make_reply,
}
_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "headers": _check_headers,
    "bodies": _check_bodies,
    "mappings": _check_mappings,
    "answers": _check_answers,
    "replies": _check_replies,
}
