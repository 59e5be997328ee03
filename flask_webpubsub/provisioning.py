"""How the service in Azure is to be set for an app: the URL of its webhook, and the events to send there."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from .enums import WebPubSubEventType
from .registry import ANY_EVENT, Handler

#: The system events that a service can be set to send, in the order in which they come.
SYSTEM_EVENTS = ("connect", "connected", "disconnected")
#: The changes of groups that a service can be set to send (preview).
PRESENCE_EVENTS = ("joined", "left")

_AZURE = ".webpubsub.azure."


@dataclass(frozen=True, kw_only=True)
class HubSetting:
    """The event handler that a hub of one service needs.

    :param resource: the name of the Web PubSub resource; ``None`` if no connection string tells it.
    :param user_events: the user event pattern: ``"*"``, or names with commas between; empty for none.
    """

    hub: str
    resource: str | None
    user_events: str
    system_events: tuple[str, ...]
    presence_events: tuple[str, ...]


def hub_settings(handlers: Iterable[Handler]) -> list[HubSetting]:
    """What the services of an app are to be set to, so that each handler gets its events and nothing else comes."""
    found: dict[tuple[str, str | None], list[Handler]] = {}
    spellings: dict[str, str] = {}
    for handler in handlers:
        hub = spellings.setdefault(handler.hub.lower(), handler.hub)
        for resource in dict.fromkeys(map(_resource, handler.keys or ("",))):
            found.setdefault((hub, resource), []).append(handler)
    return [_make_setting(*key, found[key]) for key in sorted(found, key=lambda key: (key[0].lower(), key[1] or ""))]


def url_template(base_url: str, path: str, code: str | None) -> str:
    """The URL template of an event handler.

    :param base_url: where the app is, without a ``/`` at the end.
    :param code: the access code, or what is to stand for it; ``None`` if the app asks for none.
    """
    return f"{base_url}{path}/{{event}}" + ("" if code is None else f"?code={code}")


def quote_code(code: bytes) -> str:
    """An access code as it stands in a URL."""
    return quote(code.decode(), safe="")


def azure_command(setting: HubSetting, url: str, audience: str | None = None) -> str:
    """The command that sets a hub, for a shell.

    :param audience: what the tokens of the service's managed identity are for; ``None`` if the app needs none.
    """
    handler = [f"url-template={shlex.quote(url)}"]
    if setting.user_events:
        handler.append(f"user-event-pattern={shlex.quote(setting.user_events)}")
    handler += [f"system-event={name}" for name in setting.system_events]
    if audience is not None:
        handler += ["auth-type=ManagedIdentity", f"auth-resource={shlex.quote(audience)}"]
    resource = shlex.quote(setting.resource or "<your resource>")
    return " \\\n    ".join(
        [
            "az webpubsub hub create",
            f"--name {resource} --resource-group '<your resource group>' --hub-name {shlex.quote(setting.hub)}",
            f"--event-handler {handler[0]}",
            *(["    " + " ".join(handler[1:])] if handler[1:] else []),
        ]
    )


def _resource(host: str) -> str | None:
    name, azure, _ = host.partition(_AZURE)
    return name if azure else None


def _make_setting(hub: str, resource: str | None, handlers: Iterable[Handler]) -> HubSetting:
    names: dict[WebPubSubEventType, dict[str, str]] = {kind: {} for kind in WebPubSubEventType}
    for handler in handlers:
        trigger = handler.trigger
        names[trigger.event_type].setdefault(trigger.event_name.lower(), trigger.event_name)
    user = names[WebPubSubEventType.USER]
    return HubSetting(
        hub=hub,
        resource=resource,
        user_events=ANY_EVENT if ANY_EVENT in user else ",".join(user.values()),
        system_events=tuple(name for name in SYSTEM_EVENTS if name in names[WebPubSubEventType.SYSTEM]),
        presence_events=tuple(name for name in PRESENCE_EVENTS if name in names[WebPubSubEventType.PRESENCE]),
    )
