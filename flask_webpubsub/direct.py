"""The lane: webhook calls answered on the level of WSGI, before Flask builds a request."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from flask import Flask, got_request_exception
from werkzeug.exceptions import SecurityError
from werkzeug.wrappers import Response as HTTPResponse
from werkzeug.wsgi import ClosingIterator, get_host

from .codec import encode_error
from .deferred import DEFERRED_KEY, WAITING_KEY, run_later
from .dispatch import Dispatcher
from .enums import make_error_code
from .messages import Answer, Environ, Message, send_answer
from .paths import WebhookPath
from .requestless import find_hooks

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

logger = logging.getLogger("flask_webpubsub")

#: Where an app keeps its :class:`Lane`, in ``app.extensions``.
LANE_KEY = "webpubsub.direct"


class Lane:
    """A WSGI middleware around an app: a second door to its dispatcher, for apps with very many events.

    An event is handled within an app context, and without a request of Flask's.

    :param inside: the app's ``wsgi_app`` from before the extension was added.
    """

    def __init__(self, app: Flask, dispatcher: Dispatcher, inside: WSGIApplication) -> None:
        self._app = app
        self._wsgi_app: WSGIApplication = app.wsgi_app
        self._inside = inside
        self._dispatcher = dispatcher
        self._path = WebhookPath(dispatcher.settings.path)
        self._started = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # The service sends this header with every call, and no browser does.
        if "HTTP_WEBHOOK_REQUEST_ORIGIN" not in environ or not self._path.leads_to(environ):
            return self._wsgi_app(environ, start_response)
        hosts = self._app.config["TRUSTED_HOSTS"]
        if hosts is not None and not _is_trusted(environ, hosts):
            return self._wsgi_app(environ, start_response)  # which refuses it
        if not self._started:
            self._start()
        message = Message(environ)
        context = self._app.app_context()
        context.push()
        error: BaseException | None = None
        try:
            try:
                answer = self._dispatcher.dispatch(message)
            except Exception as raised:
                error = raised
                answer = self._fail(raised, message)
            except BaseException as raised:
                error = raised
                raise
            return self._send(answer, environ, start_response)
        finally:
            context.pop(error)  # as Flask does: whoever ends a transaction here has to know how it went

    def find_hooks(self) -> list[str]:
        """What the app would do with an event if it came through Flask, and which is passed by, in words."""
        return find_hooks(self._app, self._inside)

    def _start(self) -> None:
        """What is done before the first call, when all that the app registers is there."""
        self._started = True
        if hooks := self.find_hooks():
            logger.warning(
                "WEBPUBSUB_DIRECT answers events before Flask handles a request, so that these are not called for "
                "them: %s. Do what they do in the handlers, or leave WEBPUBSUB_DIRECT out.",
                ", ".join(hooks),
            )

    def _fail(self, error: Exception, message: Message) -> Answer:
        """What a handler raised by mistake, treated as Flask treats it in a view."""
        app = self._app
        got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)
        propagate = app.config["PROPAGATE_EXCEPTIONS"]
        if app.testing or app.debug if propagate is None else propagate:
            raise error
        app.logger.error("Exception on %r [%s]", message.environ.get("PATH_INFO"), message.method, exc_info=error)
        return encode_error(make_error_code(500), "", message.mqtt_version)

    def _send(self, answer: Answer | HTTPResponse, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if isinstance(answer, HTTPResponse):
            body = answer(environ, start_response)
        else:
            body = send_answer(answer, start_response)
            if environ["REQUEST_METHOD"] == "HEAD":
                body = []
        calls = environ.pop(DEFERRED_KEY, None)
        if calls is None:
            return body
        return ClosingIterator(body, partial(run_later, calls, self._app, environ.get(WAITING_KEY)))


def _is_trusted(environ: Environ, hosts: list[str]) -> bool:
    try:
        get_host(environ, hosts)
    except SecurityError:
        return False
    return True
