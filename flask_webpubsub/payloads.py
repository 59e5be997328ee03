"""The user's own marshmallow schemas for the data of a message and of its answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from marshmallow import Schema, ValidationError
from werkzeug.wrappers import Response as HTTPResponse

from .arguments import ArgumentPlan, get_request, takes_raw_data
from .enums import WebPubSubDataType, WebPubSubErrorCode, WebPubSubEventType
from .errors import ConfigurationError, InvalidHandlerResultError
from .event_lines import REQUEST_ID
from .events import UserEventRequest
from .message_data import JSON
from .responses import (
    NOT_GIVEN,
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    UserEventResponse,
    WebPubSubEventResponse,
)
from .results import describe, is_mistake
from .wire_json import read_json, write_json

logger = logging.getLogger("flask_webpubsub")

#: A schema as it is given to a decorator.
SchemaLike = Schema | type[Schema]

Call = Callable[..., Any]

# A client that sends very many wrong things is not told of each of them.
_MAX_ERROR_BYTES = 16 * 1024
_MAX_PLACES = 10
_TOO_MANY = write_json({"errors": {"_schema": ["There are too many errors to list."]}})


@dataclass(frozen=True)
class PayloadSchemas:
    """The schemas of a handler.

    :param data: what a message must fit; ``None`` takes it as it comes.
    :param reply: dumps what the handler returns; ``None`` sends it as it is.
    :param show_errors: whether the answer says what does not fit; ``None`` means as the app's settings say.
    """

    data: Schema | None
    reply: Schema | None
    show_errors: bool | None


def make_schemas(
    event_type: WebPubSubEventType,
    schema: SchemaLike | None,
    reply_schema: SchemaLike | None,
    schema_errors: bool | None,
) -> PayloadSchemas:
    """Read the schemas of a decorator, of which one at least is given.

    :raises ConfigurationError: if the event is not one that has a payload, or there is no schema to hide errors of.
    :raises TypeError: if a schema is none.
    """
    if schema_errors is not None and schema is None:
        raise ConfigurationError("schema_errors= is about the errors of a schema: give schema= too.")
    if event_type is not WebPubSubEventType.USER:
        raise ConfigurationError(
            f"schema= and reply_schema= are for user events, whose data they check: a {event_type.value} event has "
            "none. Take them off, or register the handler with on_message or on_user_event."
        )
    return PayloadSchemas(_make("schema", schema), _make("reply_schema", reply_schema), schema_errors)


@dataclass(frozen=True)
class Payload:
    """The schemas of a handler, and the arguments that it takes.

    :raises TypeError: if the handler takes the message as it came, where a schema loads it.
    """

    schemas: PayloadSchemas
    arguments: ArgumentPlan

    def __post_init__(self) -> None:
        if self.schemas.data is not None and takes_raw_data(self.arguments):
            raise TypeError(
                f"'data' is what {_name(self.schemas.data)} loads: annotate it so, not as str, bytes or a stream. "
                "request.get_data() has the message as it came."
            )

    @property
    def plan(self) -> ArgumentPlan:
        """What to call the wrapped handler with: what is loaded first is bound later."""
        return self.arguments if self.schemas.data is None else _REQUEST_PLAN

    def wrap(self, call: Call, name: str, *, show_errors: bool) -> Call:
        """Make a handler that is called with :attr:`plan`, loads the data and dumps the result.

        :param call: the handler itself.
        :param name: what to call it in messages.
        :param show_errors: what the app's settings say.
        """
        schemas = self.schemas
        if schemas.reply is not None:
            call = _dump_after(call, schemas.reply, name)
        if schemas.data is not None:
            shown = show_errors if schemas.show_errors is None else schemas.show_errors
            call = _load_before(call, schemas.data, self.arguments, shown)
        return call


def _load_before(call: Call, schema: Schema, arguments: ArgumentPlan, show_errors: bool) -> Call:
    def checked(request: UserEventRequest) -> Any:
        try:
            data = load_data(request, schema)
        except ValidationError as error:
            messages = error.normalized_messages()  # type: ignore[no-untyped-call]
            _log(request, schema, messages)
            return _refuse(messages, show_errors)
        # Nobody writes to a request but who makes it, and until here it was not finished.
        object.__setattr__(request, "data", data)
        return call(**arguments.bind(request))

    return checked


def load_data(request: UserEventRequest, schema: Schema) -> Any:
    """Load the data of a message through a schema.

    JSON is JSON here, whatever it is sent as: what clients without a subprotocol send is always text or binary, and
    MQTT 3.1.1 has no types at all.

    :raises ValidationError: if it does not fit.
    """
    data = request.data
    if request.data_type is not WebPubSubDataType.JSON:
        try:
            data = read_json(data)
        except ValueError as error:
            raise ValidationError("The message is not JSON.") from error
    try:
        return schema.load(data)
    except RecursionError as error:  # a schema that holds itself goes as deep as the message does
        raise ValidationError("The message is nested too deep.") from error


def _refuse(messages: Mapping[Any, Any], show_errors: bool) -> HTTPResponse | EventErrorResponse:
    if not show_errors:
        return EventErrorResponse(WebPubSubErrorCode.USER_ERROR, HTTPStatus.BAD_REQUEST.phrase)
    body = write_json({"errors": _make_plain(messages)})
    return HTTPResponse(body if len(body) <= _MAX_ERROR_BYTES else _TOO_MANY, HTTPStatus.BAD_REQUEST, content_type=JSON)


def _make_plain(messages: Any) -> Any:
    """Messages as JSON has them: a translated one may be any object."""
    if isinstance(messages, Mapping):
        return {str(key): _make_plain(found) for key, found in messages.items()}
    if isinstance(messages, list | tuple):
        return [_make_plain(found) for found in messages]
    return str(messages)


def _log(request: UserEventRequest, schema: Schema, messages: Mapping[Any, Any]) -> None:
    context = request.connection_context
    logger.warning(
        "Refused with 400: the data of the %s does not fit %s: %s (request %r)",
        describe(context),
        _name(schema),
        _list_places(schema, messages),
        context.headers.get(REQUEST_ID),
    )


def _list_places(schema: Schema, messages: Mapping[Any, Any]) -> str:
    """Where the errors are, by names that the schema has: messages, and keys that it lacks, may hold the client's."""
    known = {field.data_key or name for name, field in schema.load_fields.items()} | {"_schema"}
    places = [repr(key) for key in messages if isinstance(key, int) or key in known][:_MAX_PLACES]
    others = len(messages) - len(places)
    return ", ".join(places) + (f"{' and ' if places else ''}{others} more" if others else "")


def _dump_after(call: Call, schema: Schema, name: str) -> Call:
    def dumped(**arguments: Any) -> Any:
        return dump_result(call(**arguments), schema, name)

    return dumped


def dump_result(result: Any, schema: Schema, name: str) -> Any:
    """Dump what a handler returned. What is no data for the schema stays as it is: nothing, text, bytes, an error.

    :param name: what to call the handler in messages.
    :raises InvalidHandlerResultError: if the schema finds nothing in the result that it knows.
    """
    if result is None or isinstance(result, _NO_DATA) or _is_error(result):
        return result
    if isinstance(result, UserEventResponse):
        return _dump_response(result, schema, name)
    if isinstance(result, WebPubSubEventResponse) or (is_mistake(result) and not isinstance(result, Iterable)):
        return result  # which is no answer to a message
    return UserEventResponse(_dump(result, schema, name), WebPubSubDataType.JSON)


def _dump_response(response: UserEventResponse, schema: Schema, name: str) -> UserEventResponse:
    data = response.data
    if response.data_type is not WebPubSubDataType.JSON or data is NOT_GIVEN or data is None or isinstance(data, bytes):
        return response
    dumped = copy(response)  # the handler may have kept it
    dumped.data = _dump(data, schema, name)
    return dumped


def _dump(data: Any, schema: Schema, name: str) -> Any:
    if not (_is_several(data) if schema.many else _is_one(data)):
        wanted = "a list of objects" if schema.many else f"one object; for a list there is {_name(schema)}(many=True)"
        raise InvalidHandlerResultError(
            f"{name} returned a {type(data).__name__}: its reply_schema {_name(schema)} dumps {wanted}."
        )
    objects = list(data) if schema.many else [data]
    dumped = schema.dump(objects if schema.many else data)
    # marshmallow leaves out what an object lacks, so that a wrong object comes out empty.
    for obj, found in zip(objects, dumped if isinstance(dumped, list) else [dumped], strict=False):
        if found == {} and not (isinstance(obj, Mapping) and not obj):
            raise InvalidHandlerResultError(
                f"{name} returned a {type(obj).__name__} in which its reply_schema {_name(schema)} finds no field."
            )
    return dumped


def _is_several(data: Any) -> bool:
    return isinstance(data, Iterable) and not isinstance(data, Mapping | str | tuple)


def _is_one(data: Any) -> bool:
    # A named tuple is an object like any other. A plain one is how Flask's views answer, with a status.
    return type(data) is not tuple and not isinstance(data, list | set | frozenset | Generator)


def _is_error(result: Any) -> bool:
    # As everywhere, the code wins: an error must never pass for a success.
    return isinstance(result, Mapping) and any(isinstance(key, str) and key.lower() == "code" for key in result)


def _make(option: str, schema: SchemaLike | None) -> Schema | None:
    if isinstance(schema, type) and issubclass(schema, Schema):
        return schema()
    if schema is not None and not isinstance(schema, Schema):
        raise TypeError(f"{option}= takes a marshmallow schema, a class or an instance, not {schema!r}.")
    return schema


def _name(schema: Schema) -> str:
    return type(schema).__name__


_REQUEST_PLAN = ArgumentPlan({"request": get_request}, reads_body=True)
_NO_DATA = (str, bytes, HTTPResponse, EventErrorResponse, MqttConnectEventErrorResponse)
