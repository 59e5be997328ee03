"""Message metadata and MQTT user properties, which travel as headers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from .messages import Environ, environ_name, from_wsgi
from .mqtt import MqttUserProperty

Headers = list[tuple[str, str]]

METADATA_PREFIX = "x-webpubsub-metadata-"
USER_PROPERTY_PREFIX = "mqtt-"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def encode_metadata(metadata: Mapping[str, str]) -> Headers:
    """The headers of message metadata.

    :raises ValueError: if a name or a value is not legal in a header, or not ASCII.
    """
    if not isinstance(metadata, Mapping):
        raise ValueError("its metadata is no map.")
    for value in metadata.values():
        if not isinstance(value, str) or not value.isascii():
            raise ValueError("message metadata is not ASCII text.")
    return _encode(METADATA_PREFIX, metadata.items())


def decode_metadata(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The message metadata among headers; names come in lower case."""
    return dict(_decode(METADATA_PREFIX, headers))


def encode_user_properties(properties: Collection[MqttUserProperty]) -> Headers:
    """The headers of MQTT user properties.

    :raises ValueError: if a name or a value is not legal in a header.
    """
    if not isinstance(properties, Collection) or not all(isinstance(item, MqttUserProperty) for item in properties):
        raise ValueError("its user properties are no list of MqttUserProperty.")
    return _encode(USER_PROPERTY_PREFIX, ((item.name, item.value) for item in properties))


def decode_user_properties(headers: Iterable[tuple[str, str]]) -> list[MqttUserProperty]:
    """The MQTT user properties among headers; names come in lower case."""
    return [MqttUserProperty(name, value) for name, value in _decode(USER_PROPERTY_PREFIX, headers)]


def find_metadata(environ: Environ) -> dict[str, str]:
    """The message metadata of a request."""
    found = _find(METADATA_PREFIX, environ)
    return decode_metadata(found) if found else {}


def find_user_properties(environ: Environ) -> list[MqttUserProperty]:
    """The MQTT user properties of a request."""
    return decode_user_properties(_find(USER_PROPERTY_PREFIX, environ))


def _find(prefix: str, environ: Environ) -> Headers:
    start = environ_name(prefix)
    # Few requests have any, and most others are told apart by one look at all names together.
    if start not in " ".join(environ):
        return []
    found = [(key[len(start) :], value) for key, value in environ.items() if key.startswith(start)]
    return [(prefix + name.replace("_", "-"), from_wsgi(value)) for name, value in found]


def _encode(prefix: str, items: Iterable[tuple[str, str]]) -> Headers:
    headers = []
    for name, value in items:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header.")
        if not isinstance(value, str) or not value.isprintable() or value != value.strip():
            raise ValueError(f"the value of {name!r} is no text of a header.")
        headers.append((prefix + name, value))
    return headers


def _decode(prefix: str, headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return ((name[len(prefix) :].lower(), value) for name, value in headers if name.lower().startswith(prefix))
