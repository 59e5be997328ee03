"""With ``WEBPUBSUB_SKIP_SESSION``, the webhook's calls open no session, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import flask
import pytest
from flask import Flask, Response, flash, request, session
from flask.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin
from flask.testing import FlaskClient

from flask_webpubsub import ConfigurationError, ConnectEventResponse, WebPubSub
from flask_webpubsub.testing import Connection
from tests.conftest import CONNECTION_STRING
from tests.test_dispatch import CONNECT, MESSAGE, PATH, call, make_event

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

NO_SESSION = r"WEBPUBSUB_SKIP_SESSION is True: set it to False"


class Counting(SecureCookieSessionInterface):
    """Flask's own sessions, which say what was done with them."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def open_session(self, app: Flask, request: Any) -> Any:
        self.done.append(f"open {request.path}")
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        self.done.append("save")
        super().save_session(app, session, response)


def make_app(**config: Any) -> Flask:
    app = Flask("app")
    app.config.update(
        TESTING=True,
        SECRET_KEY="made up for these tests",
        WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING,
        WEBPUBSUB_HUB="chat",
        WEBPUBSUB_SKIP_SESSION=True,
    )
    app.config.update(config)

    @app.route("/visit", methods=["GET", "POST"])
    def count() -> str:
        session["visits"] = session.get("visits", 0) + 1
        return f"visit {session['visits']}"

    return app


@pytest.fixture
def sessions() -> Counting:
    return Counting()


@pytest.fixture
def app(sessions: Counting) -> Flask:
    app = make_app()
    app.session_interface = sessions
    return app


def connect(app: Flask, wps: WebPubSub, browser: FlaskClient) -> Connection:
    """A connection that brings a browser's session, as earlier answers may have set it."""
    cookie = browser.get_cookie("session")
    assert cookie is not None
    chat = wps.test_client(app).connect()
    chat.cookies["session"] = cookie.value
    return chat


def visit(app: Flask) -> FlaskClient:
    """A browser with a session that counts one visit."""
    browser = app.test_client()
    assert browser.get("/visit").text == "visit 1"
    return browser


def say_visits(data: str) -> str:
    """A handler that tells what there is in the session."""
    return f"{data} {session.get('visits')}"


# Calls of the webhook.


def test_an_event_opens_no_session_and_saves_none(app: Flask, wps: WebPubSub, sessions: Counting) -> None:
    wps.on_message(say_visits)
    chat = connect(app, wps, visit(app))
    sessions.done.clear()

    assert chat.send_text("hi").data == "hi None"  # type: ignore[union-attr]
    assert sessions.done == []
    assert chat.answer.header("Vary") is None
    assert chat.answer.header("Set-Cookie") is None


def test_without_the_setting_an_event_opens_and_saves_a_session(app: Flask, sessions: Counting) -> None:
    app.config["WEBPUBSUB_SKIP_SESSION"] = False
    wps = WebPubSub(app)
    wps.on_message(say_visits)
    chat = connect(app, wps, visit(app))
    sessions.done.clear()

    assert chat.send_text("hi").data == "hi 1"  # type: ignore[union-attr]
    assert sessions.done == [f"open {PATH}", "save"]
    assert chat.answer.header("Vary") == "Cookie"


def test_no_event_of_a_connection_opens_a_session(app: Flask, wps: WebPubSub, sessions: Counting) -> None:
    wps.on_connect(lambda claims: ConnectEventResponse(user_id="ada"))
    wps.on_connected(lambda user_id: None)
    wps.on_disconnected(lambda reason: None)
    wps.on_group_joined(lambda group: None)
    client = wps.test_client(app)

    assert client.validate()
    chat = client.connect()
    chat.join("lobby")
    chat.disconnect()

    assert chat.user_id == "ada"
    assert sessions.done == []


@pytest.mark.parametrize("headers", [{"ce-signature": "sha256=00"}, {"ce-hub": None}, {"ce-hub": "other"}])
def test_a_refused_event_opens_no_session(
    app: Flask, wps: WebPubSub, sessions: Counting, headers: dict[str, str | None]
) -> None:
    assert call(app, make_event(headers=headers)).status >= 400
    assert sessions.done == []


@pytest.mark.parametrize("below", ["", "/", "/chat/connect"])
def test_no_session_is_opened_below_the_path_either(app: Flask, sessions: Counting, below: str) -> None:
    WebPubSub(app).on_connect(lambda claims: {"userId": "ada"})

    assert call(app, make_event(CONNECT, b"{}", path=PATH + below)).status == 200
    assert sessions.done == []


@pytest.mark.parametrize("path", ["/events", "/événements", "/a b"])
def test_no_session_is_opened_at_any_path(app: Flask, sessions: Counting, path: str) -> None:
    app.config["WEBPUBSUB_PATH"] = path
    wps = WebPubSub(app)

    assert wps.test_client(app).validate()
    assert sessions.done == []


class Prefix:
    """A middleware as many apps have one, which takes a prefix off the path."""

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/shop", environ["PATH_INFO"].removeprefix("/shop")
        return self._wsgi_app(environ, start_response)


@pytest.mark.parametrize("inside", [True, False], ids=["before init_app", "after init_app"])
def test_an_app_below_a_prefix_opens_no_session_for_an_event(app: Flask, sessions: Counting, inside: bool) -> None:
    if inside:
        app.wsgi_app = Prefix(app.wsgi_app)  # type: ignore[method-assign]
    WebPubSub(app).on_message(lambda data: data)
    if not inside:
        app.wsgi_app = Prefix(app.wsgi_app)  # type: ignore[method-assign]

    assert call(app, make_event(path=f"/shop{PATH}")).status == 200
    assert sessions.done == []


# What a session is in such a call.


def read_all() -> str:
    return f"{session.get('visits')} {'visits' in session} {len(session)} {session.permanent} {session.new}"


def test_the_session_of_an_event_reads_as_an_empty_one(app: Flask, wps: WebPubSub) -> None:
    wps.on_message(lambda data: read_all())
    chat = connect(app, wps, visit(app))

    assert chat.send_text("hi").data == "None False 0 False False"  # type: ignore[union-attr]


def set_item() -> None:
    session["a"] = 1


def delete_item() -> None:
    del session["a"]


def merge() -> None:
    own = session._get_current_object()  # type: ignore[attr-defined]
    own |= {"a": 1}


def make_permanent() -> None:
    session.permanent = True


WRITES: dict[str, Any] = {
    "set": set_item,
    "delete": delete_item,
    "merge": merge,
    "permanent": make_permanent,
    "update": lambda: session.update(a=1),
    "setdefault": lambda: session.setdefault("a", 1),
    "pop": lambda: session.pop("a", None),
    "popitem": lambda: session.popitem(),
    "clear": lambda: session.clear(),
    "flash": lambda: flash("hi"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_who_writes_into_the_session_of_an_event_is_told_which_setting_to_change(
    app: Flask, wps: WebPubSub, write: Any
) -> None:
    wps.on_message(lambda data: write())
    chat = wps.test_client(app).connect()

    with pytest.raises(RuntimeError, match=NO_SESSION):
        chat.send_text("hi")


def test_a_client_is_kept_out_where_connect_writes_into_the_session(app: Flask) -> None:
    app.config.update(TESTING=False)
    app.logger.disabled = True
    wps = WebPubSub(app)
    wps.on_connect(lambda claims: set_item())

    connection = wps.test_client(app).connect()

    assert (connection.accepted, connection.answer.status) == (False, 500)
    assert b"SKIP_SESSION" not in connection.answer.body


def test_functions_before_and_after_a_request_see_an_empty_session(app: Flask, wps: WebPubSub) -> None:
    seen: list[int | None] = []
    app.before_request(lambda: seen.append(session.get("visits")))
    wps.on_message(say_visits)

    @app.after_request
    def look(response: Response) -> Response:
        seen.append(session.get("visits"))
        return response

    chat = connect(app, wps, visit(app))
    seen.clear()

    assert chat.send_text("hi").data == "hi None"  # type: ignore[union-attr]
    assert seen == [None, None]
    assert chat.answer.header("Vary") is None


def test_a_function_that_writes_before_each_request_can_leave_the_webhook_alone(app: Flask, wps: WebPubSub) -> None:
    wps.on_message(say_visits)

    @app.before_request
    def write() -> None:
        if request.blueprint != "webpubsub":
            session.permanent = True

    browser = visit(app)
    with browser.session_transaction() as own:
        assert own.permanent
    assert connect(app, wps, browser).send_text("hi").data == "hi None"  # type: ignore[union-attr]


def test_a_response_of_flasks_goes_out_as_it_is(app: Flask, wps: WebPubSub, sessions: Counting) -> None:
    @wps.on_message
    def message(data: str) -> Response:
        response = flask.Response("own", mimetype="text/plain")
        response.set_cookie("own", "1")
        return response

    chat = wps.test_client(app).connect()

    assert chat.send_text("hi").data == "own"  # type: ignore[union-attr]
    assert chat.cookies == {"own": "1"}
    assert chat.answer.header("Vary") is None
    assert sessions.done == []


def test_nobody_is_logged_in_with_flask_login(app: Flask, wps: WebPubSub) -> None:
    flask_login = pytest.importorskip("flask_login", reason="Flask-Login is not installed")
    manager = flask_login.LoginManager(app)

    class User(flask_login.UserMixin):  # type: ignore[name-defined,misc]
        id = "ada"

    manager.user_loader(lambda user_id: User())

    @app.post("/login")
    def login() -> str:
        flask_login.login_user(User())
        return "welcome"

    @app.get("/me")
    def me() -> str:
        return str(flask_login.current_user.is_authenticated)

    wps.on_message(lambda data: str(flask_login.current_user.is_authenticated))
    browser = app.test_client()
    browser.post("/login")
    chat = connect(app, wps, browser)

    assert chat.send_text("hi").data == "False"  # type: ignore[union-attr]
    assert browser.get("/me").text == "True"


# What stays as it is.


def test_other_routes_keep_their_session(app: Flask, wps: WebPubSub, sessions: Counting) -> None:
    browser = app.test_client()

    assert [browser.get("/visit").text, browser.post("/visit").text] == ["visit 1", "visit 2"]
    assert browser.get("/visit").headers["Vary"] == "Cookie"
    assert sessions.done == ["open /visit", "save"] * 3


@pytest.mark.parametrize("path", [f"{PATH}/negotiate", f"{PATH}-old", f"/old{PATH}", PATH[:-1]])
def test_a_route_of_the_users_own_keeps_its_session(app: Flask, sessions: Counting, path: str) -> None:
    app.add_url_rule(path, "own", app.view_functions["count"], methods=["GET", "POST"])
    WebPubSub(app)
    browser = app.test_client()

    assert [browser.get(path).text, browser.post(path).text] == ["visit 1", "visit 2"]
    assert sessions.done == [f"open {path}", "save"] * 2


@pytest.mark.parametrize("path", ["/own", f"{PATH}-old", f"/old{PATH}"])
def test_a_header_of_the_service_does_not_take_the_session_from_other_routes(app: Flask, path: str) -> None:
    app.add_url_rule(path, "own", app.view_functions["count"], methods=["POST"])
    WebPubSub(app)

    assert call(app, make_event(path=path)).body == b"visit 1"


def test_the_order_of_the_extensions_plays_no_part(app: Flask, wps: WebPubSub) -> None:
    wps.on_message(lambda data: data)
    chat = wps.test_client(app).connect()
    for own in Counting(), Counting():
        app.session_interface = own

        assert chat.send_text("hi").data == "hi"  # type: ignore[union-attr]
        assert own.done == []
        assert app.test_client().get("/visit").text == "visit 1"
        assert own.done == ["open /visit", "save"]


def test_the_apps_session_interface_is_what_it_was_for_all_who_ask(app: Flask, sessions: Counting) -> None:
    WebPubSub(app)
    visit(app)

    assert app.session_interface == sessions
    assert isinstance(app.session_interface, Counting)
    assert app.session_interface.get_cookie_name(app) == "session"
    assert app.session_interface.salt == "cookie-session"
    assert app.session_interface.is_null_session(sessions.make_null_session(app))
    assert not app.session_interface.is_null_session(sessions.session_class())
    app.session_interface.salt = "another"
    assert sessions.salt == "another"


def test_sessions_that_are_none_for_flask_are_not_saved(app: Flask, sessions: Counting) -> None:
    class Nothing(dict[str, Any], SessionMixin):
        pass

    sessions.null_session_class = Nothing  # type: ignore[assignment]
    wps = WebPubSub(app)
    wps.on_message(lambda data: data)
    app.add_url_rule("/read", view_func=lambda: str(len(session)))
    app.secret_key = None

    assert wps.test_client(app).connect().send_text("hi").data == "hi"  # type: ignore[union-attr]
    assert app.test_client().get("/read").text == "0"
    assert sessions.done == ["open /read"]


def test_sessions_on_a_server_stay_there(tmp_path: Any) -> None:
    flask_session = pytest.importorskip("flask_session", reason="Flask-Session is not installed")
    cachelib = pytest.importorskip("cachelib", reason="cachelib is not installed")
    interface = pytest.importorskip("flask_session.cachelib").CacheLibSessionInterface
    store = cachelib.FileSystemCache(str(tmp_path))
    app = make_app(SESSION_TYPE="cachelib", SESSION_CACHELIB=store)
    empty = list(tmp_path.iterdir())
    wps = WebPubSub(app)
    flask_session.Session(app)
    wps.on_message(lambda data: data)

    @app.post("/login")
    def login() -> str:
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        return "welcome"

    chat = wps.test_client(app).connect()
    assert chat.send_text("hi").data == "hi"  # type: ignore[union-attr]
    assert chat.cookies == {}
    assert list(tmp_path.iterdir()) == empty

    browser = visit(app)
    assert list(tmp_path.iterdir()) != empty
    assert browser.post("/login").text == "welcome"
    assert browser.get("/visit").text == "visit 2"
    assert isinstance(app.session_interface, interface)


def test_each_app_has_its_own_setting() -> None:
    wps = WebPubSub()
    wps.on_message(lambda data: data)
    done = {}
    for skip in True, False:
        app = make_app(WEBPUBSUB_SKIP_SESSION=skip)
        app.session_interface = own = Counting()
        wps.init_app(app)
        done[skip] = (app, own)

    for skip, (app, own) in done.items():
        assert call(app, make_event(MESSAGE)).status == 200
        assert own.done == ([] if skip else [f"open {PATH}", "save"])


def test_what_all_apps_share_is_not_touched() -> None:
    skipping, other = make_app(), Flask("other")
    WebPubSub(skipping)
    shared: SessionInterface = Flask.session_interface

    skipping.test_client().get("/visit")

    assert other.session_interface is shared
    assert Flask.session_interface is shared
    assert type(shared) is SecureCookieSessionInterface


@pytest.mark.parametrize("value", [None, 1, "yes"], ids=repr)
def test_a_setting_that_is_neither_true_nor_false_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"WEBPUBSUB_SKIP_SESSION is .*: set it to True or False"):
        WebPubSub(make_app(WEBPUBSUB_SKIP_SESSION=value))


def test_an_app_without_the_setting_keeps_its_own_interface(app: Flask, sessions: Counting) -> None:
    app.config["WEBPUBSUB_SKIP_SESSION"] = False
    WebPubSub(app)
    app.test_client().get("/visit")

    assert app.session_interface is sessions
