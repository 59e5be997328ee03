"""The emulator in a test: the service in a thread, with an app served beside it."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from werkzeug.serving import WSGIRequestHandler, make_server

from .event_log import EventLog
from .faults import Faults
from .handlers import verify_template
from .options import EventHandler, Options
from .server import Service
from .thread import ServiceThread, bind_host, listen
from .tokens import make_client_token
from .wiring import DEFAULT_PATH, Identity, Wiring, find_dispatcher, make_handlers, read_wiring

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_CONNECTION_KEY = "WEBPUBSUB_CONNECTION_STRING"


class Emulator:
    """A service on a free port of this machine, for the tests of an app::

        with Emulator(create_app) as service:
            websocket = connect(service.client_url("chat", user_id="alice"))
            ...
            assert service.events.wait_for("message").response == UserEventResponse("hi")

    :param app: an app, or a function that makes one of the connection string that it is given. An app with the
        extension says itself where its webhook is and which events it handles; its connection string must be of this
        machine, and while the emulator runs its ``WEBPUBSUB_CONNECTION_STRING`` is the emulator's. Without an app, set
        ``handlers``.
    :param path: the webhook of an app that does not have the extension.
    :param handlers: event handlers to set for all hubs, instead of what the app wants. Their URLs may be paths of the
        app.
    :param options: everything else; without it, the time limits are short and no event is sent again.
    :param keys: the AccessKeys, the primary one first, instead of the app's or the emulator's own.
    """

    def __init__(
        self,
        app: WSGIApplication | Callable[[str], WSGIApplication] | None = None,
        *,
        path: str = DEFAULT_PATH,
        handlers: Sequence[EventHandler] | None = None,
        options: Options | None = None,
        keys: Sequence[str] | None = None,
    ) -> None:
        self._app: Any = app
        self._path = path
        self._handlers = handlers
        self._options = Options.fast() if options is None else options
        self._keys = keys
        self._stack = ExitStack()

    def __enter__(self) -> RunningEmulator:
        """Start, and return when clients can connect.

        :raises ConfigurationError: if the app's connection string is of no service on this machine.
        """
        with ExitStack() as stack:
            identity = self._find_identity()
            # Connections wait on the socket until all the rest is there, so that the port is known to the app.
            listener = stack.enter_context(listen(bind_host(identity.host), 0))
            url = identity.endpoint(listener.getsockname()[1])
            connection_string = f"Endpoint={url};AccessKey={identity.keys[0]};Version=1.0;"
            app = self._app(connection_string) if _is_factory(self._app) else self._app
            stack.enter_context(_lend(connection_string, app))
            app_url = None if app is None else stack.enter_context(_serve(app))
            wiring = self._wire(app, app_url)
            service = Service(self._options, identity)
            service.wire(wiring)
            thread = stack.enter_context(ServiceThread(service, listener))
            self._stack = stack.pop_all()
        return RunningEmulator(thread, url=url, connection_string=connection_string, app_url=app_url, hub=wiring.hub)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop: clients are closed, and both servers end."""
        self._stack.close()

    def _find_identity(self) -> Identity:
        # An app that is there knows its service by the host, which is all that events say of it, and by the keys.
        identity = Identity() if _is_factory(self._app) else read_wiring(self._app, "").identity
        return identity if self._keys is None else replace(identity, keys=tuple(self._keys))

    def _wire(self, app: object, app_url: str | None) -> Wiring:
        if self._handlers is None and app_url is not None:
            return read_wiring(app, app_url, path=self._path)
        handlers = make_handlers(app_url or "", self._handlers or ())
        for handler in handlers:
            verify_template(handler.url_template)
        hub = None if app_url is None else read_wiring(app, app_url).hub
        return Wiring(Identity(), hub, {}, handlers)


class RunningEmulator:
    """What a test has of an emulator that runs.

    :param url: of the service, with its port.
    :param connection_string: for an app and for the official SDKs.
    :param app_url: of the app that is served beside it; ``None`` if there is none.
    :param hub: the app's own, which is meant where none is named.
    """

    def __init__(
        self, thread: ServiceThread, *, url: str, connection_string: str, app_url: str | None, hub: str | None
    ) -> None:
        self._thread = thread
        self.url = url
        self.connection_string = connection_string
        self.app_url = app_url
        self.hub = hub
        #: The events that went to the app, and its answers.
        self.events: EventLog = thread.service.events
        #: What can be made to go wrong.
        self.faults: Faults = thread.service.faults
        self._key = thread.service.identity.keys[0]

    def stop(self) -> None:
        """Stop the service before the end of ``with``: clients are closed, and nothing listens any more."""
        self._thread.stop()

    def client_url(
        self,
        hub: str | None = None,
        *,
        user_id: str | None = None,
        roles: Sequence[str] = (),
        groups: Sequence[str] = (),
        minutes_to_expire: float = 60,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """The URL with which a client connects.

        :param hub: without it, the app's own.
        :param groups: those that the client is in as soon as it is connected.
        :param claims: further claims of the token, which the app sees in ``connect``.
        :raises ValueError: if no hub is named and the app has none of its own.
        """
        hub = hub or self.hub
        if hub is None:
            raise ValueError("Name a hub: the app has none of its own.")
        token = make_client_token(
            self._key,
            endpoint=self.url,
            hub=hub,
            user_id=user_id,
            roles=roles,
            groups=groups,
            minutes_to_expire=minutes_to_expire,
            claims=claims,
        )
        return f"ws{self.url.removeprefix('http')}/client/hubs/{quote(hub, safe='')}?access_token={token}"


def _is_factory(app: object) -> bool:
    """Whether this is a function that makes an app of a connection string: a WSGI app needs two arguments."""
    if not callable(app):
        return False
    try:
        parameters = inspect.signature(app).parameters.values()
    except ValueError:
        return False
    needed = [parameter for parameter in parameters if _is_positional(parameter) and parameter.default is _EMPTY]
    return len(needed) < 2


def _is_positional(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)


@contextmanager
def _lend(connection_string: str, app: Any) -> Iterator[None]:
    """Let an app find the service under its own configuration, as handlers do that call REST."""
    if find_dispatcher(app) is None:
        yield
        return
    absent = object()
    own = app.config.get(_CONNECTION_KEY, absent)
    app.config[_CONNECTION_KEY] = connection_string
    try:
        yield
    finally:
        if own is absent:
            del app.config[_CONNECTION_KEY]
        else:
            app.config[_CONNECTION_KEY] = own


@contextmanager
def _serve(app: WSGIApplication) -> Iterator[str]:
    """Serve an app in threads, at the URL that this gives."""
    # A real server: the emulator must see what the service sees.
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _QuietHandler(WSGIRequestHandler):
    """Writes no line for each request: the events are in the log."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


_EMPTY = inspect.Parameter.empty
