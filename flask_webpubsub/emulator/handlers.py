"""Which event handler gets an event, and at which URL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from ..enums import WebPubSubEventType
from ..errors import ConfigurationError
from ..events import WebPubSubConnectionContext
from .options import EventHandler

#: What ``{event}`` stands for when the service asks whether it may send events.
VALIDATE = "validate"

_PLACEHOLDER = re.compile(r"\{(hub|event)\}", re.IGNORECASE)


def find_handler(handlers: Iterable[EventHandler], context: WebPubSubConnectionContext) -> EventHandler | None:
    """The first handler that takes an event."""
    return next((handler for handler in handlers if _takes(handler, context)), None)


def fill_template(url_template: str, hub: str, event: str) -> str:
    """The URL for an event: ``{hub}`` and ``{event}`` are replaced, escaped."""
    values = {"hub": hub, "event": event}
    return _PLACEHOLDER.sub(lambda match: quote(values[match[1].lower()], safe=""), url_template)


def verify_template(url_template: str) -> None:
    """Check that events can be sent to a URL template.

    :raises ConfigurationError: if they can not.
    """
    try:
        url = urlsplit(url_template)
        valid = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(f"{show(url_template)!r} is no http or https URL with a host.")
    if _PLACEHOLDER.search(url.netloc):
        raise ConfigurationError(f"{show(url_template)!r} has a placeholder in its host.")


def show(url: str) -> str:
    """A URL without its query, which may hold an access code, and without a password."""
    return re.sub(r"//[^/@]*@", "//", url.partition("?")[0].partition("#")[0])


def _takes(handler: EventHandler, context: WebPubSubConnectionContext) -> bool:
    name = context.event_name.lower()
    if context.event_type is WebPubSubEventType.USER:
        wanted = {item.strip().lower() for item in handler.user_events.split(",")}
        return "*" in wanted or name in wanted
    return name in {event.lower() for event in handler.system_events}
