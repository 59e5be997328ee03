"""The app of ten lines that the servers of ``test_servers.py`` run, and a few events more to look behind them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from flask import Flask, has_request_context

from flask_webpubsub import (
    ConnectEventResponse,
    EventErrorResponse,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
)

app = Flask(__name__)
app.config.from_prefixed_env()
wps = WebPubSub(app)


@wps.on_connect
def connect(claims: Mapping[str, list[str]]) -> ConnectEventResponse | EventErrorResponse:
    if "sub" not in claims:
        return EventErrorResponse("unauthorized", "Sign in first.")
    return ConnectEventResponse(user_id=claims["sub"][0], groups=["lobby"])


@wps.on_message
def message(request: UserEventRequest, data: Any) -> UserEventResponse:
    count = request.connection_context.states.get("count", 0) + 1
    response = request.create_response(f"#{count}: {data}")
    response.set_state("count", count)
    return response


@wps.on_user_event("who")
@wps.on_user_event("who", hub="support")
def who(user_id: str | None, hub: str) -> str:
    return f"{user_id} in {hub}"


@wps.on_user_event("size")
def size(data: bytes) -> str:
    return str(len(data))


@wps.on_user_event("worker")
def worker(request: UserEventRequest) -> UserEventResponse:
    count = request.connection_context.states.get("count", 0) + 1
    response = request.create_response({"count": count, "pid": os.getpid()})
    response.set_state("count", count)
    return response


@wps.on_user_event("door")
def door() -> str:
    return "view" if has_request_context() else "lane"


@wps.on_user_event("quiet")
def quiet() -> None:
    """An event with an empty answer."""
