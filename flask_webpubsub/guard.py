"""Keeps a ``connect`` that was not accepted by its handler from being accepted by anything else in the app."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from flask import Flask
from werkzeug.wsgi import ClosingIterator

from .codec import encode_error
from .enums import make_error_code
from .messages import Answer, Environ
from .mqtt import MqttProtocolVersion
from .own_response import ANSWERED_KEY
from .paths import WebhookPath

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

logger = logging.getLogger("flask_webpubsub")

#: Where the view leaves the version of MQTT in which its client is to be told of an error, or ``None``.
VERSION_KEY = "flask_webpubsub.mqtt_version"
_CONNECT = "azure.webpubsub.sys.connect"


class Guard:
    """A WSGI middleware around an app, which looks at the answers to the webhook's calls.

    An app may answer before the view is reached (a ``before_request`` function) or after it failed (an error handler),
    and mean no harm by a 200. To the service, a 200 lets the client in.
    """

    def __init__(self, app: Flask, path: str) -> None:
        self._app = app
        self._wsgi_app: WSGIApplication = app.wsgi_app
        self._path = WebhookPath(path)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            return self._watch(environ, start_response)
        return self._wsgi_app(environ, start_response)

    def _watch(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        started = False
        instead: Answer | None = None

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            nonlocal started, instead
            started = True
            # Asked when the answer comes, because a middleware inside may have taken a prefix off the path.
            if ANSWERED_KEY not in environ and self._path.leads_to(environ):
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


def _begin(body: Iterable[bytes]) -> Iterable[bytes]:
    iterator = iter(body)
    first = next(iterator, b"")
    return ClosingIterator(chain([first], iterator), getattr(body, "close", None))
