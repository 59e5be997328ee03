"""What the service tells us: the context of an event, and one request class for each kind of event."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from werkzeug.datastructures import Headers

from .enums import WebPubSubDataType, WebPubSubErrorCode, WebPubSubEventType
from .mqtt import (
    MqttConnectCode,
    MqttConnectProperties,
    MqttDisconnectedProperties,
    MqttUserProperty,
    MqttV311ConnectReturnCode,
    MqttV500ConnectReasonCode,
)
from .records import Record, read_only_by_name
from .responses import (
    NOT_GIVEN,
    ConnectEventResponse,
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    MqttConnectEventResponse,
    NotGiven,
    UserEventResponse,
)
from .wire_json import write_json


@read_only_by_name
class WebPubSubConnectionContext(Record):
    """Which event this is, and of which connection.

    ``states`` are the connection's, as an earlier answer left them. ``user_id`` is ``None`` for anonymous clients.
    ``event_id`` counts the events of one connection, and a repeated delivery repeats it. ``headers`` are those of the
    webhook call, whatever the case of their names.
    """

    event_type: WebPubSubEventType
    event_name: str
    hub: str
    connection_id: str
    user_id: str | None = None
    subprotocol: str | None = None
    signature: str | None = field(default=None, repr=False, compare=False)
    origin: str = ""
    states: Mapping[str, Any] = field(default_factory=dict)
    headers: Headers = field(default_factory=Headers, repr=False, compare=False)
    event_id: str | None = None
    time: datetime | None = None


@read_only_by_name
class MqttConnectionContext(WebPubSubConnectionContext):
    """The context of an MQTT client's event, whose ``connection_id`` is the client id.

    ``physical_connection_id`` names one network connection; ``session_id`` is ``None`` on ``connect``.
    """

    physical_connection_id: str
    session_id: str | None = None


@read_only_by_name
class WebPubSubEventRequest(Record):
    """The base of all events, and itself the event of a kind that this version does not know."""

    connection_context: WebPubSubConnectionContext

    def create_error_response(
        self, code: WebPubSubErrorCode | str | int, message: str = ""
    ) -> EventErrorResponse | MqttConnectEventErrorResponse:
        """An error that fits the event; see :class:`EventErrorResponse`."""
        return EventErrorResponse(code, message)


@read_only_by_name
class WebPubSubClientCertificate(Record):
    """A certificate that a client connected with; ``content`` is its PEM text, where the service sends it."""

    thumbprint: str
    content: str | None = None


@read_only_by_name
class ConnectEventRequest(WebPubSubEventRequest):
    """A client asks to connect; the service waits for the answer.

    ``claims`` are those of the client's token, ``query`` and ``headers`` come from its handshake, and ``subprotocols``
    are the ones it offers.
    """

    claims: Mapping[str, list[str]] = field(default_factory=dict)
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, list[str]] = field(default_factory=dict)
    subprotocols: list[str] = field(default_factory=list)
    client_certificates: list[WebPubSubClientCertificate] = field(default_factory=list)

    def create_response(
        self,
        user_id: str | NotGiven | None = NOT_GIVEN,
        groups: Collection[str] | NotGiven | None = NOT_GIVEN,
        roles: Collection[str] | NotGiven | None = NOT_GIVEN,
        subprotocol: str | NotGiven | None = NOT_GIVEN,
    ) -> ConnectEventResponse:
        """Let the client connect; see :class:`ConnectEventResponse`."""
        return ConnectEventResponse(user_id, groups, roles, subprotocol)


@read_only_by_name
class MqttConnectEventRequest(ConnectEventRequest):
    """An MQTT client asks to connect; ``mqtt`` holds what its CONNECT packet says."""

    mqtt: MqttConnectProperties

    def create_response(
        self,
        user_id: str | NotGiven | None = NOT_GIVEN,
        groups: Collection[str] | NotGiven | None = NOT_GIVEN,
        roles: Collection[str] | NotGiven | None = NOT_GIVEN,
        subprotocol: str | NotGiven | None = "mqtt",
        *,
        user_properties: Collection[MqttUserProperty] | NotGiven = NOT_GIVEN,
    ) -> MqttConnectEventResponse:
        """Let the client connect; see :class:`MqttConnectEventResponse`."""
        return MqttConnectEventResponse(user_id, groups, roles, subprotocol, user_properties=user_properties)

    def create_error_response(
        self, code: MqttConnectCode | WebPubSubErrorCode | str | int, message: str = ""
    ) -> EventErrorResponse | MqttConnectEventErrorResponse:
        """Refuse the client. A generic code is said in the client's version of MQTT when it is sent."""
        if isinstance(code, MqttV311ConnectReturnCode | MqttV500ConnectReasonCode):
            return MqttConnectEventErrorResponse(code, message or None)
        return EventErrorResponse(code, message)


class ConnectedEventRequest(WebPubSubEventRequest):
    """A client is connected. The service does not wait."""


class MqttConnectedEventRequest(ConnectedEventRequest):
    """An MQTT session began."""


@read_only_by_name
class UserEventRequest(WebPubSubEventRequest):
    """A client sent a message, and the service waits for the answer.

    ``data`` is a ``str`` for text, the parsed value for JSON, and ``bytes`` for binary. ``metadata`` is the message's
    own (preview).
    """

    data: Any
    data_type: WebPubSubDataType
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False, compare=False)

    def get_data(self) -> bytes:
        """The message as the client sent it, byte for byte."""
        if self.body is not None:
            return self.body
        if self.data_type is WebPubSubDataType.JSON:
            return write_json(self.data)
        return self.data.encode() if isinstance(self.data, str) else bytes(self.data)

    def create_response(
        self, data: Any = NOT_GIVEN, data_type: WebPubSubDataType | str | None = None
    ) -> UserEventResponse:
        """Answer the client; see :class:`UserEventResponse`."""
        return UserEventResponse(data, data_type)


@read_only_by_name
class MqttUserEventRequest(UserEventRequest):
    """An MQTT client published a message; ``user_properties`` are those of its PUBLISH packet."""

    user_properties: list[MqttUserProperty] = field(default_factory=list)


@read_only_by_name
class DisconnectedEventRequest(WebPubSubEventRequest):
    """A client is gone, for this ``reason`` if there is one. The service does not wait."""

    reason: str | None = None


@read_only_by_name
class MqttDisconnectedEventRequest(DisconnectedEventRequest):
    """An MQTT session ended; ``mqtt`` says how."""

    mqtt: MqttDisconnectedProperties


@read_only_by_name
class GroupJoinedEventRequest(WebPubSubEventRequest):
    """A connection joined a group (preview). The service does not wait."""

    group: str


@read_only_by_name
class GroupLeftEventRequest(WebPubSubEventRequest):
    """A connection left a group (preview). The service does not wait."""

    group: str


# The classes of each event of a kind that this version knows, for plain and for MQTT clients.
_REQUEST_CLASSES: dict[
    tuple[WebPubSubEventType, str], tuple[type[WebPubSubEventRequest], type[WebPubSubEventRequest]]
] = {
    (WebPubSubEventType.SYSTEM, "connect"): (ConnectEventRequest, MqttConnectEventRequest),
    (WebPubSubEventType.SYSTEM, "connected"): (ConnectedEventRequest, MqttConnectedEventRequest),
    (WebPubSubEventType.SYSTEM, "disconnected"): (DisconnectedEventRequest, MqttDisconnectedEventRequest),
    (WebPubSubEventType.PRESENCE, "joined"): (GroupJoinedEventRequest, GroupJoinedEventRequest),
    (WebPubSubEventType.PRESENCE, "left"): (GroupLeftEventRequest, GroupLeftEventRequest),
}


def request_classes(
    event_type: WebPubSubEventType, event_name: str
) -> tuple[type[WebPubSubEventRequest], type[WebPubSubEventRequest]]:
    """The classes of an event, for plain and for MQTT clients."""
    if event_type is WebPubSubEventType.USER:
        return UserEventRequest, MqttUserEventRequest
    return _REQUEST_CLASSES.get((event_type, event_name.lower()), (WebPubSubEventRequest, WebPubSubEventRequest))
