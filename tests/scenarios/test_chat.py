"""A whole conversation: a client is let in, speaks, is counted, and leaves."""

from __future__ import annotations

from typing import Any

import pytest

from flask_webpubsub import (
    ConnectEventRequest,
    ConnectEventResponse,
    EventErrorResponse,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
)
from flask_webpubsub.testing import WebPubSubTestClient

pytestmark = pytest.mark.both_doors


def test_a_conversation_keeps_its_count_in_the_states(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    seen: list[Any] = []

    @wps.on_connect
    def connect(request: ConnectEventRequest) -> Any:
        if "room" not in request.query:
            return EventErrorResponse("unauthorized", "Name a room.")
        response = request.create_response(groups=request.query["room"])
        response.set_state("room", request.query["room"][0])
        return response

    @wps.on_connected
    def connected(user_id: str) -> None:
        seen.append(("connected", user_id))

    @wps.on_message
    def message(request: UserEventRequest, states: dict[str, Any], data: Any) -> UserEventResponse:
        count = states.get("count", 0) + 1
        response = request.create_response(f"#{count} in {states['room']}: {data}")
        response.set_state("count", count)
        return response

    @wps.on_disconnected
    def disconnected(states: dict[str, Any], reason: str) -> None:
        seen.append(("disconnected", reason, dict(states)))

    assert client.validate()
    refused = client.connect("alice")
    assert not refused.accepted
    assert refused.response == EventErrorResponse("unauthorized", "Name a room.")

    chat = client.connect("alice", query={"room": "lobby"})
    assert chat.response == ConnectEventResponse(groups=["lobby"], states={"room": "lobby"})
    assert chat.send_text("hi") == UserEventResponse("#1 in lobby: hi", states={"room": "lobby", "count": 1})
    assert chat.send_json({"text": "ho"}) == UserEventResponse(
        "#2 in lobby: {'text': 'ho'}", states={"room": "lobby", "count": 2}
    )
    assert chat.disconnect("bye") is None
    assert seen == [("connected", "alice"), ("disconnected", "bye", {"room": "lobby", "count": 2})]
