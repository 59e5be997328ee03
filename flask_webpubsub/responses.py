"""What a handler may answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from .enums import WebPubSubDataType, WebPubSubErrorCode, make_error_code
from .mqtt import MqttConnectCode, MqttUserProperty
from .records import Record


class NotGiven(Enum):
    """The type of :data:`NOT_GIVEN`."""

    NOT_GIVEN = "NOT_GIVEN"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return self.value


#: The value of a field that was not given: neither ``None`` nor empty, and left out on the wire.
NOT_GIVEN: Final = NotGiven.NOT_GIVEN


@dataclass(eq=False, repr=False, kw_only=True)
class WebPubSubEventResponse(Record):
    """The base of the answers that let an event succeed: they may change the connection's states.

    :param states: states to set, by name; the others stay as they are. In an answer that was decoded, as the test
        client gives it, all the states that the connection has from now on.
    """

    states: Mapping[str, Any] | NotGiven = NOT_GIVEN
    states_cleared: bool = field(default=False, init=False, repr=False, compare=False)

    def set_state(self, name: str, value: Any) -> None:
        """Set one state of the connection; its other states stay. The value must have a JSON form."""
        self.states = {**({} if self.states is NOT_GIVEN else self.states), name: value}

    def clear_states(self) -> None:
        """Remove all states of the connection, those set on this answer before included."""
        self.states = {}
        self.states_cleared = True


@dataclass(eq=False, repr=False)
class ConnectEventResponse(WebPubSubEventResponse):
    """Lets a client connect.

    A field that is not given is left out, and what the client's token says holds; an empty list is an answer of
    its own: ``roles=[]`` takes the token's roles away. ``None`` is sent as JSON ``null``.
    """

    user_id: str | NotGiven | None = NOT_GIVEN
    groups: Collection[str] | NotGiven | None = NOT_GIVEN
    roles: Collection[str] | NotGiven | None = NOT_GIVEN
    subprotocol: str | NotGiven | None = NOT_GIVEN


@dataclass(eq=False, repr=False)
class MqttConnectEventResponse(ConnectEventResponse):
    """Lets an MQTT client connect; ``user_properties`` go into its CONNACK packet."""

    subprotocol: str | NotGiven | None = "mqtt"
    user_properties: Collection[MqttUserProperty] | NotGiven = field(default=NOT_GIVEN, kw_only=True)


@dataclass(eq=False, repr=False)
class UserEventResponse(WebPubSubEventResponse):
    """Answers a message. Without ``data`` the client is told that it arrived, and nothing else.

    :param data: the message for the client.
    :param data_type: without it, a ``str`` is text, ``bytes`` are binary, and anything else is JSON.
    :param metadata: message metadata (preview), by name.
    :param user_properties: MQTT user properties of the answer.
    :raises ValueError: if ``data_type`` is no data type.
    """

    data: Any = NOT_GIVEN
    data_type: WebPubSubDataType | str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    user_properties: Collection[MqttUserProperty] = field(default_factory=list, kw_only=True)

    def __post_init__(self) -> None:
        if self.data_type is None:
            self.data_type = None if self.data is NOT_GIVEN else guess_data_type(self.data)
        elif type(self.data_type) is not WebPubSubDataType:
            self.data_type = WebPubSubDataType(self.data_type)


@dataclass(eq=False, repr=False)
class EventErrorResponse(Record):
    """Refuses a connection or fails a message.

    :param code: ``"unauthorized"``, ``"userError"``, ``"serverError"`` (in any case) or an HTTP status of 400 to 599.
    :param error_message: the text the client is given; may be empty.
    :raises ValueError: if ``code`` is none of these.
    """

    code: WebPubSubErrorCode | str | int
    error_message: str = ""

    def __post_init__(self) -> None:
        self.code = make_error_code(self.code)


@dataclass(eq=False, repr=False)
class MqttConnectEventErrorResponse(Record):
    """Refuses an MQTT client, in the words of its own version.

    :param code: a code of the client's version: :class:`MqttV311ConnectReturnCode` or
        :class:`MqttV500ConnectReasonCode`, or its number.
    :param reason: the reason string of the CONNACK packet.
    """

    code: MqttConnectCode | int
    reason: str | None = None
    user_properties: Collection[MqttUserProperty] = field(default_factory=list)


def guess_data_type(data: object) -> WebPubSubDataType:
    """The type of data that came without one: ``str`` is text, ``bytes`` are binary, anything else is JSON."""
    if isinstance(data, str):
        return WebPubSubDataType.TEXT
    return WebPubSubDataType.BINARY if isinstance(data, bytes) else WebPubSubDataType.JSON
