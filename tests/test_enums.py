"""The closed vocabularies: spelling, case, and the codes of errors."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest

from flask_webpubsub import ClientProtocols, WebPubSubDataType, WebPubSubErrorCode, WebPubSubEventType
from flask_webpubsub.enums import error_status, make_error_code

SPELLINGS: dict[type[StrEnum], list[str]] = {
    WebPubSubEventType: ["user", "system", "presence"],
    WebPubSubDataType: ["binary", "json", "text"],
    WebPubSubErrorCode: ["unauthorized", "userError", "serverError"],
    ClientProtocols: ["all", "webPubSub", "mqtt"],
}


@pytest.mark.parametrize(("enum", "values"), SPELLINGS.items(), ids=lambda value: getattr(value, "__name__", None))
def test_the_values_are_azures_spelling(enum: type[StrEnum], values: list[str]) -> None:
    assert [member.value for member in enum] == values
    assert [str(member) for member in enum] == values


@pytest.mark.parametrize("enum", SPELLINGS, ids=lambda enum: enum.__name__)
def test_a_member_is_found_by_its_value_in_any_case(enum: type[StrEnum]) -> None:
    for member in enum:
        assert enum(member.value.upper()) is enum(member.value.title()) is enum(member) is member


@pytest.mark.parametrize("enum", SPELLINGS, ids=lambda enum: enum.__name__)
@pytest.mark.parametrize("value", ["", "other", " json", None, 1, b"json"])
def test_what_is_no_value_is_refused(enum: type[StrEnum], value: Any) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        enum(value)


def test_members_equal_their_spelling() -> None:
    for data_type in WebPubSubDataType:
        assert data_type == data_type.name.lower()
    assert {"userError": 1}[WebPubSubErrorCode.USER_ERROR] == 1


@pytest.mark.parametrize(
    ("code", "made", "status"),
    [
        ("unauthorized", WebPubSubErrorCode.UNAUTHORIZED, 401),
        ("UNAUTHORIZED", WebPubSubErrorCode.UNAUTHORIZED, 401),
        ("usererror", WebPubSubErrorCode.USER_ERROR, 400),
        ("ServerError", WebPubSubErrorCode.SERVER_ERROR, 500),
        (WebPubSubErrorCode.SERVER_ERROR, WebPubSubErrorCode.SERVER_ERROR, 500),
        (400, WebPubSubErrorCode.USER_ERROR, 400),
        (401, WebPubSubErrorCode.UNAUTHORIZED, 401),
        (500, WebPubSubErrorCode.SERVER_ERROR, 500),
        (402, 402, 402),
        (499, 499, 499),
        (503, 503, 503),
        (599, 599, 599),
    ],
)
def test_an_error_code_has_its_type_and_status(code: Any, made: Any, status: int) -> None:
    assert make_error_code(code) is made or make_error_code(code) == made
    assert type(make_error_code(code)) is type(made)
    assert error_status(make_error_code(code)) == status


def test_an_error_code_that_is_nested_too_deep_to_be_shown_is_refused_like_any_other() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match=r"^A list is no error code"):
        make_error_code(deep)


@pytest.mark.parametrize(
    "code", [True, False, None, 200, 399, 600, 0, -401, 401.0, "401", "", "forbidden", [401], b"userError"]
)
def test_what_is_no_error_code_is_refused(code: Any) -> None:
    with pytest.raises(
        ValueError, match="'unauthorized', 'userError', 'serverError' or an HTTP status from 400 to 599"
    ):
        make_error_code(code)
