"""The lane: webhook calls answered on the level of WSGI, before Flask builds a request."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial
from types import CodeType
from typing import TYPE_CHECKING, Any

import flask
from flask import Flask
from werkzeug.wrappers import Response as HTTPResponse
from werkzeug.wsgi import ClosingIterator

from .arguments import written_function
from .codec import encode_error
from .deferred import DEFERRED_KEY, WAITING_KEY, run_later
from .dispatch import Dispatcher
from .enums import make_error_code
from .errors import ConfigurationError
from .messages import Answer, Environ, Message, send_answer
from .paths import WebhookPath
from .registry import Trigger

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

logger = logging.getLogger("flask_webpubsub")

# What there is of Flask's only while it handles a request.
_OF_REQUESTS = ("request", "session", "after_this_request", "copy_current_request_context", "stream_with_context")


class Lane:
    """A WSGI middleware around an app: a second door to its dispatcher, for apps with very many events.

    An event is handled within an app context, and without a request of Flask's.
    """

    def __init__(self, app: Flask, dispatcher: Dispatcher) -> None:
        self._app = app
        self._wsgi_app: WSGIApplication = app.wsgi_app
        self._dispatcher = dispatcher
        self._path = WebhookPath(dispatcher.settings.path)
        self._started = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not self._path.leads_to(environ):
            return self._wsgi_app(environ, start_response)
        if not self._started:
            self._start()
        message = Message(environ)
        try:
            with self._app.app_context():
                answer = self._dispatcher.dispatch(message)
        except Exception as error:
            answer = self._fail(error, message)
        return self._send(answer, environ, start_response)

    def _start(self) -> None:
        """What is done before the first call, when all that the app registers is there."""
        self._started = True
        if hooks := sorted(_find_hooks(self._app)):
            logger.warning(
                "WEBPUBSUB_DIRECT answers events before Flask handles a request, so that these are not called for "
                "them: %s. Do what they do in the handlers, or leave WEBPUBSUB_DIRECT out.",
                ", ".join(hooks),
            )

    def _fail(self, error: Exception, message: Message) -> Answer:
        """What a handler raised by mistake, treated as Flask treats it in a view."""
        app = self._app
        flask.got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)
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


def verify_trigger(trigger: Trigger) -> None:
    """Check that a handler does without a request of Flask's, as far as its own code tells.

    :raises ConfigurationError: if it names one.
    """
    function = written_function(trigger.function)
    code, namespace = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    if code is not None and (used := sorted(_find_requests(code, namespace))):
        raise ConfigurationError(
            f"{trigger} uses flask.{used[0]}, which an event does not have where WEBPUBSUB_DIRECT is set: take what "
            "the handler needs as its arguments, or leave WEBPUBSUB_DIRECT out."
        )


def _find_requests(code: CodeType, namespace: dict[str, Any]) -> Iterator[str]:
    """What a function's code names of Flask's requests, in functions within it too."""
    named = [namespace.get(name) for name in code.co_names]
    for wanted in _OF_REQUESTS:
        direct = any(value is getattr(flask, wanted) for value in named)
        if direct or (wanted in code.co_names and any(value is flask for value in named)):
            yield wanted
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _find_requests(inner, namespace)


def _find_hooks(app: Flask) -> Iterator[str]:
    """The functions that Flask would call for a request to the webhook, by the decorators that registered them."""
    tables: dict[str, Any] = {
        "before_request": app.before_request_funcs,
        "after_request": app.after_request_funcs,
        "teardown_request": app.teardown_request_funcs,
        "url_value_preprocessor": app.url_value_preprocessors,
    }
    for decorator, table in tables.items():
        for function in [*table.get(None, ()), *table.get("webpubsub", ())]:
            yield f"{getattr(function, '__qualname__', function)} (@app.{decorator})"
    for by_class in app.error_handler_spec.get(None, {}).values():
        for function in by_class.values():
            yield f"{getattr(function, '__qualname__', function)} (@app.errorhandler)"
