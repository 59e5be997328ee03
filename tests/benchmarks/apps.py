"""Our apps, whose handlers do what those of the references do, written as the documentation shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from flask_webpubsub import (
    ConnectEventRequest,
    ConnectEventResponse,
    MqttConnectEventRequest,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
)

from .references import CONNECTION_STRING, HUB

Lists = Mapping[str, list[str]]


def make_typed(**settings: Any) -> Flask:
    """Handlers that answer with the response classes."""
    app, wps = _make_app("typed", **settings)

    @wps.on_message
    def message(request: UserEventRequest, data: str) -> UserEventResponse:
        response = request.create_response("ack")
        response.set_state("count", request.connection_context.states.get("count", 0) + 1)
        return response

    @wps.on_connect
    def connect(
        request: ConnectEventRequest, claims: Lists, query: Lists, subprotocols: list[str]
    ) -> ConnectEventResponse:
        room = query["room"][0]
        response = request.create_response(claims["sub"][0], [room], claims["role"], subprotocols[0])
        response.set_state("room", room)
        return response

    @wps.on_connect(client_protocols="mqtt")
    def mqtt_connect(request: MqttConnectEventRequest, claims: Lists, query: Lists) -> ConnectEventResponse:
        return request.create_response(request.mqtt.username, query["room"], claims["role"])

    @wps.on_connected
    def connected(user_id: str | None) -> None:
        """Take note."""

    @wps.on_disconnected
    def disconnected(reason: str | None) -> None:
        """Take note."""

    @wps.on_user_event("read")
    def read(states: Mapping[str, Any]) -> UserEventResponse:
        return UserEventResponse(f"{states['count']} in {states['room']}")

    @wps.on_user_event("set")
    def set_(data: str) -> UserEventResponse:
        response = UserEventResponse("ack")
        response.set_state("count", 42)
        return response

    @wps.on_user_event("large")
    def large(request: UserEventRequest, data: Any) -> UserEventResponse:
        return request.create_response("ack")

    return app


def make_direct() -> Flask:
    """The same, answered before Flask builds a request."""
    return make_typed(WEBPUBSUB_DIRECT=True)


def make_dicts() -> Flask:
    """Handlers that answer with the mappings of Azure Functions."""
    app, wps = _make_app("dicts")

    @wps.on_message
    def message(request: UserEventRequest, data: str) -> dict[str, Any]:
        count = request.connection_context.states.get("count", 0) + 1
        return {"data": "ack", "dataType": "text", "states": {"count": count}}

    @wps.on_connect
    def connect(claims: Lists, query: Lists, subprotocols: list[str]) -> dict[str, Any]:
        room = query["room"][0]
        return {
            "userId": claims["sub"][0],
            "groups": [room],
            "roles": claims["role"],
            "subprotocol": subprotocols[0],
            "states": {"room": room},
        }

    return app


def make_unseen() -> Flask:
    """Handlers that can not see the body."""
    app, wps = _make_app("unseen")

    @wps.on_message
    def message() -> UserEventResponse:
        return UserEventResponse("ack")

    @wps.on_connect
    def connect(user_id: str | None) -> ConnectEventResponse:
        return ConnectEventResponse(user_id, ["lobby"])

    return app


def make_many(handlers: int) -> Flask:
    """A message's handler among others, of a hundred hubs."""
    app, wps = _make_app("many")

    @wps.on_message
    def message(data: str) -> UserEventResponse:
        return UserEventResponse("ack")

    for number in range(handlers - 1):
        wps.on_user_event(f"event{number}", hub=f"hub{number % 100}")(message)
    return app


def _make_app(name: str, **settings: Any) -> tuple[Flask, WebPubSub]:
    app = Flask(name)
    app.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB=HUB, **settings)
    return app, WebPubSub(app)
