"""MQTT's own vocabulary: versions, reason codes, properties, and how an error is said in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from .enums import WebPubSubErrorCode, error_status
from .records import Record, read_only_by_name


class MqttProtocolVersion(IntEnum):
    """The versions of MQTT that the service speaks, by the number in the CONNECT packet."""

    V311 = 4
    V500 = 5


class MqttV311ConnectReturnCode(IntEnum):
    """Why a CONNECT of MQTT 3.1.1 was refused."""

    UNACCEPTABLE_PROTOCOL_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_USERNAME_OR_PASSWORD = 4
    NOT_AUTHORIZED = 5


class MqttV500ConnectReasonCode(IntEnum):
    """Why a CONNECT of MQTT 5.0 was refused."""

    UNSPECIFIED_ERROR = 128
    MALFORMED_PACKET = 129
    PROTOCOL_ERROR = 130
    IMPLEMENTATION_SPECIFIC_ERROR = 131
    UNSUPPORTED_PROTOCOL_VERSION = 132
    CLIENT_IDENTIFIER_NOT_VALID = 133
    BAD_USERNAME_OR_PASSWORD = 134
    NOT_AUTHORIZED = 135
    SERVER_UNAVAILABLE = 136
    SERVER_BUSY = 137
    BANNED = 138
    BAD_AUTHENTICATION_METHOD = 140
    TOPIC_NAME_INVALID = 144
    PACKET_TOO_LARGE = 149
    QUOTA_EXCEEDED = 151
    PAYLOAD_FORMAT_INVALID = 153
    RETAIN_NOT_SUPPORTED = 154
    QOS_NOT_SUPPORTED = 155
    USE_ANOTHER_SERVER = 156
    SERVER_MOVED = 157
    CONNECTION_RATE_EXCEEDED = 159


class MqttDisconnectReasonCode(IntEnum):
    """Why an MQTT 5.0 session ended, as its DISCONNECT packet says."""

    NORMAL_DISCONNECTION = 0
    DISCONNECT_WITH_WILL_MESSAGE = 4
    UNSPECIFIED_ERROR = 128
    MALFORMED_PACKET = 129
    PROTOCOL_ERROR = 130
    IMPLEMENTATION_SPECIFIC_ERROR = 131
    NOT_AUTHORIZED = 135
    SERVER_BUSY = 137
    SERVER_SHUTTING_DOWN = 139
    KEEP_ALIVE_TIMEOUT = 141
    SESSION_TAKEN_OVER = 142
    TOPIC_FILTER_INVALID = 143
    TOPIC_NAME_INVALID = 144
    RECEIVE_MAXIMUM_EXCEEDED = 147
    TOPIC_ALIAS_INVALID = 148
    PACKET_TOO_LARGE = 149
    MESSAGE_RATE_TOO_HIGH = 150
    QUOTA_EXCEEDED = 151
    ADMINISTRATIVE_ACTION = 152
    PAYLOAD_FORMAT_INVALID = 153
    RETAIN_NOT_SUPPORTED = 154
    QOS_NOT_SUPPORTED = 155
    USE_ANOTHER_SERVER = 156
    SERVER_MOVED = 157
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 158
    CONNECTION_RATE_EXCEEDED = 159
    MAXIMUM_CONNECT_TIME = 160
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 161
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 162


#: A reason code that an app may refuse a CONNECT with.
MqttConnectCode = MqttV311ConnectReturnCode | MqttV500ConnectReasonCode


@dataclass(frozen=True)
class MqttUserProperty:
    """A name and a value that an MQTT packet carries for the application."""

    name: str
    value: str


@read_only_by_name
class MqttConnectProperties(Record):
    """What a client's CONNECT packet says beyond its id."""

    protocol_version: MqttProtocolVersion
    clean_start: bool | None = None
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    user_properties: list[MqttUserProperty] = field(default_factory=list)


@read_only_by_name
class MqttDisconnectPacketProperties(Record):
    """What a DISCONNECT packet says. A code that MQTT does not name stays a number."""

    code: MqttDisconnectReasonCode | int
    user_properties: list[MqttUserProperty] = field(default_factory=list)


@read_only_by_name
class MqttDisconnectedProperties(Record):
    """How an MQTT session ended. Without a DISCONNECT packet, ``disconnect_packet`` is ``None``."""

    initiated_by_client: bool
    disconnect_packet: MqttDisconnectPacketProperties | None = None


_V311, _V500 = MqttV311ConnectReturnCode, MqttV500ConnectReasonCode

_CODES: dict[MqttProtocolVersion, type[MqttV311ConnectReturnCode] | type[MqttV500ConnectReasonCode]] = {
    MqttProtocolVersion.V311: _V311,
    MqttProtocolVersion.V500: _V500,
}

# The status of each code, as Azure documents it; every code that is not here is a 400.
_STATUSES: dict[MqttConnectCode, int] = {
    _V311.SERVER_UNAVAILABLE: 503,
    _V311.BAD_USERNAME_OR_PASSWORD: 401,
    _V311.NOT_AUTHORIZED: 401,
    _V500.UNSPECIFIED_ERROR: 500,
    _V500.BAD_USERNAME_OR_PASSWORD: 401,
    _V500.NOT_AUTHORIZED: 401,
    _V500.SERVER_UNAVAILABLE: 503,
    _V500.SERVER_BUSY: 503,
    _V500.BANNED: 403,
    _V500.QUOTA_EXCEEDED: 429,
    _V500.USE_ANOTHER_SERVER: 500,
    _V500.SERVER_MOVED: 500,
    _V500.CONNECTION_RATE_EXCEEDED: 429,
}

_Translation = tuple[MqttV311ConnectReturnCode, MqttV500ConnectReasonCode]

_TRANSLATIONS: dict[WebPubSubErrorCode | int, _Translation] = {
    WebPubSubErrorCode.UNAUTHORIZED: (_V311.NOT_AUTHORIZED, _V500.NOT_AUTHORIZED),
    WebPubSubErrorCode.USER_ERROR: (_V311.BAD_USERNAME_OR_PASSWORD, _V500.BAD_USERNAME_OR_PASSWORD),
    WebPubSubErrorCode.SERVER_ERROR: (_V311.SERVER_UNAVAILABLE, _V500.SERVER_UNAVAILABLE),
    403: (_V311.NOT_AUTHORIZED, _V500.BANNED),
    429: (_V311.SERVER_UNAVAILABLE, _V500.CONNECTION_RATE_EXCEEDED),
    503: (_V311.SERVER_UNAVAILABLE, _V500.SERVER_UNAVAILABLE),
}
_OTHER_4XX: _Translation = (_V311.BAD_USERNAME_OR_PASSWORD, _V500.IMPLEMENTATION_SPECIFIC_ERROR)
_OTHER_5XX: _Translation = (_V311.SERVER_UNAVAILABLE, _V500.UNSPECIFIED_ERROR)


def make_connect_code(version: MqttProtocolVersion, code: int) -> MqttConnectCode:
    """Give a connect code the type of the client's version.

    :raises ValueError: if that version has no such code.
    """
    if not isinstance(code, int):  # which may be anything, and stands in no message
        raise ValueError(f"a {type(code).__name__} is no code of MQTT.")
    return _CODES[version](code)


def make_disconnect_code(code: int) -> MqttDisconnectReasonCode | int:
    """Give a disconnect code its type; one that MQTT does not name stays a number."""
    try:
        return MqttDisconnectReasonCode(code)
    except ValueError:
        return code


def connect_status(code: MqttConnectCode) -> int:
    """The HTTP status that goes with a connect code."""
    return _STATUSES.get(code, 400)


def translate_error(version: MqttProtocolVersion, code: WebPubSubErrorCode | int) -> MqttConnectCode:
    """Say a generic error in the client's version of MQTT."""
    other = _OTHER_4XX if error_status(code) < 500 else _OTHER_5XX
    v311, v500 = _TRANSLATIONS.get(code, other)
    return v311 if version is MqttProtocolVersion.V311 else v500
