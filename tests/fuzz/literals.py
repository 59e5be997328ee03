"""Inputs are Python literals, so that a finding can be read; what is no literal is named in one, and built from it."""

from __future__ import annotations

import ast
from collections import UserDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from flask import Response
from werkzeug.exceptions import HTTPException, abort

import flask_webpubsub
from flask_webpubsub import EventError, actions

#: The key of a literal that stands for an object: its kind, and below the other keys what it is made of.
OBJECT = "!"


def write_literal(value: Any) -> str:
    """A value as text, which :func:`read_literal` reads."""
    return f"{value!r}\n"


def read_literal(written: str) -> Any:
    """The value of a text."""
    return ast.literal_eval(written.strip())


def build(literal: Any) -> Any:
    """What a literal stands for.

    :raises ValueError: if an object refuses to be made so; also a ``TypeError``.
    """
    match literal:
        case {"!": str(kind)} if kind in ODDITIES or kind in _CLASSES:
            return _build_object(kind, literal)
        case dict():
            return {build(key): build(value) for key, value in literal.items()}
        case list():
            return [build(item) for item in literal]
        case tuple():
            return tuple(build(item) for item in literal)
    return literal


def _build_object(kind: str, literal: dict[str, Any]) -> Any:
    arguments = {name: build(value) for name, value in literal.get("with", {}).items()}
    if kind in ODDITIES:
        return ODDITIES[kind]()
    made = _CLASSES[kind](**arguments)
    # Nothing stops a handler from setting a field after the object was made.
    for name, value in literal.get("set", {}).items():
        setattr(made, name, build(value))
    return made


class _Text(str):
    __slots__ = ()


class _Number(int):
    pass


@dataclass
class _Point:
    x: int = 1


class _Sly(str):
    """Looks like another text when it is changed to lower case."""

    __slots__ = ()

    def lower(self) -> str:
        return "data"


async def _wait() -> str:
    return "late"


def _coroutine() -> Any:
    made = _wait()
    made.close()  # else Python warns of each that nobody awaited
    return made


def _generate() -> Iterator[str]:
    yield "late"


def _cycle() -> list[Any]:
    held: list[Any] = []
    held.append(held)
    return held


def _deep() -> list[Any]:
    held: list[Any] = []
    for _ in range(100_000):
        held = [held]
    return held


def _abort(**arguments: Any) -> Exception:
    try:
        abort(**arguments)
    except HTTPException as error:
        return error


#: Values that a program may have by mistake.
ODDITIES: dict[str, Callable[[], Any]] = {
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "object": object,
    "class": lambda: flask_webpubsub.UserEventResponse,
    "function": lambda: _generate,
    "coroutine": _coroutine,
    "generator": _generate,
    "cycle": _cycle,
    "deep": _deep,
    "point": _Point,
    "set": lambda: {"a"},
    "decimal": lambda: Decimal("1.5"),
    "datetime": lambda: datetime(2026, 1, 1, tzinfo=UTC),
    "bytearray": lambda: bytearray(b"a"),
    "memoryview": lambda: memoryview(b"a"),
    "text": lambda: _Text("userError"),
    "sly": lambda: _Sly("code"),
    "number": lambda: _Number(403),
    "not given": lambda: flask_webpubsub.NOT_GIVEN,
    "ellipsis": lambda: ...,
    "exception": lambda: ValueError("no"),
    "huge": lambda: 10**5000,
}

_CLASSES: dict[str, Callable[..., Any]] = {
    "Response": Response,
    "EventError": EventError,
    "abort": _abort,
    "UserDict": UserDict,
    "MappingProxyType": lambda **items: MappingProxyType(items),
    **{name: getattr(actions, name) for name in actions.__all__ if name.endswith("Action") and name != "Action"},
    **{
        name: getattr(flask_webpubsub, name)
        for name in (
            "ConnectEventResponse",
            "MqttConnectEventResponse",
            "UserEventResponse",
            "EventErrorResponse",
            "MqttConnectEventErrorResponse",
            "MqttUserProperty",
        )
    },
}
#: The kinds of objects that are built with arguments.
CLASSES = sorted(_CLASSES)
