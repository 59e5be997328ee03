"""Keeps a ``connect`` that was not accepted by its handler from being accepted by anything else in the app."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from flask import Flask, Response
from werkzeug.wsgi import ClosingIterator

from .codec import encode_error
from .enums import make_error_code
from .messages import Answer, Environ, to_wsgi
from .mqtt import MqttProtocolVersion

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

logger = logging.getLogger("flask_webpubsub")

#: Where the view leaves the version of MQTT in which its client is to be told of an error, or ``None``.
VERSION_KEY = "flask_webpubsub.mqtt_version"
_ANSWERED_KEY = "flask_webpubsub.answered"
_CONNECT = "azure.webpubsub.sys.connect"


class Guard:
    """A WSGI middleware around an app, which looks at the answers to the webhook's calls.

    An app may answer before the view is reached (a ``before_request`` function) or after it failed (an error handler),
    and mean no harm by a 200. To the service, a 200 lets the client in.
    """

    def __init__(self, app: Flask, path: str) -> None:
        self._app = app
        self._wsgi_app: WSGIApplication = app.wsgi_app
        self._path = to_wsgi(path)
        self._below = self._path + "/"

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            return self._watch(environ, start_response)
        return self._wsgi_app(environ, start_response)

    def _is_for_webhook(self, environ: Environ) -> bool:
        # Asked when the answer comes, because a middleware inside may have taken a prefix off the path.
        path: str = "/" + environ.get("PATH_INFO", "").lstrip("/")  # as Flask reads it
        return path == self._path or path.startswith(self._below)

    def _watch(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        started = False
        instead: Answer | None = None

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            nonlocal started, instead
            started = True
            if _ANSWERED_KEY not in environ and self._is_for_webhook(environ):
                instead = self._judge(environ, int(status[:3]))
            if instead is None:
                return start_response(status, headers, exc_info)
            length = ("Content-Length", str(len(instead.body)))
            start_response(f"{instead.status} Refused", [*instead.headers, length], exc_info)
            return lambda data: None

        body = self._wsgi_app(environ, start)
        if not started:  # a middleware of the app may start when its first bytes are asked for
            body = _begin(body)
        if instead is None:
            return body
        if hasattr(body, "close"):
            body.close()
        return [instead.body]

    def _judge(self, environ: Environ, status: int) -> Answer | None:
        """Say what to answer instead of something that the view did not make; ``None`` lets it pass."""
        reached = VERSION_KEY in environ
        version: MqttProtocolVersion | None = environ.get(VERSION_KEY)
        cause = "after its handler" if reached else "before its handler was called"
        if status == 400 and not reached and "csrf" in self._app.extensions:
            logger.warning("CSRF protection refused an event: exempt the webhook with csrf.exempt(wps.blueprint).")
        elif status != 500:  # Flask has logged it
            logger.warning(
                "The app answered an event with %d %s: look at its before_request and after_request functions and its "
                "error handlers.",
                status,
                cause,
            )
        if environ.get("HTTP_CE_TYPE", "").strip().lower() != _CONNECT:
            return None
        if status < 400:
            logger.error("The answer %d would have let a client in: it is replaced by 500.", status)
            return Answer(500) if version is None else encode_error(make_error_code(500), "", version)
        return None if version is None else encode_error(make_error_code(status), "", version)


class OwnResponse(Response):
    """A response that the view made, which the :class:`Guard` knows when it is sent.

    An app may add headers to it. When it has turned an error into a success, it is the view's no more.
    """

    default_mimetype = None
    refuses = True

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not self.refuses or self.status_code >= 400:
            environ[_ANSWERED_KEY] = True
        return super().__call__(environ, start_response)


def own_class(response_class: type[Response]) -> type[OwnResponse]:
    """The class of the view's own responses in an app whose responses are of this class."""
    if issubclass(response_class, OwnResponse):
        return response_class
    if response_class not in _OWN_CLASSES:
        _OWN_CLASSES[response_class] = type(response_class.__name__, (OwnResponse, response_class), {})
    return _OWN_CLASSES[response_class]


_OWN_CLASSES: dict[type[Response], type[OwnResponse]] = {}


def _begin(body: Iterable[bytes]) -> Iterable[bytes]:
    iterator = iter(body)
    first = next(iterator, b"")
    return ClosingIterator(chain([first], iterator), getattr(body, "close", None))
