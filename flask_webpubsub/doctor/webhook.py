"""Whether what the service sends gets as far as the webhook."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from uuid import uuid4

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder

from ..codec import Delivery
from ..direct import LANE_KEY, Lane
from ..dispatch import Dispatcher
from ..errors import WebPubSubError
from ..messages import Answer
from ..signals import event_rejected
from ..signature import sign_connection
from ..testing import WebPubSubTestClient
from .findings import DIRECT_KEY, PATH_KEY, Finding, Level, list_names


def check_webhook(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    """Ask for validation and send a forged event, to see whether they get as far as the webhook."""
    path = dispatcher.settings.path
    other = _find_other_route(app, path)
    if other is not None:
        what = f"Calls of {path} go to {other}, which is another route of the app."
        yield Finding(Level.PROBLEM, PATH_KEY, what, f"Give that route another path, or set {PATH_KEY} to one.")
        return
    started = dispatcher.started
    with silent_log():
        found = [*_probe_validation(app, dispatcher), *_probe_event(app, dispatcher)]
    dispatcher.started = started  # these were no events
    yield from found
    yield from _find_passed_by(app)
    if not found:
        what = f"Calls of {path} get as far as the webhook, and a forged event is refused."
        yield Finding(Level.OK, PATH_KEY, what)


def _find_passed_by(app: Flask) -> Iterator[Finding]:
    lane: Lane | None = app.extensions.get(LANE_KEY)
    if lane is not None and (hooks := lane.find_hooks()):
        what = f"Events are answered before Flask handles a request, which passes by {list_names(hooks)}."
        yield Finding(Level.WARNING, DIRECT_KEY, what, "Do in the handlers what they do, or take the setting out.")


def _find_other_route(app: Flask, path: str) -> str | None:
    """The endpoint that gets a call of the webhook, if it is another one."""
    for method in ("POST", "OPTIONS"):
        for target in (path, f"{path}/validate"):
            request = app.request_class(EnvironBuilder(target, base_url(app)).get_environ())
            adapter = app.create_url_adapter(request)
            if adapter is None:
                continue
            try:
                endpoint, _ = adapter.match(target, method)
            except HTTPException:
                return "no route, or to one that takes no " + method
            if endpoint != "webpubsub.webhook":
                return repr(endpoint)
    return None


def base_url(app: Flask) -> str:
    """Where the app would say that it is; by https, as it is deployed."""
    trusted = app.config.get("TRUSTED_HOSTS") or ["localhost"]
    return f"https://{app.config.get('SERVER_NAME') or trusted[0].lstrip('.')}"


def _make_client(app: Flask, dispatcher: Dispatcher) -> WebPubSubTestClient:
    codes = dispatcher.settings.access_codes
    return WebPubSubTestClient(
        app,
        connection_string=None,
        hub=made_up_hub(),
        path=dispatcher.settings.path,
        base_url=base_url(app),
        access_code=codes[0].decode() if codes else None,
        keys=[token_hex()],
        origins=list(dispatcher.handlers.trusted_keys) or None,
    )


def made_up_hub() -> str:
    """A hub that has no handlers: an event of it can be sent to any app, and calls nothing."""
    return f"check_{token_hex(8)}"


def make_event(hub: str, origin: str, keys: Iterable[str]) -> Delivery:
    """A small message of a hub, from a fresh connection."""
    connection_id = uuid4().hex
    headers = [
        ("WebHook-Request-Origin", origin),
        ("ce-type", "azure.webpubsub.user.message"),
        ("ce-eventName", "message"),
        ("ce-hub", hub),
        ("ce-connectionId", connection_id),
        ("ce-signature", sign_connection(connection_id, [key.encode() for key in keys])),
        ("Content-Type", "text/plain; charset=utf-8"),
    ]
    return Delivery([(name, value) for name, value in headers if value], b"check")


def _probe_validation(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    client = _make_client(app, dispatcher)
    try:
        valid = client.validate()
    except Exception as error:
        yield _find_raising(app, error)
        return
    if not valid:
        what = (
            "The request by which the service asks whether it may send events is answered by another part of the app."
        )
        yield Finding(Level.PROBLEM, *_find_blame(app, what))


def _probe_event(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    client = _make_client(app, dispatcher)
    rejections: list[WebPubSubError] = []

    def note(sender: object, error: WebPubSubError, **other: object) -> None:
        rejections.append(error)

    try:
        with event_rejected.connected_to(note, sender=app):
            answer = client.call("POST", make_event(client.hub, client.origin, client.keys))
    except Exception as error:
        yield _find_raising(app, error)
        return
    if not rejections:
        yield _find_obstacle(app, answer)
    elif answer.status != rejections[0].status:
        what = f"A refused event leaves the app with {answer.status} instead of {rejections[0].status}."
        cure = "Let after_request functions and error handlers leave the webhook's answers alone."
        yield Finding(Level.WARNING, "after_request", what, cure)


def _find_obstacle(app: Flask, answer: Answer) -> Finding:
    if answer.status == 400 and "csrf" in app.extensions:
        what = "CSRF protection refuses every event with 400, before the webhook sees it."
        return Finding(Level.PROBLEM, "CSRFProtect", what, "Exempt the webhook: csrf.exempt(wps.blueprint).")
    what = f"Another part of the app answers events, with {answer.status}, before the webhook sees them."
    return Finding(Level.PROBLEM, *_find_blame(app, what))


def _find_blame(app: Flask, what: str) -> tuple[str, str, str]:
    functions = app.before_request_funcs.get(None, [])
    if not functions:
        return "wsgi_app", what, "Look at the middleware around app.wsgi_app, and let it pass the webhook's path on."
    names = list_names(f"{function.__module__}.{function.__qualname__}" for function in functions)
    cure = f"Begin with 'if request.blueprint == \"webpubsub\": return' where it is done: {names}."
    return "before_request", what, cure


def _find_raising(app: Flask, error: Exception) -> Finding:
    what = f"The app raises {type(error).__name__} before the webhook sees an event: {error}"
    return Finding(Level.PROBLEM, *_find_blame(app, what))


@contextmanager
def silent_log() -> Iterator[None]:
    """Keep what a check itself causes out of the log."""
    logger = logging.getLogger("flask_webpubsub")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
