"""HTTP messages to events and back, responses to HTTP messages and back; no I/O, no Flask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from werkzeug.datastructures import EnvironHeaders

from .enums import WebPubSubDataType, WebPubSubErrorCode, WebPubSubEventType, error_status, make_error_code
from .errors import InvalidAnswerError, InvalidEventError, InvalidHandlerResultError
from .events import (
    ConnectEventRequest,
    DisconnectedEventRequest,
    GroupJoinedEventRequest,
    GroupLeftEventRequest,
    MqttConnectEventRequest,
    MqttConnectionContext,
    MqttDisconnectedEventRequest,
    MqttUserEventRequest,
    UserEventRequest,
    WebPubSubConnectionContext,
    WebPubSubEventRequest,
    request_classes,
)
from .message_data import CONTENT_TYPES, JSON, TEXT, decode_data, encode_data, find_data_type
from .messages import Answer, Message, media_type
from .mqtt import MqttProtocolVersion, connect_status, make_connect_code, translate_error
from .properties import (
    decode_metadata,
    decode_user_properties,
    encode_metadata,
    encode_user_properties,
    find_metadata,
    find_user_properties,
)
from .readers import make_answer_writer, make_body_reader, make_header_reader
from .responses import (
    NOT_GIVEN,
    ConnectEventResponse,
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    MqttConnectEventResponse,
    UserEventResponse,
    WebPubSubEventResponse,
    guess_data_type,
)
from .schemas import (
    ConnectAnswerSchema,
    ConnectSchema,
    ContextSchema,
    DisconnectedSchema,
    GroupSchema,
    MqttAcceptSchema,
    MqttConnectAnswerSchema,
    MqttConnectSchema,
    MqttDisconnectedSchema,
    MqttErrorAnswerSchema,
    dump,
    load,
)
from .states import NO_STATES, decode_states, encode_states
from .wire_json import read_json, write_json

#: Every answer that a handler may give.
Response = WebPubSubEventResponse | EventErrorResponse | MqttConnectEventErrorResponse

DEFAULT_MAX_BODY_BYTES = 2 * 1024 * 1024
DEFAULT_MAX_STATE_BYTES = 4096
STATE_HEADER = "ce-connectionState"


class Delivery(NamedTuple):
    """An event as the service posts it: header values are text, whatever their bytes on the wire."""

    headers: list[tuple[str, str]]
    body: bytes


# An event, from the service to the app.


def decode_context(message: Message) -> WebPubSubConnectionContext:
    """Read the headers that say which event this is; :func:`decode_event` adds the states.

    :raises InvalidEventError: if a header is missing or wrong.
    """
    try:
        values = _read_context(message.environ)
    except ValueError as error:
        raise InvalidEventError(f"The event's headers are wrong: {error}") from error
    (event_type, type_name), event_name, hub, connection_id, origin, signature, user_id = values[:7]
    subprotocol, event_id, time, physical_connection_id, session_id = values[7:]
    if type_name != event_name and type_name.lower() != event_name.lower():
        raise InvalidEventError(f"ce-eventName is {event_name!r}, but ce-type says {type_name!r}.")
    context = WebPubSubConnectionContext(
        event_type=event_type,
        event_name=event_name,
        hub=hub,
        connection_id=connection_id,
        user_id=user_id,
        subprotocol=subprotocol,
        signature=signature,
        origin=origin,
        states=NO_STATES,
        headers=EnvironHeaders(message.environ),
        event_id=event_id,
        time=time,
    )
    if physical_connection_id and (subprotocol or "mqtt").lower() == "mqtt":
        return MqttConnectionContext(
            physical_connection_id=physical_connection_id, session_id=session_id, **vars(context)
        )
    return context


def decode_event(
    context: WebPubSubConnectionContext,
    message: Message,
    *,
    with_body: bool = True,
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
) -> WebPubSubEventRequest:
    """Read the rest of an event: the connection's states and, where somebody looks at it, the body.

    :param with_body: without it, the body is not read, and the fields that come from it are not there.
    :raises InvalidEventError: if the states or the body are malformed.
    :raises EventTooLargeError: if the body has more than ``max_body_bytes``.
    """
    # The context was needed to check the signature, and nothing that can wait is decoded before that.
    states = message.header(STATE_HEADER)
    if states:
        object.__setattr__(context, "states", decode_states(states))
    if context.event_type is WebPubSubEventType.USER:
        return _decode_user_event(context, message, max_body_bytes if with_body else None)
    request_class = request_classes(context.event_type, context.event_name)[is_mqtt(context)]
    read = _BODY_READERS.get(request_class)
    if read is None:
        return request_class(connection_context=context)
    if not with_body:
        return WebPubSubEventRequest(connection_context=context)
    if message.media_type != JSON:
        raise InvalidEventError(f"The Content-Type is {message.content_type!r} where {JSON!r} is due.")
    try:
        values = read(read_json(message.read_body(max_body_bytes)))
    except ValueError as error:
        raise InvalidEventError(f"The body is malformed: {error}") from error
    return request_class(connection_context=context, **values)


def encode_event(request: WebPubSubEventRequest) -> Delivery:
    """Write an event as the service does; the signature is the context's.

    :raises ValueError: if a value is one that no event can have.
    """
    context = request.connection_context
    headers = [(name, value) for name, value in _encode_context(context).items() if value is not None]
    if isinstance(request, UserEventRequest):
        headers.append(("Content-Type", request.content_type or CONTENT_TYPES[request.data_type]))
        headers += encode_metadata(request.metadata)
        if isinstance(request, MqttUserEventRequest):
            headers += encode_user_properties(request.user_properties)
        return Delivery(headers, request.get_data())
    headers.append(("Content-Type", "application/json; charset=utf-8"))
    schema = _SCHEMAS.get(type(request))
    return Delivery(headers, write_json({} if schema is None else dump(schema, request)))


def is_mqtt(context: WebPubSubConnectionContext) -> bool:
    """Whether an event is of an MQTT client."""
    return isinstance(context, MqttConnectionContext)


def _decode_user_event(
    context: WebPubSubConnectionContext, message: Message, max_body_bytes: int | None
) -> UserEventRequest:
    mqtt = is_mqtt(context)
    content_type = message.content_type
    data_type = find_data_type(content_type)
    if data_type is None:
        if not mqtt:
            raise InvalidEventError(f"A message has no data type for the Content-Type {content_type!r}.")
        data_type = WebPubSubDataType.BINARY
    body = None if max_body_bytes is None else message.read_body(max_body_bytes)
    try:
        data = None if body is None else decode_data(body, data_type)
    except ValueError as error:
        raise InvalidEventError(f"The body is no {data_type.value}.") from error
    request = UserEventRequest(
        connection_context=context,
        data=data,
        data_type=data_type,
        content_type=content_type,
        metadata=find_metadata(message.environ),
        body=body,
    )
    if mqtt:
        return MqttUserEventRequest(user_properties=find_user_properties(message.environ), **vars(request))
    return request


def _encode_context(context: WebPubSubConnectionContext) -> dict[str, Any]:
    path = f"/hubs/{context.hub}/client/{context.connection_id}"
    if isinstance(context, MqttConnectionContext):
        path += f"/{context.physical_connection_id}"
    return dump(
        _CONTEXT,
        {
            **vars(context),
            "type": (context.event_type, context.event_name),
            "states": encode_states(context.states) if context.states else None,
            "source": path,
            "specversion": "1.0",
            "awpsversion": "1.0",
        },
    )


# A response, from the app to the service.


def encode_response(
    response: Response,
    request: WebPubSubEventRequest,
    *,
    write_json: Callable[[Any], bytes] = write_json,
    max_state_bytes: int = DEFAULT_MAX_STATE_BYTES,
) -> Answer:
    """Write the answer to an event.

    :param write_json: writes the data of a JSON message.
    :param max_state_bytes: how large the states may be, in base64.
    :raises InvalidHandlerResultError: if the answer holds something that can not be sent.
    """
    try:
        match response:
            case UserEventResponse():
                answer = _encode_user_response(response, write_json)
            case ConnectEventResponse():
                answer = _encode_connect_response(response)
            case EventErrorResponse():
                return encode_error(make_error_code(response.code), response.error_message, mqtt_version(request))
            case MqttConnectEventErrorResponse():
                version = mqtt_version(request)
                if version is None:
                    raise ValueError("an MQTT error does not fit the event.")
                return _encode_mqtt_error(response, version)
            case _:
                answer = Answer(204)
        answer.headers += _encode_changed_states(response, request.connection_context.states, max_state_bytes)
    except ValueError as error:
        raise InvalidHandlerResultError(f"The {type(response).__name__} can not be sent: {error}") from error
    return answer


def encode_error(
    code: WebPubSubErrorCode | int, message: str = "", version: MqttProtocolVersion | None = None
) -> Answer:
    """Write an error; with a version of MQTT, in its words.

    :raises ValueError: if the message is not text.
    """
    if not isinstance(message, str):
        raise ValueError("the error's message is not a string.")
    status = error_status(code)
    if version is None:
        return Answer(status, [("Content-Type", TEXT)], message.encode())
    error = MqttConnectEventErrorResponse(translate_error(version, code), message or None)
    return Answer(status, [("Content-Type", JSON)], _encode_mqtt_body(error))


def decode_response(answer: Answer, request: WebPubSubEventRequest) -> Response | None:
    """Read the answer to an event as the service does. An empty one is ``None``.

    :raises InvalidAnswerError: if the service could not read it.
    """
    try:
        if 400 <= answer.status <= 599:
            return _decode_error(answer, request)
        if not 200 <= answer.status <= 299:
            raise ValueError(f"its status is {answer.status}.")
        if isinstance(request, ConnectEventRequest):
            response: WebPubSubEventResponse | None = _decode_connect_response(answer, request)
        elif isinstance(request, UserEventRequest):
            response = _decode_user_response(answer)
        else:
            return None
        header = answer.header(STATE_HEADER)
        if header is not None:
            if response is None:
                response = request.create_response()
            response.states = dict(decode_states(header))
        return response
    except (ValueError, InvalidEventError) as error:
        raise InvalidAnswerError(f"The answer can not be read: {error}") from error


def mqtt_version(request: WebPubSubEventRequest) -> MqttProtocolVersion | None:
    """The version of MQTT in which the client is to be told that it can not connect; else ``None``."""
    return request.mqtt.protocol_version if isinstance(request, MqttConnectEventRequest) else None


def _encode_connect_response(response: ConnectEventResponse) -> Answer:
    body = _write_connect_answer(response)
    if isinstance(response, MqttConnectEventResponse):
        if response.subprotocol != "mqtt":
            raise ValueError("its subprotocol is not 'mqtt'.")
        if response.user_properties is not NOT_GIVEN:
            body["mqtt"] = dump(_MQTT_ACCEPT, response)
    return Answer(200, [("Content-Type", JSON)], write_json(body))


def _encode_user_response(response: UserEventResponse, write_json: Callable[[Any], bytes]) -> Answer:
    headers: list[tuple[str, str]] = []
    if response.metadata:
        headers += encode_metadata(response.metadata)
    if response.user_properties:
        headers += encode_user_properties(response.user_properties)
    if response.data is NOT_GIVEN:
        return Answer(200, [("Content-Type", TEXT), *headers]) if response.metadata else Answer(204, headers)
    data_type = guess_data_type(response.data) if response.data_type is None else response.data_type
    if type(data_type) is not WebPubSubDataType:
        data_type = WebPubSubDataType(data_type)
    body = encode_data(response.data, data_type, write_json)
    return Answer(200, [("Content-Type", CONTENT_TYPES[data_type]), *headers], body)


def _encode_changed_states(
    response: WebPubSubEventResponse, states: Mapping[str, Any], max_state_bytes: int
) -> list[tuple[str, str]]:
    if response.states is NOT_GIVEN:
        return []
    if type(response.states) is not dict and not isinstance(response.states, Mapping):
        raise ValueError("its states are no map.")
    header = encode_states(response.states if response.states_cleared else {**states, **response.states})
    if len(header) > max_state_bytes:
        raise ValueError(
            f"the connection's states take {len(header)} bytes, and WEBPUBSUB_MAX_STATE_BYTES is {max_state_bytes}."
        )
    return [(STATE_HEADER, header)]


def _encode_mqtt_error(response: MqttConnectEventErrorResponse, version: MqttProtocolVersion) -> Answer:
    code = make_connect_code(version, response.code)
    return Answer(connect_status(code), [("Content-Type", JSON)], _encode_mqtt_body(response))


def _encode_mqtt_body(response: MqttConnectEventErrorResponse) -> bytes:
    body = dump(_MQTT_ERROR, {"mqtt": response})["mqtt"]
    optional = {name: body.pop(name, None) for name in ("reason", "userProperties")}  # which may be NOT_GIVEN
    return write_json({"mqtt": body | {name: value for name, value in optional.items() if value}})


def _decode_error(answer: Answer, request: WebPubSubEventRequest) -> Response:
    version = mqtt_version(request)
    if version is None or media_type(answer.header("Content-Type")) != JSON:
        return EventErrorResponse(answer.status, answer.body.decode())
    values = load(_MQTT_ERROR, read_json(answer.body))["mqtt"]
    values["code"] = make_connect_code(version, values["code"])
    return MqttConnectEventErrorResponse(**values)


def _decode_connect_response(answer: Answer, request: ConnectEventRequest) -> ConnectEventResponse | None:
    # The service reads JSON here whatever the Content-Type says.
    values = read_json(answer.body) if answer.body else None
    if values is None:
        return None
    if not isinstance(request, MqttConnectEventRequest):
        return ConnectEventResponse(**load(_CONNECT_ANSWER, values))
    values = load(_MQTT_CONNECT_ANSWER, values)
    return MqttConnectEventResponse(**values | values.pop("mqtt", {}))


def _decode_user_response(answer: Answer) -> UserEventResponse | None:
    metadata = decode_metadata(answer.headers)
    properties = decode_user_properties(answer.headers)
    if not answer.body and answer.status == 204:
        return UserEventResponse(metadata=metadata, user_properties=properties) if metadata or properties else None
    content_type = answer.header("Content-Type")
    data_type = find_data_type(content_type) if content_type else WebPubSubDataType.BINARY
    if data_type is None:
        raise ValueError(f"the service takes no {content_type!r} for a message.")
    data = decode_data(answer.body, data_type)
    return UserEventResponse(data, data_type, metadata=metadata, user_properties=properties)


_CONTEXT = ContextSchema()
_read_context = make_header_reader(
    _CONTEXT,
    (
        *("type", "event_name", "hub", "connection_id", "origin", "signature", "user_id"),
        *("subprotocol", "event_id", "time", "physical_connection_id", "session_id"),
    ),
)
_SCHEMAS = {
    ConnectEventRequest: ConnectSchema(),
    MqttConnectEventRequest: MqttConnectSchema(),
    DisconnectedEventRequest: DisconnectedSchema(),
    MqttDisconnectedEventRequest: MqttDisconnectedSchema(),
    GroupJoinedEventRequest: GroupSchema(),
    GroupLeftEventRequest: GroupSchema(),
}
_BODY_READERS = {request_class: make_body_reader(schema) for request_class, schema in _SCHEMAS.items()}
_CONNECT_ANSWER = ConnectAnswerSchema()
_write_connect_answer = make_answer_writer(_CONNECT_ANSWER)
_MQTT_CONNECT_ANSWER = MqttConnectAnswerSchema()
_MQTT_ACCEPT = MqttAcceptSchema()
_MQTT_ERROR = MqttErrorAnswerSchema()
