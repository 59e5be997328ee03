"""The tree of errors, and the status that each is answered with."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import flask_webpubsub
from flask_webpubsub import (
    ConfigurationError,
    EventError,
    EventTooLargeError,
    HandlerNotFoundError,
    InvalidAccessCodeError,
    InvalidAnswerError,
    InvalidEventError,
    InvalidHandlerResultError,
    InvalidIdentityError,
    InvalidSignatureError,
    KeysUnavailableError,
    MethodNotAllowedError,
    WebPubSubError,
    WebPubSubErrorCode,
)

STATUSES: dict[type[WebPubSubError], int] = {
    InvalidEventError: 400,
    EventTooLargeError: 413,
    MethodNotAllowedError: 405,
    InvalidAccessCodeError: 401,
    InvalidSignatureError: 401,
    InvalidIdentityError: 401,
    KeysUnavailableError: 503,
    HandlerNotFoundError: 404,
    InvalidHandlerResultError: 500,
}


@pytest.mark.parametrize(("error", "status"), STATUSES.items(), ids=lambda value: getattr(value, "__name__", value))
def test_an_error_is_answered_with_its_status(error: type[WebPubSubError], status: int) -> None:
    assert error.status == status


def test_all_errors_have_one_base() -> None:
    errors = [
        value for value in vars(flask_webpubsub).values() if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert {*STATUSES, ConfigurationError, EventError, InvalidAnswerError} < set(errors)
    assert all(issubclass(error, WebPubSubError) for error in errors)


@pytest.mark.parametrize(
    ("code", "made", "status"),
    [
        ("unauthorized", WebPubSubErrorCode.UNAUTHORIZED, 401),
        ("USERERROR", WebPubSubErrorCode.USER_ERROR, 400),
        (500, WebPubSubErrorCode.SERVER_ERROR, 500),
        (429, 429, 429),
    ],
)
def test_an_event_error_has_the_status_of_its_code(code: Any, made: Any, status: int) -> None:
    error = EventError(code, "Why.")
    assert (error.code, error.message, error.status) == (made, "Why.", status)


@pytest.mark.parametrize("code", [True, 200, 302, "ok", None])
def test_an_event_error_with_another_code_is_refused_where_it_is_made(code: Any) -> None:
    with pytest.raises(ValueError, match="is no error code"):
        EventError(code)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"]
)
def test_an_event_error_can_be_copied(duplicate: Any) -> None:
    error = duplicate(EventError(429, "Slow down."))
    assert (error.code, error.message, error.status) == (429, "Slow down.", 429)
