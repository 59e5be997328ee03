"""The chat's hub: who may come in, and what the app answers to what they say.

All that the app knows of a connection stands in its states: ``name``, ``room`` and ``count``, the number of its
messages. They travel with the connection's events, so any worker on any machine can answer the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import current_app

from flask_webpubsub import (
    ConnectEventRequest,
    ConnectEventResponse,
    EventErrorResponse,
    Hub,
    UserEventRequest,
    UserEventResponse,
    WebPubSubDataType,
)

from .names import verify_name, verify_room

MAX_LETTERS = 1000

hub = Hub("chat")


@hub.on_connect
def connect(request: ConnectEventRequest, query: Mapping[str, list[str]]) -> ConnectEventResponse | EventErrorResponse:
    """Let in who has a proper name, as ``?name=Ann&room=lobby`` at the end of the client's URL."""
    if "name" not in query:
        return EventErrorResponse("unauthorized", "Say who you are: choose a name.")
    name = query["name"][0].strip()
    room = query.get("room", ["lobby"])[0]
    verify_name(name)
    verify_room(room)
    response = request.create_response(
        user_id=quote(name, safe=" "),  # events bring it in a header, and not every server lets more than ASCII through
        groups=[room],
        roles=[f"webpubsub.joinLeaveGroup.{room}", f"webpubsub.sendToGroup.{room}"],
    )
    response.set_state("name", name)
    response.set_state("room", room)
    response.set_state("count", 0)
    return response


@hub.on_connected
def connected(states: Mapping[str, Any]) -> None:
    current_app.logger.info("%r came into the room %r.", states["name"], states["room"])


@hub.on_message
def message(
    request: UserEventRequest, data: Any, data_type: WebPubSubDataType, states: Mapping[str, Any]
) -> UserEventResponse | EventErrorResponse:
    """Answer text with text, and JSON with JSON."""
    match data:
        case str(text) | {"text": str(text)} if text.strip():
            pass
        case _:
            return EventErrorResponse("userError", 'Send some text, or JSON such as {"text": "Hello"}.')
    if len(text) > MAX_LETTERS:
        return EventErrorResponse("userError", f"A message has at most {MAX_LETTERS} letters.")
    count = states["count"] + 1
    if data_type is WebPubSubDataType.JSON:
        said = {"number": count, "from": states["name"], "room": states["room"], "text": text}
        response = request.create_response(said, "json")
    else:
        response = request.create_response(f"#{count} in {states['room']}, {states['name']}: {text}")
    response.set_state("count", count)
    return response


@hub.on_user_event("typing")
def typing(states: Mapping[str, Any]) -> dict[str, Any]:
    """Say who is typing. An answer may be a mapping too, as it is in Azure Functions."""
    return {"dataType": "json", "data": {"typing": states["name"], "room": states["room"]}}


@hub.on_user_event("rename")
def rename(request: UserEventRequest, data: str, states: Mapping[str, Any]) -> UserEventResponse:
    """Give the person another name, which is the text of the message."""
    name = data.strip()
    verify_name(name)
    response = request.create_response({"renamed": states["name"], "name": name})
    response.set_state("name", name)
    return response


@hub.on_disconnected
def disconnected(states: Mapping[str, Any], reason: str | None) -> None:
    current_app.logger.info("%r left after %d messages: %r.", states["name"], states["count"], reason)
