"""JSON of the wire: what gets in, what is refused, and what is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from flask_webpubsub.wire_json import make_writer, read_json, write_json
from tests import strategies
from tests.test_codec import ODD_JSON


@given(strategies.json_values)
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    assert read_json(write_json(value)) == value


@given(strategies.json_values)
def test_what_anybody_writes_is_read(value: Any) -> None:
    assert read_json(json.dumps(value, indent=2).encode()) == value
    assert read_json(json.dumps(value)) == value


@pytest.mark.parametrize("text", ODD_JSON.values(), ids=ODD_JSON)
def test_odd_json_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


@pytest.mark.parametrize("text", ['{"a": 1e999}', "\ufeff{}", '"\ud800"', '"\\ud800"', '["\\ud83d", "\\ude00"]', "NaN"])
def test_odd_json_text_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"-0.0", -0.0),
        (b"1E400"[:3], 10_000.0),
        (b"1e308", 1e308),
        (b"1e-999", 0.0),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\u0000"', "\x00"),
        (b'"\\\\ud800"', "\\ud800"),
        ('"é\u2028"'.encode(), "é\u2028"),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"[" * 100 + b"]" * 100, None),
    ],
)
def test_unusual_json_is_read(text: bytes, value: Any) -> None:
    read = read_json(text)
    assert value is None or read == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, None, True]}, b'{"a":[1,null,true]}'),
        ("é\U0001f600", '"é\U0001f600"'.encode()),
        ((1, 2), b"[1,2]"),
        ({1: "a"}, b'{"1":"a"}'),
        (1e100, b"1e+100"),
    ],
)
def test_json_is_written_compact_and_in_utf_8(value: Any, text: bytes) -> None:
    assert write_json(value) == text


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        [float("-inf")],
        "\ud800",
        {"\udfff": 1},
        b"bytes",
        {1, 2},
        object(),
        Decimal(1),
        {("a", "b"): 1},
        endless(),
        nested(100_000),
        10**5000,
    ],
    ids=[
        *("nan", "infinity", "minus-infinity", "surrogate", "surrogate-key", "bytes", "set", "object", "decimal"),
        *("tuple-key", "circle", "too-deep", "integer-too-long"),
    ],
)
def test_what_has_no_json_form_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        write_json(value)


def test_the_message_of_a_failed_write_holds_no_value() -> None:
    for value in ({"password": b"hunter2"}, ["hunter2\ud800"]):
        with pytest.raises(ValueError, match=r"\.$") as caught:
            write_json(value)
        assert "hunter2" not in str(caught.value)


def test_a_writer_gives_other_values_a_form() -> None:
    write = make_writer(lambda value: value.isoformat())
    assert write({"at": datetime(2026, 1, 1, tzinfo=UTC)}) == b'{"at":"2026-01-01T00:00:00+00:00"}'
