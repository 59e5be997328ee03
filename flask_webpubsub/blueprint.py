"""The view: the only place that sees ``flask.request``."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as HTTPResponse

from .dispatch import Dispatcher
from .guard import MESSAGE_KEY, answering
from .messages import Answer, Message, to_wsgi

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
    view = _make_view(cast(type[Response], state.app.response_class), dispatcher)
    for rule in (path, f"{path}/", f"{path}/<path:event>"):
        # Flask's own answer to OPTIONS lacks the header that the service looks for.
        state.add_url_rule(rule, "webhook", view, methods=_METHODS, provide_automatic_options=False)


def _make_view(response_class: type[Response], dispatcher: Dispatcher) -> Callable[..., Response]:
    answer_class = answering(response_class)

    def webhook(event: str = "") -> Response:
        message = Message(request.environ, _read_again)
        request.environ[MESSAGE_KEY] = message
        answer = dispatcher.dispatch(message)
        if isinstance(answer, Answer):
            return answer_class(answer.body, answer.status, [(name, to_wsgi(value)) for name, value in answer.headers])
        return _pass_through(answer)

    return webhook


def _pass_through(answer: HTTPResponse) -> Response:
    if not isinstance(answer, Response):
        answer = cast(Response, Response.force_type(answer))
    answer.__class__ = answering(type(answer))
    return answer


def _read_again() -> bytes:
    """The body where the app has read it before, as a ``before_request`` function may."""
    try:
        return request.get_data()
    except HTTPException:
        return b""
