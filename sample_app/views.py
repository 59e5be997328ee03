"""The pages of the chat."""

from __future__ import annotations

import re
import secrets
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError
from flask import Blueprint, Response, current_app, jsonify, make_response, render_template, request

from flask_webpubsub import EventError

from . import rooms
from .chat import MAX_LETTERS
from .extensions import wps
from .names import read_name, read_room
from .rooms import HUB, Place

pages = Blueprint("pages", __name__)

_SEAT = re.compile(r"[0-9a-f]{32}")


@pages.get("/")
def index() -> Response:
    """The page that everybody chats in."""
    page = make_response(render_template("chat.html", max_letters=MAX_LETTERS))
    page.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {_service_origin()}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    page.headers["X-Content-Type-Options"] = "nosniff"
    page.headers["Referrer-Policy"] = "no-referrer"
    return page


@pages.post("/negotiate")
def negotiate() -> Response:
    """Give a person the URL to connect with, or say why not: no browser shows a page why a handshake was refused.

    JSON in: ``name``, ``room``, and ``seat`` from who comes back. JSON out: these and ``url``, or ``message`` and the
    ``field`` that it is about.
    """
    asked = request.get_json(silent=True)
    values: dict[str, Any] = asked if isinstance(asked, dict) else {}
    field = "room"
    try:
        room = read_room(_text(values, "room"))
        field = "name"
        place = Place(read_name(_text(values, "name")), room, _read_seat(values))
        rooms.verify_free(place)
    except EventError as error:
        return _answer({"message": error.message, "field": field}, error.status)
    except AzureError:
        current_app.logger.exception("The service can not be asked who is in a room.")
        return _answer({"message": "The chat is out of order for now. Try again in a moment."}, 503)
    access = wps.client_access(user_id=place.user_id, groups=place.groups, minutes_to_expire=5, hub=HUB)
    return _answer({"url": access.url, "name": place.name, "room": place.room, "seat": place.seat}, 200)


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _read_seat(values: dict[str, Any]) -> str:
    seat = _text(values, "seat")
    return seat if _SEAT.fullmatch(seat) else secrets.token_hex(16)


def _answer(values: dict[str, Any], status: int) -> Response:
    answer = jsonify(values)
    answer.status_code = status
    answer.headers["Cache-Control"] = "no-store"  # the URL holds a token
    return answer


def _service_origin() -> str:
    """Where the page may open its WebSocket, and nowhere else."""
    url = urlsplit(wps.client_access(hub=HUB).base_url)
    return f"{url.scheme}://{url.netloc}"
