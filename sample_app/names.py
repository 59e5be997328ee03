"""What people and rooms may be called."""

from __future__ import annotations

import re
import unicodedata

from flask_webpubsub import EventError

#: Names that would pass for the app itself.
RESERVED = frozenset({"admin", "moderator", "server", "system"})

MAX_LETTERS = 24

_SIGNS = " .'-_\N{RIGHT SINGLE QUOTATION MARK}"
_ROOM = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def read_name(text: str) -> str:
    """The name that a person has typed, in its one form: without blanks at its ends, and accents as one letter.

    :raises EventError: if nobody may have this name; the message is for that person.
    """
    name = unicodedata.normalize("NFC", text.strip(" "))
    if not _is_name(name):
        raise EventError("userError", "A name has 1 to 24 letters, digits, blanks or .'- and begins with a letter.")
    if fold(name) in RESERVED:
        raise EventError("unauthorized", f"The name {name} is reserved. Choose another one.")
    return name


def read_room(text: str) -> str:
    """The name of a room, as a person has typed it.

    :raises EventError: if no room may have this name; the message is for that person.
    """
    room = text.strip(" ")
    if not _ROOM.fullmatch(room):
        raise EventError("userError", "A room has 1 to 32 small letters, digits and hyphens, such as tea-time.")
    return room


def fold(name: str) -> str:
    """What two names have in common that look alike: Ann, ANN and full-width letters."""
    return unicodedata.normalize("NFKC", name).casefold()


def _is_name(name: str) -> bool:
    # Many scripts write vowels as marks on a letter. No mark stands alone, and no other sign can reorder a line.
    kinds = [unicodedata.category(letter)[0] for letter in name]
    return (
        0 < len(name) <= MAX_LETTERS
        and kinds[0] == "L"
        and (kinds[-1] in "LMN" or name[-1] == ".")
        and all(kind in "LMN" or letter in _SIGNS for kind, letter in zip(kinds, name, strict=True))
    )
