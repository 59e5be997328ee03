"""What a handler's result means to each kind of event: the whole table."""

from __future__ import annotations

import gc
import logging
from collections import UserDict
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import flask
import pytest
import werkzeug
from flask import Flask, abort, got_request_exception, redirect
from werkzeug.exceptions import Forbidden, HTTPException, NotFound
from werkzeug.routing import RequestRedirect

from flask_webpubsub import (
    ConnectEventResponse,
    EventError,
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    MqttConnectEventResponse,
    UserEventResponse,
    WebPubSub,
    WebPubSubEventResponse,
)
from flask_webpubsub.messages import Answer
from flask_webpubsub.testing import WebPubSubTestClient
from tests.test_codec import log_lines
from tests.wire import replay

pytestmark = pytest.mark.both_doors

TEXT, JSON, BINARY = "text/plain; charset=utf-8", "application/json", "application/octet-stream"
NOTICES = ["connected", "disconnected", "joined", "left"]


def answer_to(name: str, handler: Callable[[], Any], app: Flask, wps: WebPubSub) -> Answer:
    """What the app answers to a sample event where its handler is this one."""
    decorators = {
        "connect": wps.on_connect,
        "connected": wps.on_connected,
        "disconnected": wps.on_disconnected,
        "joined": wps.on_group_joined,
        "left": wps.on_group_left,
        "message_text": wps.on_message,
    }
    decorators[name](handler)
    return replay.read(name).send(app)


def assert_refused(answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    assert (answer.status, answer.header("Content-Type"), answer.body) == (500, TEXT, b"Internal Server Error")
    [record] = [record for record in caplog.records if record.name == "flask_webpubsub"]
    assert record.levelno == logging.ERROR


def assert_ignored(answer: Answer, caplog: pytest.LogCaptureFixture, *, warned: bool) -> None:
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("ce-connectionState") is None
    assert len(log_lines(caplog)) == warned


async def coroutine() -> str:
    return "never awaited"


async def async_generator() -> Any:
    yield "never asked"


def generator() -> Iterator[str]:
    yield "never asked"


# For each result, what it is to connect, to a message, and to the events that nobody waits for: a status and a body, or
# what is done with it.
REFUSED, IGNORED, WARNED = "refused", "ignored", "warned"
Row = tuple[Callable[[], Any], Any, Any, str]

TABLE: dict[str, Row] = {
    "none": (lambda: None, (204, b""), (204, b""), IGNORED),
    "connect-response": (lambda: ConnectEventResponse("a"), (200, b'{"userId":"a"}'), WARNED, IGNORED),
    "user-response": (lambda: UserEventResponse("a"), REFUSED, (200, b"a"), IGNORED),
    "user-response-states": (lambda: UserEventResponse("a", states={"b": 1}), REFUSED, (200, b"a"), IGNORED),
    "base-response": (lambda: WebPubSubEventResponse(), REFUSED, WARNED, IGNORED),
    "mqtt-response": (lambda: MqttConnectEventResponse("a"), REFUSED, WARNED, IGNORED),
    "mqtt-error": (lambda: MqttConnectEventErrorResponse(5), REFUSED, REFUSED, WARNED),
    "error": (lambda: EventErrorResponse(403, "No."), (403, b"No."), (403, b"No."), WARNED),
    "error-mapping": (lambda: {"code": 403, "errorMessage": "No."}, (403, b"No."), (403, b"No."), WARNED),
    "empty-mapping": (dict, (200, b"{}"), (204, b""), IGNORED),
    "connect-mapping": (lambda: {"userId": "a"}, (200, b'{"userId":"a"}'), REFUSED, IGNORED),
    "user-mapping": (lambda: {"data": "a"}, REFUSED, (200, b"a"), IGNORED),
    "misspelt-mapping": (lambda: {"role": ["a"]}, REFUSED, REFUSED, IGNORED),
    "user-dict": (lambda: UserDict(data="a"), REFUSED, (200, b"a"), IGNORED),
    "proxy": (lambda: MappingProxyType({"groups": ["a"]}), (200, b'{"groups":["a"]}'), REFUSED, IGNORED),
    "text": (lambda: "a", REFUSED, (200, b"a"), IGNORED),
    "empty-text": (lambda: "", REFUSED, (200, b""), IGNORED),
    "bytes": (lambda: b"a", REFUSED, (200, b"a"), IGNORED),
    "flask-response": (lambda: flask.Response("{}", mimetype="text/plain"), (200, b"{}"), (200, b"{}"), IGNORED),
    "tuple": (lambda: ("a", 403), REFUSED, REFUSED, WARNED),
    "error-tuple": (lambda: (EventErrorResponse(403), 403), REFUSED, REFUSED, WARNED),
    "list": (lambda: ["a"], REFUSED, REFUSED, WARNED),
    "class": (lambda: EventErrorResponse, REFUSED, REFUSED, WARNED),
    "coroutine": (coroutine, REFUSED, REFUSED, WARNED),
    "generator": (generator, REFUSED, REFUSED, WARNED),
    "async-generator": (async_generator, REFUSED, REFUSED, WARNED),
    "number": (lambda: 1, REFUSED, WARNED, IGNORED),
    "true": (lambda: True, REFUSED, WARNED, IGNORED),
    "false": (lambda: False, REFUSED, WARNED, IGNORED),
    "object": (lambda: object(), REFUSED, WARNED, IGNORED),
    "bytearray": (lambda: bytearray(b"a"), REFUSED, WARNED, IGNORED),
}


def check(expected: Any, answer: Answer, caplog: pytest.LogCaptureFixture) -> None:
    gc.collect(1)  # a coroutine that nobody closed warns when it goes; it is young
    if expected == REFUSED:
        assert_refused(answer, caplog)
    elif expected in (IGNORED, WARNED):
        assert_ignored(answer, caplog, warned=expected == WARNED)
    else:
        assert (answer.status, answer.body) == expected
        assert not log_lines(caplog)


@pytest.mark.parametrize(("make", "expected", "_", "__"), TABLE.values(), ids=TABLE)
def test_a_result_of_connect(
    make: Any, expected: Any, _: Any, __: Any, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    check(expected, answer_to("connect", lambda: make(), app, wps), caplog)


@pytest.mark.parametrize(("make", "_", "expected", "__"), TABLE.values(), ids=TABLE)
def test_a_result_of_a_message(
    make: Any, _: Any, expected: Any, __: Any, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    check(expected, answer_to("message_text", lambda: make(), app, wps), caplog)


@pytest.mark.parametrize("name", NOTICES)
@pytest.mark.parametrize(("make", "_", "__", "expected"), TABLE.values(), ids=TABLE)
def test_a_result_of_an_event_that_nobody_waits_for(
    name: str, make: Any, _: Any, __: Any, expected: Any, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    check(expected, answer_to(name, lambda: make(), app, wps), caplog)


@pytest.mark.parametrize("name", NOTICES)
@pytest.mark.parametrize("status", [400, 401, 404, 407, 408, 409, 429, 499, 500, 503, 599])
def test_an_error_that_may_be_tried_again_is_sent_where_nobody_waits(
    name: str, status: int, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    answer = answer_to(name, lambda: EventErrorResponse(status, "Why."), app, wps)
    if status == 408 or status >= 500:
        assert (answer.status, answer.body) == (status, b"Why.")
    else:
        assert (answer.status, answer.body) == (204, b"")
    [line] = log_lines(caplog)
    assert str(status) in line


def test_a_refused_result_is_not_shown_to_the_client(
    app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    answer = answer_to("connect", lambda: ["hunter2"], app, wps)
    assert_refused(answer, caplog)
    assert "hunter2" not in caplog.text
    assert "system event 'connect' of hub 'chat' returned a list" in caplog.text


# Responses of Flask's own.


class OwnResponse(flask.Response):
    default_mimetype = "application/json"


PASSED: dict[str, tuple[Callable[[], Any], int, str | None, bytes]] = {
    "text": (lambda: flask.Response("a", mimetype="text/plain"), 200, TEXT, b"a"),
    "json": (lambda: flask.Response("[1]", 201, mimetype=JSON), 201, JSON, b"[1]"),
    "binary": (lambda: flask.Response(b"\xff", mimetype=BINARY), 200, BINARY, b"\xff"),
    "empty": (lambda: flask.Response(status=204), 204, "text/html; charset=utf-8", b""),
    "empty-html": (lambda: flask.Response(""), 200, "text/html; charset=utf-8", b""),
    "error-html": (lambda: flask.Response("<p>", 418), 418, "text/html; charset=utf-8", b"<p>"),
    "server-error": (lambda: flask.Response("a", 503, mimetype="text/plain"), 503, TEXT, b"a"),
    "stream": (lambda: flask.Response(iter(["a", "b"]), mimetype="text/plain"), 200, TEXT, b"ab"),
    "subclass": (lambda: OwnResponse("{}"), 200, JSON, b"{}"),
    "werkzeug": (lambda: werkzeug.Response("a", mimetype="text/plain"), 200, TEXT, b"a"),
}


@pytest.mark.parametrize(("make", "status", "content_type", "body"), PASSED.values(), ids=PASSED)
@pytest.mark.parametrize("name", ["connect", "message_text"])
def test_a_response_of_flask_is_passed_through(
    make: Any, status: int, content_type: str | None, body: bytes, name: str, app: Flask, wps: WebPubSub
) -> None:
    answer = answer_to(name, lambda: make(), app, wps)
    assert (answer.status, answer.header("Content-Type"), answer.body) == (status, content_type, body)


def test_a_response_of_flask_is_passed_through_untouched(app: Flask, wps: WebPubSub) -> None:
    def handler() -> flask.Response:
        response = flask.Response("a", mimetype="text/plain")
        response.set_cookie("a", "b")
        response.headers.add("X-A", "1")
        response.headers.add("X-A", "2")
        return response

    answer = answer_to("message_text", handler, app, wps)
    assert sorted(answer.headers) == [
        ("Content-Length", "1"),
        ("Content-Type", TEXT),
        ("Set-Cookie", "a=b; Path=/"),
        ("X-A", "1"),
        ("X-A", "2"),
    ]


@pytest.mark.view_only("after_request")
def test_a_function_after_the_request_sees_a_response_that_was_passed_through(app: Flask, wps: WebPubSub) -> None:
    app.after_request(lambda response: response.headers.add("X-Seen", type(response).__name__) or response)
    answer = answer_to("message_text", lambda: OwnResponse("{}"), app, wps)
    assert answer.header("X-Seen") == "OwnResponse"


def test_jsonify_works(app: Flask, wps: WebPubSub) -> None:
    answer = answer_to("connect", lambda: flask.jsonify(userId="a"), app, wps)
    assert (answer.status, answer.header("Content-Type"), answer.body.strip()) == (200, JSON, b'{"userId":"a"}')


NOT_PASSED: dict[str, Callable[[], Any]] = {
    "redirect": lambda: redirect("/login"),
    "permanent": lambda: redirect("/login", 308),
    "not-modified": lambda: flask.Response(status=304),
    "early": lambda: flask.Response(status=103),
}
STATUS_LINES = {"a line break": "200 OK\r\nX-Injected: 1", "a null": "200 O\0K", "an escape": "200 \x1b[2K"}
NO_MESSAGES: dict[str, Callable[[], Any]] = {
    "html": lambda: flask.Response("<p>"),
    "created-html": lambda: flask.Response("<p>", 201),
    "xml": lambda: flask.Response("<p>", mimetype="application/xml"),
    "html-stream": lambda: flask.Response(iter(["<p>"])),
    "image": lambda: werkzeug.Response(b"a", mimetype="image/png"),
}


@pytest.mark.parametrize("make", NOT_PASSED.values(), ids=NOT_PASSED)
@pytest.mark.parametrize("name", ["connect", "message_text"])
def test_a_redirect_is_no_answer(
    make: Any, name: str, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(answer_to(name, lambda: make(), app, wps), caplog)


@pytest.mark.parametrize("status", STATUS_LINES.values(), ids=STATUS_LINES)
@pytest.mark.parametrize("name", ["connect", "message_text"])
def test_a_status_line_that_no_server_should_send_is_no_answer(
    status: str, name: str, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(answer_to(name, lambda: flask.Response("a", status, mimetype="text/plain"), app, wps), caplog)
    assert "give the number alone" in caplog.text
    assert "X-Injected" not in caplog.text


@pytest.mark.parametrize("make", NO_MESSAGES.values(), ids=NO_MESSAGES)
def test_a_page_is_no_answer_to_a_message(
    make: Any, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(answer_to("message_text", lambda: make(), app, wps), caplog)
    assert "mimetype='text/plain'" in caplog.text


# What a handler raises.


def throw(error: BaseException | Callable[[], Any]) -> Callable[[], Any]:
    def handler() -> Any:
        if isinstance(error, BaseException):
            raise error
        error()

    return handler


class Teapot(HTTPException):
    code = 418
    description = "I am a teapot, to people in front of a browser."


ERRORS: dict[str, tuple[Any, int, str]] = {
    "event-error": (EventError("unauthorized", "Sign in."), 401, "Sign in."),
    "event-error-empty": (EventError(429), 429, ""),
    "abort": (lambda: abort(401), 401, "Unauthorized"),
    "abort-description": (lambda: abort(403, "Go away."), 403, "Go away."),
    "abort-empty": (lambda: abort(403, ""), 403, ""),
    "abort-503": (lambda: abort(503), 503, "Service Unavailable"),
    "class": (Forbidden(), 403, "Forbidden"),
    "class-description": (NotFound("No such room."), 404, "No such room."),
    "own-class": (Teapot(), 418, "I'm a teapot"),
    "response": (lambda: abort(flask.Response("<p>", 409)), 409, "Conflict"),
}


@pytest.mark.parametrize(("error", "status", "text"), ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("name", ["connect", "message_text"])
def test_an_error_that_was_raised_is_an_answer(
    error: Any, status: int, text: str, name: str, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    answer = answer_to(name, throw(error), app, wps)
    assert (answer.status, answer.header("Content-Type"), answer.body) == (status, TEXT, text.encode())
    assert not log_lines(caplog)


@pytest.mark.parametrize(
    ("error", "status"),
    [(EventError(404), 204), (EventError(503), 503), (NotFound(), 204), (EventError("serverError"), 500)],
    ids=repr,
)
@pytest.mark.parametrize("name", NOTICES)
def test_an_error_that_was_raised_where_nobody_waits(
    error: Any, status: int, name: str, app: Flask, wps: WebPubSub
) -> None:
    assert answer_to(name, throw(error), app, wps).status == status


NO_ERRORS: dict[str, Any] = {
    "redirect": lambda: abort(redirect("/login")),
    "request-redirect": RequestRedirect("/login"),
    "success": lambda: abort(flask.Response("ok")),
    "no-content": HTTPException(response=werkzeug.Response(status=204)),
    "no-code": HTTPException(),
    "unusual": HTTPException(response=werkzeug.Response(status=600)),
}


@pytest.mark.parametrize("error", NO_ERRORS.values(), ids=NO_ERRORS)
@pytest.mark.parametrize("name", ["connect", "message_text", "connected"])
def test_an_exception_that_is_no_error_is_refused(
    error: Any, name: str, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(answer_to(name, throw(error), app, wps), caplog)


@pytest.mark.parametrize("name", ["connect", "message_text", *NOTICES])
def test_a_crash_reaches_flask_and_is_500_without_its_text(
    name: str, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    seen: list[BaseException] = []

    def see(sender: Flask, exception: BaseException) -> None:
        seen.append(exception)

    with got_request_exception.connected_to(see, app):
        answer = answer_to(name, throw(LookupError("hunter2")), app, wps)
    assert answer.status == 500
    assert b"hunter2" not in answer.body
    assert [type(error) for error in seen] == [LookupError]
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["app"]


def test_a_type_error_of_a_handler_is_neither_retried_nor_hidden(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    calls = []

    @wps.on_message
    def message(data: str) -> None:
        calls.append(data)
        raise TypeError("of the handler's own")

    with pytest.raises(TypeError, match="of the handler's own"):
        client.connect().send_text("hi")
    assert calls == ["hi"]


@pytest.mark.view_only("errorhandler")
def test_an_error_handler_of_the_app_answers_a_message(app: Flask, wps: WebPubSub) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.register_error_handler(LookupError, lambda error: ("Try again.", 503))
    answer = answer_to("message_text", throw(LookupError()), app, wps)
    assert (answer.status, answer.body) == (503, b"Try again.")


@pytest.mark.parametrize("error", [EventError(403, "No."), Forbidden("No.")], ids=["event-error", "http"])
def test_an_async_handler_may_raise_too(error: Exception, app: Flask, wps: WebPubSub) -> None:
    async def handler() -> Any:
        raise error

    answer = answer_to("message_text", handler, app, wps)
    assert (answer.status, answer.body) == (403, b"No.")
