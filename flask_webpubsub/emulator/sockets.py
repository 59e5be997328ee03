"""Where clients connect: who is let in, on whose word, and who may come back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from aiohttp import web

from ..responses import ConnectEventResponse
from . import json_protocol, reliable
from .app_events import AppEvents
from .clients import CloseCode, SocketClient
from .handshake import Handshake, Recovery, RefusedError, read_handshake
from .hub import Connection, Hubs
from .json_protocol import JsonClient
from .names import InvalidNameError, make_connection_id, verify_group
from .options import Options
from .permissions import Permissions
from .raw import RawClient
from .reliable import ReliableJsonClient
from .tokens import (
    CLIENT_PATH,
    ClientToken,
    TokenError,
    make_reconnection_token,
    verify_client_token,
    verify_reconnection_token,
)
from .websocket import WebSocket

logger = logging.getLogger("flask_webpubsub.emulator")

_GONE = "The connection can not be recovered."
_STOPPING = "The service stops."

_ANONYMOUS = ClientToken(user_id=None, roles=[], groups=[], claims={})


class Sockets:
    """Where clients connect.

    :param keys: the AccessKeys of the service.
    """

    def __init__(self, hubs: Hubs, app: AppEvents, options: Options, keys: Sequence[str]) -> None:
        self._hubs = hubs
        self._app = app
        self._options = options
        self._keys = keys
        self._handlers: set[asyncio.Task[object] | None] = set()
        self._stopped = False

    def add_routes(self, application: web.Application) -> None:
        """Serve both forms of the client URL."""
        for path in (CLIENT_PATH, f"{CLIENT_PATH}/", f"{CLIENT_PATH}/hubs/{{hub}}"):
            application.router.add_get(path, self.handle, allow_head=False)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Let a client in, or refuse it, and stay with it until its socket is gone."""
        task = asyncio.current_task()
        self._handlers.add(task)
        try:
            return await self._let_in(request)
        except RefusedError as error:
            logger.info("A client was refused with %d: %r", error.status, error.body[:200])
            return error.answer
        except ConnectionError:
            # It went away before it was let in.
            return web.Response(status=400)
        finally:
            self._handlers.discard(task)

    async def stop(self) -> None:
        """Close all clients. The app is told nothing of it any more."""
        self._stopped = True
        self._app.silence()
        for hub in self._hubs:
            for connection in list(hub.connections.values()):
                if isinstance(connection.client, SocketClient):
                    connection.client.drop(CloseCode.GOING_AWAY, _STOPPING)
        # Last, so that a client is not closed for an event that is given up.
        await self._app.stop()
        handlers = [task for task in self._handlers if task is not None and task is not asyncio.current_task()]
        if handlers:
            _, late = await asyncio.wait(handlers, timeout=self._options.closing_seconds)
            for task in late:
                task.cancel()

    # Who may come in.

    async def _let_in(self, request: web.Request) -> web.StreamResponse:
        handshake = read_handshake(request)
        if handshake.recovery is not None:
            return await self._recover(request, handshake, handshake.recovery)
        token = self._verify_token(handshake)
        connection = Connection(
            self._hubs.get(handshake.hub),
            make_connection_id(),
            hub_name=handshake.hub,
            user_id=token.user_id,
            permissions=Permissions.from_roles(token.roles),
        )
        groups = await self._ask_app(connection, handshake, token)
        client = self._make_client(connection, handshake)
        socket = WebSocket(request, connection.subprotocol, self._options)
        await socket.open()
        if self._stopped:
            return await socket.refuse(CloseCode.GOING_AWAY, _STOPPING)
        # The client hears of itself before it hears anything else, and the app hears of it before its groups.
        connection.client = client
        client.start(socket)
        connection.hub.add(connection)
        self._app.connected(connection)
        for group in groups:
            connection.hub.join(connection, group)
        return await socket.serve(client)

    def _verify_token(self, handshake: Handshake) -> ClientToken:
        if handshake.token is None:
            if self._options.hub(handshake.hub).allow_anonymous:
                return _ANONYMOUS
            raise RefusedError(401, "The client has no token.")
        try:
            token = verify_client_token(handshake.token, keys=self._keys, path=CLIENT_PATH, hub=handshake.hub)
        except TokenError as error:
            raise RefusedError(401, str(error)) from error
        try:
            _verify_groups(token.groups)
        except InvalidNameError as error:
            raise RefusedError(400, f"The token has a group that can not be: {error}") from error
        return token

    async def _ask_app(self, connection: Connection, handshake: Handshake, token: ClientToken) -> list[str]:
        """Let the app decide who the client is and what it may do; gives the groups that it joins at once."""
        outcome = await self._app.connect(
            connection,
            claims=token.claims,
            query=handshake.query,
            headers=handshake.headers,
            subprotocols=handshake.subprotocols,
        )
        if self._stopped:
            raise RefusedError(503, _STOPPING)
        if outcome.failed:
            status = outcome.status if 400 <= outcome.status <= 599 else 500
            raise RefusedError(status, outcome.body, outcome.content_type)
        answer = outcome.response if isinstance(outcome.response, ConnectEventResponse) else ConnectEventResponse()
        connection.subprotocol = _choose_subprotocol(handshake, answer)
        # A value that is not given, or null, leaves the token's.
        if isinstance(answer.user_id, str):
            connection.user_id = answer.user_id or None
        if isinstance(answer.roles, list):
            connection.permissions.replace_roles(answer.roles)
        if not isinstance(answer.groups, list) or not answer.groups:
            return token.groups
        try:
            _verify_groups(answer.groups)
        except InvalidNameError as error:
            logger.warning("The answer to 'connect' has a group that can not be: %s", error)
            raise RefusedError(500, b"") from error
        return answer.groups

    def _make_client(self, connection: Connection, handshake: Handshake) -> SocketClient:
        match (connection.subprotocol or "").lower():
            case json_protocol.SUBPROTOCOL:
                return JsonClient(connection, self._app, self._options)
            case reliable.SUBPROTOCOL:
                return ReliableJsonClient(connection, self._app, self._options, self._make_token)
            case _:
                return RawClient(connection, self._app, self._options, handshake.target)

    def _make_token(self, connection_id: str) -> str:
        return make_reconnection_token(self._keys[0], connection_id, self._options.reconnection_token_seconds)

    # Who may come back.

    async def _recover(self, request: web.Request, handshake: Handshake, recovery: Recovery) -> web.StreamResponse:
        found = self._find_client(handshake.hub, recovery)
        subprotocol = handshake.known_subprotocol if found is None else found.connection.subprotocol
        socket = WebSocket(request, subprotocol, self._options)
        await socket.open()
        # Looked up again: its time may have run out since.
        client = self._find_client(handshake.hub, recovery)
        if client is None or self._stopped:
            # Only a socket that opens and is closed like this tells a client to start anew.
            return await socket.refuse(CloseCode.POLICY, _GONE)
        client.recover(socket)
        return await socket.serve(client)

    def _find_client(self, hub: str, recovery: Recovery) -> ReliableJsonClient | None:
        try:
            verify_reconnection_token(recovery.token, keys=self._keys, connection_id=recovery.connection_id)
        except TokenError as error:
            logger.info("A client can not come back: %s", error)
            return None
        connection = self._hubs.get(hub).connections.get(recovery.connection_id)
        client = None if connection is None else connection.client
        return client if isinstance(client, ReliableJsonClient) else None


def _verify_groups(groups: Iterable[str]) -> None:
    for group in groups:
        verify_group(group)


def _choose_subprotocol(handshake: Handshake, answer: ConnectEventResponse) -> str | None:
    """The subprotocol of a connection: the app's choice among those offered, else the first that is known here."""
    if not isinstance(answer.subprotocol, str) or not answer.subprotocol:
        return handshake.known_subprotocol
    wanted = answer.subprotocol.lower()
    chosen = next((name for name in handshake.subprotocols if name.lower() == wanted), None)
    if chosen is None:
        logger.warning(
            "The answer to 'connect' chose the subprotocol %r, but the client offers %r.",
            answer.subprotocol,
            handshake.subprotocols,
        )
        raise RefusedError(500, b"")
    return chosen
