"""The events of the references as a server gets them, and the answers that they must have."""

from __future__ import annotations

import base64
import json
import socket
from contextlib import closing
from http.client import HTTPResponse
from typing import Any

from werkzeug.datastructures import EnvironHeaders

from ..references import CONNECT_BODY, EVENTS, MESSAGE_BODY, STATES, on_connect, on_message

HOST = "127.0.0.1"

_SECONDS = 30

# Status, body (of JSON its value) and states: what the references' own functions answer.
_ANSWERS = {
    "message": (200, *on_message(MESSAGE_BODY.decode(), STATES)),
    "connect": (200, *on_connect(json.loads(CONNECT_BODY), {})),
}
# The answer of a view that looks at nothing.
_BARE_ANSWER = (200, "ack", None)


def to_bytes(event: str) -> bytes:
    """The whole request of an event, as it stands on the wire."""
    environ, body = EVENTS[event]
    begin = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {environ['SERVER_PROTOCOL']}"
    lines = [begin, *(f"{name}: {value}" for name, value in EnvironHeaders(environ)), "", ""]
    return "\r\n".join(lines).encode() + body


def verify_answer(port: int, event: str, *, bare: bool = False) -> None:
    """Send an event to a server, and check that it does the work that is measured.

    :param bare: whether the app looks at nothing.
    :raises AssertionError: if the answer is another.
    """
    expected = _BARE_ANSWER if bare else _ANSWERS[event]
    found = _ask(port, event)
    if found != expected:
        raise AssertionError(f"The answer to the event {event!r} is {found!r}, not {expected!r}.")


def _ask(port: int, event: str) -> tuple[int, Any, Any]:
    """The status, the body and the states of the answer to an event."""
    with socket.create_connection((HOST, port), _SECONDS) as connection:
        connection.sendall(to_bytes(event))
        with closing(HTTPResponse(connection, method="POST")) as response:
            response.begin()
            body, states = response.read(), response.getheader("ce-connectionState")
    is_json = response.headers.get_content_type() == "application/json"
    value = json.loads(body) if is_json else body.decode()
    return response.status, value, None if states is None else json.loads(base64.b64decode(states))
