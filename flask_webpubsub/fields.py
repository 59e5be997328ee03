"""The marshmallow fields that the schemas are made of."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields

from .enums import WebPubSubDataType, WebPubSubEventType
from .events import WebPubSubClientCertificate
from .messages import from_wsgi
from .mqtt import MqttUserProperty

# Fields of bodies. Each checks a value the same way in both directions.


class _Checked(fields.Field[Any]):
    """A field whose form on the wire and in Python is the same."""

    def check(self, value: Any) -> Any:
        raise NotImplementedError

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.check(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return self.check(value)


class Text(_Checked):
    """A string, which bytes or a number are not."""

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Not a string.")
        return value


class TextList(_Checked):
    """A list of strings, which one string is not."""

    def check(self, value: Any) -> list[str]:
        if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(item, str) for item in value):
            raise ValidationError("Not a list of strings.")
        return list(value)


class TextListMap(_Checked):
    """A map from strings to lists of strings, as claims, queries and headers are."""

    def check(self, value: Any) -> dict[str, list[str]]:
        if not isinstance(value, Mapping):
            raise ValidationError("Not a map of lists of strings.")
        for items in value.values():
            if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
                raise ValidationError("Not a map of lists of strings.")
        return dict(value)


class TextMap(_Checked):
    """A map from strings to strings."""

    def check(self, value: Any) -> dict[str, str]:
        if not isinstance(value, Mapping) or not all(
            isinstance(name, str) and isinstance(item, str) for name, item in value.items()
        ):
            raise ValidationError("Not a map of strings.")
        return dict(value)


class Flag(_Checked):
    """A JSON boolean, which ``"yes"`` and ``1`` are not."""

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Not a boolean.")
        return value


class Anything(_Checked):
    """Any value at all."""

    def check(self, value: Any) -> Any:
        return value


class StateMap(_Checked):
    """A map from the names of states to their values."""

    def check(self, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise ValidationError("Not a map with strings as keys.")
        return value


class DataType(_Checked):
    """The name of a data type, in any case."""

    def check(self, value: Any) -> WebPubSubDataType:
        try:
            return WebPubSubDataType(value)
        except ValueError as error:
            raise ValidationError("Neither 'text', 'json' nor 'binary'.") from error


class Base64(fields.Field[bytes]):
    """Bytes, in base64 on the wire."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else base64.b64encode(value).decode("ascii")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bytes:
        if not isinstance(value, str):
            raise ValidationError("Not a base64 string.")
        try:
            return base64.b64decode(value, validate=True)
        except ValueError as error:
            raise ValidationError("Not a base64 string.") from error


class Certificates(fields.Field[list[WebPubSubClientCertificate]]):
    """A list of client certificates, read in one pass."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> list[dict[str, str]]:
        return [
            {"thumbprint": item.thumbprint} | ({} if item.content is None else {"content": item.content})
            for item in value
        ]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[WebPubSubClientCertificate]:
        try:
            certificates = [
                WebPubSubClientCertificate(thumbprint=item["thumbprint"], content=item.get("content"))
                for item in _checked_list(value)
            ]
        except (AttributeError, KeyError, TypeError) as error:
            raise ValidationError("Not a list of certificates.") from error
        if not all(isinstance(item.thumbprint, str) and isinstance(item.content, str | None) for item in certificates):
            raise ValidationError("Not a list of certificates.")
        return certificates


class UserProperties(fields.Field[list[MqttUserProperty]]):
    """A list of MQTT user properties: ``[{"name": …, "value": …}]``."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> list[dict[str, str]]:
        if isinstance(value, str | Mapping) or not all(isinstance(item, MqttUserProperty) for item in value):
            raise ValidationError("Not a list of MqttUserProperty.")
        return [{"name": _checked_text(item.name), "value": _checked_text(item.value)} for item in value]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[MqttUserProperty]:
        try:
            return [
                MqttUserProperty(_checked_text(item["name"]), _checked_text(item["value"]))
                for item in _checked_list(value)
            ]
        except (KeyError, TypeError) as error:
            raise ValidationError("Not a list of objects with a name and a value.") from error


class Code(_Checked):
    """A code, given its type by a function that raises :exc:`ValueError` for one that it does not know."""

    def __init__(self, make: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.make = make

    def check(self, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValidationError("Not a code.")
        try:
            return self.make(value)
        except ValueError as error:
            raise ValidationError("Not a code that is known here.") from error


def _checked_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValidationError("Not a string.")
    return value


def _checked_list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValidationError("Not a list.")
    return list(value)


# Fields of headers.


class HeaderText(fields.Field[Any]):
    """Printable ASCII. A value that is not required and empty counts as absent."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not value.isascii() or not value.isprintable():
            raise ValidationError("Not printable ASCII.")
        if not value and self.required:
            raise ValidationError("Empty.")
        return value or None


class SingleHeader(HeaderText):
    """A header without a comma: servers join a header that was sent twice with one."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if "," in value:
            raise ValidationError("Holds a comma, or was sent twice.")
        return super()._deserialize(value, attr, data, **kwargs)


class AnyHeader(HeaderText):
    """A header that is checked where it is used."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not value and self.required:
            raise ValidationError("Empty.")
        return value


class UserIdHeader(HeaderText):
    """A user id, in UTF-8."""

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not value:
            # Some servers drop a value that is not ASCII: a user must not become anonymous by that.
            raise ValidationError("Empty. Perhaps the server dropped a value that is not ASCII.")
        return from_wsgi(value)


class TimeHeader(SingleHeader):
    """A time in UTC: ``2026-01-01T00:00:00Z``."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            time = datetime.fromisoformat(super()._deserialize(value, attr, data, **kwargs) or "")
            if time.tzinfo is None:
                raise ValidationError("Has no time zone.")
            return time.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            if isinstance(error, ValidationError):
                raise
            raise ValidationError("Not a time such as 2026-01-01T00:00:00Z.") from error


class EventTypeHeader(SingleHeader):
    """``azure.webpubsub.user.message``: the prefix in any case, then the event's name."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str:
        event_type, name = value
        return f"{EVENT_TYPE_PREFIXES[event_type]}{name}"

    def _deserialize(self, value: str, attr: str | None, data: Any, **kwargs: Any) -> tuple[WebPubSubEventType, str]:
        super()._deserialize(value, attr, data, **kwargs)
        for event_type, prefix in EVENT_TYPE_PREFIXES.items():
            if value[: len(prefix)].lower() == prefix and len(value) > len(prefix):
                return event_type, value[len(prefix) :]
        raise ValidationError("Not the type of a Web PubSub event.")


#: How each event type is spelt at the start of ``ce-type``.
EVENT_TYPE_PREFIXES = {
    WebPubSubEventType.USER: "azure.webpubsub.user.",
    WebPubSubEventType.SYSTEM: "azure.webpubsub.sys.",
    WebPubSubEventType.PRESENCE: "azure.webpubsub.gp.",
}
