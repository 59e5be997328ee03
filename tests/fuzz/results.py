"""What a handler returns or raises: answers of every kind, and everything else that a program may hold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as HTTPResponse

from flask_webpubsub import (
    ConnectEventResponse,
    EventError,
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    UserEventResponse,
    WebPubSub,
    WebPubSubEventResponse,
)
from flask_webpubsub.messages import Answer
from tests.conftest import CONNECTION_STRING
from tests.wire import replay

from .literals import ODDITIES, build
from .mutations import CANARY, json_value, one_in, some, spoil_text, text
from .oracle import listening, verify_answer, verify_silence
from .webhook_app import Webhook

_EVENTS = {
    "connect": ("connect", "mqtt_connect_311", "mqtt_connect_500"),
    "message": ("message_text", "event_json", "event_binary", "mqtt_user_event"),
    "notice": ("connected", "disconnected", "joined", "left", "mqtt_connected", "mqtt_disconnected"),
}
_REQUESTS = {name: replay.read(name) for names in _EVENTS.values() for name in names}
_KEYS = (
    *("userId", "groups", "roles", "subprotocol", "states", "mqtt", "data", "dataType", "metadata", "userProperties"),
    *("code", "errorMessage", "reason", "user_id", "data_type", "error_message", "DATA", "Code"),
)
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "ConnectEventResponse": ("user_id", "groups", "roles", "subprotocol", "states"),
    "MqttConnectEventResponse": ("user_id", "groups", "roles", "user_properties", "states", "subprotocol"),
    "UserEventResponse": ("data", "data_type", "metadata", "user_properties", "states"),
    "EventErrorResponse": ("code", "error_message"),
    "MqttConnectEventErrorResponse": ("code", "reason", "user_properties"),
    "EventError": ("code", "message"),
    "Response": ("response", "status", "headers", "mimetype", "content_type"),
    "abort": ("code", "description"),
    "UserDict": _KEYS,
    "MappingProxyType": _KEYS,
}
_SETTABLE = {name for name in _ARGUMENTS if name.endswith("Response")} - {"Response"}


def make(random: Random) -> dict[str, Any]:
    """An event, and what its handler answers to it."""
    kind = random.choice(sorted(_EVENTS))
    return {"event": random.choice(_EVENTS[kind]), "result": _result(random)}


def check(given: dict[str, Any]) -> None:
    """Send the event to an app whose handler answers so, and look at what comes back."""
    try:
        result = build(given["result"])
    except (ValueError, TypeError, RecursionError):
        return  # which is the handler's own mistake, as it makes its answer
    app = _app()
    app.begin()
    _RESULT[0] = result
    with listening() as logged:
        answer = _REQUESTS[given["event"]].send(app.app)
    verify_answer(answer, whole=not isinstance(result, HTTPResponse))
    assert app.called, "the handler was not called"
    assert answer.status != 500 or _may_be_500(app, result), "500, and the answer was not refused"
    _verify_no_error_passes(given["event"], result, answer)
    verify_silence(logged, [CANARY], said=_names(given["result"]))


@cache
def _app() -> Webhook:
    made = Webhook(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING)
    wps = WebPubSub(made.app)

    def answer(request: Any, connection_id: str) -> Any:
        made.called.append(("answer", connection_id))
        if isinstance(_RESULT[0], EventError | HTTPException):
            raise _RESULT[0]
        return _RESULT[0]

    for decorator in (wps.on_connect, wps.on_connected, wps.on_disconnected, wps.on_group_joined, wps.on_group_left):
        decorator(answer)
    wps.on_user_event("*")(answer)
    return made


_RESULT: list[Any] = [None]


def _names(result: Any) -> str:
    """What a result has where the name of a code or of a type is due: that is no data, and may be shown."""
    parts = [result.get("with", {}), result.get("set", {})] if isinstance(result, dict) else []
    return repr([part.get(name) for part in parts if isinstance(part, dict) for name in ("code", "data_type")])


def _may_be_500(app: Webhook, result: Any) -> bool:
    return app.may_fail() or isinstance(
        result,
        EventErrorResponse | MqttConnectEventErrorResponse | EventError | HTTPException | HTTPResponse | Mapping,
    )


def _verify_no_error_passes(event: str, result: Any, answer: Answer) -> None:
    if event not in _EVENTS["connect"] + _EVENTS["message"] or answer.status >= 400:
        return
    errors = EventErrorResponse | MqttConnectEventErrorResponse | EventError | HTTPException
    assert not isinstance(result, errors), "an error passes for a success"
    if isinstance(result, Mapping):
        assert not any(isinstance(key, str) and str.lower(key) == "code" for key in result), (
            "a code passes for a success"
        )
    if event in _EVENTS["connect"]:
        assert isinstance(result, ConnectEventResponse | Mapping | HTTPResponse | None), (
            f"a {type(result).__name__} lets a client in"
        )
    elif answer.body:
        assert isinstance(result, UserEventResponse | Mapping | HTTPResponse | str | bytes)
    if isinstance(result, WebPubSubEventResponse) and answer.header("ce-connectionState"):
        assert isinstance(result.states, Mapping)


def _result(random: Random) -> Any:
    match random.randrange(8):
        case 0 | 1 | 2:
            kind = random.choice(sorted(_ARGUMENTS))
            made: dict[str, Any] = {"!": kind, "with": _arguments(random, kind)}
            if one_in(random, 3) and kind in _SETTABLE:
                made["set"] = _arguments(random, kind)
            return made
        case 3 | 4 | 5:
            return make_mapping(random)
        case 6:
            return _value(random)
        case _:
            return json_value(random)


def _arguments(random: Random, kind: str) -> dict[str, Any]:
    names = random.sample(_ARGUMENTS[kind], some(random, min(4, len(_ARGUMENTS[kind]))))
    if kind in {"Response", "abort"}:  # what these take is Werkzeug's affair
        return {name: random.choice(_FITTING[name.replace("_", "")]) for name in names}
    return {name: _fitting(random, name) for name in names}


def make_mapping(random: Random) -> dict[Any, Any]:
    """A mapping, such as handlers return."""
    mapping: dict[Any, Any] = {}
    for _ in range(1 + some(random, 4)):
        key = random.choice(_KEYS)
        mapping[spoil_text(random, key) if one_in(random, 6) else key] = _fitting(random, key)
    if one_in(random, 10):
        mapping[random.choice((1, None, True, b"data", ("a",)))] = 1
    return mapping


def _fitting(random: Random, name: str) -> Any:
    """A value such as one of this name has, or any other."""
    plain = name.replace("_", "").lower()
    if plain not in _FITTING or one_in(random, 3):
        return _value(random)
    value = random.choice(_FITTING[plain])
    return spoil_text(random, value) if isinstance(value, str) and one_in(random, 5) else value


def _value(random: Random) -> Any:
    match random.randrange(5):
        case 0:
            return {"!": random.choice(sorted(ODDITIES))}
        case 1:
            return text(random)
        case 2:
            return {text(random): _value(random) for _ in range(some(random, 2))}
        case 3:
            return random.choice(([], (), b"", b"a\xff", [_property(random)], [text(random)], (1, 2), {1: 2}))
        case _:
            return json_value(random)


def _property(random: Random) -> Any:
    fields = {"name": text(random), "value": text(random)}
    return fields if one_in(random, 2) else {"!": "MqttUserProperty", "with": fields}


_GOOD_PROPERTIES = [{"!": "MqttUserProperty", "with": {"name": "colour", "value": "red"}}]
_FITTING: dict[str, tuple[Any, ...]] = {
    "userid": ("alice", None, ""),
    "groups": (["lobby"], [], ("a", "b"), None, "lobby"),
    "roles": ([], ["webpubsub.sendToGroup"], None),
    "subprotocol": ("mqtt", "json.webpubsub.azure.v1", None),
    "states": ({"a": 1}, None, {}, {"a": "b" * 5000}, {1: 2}, {"a": {"!": "nan"}}),
    "mqtt": ({"code": 135}, {"code": 5, "reason": "No."}, {"userProperties": []}, {}, None, {"Code": 1}),
    "data": ("hi", b"hi", {"a": 1}, None, "", '{"a": 1}', CANARY),
    "datatype": ("text", "json", "binary", "JSON", None),
    "metadata": ({"trace": "t1"}, {"a b": "c"}, {"a": "b\r\nX: y"}, {"a": "\u00e9"}, {}),
    "userproperties": (_GOOD_PROPERTIES, [], [{"name": "a", "value": "b"}], None, [1]),
    "code": ("unauthorized", "userError", "serverError", 403, 500, 200, 302, 5, 135, True, "403", 600, 404),
    "errormessage": ("No.", "", None, "\ud800"),
    "message": ("No.", "", CANARY),
    "reason": ("No.", None, ""),
    "response": ("hi", b"hi", "", None),
    "status": (200, 204, 302, 400, 503, "201 Created", 100, 304),
    "headers": ({"X-A": "b"}, [["Content-Type", "text/html"]], {"ce-connectionState": "e30="}),
    "mimetype": ("text/plain", "application/json", "text/html"),
    "contenttype": ("text/plain", "", None),
    "description": ("No.", None),
}
