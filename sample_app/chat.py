"""The chat's hub: who may come in, and what the app makes of what they say.

Clients send events to the app and nothing to one another, so that nobody can speak under another's name: the app says
who it was. All that it knows of a connection stands in its states: the person's place, and ``count``, the number of
their messages. They travel with the connection's events, so any worker on any machine can answer the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import current_app

from flask_webpubsub import (
    ConnectEventRequest,
    ConnectEventResponse,
    EventError,
    EventErrorResponse,
    Hub,
    UserEventRequest,
    UserEventResponse,
)

from . import rooms
from .rooms import HUB, Place, place_of

MAX_LETTERS = 1000

hub = Hub(HUB)


@hub.on_connect
def connect(request: ConnectEventRequest, user_id: str | None, claims: Mapping[str, list[str]]) -> ConnectEventResponse:
    """Let in who has a token from ``/negotiate``. What it says is checked again, and nothing else is believed."""
    place = Place.from_token(user_id, claims.get("webpubsub.group", []))
    rooms.make_way(place)
    response = request.create_response(groups=place.groups, roles=[])
    response.states = {**place.as_states(), "count": 0}
    return response


@hub.on_connected
def connected(connection_id: str, states: Mapping[str, Any]) -> None:
    """Tell the room who came."""
    place = place_of(states)
    try:
        # Two may ask for one name at the same time, and find it free. Who finds another one there goes.
        rooms.verify_free(place, besides=[connection_id])
    except EventError:
        rooms.close(connection_id, rooms.TAKEN)
        return
    current_app.logger.info("%r came into the room %r.", place.name, place.room)
    present = rooms.list_people(place.room, coming=place.name)
    rooms.tell(place.room, {"type": "joined", "name": place.name, **present})


@hub.on_message
def message(request: UserEventRequest, data: Any, states: Mapping[str, Any]) -> UserEventResponse | EventErrorResponse:
    """Say it to the room. ``id`` is the sender's own, by which pages know a message that they have."""
    match data:
        case str(text) | {"text": str(text)} if text.strip():
            pass
        case _:
            return EventErrorResponse("userError", 'Send some text, or JSON such as {"text": "Hello"}.')
    if len(text) > MAX_LETTERS:
        return EventErrorResponse("userError", f"A message has at most {MAX_LETTERS} letters.")
    count = states["count"] + 1
    said = {"type": "message", "from": states["name"], "number": count, "text": text, "time": rooms.now()}
    match data:
        case {"id": str(message_id)} if len(message_id) <= 64:
            said["id"] = message_id
    rooms.tell(states["room"], said)
    response = request.create_response()
    response.set_state("count", count)
    return response


@hub.on_user_event("typing")
def typing(connection_id: str, states: Mapping[str, Any]) -> None:
    """Tell the others who is typing."""
    rooms.tell(states["room"], {"type": "typing", "name": states["name"]}, besides=[connection_id])


@hub.on_user_event("people")
def people(states: Mapping[str, Any]) -> dict[str, Any]:
    """Answer who is online. An answer may be a mapping too, as it is in Azure Functions."""
    return {"dataType": "json", "data": {"type": "people", **rooms.list_people(states["room"])}}


@hub.on_disconnected
def disconnected(connection_id: str, states: Mapping[str, Any], reason: str | None) -> None:
    """Tell the room who left, unless they are there with another connection."""
    place = place_of(states)
    current_app.logger.info("%r left after %d messages: %r.", place.name, states["count"], reason)
    present = rooms.list_people(place.room, going=connection_id)
    kind = "people" if place.name in present["people"] else "left"
    rooms.tell(place.room, {"type": kind, "name": place.name, **present})
