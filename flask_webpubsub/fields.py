"""The marshmallow fields that the schemas are made of."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from marshmallow import ValidationError, fields

from .enums import WebPubSubDataType, WebPubSubEventType
from .events import WebPubSubClientCertificate
from .messages import from_wsgi
from .mqtt import MqttUserProperty
from .wire_json import are_strings


class Checked(fields.Field[Any]):
    """A field with one function that reads it, and that writes it too where its two forms are the same."""

    def check(self, value: Any) -> Any:
        """The value of what was read; a :exc:`~marshmallow.ValidationError` if it does not fit."""
        raise NotImplementedError

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> Any:
        try:
            return super().serialize(attr, obj, accessor, **kwargs)
        except ValidationError as error:  # of which marshmallow does not say where it was
            raise ValidationError(error.messages, self.data_key or attr) from error

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.check(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return self.check(value)


# Fields of bodies.


class Text(Checked):
    """A string, which bytes or a number are not."""

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Not a string.")
        return value


class TextList(Checked):
    """A list of strings, which one string is not."""

    def check(self, value: Any) -> list[str]:
        if not isinstance(value, _LISTS) or not are_strings(value):
            raise ValidationError("Not a list of strings.")
        return list(value)


_LISTS = (list, tuple, set, frozenset)


class TextListMap(Checked):
    """A map from strings to lists of strings, as claims, queries and headers are."""

    def check(self, value: Any) -> dict[str, list[str]]:
        if not isinstance(value, dict) or not set(map(type, value.values())) <= {list}:
            raise ValidationError("Not a map of lists of strings.")
        if not are_strings(value) or not are_strings(chain.from_iterable(value.values())):
            raise ValidationError("Not a map of lists of strings.")
        return value


class TextMap(Checked):
    """A map from strings to strings."""

    def check(self, value: Any) -> dict[str, str]:
        if not isinstance(value, Mapping) or not are_strings(value) or not are_strings(value.values()):
            raise ValidationError("Not a map of strings.")
        return dict(value)


class Flag(Checked):
    """A JSON boolean, which ``"yes"`` and ``1`` are not."""

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Not a boolean.")
        return value


class Anything(Checked):
    """Any value at all."""

    def check(self, value: Any) -> Any:
        return value


class StateMap(Checked):
    """A map from the names of states to their values."""

    def check(self, value: Any) -> Mapping[str, Any]:
        if not (type(value) is dict or isinstance(value, Mapping)) or not are_strings(value):
            raise ValidationError("Not a map with strings as keys.")
        return value


_DATA_TYPES: dict[str, WebPubSubDataType] = {member.value: member for member in WebPubSubDataType}


class DataType(Checked):
    """The name of a data type, in any case."""

    def check(self, value: Any) -> WebPubSubDataType:
        if isinstance(value, str) and (known := _DATA_TYPES.get(value)) is not None:
            return known  # as it is spelt on the wire, without the search of an enum
        try:
            return WebPubSubDataType(value)
        except (ValueError, RecursionError) as error:  # an enum writes into its error what it was given
            raise ValidationError("Neither 'text', 'json' nor 'binary'.") from error


class Base64(Checked):
    """Bytes, in base64 on the wire."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else base64.b64encode(value).decode("ascii")

    def check(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise ValidationError("Not a base64 string.")
        try:
            return base64.b64decode(value, validate=True)
        except ValueError as error:
            raise ValidationError("Not a base64 string.") from error


class Certificates(Checked):
    """A list of client certificates, read in one pass."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> list[dict[str, str]]:
        return [
            {"thumbprint": item.thumbprint} | ({} if item.content is None else {"content": item.content})
            for item in value
        ]

    def check(self, value: Any) -> list[WebPubSubClientCertificate]:
        try:
            certificates = [
                WebPubSubClientCertificate(thumbprint=item["thumbprint"], content=item.get("content"))
                for item in _checked_list(value)
            ]
        except (AttributeError, KeyError, TypeError) as error:
            raise ValidationError("Not a list of certificates.") from error
        for item in certificates:
            if not isinstance(item.thumbprint, str) or not (item.content is None or isinstance(item.content, str)):
                raise ValidationError("Not a list of certificates.")
        return certificates


class UserProperties(Checked):
    """A list of MQTT user properties: ``[{"name": …, "value": …}]``."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> list[dict[str, str]]:
        if (
            not isinstance(value, Iterable)
            or isinstance(value, str | Mapping)
            or not all(isinstance(item, MqttUserProperty) for item in value)
        ):
            raise ValidationError("Not a list of MqttUserProperty.")
        return [{"name": _checked_text(item.name), "value": _checked_text(item.value)} for item in value]

    def check(self, value: Any) -> list[MqttUserProperty]:
        try:
            return [
                MqttUserProperty(_checked_text(item["name"]), _checked_text(item["value"]))
                for item in _checked_list(value)
            ]
        except (KeyError, TypeError) as error:
            raise ValidationError("Not a list of objects with a name and a value.") from error


class Code(Checked):
    """A code, given its type by a function that raises :exc:`ValueError` for one that it does not know."""

    def __init__(self, make: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.make = make

    def check(self, value: Any) -> Any:
        try:
            return self.make(value)
        except (ValueError, RecursionError) as error:
            raise ValidationError("Not a code that is known here.") from error


class NumberCode(Code):
    """A code that is a whole number, which ``true``, ``5.0`` and ``"5"`` are not."""

    def check(self, value: Any) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("Not a whole number.")
        return super().check(value)


def _checked_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValidationError("Not a string.")
    return value


def _checked_list(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise ValidationError("Not a list.")
    return list(value)


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# Fields of headers. Each first verifies the text of a header, and then gives it its type.


class HeaderText(Checked):
    """Printable ASCII. A value that is not required and empty counts as absent."""

    def check(self, value: str) -> Any:
        self.verify(value)
        return self.convert(value)

    def verify(self, value: str) -> None:
        """Check that a header may be as it is; a :exc:`~marshmallow.ValidationError` if not."""
        if not value.isascii() or not value.isprintable():
            raise ValidationError("Not printable ASCII.")
        if not value and self.required:
            raise ValidationError("Empty.")

    def convert(self, value: str) -> Any:
        """Give a header its type; a :exc:`~marshmallow.ValidationError` if it has none."""
        return value or None

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if value is not None and _CONTROL.search(_checked_text(value)):
            raise ValidationError("Holds a control character, which no header can.")
        return value


class SingleHeader(HeaderText):
    """A header without a comma: servers join a header that was sent twice with one."""

    def verify(self, value: str) -> None:
        if "," in value:
            raise ValidationError("Holds a comma, or was sent twice.")
        super().verify(value)


class AnyHeader(HeaderText):
    """A header that is checked where it is used."""

    def verify(self, value: str) -> None:
        if not value and self.required:
            raise ValidationError("Empty.")


class UserIdHeader(AnyHeader):
    """A user id, in UTF-8 and without control characters."""

    def convert(self, value: str) -> str:
        if not value:
            # Some servers drop a value that is not ASCII: a user must not become anonymous by that.
            raise ValidationError("Empty. Perhaps the server dropped a value that is not ASCII.")
        if _CONTROL.search(value):
            raise ValidationError("Holds a control character, as a header may that was folded over two lines.")
        return value if value.isascii() else from_wsgi(value)


class TimeHeader(SingleHeader):
    """A time in UTC: ``2026-01-01T00:00:00Z``."""

    def convert(self, value: str) -> datetime:
        try:
            time = datetime.fromisoformat(value)
            if time.tzinfo is UTC:
                return time
            if time.tzinfo is not None:
                return time.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ValidationError("Not a time such as 2026-01-01T00:00:00Z.") from error
        raise ValidationError("Has no time zone.")

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else f"{value.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


class EventTypeHeader(SingleHeader):
    """``azure.webpubsub.user.message``: the prefix in any case, then the event's name."""

    def convert(self, value: str) -> tuple[WebPubSubEventType, str]:
        known = _KNOWN_EVENTS.get(value)
        if known is not None:
            return known
        for event_type, prefix in EVENT_TYPE_PREFIXES.items():
            length = len(prefix)
            if value[:length].lower() == prefix and len(value) > length:
                return event_type, value[length:]
        raise ValidationError("Not the type of a Web PubSub event.")

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str:
        event_type, name = value
        return f"{EVENT_TYPE_PREFIXES[event_type]}{name}"


#: How each event type is spelt at the start of ``ce-type``.
EVENT_TYPE_PREFIXES = {
    WebPubSubEventType.USER: "azure.webpubsub.user.",
    WebPubSubEventType.SYSTEM: "azure.webpubsub.sys.",
    WebPubSubEventType.PRESENCE: "azure.webpubsub.gp.",
}

# The events that nearly all calls are about, as the service spells them.
_KNOWN_EVENTS = {
    f"{EVENT_TYPE_PREFIXES[event_type]}{name}": (event_type, name)
    for event_type, names in {
        WebPubSubEventType.USER: ("message",),
        WebPubSubEventType.SYSTEM: ("connect", "connected", "disconnected"),
        WebPubSubEventType.PRESENCE: ("joined", "left"),
    }.items()
    for name in names
}
