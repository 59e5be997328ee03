"""The events that are measured beside the references' two, as WSGI has them."""

from __future__ import annotations

import json
from typing import Any

from .references import CONNECT_BODY, CONNECTION_ID, EVENTS, HOST, PATH, encode_states, make_environ, sign

Environ = dict[str, Any]
Event = tuple[Environ, bytes]

MIB = 1024 * 1024

#: Fits into the 4 KiB that a connection's states may have.
HUNDRED_STATES = {f"key{number:02}": f"value{number:02}" for number in range(100)}

_MESSAGE, _CONNECT = EVENTS["message"], EVENTS["connect"]


def make_message(
    event_name: str = "message",
    body: bytes = _MESSAGE[1],
    content_type: str = "text/plain",
    **headers: str,
) -> Event:
    """A user event with the headers of the reference's message."""
    changed = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body))}
    return _MESSAGE[0] | _named("user", event_name) | changed | headers, body


def make_system_event(event_name: str, content: dict[str, Any], **headers: str) -> Event:
    """A system event with the headers of the reference's connect."""
    body = json.dumps(content).encode()
    return _CONNECT[0] | _named("sys", event_name) | {"CONTENT_LENGTH": str(len(body))} | headers, body


def make_connect(claims: int) -> Event:
    """The reference's connect with another number of claims."""
    content = json.loads(CONNECT_BODY)
    content["claims"] = content["claims"] | {f"claim{number}": [f"value {number}"] for number in range(claims)}
    content["claims"] = dict(list(content["claims"].items())[-claims:])
    return make_system_event("connect", content)


def make_mqtt_connect() -> Event:
    """The reference's connect, of an MQTT 5.0 client."""
    mqtt = {
        "protocolVersion": 5,
        "cleanStart": True,
        "username": "alice",
        "password": "c2VjcmV0",
        "userProperties": [{"name": "client", "value": "sensor-7"}],
    }
    content = json.loads(CONNECT_BODY) | {"subprotocols": ["mqtt"], "mqtt": mqtt}
    headers = {"HTTP_CE_PHYSICALCONNECTIONID": "3c6b7a1f-5a11-4f5d", "HTTP_CE_SUBPROTOCOL": "mqtt"}
    return make_system_event("connect", content, **headers)


def make_forged_message() -> Event:
    """The reference's message with the signature of another connection."""
    return make_message(HTTP_CE_SIGNATURE=sign(CONNECTION_ID[::-1]))


def make_validation() -> Event:
    """The question whether events may be sent, as the service asks it."""
    environ, _ = make_environ("azure.webpubsub.user.message", b"", ""), b""
    asked = {key: value for key, value in environ.items() if not key.startswith("HTTP_CE_")}
    return asked | {"REQUEST_METHOD": "OPTIONS", "HTTP_WEBHOOK_REQUEST_ORIGIN": HOST, "HTTP_CE_AWPSVERSION": "1.0"}, b""


def make_mib(data_type: str, event_name: str = "large") -> Event:
    """A message of 1 MiB: ``text``, ``json`` or ``binary``."""
    row = {"id": 1234567, "name": "a sensor in the hall", "values": [1.5, 2.25, 3.125], "on": True}
    count = MIB // len(json.dumps(row) + ", ")
    bodies = {
        "text": ("text/plain", b"a" * MIB),
        "json": ("application/json", json.dumps([row] * count).encode()),
        "binary": ("application/octet-stream", bytes(MIB)),
    }
    content_type, body = bodies[data_type]
    return make_message(event_name, body, content_type)


def make_message_with_100_states() -> Event:
    """The reference's message of a connection that has many states."""
    return make_message(HTTP_CE_CONNECTIONSTATE=encode_states(HUNDRED_STATES))


def _named(kind: str, event_name: str) -> dict[str, str]:
    return {
        "PATH_INFO": PATH,
        "HTTP_CE_TYPE": f"azure.webpubsub.{kind}.{event_name}",
        "HTTP_CE_EVENTNAME": event_name,
    }
