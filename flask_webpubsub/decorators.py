"""The decorators that register handlers, on an extension and on a hub alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, TypeVar, overload

from .arguments import plan_arguments
from .enums import ClientProtocols, WebPubSubEventType
from .errors import ConfigurationError
from .registry import Trigger, verify_event_name
from .responses import NOT_GIVEN, NotGiven
from .settings import verify_hub

F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound=StrEnum)

#: The config keys of connection strings; a literal ``None`` means that events need no signature.
Connection = str | Sequence[str] | None | NotGiven


class Registrar:
    """Registers functions as handlers of events."""

    def _register(self, trigger: Trigger) -> None:
        raise NotImplementedError

    def trigger(
        self,
        event_name: str,
        *,
        event_type: WebPubSubEventType | str = WebPubSubEventType.USER,
        hub: str | None = None,
        client_protocols: ClientProtocols | str = ClientProtocols.ALL,
        connection: Connection = NOT_GIVEN,
    ) -> Callable[[F], F]:
        """Register a function for an event: the general form, with the properties of the Azure Functions trigger.

        The function is called with the arguments that its parameters name. It is returned as it is.

        :param event_name: the event's name, whatever its case; ``"*"`` is for user events without a handler of
            their own.
        :param event_type: ``"user"``, ``"system"`` or ``"presence"``.
        :param hub: without it, the app's ``WEBPUBSUB_HUB``.
        :param client_protocols: ``"all"``, ``"webPubSub"`` or ``"mqtt"``.
        :param connection: the keys in ``app.config`` of the connection strings that events are checked with, instead of
            ``WEBPUBSUB_CONNECTION_STRING``. A literal ``None`` accepts events without a signature.
        :raises TypeError: if the function takes an argument that the event does not have.
        :raises ConfigurationError: if a name can not be right, or the event has a handler already.
        :raises RuntimeError: if it is too late to register anything.
        """
        kind = _make(WebPubSubEventType, event_type, "event_type")
        protocols = _make(ClientProtocols, client_protocols, "client_protocols")
        verify_event_name(kind, event_name)
        if hub is not None:
            verify_hub(hub)
        connections = _make_connections(connection)

        def register(function: F) -> F:
            self._register(
                Trigger(
                    function=function,
                    plan=plan_arguments(function, kind, event_name, protocols),
                    event_type=kind,
                    event_name=event_name,
                    protocols=protocols,
                    hub=hub,
                    connections=connections,
                    unsigned=connection is None,
                )
            )
            return function

        return register

    def on_user_event(
        self,
        event_name: str,
        *,
        hub: str | None = None,
        client_protocols: ClientProtocols | str = ClientProtocols.ALL,
        connection: Connection = NOT_GIVEN,
    ) -> Callable[[F], F]:
        """Register a function for a user event by its name; see :meth:`trigger`."""
        if callable(event_name):
            raise TypeError("on_user_event() takes the event's name first: @on_user_event('name').")
        return self.trigger(event_name, hub=hub, client_protocols=client_protocols, connection=connection)

    @property
    def on_message(self) -> EventDecorator:
        """Register a function for what clients without a subprotocol send."""
        return EventDecorator(self, "message", WebPubSubEventType.USER)

    @property
    def on_connect(self) -> EventDecorator:
        """Register a function that lets clients connect, or does not."""
        return EventDecorator(self, "connect", WebPubSubEventType.SYSTEM)

    @property
    def on_connected(self) -> EventDecorator:
        """Register a function for when a client is connected."""
        return EventDecorator(self, "connected", WebPubSubEventType.SYSTEM)

    @property
    def on_disconnected(self) -> EventDecorator:
        """Register a function for when a client is gone."""
        return EventDecorator(self, "disconnected", WebPubSubEventType.SYSTEM)

    @property
    def on_group_joined(self) -> EventDecorator:
        """Register a function for when a connection joined a group (preview)."""
        return EventDecorator(self, "joined", WebPubSubEventType.PRESENCE)

    @property
    def on_group_left(self) -> EventDecorator:
        """Register a function for when a connection left a group (preview)."""
        return EventDecorator(self, "left", WebPubSubEventType.PRESENCE)


class EventDecorator:
    """A decorator for one event, used bare or called with options; see :meth:`Registrar.trigger`."""

    def __init__(self, registrar: Registrar, event_name: str, event_type: WebPubSubEventType) -> None:
        self._registrar = registrar
        self._event_name = event_name
        self._event_type = event_type

    @overload
    def __call__(self, function: F, /) -> F: ...

    @overload
    def __call__(
        self,
        /,
        *,
        hub: str | None = None,
        client_protocols: ClientProtocols | str = ClientProtocols.ALL,
        connection: Connection = NOT_GIVEN,
    ) -> Callable[[F], F]: ...

    def __call__(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        hub: str | None = None,
        client_protocols: ClientProtocols | str = ClientProtocols.ALL,
        connection: Connection = NOT_GIVEN,
    ) -> Any:
        if function is not None and not callable(function):
            raise TypeError(f"The decorator of {self._event_name!r} takes options by name, such as hub={function!r}.")
        register = self._registrar.trigger(
            self._event_name,
            event_type=self._event_type,
            hub=hub,
            client_protocols=client_protocols,
            connection=connection,
        )
        return register if function is None else register(function)


def _make(enum: type[E], value: str, name: str) -> E:
    try:
        return enum(value)
    except ValueError:
        known = ", ".join(repr(member.value) for member in enum)
        raise ConfigurationError(f"{name} is {value!r}: it can be {known}.") from None


def _make_connections(connection: Connection) -> tuple[str, ...] | None:
    if connection is None or isinstance(connection, NotGiven):
        return None
    keys = (connection,) if isinstance(connection, str) else tuple(connection)
    if not keys or not all(isinstance(key, str) and key for key in keys):
        raise ConfigurationError(f"connection is {connection!r}: name one or several keys of app.config.")
    return keys
