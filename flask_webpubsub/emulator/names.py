"""What hubs, groups, events and connections may be called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import uuid4

#: How many characters the name of a group may have.
MAX_GROUP_LENGTH = 1024

_HUB = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}")
_EVENT = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")
_METADATA_KEY = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_MAX_METADATA_VALUE = 1024
_MAX_METADATA = 8 * 1024


class InvalidNameError(ValueError):
    """Raised when something has a name that the service does not take."""


def verify_hub(name: object) -> None:
    """Check the name of a hub, which has a letter first and at most 128 characters.

    :raises InvalidNameError: if it can not be one.
    """
    if not isinstance(name, str) or not _HUB.fullmatch(name):
        raise InvalidNameError(f"{name!r} can not be the name of a hub.")


def verify_group(name: object) -> None:
    """Check the name of a group, which has 1 to 1024 characters that are not all blanks.

    :raises InvalidNameError: if it can not be one.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_GROUP_LENGTH:
        shown = repr(name) if not isinstance(name, str) or len(name) <= MAX_GROUP_LENGTH else f"{name[:32]!r}…"
        raise InvalidNameError(f"{shown} can not be the name of a group.")


def verify_event(name: object) -> None:
    """Check the name of a user event, which has a letter first and at most 128 characters.

    :raises InvalidNameError: if it can not be one.
    """
    if not isinstance(name, str) or not _EVENT.fullmatch(name):
        raise InvalidNameError(f"{name!r} can not be the name of an event.")


def verify_metadata(metadata: Mapping[str, str]) -> None:
    """Check the metadata of a message: names fit for a header, values of ASCII, 8 KiB in all.

    :raises InvalidNameError: if a name or a value can not be sent.
    """
    for key, value in metadata.items():
        if not _METADATA_KEY.fullmatch(key):
            raise InvalidNameError(f"{key[:32]!r} can not be a key of message metadata.")
        if not isinstance(value, str) or not value.isascii() or len(value) > _MAX_METADATA_VALUE:
            raise InvalidNameError(
                f"The metadata {key!r} is no ASCII text of at most {_MAX_METADATA_VALUE} characters."
            )
    if sum(len(key) + len(value) for key, value in metadata.items()) > _MAX_METADATA:
        raise InvalidNameError(f"The metadata has more than {_MAX_METADATA} bytes.")


def make_connection_id() -> str:
    """A fresh connection id, as the service makes them: 32 hexadecimal digits."""
    return uuid4().hex
