"""The extension in apps as they are: with CSRF protection, under a prefix, behind proxies, made by factories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Blueprint, Flask, g, jsonify, request, session
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_webpubsub import (
    ConnectEventRequest,
    ConnectEventResponse,
    EventErrorResponse,
    Hub,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
)
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import CONNECTION_STRING, HOST
from tests.test_dispatch import CONNECT, PATH, call, make_event

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

pytestmark = pytest.mark.both_doors


def make_app(**config: Any) -> Flask:
    app = Flask("app")
    app.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB="chat", SECRET_KEY="for sessions")
    app.config.update(config)
    return app


def converse(client: WebPubSubTestClient) -> None:
    """A whole conversation with an app of :func:`add_chat`."""
    assert client.validate()
    refused = client.connect()
    assert refused.response == EventErrorResponse("unauthorized", "Sign in first.")
    chat = client.connect("ada")
    assert chat.response == ConnectEventResponse(groups=["lobby"])
    for count in (1, 2):
        answer = chat.send_text("hi")
        assert answer == UserEventResponse(f"#{count} hi", states={"count": count})


def add_chat(wps: WebPubSub) -> None:
    @wps.on_connect
    def connect(request: ConnectEventRequest, claims: dict[str, list[str]]) -> Any:
        if "sub" not in claims:
            return EventErrorResponse("unauthorized", "Sign in first.")
        return request.create_response(groups=["lobby"])

    @wps.on_message
    def message(request: UserEventRequest, data: str) -> UserEventResponse:
        count = request.connection_context.states.get("count", 0) + 1
        response = request.create_response(f"#{count} {data}")
        response.set_state("count", count)
        return response


def play(wsgi_app: WSGIApplication, *, path: str = PATH) -> WebPubSubTestClient:
    """The service, in front of a WSGI app of whatever kind."""
    return WebPubSubTestClient(
        wsgi_app, connection_string=CONNECTION_STRING, hub="chat", path=path, system_events=("connect",)
    )


# Application factories.


def test_an_application_factory_with_a_hub_in_a_module_of_its_own() -> None:
    wps = WebPubSub()  # extensions.py
    support = Hub("support")  # support.py

    @support.on_message
    def help_me(data: str) -> str:
        return f"help: {data}"

    def create_app() -> Flask:
        app = make_app()
        wps.init_app(app)
        return app

    add_chat(wps)
    wps.register_hub(support)
    apps = [create_app(), create_app()]
    for app in apps:
        converse(wps.test_client(app))
        assert wps.test_client(app, "support").connect().send_text("hi") == UserEventResponse("help: hi")


def test_an_app_with_routes_of_its_own_keeps_them() -> None:
    app = make_app()
    pages = Blueprint("pages", __name__)

    @pages.get("/")
    def index() -> str:
        return "hello"

    @pages.post("/login")
    def login() -> Any:
        session["user"] = request.form["user"]
        return jsonify(user=session["user"])

    app.register_blueprint(pages)
    wps = WebPubSub(app)
    add_chat(wps)

    converse(wps.test_client(app))
    browser = app.test_client()
    assert browser.get("/").text == "hello"
    assert browser.post("/login", data={"user": "ada"}).json == {"user": "ada"}
    assert browser.options("/").status_code == 200


@pytest.mark.view_only("before_request")
def test_before_request_and_teardown_functions_run_for_events() -> None:
    app = make_app()
    steps: list[str] = []

    @app.before_request
    def begin() -> None:
        g.user = "the database's"
        steps.append("before")

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        steps.append("after")

    wps = WebPubSub(app)

    @wps.on_message
    def message() -> str:
        steps.append("handler")
        return str(g.user)

    assert wps.test_client(app).connect().send_text("hi") == UserEventResponse("the database's")
    assert steps == ["before", "handler", "after"]


@pytest.mark.view_only("flask.session")
def test_a_session_cookie_stays_with_its_connection() -> None:
    app = make_app()
    wps = WebPubSub(app)

    @wps.on_message
    def message(data: str) -> str:
        session["count"] = session.get("count", 0) + 1
        return f"{session['count']}"

    one, two = wps.test_client(app).connect(), wps.test_client(app).connect()
    assert one.send_text("hi") == UserEventResponse("1")
    assert one.send_text("hi") == UserEventResponse("2")
    assert two.send_text("hi") == UserEventResponse("1")


# CSRF protection.


@pytest.mark.view_only("before_request")
@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("exempt", [True, False], ids=["exempt", "not exempt"])
def test_csrf_protection_has_to_exempt_the_webhook(caplog: pytest.LogCaptureFixture, exempt: bool, order: str) -> None:
    flask_wtf = pytest.importorskip("flask_wtf", reason="Flask-WTF is not installed")
    app = make_app()
    csrf = flask_wtf.CSRFProtect()
    if order == "before":
        csrf.init_app(app)
    wps = WebPubSub(app)
    add_chat(wps)
    if order == "after":
        csrf.init_app(app)
    if exempt:
        csrf.exempt(wps.blueprint)

    client = wps.test_client(app)
    assert client.validate()
    if exempt:
        converse(client)
        assert "CSRF" not in caplog.text
    else:
        connection = client.connect("ada")
        assert not connection.accepted
        assert connection.answer.status == 400
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert "csrf.exempt(wps.blueprint)" in record.getMessage()


def test_csrf_protection_stays_on_for_the_rest_of_the_app(caplog: pytest.LogCaptureFixture) -> None:
    flask_wtf = pytest.importorskip("flask_wtf", reason="Flask-WTF is not installed")
    app = make_app()
    csrf = flask_wtf.CSRFProtect(app)
    wps = WebPubSub(app)
    csrf.exempt(wps.blueprint)

    @app.post("/form")
    def form() -> str:
        return "saved"

    assert app.test_client().post("/form").status_code == 400
    assert "csrf.exempt" not in caplog.text


@pytest.mark.view_only("before_request")
def test_a_400_of_our_own_is_not_blamed_on_csrf_protection(caplog: pytest.LogCaptureFixture) -> None:
    flask_wtf = pytest.importorskip("flask_wtf", reason="Flask-WTF is not installed")
    app = make_app()
    csrf = flask_wtf.CSRFProtect(app)
    wps = WebPubSub(app)
    add_chat(wps)
    csrf.exempt(wps.blueprint)

    assert call(app, make_event(body=b"\xff")).status == 400
    assert "CSRF" not in caplog.text


# Under a prefix, behind proxies, by name.


@pytest.mark.parametrize(
    "guarded",
    [False, pytest.param(True, marks=pytest.mark.view_only("before_request"))],
    ids=["a good app", "an app that answers first"],
)
def test_an_app_under_a_prefix_works(guarded: bool) -> None:
    app = make_app()
    if guarded:
        app.before_request(lambda: jsonify(ok=True))
    add_chat(WebPubSub(app))
    server = DispatcherMiddleware(Flask("other"), {"/chat": app})

    if guarded:
        assert call(server, make_event(CONNECT, b"{}", path=f"/chat{PATH}")).status == 500
    else:
        converse(play(server, path=f"/chat{PATH}"))
        assert not play(server).validate()


def test_two_apps_under_two_prefixes_work() -> None:
    apps = {name: make_app(WEBPUBSUB_ACCESS_CODE=name) for name in ("one", "two")}
    for app in apps.values():
        add_chat(WebPubSub(app))
    server = DispatcherMiddleware(Flask("other"), {f"/{name}": app for name, app in apps.items()})

    for name in apps:
        client = play(server, path=f"/{name}{PATH}")
        client.access_code = name
        converse(client)
        client.access_code = "of the other"
        assert not client.validate()


def test_an_app_with_an_application_root_works() -> None:
    app = make_app(APPLICATION_ROOT="/chat")
    wps = WebPubSub(app)
    add_chat(wps)

    converse(wps.test_client(app))


def make_proxied_app(order: str) -> tuple[Flask, WebPubSub]:
    """An app whose proxies are told of before the extension or after it."""

    def fix() -> None:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_prefix=1)  # type: ignore[method-assign]

    app = make_app()
    if order == "before":
        fix()
    wps = WebPubSub(app)
    if order == "after":
        fix()
    return app, wps


@pytest.mark.parametrize("order", ["before", "after"])
def test_an_app_behind_a_proxy_works(order: str) -> None:
    app, wps = make_proxied_app(order)
    add_chat(wps)

    converse(wps.test_client(app))


@pytest.mark.view_only("flask.request")
@pytest.mark.parametrize("order", ["before", "after"])
def test_a_handler_knows_where_the_proxy_is(order: str) -> None:
    app, wps = make_proxied_app(order)

    @wps.on_user_event("where")
    def where() -> str:
        return request.url_root

    forwarded: dict[str, str | None] = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "chat.example",
        "X-Forwarded-Prefix": "/app",
    }
    answer = call(app, make_event("azure.webpubsub.user.where", headers=forwarded))
    assert answer.body == b"https://chat.example/app/"


@pytest.mark.parametrize(
    "config",
    [
        {"SERVER_NAME": "localhost"},
        {"SERVER_NAME": "chat.example"},
        {"SERVER_NAME": "localhost", "PREFERRED_URL_SCHEME": "https"},
        {"TRUSTED_HOSTS": ["localhost"]},
        {"SERVER_NAME": "chat.example", "TRUSTED_HOSTS": ["localhost", ".example"]},
        {"SESSION_COOKIE_SECURE": True, "MAX_CONTENT_LENGTH": 1024},
        {"DEBUG": True},
        {"TESTING": True},
        {"TRAP_HTTP_EXCEPTIONS": True, "TRAP_BAD_REQUEST_ERRORS": True},
    ],
    ids=str,
)
def test_an_app_with_these_settings_works(config: dict[str, Any]) -> None:
    app = make_app(**config)
    wps = WebPubSub(app)
    add_chat(wps)

    converse(wps.test_client(app))


def test_an_app_of_strict_or_loose_slashes_works() -> None:
    for strict in (True, False):
        app = make_app()
        app.url_map.strict_slashes = strict
        wps = WebPubSub(app)
        add_chat(wps)
        for path in (PATH, f"{PATH}/", f"{PATH}/chat", f"{PATH}/chat/"):
            converse(play(app, path=path))


def test_a_host_that_is_not_trusted_lets_nobody_in() -> None:
    app = make_app(TRUSTED_HOSTS=["chat.example"])

    @app.errorhandler(Exception)
    def answer(error: Exception) -> Any:
        return jsonify(error=str(error))

    wps = WebPubSub(app)
    add_chat(wps)

    assert not wps.test_client(app).validate()
    assert wps.test_client(app).connect("ada").answer.status == 500


def test_an_app_with_a_catch_all_route_works() -> None:
    app = make_app()

    @app.route("/<path:anything>", methods=["GET", "POST", "OPTIONS", "PUT"])
    def page(anything: str) -> str:
        return "a single page"

    wps = WebPubSub(app)
    add_chat(wps)

    converse(wps.test_client(app))
    assert call(app, make_event(method="PUT")).status == 405


def test_the_origin_is_the_services_and_not_the_apps_host() -> None:
    app = make_app()
    wps = WebPubSub(app)
    add_chat(wps)

    environ = make_event(headers={"Host": "chat.example"})
    assert environ["HTTP_WEBHOOK_REQUEST_ORIGIN"] == HOST
    assert call(app, environ).status == 200
