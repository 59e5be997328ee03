"""The lane: what is different where WEBPUBSUB_DIRECT answers events before Flask builds a request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import flask
import pytest
from flask import Flask, Response, current_app, g, has_request_context, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from flask_webpubsub import (
    ConfigurationError,
    MqttConnectEventErrorResponse,
    MqttConnectProperties,
    MqttProtocolVersion,
    UserEventResponse,
    WebPubSub,
    defer,
)
from flask_webpubsub.testing import WebPubSubTestClient
from tests.wire import replay


@pytest.fixture
def app(app: Flask) -> Flask:
    app.config["WEBPUBSUB_DIRECT"] = True
    return app


def ask(app: Any, path: str = "/runtime/webhooks/webpubsub", name: str = "message_text", **environ: Any) -> str:
    """The status line of the answer to a sample event."""
    found: list[str] = []
    sample = replay.read(name).environ() | {"PATH_INFO": path} | environ
    body = app(sample, lambda status, headers, exc_info=None: found.append(status))
    list(body)
    if hasattr(body, "close"):
        body.close()
    return found[0]


def say_hi(client: WebPubSubTestClient) -> Any:
    """The data of the answer to a message."""
    answer = client.connect().send_text("hi")
    assert isinstance(answer, UserEventResponse)
    return answer.data


def test_a_handler_has_an_app_context_and_no_request(app: Flask, client: WebPubSubTestClient, wps: WebPubSub) -> None:
    ended: list[object] = []
    app.teardown_appcontext(ended.append)

    @wps.on_message
    def message() -> str:
        g.seen = True
        return f"{current_app.name} {has_request_context()}"

    assert say_hi(client) == "app False"
    assert ended
    assert set(ended) == {None}


def test_other_routes_are_flasks(app: Flask, wps: WebPubSub) -> None:
    app.before_request(lambda: None)

    @app.get("/page")
    def page() -> str:
        return request.path

    assert app.test_client().get("/page").text == "/page"
    assert app.test_client().get("/runtime/webhooks/other").status_code == 404


@pytest.mark.parametrize("path", ["", "/", "/message", "/a/b"])
def test_the_paths_of_the_view_are_the_lanes(app: Flask, wps: WebPubSub, path: str) -> None:
    called: list[object] = []
    app.before_request(lambda: called.append(request.path))
    wps.on_message(lambda: "ack")

    assert ask(app, f"/runtime/webhooks/webpubsub{path}") == "200 OK"
    assert ask(app, f"//runtime/webhooks/webpubsub{path}") == "200 OK"
    assert called == []
    assert ask(app, f"/runtime/webhooks/webpubsubs{path}") == "404 NOT FOUND"
    assert len(called) == 1


def test_an_app_below_a_prefix_answers_there(app: Flask, wps: WebPubSub) -> None:
    wps.on_message(lambda: "ack")
    mounted = DispatcherMiddleware(Flask("front"), {"/below": app})

    assert ask(mounted, "/below/runtime/webhooks/webpubsub") == "200 OK"
    assert ask(mounted) == "404 NOT FOUND"


def test_a_head_request_has_no_body(app: Flask, wps: WebPubSub) -> None:
    answer = app.test_client().head("/runtime/webhooks/webpubsub")

    assert answer.status_code == 405
    assert answer.data == b""
    assert answer.headers["Allow"] == "GET, OPTIONS, POST"


def test_what_a_handler_raises_is_logged_and_told_to_the_app(
    app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    app.testing = False
    ended: list[object] = []
    told: list[object] = []
    app.teardown_appcontext(ended.append)
    error = ValueError("secret")

    @wps.on_message
    def message() -> None:
        raise error

    with flask.got_request_exception.connected_to(lambda app, exception, **extra: told.append(exception), app):
        assert ask(app) == "500 INTERNAL SERVER ERROR"
    assert told == ended == [error]
    assert [record.name for record in caplog.records if record.exc_info] == ["app"]


@pytest.mark.parametrize("setting", ["TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
def test_what_a_handler_raises_comes_out_where_flask_lets_it(app: Flask, wps: WebPubSub, setting: str) -> None:
    app.config.update({"TESTING": False, setting: True})

    @wps.on_message
    def message() -> None:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        ask(app)


def test_an_mqtt_client_is_refused_in_its_own_words(app: Flask, wps: WebPubSub) -> None:
    app.testing = False

    @wps.on_connect
    def connect() -> None:
        raise ValueError("a mistake")

    mqtt = MqttConnectProperties(protocol_version=MqttProtocolVersion.V500)
    connection = wps.test_client(app).connect(mqtt=mqtt)

    assert not connection.accepted
    assert isinstance(connection.response, MqttConnectEventErrorResponse)


def test_a_response_of_flask_goes_out_and_is_closed(app: Flask, wps: WebPubSub) -> None:
    closed: list[str] = []

    @wps.on_message
    def message() -> Response:
        response = Response(iter([b"a", b"b"]), content_type="text/plain", status=202)
        response.call_on_close(lambda: closed.append("closed"))
        return response

    assert ask(app) == "202 ACCEPTED"
    assert closed == ["closed"]


@pytest.mark.parametrize("answer", [None, "ack"], ids=["204", "200"])
def test_deferred_work_is_done(app: Flask, wps: WebPubSub, answer: str | None) -> None:
    done: list[str] = []

    @wps.on_message
    def message() -> str | None:
        defer(done.append, "done")
        return answer

    wps.test_client(app).connect().send_text("hi")

    assert done == ["done"]


def test_hooks_that_are_passed_by_are_named_once(app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture) -> None:
    def keep_out() -> tuple[str, int]:
        return "no", 403

    app.before_request(keep_out)
    app.register_error_handler(404, lambda error: "nothing")
    wps.on_message(lambda: "ack")

    assert ask(app) == "200 OK"
    assert ask(app) == "200 OK"

    (line,) = [record.getMessage() for record in caplog.records if "WEBPUBSUB_DIRECT" in record.getMessage()]
    assert "keep_out (@app.before_request)" in line
    assert "(@app.errorhandler)" in line


def test_an_app_without_hooks_is_warned_of_nothing(
    app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    wps.on_message(lambda: "ack")

    assert ask(app) == "200 OK"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def by_name() -> str:
    return request.path


def by_module() -> str:
    return flask.request.path


def within() -> str:
    return (lambda: str(flask.session))()


@wraps(by_name)
def decorated() -> str:
    return by_name()


class Callable_:  # noqa: N801
    def __call__(self) -> str:
        return request.path


USES: dict[str, Callable[[], str]] = {
    "by its name": by_name,
    "by the module": by_module,
    "in an inner function": within,
    "decorated": decorated,
    "partial": partial(by_name),
    "an object": Callable_(),
}


@pytest.mark.parametrize("function", USES.values(), ids=USES)
def test_a_handler_that_uses_a_request_is_refused(app: Flask, wps: WebPubSub, function: Callable[[], str]) -> None:
    with pytest.raises(ConfigurationError, match=r"uses flask\.(request|session), which an event does not have"):
        wps.on_message(function)


def test_such_a_handler_is_refused_when_the_app_comes_later(app: Flask) -> None:
    wps = WebPubSub()
    wps.on_message(by_name)

    with pytest.raises(ConfigurationError, match=r"by_name uses flask\.request"):
        wps.init_app(app)


def test_an_argument_of_the_name_is_no_request_of_flasks(app: Flask, wps: WebPubSub) -> None:
    wps.on_message(lambda request: request.data)

    assert ask(app) == "200 OK"


def test_each_app_has_its_own_door(app: Flask, wps: WebPubSub) -> None:
    other = Flask("other")
    other.config.update(app.config, WEBPUBSUB_DIRECT=False)
    wps.init_app(other)
    wps.on_message(lambda: str(has_request_context()))

    assert [say_hi(wps.test_client(each)) for each in (app, other)] == ["False", "True"]
