"""Who is in which group, as the presence events tell it."""

from __future__ import annotations

from collections import defaultdict

import pytest

from flask_webpubsub import (
    EventErrorResponse,
    GroupJoinedEventRequest,
    GroupLeftEventRequest,
    Hub,
    MqttConnectProperties,
    MqttProtocolVersion,
    WebPubSub,
    WebPubSubEventType,
)
from flask_webpubsub.testing import WebPubSubTestClient

pytestmark = pytest.mark.both_doors

Rooms = dict[str, list[str | None]]


@pytest.fixture
def rooms(wps: WebPubSub) -> Rooms:
    """The rooms of an app that follows who joins and who leaves."""
    rooms: Rooms = defaultdict(list)

    @wps.on_group_joined
    def joined(group: str, user_id: str | None) -> None:
        rooms[group].append(user_id)

    @wps.on_group_left
    def left(request: GroupLeftEventRequest) -> None:
        rooms[request.group].remove(request.connection_context.user_id)

    return rooms


def test_rooms_fill_and_empty(client: WebPubSubTestClient, rooms: Rooms) -> None:
    alice, bob = client.connect("alice"), client.connect("bob")
    assert alice.join("lobby") is None
    bob.join("lobby")
    bob.join("küche")
    assert rooms == {"lobby": ["alice", "bob"], "küche": ["bob"]}
    assert bob.leave("lobby") is None
    assert rooms == {"lobby": ["alice"], "küche": ["bob"]}


def test_an_mqtt_client_is_present_too(client: WebPubSubTestClient, rooms: Rooms) -> None:
    sensor = client.connect("sensor", mqtt=MqttConnectProperties(protocol_version=MqttProtocolVersion.V500))
    sensor.join("sensors")
    assert rooms == {"sensors": ["sensor"]}


def test_presence_has_a_type_of_its_own(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    seen: list[tuple[WebPubSubEventType, str]] = []

    @wps.trigger("joined", event_type="presence")
    def joined(event: GroupJoinedEventRequest) -> None:
        seen.append((event.connection_context.event_type, event.group))

    @wps.on_user_event("joined")
    def a_message_of_that_name(data: str) -> str:
        return f"message {data}"

    connection = client.connect()
    connection.join("lobby")
    connection.send_event("joined", "lobby")
    assert seen == [(WebPubSubEventType.PRESENCE, "lobby")]
    assert connection.answer.body == b"message lobby"


def test_a_failure_is_told_to_the_service_where_it_would_try_again(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    answers = [EventErrorResponse(503, "Busy."), EventErrorResponse(404, "No such room."), None]

    @wps.on_group_joined
    def joined() -> EventErrorResponse | None:
        return answers.pop(0)

    connection = client.connect()
    assert connection.join("lobby") == EventErrorResponse(503, "Busy.")
    assert connection.retry() is None
    assert connection.join("nowhere") is None


def test_a_hub_has_presence_handlers_of_its_own(wps: WebPubSub, client: WebPubSubTestClient, rooms: Rooms) -> None:
    games = Hub("games")
    seen: list[str] = []

    @games.on_group_joined
    def joined(group: str) -> None:
        seen.append(group)

    wps.register_hub(games)
    client.hub = "Games"
    client.connect("alice").join("chess")
    assert seen == ["chess"]
    assert rooms == {}
