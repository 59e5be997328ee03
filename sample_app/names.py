"""What people and rooms may be called."""

from __future__ import annotations

import re

from flask_webpubsub import EventError

#: Names that would pass for the app itself.
RESERVED = frozenset({"admin", "moderator", "server", "system"})

_NAME = re.compile(r"[^\W\d_]([\w .'-]{0,22}[\w.])?")
_ROOM = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def verify_name(name: str) -> None:
    """Check that a person may have this name.

    :raises EventError: if not; the message is for that person.
    """
    if not _NAME.fullmatch(name):
        raise EventError("userError", "A name has 1 to 24 letters, digits, blanks or .'- and begins with a letter.")
    if name.lower() in RESERVED:
        raise EventError("unauthorized", f"The name {name} is reserved. Choose another one.")


def verify_room(room: str) -> None:
    """Check that a room may have this name.

    :raises EventError: if not; the message is for the person who asked for it.
    """
    if not _ROOM.fullmatch(room):
        raise EventError("userError", "A room has 1 to 32 small letters, digits and hyphens, such as tea-time.")
