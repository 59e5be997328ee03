"""The extension on apps: one on several, hubs from modules of their own, and when it is too late."""

from __future__ import annotations

import functools
import gc
import sys
import weakref
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import (
    ConfigurationError,
    EventErrorResponse,
    Hub,
    UserEventResponse,
    WebPubSub,
)
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import CONNECTION_STRING, HOST, KEY

pytestmark = pytest.mark.both_doors

OTHER = "Endpoint=https://other.example;AccessKey=other-key;"
THIRD = "Endpoint=https://third.example;AccessKey=third-key;"


def make_app(connection_string: Any = CONNECTION_STRING, hub: str | None = "chat", **config: Any) -> Flask:
    app = Flask("app")
    app.config.update(WEBPUBSUB_CONNECTION_STRING=connection_string, WEBPUBSUB_HUB=hub, **config)
    return app


def play(app: Flask, connection_string: str | None, hub: str = "chat") -> WebPubSubTestClient:
    """A client for the service of a connection string, whatever the app's own one is."""
    return WebPubSubTestClient(app, connection_string=connection_string, hub=hub, system_events=())


def ack(hub: str, data: str) -> str:
    return f"{hub}: {data}"


REFUSED = EventErrorResponse("unauthorized", "Unauthorized")
NOT_FOUND = EventErrorResponse(404, "Not Found")


# One app.


@pytest.mark.parametrize("before", [True, False], ids=["registered before init_app", "registered after init_app"])
def test_an_application_factory_works_in_either_order(before: bool) -> None:
    wps = WebPubSub()

    def create_app() -> Flask:
        app = make_app()
        if before:
            wps.on_message(ack)
        wps.init_app(app)
        if not before:
            wps.on_message(ack)
        return app

    assert wps.test_client(create_app()).connect().send_text("hi") == UserEventResponse("chat: hi")


@pytest.mark.parametrize("again", [WebPubSub.init_app, lambda wps, app: WebPubSub(app)], ids=["same", "another"])
def test_an_app_has_the_extension_once(wps: WebPubSub, app: Flask, again: Callable[[WebPubSub, Flask], Any]) -> None:
    with pytest.raises(RuntimeError, match=r"has a WebPubSub extension already. Call init_app once"):
        again(wps, app)


def test_an_app_that_did_not_start_can_be_tried_again() -> None:
    app = make_app(None)
    wps = WebPubSub()
    with pytest.raises(ConfigurationError):
        wps.init_app(app)

    app.config["WEBPUBSUB_CONNECTION_STRING"] = CONNECTION_STRING
    wps.init_app(app)
    wps.on_message(ack)
    assert wps.test_client(app).connect().send_text("hi") == UserEventResponse("chat: hi")


def test_the_state_of_an_app_is_in_its_extensions(wps: WebPubSub, app: Flask) -> None:
    assert "webpubsub" in app.extensions


# Several apps.


def test_two_apps_of_one_extension_do_not_see_each_other() -> None:
    wps = WebPubSub()
    wps.on_message(ack)
    one = make_app(CONNECTION_STRING, "one", WEBPUBSUB_ACCESS_CODE="code-one")
    two = make_app(OTHER, "two", WEBPUBSUB_PATH="/two", WEBPUBSUB_MAX_BODY_BYTES=3)
    wps.init_app(one)
    wps.init_app(two)

    assert wps.test_client(one).connect().send_text("hi there") == UserEventResponse("one: hi there")
    assert wps.test_client(two).connect().send_text("hi") == UserEventResponse("two: hi")
    assert wps.test_client(two).connect().send_text("hi there") == EventErrorResponse(413, HTTPStatus(413).phrase)
    # Each knows its own service and its own hub alone.
    for app, string, hub, path, code in [
        (one, OTHER, "one", "/runtime/webhooks/webpubsub", "code-one"),
        (two, CONNECTION_STRING, "two", "/two", None),
    ]:
        stranger = WebPubSubTestClient(app, connection_string=string, hub=hub, path=path, access_code=code)
        stranger.system_events = ()
        assert not stranger.validate()
        assert stranger.connect().send_text("hi") == REFUSED
    assert wps.test_client(one, "two").connect().send_text("hi") == NOT_FOUND


def test_a_handler_registered_late_is_there_in_all_apps() -> None:
    wps = WebPubSub()
    apps = [make_app(), make_app(OTHER)]
    for app in apps:
        wps.init_app(app)
    wps.on_message(ack)

    for app in apps:
        assert wps.test_client(app).connect().send_text("hi") == UserEventResponse("chat: hi")


def test_a_handler_that_one_of_two_apps_can_not_take_is_registered_in_neither() -> None:
    wps = WebPubSub()
    good, bad = make_app(), make_app(hub=None)
    for app in (good, bad):
        wps.init_app(app)
    with pytest.raises(ConfigurationError, match="names no hub"):
        wps.on_message(ack)

    assert wps.test_client(good).connect().send_text("hi") == NOT_FOUND


def test_two_extensions_serve_two_apps() -> None:
    one, two = make_app(), make_app()
    WebPubSub(one).on_message(lambda: "one")
    second = WebPubSub(two)
    second.on_message(lambda: "two")

    assert second.test_client(one).connect().send_text("") == UserEventResponse("one")
    assert second.test_client(two).connect().send_text("") == UserEventResponse("two")


@pytest.mark.parametrize("used", [False, True], ids=["never used", "used"])
def test_an_app_that_nobody_needs_can_be_collected(used: bool) -> None:
    wps = WebPubSub()
    wps.on_message(ack)
    app = make_app()
    wps.init_app(app)
    if used:
        assert wps.test_client(app).connect().send_text("hi") == UserEventResponse("chat: hi")

    gone = weakref.ref(app)
    del app
    gc.collect()

    assert gone() is None
    wps.on_connect(lambda: None)  # an app that is gone is in nobody's way


# Connections of handlers.


@pytest.fixture
def several() -> Flask:
    return make_app(OTHER=OTHER, LIST=[OTHER, THIRD], THIRD=THIRD)


@pytest.mark.parametrize(
    ("connection", "trusted"),
    [
        ("OTHER", [OTHER]),
        ("LIST", [OTHER, THIRD]),
        (["OTHER", "THIRD"], [OTHER, THIRD]),
        (("THIRD",), [THIRD]),
        (["WEBPUBSUB_CONNECTION_STRING", "OTHER"], [CONNECTION_STRING, OTHER]),
    ],
    ids=["one", "one with a list", "several", "a tuple", "with the default one"],
)
def test_a_handlers_own_connections_replace_the_default_one(
    several: Flask, connection: Any, trusted: list[str]
) -> None:
    wps = WebPubSub(several)
    wps.on_message(connection=connection)(ack)

    for string in (CONNECTION_STRING, OTHER, THIRD):
        answer = play(several, string).connect().send_text("hi")
        assert answer == (UserEventResponse("chat: hi") if string in trusted else REFUSED)


def test_the_keys_of_one_host_do_not_open_another(several: Flask) -> None:
    wps = WebPubSub(several)
    wps.on_message(connection="LIST")(ack)
    client = play(several, OTHER)
    client.keys = ["third-key"]

    assert client.connect().send_text("hi") == REFUSED


def test_an_unsigned_handler_takes_any_event_with_one_warning(several: Flask, caplog: pytest.LogCaptureFixture) -> None:
    wps = WebPubSub(several)
    wps.on_message(connection=None)(ack)
    wps.on_user_event("open", connection=None)(ack)
    wps.on_user_event("closed")(ack)

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "without a signature" in caplog.text
    unsigned = play(several, None).connect()
    assert unsigned.send_text("hi") == UserEventResponse("chat: hi")
    assert unsigned.send_event("open", "hi") == UserEventResponse("chat: hi")
    assert unsigned.send_event("closed", "hi") == REFUSED


def test_a_handler_with_its_own_connection_is_signed_in_an_unsigned_app() -> None:
    app = make_app(None, WEBPUBSUB_ALLOW_UNSIGNED=True, OTHER=OTHER)
    wps = WebPubSub(app)
    wps.on_message(connection="OTHER")(ack)
    wps.on_user_event("open")(ack)

    assert play(app, None).connect().send_event("open", "hi") == UserEventResponse("chat: hi")
    assert play(app, None).connect().send_text("hi") == REFUSED
    assert play(app, OTHER).connect().send_text("hi") == UserEventResponse("chat: hi")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such key": ({}, "MISSING is not set"),
    "None": ({"MISSING": None}, "MISSING holds nothing"),
    "empty": ({"MISSING": ""}, "MISSING holds nothing"),
    "an empty list": ({"MISSING": []}, "MISSING holds nothing"),
    "an empty item": ({"MISSING": [OTHER, ""]}, "MISSING holds an empty item"),
    "no connection string": ({"MISSING": "other-key"}, "MISSING is no connection string"),
}


@pytest.mark.parametrize("early", [True, False], ids=["before init_app", "after init_app"])
@pytest.mark.parametrize(("config", "message"), WRONG.values(), ids=WRONG)
def test_a_connection_that_is_not_there_is_never_skipped(config: dict[str, Any], message: str, early: bool) -> None:
    wps = WebPubSub()
    app = make_app(OTHER=OTHER, **config)

    def start() -> None:
        if not early:
            wps.init_app(app)
        wps.on_message(connection=["OTHER", "MISSING"])(ack)
        if early:
            wps.init_app(app)

    with pytest.raises(ConfigurationError, match=rf"The connection of .*ack is wrong\. {message}") as caught:
        start()
    assert "other-key" not in str(caught.value)
    assert "app.config['MISSING']" in str(caught.value) or "no connection string" in str(caught.value)


# Hubs.


def test_a_hub_is_written_without_the_app() -> None:
    hub = Hub("Support")

    @hub.on_connect
    def connect() -> dict[str, Any]:
        return {"userId": "ada"}

    @hub.on_message
    def message(hub: str, user_id: str) -> str:
        return f"{hub} {user_id}"

    @hub.trigger("typing")
    @hub.on_user_event("*")
    def other(event_name: str) -> str:
        return event_name

    app = make_app()
    wps = WebPubSub(app)
    wps.register_hub(hub)
    client = wps.test_client(app, "support")

    connection = client.connect()
    assert connection.send_text("hi") == UserEventResponse("support ada")
    assert connection.send_event("typing", "") == UserEventResponse("typing")
    assert connection.send_event("anything", "") == UserEventResponse("anything")


@pytest.mark.parametrize("early", [True, False], ids=["before init_app", "after init_app"])
def test_a_hub_is_registered_before_or_after_init_app(early: bool) -> None:
    hub = Hub("support")
    hub.on_message(ack)
    wps = WebPubSub()
    app = make_app(hub=None)
    if early:
        wps.register_hub(hub)
    wps.init_app(app)
    if not early:
        wps.register_hub(hub)

    assert wps.test_client(app, "support").connect().send_text("hi") == UserEventResponse("support: hi")


def test_a_hub_has_a_connection_that_its_handlers_may_replace(several: Flask) -> None:
    hub = Hub("chat", connection="OTHER")
    hub.on_message(ack)
    hub.on_user_event("third", connection="THIRD")(ack)
    hub.on_user_event("open", connection=None)(ack)
    WebPubSub(several).register_hub(hub)

    acked = UserEventResponse("chat: hi")
    answers = {
        string: [play(several, string).connect().send_event(name, "hi") for name in ("message", "third", "open")]
        for string in (OTHER, THIRD, None)
    }
    assert answers == {OTHER: [acked, REFUSED, acked], THIRD: [REFUSED, acked, acked], None: [REFUSED, REFUSED, acked]}


def test_an_unsigned_hub_has_handlers_that_are_signed(several: Flask) -> None:
    hub = Hub("chat", connection=None)
    hub.on_message(ack)
    hub.on_user_event("closed", connection="OTHER")(ack)
    WebPubSub(several).register_hub(hub)

    unsigned = play(several, None).connect()
    assert unsigned.send_text("hi") == UserEventResponse("chat: hi")
    assert unsigned.send_event("closed", "hi") == REFUSED


def test_a_hub_can_serve_two_extensions() -> None:
    hub = Hub("chat")
    hub.on_message(ack)
    apps = [make_app(), make_app()]
    for app in apps:
        wps = WebPubSub(app)
        wps.register_hub(hub)
        assert wps.test_client(app).connect().send_text("hi") == UserEventResponse("chat: hi")


@pytest.mark.parametrize("name", ["", "1chat", "my-hub", "my hub", "x" * 129, None, 5], ids=lambda name: repr(name)[:9])
def test_a_hub_that_the_service_can_never_have_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="can not be the name of a hub"):
        Hub(name)


def test_a_hub_registered_twice_is_refused(wps: WebPubSub) -> None:
    hub = Hub("support")
    hub.on_message(ack)
    wps.register_hub(hub)

    with pytest.raises(ConfigurationError, match="two handlers"):
        wps.register_hub(hub)


def test_a_hub_and_the_extension_may_not_answer_the_same_event(wps: WebPubSub) -> None:
    hub = Hub("Chat")
    hub.on_message(ack)
    wps.on_message(lambda: "mine")

    with pytest.raises(ConfigurationError, match="two handlers"):
        wps.register_hub(hub)


def test_two_handlers_of_one_event_in_a_hub_are_refused() -> None:
    hub = Hub("chat")
    hub.on_message(ack)

    with pytest.raises(ConfigurationError, match="two handlers"):
        hub.on_user_event("MESSAGE")(lambda: None)


def test_the_arguments_of_a_hubs_handlers_are_checked_at_once() -> None:
    with pytest.raises(TypeError, match="takes 'reason'"):
        Hub("chat").on_connect(lambda reason: None)


# Too late.


def test_registering_on_a_hub_that_was_taken_over_is_too_late(wps: WebPubSub) -> None:
    hub = Hub("support")
    wps.register_hub(hub)

    with pytest.raises(RuntimeError, match=r"registered after register_hub\(\)"):
        hub.on_message(ack)


def test_registering_after_the_first_event_is_too_late(wps: WebPubSub, app: Flask) -> None:
    wps.on_message(ack)
    hub = Hub("support")
    hub.on_message(ack)
    wps.test_client(app).connect().send_text("hi")

    with pytest.raises(RuntimeError, match=r"registered after the first event\. Register all handlers at start"):
        wps.on_user_event("late")(ack)
    with pytest.raises(RuntimeError, match="registered after the first event"):
        wps.register_hub(hub)


def test_a_refused_first_event_ends_the_time_of_registration_too(wps: WebPubSub, app: Flask) -> None:
    assert play(app, OTHER).connect().send_text("hi") == REFUSED

    with pytest.raises(RuntimeError, match="registered after the first event"):
        wps.on_message(ack)


# Coroutine functions.


def test_a_coroutine_function_is_a_handler(wps: WebPubSub, app: Flask) -> None:
    @wps.on_message
    async def message(data: str) -> str:
        return f"async {data}"

    async def greet(greeting: str, data: str) -> str:
        return f"{greeting} {data}"

    wps.on_user_event("partial")(functools.partial(greet, "hello"))

    connection = wps.test_client(app).connect()
    assert connection.send_text("hi") == UserEventResponse("async hi")
    assert connection.send_event("partial", "hi") == UserEventResponse("hello hi")


def test_a_coroutine_that_raises_reaches_flask(wps: WebPubSub, app: Flask) -> None:
    @wps.on_message
    async def message() -> None:
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        wps.test_client(app).connect().send_text("hi")


@pytest.mark.parametrize("early", [True, False], ids=["before init_app", "after init_app"])
def test_a_coroutine_function_without_asgiref_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, early: bool) -> None:
    async def message() -> None: ...

    wps = WebPubSub()
    app = make_app()

    def start() -> None:
        if not early:
            wps.init_app(app)
        wps.on_message(message)
        if early:
            wps.init_app(app)

    monkeypatch.setitem(sys.modules, "asgiref.sync", None)
    with pytest.raises(RuntimeError, match=r"flask\[async\]|async"):
        start()


# The test client.


def test_the_test_client_needs_a_hub() -> None:
    app = make_app(hub=None)

    with pytest.raises(ConfigurationError, match="needs a hub"):
        WebPubSub(app).test_client(app)


def test_the_test_client_signs_with_all_keys_of_the_app() -> None:
    app = make_app([f"Endpoint=https://{HOST};AccessKey=old;", f"Endpoint=https://{HOST};AccessKey={KEY};"])
    wps = WebPubSub(app)
    wps.on_message(ack)
    client = wps.test_client(app)

    assert client.keys == ["old", KEY]
    assert client.connect().send_text("hi") == UserEventResponse("chat: hi")
