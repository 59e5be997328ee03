"""States through a whole conversation: kept, changed, cleared, and safe from answers that fail."""

from __future__ import annotations

from typing import Any

import pytest

from flask_webpubsub import (
    ConnectEventResponse,
    EventErrorResponse,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
)
from flask_webpubsub.testing import WebPubSubTestClient

pytestmark = pytest.mark.both_doors


def test_a_game_is_kept_with_its_connection(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    final: list[dict[str, Any]] = []

    @wps.on_connect
    def connect(user_id: str) -> ConnectEventResponse:
        return ConnectEventResponse(states={"player": user_id, "points": 0})

    @wps.on_user_event("score")
    def score(request: UserEventRequest, data: int) -> UserEventResponse | EventErrorResponse:
        if data < 0:
            return EventErrorResponse("userError", "No negative points.")
        points = request.connection_context.states["points"] + data
        response = request.create_response({"points": points})
        response.set_state("points", points)
        return response

    @wps.on_user_event("restart")
    def restart(states: dict[str, Any]) -> UserEventResponse:
        response = UserEventResponse()
        response.clear_states()
        response.set_state("points", 0)
        return response

    @wps.on_user_event("look")
    def look(states: dict[str, Any]) -> dict[str, Any]:
        return {"data": dict(states)}

    @wps.on_user_event("forget")
    def forget() -> dict[str, Any]:
        return {"states": None}

    @wps.on_disconnected
    def disconnected(states: dict[str, Any]) -> None:
        final.append(dict(states))

    alice, bob = client.connect("alice"), client.connect("bob")
    assert alice.send_event("score", 3) == UserEventResponse({"points": 3}, states={"player": "alice", "points": 3})
    assert alice.send_event("score", 4) == UserEventResponse({"points": 7}, states={"player": "alice", "points": 7})
    assert bob.send_event("look", None) == UserEventResponse({"player": "bob", "points": 0})

    assert alice.send_event("score", -1) == EventErrorResponse("userError", "No negative points.")
    client.raise_exceptions = False
    assert alice.send_event("score", "no number") == EventErrorResponse("serverError")
    assert alice.send_event("look", None) == UserEventResponse({"player": "alice", "points": 7})

    alice.send_event("restart", None)
    assert alice.states == {"points": 0}
    alice.disconnect()
    bob.send_event("forget", None)
    bob.disconnect()
    assert final == [{"points": 0}, {}]


def test_a_retried_event_counts_from_the_same_states(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    """The service repeats the states with the event: whoever answers twice gives the same answer twice."""

    @wps.on_message
    def message(states: dict[str, Any]) -> UserEventResponse:
        count = states.get("count", 0) + 1
        return UserEventResponse(str(count), states={"count": count})

    chat = client.connect()
    assert chat.send_text("a") == UserEventResponse("1", states={"count": 1})
    assert chat.send_text("b") == UserEventResponse("2", states={"count": 2})
    assert chat.retry() == UserEventResponse("2", states={"count": 2})
    assert chat.send_text("c") == UserEventResponse("3", states={"count": 3})


def test_any_json_and_any_script_is_a_state(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    states = {"山田": ["é", None, 1.5, True, {"a": {}}], "": "\U0001f600\x00\n", "big": 10**30}

    @wps.on_connect
    def connect() -> ConnectEventResponse:
        return ConnectEventResponse(states=states)

    @wps.on_message
    def message(states: dict[str, Any]) -> UserEventResponse:
        return UserEventResponse(dict(states))

    assert client.connect().send_text("hi") == UserEventResponse(states)
