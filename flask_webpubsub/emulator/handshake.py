"""What a client asks for when it connects, as its URL and its headers say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web

from . import json_protocol, reliable
from .names import InvalidNameError, verify_group, verify_hub
from .raw import GroupTarget

#: The subprotocols that the service speaks itself.
SUBPROTOCOLS = (json_protocol.SUBPROTOCOL, reliable.SUBPROTOCOL)

# Shown to nobody: whoever has it may connect.
_HIDDEN_QUERY = "access_token"
_HIDDEN_HEADER = "authorization"


class RefusedError(Exception):
    """Raised when a client may not connect; it is answered with this instead."""

    def __init__(self, status: int, body: str | bytes, content_type: str | None = "text/plain; charset=utf-8") -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.content_type = content_type

    @property
    def answer(self) -> web.Response:
        """The answer to the client."""
        headers = {} if self.content_type is None else {"Content-Type": self.content_type}
        return web.Response(status=self.status, body=self.body, headers=headers)


class Recovery(NamedTuple):
    """To come back to a connection."""

    connection_id: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Handshake:
    """What a client asks for.

    :param subprotocols: those that it offers.
    :param known_subprotocol: the first of them that the service speaks, as the client spelt it.
    :param target: of a raw client whose frames go to a group.
    :param token: proves who the client is.
    :param recovery: of a client that comes back; no other token counts then.
    :param query: of the URL, without the token.
    :param headers: without the token.
    """

    hub: str
    subprotocols: list[str]
    known_subprotocol: str | None
    target: GroupTarget | None
    token: str | None
    recovery: Recovery | None
    query: dict[str, list[str]]
    headers: dict[str, list[str]]


def read_handshake(request: web.Request) -> Handshake:
    """Read what a client asks for.

    :raises RefusedError: if it can not be had: 400.
    """
    subprotocols = _read_subprotocols(request)
    if not web.WebSocketResponse(protocols=subprotocols).can_prepare(request):
        raise RefusedError(400, "This address is for WebSockets.")
    query = _lists(request.query.items())
    hub = request.match_info.get("hub") or _last(query, "hub") or ""
    known = find_known(subprotocols)
    try:
        verify_hub(hub)
        # The mode is for raw clients alone.
        target = None if known else _read_target(query)
    except InvalidNameError as error:
        raise RefusedError(400, str(error)) from error
    token = _last(query, _HIDDEN_QUERY) or _read_bearer(request)
    connection_id = _last(query, "awps_connection_id")
    headers = _lists(request.headers.items())
    return Handshake(
        hub=hub,
        subprotocols=subprotocols,
        known_subprotocol=known,
        target=target,
        token=token,
        recovery=Recovery(connection_id, _last(query, "awps_reconnection_token") or "") if connection_id else None,
        query={name: values for name, values in query.items() if name != _HIDDEN_QUERY},
        headers={name: values for name, values in headers.items() if name.lower() != _HIDDEN_HEADER},
    )


def find_known(subprotocols: Iterable[str]) -> str | None:
    """The first subprotocol that the service speaks, in the spelling that it was offered in."""
    return next((name for name in subprotocols if name.lower() in SUBPROTOCOLS), None)


def _read_subprotocols(request: web.Request) -> list[str]:
    headers = request.headers.getall("Sec-WebSocket-Protocol", [])
    return [name for name in (part.strip() for header in headers for part in header.split(",")) if name]


def _read_bearer(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _read_target(query: dict[str, list[str]]) -> GroupTarget | None:
    mode = _last(query, "webpubsub_mode")
    if mode is None or mode.lower() == "sendevent":
        return None
    if mode.lower() != "sendtogroup":
        raise RefusedError(400, f"webpubsub_mode is {mode!r}, and neither sendEvent nor sendToGroup.")
    group = _last(query, "group")
    verify_group(group)
    no_echo = (_last(query, "noEcho") or "false").lower()
    if no_echo not in ("true", "false"):
        raise RefusedError(400, "noEcho is neither true nor false.")
    return GroupTarget(str(group), echo=no_echo == "false")


def _lists(items: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """All values of each name. What is no text is made one: an event is JSON."""
    lists: dict[str, list[str]] = {}
    for name, value in items:
        lists.setdefault(_repair(name), []).append(_repair(value))
    return lists


def _repair(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _last(query: dict[str, list[str]], name: str) -> str | None:
    return query[name][-1] if name in query else None
