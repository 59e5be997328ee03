"""Connection states: what an app keeps with a connection, sent along with each of its events."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .errors import InvalidEventError
from .wire_json import read_json, write_json

NO_STATES: Mapping[str, Any] = MappingProxyType({})

_FROM_URL_SAFE = str.maketrans("-_", "+/")


def encode_states(states: Mapping[str, Any]) -> str:
    """Write states as the ``ce-connectionState`` header has them: base64 of a JSON object.

    :raises ValueError: if a name is not a string or a value has no JSON form.
    """
    if not all(isinstance(name, str) for name in states):
        raise ValueError("The names of states must be strings.")
    return base64.b64encode(write_json(dict(states))).decode("ascii")


def decode_states(header: str) -> Mapping[str, Any]:
    """Read the ``ce-connectionState`` header; missing padding and the URL-safe alphabet are accepted.

    :raises InvalidEventError: if it is not base64 of a JSON object.
    """
    digits = header.strip().rstrip("=").translate(_FROM_URL_SAFE)
    if not digits:
        return NO_STATES
    try:
        states = read_json(base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True))
    except ValueError as error:
        raise InvalidEventError("The ce-connectionState header is not base64 of JSON.") from error
    if not isinstance(states, dict):
        raise InvalidEventError("The ce-connectionState header does not hold a JSON object.")
    return MappingProxyType(states)
