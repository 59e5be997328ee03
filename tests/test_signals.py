"""What the app is told of each event."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from blinker import NamedSignal
from flask import Flask, Response, abort, current_app, request

from flask_webpubsub import (
    EventError,
    HandlerNotFoundError,
    InvalidAccessCodeError,
    InvalidEventError,
    InvalidHandlerResultError,
    InvalidSignatureError,
    MethodNotAllowedError,
    WebPubSub,
    WebPubSubConnectionContext,
    event_handled,
    event_rejected,
)
from flask_webpubsub.errors import EventTooLargeError
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import KEY
from tests.test_dispatch import ack, call, make_event

pytestmark = pytest.mark.both_doors


@contextmanager
def recorded(signal: NamedSignal) -> Iterator[list[tuple[Any, dict[str, Any]]]]:
    """What a signal is sent with."""
    sent: list[tuple[Any, dict[str, Any]]] = []

    def listen(sender: Any, **values: Any) -> None:
        sent.append((sender, values))

    with signal.connected_to(listen):
        yield sent


def test_a_handled_event_is_told_with_its_context_its_status_and_its_time(
    wps: WebPubSub, app: Flask, client: WebPubSubTestClient
) -> None:
    wps.on_message(ack)

    with recorded(event_handled) as handled, recorded(event_rejected) as rejected:
        client.connect("ada").send_text("hi")

    ((sender, values),) = handled
    assert rejected == []
    assert sender is app
    assert values.keys() == {"context", "status", "seconds"}
    context = values["context"]
    assert isinstance(context, WebPubSubConnectionContext)
    assert (context.hub, context.event_name, context.user_id) == ("chat", "message", "ada")
    assert values["status"] == 200
    assert 0 < values["seconds"] < 60


def raise_event_error() -> None:
    raise EventError("unauthorized")


RESULTS: dict[str, tuple[Any, int]] = {
    "nothing": (lambda: None, 204),
    "a text": (lambda: "ack", 200),
    "an error": (lambda: {"code": 429}, 429),
    "an exception that is an answer": (raise_event_error, 401),
    "abort": (lambda: abort(403), 403),
    "a response of the user's own": (lambda: Response("ack", 201, mimetype="text/plain"), 201),
}


@pytest.mark.parametrize(("handler", "status"), RESULTS.values(), ids=RESULTS)
def test_the_status_is_that_of_the_answer(
    wps: WebPubSub, client: WebPubSubTestClient, handler: Any, status: int
) -> None:
    wps.on_message(handler)
    connection = client.connect()

    with recorded(event_handled) as handled, recorded(event_rejected) as rejected:
        connection.send_text("hi")

    assert [values["status"] for _, values in handled] == [status]
    assert connection.answer.status == status
    assert rejected == []


def test_a_handler_that_raises_is_told_as_500(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message() -> None:
        raise LookupError

    with recorded(event_handled) as handled, pytest.raises(LookupError):
        client.connect().send_text("hi")

    assert [values["status"] for _, values in handled] == [500]


REJECTED: dict[str, tuple[dict[str, Any], int, type[Exception]]] = {
    "method": ({"method": "PUT"}, 405, MethodNotAllowedError),
    "access code": ({"query": "code=wrong"}, 401, InvalidAccessCodeError),
    "size": ({"body": b"a" * 101}, 413, EventTooLargeError),
    "headers": ({"headers": {"ce-type": None}}, 400, InvalidEventError),
    "handler": ({"headers": {"ce-hub": "other"}}, 404, HandlerNotFoundError),
    "signature": ({"headers": {"ce-signature": None}}, 401, InvalidSignatureError),
    "body": ({"body": b"\xff"}, 400, InvalidEventError),
    "validation": ({"method": "OPTIONS", "headers": {"WebHook-Request-Origin": "x.example"}}, 400, InvalidEventError),
}


@pytest.mark.parametrize(("changes", "status", "error"), REJECTED.values(), ids=REJECTED)
def test_a_refused_call_is_told_with_its_status_and_its_error(
    app: Flask, changes: dict[str, Any], status: int, error: type[Exception]
) -> None:
    app.config.update(WEBPUBSUB_ACCESS_CODE="the-code", WEBPUBSUB_MAX_BODY_BYTES=100)
    WebPubSub(app).on_message(ack)

    with recorded(event_handled) as handled, recorded(event_rejected) as rejected:
        assert call(app, make_event(**{"query": "code=the-code", **changes})).status == status

    assert handled == []
    ((sender, values),) = rejected
    assert sender is app
    assert values.keys() == {"status", "error"}
    assert values["status"] == status
    assert type(values["error"]) is error
    assert KEY not in str(values["error"])
    assert "the-code" not in str(values["error"])


def test_a_result_that_is_no_answer_is_told_as_refused(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    wps.on_message(lambda: ["no", "answer"])

    with recorded(event_rejected) as rejected:
        client.connect().send_text("hi")

    ((_, values),) = rejected
    assert values["status"] == 500
    assert type(values["error"]) is InvalidHandlerResultError


def test_a_validation_that_succeeds_is_no_event(client: WebPubSubTestClient) -> None:
    with recorded(event_handled) as handled, recorded(event_rejected) as rejected:
        assert client.validate()

    assert handled == []
    assert rejected == []


def test_a_receiver_can_be_for_one_app_alone(wps: WebPubSub, app: Flask, client: WebPubSubTestClient) -> None:
    other = Flask("other")
    seen: list[Flask] = []

    def listen(sender: Flask, **values: Any) -> None:
        seen.append(sender)

    wps.on_message(ack)
    with event_handled.connected_to(listen, other):
        client.connect().send_text("hi")
    assert seen == []

    with event_handled.connected_to(listen, app):
        client.connect().send_text("hi")
    assert seen == [app]


def test_receivers_may_be_coroutine_functions(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    seen: list[int] = []

    async def listen(sender: Flask, *, status: int, **values: Any) -> None:
        seen.append(status)

    wps.on_message(ack)
    connection = client.connect()
    with event_handled.connected_to(listen), event_rejected.connected_to(listen):
        connection.send_text("hi")
        connection.send_event("other", "hi")

    assert seen == [200, 404]


def test_a_receiver_of_a_handled_event_runs_in_the_apps_context(
    wps: WebPubSub, app: Flask, client: WebPubSubTestClient
) -> None:
    seen: list[Any] = []

    def listen(sender: Flask, **values: Any) -> None:
        seen.append(current_app._get_current_object())  # type: ignore[attr-defined]

    wps.on_message(ack)
    with event_handled.connected_to(listen):
        client.connect().send_text("hi")

    assert seen == [app]


@pytest.mark.view_only("flask.request")
def test_a_receiver_of_a_handled_event_has_the_request(wps: WebPubSub, app: Flask, client: WebPubSubTestClient) -> None:
    seen: list[str] = []

    def listen(sender: Flask, **values: Any) -> None:
        seen.append(request.method)

    wps.on_message(ack)
    with event_handled.connected_to(listen):
        client.connect().send_text("hi")

    assert seen == ["POST"]
