"""Connection states as a header: what is read, what is refused, and what each answer makes of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
from flask import Flask
from hypothesis import given

from flask_webpubsub import (
    ConnectEventResponse,
    EventErrorResponse,
    InvalidEventError,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
)
from flask_webpubsub.states import decode_states, encode_states
from flask_webpubsub.testing import WebPubSubTestClient
from tests import strategies
from tests.test_codec import ODD_JSON, assert_refused
from tests.wire import replay

pytestmark = pytest.mark.both_doors


def encode(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


@given(strategies.states)
def test_states_are_read_as_they_were_written(states: dict[str, Any]) -> None:
    assert decode_states(encode_states(states)) == states


@given(strategies.states)
def test_states_are_read_without_padding_and_in_the_url_safe_alphabet(states: dict[str, Any]) -> None:
    header = encode_states(states)
    assert decode_states(header.rstrip("=")) == states
    assert decode_states(header.translate(str.maketrans("+/", "-_"))) == states
    assert decode_states(header.translate(str.maketrans("+/", "-_")).rstrip("=")) == states


def test_states_are_written_as_base64_of_json() -> None:
    assert encode_states({}) == "e30="
    assert encode_states({"key": "a"}) == "eyJrZXkiOiJhIn0="


@pytest.mark.parametrize("header", ["", "e30=", "e30", "e30g"])
def test_empty_states_are_no_states(header: str) -> None:
    assert decode_states(header) == {}


MALFORMED = {
    "no-base64": "not base64!",
    "one-digit": "e",
    "latin-1": "e30\u00e9",
    "inner-padding": "e3=0",
    "no-json": base64.b64encode(b"hello").decode(),
    "list": encode(["a"]),
    "text": encode("a"),
    "null": encode(None),
    "number": encode(1),
    **{f"json-{name}": base64.b64encode(text[:6000]).decode() for name, text in ODD_JSON.items() if text},
}


@pytest.mark.parametrize("header", MALFORMED.values(), ids=MALFORMED)
def test_malformed_states_are_an_error(header: str) -> None:
    with pytest.raises(InvalidEventError, match="ce-connectionState"):
        decode_states(header)


@pytest.mark.parametrize("header", MALFORMED.values(), ids=MALFORMED)
def test_malformed_states_are_400(header: str, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture) -> None:
    called = []
    wps.on_message(lambda data: called.append(data))
    answer = replay.read("message_text").changed({"ce-connectionState": header}).send(app)
    assert_refused(answer, caplog, "ce-connectionState")
    assert not called


def test_doubled_states_are_400(app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture) -> None:
    wps.on_message(lambda data: None)
    answer = replay.read("message_text").changed({"ce-connectionState": ["e30=", "e30="]}).send(app)
    assert_refused(answer, caplog, "ce-connectionState", "twice")


class Name(StrEnum):
    COUNT = "count"


def test_the_names_of_states_may_be_members_of_an_enum() -> None:
    assert decode_states(encode_states({Name.COUNT: 1})) == {"count": 1}


@pytest.mark.parametrize("name", [1, None, ("a",), b"a"])
def test_a_name_that_is_no_string_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="names of states"):
        encode_states({name: 1})


def test_states_can_not_be_written_to() -> None:
    for states in (decode_states(""), decode_states("e30=")):
        with pytest.raises(TypeError):
            states["a"] = 1  # type: ignore[index]


# What each answer makes of the states, which are {"key": "a"} before.

Change = Callable[[UserEventRequest], Any]


def set_one(request: UserEventRequest) -> Any:
    response = request.create_response("ok")
    response.set_state("new", 1)
    return response


def set_over(request: UserEventRequest) -> Any:
    response = request.create_response()
    response.set_state("key", "b")
    response.set_state("key", "c")
    return response


def clear(request: UserEventRequest) -> Any:
    response = request.create_response()
    response.clear_states()
    return response


def set_then_clear(request: UserEventRequest) -> Any:
    response = request.create_response()
    response.set_state("old", 1)
    response.clear_states()
    return response


def clear_then_set(request: UserEventRequest) -> Any:
    response = clear(request)
    response.set_state("new", 1)
    return response


def raise_key_error(request: UserEventRequest) -> Any:
    raise LookupError


CHANGES: dict[str, tuple[Change, Any]] = {
    "none": (lambda request: None, None),
    "text": (lambda request: "ok", None),
    "response": (lambda request: UserEventResponse("ok"), None),
    "empty-response": (lambda request: UserEventResponse(), None),
    "set": (set_one, {"key": "a", "new": 1}),
    "set-over": (set_over, {"key": "c"}),
    "argument": (lambda request: UserEventResponse("ok", states={"new": [1]}), {"key": "a", "new": [1]}),
    "empty-argument": (lambda request: UserEventResponse("ok", states={}), {"key": "a"}),
    "clear": (clear, {}),
    "set-then-clear": (set_then_clear, {}),
    "clear-then-set": (clear_then_set, {"new": 1}),
    "mapping": (lambda request: {"data": "ok"}, None),
    "mapping-states": (lambda request: {"data": "ok", "states": {"new": 1}}, {"key": "a", "new": 1}),
    "mapping-states-alone": (lambda request: {"STATES": {"key": None}}, {"key": None}),
    "mapping-null": (lambda request: {"states": None}, {}),
    "error": (lambda request: EventErrorResponse("userError"), None),
    "error-mapping": (lambda request: {"code": "userError", "states": {"new": 1}}, None),
}


@pytest.mark.parametrize(("change", "states"), CHANGES.values(), ids=CHANGES)
def test_an_answer_changes_the_states_as_it_says(change: Change, states: Any, app: Flask, wps: WebPubSub) -> None:
    @wps.on_message
    def message(request: UserEventRequest) -> Any:
        return change(request)

    answer = replay.read("message_text").send(app)
    header = answer.header("ce-connectionState")
    assert (None if header is None else json.loads(base64.b64decode(header))) == states
    if states == {}:
        assert header == "e30="


def test_connect_sets_the_first_states(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_connect
    def connect() -> ConnectEventResponse:
        return ConnectEventResponse(states={"count": 0})

    connection = client.connect()
    assert connection.states == {"count": 0}
    assert connection.answer.header("ce-connectionState") == encode_states({"count": 0})


@pytest.mark.parametrize("states", ["a", 1, ["a"], {1: "a"}, True], ids=repr)
@pytest.mark.parametrize("typed", [False, True], ids=["mapping", "response"])
def test_states_that_are_no_object_are_refused(
    states: Any, typed: bool, wps: WebPubSub, client: WebPubSubTestClient, caplog: pytest.LogCaptureFixture
) -> None:
    @wps.on_message
    def message() -> Any:
        return UserEventResponse("ok", states=states) if typed else {"data": "ok", "states": states}

    connection = client.connect()
    connection.send_text("hi")
    assert connection.answer.status == 500
    assert connection.answer.header("ce-connectionState") is None
    assert "states" in caplog.text


def nothing_over(limit: int) -> dict[str, Any]:
    """States that take just as many bytes as the limit allows."""
    return {"a": "x" * (limit // 4 * 3 - len('{"a":""}'))}


@pytest.mark.parametrize("limit", [None, 100], ids=["default", "configured"])
def test_states_over_the_limit_are_500(limit: int | None, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    if limit is not None:
        app.config["WEBPUBSUB_MAX_STATE_BYTES"] = limit
    wps = WebPubSub(app)
    size = limit or 4096
    extra = [""]

    @wps.on_message
    def message() -> UserEventResponse:
        states = nothing_over(size)
        return UserEventResponse("ok", states={"a": states["a"] + extra[0]})

    connection = wps.test_client(app).connect()
    assert connection.send_text("fits") == UserEventResponse("ok", states=nothing_over(size))
    kept = connection.states
    extra[0] = "x"
    assert connection.send_text("does not fit") == EventErrorResponse("serverError", "Internal Server Error")
    assert connection.states == kept
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert str(size + 4) in line
    assert f"WEBPUBSUB_MAX_STATE_BYTES is {size}" in line


def test_old_states_count_towards_the_limit(app: Flask) -> None:
    app.config["WEBPUBSUB_MAX_STATE_BYTES"] = 100
    wps = WebPubSub(app)

    @wps.on_message
    def message(data: str) -> UserEventResponse:
        return UserEventResponse(states={data: "x" * 40})

    connection = wps.test_client(app).connect()
    connection.send_text("first")
    assert connection.answer.status == 204
    connection.send_text("second")
    assert connection.answer.status == 500
