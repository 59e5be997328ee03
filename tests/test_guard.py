"""A connect that its handler did not accept is not accepted by anything else in the app."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, Response, abort, got_request_exception, jsonify, redirect, request
from werkzeug.exceptions import HTTPException, RequestTimeout, TooManyRequests
from werkzeug.wrappers import Response as WerkzeugResponse

from flask_webpubsub import (
    ConnectEventResponse,
    EventError,
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    MqttV311ConnectReturnCode,
    MqttV500ConnectReasonCode,
    WebPubSub,
)
from flask_webpubsub.messages import Answer
from flask_webpubsub.mqtt import MqttConnectProperties, MqttProtocolVersion
from flask_webpubsub.testing import Connection, WebPubSubTestClient
from tests.conftest import CONNECTION_STRING
from tests.test_dispatch import CONNECT, PATH, call, make_event

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

pytestmark = pytest.mark.both_doors

Interference = Callable[[Flask], Any]


class Boom(Exception):  # noqa: N818
    """What the handlers here raise."""


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An app as it is deployed: exceptions are answers."""
    app = Flask("app")
    app.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB="chat", WEBPUBSUB_PATH=PATH)
    monkeypatch.setattr(app.logger, "disabled", True)  # what Flask logs of exceptions is not what these tests look at
    return app


def mqtt(version: int) -> MqttConnectProperties:
    return MqttConnectProperties(protocol_version=MqttProtocolVersion(version))


def raise_boom(request: Any) -> None:
    raise Boom("the secret of the handler")


def accept(request: Any) -> ConnectEventResponse:
    return ConnectEventResponse(user_id="ada")


def refuse(request: Any) -> EventErrorResponse:
    return EventErrorResponse("unauthorized", "No.")


# Apps that would let a client in, and mean no harm.


def errors_are_200(app: Flask) -> None:
    @app.errorhandler(Exception)
    def answer(error: Exception) -> Any:
        return {"ok": False, "error": str(error)}, 200


def errors_are_204(app: Flask) -> None:
    @app.errorhandler(Exception)
    def answer(error: Exception) -> Any:
        return "", 204


def errors_are_redirects(app: Flask) -> None:
    @app.errorhandler(Exception)
    def answer(error: Exception) -> Any:
        return redirect("/sorry")


def errors_of_500_are_200(app: Flask) -> None:
    @app.errorhandler(500)
    def answer(error: Exception) -> Any:
        return "We are sorry."


def errors_of_one_class_are_200(app: Flask) -> None:
    @app.errorhandler(Boom)
    def answer(error: Boom) -> Any:
        return jsonify(userId="admin")


AFTER: dict[str, Interference] = {
    "errorhandler(Exception) says 200": errors_are_200,
    "errorhandler(Exception) says 204": errors_are_204,
    "errorhandler(Exception) redirects": errors_are_redirects,
    "errorhandler(500) says 200": errors_of_500_are_200,
    "errorhandler of the class says 200": errors_of_one_class_are_200,
}


def before_request_answers_json(app: Flask) -> None:
    @app.before_request
    def answer() -> Any:
        return jsonify(status="maintenance")


def before_request_redirects(app: Flask) -> None:
    @app.before_request
    def answer() -> Any:
        return redirect("/login")


def before_request_raises(app: Flask) -> None:
    errors_are_200(app)

    @app.before_request
    def fail() -> None:
        raise Boom


def before_request_aborts(app: Flask) -> None:
    errors_are_200(app)

    @app.before_request
    def fail() -> None:
        abort(401)


def url_value_preprocessor_raises(app: Flask) -> None:
    errors_are_200(app)

    @app.url_value_preprocessor
    def fail(endpoint: str | None, values: dict[str, Any] | None) -> None:
        raise Boom


BEFORE: dict[str, Interference] = {
    "before_request answers JSON": before_request_answers_json,
    "before_request redirects": before_request_redirects,
    "before_request raises": before_request_raises,
    "before_request aborts": before_request_aborts,
    "url_value_preprocessor raises": url_value_preprocessor_raises,
}


@pytest.mark.view_only("errorhandler")
@pytest.mark.parametrize("interfere", AFTER.values(), ids=AFTER)
def test_a_connect_whose_handler_raises_stays_refused(
    app: Flask, caplog: pytest.LogCaptureFixture, interfere: Interference
) -> None:
    interfere(app)
    wps = WebPubSub(app)
    wps.on_connect(raise_boom)

    connection = wps.test_client(app).connect()

    assert not connection.accepted
    assert connection.answer.status == 500
    assert connection.answer.body == b""
    assert "after its handler" in caplog.text
    assert "it is replaced by 500" in caplog.text


@pytest.mark.view_only("before_request")
@pytest.mark.parametrize("interfere", BEFORE.values(), ids=BEFORE)
def test_a_connect_that_something_else_answers_first_is_refused(
    app: Flask, caplog: pytest.LogCaptureFixture, interfere: Interference
) -> None:
    interfere(app)
    wps = WebPubSub(app)
    wps.on_connect(accept)

    connection = wps.test_client(app).connect()

    assert not connection.accepted
    assert (connection.answer.status, connection.answer.body) == (500, b"")
    assert "before its handler was called" in caplog.text
    assert "before_request" in caplog.text


@pytest.mark.view_only("before_request")
def test_the_order_of_init_app_and_the_rest_plays_no_part(app: Flask) -> None:
    wps = WebPubSub(app)
    wps.on_connect(accept)
    before_request_answers_json(app)

    assert wps.test_client(app).connect().answer.status == 500


@pytest.mark.view_only("after_request")
@pytest.mark.parametrize("handler", [accept, refuse, raise_boom])
def test_an_after_request_that_replaces_the_answer_lets_nobody_in(app: Flask, handler: Any) -> None:
    wps = WebPubSub(app)
    wps.on_connect(handler)

    @app.after_request
    def replace(response: Response) -> Response:
        return jsonify(status=response.status_code)

    assert wps.test_client(app).connect().answer.status == 500


@pytest.mark.view_only("after_request")
def test_an_after_request_that_makes_a_success_of_an_error_lets_nobody_in(app: Flask) -> None:
    wps = WebPubSub(app)
    wps.on_connect(refuse)

    @app.after_request
    def always_200(response: Response) -> Response:
        response.status_code = 200
        return response

    assert wps.test_client(app).connect().answer.status == 500


@pytest.mark.view_only("after_request")
@pytest.mark.parametrize("handler", [accept, refuse])
def test_an_after_request_that_raises_lets_nobody_in(app: Flask, handler: Any) -> None:
    errors_are_200(app)
    wps = WebPubSub(app)
    wps.on_connect(handler)

    @app.after_request
    def fail(response: Response) -> Response:
        raise Boom

    assert wps.test_client(app).connect().answer.status == 500


@pytest.mark.view_only("after_request")
def test_an_after_request_may_add_headers_to_an_answer(app: Flask) -> None:
    wps = WebPubSub(app)
    wps.on_connect(accept)

    @app.after_request
    def add(response: Response) -> Response:
        response.headers["X-Frame-Options"] = "DENY"
        response.set_cookie("seen", "1")
        return response

    connection = wps.test_client(app).connect()
    assert connection.response == ConnectEventResponse(user_id="ada")
    assert connection.answer.header("X-Frame-Options") == "DENY"
    assert connection.cookies == {"seen": "1"}


@pytest.mark.view_only("a middleware inside")
def test_a_middleware_that_answers_itself_lets_nobody_in(app: Flask) -> None:
    def maintenance(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b"{}"]

    app.wsgi_app = maintenance  # type: ignore[method-assign]
    wps = WebPubSub(app)
    wps.on_connect(accept)

    assert wps.test_client(app).connect().answer.status == 500


@pytest.mark.view_only("a middleware inside")
def test_a_middleware_that_starts_late_lets_nobody_in(app: Flask) -> None:
    closed: list[bool] = []

    class Late:
        def __init__(self, start_response: StartResponse) -> None:
            self._start_response = start_response

        def __iter__(self) -> Iterator[bytes]:
            self._start_response("200 OK", [("Content-Type", "application/json")])
            yield b"{}"

        def close(self) -> None:
            closed.append(True)

    app.wsgi_app = lambda environ, start_response: Late(start_response)  # type: ignore[method-assign]
    wps = WebPubSub(app)

    answer = call(app, make_event(CONNECT, b"{}"))
    assert (answer.status, answer.body) == (500, b"")
    assert closed == [True]
    late = call(app, make_event())
    assert (late.status, late.body) == (200, b"{}")
    assert wps.blueprint.name == "webpubsub"


class Prefix:
    """A middleware as many apps have one, which takes a prefix off the path."""

    def __init__(self, wsgi_app: WSGIApplication, prefix: str) -> None:
        self._wsgi_app = wsgi_app
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(self._prefix):
            environ["PATH_INFO"] = environ["PATH_INFO"][len(self._prefix) :]
            environ["SCRIPT_NAME"] = self._prefix
        return self._wsgi_app(environ, start_response)


@pytest.mark.parametrize("inside", [True, False], ids=["before init_app", "after init_app"])
@pytest.mark.parametrize(
    ("interfere", "status"),
    [
        pytest.param(before_request_answers_json, 500, marks=pytest.mark.view_only("before_request")),
        (lambda app: None, 200),
    ],
)
def test_an_app_that_takes_a_prefix_off_its_paths_is_guarded(
    app: Flask, inside: bool, interfere: Interference, status: int
) -> None:
    interfere(app)
    if inside:
        app.wsgi_app = Prefix(app.wsgi_app, "/shop")  # type: ignore[method-assign]
    wps = WebPubSub(app)
    wps.on_connect(accept)
    if not inside:
        app.wsgi_app = Prefix(app.wsgi_app, "/shop")  # type: ignore[method-assign]

    assert call(app, make_event(CONNECT, b"{}", path=f"/shop{PATH}")).status == status


@pytest.mark.view_only("before_request")
@pytest.mark.parametrize("path", ["/events", "/événements", "/a b"])
def test_the_guard_stands_at_any_path(app: Flask, path: str) -> None:
    app.config["WEBPUBSUB_PATH"] = path
    before_request_answers_json(app)
    wps = WebPubSub(app)
    wps.on_connect(accept)

    assert wps.test_client(app).connect().answer.status == 500


@pytest.mark.view_only("before_request")
@pytest.mark.parametrize("below", ["/", "/connect", "/chat/connect", "//connect"])
def test_the_guard_stands_below_the_path_too(app: Flask, below: str) -> None:
    before_request_answers_json(app)
    WebPubSub(app).on_connect(accept)

    assert call(app, make_event(CONNECT, b"{}", path=PATH + below)).status == 500


@pytest.mark.view_only("before_request")
@pytest.mark.parametrize("ce_type", ["Azure.WebPubSub.Sys.Connect", " azure.webpubsub.sys.connect ", CONNECT.upper()])
def test_a_connect_is_a_connect_in_any_spelling(app: Flask, ce_type: str) -> None:
    before_request_answers_json(app)
    WebPubSub(app).on_connect(accept)

    assert call(app, make_event(CONNECT, b"{}", headers={"ce-type": ce_type})).status == 500


# What the guard leaves alone.


@pytest.mark.view_only("errorhandler")
def test_an_error_of_the_apps_own_stays_what_it_is(app: Flask) -> None:
    @app.errorhandler(Boom)
    def answer(error: Boom) -> Any:
        return "Not now.", 503

    wps = WebPubSub(app)
    wps.on_connect(raise_boom)

    connection = wps.test_client(app).connect()
    assert (connection.answer.status, connection.answer.body) == (503, b"Not now.")


@pytest.mark.view_only("before_request")
@pytest.mark.parametrize("event", ["message", "connected", "disconnected"])
def test_other_events_get_what_the_app_answers(app: Flask, caplog: pytest.LogCaptureFixture, event: str) -> None:
    before_request_answers_json(app)
    WebPubSub(app)
    ce_type = f"azure.webpubsub.{'user' if event == 'message' else 'sys'}.{event}"

    answer = call(app, make_event(ce_type))

    assert answer.status == 200
    assert json.loads(answer.body) == {"status": "maintenance"}
    assert "before its handler was called" in caplog.text


@pytest.mark.view_only("errorhandler")
def test_a_message_whose_handler_raises_gets_what_the_error_handler_answers(app: Flask) -> None:
    errors_are_200(app)
    wps = WebPubSub(app)
    wps.on_message(raise_boom)

    answer = call(app, make_event())
    assert answer.status == 200
    assert "ok" in json.loads(answer.body)


@pytest.mark.parametrize("path", ["/own", f"{PATH}-old", f"/old{PATH}", PATH[:-1], "/"])
def test_a_route_of_the_users_own_is_untouched(app: Flask, caplog: pytest.LogCaptureFixture, path: str) -> None:
    WebPubSub(app)

    @app.route(path, methods=["POST"])
    def own() -> Any:
        return jsonify(userId=request.headers["ce-userId"])

    answer = call(app, make_event(CONNECT, b"{}", path=path, headers={"ce-userId": "ada"}))

    assert (answer.status, json.loads(answer.body)) == (200, {"userId": "ada"})
    assert caplog.records == []


@pytest.mark.view_only("before_request")
def test_validation_is_not_the_guards_business(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    before_request_answers_json(app)
    wps = WebPubSub(app)

    assert not wps.test_client(app).validate()
    assert caplog.records == []


# MQTT.

VERSIONS = [(4, MqttV311ConnectReturnCode), (5, MqttV500ConnectReasonCode)]


@pytest.mark.parametrize(("version", "codes"), VERSIONS, ids=["3.1.1", "5.0"])
@pytest.mark.parametrize("interfere", [*AFTER.values(), lambda app: None], ids=[*AFTER, "nothing"])
def test_an_mqtt_connect_whose_handler_raises_is_refused_in_its_own_words(
    app: Flask, version: int, codes: Any, interfere: Interference
) -> None:
    interfere(app)
    wps = WebPubSub(app)
    wps.on_connect(raise_boom)

    connection = wps.test_client(app).connect(mqtt=mqtt(version))

    assert connection.answer.status == 500
    assert connection.answer.header("Content-Type") == "application/json"
    assert connection.response == MqttConnectEventErrorResponse(codes.SERVER_UNAVAILABLE)
    assert connection.answer.header("Content-Length") == str(len(connection.answer.body))


@pytest.mark.view_only("before_request")
@pytest.mark.parametrize("interfere", BEFORE.values(), ids=BEFORE)
def test_an_mqtt_connect_that_something_else_answers_first_is_refused(app: Flask, interfere: Interference) -> None:
    interfere(app)
    wps = WebPubSub(app)
    wps.on_connect(accept)

    answer = wps.test_client(app).connect(mqtt=mqtt(5)).answer
    assert (answer.status, answer.body) == (500, b"")


@pytest.mark.view_only("errorhandler")
@pytest.mark.parametrize(("version", "code"), [(4, 3), (5, 136)], ids=["3.1.1", "5.0"])
def test_an_error_of_the_apps_own_is_said_in_mqtts_words(app: Flask, version: int, code: int) -> None:
    @app.errorhandler(Boom)
    def answer(error: Boom) -> Any:
        return "<h1>Not now.</h1>", 503

    wps = WebPubSub(app)
    wps.on_connect(raise_boom)

    connection = wps.test_client(app).connect(mqtt=mqtt(version))
    assert connection.answer.status == 503
    assert json.loads(connection.answer.body) == {"mqtt": {"code": code}}


# Exceptions that are answers, and those that are Flask's.


def connect_with(wps: WebPubSub, app: Flask, handler: Callable[[], Any], version: int | None = None) -> Connection:
    wps.on_connect(handler)
    return wps.test_client(app).connect(mqtt=None if version is None else mqtt(version))


def raises(error: Exception) -> Callable[[], Any]:
    def handler() -> None:
        raise error

    return handler


ANSWERS: dict[str, tuple[Callable[[], Exception], EventErrorResponse]] = {
    "EventError by name": (lambda: EventError("unauthorized", "No."), EventErrorResponse("unauthorized", "No.")),
    "EventError by status": (lambda: EventError(418, "Tea."), EventErrorResponse(418, "Tea.")),
    "EventError without a text": (lambda: EventError("serverError"), EventErrorResponse("serverError", "")),
    "an HTTP error": (lambda: TooManyRequests(), EventErrorResponse(429, "Too Many Requests")),
    "an HTTP error with a text": (lambda: RequestTimeout("Too slow."), EventErrorResponse(408, "Too slow.")),
    "an HTTP error with a response of 403": (
        lambda: HTTPException(response=WerkzeugResponse("no", 403)),
        EventErrorResponse(403, "Forbidden"),
    ),
}


@pytest.mark.parametrize(("make", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_some_exceptions_are_answers(app: Flask, make: Callable[[], Exception], expected: EventErrorResponse) -> None:
    wps = WebPubSub(app)
    wps.on_message(raises(make()))
    connection = connect_with(wps, app, raises(make()))

    assert connection.response == expected
    wps.test_client(app)
    answer = call(app, make_event())
    assert answer.status == connection.answer.status
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"


def test_abort_is_an_answer_that_no_error_handler_sees(app: Flask) -> None:
    errors_are_200(app)

    def handler() -> None:
        abort(401, "Sign in first.")

    assert connect_with(WebPubSub(app), app, handler).response == EventErrorResponse("unauthorized", "Sign in first.")


@pytest.mark.parametrize(("version", "code"), [(4, 5), (5, 138)], ids=["3.1.1", "5.0"])
def test_abort_is_said_in_mqtts_words(app: Flask, version: int, code: int) -> None:
    def handler() -> None:
        abort(403)

    answer = connect_with(WebPubSub(app), app, handler, version).answer
    assert (answer.status, json.loads(answer.body)) == (403, {"mqtt": {"code": code, "reason": "Forbidden"}})


REFUSED: dict[str, Callable[[], Any]] = {
    "abort with a redirect": lambda: abort(redirect("/login")),
    "abort with a success": lambda: abort(Response("welcome", 200)),
    "abort without content": lambda: abort(Response(status=204)),
    "an HTTPException of no status": raises(HTTPException()),
}


@pytest.mark.parametrize(
    "interfere",
    [pytest.param(errors_are_200, marks=pytest.mark.view_only("errorhandler")), lambda app: None],
    ids=["errors are 200", "nothing"],
)
@pytest.mark.parametrize("handler", REFUSED.values(), ids=REFUSED)
def test_an_http_exception_that_is_no_error_is_refused(
    app: Flask, caplog: pytest.LogCaptureFixture, handler: Callable[[], Any], interfere: Interference
) -> None:
    interfere(app)
    wps = WebPubSub(app)
    wps.on_message(handler)

    assert connect_with(wps, app, handler).response == EventErrorResponse("serverError", "Internal Server Error")
    assert call(app, make_event()).status == 500
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


@pytest.mark.parametrize("switch", ["TESTING", "DEBUG", "PROPAGATE_EXCEPTIONS"])
def test_exceptions_come_out_of_the_app_where_flask_lets_them(app: Flask, switch: str) -> None:
    app.config[switch] = True
    wps = WebPubSub(app)
    wps.on_connect(raise_boom)

    with pytest.raises(Boom):
        wps.test_client(app).connect()


def test_the_test_client_can_keep_exceptions_in(app: Flask) -> None:
    app.testing = True
    wps = WebPubSub(app)
    wps.on_connect(raise_boom)
    client = wps.test_client(app)
    client.raise_exceptions = False

    assert client.connect().answer == Answer(500)


def test_flask_is_told_of_a_handlers_exception(
    app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BaseException] = []

    def listen(sender: Flask, exception: BaseException, **extra: Any) -> None:
        told.append(exception)

    monkeypatch.setattr(app.logger, "disabled", False)
    wps = WebPubSub(app)
    wps.on_connect(raise_boom)

    with got_request_exception.connected_to(listen, app):
        connection = wps.test_client(app).connect()

    assert [type(error) for error in told] == [Boom]
    assert b"secret" not in connection.answer.body
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]


@pytest.mark.view_only("errorhandler")
def test_the_apps_error_handlers_are_called(app: Flask) -> None:
    called: list[Exception] = []

    @app.errorhandler(Boom)
    def answer(error: Boom) -> Any:
        called.append(error)
        return "", 502

    wps = WebPubSub(app)
    wps.on_connect(raise_boom)

    assert wps.test_client(app).connect().answer.status == 502
    assert len(called) == 1


# The user's own responses.


def test_a_response_of_the_users_own_lets_a_client_in(app: Flask) -> None:
    wps = WebPubSub(app)

    assert connect_with(wps, app, lambda: jsonify(userId="ada")).response == ConnectEventResponse(user_id="ada")


@pytest.mark.parametrize("made", [Response("{}", 200), WerkzeugResponse("{}", 200)], ids=["Flask's", "Werkzeug's"])
def test_one_response_object_may_be_the_answer_to_many_events(app: Flask, made: WerkzeugResponse) -> None:
    wps = WebPubSub(app)
    wps.on_connect(lambda: made)
    client: WebPubSubTestClient = wps.test_client(app)

    assert [client.connect().answer.status for _ in range(3)] == [200, 200, 200]


@pytest.mark.view_only("response_class")
def test_an_apps_own_response_class_is_used(app: Flask) -> None:
    class Signed(Response):
        """Adds a header to all answers of the app."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.headers["X-App"] = "chat"

    app.response_class = Signed
    wps = WebPubSub(app)
    wps.on_connect(accept)

    connection = wps.test_client(app).connect()
    assert connection.accepted
    assert connection.answer.header("X-App") == "chat"


def test_the_guard_logs_nothing_of_a_connect_that_is_well(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "flask_webpubsub")
    wps = WebPubSub(app)
    wps.on_connect(accept)

    assert wps.test_client(app).connect().accepted
    assert [record for record in caplog.records if record.name == "flask_webpubsub"] == []
