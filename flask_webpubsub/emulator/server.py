"""The whole service: its parts put together, and served on one port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from aiohttp import web

from ..errors import InvalidSignatureError
from .app_events import AppEvents
from .control import SETTINGS_PATH, SIGNATURE_HEADER, receive_wiring
from .delivery import EventSender
from .event_log import EventLog
from .faults import Faults
from .hub import Hubs
from .options import Options
from .rest import add_rest_routes
from .sockets import Sockets
from .tokens import CLIENT_PATH
from .wiring import Identity, Wiring, is_loopback

#: Where a person can look at who is connected.
HUBS_PATH = "/emulator/hubs"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """A service in one event loop.

    :param hosts: further names of this machine that callers may use.
    :param events: takes the events that go to the app.
    """

    def __init__(
        self, options: Options, identity: Identity, *, hosts: Collection[str] = (), events: EventLog | None = None
    ) -> None:
        self.options = options
        self.identity = identity
        self.events = EventLog() if events is None else events
        self.faults = Faults(self._cut)
        self._hosts = {identity.host, *(host.lower() for host in hosts)}
        self._sender = EventSender(
            options, origin=identity.host, keys=identity.keys, events=self.events, faults=self.faults
        )
        app = AppEvents(self._sender)
        self.hubs = Hubs(app.group_changed)
        self._sockets = Sockets(self.hubs, app, options, identity.keys)
        self._runner: web.AppRunner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def wire(self, wiring: Wiring) -> None:
        """Send events to an app as it wants from now on, where the options do not say otherwise."""
        self._sender.options = wiring.apply(self.options)

    async def start(self, listener: socket.socket) -> None:
        """Serve clients and REST calls on a socket that listens."""
        self._loop = asyncio.get_running_loop()
        self._runner = web.AppRunner(
            self._make_application(), handle_signals=False, access_log=None, shutdown_timeout=1.0
        )
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        """Send the clients away, and stop what is under way."""
        await self._sockets.stop()
        await self._sender.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _make_application(self) -> web.Application:
        application = web.Application(middlewares=[self._verify_host, self._refuse_on_command])
        self._sockets.add_routes(application)
        add_rest_routes(application, self.hubs, self.options, self.identity.keys)
        application.router.add_get("/", _welcome)
        application.router.add_get(HUBS_PATH, self._show_hubs)
        application.router.add_put(SETTINGS_PATH, self._set_event_handlers)
        return application

    @web.middleware
    async def _verify_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a page of another site whose name was made to mean this machine (DNS rebinding)."""
        host = _host_name(request.host)
        if host in self._hosts or is_loopback(host):
            return await handler(request)
        return web.Response(
            status=403, text=f"{host!r} is not a name of this emulator. Start it with --allowed-host to make it one."
        )

    @web.middleware
    async def _refuse_on_command(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CLIENT_PATH) and (status := self.faults.take_refusal()) is not None:
            return web.Response(status=status, text="Refused on command.")
        return await handler(request)

    async def _show_hubs(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                hub.name: [
                    {
                        "connectionId": connection.connection_id,
                        "userId": connection.user_id,
                        "groups": sorted(connection.groups),
                    }
                    for connection in hub.connections.values()
                ]
                for hub in self.hubs
            }
        )

    async def _set_event_handlers(self, request: web.Request) -> web.Response:
        body, signature = await request.read(), request.headers.get(SIGNATURE_HEADER)
        try:
            self.wire(receive_wiring(body, signature, self.identity))
        except InvalidSignatureError as error:
            return web.Response(status=401, text=str(error))
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        return web.Response(status=204)

    def _cut(self, connection_id: str) -> bool:
        """Break a client's connection, from any thread but the service's own."""
        if self._loop is None:
            raise RuntimeError("The service does not run.")
        return asyncio.run_coroutine_threadsafe(self._cut_here(connection_id), self._loop).result(5.0)

    async def _cut_here(self, connection_id: str) -> bool:
        for hub in self.hubs:
            if (connection := hub.connections.get(connection_id)) is not None:
                connection.cut()
                return True
        return False


async def _welcome(request: web.Request) -> web.Response:
    return web.Response(text="This is the emulator of flask_webpubsub, for development alone.\n")


def _host_name(host: str) -> str:
    """The name in a ``Host`` header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
