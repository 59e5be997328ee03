"""Which handlers are never called."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask

from ..dispatch import Dispatcher
from ..enums import ClientProtocols, WebPubSubEventType
from ..extension import Hub, WebPubSub
from ..provisioning import PRESENCE_EVENTS, SYSTEM_EVENTS
from ..registry import Handler, Trigger
from .findings import Finding, Level, count, list_names


def check_handlers(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    """Handlers that are never called."""
    yield from _find_lost_handlers(app)
    handlers = list(dispatcher.handlers)
    if not handlers:
        yield Finding(
            Level.PROBLEM,
            "@wps.on_message",
            "The app has no handlers: every event is answered with 404.",
            "Import the modules with your handlers where the app is made, and register their hubs with "
            "wps.register_hub(hub).",
        )
        return
    keys = {handler.key for handler in handlers}
    for handler in handlers:
        yield from _check_name(handler)
        hub, event_type, name, protocols = handler.key
        others = {(hub, event_type, name, own) for own in (ClientProtocols.MQTT, ClientProtocols.WEB_PUB_SUB)}
        if protocols is ClientProtocols.ALL and others <= keys:
            what = f"{handler.trigger} is never called: the event has a handler for MQTT and one for all other clients."
            yield Finding(Level.WARNING, _describe(handler.trigger), what, "Take one of the three out.")
    hubs = dispatcher.handlers.hubs
    what = f"{count(len(handlers), 'handler')}, for the {'hub' if len(hubs) == 1 else 'hubs'} {list_names(hubs)}."
    yield Finding(Level.OK, "handlers", what)


def _find_lost_handlers(app: Flask) -> Iterator[Finding]:
    """Hubs and extensions that stand in a module and are not of any app."""
    for name, value in _globals_of_the_project(app):
        if isinstance(value, Hub) and not value.registered and any(True for _ in value.triggers):
            what = f"The hub {value.name!r} of {name} is not registered: its handlers are never called."
            yield Finding(Level.PROBLEM, f"Hub({value.name!r})", what, f"Call wps.register_hub({name}).")
        elif isinstance(value, WebPubSub) and value.blueprint not in app.blueprints.values():
            what = f"{name} is not on the app {app.name!r}: its handlers are never called."
            yield Finding(
                Level.WARNING, "WebPubSub()", what, "Call its init_app(app), or use the one that the app has."
            )


def _globals_of_the_project(app: Flask) -> Iterator[tuple[str, Any]]:
    """Hubs and extensions in the modules that lie where the app lies, with their names."""
    seen: set[int] = set()
    for module_name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or "site-packages" in file or not Path(file).is_relative_to(app.root_path):
            continue
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if isinstance(value, Hub | WebPubSub) and id(value) not in seen:
                seen.add(id(value))
                yield f"{module_name}.{name}", value


def _check_name(handler: Handler) -> Iterator[Finding]:
    trigger = handler.trigger
    name = trigger.event_name
    known = {WebPubSubEventType.SYSTEM: SYSTEM_EVENTS, WebPubSubEventType.PRESENCE: PRESENCE_EVENTS}
    if trigger.event_type is WebPubSubEventType.USER:
        if name.lower() in (*SYSTEM_EVENTS, *PRESENCE_EVENTS):
            what = f"{trigger} waits for a message that clients send under the name {name!r}, not for the system event."
            decorator = {"joined": "on_group_joined", "left": "on_group_left"}.get(name.lower(), f"on_{name.lower()}")
            yield Finding(Level.WARNING, _describe(trigger), what, f"For that, use @wps.{decorator}.")
    elif name.lower() not in known[trigger.event_type]:
        names = list_names(known[trigger.event_type])
        what = (
            f"{trigger} waits for a {trigger.event_type.value} event {name!r}, which the service is not known to send."
        )
        yield Finding(Level.WARNING, _describe(trigger), what, f"Use one of {names}.")


def _describe(trigger: Trigger) -> str:
    return f"{trigger.event_type.value} event {trigger.event_name!r}"
