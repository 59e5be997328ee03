"""The view: the only place that sees ``flask.request``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from flask import Blueprint, Flask, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException

from .deferred import DEFERRED_KEY, WAITING_KEY, run_later
from .dispatch import Dispatcher
from .guard import VERSION_KEY
from .messages import Message
from .own_response import make_own

#: Where an app keeps its :class:`Dispatcher`, in ``app.extensions``.
EXTENSION_KEY = "webpubsub"

# All the methods that there are come to the view, so that every answer of the webhook is the dispatcher's.
_METHODS = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]


def make_blueprint() -> Blueprint:
    """A blueprint for any number of apps, each of which has its dispatcher already."""
    blueprint = Blueprint("webpubsub", __name__)
    blueprint.record(_add_rules)
    return blueprint


def _add_rules(state: BlueprintSetupState) -> None:
    dispatcher: Dispatcher = state.app.extensions[EXTENSION_KEY]
    path = dispatcher.settings.path
    view = _make_view(cast(Flask, state.app), dispatcher)
    for rule in (path, f"{path}/", f"{path}/<path:event>"):
        # Flask's own answer to OPTIONS lacks the header that the service looks for.
        state.add_url_rule(rule, "webhook", view, methods=_METHODS, provide_automatic_options=False)


def _make_view(app: Flask, dispatcher: Dispatcher) -> Callable[..., Response]:
    response_class = app.response_class

    def webhook(event: str = "") -> Response:
        environ = request.environ
        message = Message(environ, _read_again)
        try:
            answer = dispatcher.dispatch(message)
        finally:
            environ[VERSION_KEY] = message.mqtt_version
        response = make_own(answer, response_class)
        if (calls := environ.pop(DEFERRED_KEY, None)) is not None:
            response.call_on_close(partial(run_later, calls, app, environ.get(WAITING_KEY)))
        return response

    return webhook


def _read_again() -> bytes:
    """The body where the app has read it before, as a ``before_request`` function may."""
    try:
        return request.get_data()
    except HTTPException:
        return b""
