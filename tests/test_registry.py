"""Which handler answers which event, and what can not be registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import ConfigurationError, EventErrorResponse, UserEventResponse, WebPubSub, WebPubSubEventType
from flask_webpubsub.mqtt import MqttConnectProperties, MqttProtocolVersion
from flask_webpubsub.registry import verify_event_name
from flask_webpubsub.testing import WebPubSubTestClient

MQTT = MqttConnectProperties(protocol_version=MqttProtocolVersion.V500)


def text(answer: str) -> Callable[[], str]:
    """A handler that answers with its own name."""

    def handler() -> str:
        return answer

    return handler


def register(wps: WebPubSub, *handlers: tuple[str, str]) -> None:
    for name, protocols in handlers:
        wps.on_user_event(name, client_protocols=protocols)(text(f"{name} {protocols}"))


ORDER = {
    "own name and protocol go first": ("ping webPubSub", "ping mqtt"),
    "then own name for all": ("ping all", "ping all"),
    "then any name and own protocol": ("* webPubSub", "* mqtt"),
    "then any name for all": ("* all", "* all"),
}


@pytest.mark.parametrize("number", range(len(ORDER)), ids=ORDER)
def test_the_order_of_looking_up(wps: WebPubSub, client: WebPubSubTestClient, number: int) -> None:
    order = [("ping", ("webPubSub", "mqtt")), ("ping", ("all",)), ("*", ("webPubSub", "mqtt")), ("*", ("all",))]
    for name, protocols in order[number:]:
        register(wps, *((name, protocol) for protocol in protocols))
    plain, mqtt = list(ORDER.values())[number]

    assert client.connect().send_event("ping", "") == UserEventResponse(plain)
    assert client.connect(mqtt=MQTT).send_event("ping", "") == UserEventResponse(mqtt)


def test_a_handler_of_another_protocol_does_not_answer(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    register(wps, ("ping", "mqtt"), ("pong", "webPubSub"))

    assert client.connect().send_event("ping", "") == EventErrorResponse(404, "Not Found")
    assert client.connect(mqtt=MQTT).send_event("pong", "") == EventErrorResponse(404, "Not Found")


def test_any_event_is_any_user_event_alone(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    wps.on_user_event("*")(text("any"))
    client.system_events = ("joined",)

    connection = client.connect()
    assert connection.send_text("hi") == UserEventResponse("any")
    assert connection.join("lobby") == EventErrorResponse(404, "Not Found")


def test_an_event_that_is_called_star_finds_the_fallback(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    wps.on_user_event("*")(text("any"))

    assert client.connect().send_event("*", "hi") == UserEventResponse("any")


@pytest.mark.parametrize("hub", ["chat", "CHAT", "Chat"])
@pytest.mark.parametrize("name", ["room.Moved", "ROOM.MOVED", "room.moved"])
def test_hub_and_event_names_compare_ignoring_case(
    wps: WebPubSub, client: WebPubSubTestClient, hub: str, name: str
) -> None:
    wps.on_user_event("Room.moved", hub="chAT")(text("moved"))
    client.hub = hub

    assert client.connect().send_event(name, "") == UserEventResponse("moved")


def test_the_same_name_of_two_types_is_two_events(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    seen: list[str] = []

    @wps.on_group_joined
    def joined(group: str) -> None:
        seen.append(group)

    wps.on_user_event("joined")(text("user"))
    connection = client.connect()

    assert connection.send_event("joined", "") == UserEventResponse("user")
    assert connection.join("lobby") is None
    assert seen == ["lobby"]


def test_several_hubs_have_handlers_of_their_own(wps: WebPubSub, app: Flask) -> None:
    wps.on_message(text("chat"))
    wps.on_message(hub="support")(text("support"))

    assert wps.test_client(app).connect().send_text("") == UserEventResponse("chat")
    assert wps.test_client(app, "support").connect().send_text("") == UserEventResponse("support")
    assert wps.test_client(app, "other").connect().send_text("") == EventErrorResponse(404, "Not Found")


# The same handler twice.

TWICE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the app's own hub": ({}, {}),
    "a named hub": ({"hub": "support"}, {"hub": "support"}),
    "a hub in another case": ({"hub": "support"}, {"hub": "SUPPORT"}),
    "no hub and the app's own by name": ({}, {"hub": "Chat"}),
    "the app's own by name and no hub": ({"hub": "chat"}, {}),
    "one protocol": ({"client_protocols": "mqtt"}, {"client_protocols": "MQTT"}),
    "two connections": ({"connection": None}, {}),
}
NOT_TWICE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another hub": ({}, {"hub": "support"}),
    "another protocol": ({}, {"client_protocols": "mqtt"}),
    "plain and MQTT": ({"client_protocols": "webPubSub"}, {"client_protocols": "mqtt"}),
}


@pytest.mark.parametrize(("first", "second"), TWICE.values(), ids=TWICE)
def test_two_handlers_of_one_event_are_refused(wps: WebPubSub, first: dict[str, Any], second: dict[str, Any]) -> None:
    wps.on_user_event("ping", **first)(text("first"))

    with pytest.raises(ConfigurationError, match=r"'PING' .* has two handlers"):
        wps.on_user_event("PING", **second)(text("second"))


@pytest.mark.parametrize(("first", "second"), NOT_TWICE.values(), ids=NOT_TWICE)
def test_handlers_of_different_events_are_not(wps: WebPubSub, first: dict[str, Any], second: dict[str, Any]) -> None:
    wps.on_user_event("ping", **first)(text("first"))
    wps.on_user_event("ping", **second)(text("second"))


def test_without_an_app_the_same_hub_is_refused_at_once() -> None:
    wps = WebPubSub()
    wps.on_message(hub="chat")(text("first"))
    wps.on_message(text("of the default hub, which may be another"))

    with pytest.raises(ConfigurationError, match="has two handlers"):
        wps.on_message(hub="CHAT")(text("second"))
    with pytest.raises(ConfigurationError, match="has two handlers"):
        wps.on_message(text("third"))


def test_without_an_app_the_default_hub_by_name_is_refused_by_init_app(app: Flask) -> None:
    wps = WebPubSub()
    wps.on_message(hub="Chat")(text("named"))
    wps.on_message(text("of the default hub"))

    with pytest.raises(ConfigurationError, match="has two handlers"):
        wps.init_app(app)
    app.config["WEBPUBSUB_HUB"] = "other"
    wps.init_app(app)


def test_a_refused_handler_leaves_the_first_in_place(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    wps.on_message(text("first"))
    with pytest.raises(ConfigurationError):
        wps.on_message(hub="chat")(text("second"))

    assert client.connect().send_text("") == UserEventResponse("first")


def test_the_message_names_both_functions(wps: WebPubSub) -> None:
    def one() -> None: ...

    def other() -> None: ...

    wps.on_connect(one)
    with pytest.raises(ConfigurationError, match=r"one and .*other") as caught:
        wps.on_connect(other)
    assert "connect" in str(caught.value)
    assert "client_protocols='all'" in str(caught.value)


# Names.


@pytest.mark.parametrize("name", ["message", "room.moved", "with blank", "a/b", "*", "a" * 500])
def test_a_user_event_may_have_this_name(name: str) -> None:
    verify_event_name(WebPubSubEventType.USER, name)


@pytest.mark.parametrize(
    "name", ["", " ping", "ping ", "a,b", "line\nbreak", "café", "\x7f", None, 5, b"ping"], ids=repr
)
def test_a_name_that_no_event_can_have_is_refused(wps: WebPubSub, name: Any) -> None:
    with pytest.raises(ConfigurationError, match="can not be the name of an event"):
        wps.trigger(name)


@pytest.mark.parametrize("event_type", [WebPubSubEventType.SYSTEM, WebPubSubEventType.PRESENCE])
def test_only_user_events_have_a_fallback(wps: WebPubSub, event_type: WebPubSubEventType) -> None:
    with pytest.raises(ConfigurationError, match="for user events alone"):
        wps.trigger("*", event_type=event_type)


@pytest.mark.parametrize("hub", ["", "1chat", "my-hub", "my hub"])
def test_a_hub_that_the_service_can_never_have_is_refused(wps: WebPubSub, hub: str) -> None:
    with pytest.raises(ConfigurationError, match="can not be the name of a hub"):
        wps.on_connect(hub=hub)
