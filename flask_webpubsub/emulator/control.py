"""Sets the event handlers of an emulator that runs: an app that was changed and started again tells it so."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..signature import sign_connection, verify_signature
from ..wire_json import read_json, write_json
from .handlers import verify_template
from .options import EventHandler
from .wiring import Identity, Wiring

#: Where the settings go, by who has the AccessKey.
SETTINGS_PATH = "/emulator/event-handlers"
#: Holds the signature of the settings, made as for an event.
SIGNATURE_HEADER = "ce-signature"

_TIMEOUT_SECONDS = 5.0


def send_wiring(wiring: Wiring, endpoint: str) -> None:
    """Tell the emulator at an endpoint what an app wants from now on.

    :raises OSError: if it is not there.
    :raises ValueError: if it refuses.
    """
    body = write_json(_dump(wiring))
    headers = {SIGNATURE_HEADER: sign_connection(body.decode(), [wiring.identity.keys[0].encode()])}
    connection = HTTPConnection(urlsplit(endpoint).netloc, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("PUT", SETTINGS_PATH, body, headers)
        answer = connection.getresponse()
        if answer.status != 204:
            raise ValueError(answer.read(1000).decode(errors="replace"))
    finally:
        connection.close()


def receive_wiring(body: bytes, signature: str | None, identity: Identity) -> Wiring:
    """Read what an app wants from now on.

    :raises InvalidSignatureError: if it does not have a key of the emulator.
    :raises ValueError: if it can not be wanted.
    """
    text = body.decode()
    verify_signature(signature, text, [key.encode() for key in identity.keys])
    value = read_json(text)
    try:
        hubs = {hub: [_load(item) for item in items] for hub, items in value["hubs"].items()}
        return Wiring(identity, None, hubs, [_load(item) for item in value["defaultHub"]])
    except (AttributeError, KeyError, TypeError, ConfigurationError) as error:
        raise ValueError("These are no settings of event handlers.") from error


def _dump(wiring: Wiring) -> dict[str, Any]:
    return {
        "hubs": {hub: [_dump_handler(handler) for handler in handlers] for hub, handlers in wiring.hubs.items()},
        "defaultHub": [_dump_handler(handler) for handler in wiring.default_hub],
    }


def _dump_handler(handler: EventHandler) -> dict[str, Any]:
    return {
        "urlTemplate": handler.url_template,
        "userEvents": handler.user_events,
        "systemEvents": list(handler.system_events),
    }


def _load(item: Any) -> EventHandler:
    url, user_events, system_events = item["urlTemplate"], item["userEvents"], item["systemEvents"]
    if not all(isinstance(value, str) for value in (url, user_events, *system_events)):
        raise TypeError
    verify_template(url)
    return EventHandler(url_template=url, user_events=user_events, system_events=tuple(system_events))
