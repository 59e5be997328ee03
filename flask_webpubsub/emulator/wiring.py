"""How a service is set for an app: where it listens, what it signs with, and which events it sends where."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlsplit

from ..access import DEVELOPMENT_CONNECTION_STRING, DEVELOPMENT_KEY, ServiceAccess
from ..enums import WebPubSubEventType
from ..errors import ConfigurationError
from .options import EventHandler, HubSettings, Options

#: Where the webhook of an app is that does not say otherwise.
DEFAULT_PATH = "/runtime/webhooks/webpubsub"
#: The system events of an app that does not say which it handles.
DEFAULT_SYSTEM_EVENTS = ("connect", "connected", "disconnected")

_AZURE = (".azure.com", ".azure.us", ".azure.cn")


@dataclass(frozen=True)
class Identity:
    """What a service calls itself, and what it signs with.

    :param host: the host of the endpoint alone: the origin of its events.
    :param port: the port of the endpoint; ``None`` if any will do.
    :param keys: the AccessKeys, the primary one first.
    """

    host: str = "localhost"
    port: int | None = None
    keys: tuple[str, ...] = field(default=(DEVELOPMENT_KEY,), repr=False)

    def endpoint(self, port: int) -> str:
        """The URL of a service with this identity at a port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{port}"


@dataclass(frozen=True)
class Wiring:
    """What an app wants of its service.

    :param hub: the hub that is meant where none is named.
    :param hubs: the event handlers of single hubs.
    :param default_hub: the event handlers of every other hub.
    """

    identity: Identity
    hub: str | None
    hubs: Mapping[str, Sequence[EventHandler]]
    default_hub: Sequence[EventHandler]

    def apply(self, options: Options) -> Options:
        """Options with these event handlers, where they have none of their own."""
        names = {name.lower(): name for name in (*options.hubs, *self.hubs)}
        wanted = {name.lower(): handlers for name, handlers in self.hubs.items()}
        hubs = {name: _fill(options.hub(name), wanted.get(folded, self.default_hub)) for folded, name in names.items()}
        return replace(options, hubs=hubs, default_hub=_fill(options.default_hub, self.default_hub))


def read_wiring(app: object, base_url: str, *, path: str = DEFAULT_PATH) -> Wiring:
    """How the service of an app is to be set.

    An app that has the extension says it all: its service is the one of its connection string on this machine, all
    user events go to it, and those system events for which a hub has handlers. Any other app gets the events of all
    hubs, and the local emulator's own identity.

    :param base_url: where the app is served.
    :param path: the webhook of an app that does not have the extension.
    :raises ConfigurationError: if the app's connection string is of no service on this machine.
    """
    dispatcher = find_dispatcher(app)
    if dispatcher is None:
        handler = EventHandler(url_template=base_url + path, system_events=DEFAULT_SYSTEM_EVENTS)
        return Wiring(Identity(), None, {}, [handler])
    settings = dispatcher.settings
    url = base_url + settings.path
    if settings.access_codes:
        url += f"?code={quote(settings.access_codes[0].decode(), safe='')}"
    hubs = {
        hub: [EventHandler(url_template=url, system_events=events)]
        for hub, events in _handled_system_events(dispatcher.handlers).items()
    }
    return Wiring(
        find_identity(settings.connections),
        settings.hub or next(iter(hubs), None),
        hubs,
        [EventHandler(url_template=url, system_events=())],
    )


def find_dispatcher(app: object) -> Any:
    """What the extension keeps with an app; ``None`` if it is no Flask app, or does not have the extension.

    Only the settings and the names of the handlers are looked at: the emulator knows no more of an app than who
    sets up the service in Azure does.
    """
    extensions = getattr(app, "extensions", None)
    return extensions.get("webpubsub") if isinstance(extensions, Mapping) else None


def find_identity(connections: Iterable[ServiceAccess]) -> Identity:
    """The identity of the service on this machine that is among an app's connections.

    Connections with the same endpoint are one service with several keys.

    :raises ConfigurationError: if there is none.
    """
    connections = list(connections)
    local = next((access for access in connections if is_loopback(access.host)), None)
    if local is None:
        if not connections:
            return Identity()  # the app takes unsigned events, and all are the same to it
        raise ConfigurationError(_describe_elsewhere(connections[0]))
    if urlsplit(local.endpoint).scheme != "http":
        raise ConfigurationError(f"The connection string has {local.endpoint}, but the emulator speaks http:// alone.")
    keys = [access.key.decode() for access in connections if access.key and access.endpoint == local.endpoint]
    if not keys:
        raise ConfigurationError("The connection string of the emulator has no AccessKey, which signs.")
    return Identity(local.host, urlsplit(local.endpoint).port or 80, tuple(dict.fromkeys(keys)))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, under a name that nobody else can take."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_handlers(base_url: str, handlers: Iterable[EventHandler]) -> list[EventHandler]:
    """Event handlers whose URLs may be paths of an app."""
    return [
        replace(handler, url_template=base_url + handler.url_template)
        if handler.url_template.startswith("/")
        else handler
        for handler in handlers
    ]


def _describe_elsewhere(access: ServiceAccess) -> str:
    what = "Azure" if access.host.endswith(_AZURE) else "another machine"
    return (
        f"The connection string points to {access.endpoint}, which is {what}. The emulator stands in for a service on "
        f"this machine: set WEBPUBSUB_CONNECTION_STRING to {DEVELOPMENT_CONNECTION_STRING!r}."
    )


def _fill(settings: HubSettings, handlers: Sequence[EventHandler]) -> HubSettings:
    return settings if settings.event_handlers else replace(settings, event_handlers=list(handlers))


def _handled_system_events(handlers: Iterable[Any]) -> dict[str, Collection[str]]:
    """The system and presence events that each hub has handlers for."""
    spellings: dict[str, str] = {}
    events: dict[str, set[str]] = {}
    for handler in handlers:
        hub, event_type, event_name, _ = handler.key
        found = events.setdefault(spellings.setdefault(hub, handler.hub), set())
        if event_type is not WebPubSubEventType.USER:
            found.add(event_name)
    return {hub: sorted(names) for hub, names in events.items()}
