"""How a handler's arguments are bound: worked out once, when it is registered."""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields as dataclass_fields
from functools import partial
from operator import attrgetter
from types import SimpleNamespace, UnionType
from typing import IO, Annotated, Any, BinaryIO, Union, get_args, get_origin, get_type_hints

from .enums import ClientProtocols, WebPubSubDataType, WebPubSubEventType
from .errors import InvalidEventError
from .events import UserEventRequest, WebPubSubEventRequest, request_classes
from .records import Record, read_only

Getter = Callable[[Any], Any]


@read_only
class ArgumentPlan(Record):
    """What to call a handler with.

    :param getters: for each parameter, the function that takes its value out of the request.
    :param reads_body: whether one of the values comes from the event's body.
    """

    getters: Mapping[str, Getter]
    reads_body: bool

    def bind(self, request: WebPubSubEventRequest) -> dict[str, Any]:
        """The keyword arguments for one event.

        :raises InvalidEventError: if the data does not have the form that the handler asks for.
        """
        return {name: get(request) for name, get in self.getters.items()}


def plan_arguments(
    function: Callable[..., Any],
    event_type: WebPubSubEventType,
    event_name: str,
    protocols: ClientProtocols = ClientProtocols.ALL,
) -> ArgumentPlan:
    """Work out how to call a handler.

    :raises TypeError: if a parameter asks for something that the event does not have. The message lists what it has.
    """
    plain, mqtt = request_classes(event_type, event_name)
    classes = {
        ClientProtocols.ALL: (plain, mqtt),
        ClientProtocols.WEB_PUB_SUB: (plain,),
        ClientProtocols.MQTT: (mqtt,),
    }[protocols]
    known = _known_arguments(plain, mqtt)
    getters: dict[str, Getter] = {}
    reads_body = False
    for parameter, annotation in _parameters(function):
        name = parameter.name
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(f"{function_name(function)}() takes {name!r} by position: arguments are given by name.")
        wanted = _request_classes_in(annotation)
        if wanted:
            if not any(issubclass(given, cls) for given in classes for cls in wanted):
                raise TypeError(
                    f"{function_name(function)}() takes a {wanted[0].__name__}, which the {event_type.value} event "
                    f"{event_name!r} never is: it is a {' or a '.join(dict.fromkeys(cls.__name__ for cls in classes))}."
                )
            getters[name] = get_request
            reads_body = True
        elif name in known:
            getters[name] = _DATA_GETTERS.get(_data_form(annotation), known[name]) if name == "data" else known[name]
            reads_body |= name not in _HEADER_ARGUMENTS
        elif parameter.default is parameter.empty:
            raise TypeError(
                f"{function_name(function)}() takes {name!r}, which the {event_type.value} event {event_name!r} "
                f"does not have. It has: {', '.join(sorted(known))}."
            )
    return ArgumentPlan(getters, reads_body)


def takes_raw_data(plan: ArgumentPlan) -> bool:
    """Whether a handler asks for a message as text, bytes or a stream, whatever its type."""
    return plan.getters.get("data") in _DATA_GETTERS.values()


def _known_arguments(*classes: type[WebPubSubEventRequest]) -> dict[str, Getter]:
    fields = {field.name for cls in classes for field in dataclass_fields(cls)}
    return _COMMON | {name: get for name, get in _OF_EVENTS.items() if name in fields}


def _parameters(function: Callable[..., Any]) -> Iterator[tuple[inspect.Parameter, Any]]:
    variable = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    namespace = getattr(written_function(function), "__globals__", {})
    for parameter in _signature(function).parameters.values():
        if parameter.kind not in variable:
            yield parameter, _evaluate(parameter.annotation, namespace)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def written_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """A handler as somebody wrote it, which may be a partial, an object or decorated."""
    written: Callable[..., Any] = inspect.unwrap(function)
    while isinstance(written, partial):
        written = inspect.unwrap(written.func)
    return written if hasattr(written, "__globals__") else inspect.unwrap(type(written).__call__)


def _evaluate(annotation: Any, namespace: dict[str, Any]) -> Any:
    """An annotation as an object; absent where it can not be evaluated, as its import is for type checkers."""
    if annotation is inspect.Parameter.empty:
        return None
    holder = SimpleNamespace(__annotations__={"value": annotation})
    try:
        return get_type_hints(holder, globalns=namespace, include_extras=True)["value"]
    except Exception:  # whatever the evaluation of somebody's annotation may raise
        return None


def _alternatives(annotation: Any) -> list[Any]:
    """The types that an annotation names, with ``X | None`` and ``Annotated`` looked through."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _alternatives(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return [found for part in get_args(annotation) if part is not type(None) for found in _alternatives(part)]
    return [annotation]


def _request_classes_in(annotation: Any) -> list[type[WebPubSubEventRequest]]:
    found = _alternatives(annotation)
    return [cls for cls in found if isinstance(cls, type) and issubclass(cls, WebPubSubEventRequest)]


def _data_form(annotation: Any) -> Any:
    found = _alternatives(annotation)
    return found[0] if len(found) == 1 and found[0] in list(_DATA_GETTERS) else None


def get_request(request: WebPubSubEventRequest) -> WebPubSubEventRequest:
    """The request itself."""
    return request


def _get_text(request: UserEventRequest) -> str:
    if request.data_type is WebPubSubDataType.TEXT:
        text: str = request.data  # to decode it again would keep it in memory twice
        return text
    try:
        return request.get_data().decode()
    except UnicodeDecodeError as error:
        raise InvalidEventError("The handler takes text, and the message is not UTF-8.") from error


def _get_bytes(request: UserEventRequest) -> bytes:
    return request.get_data()


def _get_stream(request: UserEventRequest) -> BinaryIO:
    return io.BytesIO(request.get_data())


def _get_or_none(name: str) -> Getter:
    return lambda request: getattr(request, name, None)


def function_name(function: Callable[..., Any]) -> str:
    """What to call a function in a message."""
    return getattr(function, "__qualname__", type(function).__name__)


_DATA_GETTERS: dict[Any, Getter] = {
    str: _get_text,
    bytes: _get_bytes,
    BinaryIO: _get_stream,
    IO[bytes]: _get_stream,
    io.BytesIO: _get_stream,
}

_COMMON: dict[str, Getter] = {
    "request": get_request,
    "connection_context": attrgetter("connection_context"),
    "states": attrgetter("connection_context.states"),
    "user_id": attrgetter("connection_context.user_id"),
    "connection_id": attrgetter("connection_context.connection_id"),
    "hub": attrgetter("connection_context.hub"),
    "event_name": attrgetter("connection_context.event_name"),
}

# Off MQTT, what only MQTT has is None.
_OF_EVENTS: dict[str, Getter] = {
    "data": attrgetter("data"),
    "data_type": attrgetter("data_type"),
    "metadata": attrgetter("metadata"),
    "claims": attrgetter("claims"),
    "query": attrgetter("query"),
    "headers": attrgetter("headers"),
    "subprotocols": attrgetter("subprotocols"),
    "client_certificates": attrgetter("client_certificates"),
    "reason": attrgetter("reason"),
    "group": attrgetter("group"),
    "mqtt": _get_or_none("mqtt"),
    "user_properties": _get_or_none("user_properties"),
}

_HEADER_ARGUMENTS = (_COMMON.keys() - {"request"}) | {"data_type", "metadata", "user_properties"}
