"""One marshmallow schema for each shape on the wire, used both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, missing, post_load, pre_load
from marshmallow.fields import Nested

from .enums import make_error_code
from .fields import (
    AnyHeader,
    Anything,
    Base64,
    Certificates,
    Code,
    DataType,
    EventTypeHeader,
    Flag,
    HeaderText,
    NumberCode,
    SingleHeader,
    StateMap,
    Text,
    TextList,
    TextListMap,
    TextMap,
    TimeHeader,
    UserIdHeader,
    UserProperties,
)
from .mqtt import (
    MqttConnectProperties,
    MqttDisconnectedProperties,
    MqttDisconnectPacketProperties,
    MqttProtocolVersion,
    make_disconnect_code,
)
from .responses import NOT_GIVEN


def load(schema: Schema, data: Any) -> dict[str, Any]:
    """Read a shape of the wire.

    :raises ValueError: if the data does not fit, with the schema's messages by field.
    """
    try:
        values: dict[str, Any] = schema.load(data)
    except ValidationError as error:
        raise ValueError(describe(error)) from error
    return values


def dump(schema: Schema, obj: Any) -> dict[str, Any]:
    """Write a shape of the wire.

    :raises ValueError: if a value is not of its field's type.
    """
    try:
        data: dict[str, Any] = schema.dump(obj)
    except ValidationError as error:
        raise ValueError(describe(error)) from error
    return data


def describe(error: ValidationError) -> str:
    """The messages of a schema, by field, in one line. They hold no values."""
    messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
    return "; ".join(f"{_show(field)}: {_flatten(found)}" for field, found in messages.items())


def _flatten(found: Any) -> str:
    if isinstance(found, dict):
        return ", ".join(f"{_show(key)}: {_flatten(value)}" for key, value in found.items())
    return " ".join(map(str, found)) if isinstance(found, list) else str(found)


def _show(key: object) -> str:
    # One that no field has may be a client's, where a handler answers with what it was sent.
    text = str(key)[:_MAX_KEY]
    return text if text.isprintable() else repr(text)


_MAX_KEY = 80


# What the service sends.


class ServiceSchema(Schema):
    """Ignores keys that this version does not know, and takes null for absent."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def drop_nulls(self, data: Any, **kwargs: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class ContextSchema(Schema):
    """The headers that every event has."""

    class Meta:
        unknown = EXCLUDE

    origin = AnyHeader(data_key="WebHook-Request-Origin", required=True)
    type = EventTypeHeader(data_key="ce-type", required=True)
    event_name = SingleHeader(data_key="ce-eventName", required=True)
    hub = HeaderText(data_key="ce-hub", required=True)
    connection_id = SingleHeader(data_key="ce-connectionId", required=True)
    signature = AnyHeader(data_key="ce-signature")
    user_id = UserIdHeader(data_key="ce-userId")
    subprotocol = SingleHeader(data_key="ce-subprotocol")
    states = SingleHeader(data_key="ce-connectionState")
    event_id = SingleHeader(data_key="ce-id")
    time = TimeHeader(data_key="ce-time")
    physical_connection_id = SingleHeader(data_key="ce-physicalConnectionId")
    session_id = SingleHeader(data_key="ce-sessionId")
    source = HeaderText(data_key="ce-source")
    specversion = HeaderText(data_key="ce-specversion")
    awpsversion = HeaderText(data_key="ce-awpsversion")


class ConnectSchema(ServiceSchema):
    """The body of ``connect``."""

    claims = TextListMap(load_default=dict)
    query = TextListMap(load_default=dict)
    headers = TextListMap(load_default=dict)
    subprotocols = TextList(load_default=list)
    client_certificates = Certificates(data_key="clientCertificates", load_default=list)


class MqttConnectPropertiesSchema(ServiceSchema):
    """What an MQTT client's CONNECT packet says."""

    protocol_version = NumberCode(MqttProtocolVersion, data_key="protocolVersion", required=True)
    clean_start = Flag(data_key="cleanStart")
    username = Text()
    password = Base64()
    user_properties = UserProperties(data_key="userProperties")

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> MqttConnectProperties:
        return MqttConnectProperties(**data)


class MqttConnectSchema(ConnectSchema):
    """The body of an MQTT client's ``connect``."""

    mqtt = Nested(MqttConnectPropertiesSchema, required=True)


class DisconnectedSchema(ServiceSchema):
    """The body of ``disconnected``."""

    reason = Text(load_default=None)


class MqttDisconnectPacketSchema(ServiceSchema):
    """What an MQTT DISCONNECT packet says."""

    code = NumberCode(make_disconnect_code, required=True)
    user_properties = UserProperties(data_key="userProperties")

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> MqttDisconnectPacketProperties:
        return MqttDisconnectPacketProperties(**data)


class MqttDisconnectedPropertiesSchema(ServiceSchema):
    """How an MQTT session ended."""

    initiated_by_client = Flag(data_key="initiatedByClient", required=True)
    disconnect_packet = Nested(MqttDisconnectPacketSchema, data_key="disconnectPacket")

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> MqttDisconnectedProperties:
        return MqttDisconnectedProperties(**data)


class MqttDisconnectedSchema(DisconnectedSchema):
    """The body of an MQTT session's ``disconnected``."""

    mqtt = Nested(MqttDisconnectedPropertiesSchema, required=True)


class GroupSchema(ServiceSchema):
    """The body of ``joined`` and ``left``."""

    group = Text(required=True)


# What a handler answers.


class AnswerSchema(Schema):
    """Takes keys in camelCase and snake_case, ignoring case, and refuses what it does not know."""

    class Meta:
        unknown = RAISE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        #: The key of each spelling, in lower case.
        keys = {name: field.data_key or name for name, field in self.fields.items()}
        self.spellings = keys | {key.lower(): key for key in keys.values()}

    @pre_load
    def find_keys(self, data: Any, **kwargs: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        found: dict[Any, Any] = {}
        for key, value in data.items():
            name = self.spellings.get(key.lower(), key) if isinstance(key, str) else repr(key)
            if name in found:
                raise ValidationError("Given twice, in different spellings.", name)
            found[name] = value
        return found

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        value = super().get_attribute(obj, attr, default)
        return missing if value is NOT_GIVEN else value


class ConnectAnswerSchema(AnswerSchema):
    """The answer that lets a client connect."""

    user_id = Text(data_key="userId", allow_none=True)
    groups = TextList(allow_none=True)
    roles = TextList(allow_none=True)
    subprotocol = Text(allow_none=True)
    states = StateMap(load_only=True, allow_none=True)


class MqttAcceptSchema(AnswerSchema):
    """What the CONNACK packet of an accepted MQTT client says."""

    user_properties = UserProperties(data_key="userProperties")


class MqttConnectAnswerSchema(ConnectAnswerSchema):
    """The answer that lets an MQTT client connect."""

    mqtt = Nested(MqttAcceptSchema)


class UserAnswerSchema(AnswerSchema):
    """The answer to a message as a mapping has it; on the wire it is a body and headers."""

    data = Anything(allow_none=True)
    data_type = DataType(data_key="dataType", allow_none=True)
    states = StateMap(allow_none=True)
    metadata = TextMap()
    user_properties = UserProperties(data_key="userProperties")


class ErrorAnswerSchema(AnswerSchema):
    """An error as a mapping has it. Its code wins, so that other keys do not matter."""

    class Meta:
        unknown = EXCLUDE

    code = Code(make_error_code, required=True)
    error_message = Text(data_key="errorMessage", load_default="", allow_none=True)


class MqttRefuseSchema(AnswerSchema):
    """What the CONNACK packet of a refused MQTT client says."""

    code = NumberCode(int, required=True)
    reason = Text(allow_none=True)
    user_properties = UserProperties(data_key="userProperties")


class MqttErrorAnswerSchema(AnswerSchema):
    """The answer that refuses an MQTT client."""

    mqtt = Nested(MqttRefuseSchema, required=True)
