"""The lane: what is different where WEBPUBSUB_DIRECT answers events before Flask builds a request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cache, partial, wraps
from types import SimpleNamespace
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
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
    defer,
)
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.cli import webpubsub
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import HOST
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


def test_a_route_of_the_apps_own_below_the_webhook_is_flasks(app: Flask, wps: WebPubSub) -> None:
    @app.get("/runtime/webhooks/webpubsub/negotiate")
    def negotiate() -> str:
        return request.path

    assert (
        app.test_client().get("/runtime/webhooks/webpubsub/negotiate").text == "/runtime/webhooks/webpubsub/negotiate"
    )


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
def test_other_methods_are_refused_by_the_lane(app: Flask, wps: WebPubSub, method: str) -> None:
    called: list[object] = []
    app.before_request(lambda: called.append(request.path))
    headers = {"WebHook-Request-Origin": HOST}

    answer = app.test_client().open("/runtime/webhooks/webpubsub", method=method, headers=headers)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, OPTIONS, POST")
    assert answer.data == (b"" if method == "HEAD" else b"Method Not Allowed")
    assert called == []


def test_what_is_no_call_of_the_service_is_flasks(app: Flask, wps: WebPubSub) -> None:
    called: list[object] = []
    app.before_request(lambda: called.append(request.path))

    assert app.test_client().post("/runtime/webhooks/webpubsub").status_code == 400
    assert called == ["/runtime/webhooks/webpubsub"]


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


def make_handler_of_a_factory() -> Callable[[], str]:
    from flask import request as the_request

    return lambda: the_request.path


def imports_it() -> str:
    from flask import g
    from flask import session as the_session

    return f"{g} {the_session}"


def needs_login(view: Callable[[], str]) -> Callable[[], str]:
    @wraps(view)
    def checked() -> str:
        return view() if "user" in flask.session else ""

    return checked


def say_ack() -> str:
    return "ack"


def fail() -> None:
    raise LookupError("a mistake")


class Room:
    def enter(self) -> str:
        return request.path


@pytest.mark.parametrize(
    "function",
    [
        make_handler_of_a_factory(),
        imports_it,
        needs_login(say_ack),
        cache(by_name),
        Room().enter,
        lambda: flask.after_this_request(lambda response: response) and "ack",
        lambda: flask.send_file("a.txt"),
        lambda: str(flask.get_flashed_messages()),
    ],
    ids=["closure", "own import", "decorator", "cache", "method", "after", "file", "flash"],
)
def test_a_handler_that_uses_a_request_in_another_way_is_refused(
    app: Flask, wps: WebPubSub, function: Callable[[], str]
) -> None:
    with pytest.raises(ConfigurationError, match=r"uses flask\.\w+, which an event does not have"):
        wps.on_message(function)


def test_what_has_the_name_of_a_request_alone_is_none(app: Flask, wps: WebPubSub) -> None:
    database = SimpleNamespace(session="the database's", request=1)

    @wps.on_message
    def message(request: UserEventRequest) -> str:
        by_lambda = (lambda: request.data)()
        flask.g.session = "g's"
        return f"{database.session} {by_lambda} {flask.g.session} {database.request}"

    assert say_hi(wps.test_client(app)) == "the database's hi g's 1"


def test_whoever_is_told_of_an_exception_has_the_app(app: Flask, wps: WebPubSub) -> None:
    app.testing = False
    told: list[str] = []
    wps.on_message(fail)

    with flask.got_request_exception.connected_to(lambda sender, **extra: told.append(current_app.name), app):
        assert ask(app) == "500 INTERNAL SERVER ERROR"
    assert told == ["app"]


def test_the_end_of_a_process_reaches_teardown_functions(app: Flask, wps: WebPubSub) -> None:
    ended: list[BaseException | None] = []
    app.teardown_appcontext(ended.append)
    error = SystemExit(1)

    @wps.on_message
    def message() -> None:
        raise error

    with pytest.raises(SystemExit):
        ask(app)
    assert ended == [error]


def test_a_response_is_sent_within_the_apps_context(app: Flask, wps: WebPubSub) -> None:
    class Named(Response):
        def get_wsgi_headers(self, environ: Any) -> Any:
            self.headers["X-App"] = current_app.name
            return super().get_wsgi_headers(environ)

    @wps.on_message
    def message() -> Response:
        return Named("ack", mimetype="text/plain")

    chat = wps.test_client(app).connect()
    chat.send_text("hi")
    assert chat.answer.header("X-App") == "app"


def test_a_path_over_two_lines_is_one_line_of_the_log(
    app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    app.testing = False
    wps.on_message(fail)

    ask(app, "/runtime/webhooks/webpubsub/\r\nERROR all is lost")

    (line,) = [record.getMessage() for record in caplog.records if record.exc_info]
    assert line.isprintable()


# What passes it by.


class Prefix:
    """A middleware that takes a prefix off the path."""

    def __init__(self, wsgi_app: Any) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        path = environ["PATH_INFO"].removeprefix("/shop")
        return self._wsgi_app({**environ, "PATH_INFO": path}, start_response)


@pytest.mark.parametrize(("outside", "door"), [(True, "lane"), (False, "view")])
def test_a_prefix_is_taken_off_outside_of_the_lane_or_leads_to_the_view(app: Flask, outside: bool, door: str) -> None:
    if not outside:
        app.wsgi_app = Prefix(app.wsgi_app)  # type: ignore[method-assign]
    wps = WebPubSub(app)
    if outside:
        app.wsgi_app = Prefix(app.wsgi_app)  # type: ignore[method-assign]
    doors: list[str] = []
    wps.on_message(lambda: doors.append("view" if has_request_context() else "lane"))

    assert ask(app, "/shop/runtime/webhooks/webpubsub") == "204 NO CONTENT"
    assert doors == [door]


def test_all_that_is_passed_by_is_named(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    class Own(Response):
        pass

    def listen(sender: Flask, **extra: Any) -> None: ...

    app.wsgi_app = Prefix(app.wsgi_app)  # type: ignore[method-assign]
    app.response_class = Own
    WebPubSub(app)
    app.teardown_request(print)
    app.url_value_preprocessor(print)
    with flask.request_started.connected_to(listen, app):
        ask(app)

    (line,) = [record.getMessage() for record in caplog.records if "WEBPUBSUB_DIRECT" in record.getMessage()]
    assert "Prefix (app.wsgi_app, to be set after the extension was added)" in line
    assert "Own (app.response_class)" in line
    assert "listen (flask.request_started)" in line
    assert "print (@app.teardown_request)" in line
    assert "print (@app.url_value_preprocessor)" in line


def test_a_host_that_the_app_does_not_trust_is_refused_by_flask(app: Flask, wps: WebPubSub) -> None:
    app.config["TRUSTED_HOSTS"] = ["chat.example"]
    wps.on_message(say_ack)

    assert ask(app, HTTP_HOST="evil.example") == "400 BAD REQUEST"
    assert ask(app, HTTP_HOST="chat.example") == "200 OK"


# What works as ever.


def test_a_path_in_any_script_leads_to_the_lane(app: Flask) -> None:
    app.config["WEBPUBSUB_PATH"] = "/événements"
    wps = WebPubSub(app)
    wps.on_message(lambda: str(has_request_context()))

    assert wps.test_client(app).validate()
    assert say_hi(wps.test_client(app)) == "False"


def test_the_webhooks_url_can_be_built(app: Flask, wps: WebPubSub) -> None:
    with app.test_request_context():
        assert flask.url_for("webpubsub.webhook") == "/runtime/webhooks/webpubsub"


def test_a_coroutine_function_may_be_a_handler(app: Flask, wps: WebPubSub) -> None:
    @wps.on_message
    async def message(data: str) -> str:
        return f"{data} {current_app.name}"

    assert say_hi(wps.test_client(app)) == "hi app"


def test_it_gets_along_with_the_setting_that_skips_sessions(app: Flask) -> None:
    app.config.update(WEBPUBSUB_SKIP_SESSION=True, SECRET_KEY="of the tests")
    wps = WebPubSub(app)
    wps.on_message(lambda: str(has_request_context()))

    @app.get("/visits")
    def visits() -> str:
        flask.session["visits"] = flask.session.get("visits", 0) + 1
        return str(flask.session["visits"])

    browser = app.test_client()
    assert say_hi(wps.test_client(app)) == "False"
    assert [browser.get("/visits").text for _ in range(2)] == ["1", "2"]


def test_a_decorator_of_a_library_is_looked_into(app: Flask, wps: WebPubSub) -> None:
    flask_login = pytest.importorskip("flask_login", reason="Flask-Login is not installed")

    with pytest.raises(ConfigurationError, match=r"uses flask\.request"):
        wps.on_message(flask_login.login_required(say_ack))


def test_the_emulator_sends_its_events_to_the_lane(app: Flask) -> None:
    emulator = pytest.importorskip("flask_webpubsub.emulator", reason="the extra 'emulator' is not installed")
    websocket = pytest.importorskip("websocket", reason="websocket-client is not installed")
    app.config["WEBPUBSUB_CONNECTION_STRING"] = DEVELOPMENT_CONNECTION_STRING
    wps = WebPubSub(app)
    wps.on_message(lambda data: f"{data} {has_request_context()}")

    with emulator.Emulator(app) as service, ExitStack() as stack:
        alice = stack.enter_context(closing(websocket.create_connection(service.client_url(user_id="alice"))))
        alice.send("hi")
        assert alice.recv() == "hi False"


def test_the_commands_work(app: Flask, wps: WebPubSub) -> None:
    wps.on_message(lambda data: f"{data} {has_request_context()}")
    run = app.test_cli_runner().invoke

    assert "hi False" in run(webpubsub, ["send", "message", "hi"]).output
    assert "/runtime/webhooks/webpubsub" in run(webpubsub, ["url", "--base-url", "https://chat.example"]).output
    app.before_request(lambda: None)
    checked = " ".join(run(webpubsub, ["check"]).output.split())
    assert "warning WEBPUBSUB_DIRECT Events are answered before Flask handles a request" in checked
    assert "(@app.before_request)" in checked


def test_each_app_has_its_own_door(app: Flask, wps: WebPubSub) -> None:
    other = Flask("other")
    other.config.update(app.config, WEBPUBSUB_DIRECT=False)
    wps.init_app(other)
    wps.on_message(lambda: str(has_request_context()))

    assert [say_hi(wps.test_client(each)) for each in (app, other)] == ["False", "True"]
