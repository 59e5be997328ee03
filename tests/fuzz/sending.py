"""Actions: what an app may ask the service to do, in every shape, up to the calls of the SDK over HTTP."""

from __future__ import annotations

from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from flask import Flask

from flask_webpubsub import WebPubSub

from .literals import ODDITIES, build
from .mutations import json_value, one_in, some, spoil_text, text

_KEY = "key-of-a-service-on-this-machine"
_MESSAGE = ("data", "dataType")
_ACTIONS: dict[str, tuple[str, ...]] = {
    "sendToAll": (*_MESSAGE, "excluded", "filter"),
    "sendToGroup": ("group", *_MESSAGE, "excluded", "filter"),
    "sendToUser": ("userId", *_MESSAGE, "filter"),
    "sendToConnection": ("connectionId", *_MESSAGE),
    "addUserToGroup": ("userId", "group"),
    "removeUserFromGroup": ("userId", "group"),
    "removeUserFromAllGroups": ("userId",),
    "addConnectionToGroup": ("connectionId", "group"),
    "removeConnectionFromGroup": ("connectionId", "group"),
    "closeAllConnections": ("excluded", "reason"),
    "closeClientConnection": ("connectionId", "reason"),
    "closeGroupConnections": ("group", "excluded", "reason"),
    "grantPermission": ("connectionId", "permission", "targetName"),
    "revokePermission": ("connectionId", "permission", "targetName"),
}
#: How each call looks on the wire: its method, and the steps of its path, where a name in braces is a value.
_CALLS: dict[str, tuple[str, str]] = {
    "sendToAll": ("POST", ":send"),
    "sendToGroup": ("POST", "groups/{group}/:send"),
    "sendToUser": ("POST", "users/{userId}/:send"),
    "sendToConnection": ("POST", "connections/{connectionId}/:send"),
    "addUserToGroup": ("PUT", "users/{userId}/groups/{group}"),
    "removeUserFromGroup": ("DELETE", "users/{userId}/groups/{group}"),
    "removeUserFromAllGroups": ("DELETE", "users/{userId}/groups"),
    "addConnectionToGroup": ("PUT", "groups/{group}/connections/{connectionId}"),
    "removeConnectionFromGroup": ("DELETE", "groups/{group}/connections/{connectionId}"),
    "closeAllConnections": ("POST", ":closeConnections"),
    "closeClientConnection": ("DELETE", "connections/{connectionId}"),
    "closeGroupConnections": ("POST", "groups/{group}/:closeConnections"),
    "grantPermission": ("PUT", "permissions/{permission}/connections/{connectionId}"),
    "revokePermission": ("DELETE", "permissions/{permission}/connections/{connectionId}"),
}


def make(random: Random) -> Any:
    """What an app may give to ``send_actions``."""
    if one_in(random, 8):
        return random.choice((None, 5, "sendToAll", [], [[]], [None], {"!": random.choice(sorted(ODDITIES))}))
    found = [_action(random) for _ in range(1 + some(random, 2))]
    return found[0] if len(found) == 1 else found


def check(given: Any) -> None:
    """All actions are refused before one is sent, or each comes to just the call that it stands for."""
    try:
        actions = build(given)
    except (ValueError, TypeError, RecursionError):
        return  # which is the mistake of who makes the objects
    service, wps = _service()
    service.calls.clear()
    try:
        wps.send_actions(actions)
    except (ValueError, TypeError):
        assert not service.calls, "sent before it was refused"
        return
    named = [_read(action) for action in (given if isinstance(given, list) else [given])]
    assert [(method, _split(path)) for method, path in service.calls] == [_expected(*action) for action in named]


class _Service(ThreadingHTTPServer):
    """Answers every call with success, and keeps what was called."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[tuple[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls.append((self.command, self.path))  # type: ignore[attr-defined]
        status = {"POST": 204 if "closeConnections" in self.path else 202, "PUT": 200}.get(self.command, 204)
        self.send_response_only(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@cache
def _service() -> tuple[_Service, WebPubSub]:
    service = _Service()
    Thread(target=service.serve_forever, daemon=True).start()
    app = Flask("app")
    connection = f"Endpoint=http://127.0.0.1:{service.server_port};AccessKey={_KEY};Version=1.0;"
    app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=connection, WEBPUBSUB_HUB="chat")
    wps = WebPubSub(app)
    _APPS.append(app)
    return service, wps


_APPS: list[Flask] = []  # which the extension alone does not keep


def _read(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of an action that was accepted, and its values by their names in camelCase without capitals."""
    if "!" in given:
        kind = given["!"].removesuffix("Action")
        return kind[0].lower() + kind[1:], _fold({**given.get("with", {}), **given.get("set", {})})
    values = _fold(given)
    name = next(name for name in _ACTIONS if name.lower() == values["actionname"].lower())
    return name, values


def _fold(values: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "").lower(): value for name, value in values.items()}


def _expected(name: str, values: dict[str, Any]) -> tuple[str, list[str]]:
    method, template = _CALLS[name]
    steps = [values[step[1:-1].lower()] if step.startswith("{") else step for step in template.split("/")]
    if name in {"grantPermission", "revokePermission"}:
        permission = {"sendtogroup": "sendToGroup", "joinleavegroup": "joinLeaveGroup"}
        steps[1] = permission[build(steps[1]).lower()]
    return method, ["api", "hubs", "chat", *[str(build(step)) for step in steps]]


def _split(path: str) -> list[str]:
    parts = urlsplit(path)
    assert parse_qs(parts.query)["api-version"], path
    return [unquote(step) for step in parts.path.split("/")[1:]]


def _action(random: Random) -> Any:
    name = random.choice(sorted(_ACTIONS))
    values = {key: _fitting(random, key) for key in _ACTIONS[name] if not one_in(random, 6)}
    if one_in(random, 6):
        key = random.choice((*_KEYS, text(random)))
        values[key] = _value(random)
    if one_in(random, 3):
        snake = {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): value for key, value in values.items()}
        return {"!": f"{name[0].upper()}{name[1:]}Action", "with": snake}
    spelling = random.choice(("actionName", "action_name", "ACTIONNAME", "actionName", "actionname"))
    return {spelling: spoil_text(random, name) if one_in(random, 6) else name} | values


def _fitting(random: Random, key: str) -> Any:
    if one_in(random, 5):
        return _value(random)
    value = random.choice(_FITTING[key])
    return spoil_text(random, value) if isinstance(value, str) and one_in(random, 3) else value


def _value(random: Random) -> Any:
    match random.randrange(4):
        case 0:
            return {"!": random.choice(sorted(ODDITIES))}
        case 1:
            return text(random)
        case _:
            return json_value(random)


_FITTING: dict[str, tuple[Any, ...]] = {
    "group": ("lobby", "a/b", "..", "%2e%2e", "a?b#c", "\u00e9", ".", " ", "a" * 1025),
    "userId": ("alice", "al/ice", "..", "a b", "\U0001f600"),
    "connectionId": ("c1", "../all", "c;1", "\n"),
    "data": ("hi", b"hi", {"a": 1}, None, "", '{"a": 1}', [1], {"type": "Buffer", "data": [1, 2]}),
    "dataType": ("text", "json", "binary", "JSON", None),
    "excluded": ([], ["c1"], ("c1", "c2"), "c1", ["a&b"], None),
    "filter": ("userId ne null", "", None, "a&b=c"),
    "reason": ("bye", "", None, "a&b=c", "\r\n"),
    "permission": ("sendToGroup", "joinLeaveGroup", "SENDTOGROUP", "all"),
    "targetName": ("lobby", None, ""),
}
_KEYS = tuple(_FITTING)
