"""The data of a message, and its form on the wire: a media type and bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .enums import WebPubSubDataType
from .messages import media_type
from .wire_json import read_json

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BINARY = "application/octet-stream"

#: What each type of data is sent as.
CONTENT_TYPES = {WebPubSubDataType.TEXT: TEXT, WebPubSubDataType.JSON: JSON, WebPubSubDataType.BINARY: BINARY}

_DATA_TYPES = {
    "text/plain": WebPubSubDataType.TEXT,
    JSON: WebPubSubDataType.JSON,
    BINARY: WebPubSubDataType.BINARY,
    "application/x-protobuf": WebPubSubDataType.BINARY,
}


def find_data_type(content_type: str | None) -> WebPubSubDataType | None:
    """The type of data that a ``Content-Type`` stands for; ``None`` if it stands for none of a message."""
    return _DATA_TYPES.get(content_type or "") or _DATA_TYPES.get(media_type(content_type))


def is_message_type(content_type: str | None) -> bool:
    """Whether the service takes a body of this type for a message; without a type, it is binary."""
    return not content_type or find_data_type(content_type) is not None


def decode_data(body: bytes, data_type: WebPubSubDataType) -> Any:
    """Read data: text as a ``str``, JSON as its value, anything else as it is.

    :raises ValueError: if it is not of its type.
    """
    match data_type:
        case WebPubSubDataType.TEXT:
            return body.decode()
        case WebPubSubDataType.JSON:
            return read_json(body)
        case WebPubSubDataType.BINARY:
            return body


def encode_data(data: Any, data_type: WebPubSubDataType, write_json: Callable[[Any], bytes]) -> bytes:
    """Write data; ``bytes`` are sent as they are, also where they are text or JSON.

    :raises ValueError: if it can not be of its type.
    """
    if isinstance(data, bytes):
        if data_type is WebPubSubDataType.JSON:
            read_json(data)
        return data
    if data_type is WebPubSubDataType.JSON:
        return write_json(data)
    if not isinstance(data, str):
        raise ValueError(f"a {type(data).__name__} is no {data_type.value} data.")
    return data.encode()
