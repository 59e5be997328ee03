"""Hypothesis strategies for every event and every answer, in the normal form in which they survive the wire.

The normal form: times are whole seconds in UTC; header text is not empty and has no blanks at its ends; the names of
metadata and of MQTT user properties are lower case, without ``_``, and stand once (they travel as headers, which are
joined and renamed on the way); a message says its content type; the codes 400, 401 and 500 have their names.
"""

from __future__ import annotations

import string
from datetime import UTC
from typing import Any

from hypothesis import strategies as st

from flask_webpubsub import (
    NOT_GIVEN,
    ConnectedEventRequest,
    ConnectEventRequest,
    ConnectEventResponse,
    DisconnectedEventRequest,
    EventErrorResponse,
    GroupJoinedEventRequest,
    GroupLeftEventRequest,
    MqttConnectedEventRequest,
    MqttConnectEventErrorResponse,
    MqttConnectEventRequest,
    MqttConnectEventResponse,
    MqttConnectionContext,
    MqttConnectProperties,
    MqttDisconnectedEventRequest,
    MqttDisconnectedProperties,
    MqttDisconnectPacketProperties,
    MqttDisconnectReasonCode,
    MqttProtocolVersion,
    MqttUserEventRequest,
    MqttUserProperty,
    MqttV311ConnectReturnCode,
    MqttV500ConnectReasonCode,
    UserEventRequest,
    UserEventResponse,
    WebPubSubClientCertificate,
    WebPubSubConnectionContext,
    WebPubSubDataType,
    WebPubSubErrorCode,
    WebPubSubEventRequest,
    WebPubSubEventType,
)

#: Text that UTF-8 can hold.
texts = st.text(st.characters(codec="utf-8"), max_size=20)


def _header_texts(alphabet: st.SearchStrategy[str], min_size: int = 1) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=min_size, max_size=20).map(str.strip).filter(lambda text: len(text) >= min_size)


_ASCII = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
_TOKEN_CHARACTERS = string.ascii_lowercase + string.digits + "!#$%&'*+.^`|~-"

#: Values of headers that may hold commas.
header_texts = _header_texts(_ASCII)
#: Values of headers that may not.
single_headers = _header_texts(_ASCII.filter(lambda character: character != ","))
#: Names after a prefix.
tokens = st.text(_TOKEN_CHARACTERS, min_size=1, max_size=10)
#: User ids, in any script.
user_ids = _header_texts(st.characters(codec="utf-8", exclude_categories=["Cc"])) | st.just("\u00c3\u00a9")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
states = st.dictionaries(texts, json_values, max_size=4)
times = st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(microsecond=0))
value_lists = st.dictionaries(texts, st.lists(texts, max_size=3), max_size=3)
user_properties = st.lists(st.builds(MqttUserProperty, texts, texts), max_size=3)
metadata = st.dictionaries(tokens, _header_texts(_ASCII, min_size=0), max_size=3)

# Text that is itself the Latin-1 reading of some UTF-8: it must not be repaired twice.
_LOOKS_ENCODED = st.just("\u00c3\u00a9")
_PRINTABLE = st.characters(codec="utf-8").filter(str.isprintable)
#: MQTT user properties as a message has them, where they are headers.
header_user_properties = st.lists(
    st.builds(MqttUserProperty, tokens, _header_texts(_PRINTABLE, min_size=0) | _LOOKS_ENCODED),
    max_size=3,
    unique_by=lambda item: item.name,
)

_SYSTEM, _PRESENCE = st.just(WebPubSubEventType.SYSTEM), st.just(WebPubSubEventType.PRESENCE)


def _contexts(
    event_type: st.SearchStrategy[WebPubSubEventType], name: st.SearchStrategy[str] | str
) -> st.SearchStrategy[WebPubSubConnectionContext]:
    return st.builds(
        WebPubSubConnectionContext, **_context_fields(event_type, name), subprotocol=_or_none(single_headers)
    )


def _mqtt_contexts(
    event_type: st.SearchStrategy[WebPubSubEventType], name: st.SearchStrategy[str] | str
) -> st.SearchStrategy[MqttConnectionContext]:
    return st.builds(
        MqttConnectionContext,
        **_context_fields(event_type, name),
        subprotocol=st.sampled_from([None, "mqtt", "MQTT"]),
        physical_connection_id=single_headers,
        session_id=_or_none(single_headers),
    )


def _context_fields(
    event_type: st.SearchStrategy[WebPubSubEventType], name: st.SearchStrategy[str] | str
) -> dict[str, Any]:
    return {
        "event_type": event_type,
        "event_name": st.just(name) if isinstance(name, str) else name,
        "hub": header_texts,
        "connection_id": single_headers,
        "user_id": _or_none(user_ids),
        "signature": _or_none(header_texts),
        "origin": header_texts,
        "states": states,
        "event_id": _or_none(single_headers),
        "time": _or_none(times),
    }


def _or_none(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _or_not_given(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.just(NOT_GIVEN) | st.none() | strategy


# Events.

_CONNECT_FIELDS: dict[str, Any] = {
    "claims": value_lists,
    "query": value_lists,
    "headers": value_lists,
    "subprotocols": st.lists(texts, max_size=3),
    "client_certificates": st.lists(
        st.builds(WebPubSubClientCertificate, thumbprint=texts, content=_or_none(texts)), max_size=2
    ),
}

mqtt_connect_properties = st.builds(
    MqttConnectProperties,
    protocol_version=st.sampled_from(MqttProtocolVersion),
    clean_start=_or_none(st.booleans()),
    username=_or_none(texts),
    password=_or_none(st.binary(max_size=20)),
    user_properties=user_properties,
)

mqtt_disconnected_properties = st.builds(
    MqttDisconnectedProperties,
    initiated_by_client=st.booleans(),
    disconnect_packet=_or_none(
        st.builds(
            MqttDisconnectPacketProperties,
            code=st.sampled_from(MqttDisconnectReasonCode) | st.sampled_from([1, 127, 163, 255]),
            user_properties=user_properties,
        )
    ),
)

_messages = st.one_of(
    st.tuples(st.sampled_from(["text/plain", "text/plain; charset=utf-8"]), st.just("text"), texts),
    st.tuples(st.sampled_from(["application/json", "Application/JSON;charset=x"]), st.just("json"), json_values),
    st.tuples(
        st.sampled_from(["application/octet-stream", "application/x-protobuf"]),
        st.just("binary"),
        st.binary(max_size=50),
    ),
)
_mqtt_messages = _messages | st.tuples(st.sampled_from(["image/png", "text/html"]), st.just("binary"), st.binary())


def _make_message(
    request_class: type[UserEventRequest], context: Any, message: tuple[str, str, Any], **fields: Any
) -> UserEventRequest:
    content_type, data_type, data = message
    return request_class(
        connection_context=context,
        content_type=content_type,
        data_type=WebPubSubDataType(data_type),
        data=data,
        **fields,
    )


_UNKNOWN_NAMES = single_headers.filter(
    lambda name: name.lower() not in {"connect", "connected", "disconnected", "joined", "left"}
)
_USER = st.just(WebPubSubEventType.USER)

connect_requests = st.builds(ConnectEventRequest, connection_context=_contexts(_SYSTEM, "connect"), **_CONNECT_FIELDS)
mqtt_connect_requests = st.builds(
    MqttConnectEventRequest,
    connection_context=_mqtt_contexts(_SYSTEM, "connect"),
    mqtt=mqtt_connect_properties,
    **_CONNECT_FIELDS,
)
user_requests = st.builds(
    _make_message, st.just(UserEventRequest), _contexts(_USER, single_headers), _messages, metadata=metadata
)
mqtt_user_requests = st.builds(
    _make_message,
    st.just(MqttUserEventRequest),
    _mqtt_contexts(_USER, single_headers),
    _mqtt_messages,
    metadata=metadata,
    user_properties=header_user_properties,
)

#: A strategy for each class of events.
EVENTS: dict[type[WebPubSubEventRequest], st.SearchStrategy[WebPubSubEventRequest]] = {
    ConnectEventRequest: connect_requests,
    MqttConnectEventRequest: mqtt_connect_requests,
    ConnectedEventRequest: st.builds(ConnectedEventRequest, connection_context=_contexts(_SYSTEM, "connected")),
    MqttConnectedEventRequest: st.builds(
        MqttConnectedEventRequest, connection_context=_mqtt_contexts(_SYSTEM, "connected")
    ),
    UserEventRequest: user_requests,
    MqttUserEventRequest: mqtt_user_requests,
    DisconnectedEventRequest: st.builds(
        DisconnectedEventRequest, connection_context=_contexts(_SYSTEM, "disconnected"), reason=_or_none(texts)
    ),
    MqttDisconnectedEventRequest: st.builds(
        MqttDisconnectedEventRequest,
        connection_context=_mqtt_contexts(_SYSTEM, "disconnected"),
        reason=_or_none(texts),
        mqtt=mqtt_disconnected_properties,
    ),
    GroupJoinedEventRequest: st.builds(
        GroupJoinedEventRequest, connection_context=_contexts(_PRESENCE, "joined"), group=texts
    ),
    GroupLeftEventRequest: st.builds(
        GroupLeftEventRequest, connection_context=_mqtt_contexts(_PRESENCE, "left"), group=texts
    ),
    WebPubSubEventRequest: st.builds(
        WebPubSubEventRequest, connection_context=_contexts(_SYSTEM | _PRESENCE, _UNKNOWN_NAMES)
    ),
}

# Answers.

_STATES_OR_NOT_GIVEN = st.just(NOT_GIVEN) | states
_ACCEPT_FIELDS: dict[str, Any] = {
    "user_id": _or_not_given(texts),
    "groups": _or_not_given(st.lists(texts, max_size=3)),
    "roles": _or_not_given(st.lists(texts, max_size=3)),
    "states": _STATES_OR_NOT_GIVEN,
}

connect_responses = st.builds(ConnectEventResponse, subprotocol=_or_not_given(texts), **_ACCEPT_FIELDS)
mqtt_connect_responses = st.builds(
    MqttConnectEventResponse, user_properties=st.just(NOT_GIVEN) | user_properties, **_ACCEPT_FIELDS
)


def _make_user_response(message: tuple[str, Any], **fields: Any) -> UserEventResponse:
    data_type, data = message
    return UserEventResponse(data, data_type, **fields)


user_responses = st.builds(
    _make_user_response,
    st.one_of(
        st.tuples(st.just("text"), texts),
        st.tuples(st.just("json"), json_values),
        st.tuples(st.just("binary"), st.binary(max_size=50)),
    ),
    metadata=metadata,
    user_properties=header_user_properties,
    states=_STATES_OR_NOT_GIVEN,
)

error_responses = st.builds(
    EventErrorResponse, st.sampled_from(WebPubSubErrorCode) | st.integers(min_value=400, max_value=599), texts
)

_REFUSAL_FIELDS: dict[str, Any] = {
    "reason": _or_none(texts.filter(bool)),
    "user_properties": user_properties,
}
#: Refusals of MQTT clients, by the client's version.
MQTT_ERRORS = {
    MqttProtocolVersion.V311: st.builds(
        MqttConnectEventErrorResponse, st.sampled_from(MqttV311ConnectReturnCode), **_REFUSAL_FIELDS
    ),
    MqttProtocolVersion.V500: st.builds(
        MqttConnectEventErrorResponse, st.sampled_from(MqttV500ConnectReasonCode), **_REFUSAL_FIELDS
    ),
}
