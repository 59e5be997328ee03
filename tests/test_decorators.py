"""The decorators: bare and called, and what is wrong with a use is said at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import (
    ClientProtocols,
    ConfigurationError,
    Hub,
    UserEventResponse,
    WebPubSub,
    WebPubSubEventType,
)
from flask_webpubsub.decorators import Registrar
from flask_webpubsub.testing import Connection, WebPubSubTestClient
from tests.conftest import CONNECTION_STRING

NAMED = ["on_connect", "on_connected", "on_disconnected", "on_group_joined", "on_group_left", "on_message"]


def handler() -> None:
    """Takes nothing, and so fits every event."""


@pytest.fixture(params=["extension", "hub"])
def registrar(request: pytest.FixtureRequest) -> Registrar:
    return WebPubSub() if request.param == "extension" else Hub("chat")


@pytest.mark.parametrize("name", NAMED)
def test_a_bare_decorator_returns_the_function_itself(registrar: Registrar, name: str) -> None:
    assert getattr(registrar, name)(handler) is handler


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    "options",
    [{}, {"hub": "chat"}, {"client_protocols": "mqtt"}, {"connection": "OTHER"}, {"connection": None}],
    ids=str,
)
def test_a_called_decorator_returns_the_function_itself(
    registrar: Registrar, name: str, options: dict[str, Any]
) -> None:
    assert getattr(registrar, name)(**options)(handler) is handler


@pytest.mark.parametrize("options", [{}, {"hub": "chat", "client_protocols": "all", "connection": ["A", "B"]}], ids=str)
def test_the_general_forms_return_the_function_itself(registrar: Registrar, options: dict[str, Any]) -> None:
    assert registrar.on_user_event("typing", **options)(handler) is handler
    assert registrar.trigger("other", event_type="user", **options)(handler) is handler


def happen(connection: Connection, event: str) -> None:
    """Make an event of a connection happen."""
    steps: dict[str, Callable[[], object]] = {
        "on_disconnected": connection.disconnect,
        "on_group_joined": lambda: connection.join("lobby"),
        "on_group_left": lambda: connection.leave("lobby"),
        "on_message": lambda: connection.send_text("hi"),
    }
    if event in steps:
        steps[event]()


@pytest.mark.parametrize("called", [False, True], ids=["bare", "called"])
@pytest.mark.parametrize("name", NAMED)
def test_each_decorator_is_for_its_event(wps: WebPubSub, client: WebPubSubTestClient, name: str, called: bool) -> None:
    seen: list[str] = []

    def note(event_name: str) -> None:
        seen.append(event_name)

    decorator = getattr(wps, name)
    if called:
        decorator = decorator()
    decorator(note)
    happen(client.connect(), name)

    assert seen == [name.removeprefix("on_").removeprefix("group_")]


# The names of the Functions trigger's properties, one for one.
GENERAL = {
    "on_connect": ("connect", "system"),
    "on_connected": ("connected", "system"),
    "on_disconnected": ("disconnected", "system"),
    "on_group_joined": ("joined", "presence"),
    "on_group_left": ("left", "presence"),
    "on_message": ("message", "user"),
}


@pytest.mark.parametrize("name", GENERAL)
def test_everything_can_be_said_with_trigger(wps: WebPubSub, client: WebPubSubTestClient, name: str) -> None:
    seen: list[str] = []
    event_name, event_type = GENERAL[name]

    @wps.trigger(event_name, event_type=event_type)
    def note(event_name: str) -> None:
        seen.append(event_name)

    happen(client.connect(), name)
    assert seen == [event_name]


def test_trigger_is_for_user_events_unless_it_says_otherwise(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.trigger("connect")
    def connect() -> str:
        return "a user event"

    client.system_events = ()
    assert client.connect().send_event("connect", "") == UserEventResponse("a user event")


@pytest.mark.parametrize("event_type", ["system", "SYSTEM", "System", WebPubSubEventType.SYSTEM])
@pytest.mark.parametrize("protocols", ["webPubSub", "WEBPUBSUB", "webpubsub", ClientProtocols.WEB_PUB_SUB])
def test_event_types_and_protocols_are_written_in_any_case(
    wps: WebPubSub, client: WebPubSubTestClient, event_type: str, protocols: str
) -> None:
    seen: list[str] = []

    @wps.trigger("Connect", event_type=event_type, client_protocols=protocols)
    def connect(event_name: str) -> None:
        seen.append(event_name)

    assert client.connect().accepted
    assert seen == ["connect"]


@pytest.mark.parametrize("value", ["sys", "gp", "", "users"])
def test_an_unknown_event_type_is_refused(registrar: Registrar, value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"event_type is .* can be 'user', 'system', 'presence'"):
        registrar.trigger("ping", event_type=value)


@pytest.mark.parametrize("value", ["", "http", "web_pub_sub"])
def test_an_unknown_protocol_is_refused(registrar: Registrar, value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"client_protocols is .* can be 'all', 'webPubSub', 'mqtt'"):
        registrar.on_connect(client_protocols=value)


@pytest.mark.parametrize("connection", ["", [], [""], ["A", ""], ["A", None], [5]], ids=repr)
def test_a_connection_that_names_nothing_is_refused(registrar: Registrar, connection: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"connection is .* keys of app\.config"):
        registrar.on_connect(connection=connection)


@pytest.mark.parametrize("decorator", NAMED)
def test_an_option_by_position_is_refused(registrar: Registrar, decorator: str) -> None:
    with pytest.raises(TypeError, match="options by name, such as hub='chat'"):
        getattr(registrar, decorator)("chat")


def test_on_user_event_used_bare_says_what_to_write(registrar: Registrar) -> None:
    with pytest.raises(TypeError, match=r"@on_user_event\('name'\)"):
        registrar.on_user_event(handler)  # type: ignore[arg-type]


def test_a_hub_has_no_handlers_of_another_hub() -> None:
    hub = Hub("chat")

    hub.on_connect(hub="CHAT")(handler)
    with pytest.raises(ConfigurationError, match="'chat' can not have handlers of the hub 'support'"):
        hub.on_message(hub="support")


def test_a_decorated_function_can_be_called_as_before(wps: WebPubSub) -> None:
    @wps.on_message
    def message(data: str) -> str:
        return data.upper()

    assert message("hi") == "HI"


def test_one_function_may_answer_several_events(app: Flask) -> None:
    wps = WebPubSub(app)

    @wps.on_user_event("one")
    @wps.on_user_event("two")
    def note(event_name: str) -> str:
        return event_name

    connection = wps.test_client(app).connect()
    assert connection.send_event("one", "") == UserEventResponse("one")
    assert connection.send_event("two", "") == UserEventResponse("two")


def test_a_handler_without_a_hub_needs_the_apps_own() -> None:
    app = Flask("app")
    app.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING)
    wps = WebPubSub(app)
    with pytest.raises(ConfigurationError, match="names no hub: set WEBPUBSUB_HUB"):
        wps.on_message(handler)

    late = WebPubSub()
    late.on_message(handler)
    other = Flask("other")
    other.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING)
    with pytest.raises(ConfigurationError, match="names no hub: set WEBPUBSUB_HUB"):
        late.init_app(other)
