"""What commands that send events to a URL have in common."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask

from ..access import ServiceAccess
from ..blueprint import EXTENSION_KEY
from ..deployed import Identity
from ..dispatch import Dispatcher
from ..emulator.wiring import is_loopback
from ..enums import WebPubSubEventType
from ..registry import ANY_EVENT, Handler
from ..settings import CONNECTION_KEY, read_connections


def fill_path(url: str, app: Flask) -> str:
    """A URL with the path of the webhook, where it has no path of its own."""
    parts = urlsplit(url)
    if parts.path not in ("", "/"):
        return url
    dispatcher: Dispatcher = app.extensions[EXTENSION_KEY]
    return parts._replace(path=f"{dispatcher.settings.path}/{{event}}").geturl()


def describe_risk(url: str) -> str:
    """What to know before an event goes to a URL."""
    host = urlsplit(url).netloc
    if is_loopback(urlsplit(url).hostname or ""):
        return f"Events are sent to {host}, on this machine."
    return (
        f"Signed events are sent to {host}. Who receives one can replay it, and forge others of the same connection, "
        "until the AccessKey is changed: send to your own app alone."
    )


def find_identity(app: Flask, hub: str | None = None, event_name: str | None = None) -> Identity:
    """The service that sends an event to an app.

    :param hub: without it, any hub.
    """
    dispatcher: Dispatcher = app.extensions[EXTENSION_KEY]
    accesses = _find_accesses(app, dispatcher, hub, event_name)
    codes = dispatcher.settings.access_codes
    code = codes[0].decode() if codes else None
    if not accesses:
        return Identity("localhost", [], code)
    has_token = dispatcher.settings.entra is not None
    host = accesses[0].host
    keys = [access.key.decode() for access in accesses if access.key is not None and access.host == host]
    return Identity(host, list(dict.fromkeys(keys)), code, has_token)


def _find_accesses(
    app: Flask, dispatcher: Dispatcher, hub: str | None, event_name: str | None
) -> tuple[ServiceAccess, ...]:
    of_hub = [handler for handler in dispatcher.handlers if hub is None or handler.hub.lower() == hub.lower()]
    handler = next(
        (handler for name in (event_name, ANY_EVENT, None) for handler in of_hub if _is(handler, name)), None
    )
    if handler is not None and handler.trigger.connections is not None:
        return read_connections(app.config, handler.trigger.connections)
    return read_connections(app.config, [CONNECTION_KEY]) if dispatcher.settings.connections else ()


def _is(handler: Handler, name: str | None) -> bool:
    """Whether a handler is of an event; ``None`` is any event."""
    trigger = handler.trigger
    if name == ANY_EVENT and trigger.event_type is not WebPubSubEventType.USER:
        return False
    return name is None or trigger.event_name.lower() == name.lower()
