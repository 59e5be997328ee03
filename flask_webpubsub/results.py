"""What a handler's result means: from what it returned or raised to a response."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Coroutine, Generator, Mapping
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response as HTTPResponse

from .codec import Response
from .enums import WebPubSubDataType, WebPubSubEventType, error_status, make_error_code
from .errors import EventError, InvalidHandlerResultError
from .events import MqttConnectEventRequest, WebPubSubConnectionContext, WebPubSubEventRequest
from .message_data import is_message_type
from .readers import make_answer_reader
from .responses import (
    ConnectEventResponse,
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    MqttConnectEventResponse,
    UserEventResponse,
    WebPubSubEventResponse,
)
from .schemas import (
    AnswerSchema,
    ConnectAnswerSchema,
    ErrorAnswerSchema,
    MqttConnectAnswerSchema,
    MqttErrorAnswerSchema,
    UserAnswerSchema,
)
from .wire_json import read_json

logger = logging.getLogger("flask_webpubsub")


def make_response(result: Any, request: WebPubSubEventRequest) -> Response | HTTPResponse | None:
    """Find the answer in what a handler returned, or in an error that it raised; ``None`` is an empty one.

    :raises InvalidHandlerResultError: if the result is no answer to the event, and ignoring it would not be safe.
    """
    if result is None:
        return None
    context = request.connection_context
    if not isinstance(result, WebPubSubEventResponse):
        if isinstance(result, (EventError, HTTPException)):
            result = make_error_response(result)
        elif isinstance(result, Mapping):
            result = _load_mapping(result, request)
    if context.event_type is WebPubSubEventType.USER:
        return _answer_message(result, context)
    if is_connect(context):
        return _answer_connect(result, request)
    return _answer_notice(result, context)


def make_error_response(error: EventError | HTTPException) -> EventErrorResponse:
    """Find the answer in what a handler raised.

    :raises InvalidHandlerResultError: if it raised an HTTP exception that is no error, such as a redirect.
    """
    if isinstance(error, EventError):
        return EventErrorResponse(error.code, error.message)
    status = error.code if error.response is None else getattr(error.response, "status_code", None)
    if status is None or not 400 <= status <= 599:
        raise InvalidHandlerResultError(f"The handler raised a {type(error).__name__}, which is no error of an event.")
    # Werkzeug's own descriptions are meant for people in front of a browser.
    message = str(error.description) if "description" in vars(error) else HTTP_STATUS_CODES.get(status, "")
    return EventErrorResponse(status, message)


def is_connect(context: WebPubSubConnectionContext) -> bool:
    """Whether an event asks to let a client in."""
    return context.event_type is WebPubSubEventType.SYSTEM and context.event_name.lower() == "connect"


def _answer_connect(result: Any, request: WebPubSubEventRequest) -> Response | HTTPResponse:
    mqtt = isinstance(request, MqttConnectEventRequest)
    match result:
        case MqttConnectEventResponse() | MqttConnectEventErrorResponse() if not mqtt:
            raise _no_answer(result, request.connection_context)
        case ConnectEventResponse() | EventErrorResponse() | MqttConnectEventErrorResponse():
            return result
        case HTTPResponse():
            return _pass_through(result, request.connection_context)
    # To ignore it would let the client in.
    raise _no_answer(result, request.connection_context)


def _answer_message(result: Any, context: WebPubSubConnectionContext) -> Response | HTTPResponse | None:
    match result:
        case UserEventResponse() | EventErrorResponse():
            return result
        case str() | bytes():
            return UserEventResponse(result)
        case HTTPResponse():
            return _pass_through(result, context)
        case MqttConnectEventErrorResponse():
            raise _no_answer(result, context)
    if is_mistake(result):
        raise _no_answer(result, context)
    _warn_ignored(result, context)
    return None


def _answer_notice(result: Any, context: WebPubSubConnectionContext) -> EventErrorResponse | None:
    if isinstance(result, EventErrorResponse):
        try:
            status = error_status(make_error_code(result.code))
        except ValueError as error:
            raise InvalidHandlerResultError(
                f"The handler of {describe(context)} answered with an error: {error}"
            ) from error
        logger.warning("The handler of %s answered with the error %d.", describe(context), status)
        return result if status == 408 or status >= 500 else None
    if is_mistake(result) or isinstance(result, MqttConnectEventErrorResponse):
        _warn_ignored(result, context)
    return None


def _pass_through(result: HTTPResponse, context: WebPubSubConnectionContext) -> HTTPResponse:
    # The service may follow a redirect, and find a page behind it that says 200.
    if result.status_code < 200 or 300 <= result.status_code < 400:
        raise InvalidHandlerResultError(
            f"The handler of {describe(context)} answered with the status {result.status_code}: "
            "an event is answered with 2xx, 4xx or 5xx."
        )
    if not result.status.isprintable():  # Werkzeug lets a line break pass, and some servers too
        raise InvalidHandlerResultError(
            f"The handler of {describe(context)} answered with a status line that holds control characters: "
            "leave out of its status what a client sent, or give the number alone."
        )
    if context.event_type is WebPubSubEventType.USER and result.status_code < 300:
        has_body = result.is_streamed or result.calculate_content_length() != 0
        if has_body and not is_message_type(result.content_type):
            raise InvalidHandlerResultError(
                f"The handler of {describe(context)} answered with the type {result.content_type!r}, which the service "
                "does not take: set mimetype='text/plain', 'application/json' or 'application/octet-stream'."
            )
    return result


def _load_mapping(result: Mapping[Any, Any], request: WebPubSubEventRequest) -> Any:
    keys = {key.lower() for key in result if isinstance(key, str)}
    context = request.connection_context
    # The code wins, whatever else is there: an error must never pass for a success.
    if "code" in keys:
        values = _load(_ERROR, result, context)
        return EventErrorResponse(values["code"], values["error_message"] or "")
    if context.event_type is WebPubSubEventType.USER:
        return _make_user_response(_load(_USER, result, context))
    if not is_connect(context):
        return result
    if not isinstance(request, MqttConnectEventRequest):
        return _with_states(ConnectEventResponse, _load(_CONNECT, result, context))
    if _holds_mqtt_code(result):
        return MqttConnectEventErrorResponse(**_load(_MQTT_ERROR, result, context)["mqtt"])
    values = _load(_MQTT_CONNECT, result, context)
    return _with_states(MqttConnectEventResponse, values | values.pop("mqtt", {}))


def _make_user_response(values: dict[str, Any]) -> WebPubSubEventResponse:
    # Azure's rule for mappings: data of type json that is JSON text already goes out as it stands.
    data = values.get("data")
    if values.get("data_type") is WebPubSubDataType.JSON and isinstance(data, str) and _is_json(data):
        values["data"] = data.encode()
    return _with_states(UserEventResponse, values)


def _with_states(response_class: type[WebPubSubEventResponse], values: dict[str, Any]) -> WebPubSubEventResponse:
    clear = "states" in values and values["states"] is None
    if clear:
        del values["states"]
    response = response_class(**values)
    if clear:
        response.clear_states()
    return response


def _holds_mqtt_code(result: Mapping[Any, Any]) -> bool:
    mqtt = next((value for key, value in result.items() if isinstance(key, str) and key.lower() == "mqtt"), None)
    return isinstance(mqtt, Mapping) and any(isinstance(key, str) and key.lower() == "code" for key in mqtt)


def _load(schema: AnswerSchema, result: Mapping[Any, Any], context: WebPubSubConnectionContext) -> dict[str, Any]:
    try:
        return _READERS[schema](result)
    except ValueError as error:
        keys = ", ".join(field.data_key or name for name, field in schema.fields.items())
        raise InvalidHandlerResultError(
            f"The handler of {describe(context)} returned a mapping that is no answer to it: {error} "
            f"An answer may have these keys: {keys}."
        ) from error


def _is_json(text: str) -> bool:
    try:
        read_json(text)
    except ValueError:
        return False
    return True


def is_mistake(result: Any) -> bool:
    """Whether a handler can not have meant this as an answer."""
    return isinstance(result, tuple | list | type | Coroutine | Generator | AsyncGenerator)


def _no_answer(result: Any, context: WebPubSubConnectionContext) -> InvalidHandlerResultError:
    _close(result)
    return InvalidHandlerResultError(
        f"The handler of {describe(context)} returned a {type(result).__name__}, which is no answer to it."
    )


def _warn_ignored(result: Any, context: WebPubSubConnectionContext) -> None:
    _close(result)
    logger.warning("The handler of %s returned a %s, which is ignored.", describe(context), type(result).__name__)


def _close(result: Any) -> None:
    if isinstance(result, Coroutine):
        result.close()  # it will never be awaited, and Python would warn of that too


def describe(context: WebPubSubConnectionContext) -> str:
    """An event in a few words, for a log line."""
    return f"{context.event_type.value} event {context.event_name!r} of hub {context.hub!r}"


_CONNECT = ConnectAnswerSchema()
_MQTT_CONNECT = MqttConnectAnswerSchema()
_MQTT_ERROR = MqttErrorAnswerSchema()
_USER = UserAnswerSchema()
_ERROR = ErrorAnswerSchema()
_SCHEMAS: tuple[AnswerSchema, ...] = (_CONNECT, _MQTT_CONNECT, _MQTT_ERROR, _USER, _ERROR)
_READERS = {schema: make_answer_reader(schema) for schema in _SCHEMAS}
