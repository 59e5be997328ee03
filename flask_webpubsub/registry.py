"""Which handler answers which event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import TYPE_CHECKING, Any

from .access import HostKeys
from .arguments import ArgumentPlan, function_name
from .enums import ClientProtocols, WebPubSubEventType
from .errors import ConfigurationError
from .events import MqttConnectionContext, WebPubSubConnectionContext
from .records import Record, read_only

if TYPE_CHECKING:
    from .once import Once
    from .payloads import Payload

#: The event name of a handler for user events that have no handler of their own.
ANY_EVENT = "*"

Key = tuple[str, WebPubSubEventType, str, ClientProtocols]


@read_only
class Trigger(Record):
    """A function and the events it was registered for, before any app.

    :param hub: ``None`` means the app's own hub.
    :param connections: the config keys of its connection strings; ``None`` means the app's default ones.
    :param unsigned: whether events are accepted without a signature.
    :param payload: the schemas of the data and of the answer, if it has any.
    :param once: whether each event is handled once; ``None`` means as the app says.
    """

    function: Callable[..., Any]
    plan: ArgumentPlan
    event_type: WebPubSubEventType
    event_name: str
    protocols: ClientProtocols
    hub: str | None
    connections: tuple[str, ...] | None
    unsigned: bool
    payload: Payload | None = None
    once: bool | None = None

    def key(self, default_hub: str) -> Key:
        """Where the function stands in the table of an app with this default hub."""
        return (self.hub or default_hub).lower(), self.event_type, self.event_name.lower(), self.protocols

    def __str__(self) -> str:
        return f"{getattr(self.function, '__module__', '?')}.{function_name(self.function)}"


class TriggerTable:
    """The triggers of an extension or of a hub."""

    def __init__(self) -> None:
        self._triggers: dict[Key, Trigger] = {}

    def __iter__(self) -> Iterator[Trigger]:
        return iter(self._triggers.values())

    def verify_free(self, trigger: Trigger) -> None:
        """Check that no other function is registered for the same events.

        :raises ConfigurationError: if one is.
        """
        if (other := self._triggers.get(trigger.key(""))) is not None:
            raise _duplicate(trigger, other)

    def add(self, trigger: Trigger) -> None:
        """Add a trigger, which :meth:`verify_free` let pass."""
        self._triggers[trigger.key("")] = trigger


@read_only
class Handler(Record):
    """A trigger in an app: its hub, its function as the app can call it, and the keys that may sign its events.

    :param keys: the keys of each host that is trusted; ``None`` means that events are accepted without a signature.
    :param once: what remembers the answers to its events, if each is to be handled once.
    """

    trigger: Trigger
    hub: str
    call: Callable[..., Any]
    keys: HostKeys | None = field(repr=False)
    once: Once | None = field(default=None, repr=False)

    @property
    def key(self) -> Key:
        """Where the handler stands in the table."""
        return self.trigger.key(self.hub)


class HandlerTable:
    """The handlers of one app. Finding one costs the same, however many there are.

    :param keys: the keys of the hosts that the app trusts by default.
    :param unsigned: whether events are accepted without a signature by default.
    """

    def __init__(self, keys: HostKeys, *, unsigned: bool = False) -> None:
        #: The keys of each host that the app or one of its handlers trusts.
        self.trusted_keys: HostKeys = keys
        #: Whether the app or one of its handlers accepts events without a signature.
        self.unsigned = unsigned
        self._handlers: dict[Key, Handler] = {}

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    @property
    def hubs(self) -> list[str]:
        """The hubs that have handlers."""
        return sorted({handler.hub for handler in self})

    def verify_free(self, handler: Handler) -> None:
        """Check that no other handler answers the same events.

        :raises ConfigurationError: if one does.
        """
        if (other := self._handlers.get(handler.key)) is not None:
            raise _duplicate(handler.trigger, other.trigger)

    def add(self, handler: Handler) -> None:
        """Add a handler, which :meth:`verify_free` let pass."""
        self._handlers[handler.key] = handler
        if handler.keys is None:
            self.unsigned = True
        else:
            self.trusted_keys = _merge_keys(self.trusted_keys, handler.keys)

    def find(self, context: WebPubSubConnectionContext) -> Handler | None:
        """The handler of an event: its client's protocol goes before all protocols, its own name before ``"*"``."""
        own = ClientProtocols.MQTT if isinstance(context, MqttConnectionContext) else ClientProtocols.WEB_PUB_SUB
        hub, event_type, name = context.hub.lower(), context.event_type, context.event_name.lower()
        get = self._handlers.get
        handler = get((hub, event_type, name, own)) or get((hub, event_type, name, ClientProtocols.ALL))
        if handler is None and event_type is WebPubSubEventType.USER:
            handler = get((hub, event_type, ANY_EVENT, own)) or get((hub, event_type, ANY_EVENT, ClientProtocols.ALL))
        return handler


def verify_once(event_type: WebPubSubEventType, event_name: str, once: object) -> None:
    """Check that a handler of this event can be called once for each event.

    :raises ConfigurationError: if it can not.
    """
    if once is not None and not isinstance(once, bool):
        raise ConfigurationError(f"once is {once!r}: set it to True or False, or leave it out.")
    if once and event_type is not WebPubSubEventType.USER and event_name.lower() != "connect":
        raise ConfigurationError(
            f"once=True is for the events that a client waits for, user events and 'connect': {event_name!r} is none."
        )


def _merge_keys(keys: HostKeys, more: HostKeys) -> HostKeys:
    return {host: tuple(dict.fromkeys(keys.get(host, ()) + more.get(host, ()))) for host in [*keys, *more]}


def verify_event_name(event_type: WebPubSubEventType, event_name: object) -> None:
    """Check that an event can have this name.

    :raises ConfigurationError: if it can not.
    """
    if not isinstance(event_name, str) or not event_name:
        raise ConfigurationError(f"{event_name!r} can not be the name of an event.")
    plain = event_name.isascii() and event_name.isprintable() and "," not in event_name
    if not plain or event_name != event_name.strip():
        raise ConfigurationError(f"{event_name!r} can not be the name of an event: printable ASCII without commas can.")
    if event_name == ANY_EVENT and event_type is not WebPubSubEventType.USER:
        raise ConfigurationError(f"The name {ANY_EVENT!r} is for user events alone: register each {event_type} event.")


def _duplicate(trigger: Trigger, other: Trigger) -> ConfigurationError:
    hub = f"hub {trigger.hub!r}" if trigger.hub else "the app's own hub"
    return ConfigurationError(
        f"The {trigger.event_type.value} event {trigger.event_name!r} of {hub} has two handlers for "
        f"client_protocols={trigger.protocols.value!r}: {other} and {trigger}."
    )
