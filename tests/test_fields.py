"""The fields of the schemas: what each takes, in both directions."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from marshmallow import ValidationError
from marshmallow.fields import Field

from flask_webpubsub import MqttUserProperty, WebPubSubClientCertificate, WebPubSubDataType, WebPubSubEventType, fields
from tests import strategies

PAIR = MqttUserProperty("a", "b")
NAMED = [{"name": "a", "value": "b"}]
CERTIFICATES = [WebPubSubClientCertificate(thumbprint="AB"), WebPubSubClientCertificate(thumbprint="CD", content="PEM")]


def read(field: Field[Any], value: Any) -> Any:
    return field.deserialize(value)


def write(field: Field[Any], value: Any) -> Any:
    return field.serialize("value", {"value": value})


GOOD: list[tuple[Field[Any], Any, Any]] = [
    (fields.Text(), "", ""),
    (fields.Text(), "a", "a"),
    (fields.TextList(), ["a", ""], ["a", ""]),
    (fields.TextList(), [], []),
    (fields.TextListMap(), {"a": ["b"], "": []}, {"a": ["b"], "": []}),
    (fields.TextMap(), {"a": "b"}, {"a": "b"}),
    (fields.Flag(), False, False),
    (fields.Anything(), [1, {"a": None}], [1, {"a": None}]),
    (fields.StateMap(), {"a": 1}, {"a": 1}),
    (fields.DataType(), "json", WebPubSubDataType.JSON),
    (fields.Base64(), "c2VjcmV0", b"secret"),
    (fields.Base64(), "", b""),
    (fields.Certificates(), [{"thumbprint": "AB"}, {"thumbprint": "CD", "content": "PEM"}], CERTIFICATES),
    (fields.UserProperties(), NAMED, [PAIR]),
    (fields.NumberCode(int), 5, 5),
]


@pytest.mark.parametrize(("field", "wire", "value"), GOOD, ids=lambda value: type(value).__name__)
def test_a_field_reads_what_it_writes(field: Field[Any], wire: Any, value: Any) -> None:
    assert read(field, wire) == value
    assert type(read(field, wire)) is type(value)
    assert write(field, value) == wire


BAD: dict[type[Field[Any]], list[Any]] = {
    fields.Text: [1, True, [], {}, b"a"],
    fields.TextList: ["a", b"a", 1, {"a": 1}, [1], [None], [b"a"], [["a"]]],
    fields.TextListMap: ["a", 1, [], [["a", ["b"]]], {"a": "b"}, {"a": [1]}, {"a": None}, {"a": ("b",)}],
    fields.TextMap: ["a", 1, [], {"a": 1}, {"a": None}, {1: "a"}],
    fields.Flag: [0, 1, "true", "", [], {}],
    fields.StateMap: ["a", 1, ["a"], [("a", 1)], {1: "a"}, {None: 1}],
    fields.DataType: ["xml", "", 1, True, [], b"json"],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in BAD.items() for value in values], ids=repr
)
def test_a_field_refuses_another_type_in_both_directions(field: type[Field[Any]], value: Any) -> None:
    with pytest.raises(ValidationError):
        read(field(), value)
    with pytest.raises(ValidationError):
        write(field(), value)


@pytest.mark.parametrize("field", BAD, ids=lambda field: field.__name__)
def test_a_message_of_a_field_holds_no_value(field: type[Field[Any]]) -> None:
    with pytest.raises(ValidationError) as caught:
        read(field(), {"hunter2": {"hunter2"}, 1: 1})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("items", [("a", "b"), ["a", "b"]], ids=["tuple", "list"])
def test_a_list_of_text_may_be_another_collection(items: Any) -> None:
    assert write(fields.TextList(), items) == ["a", "b"]
    assert write(fields.TextList(), {"a"}) == write(fields.TextList(), frozenset("a")) == ["a"]


@pytest.mark.parametrize("mapping", [MappingProxyType({"a": "b"}), OrderedDict(a="b")], ids=["proxy", "ordered"])
def test_a_map_may_be_any_mapping(mapping: Any) -> None:
    assert write(fields.TextMap(), mapping) == read(fields.StateMap(), mapping) == {"a": "b"}


@pytest.mark.parametrize("value", [1, b"c2VjcmV0", [], "c2Vjcm", "c2Vj cmV0", "c2Vj\n", "-_-_", "é", "="], ids=repr)
def test_what_is_not_base64_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="base64"):
        read(fields.Base64(), value)


@pytest.mark.parametrize(
    "value",
    [
        "a",
        1,
        {},
        {"thumbprint": "a"},
        [None],
        ["a"],
        [[]],
        [{}],
        [{"thumbprint": 1}],
        [{"thumbprint": None}],
        [{"thumbprint": "a", "content": 1}],
    ],
    ids=repr,
)
def test_what_is_no_list_of_certificates_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match=r"Not a list"):
        read(fields.Certificates(), value)


WRONG_PROPERTIES: list[Any] = [
    *("a", 1, {}, {"name": "a", "value": "b"}),
    *([None], ["ab"], [[]], [{}], [{"name": "a"}], [{"name": "a", "value": 1}]),
]


@pytest.mark.parametrize("value", WRONG_PROPERTIES, ids=repr)
def test_what_is_no_list_of_user_properties_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        read(fields.UserProperties(), value)


NUMBERED: dict[str, Any] = {"name": 1}
WRONG_PAIRS: list[Any] = ["a", {}, {"a": "b"}, ["a"], [NAMED[0]], [PAIR, None], [replace(PAIR, **NUMBERED)]]


@pytest.mark.parametrize("value", WRONG_PAIRS, ids=repr)
def test_user_properties_that_are_none_are_not_written(value: Any) -> None:
    with pytest.raises(ValidationError):
        write(fields.UserProperties(), value)


@pytest.mark.parametrize("value", [True, 5.0, "5", None, [5]], ids=repr)
def test_a_code_is_a_whole_number(value: Any) -> None:
    with pytest.raises(ValidationError):
        read(fields.NumberCode(int), value)


# Headers.


@pytest.mark.parametrize("field", [fields.HeaderText, fields.SingleHeader], ids=lambda field: field.__name__)
def test_an_empty_header_is_absent_unless_it_is_required(field: type[fields.HeaderText]) -> None:
    assert read(field(), "") is None
    with pytest.raises(ValidationError, match="Empty"):
        read(field(required=True), "")


def test_a_comma_is_for_lists_alone() -> None:
    assert read(fields.HeaderText(), "a,b") == "a,b"
    with pytest.raises(ValidationError, match="twice"):
        read(fields.SingleHeader(), "a,b")


@pytest.mark.parametrize("value", ["é", "a\x00", "\x1f", "\x7f", "a\nb", "\u2028"], ids=ascii)
def test_a_header_is_printable_ascii(value: str) -> None:
    for field in (fields.HeaderText(), fields.SingleHeader(), fields.TimeHeader(), fields.EventTypeHeader()):
        with pytest.raises(ValidationError, match="Not printable ASCII"):
            read(field, value)


def test_some_headers_are_checked_where_they_are_used() -> None:
    assert read(fields.AnyHeader(), "é,\x00") == "é,\x00"
    assert not read(fields.AnyHeader(), "")


@given(strategies.times)
def test_a_time_is_read_as_it_was_written(time: datetime) -> None:
    assert read(fields.TimeHeader(), write(fields.TimeHeader(), time)) == time


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00Z"),
        (datetime(2026, 1, 1, 2, microsecond=5, tzinfo=timezone(timedelta(hours=2))), "2026-01-01T00:00:00Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_written_in_utc(time: datetime, written: str) -> None:
    assert write(fields.TimeHeader(), time) == written


@pytest.mark.parametrize("event_type", WebPubSubEventType)
def test_the_type_of_an_event_is_a_prefix_and_a_name(event_type: WebPubSubEventType) -> None:
    field = fields.EventTypeHeader()
    written = write(field, (event_type, "Room.Moved"))
    assert read(field, written) == (event_type, "Room.Moved")
    assert read(field, written.upper()) == (event_type, "ROOM.MOVED")
