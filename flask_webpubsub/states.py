"""Connection states: what an app keeps with a connection, sent along with each of its events."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .errors import InvalidEventError
from .wire_json import are_strings, read_json, write_json

NO_STATES: Mapping[str, Any] = MappingProxyType({})

_FROM_URL_SAFE = str.maketrans("-_", "+/")


def encode_states(states: Mapping[str, Any]) -> str:
    """Write states as the ``ce-connectionState`` header has them: base64 of a JSON object.

    :raises ValueError: if a name is not a string or a value has no JSON form.
    """
    if not are_strings(states):
        raise ValueError("the names of states are not all strings.")
    return b2a_base64(write_json(states if type(states) is dict else dict(states)), newline=False).decode("ascii")


def decode_states(header: str) -> Mapping[str, Any]:
    """Read the ``ce-connectionState`` header; missing padding and the URL-safe alphabet are accepted.

    :raises InvalidEventError: if it is not base64 of a JSON object.
    """
    if not header:
        return NO_STATES
    try:
        states = read_json(_decode_base64(header))
    except ValueError as error:
        raise InvalidEventError("The ce-connectionState header is not base64 of JSON.") from error
    if not isinstance(states, dict):
        raise InvalidEventError("The ce-connectionState header does not hold a JSON object.")
    return MappingProxyType(states)


def _decode_base64(text: str) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        digits = text.strip().rstrip("=").translate(_FROM_URL_SAFE)
        return a2b_base64(digits + "=" * (-len(digits) % 4), strict_mode=True)
