"""The closed vocabularies of events and answers, whose values are the wire's own spelling."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class _AnyCase(StrEnum):
    """Finds a member by its value in any case."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        folded = value.lower() if isinstance(value, str) else None
        return next((member for member in cls if member.value.lower() == folded), None)


class WebPubSubEventType(_AnyCase):
    """Who an event comes from: a client's message, the service itself, or a change in a group."""

    USER = "user"
    SYSTEM = "system"
    PRESENCE = "presence"


class WebPubSubDataType(_AnyCase):
    """The form of a message's data."""

    BINARY = "binary"
    JSON = "json"
    TEXT = "text"


class WebPubSubErrorCode(_AnyCase):
    """The errors a handler may answer with, by Azure's names."""

    UNAUTHORIZED = "unauthorized"
    USER_ERROR = "userError"
    SERVER_ERROR = "serverError"


class ClientProtocols(_AnyCase):
    """Which clients a handler answers."""

    ALL = "all"
    WEB_PUB_SUB = "webPubSub"
    MQTT = "mqtt"


class WebPubSubPermission(_AnyCase):
    """What a connection may be allowed to do by itself."""

    SEND_TO_GROUP = "sendToGroup"
    JOIN_LEAVE_GROUP = "joinLeaveGroup"


_ERROR_STATUSES = {
    WebPubSubErrorCode.UNAUTHORIZED: 401,
    WebPubSubErrorCode.USER_ERROR: 400,
    WebPubSubErrorCode.SERVER_ERROR: 500,
}

_ERROR_NAMES = {status: code for code, status in _ERROR_STATUSES.items()}


def make_error_code(code: object) -> WebPubSubErrorCode | int:
    """Give an error code its type: a name becomes its member, 400, 401 and 500 their names, other statuses stay.

    :raises ValueError: if ``code`` is no name of an error and no status from 400 to 599.
    """
    if isinstance(code, str):
        try:
            return WebPubSubErrorCode(code)
        except ValueError:
            pass
    elif isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
        return _ERROR_NAMES.get(code, int(code))
    names = ", ".join(repr(name.value) for name in WebPubSubErrorCode)
    shown = repr(code) if isinstance(code, str | int | float | None) else f"A {type(code).__name__}"
    raise ValueError(f"{shown} is no error code: use {names} or an HTTP status from 400 to 599.")


def error_status(code: WebPubSubErrorCode | int) -> int:
    """The HTTP status of an error code that :func:`make_error_code` made."""
    return _ERROR_STATUSES[code] if isinstance(code, WebPubSubErrorCode) else code
