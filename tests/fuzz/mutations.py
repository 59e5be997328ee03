"""Makes hostile text, bytes and JSON, and spoils good ones, by the decisions of a ``Random``."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

#: Stands in bodies, and nowhere else: where it is seen in a log, a body was logged.
CANARY = "body-canary-5d41402a"

TEXTS = (
    "",
    " ",
    "a",
    ",",
    "a,b",
    ";",
    "=",
    "..",
    "%00",
    "null",
    "NaN",
    "1e999",
    "message",
    "sha256=",
    "mqtt",
    "e30=",
    "2026-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "\r\nX-Injected: 1",
    "\n",
    "\0",
    "\t",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\xa0",
    "\u00e9",
    "\u00c3\u00a9",  # an e with an accent, as WSGI hands its UTF-8 over
    "\u2028",
    "\u0130",  # its lower case is two characters
    "\U0001f600",
    "\ud800",
    "\u0661",  # a digit, and not of ASCII
    "9" * 20,
    "9" * 5000,
    "a" * 300,
    "a" * 9000,
)
_ALPHABETS = (
    "abcXYZ019",
    " ,;:=.-_/+%\"'\\{}[]",
    "".join(map(chr, range(256))),
    "\u0130\u00df\u0416\u3042\u2028\ud800\udc00\U0001f600",
)

#: JSON that has no value, or none that could be written again.
BROKEN_JSON = (
    b"",
    b"{",
    b"[1,]",
    b"NaN",
    b"-Infinity",
    b"[1e999]",
    b'"\\ud800"',
    b'{"\\udfff": 1}',
    b'"\xff"',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b'{"a": 1, "a": 2}',
    b"[" * 100_000,
    b'{"a":' * 3000 + b"1" + b"}" * 3000,
    b"9" * 5000,
    b"-0.0",
    b'"\\u0000"',
    b"nul",
    b"{} {}",
    b"'a'",
    b"\x00",
    b'{"a": 1e400}',
)

_SCALARS: tuple[Any, ...] = (None, True, False, 0, 1, 5, -1, 0.5, 1e308, 2**70, 10**400, CANARY, "")


def one_in(random: Random, count: int) -> bool:
    """True now and then. It is false where a source has nothing more to say."""
    return random.randrange(count) == count - 1


def some(random: Random, most: int) -> int:
    """A number of times from 0 to ``most``, where little is likely."""
    return min(random.randrange(most + 1), random.randrange(most + 1))


def text(random: Random) -> str:
    """Any text."""
    if random.randrange(2):
        return random.choice(TEXTS)
    alphabet = random.choice(_ALPHABETS)
    return "".join(random.choice(alphabet) for _ in range(some(random, 12)))


def spoil_text(random: Random, value: str) -> str:
    """A text with one or several mistakes in it."""
    for _ in range(1 + some(random, 2)):
        value = random.choice(_TEXT_MISTAKES)(random, value)
    return value


def spoil_bytes(random: Random, value: bytes) -> bytes:
    """Bytes with a mistake in them."""
    return random.choice(_BYTES_MISTAKES)(random, value)


def json_value(random: Random, depth: int = 3) -> Any:
    """Any value that JSON has."""
    kind = random.randrange(6 if depth else 4)
    if kind < 3:
        return random.choice(_SCALARS)
    if kind == 3:
        return text(random)
    if kind == 4:
        return [json_value(random, depth - 1) for _ in range(some(random, 4))]
    return {text(random): json_value(random, depth - 1) for _ in range(some(random, 4))}


def spoil_json(random: Random, value: Any) -> Any:
    """A value with one thing in it taken away, doubled, renamed, or replaced by something of another kind."""
    if isinstance(value, Mapping) and value and not one_in(random, 6):
        key = random.choice(sorted(value))
        return _spoil_item(random, dict(value), key)
    if isinstance(value, list) and value and not one_in(random, 6):
        index = random.randrange(len(value))
        items = [value[index], *value] if one_in(random, 3) else list(value)
        items[index] = spoil_json(random, items[index])
        return items
    return json_value(random)


def write_json(random: Random, value: Any) -> bytes:
    """JSON text of a value, which may then be cut, damaged, compressed, or be no JSON at all."""
    if one_in(random, 12):
        return random.choice(BROKEN_JSON)
    written = json.dumps(value, ensure_ascii=bool(random.randrange(2))).encode("utf-8", "surrogatepass")
    return spoil_bytes(random, written) if one_in(random, 4) else written


def _spoil_item(random: Random, value: dict[str, Any], key: str) -> dict[str, Any]:
    match random.randrange(5):
        case 0:
            value[key] = spoil_json(random, value[key])
        case 1:
            del value[key]
        case 2:
            value[spoil_text(random, key)] = value.pop(key)
        case 3:
            value[random.choice((key.upper(), key.lower(), _snake_case(key)))] = json_value(random)
        case _:
            value[text(random)] = json_value(random)
    return value


def _snake_case(name: str) -> str:
    return "".join(f"_{character.lower()}" if character.isupper() else character for character in name)


def _span(random: Random, value: Sequence[Any]) -> tuple[int, int]:
    begin = random.randrange(len(value) + 1)
    return begin, min(len(value), begin + 1 + some(random, 8))


def _insert(random: Random, value: str) -> str:
    begin, _ = _span(random, value)
    return value[:begin] + text(random) + value[begin:]


def _drop(random: Random, value: str) -> str:
    begin, end = _span(random, value)
    return value[:begin] + value[end:]


def _flip(random: Random, value: str) -> str:
    begin, end = _span(random, value)
    return value[:begin] + "".join(chr(ord(c) ^ (1 << random.randrange(8))) for c in value[begin:end]) + value[end:]


_TEXT_MISTAKES: tuple[Callable[[Random, str], str], ...] = (
    _insert,
    _drop,
    _flip,
    lambda random, value: text(random),
    lambda random, value: value[: random.randrange(len(value) + 1)],
    lambda random, value: f"{value},{value}",
    lambda random, value: value.swapcase(),
    lambda random, value: f" {value} ",
    lambda random, value: value * (2 + random.randrange(60)),
)


def _damage(random: Random, value: bytes) -> bytes:
    # In Latin-1 any byte is a character and the other way round.
    return spoil_text(random, value.decode("latin-1")).encode("utf-8", "surrogatepass")


_BYTES_MISTAKES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _damage,
    lambda random, value: value[: random.randrange(len(value) + 1)],
    lambda random, value: b"",
    lambda random, value: random.choice(BROKEN_JSON),
    lambda random, value: bytes(random.randrange(256) for _ in range(some(random, 40))),
    lambda random, value: gzip.compress(value, mtime=0),
    lambda random, value: base64.b64encode(value),
    lambda random, value: value.decode("utf-8", "replace").encode("utf-16"),
    lambda random, value: value * 2,
)
