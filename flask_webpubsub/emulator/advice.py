"""Says in one line why an app's answer failed an event, and what to change."""

from __future__ import annotations

from ..enums import WebPubSubEventType
from ..events import ConnectEventRequest, UserEventRequest, WebPubSubEventRequest
from ..message_data import is_message_type
from ..messages import Answer

_DECORATORS = {
    "connect": "on_connect",
    "connected": "on_connected",
    "disconnected": "on_disconnected",
    "joined": "on_group_joined",
    "left": "on_group_left",
}


def explain(request: WebPubSubEventRequest, answer: Answer, error: BaseException | None = None) -> str:
    """Why an answer failed its event, and what to change.

    :param error: what was wrong with reading the answer, if that failed.
    """
    if 200 <= answer.status <= 299:
        return _explain_success(request, answer, error)
    return f"The app answered {answer.status}: {_advise(request, answer.status)}"


def _explain_success(request: WebPubSubEventRequest, answer: Answer, error: BaseException | None) -> str:
    content_type = answer.header("Content-Type")
    if isinstance(request, UserEventRequest) and not is_message_type(content_type):
        return (
            f"The answer is {content_type!r}, which is no message (Flask makes text/html of a str): set its "
            "Content-Type to text/plain, application/json or application/octet-stream."
        )
    if isinstance(request, ConnectEventRequest):
        return f"The answer to connect is not the JSON that lets a client in: {error} Or answer 204 with nothing."
    return f"The answer can not be read: {error}"


def _advise(request: WebPubSubEventRequest, status: int) -> str:
    match status:
        case 400:
            return "the handler refused the event, or the app found it malformed and says why in its log."
        case 401:
            return (
                "the handler refused the event, or the AccessKeys differ: give the app the connection string of this "
                "service."
            )
        case 404:
            return f"no handler is registered for it, add {_decorator(request)}."
        case 405:
            return "the route takes no POST, add it to the route's methods."
        case 413:
            return "the message is larger than the app takes, raise WEBPUBSUB_MAX_BODY_BYTES or MAX_CONTENT_LENGTH."
        case 431:
            return "the headers are larger than the app's server takes, keep fewer connection states and cookies."
        case _ if 300 <= status <= 399:
            return "redirects are not followed, set the event handler's URL to where it leads."
        case _ if status >= 500:
            return "the handler failed, look at the app's log."
    return "the handler refused the event."


def _decorator(request: WebPubSubEventRequest) -> str:
    context = request.connection_context
    hub = f"hub={context.hub!r}"
    if context.event_type is not WebPubSubEventType.USER:
        return f"@wps.{_DECORATORS.get(context.event_name.lower(), 'trigger')}({hub})"
    if context.event_name.lower() == "message":
        return f"@wps.on_message({hub})"
    return f"@wps.on_user_event({context.event_name!r}, {hub})"
