"""Spares the webhook's calls Flask's session, where ``WEBPUBSUB_SKIP_SESSION`` asks for that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn, cast

from flask import Flask, Request
from flask.sessions import NullSession, SessionInterface, SessionMixin
from werkzeug.local import LocalProxy

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class SessionSkipper:
    """A WSGI middleware that sees to it that the webhook's calls open no session, whichever sessions the app has.

    An app may choose its sessions after the extension was added to it (``Session(app)`` of Flask-Session does), so this
    looks again at each request. Only the session interface itself can tell which calls are the webhook's: a middleware
    of the app may still take a prefix off their path.

    :param path: where the webhook is.
    """

    def __init__(self, app: Flask, path: str) -> None:
        self._app = app
        self._wsgi_app: WSGIApplication = app.wsgi_app
        self._path = path

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        sessions: Any = self._app.session_interface
        if type(sessions) is not SkippingInterface:  # which isinstance() would not tell
            self._app.session_interface = cast(SessionInterface, SkippingInterface(sessions, self._path))
        return self._wsgi_app(environ, start_response)


class SkippingInterface(LocalProxy[SessionInterface]):
    """An app's own session interface in all but this: a call of the webhook gets a :class:`SkippedSession`."""

    __slots__ = ("_below", "_path")
    _below: str
    _path: str

    def __init__(self, own: SessionInterface, path: str) -> None:
        super().__init__(lambda: own)
        # A plain assignment would go to the app's own interface.
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_below", f"{path}/")

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """A session that is never looked up for a call of the webhook, and the app's own for all others."""
        if self._is_for_webhook(request):
            return SkippedSession()
        return self._get_current_object().open_session(app, request)

    def is_null_session(self, obj: object) -> bool:
        """Whether Flask need not save a session."""
        return isinstance(obj, SkippedSession) or self._get_current_object().is_null_session(obj)

    def _is_for_webhook(self, request: Request) -> bool:
        # The service sends this header with every call, and no browser does: a view of the app's own below the
        # webhook's path keeps its session.
        if "HTTP_WEBHOOK_REQUEST_ORIGIN" not in request.environ:
            return False
        return request.path == self._path or request.path.startswith(self._below)


class SkippedSession(NullSession):
    """The session of a call that has none: empty, and whoever writes into it is told so."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            "The webhook's calls have no session, because WEBPUBSUB_SKIP_SESSION is True: set it to False, or keep in "
            "the states of a connection what belongs to it. A before_request or after_request function that writes "
            "into the session can leave these calls alone: they have request.blueprint == 'webpubsub'."
        )

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse
    del _refuse
