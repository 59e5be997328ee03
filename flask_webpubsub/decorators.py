"""The decorators that register handlers, on an extension and on a hub alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .arguments import plan_arguments
from .enums import ClientProtocols, WebPubSubEventType
from .errors import ConfigurationError
from .registry import Trigger, verify_event_name, verify_once
from .responses import NOT_GIVEN, NotGiven
from .settings import verify_hub

if TYPE_CHECKING:
    from .arguments import ArgumentPlan
    from .payloads import Payload, SchemaLike

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
        schema: SchemaLike | None = None,
        reply_schema: SchemaLike | None = None,
        schema_errors: bool | None = None,
        once: bool | None = None,
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
        :param schema: a marshmallow schema, a class or an instance, that loads the data of a user event; what does not
            fit is answered with 400, and the function is not called.
        :param reply_schema: a marshmallow schema that dumps what the function returns for a user event.
        :param schema_errors: whether that 400 says what does not fit; without it, as ``WEBPUBSUB_SCHEMA_ERRORS`` says.
        :param once: ``True`` calls the function once for each event, however often it is delivered, for user events and
            ``connect``; ``False`` does not. Without it, user events are handled as ``WEBPUBSUB_ONCE`` says.
        :raises TypeError: if the function takes an argument that the event does not have, or a schema is none.
        :raises ConfigurationError: if a name can not be right, or the event has a handler already.
        :raises RuntimeError: if it is too late to register anything.
        """
        kind = _make(WebPubSubEventType, event_type, "event_type")
        protocols = _make(ClientProtocols, client_protocols, "client_protocols")
        verify_event_name(kind, event_name)
        if hub is not None:
            verify_hub(hub)
        verify_once(kind, event_name, once)
        connections = _make_connections(connection)
        make_payload = _find_payload(kind, schema, reply_schema, schema_errors)

        def register(function: F) -> F:
            plan = plan_arguments(function, kind, event_name, protocols)
            payload = None if make_payload is None else make_payload(plan)
            self._register(
                Trigger(
                    function=function,
                    plan=plan if payload is None else payload.plan,
                    event_type=kind,
                    event_name=event_name,
                    protocols=protocols,
                    hub=hub,
                    connections=connections,
                    unsigned=connection is None,
                    payload=payload,
                    once=once,
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
        schema: SchemaLike | None = None,
        reply_schema: SchemaLike | None = None,
        schema_errors: bool | None = None,
        once: bool | None = None,
    ) -> Callable[[F], F]:
        """Register a function for a user event by its name; see :meth:`trigger`."""
        if callable(event_name):
            raise TypeError("on_user_event() takes the event's name first: @on_user_event('name').")
        return self.trigger(
            event_name,
            hub=hub,
            client_protocols=client_protocols,
            connection=connection,
            schema=schema,
            reply_schema=reply_schema,
            schema_errors=schema_errors,
            once=once,
        )

    @property
    def on_message(self) -> MessageDecorator:
        """Register a function for what clients without a subprotocol send."""
        return MessageDecorator(self, "message", WebPubSubEventType.USER)

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
        once: bool | None = None,
    ) -> Callable[[F], F]: ...

    def __call__(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        # Options that this event does not have are refused by trigger(), which says why.
        if function is not None and not callable(function):
            raise TypeError(f"The decorator of {self._event_name!r} takes options by name, such as hub={function!r}.")
        register = self._registrar.trigger(self._event_name, event_type=self._event_type, **options)
        return register if function is None else register(function)


class MessageDecorator(EventDecorator):
    """An :class:`EventDecorator` for messages, which may have schemas too."""

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
        schema: SchemaLike | None = None,
        reply_schema: SchemaLike | None = None,
        schema_errors: bool | None = None,
        once: bool | None = None,
    ) -> Callable[[F], F]: ...

    def __call__(self, function: Any = None, /, **options: Any) -> Any:
        return super().__call__(function, **options)


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


def _find_payload(
    kind: WebPubSubEventType,
    schema: SchemaLike | None,
    reply_schema: SchemaLike | None,
    schema_errors: bool | None,
) -> Callable[[ArgumentPlan], Payload] | None:
    if schema is None and reply_schema is None and schema_errors is None:
        return None
    from .payloads import Payload, make_schemas  # other apps do without them

    return partial(Payload, make_schemas(kind, schema, reply_schema, schema_errors))
