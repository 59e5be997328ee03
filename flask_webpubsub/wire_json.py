"""JSON as the wire allows it: one reader and one writer for bodies and states alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NoReturn


def read_json(text: bytes | str) -> Any:
    """Read UTF-8 JSON text.

    Stricter than the standard library: no ``NaN`` or infinite number and no lone surrogate gets in, and
    text that is nested too deep is an error like any other.

    :raises ValueError: if the text is not JSON, or not JSON that could be written again.
    """
    if isinstance(text, bytes):
        text = text.decode()
    else:
        text.encode()  # which a lone surrogate does not survive
    try:
        try:
            value, end = _DECODER.raw_decode(text)
        except ValueError:  # there may be blanks before the value
            end = -1
        if end != len(text):
            value = _DECODER.decode(text)
        if "\\u" in text:  # only an escape can bring a lone surrogate
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("JSON is nested too deep.") from error
    return value


def make_writer(default: Callable[[Any], Any] | None = None) -> Callable[[Any], bytes]:
    """Make a function that writes a value as UTF-8 JSON.

    :param default: gives a form to values that JSON does not know, as ``json.dumps`` has it.
    """
    encode = json.JSONEncoder(
        ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False, default=default
    ).encode

    def write(value: Any) -> bytes:
        try:
            return encode(value).encode()
        except TypeError as error:  # it names the type that has no JSON form, and no value
            raise ValueError(f"{error}.") from error
        except (ValueError, RecursionError) as error:
            raise ValueError("A value has no JSON form.") from error

    return write


def are_strings(values: Iterable[Any]) -> bool:
    """Whether all of these are strings, as the keys of a JSON object are."""
    # By type first, for all values at once: a subclass of str is rare.
    types = set(map(type, values))
    return types <= _STRINGS or all(issubclass(cls, str) for cls in types)


_STRINGS = {str}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


def _read_float(text: str) -> float:
    number = float(text)
    if number in _INFINITIES:
        raise ValueError("A number is too large.")
    return number


_INFINITIES = (float("inf"), float("-inf"))
_DECODER = json.JSONDecoder(parse_float=_read_float, parse_constant=_refuse_constant)

#: Writes a value as compact UTF-8 JSON. Raises :exc:`ValueError` for what has no JSON form.
write_json = make_writer()
