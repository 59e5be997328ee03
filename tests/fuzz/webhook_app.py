"""An app with handlers of all kinds, which keep a list of who was called."""

from __future__ import annotations

from functools import cache
from typing import Any, BinaryIO

from flask import Flask, Response, abort
from marshmallow import Schema, fields

from flask_webpubsub import (
    ConnectEventRequest,
    ConnectEventResponse,
    EventError,
    EventErrorResponse,
    Hub,
    InvalidHandlerResultError,
    MqttConnectEventErrorResponse,
    MqttConnectEventRequest,
    MqttConnectEventResponse,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
    event_rejected,
)
from tests.conftest import HOST, KEY

from .oracle import Trust

OTHER_HOST = "fabrikam.webpubsub.azure.com"
KEYLESS_HOST = "keyless.webpubsub.azure.com"
OTHER_KEYS = ["first-key-of-fabrikam", "second-key-of-fabrikam"]
OWN_KEY = "key-of-one-handler-alone"
CODES = ["access-code-of-today", "access c\u00f6de & of=tomorrow"]

#: What each handler trusts: those of one hub have a key of their own, and one takes unsigned events.
TRUST: dict[str, Trust] = {"own": {HOST: [OWN_KEY]}, "open": None}
DEFAULT_TRUST: Trust = {HOST: [KEY], OTHER_HOST: OTHER_KEYS, KEYLESS_HOST: []}
SECRETS = [KEY, *OTHER_KEYS, OWN_KEY, *CODES]

#: The event types, names and hubs that have a handler.
HANDLED = [
    *[(f"azure.webpubsub.sys.{name}", name, "chat") for name in ("connect", "connected", "disconnected")],
    *[(f"azure.webpubsub.gp.{name}", name, "chat") for name in ("joined", "left")],
    *[
        (f"azure.webpubsub.user.{name}", name, "chat")
        for name in (
            *("message", "text", "bytes", "stream", "order", "pay", "count", "clear", "mapping", "fail", "abort"),
            *("response", "wait", "anything"),
        )
    ],
    ("azure.webpubsub.sys.connect", "connect", "own"),
    ("azure.webpubsub.user.message", "message", "open"),
    ("azure.webpubsub.sys.later", "later", "chat"),
]

CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "direct": {"WEBPUBSUB_DIRECT": True},
    "coded": {"WEBPUBSUB_ACCESS_CODE": CODES, "WEBPUBSUB_SCHEMA_ERRORS": False},
    "once": {"WEBPUBSUB_ONCE": True, "WEBPUBSUB_MAX_BODY_BYTES": 300, "WEBPUBSUB_MAX_STATE_BYTES": 60},
}


class Order(Schema):
    """A schema of a user."""

    count = fields.Integer(required=True)
    name = fields.String(validate=lambda value: len(value) < 20)
    parts = fields.List(fields.Nested(lambda: Order()))


class Webhook:
    """An app, and what happened in it since it was last asked."""

    def __init__(self, **config: Any) -> None:
        self.app = Flask("app")
        self.app.config.update(TESTING=True, PROPAGATE_EXCEPTIONS=True, WEBPUBSUB_HUB="chat", **config)
        self.called: list[tuple[str, str]] = []
        self.refusals: list[Exception] = []
        event_rejected.connect(self._hear_refusal, self.app)

    def _hear_refusal(self, app: Flask, *, status: int, error: Exception) -> None:
        self.refusals.append(error)

    def begin(self) -> None:
        """Forget what happened."""
        self.called.clear()
        self.refusals.clear()

    def may_fail(self) -> bool:
        """Whether an answer of 500 is right: a handler was called, and what it returned is no answer."""
        return bool(self.called) and any(isinstance(error, InvalidHandlerResultError) for error in self.refusals)


@cache
def webhook(kind: str) -> Webhook:
    """The app of one of the :data:`CONFIGS`."""
    made = Webhook(
        WEBPUBSUB_CONNECTION_STRING=[
            f"Endpoint=https://{HOST};AccessKey={KEY};Version=1.0;",
            *[f"Endpoint=https://{OTHER_HOST};AccessKey={key};Version=1.0;" for key in OTHER_KEYS],
            f"Endpoint=https://{KEYLESS_HOST};Version=1.0;",
        ],
        OWN_CONNECTION=f"Endpoint=https://{HOST};AccessKey={OWN_KEY};Version=1.0;",
        **CONFIGS[kind],
    )
    wps = WebPubSub(made.app)
    _add_system_handlers(wps, made.called)
    _add_message_handlers(wps, made.called)
    _add_answers(wps, made.called)
    _add_hubs(wps, made.called)
    return made


def _add_system_handlers(wps: WebPubSub, called: list[tuple[str, str]]) -> None:
    @wps.on_connect(client_protocols="webPubSub")
    def connect(request: ConnectEventRequest, connection_id: str) -> Any:
        called.append(("connect", connection_id))
        if "state" in request.query:
            response = request.create_response(user_id=request.connection_context.user_id)
            response.set_state("query", request.query)
            return response
        return ConnectEventResponse(groups=sorted(request.claims), roles=request.subprotocols)

    @wps.on_connect(client_protocols="mqtt")
    def connect_mqtt(request: MqttConnectEventRequest, connection_id: str) -> Any:
        called.append(("connect_mqtt", connection_id))
        if request.mqtt.username == "mallory":
            return MqttConnectEventErrorResponse(request.mqtt.protocol_version, "No.", request.mqtt.user_properties)
        return MqttConnectEventResponse(user_properties=request.mqtt.user_properties)

    @wps.on_connected
    def connected(connection_id: str, states: Any, user_id: str | None) -> None:
        called.append(("connected", connection_id))

    @wps.on_disconnected
    def disconnected(connection_id: str, reason: str | None, mqtt: Any) -> None:
        called.append(("disconnected", connection_id))

    @wps.on_group_joined
    def joined(connection_id: str, group: str) -> None:
        called.append(("joined", connection_id))

    @wps.on_group_left
    def left(request: Any, connection_id: str) -> Any:
        called.append(("left", connection_id))
        return {"code": 503}

    @wps.trigger("later", event_type="system")
    def later(request: Any, connection_id: str) -> None:
        called.append(("later", connection_id))


def _add_message_handlers(wps: WebPubSub, called: list[tuple[str, str]]) -> None:
    @wps.on_message
    def message(request: UserEventRequest, data: Any, data_type: str, connection_id: str) -> Any:
        called.append(("message", connection_id))
        return request.create_response(data, data_type)

    @wps.on_user_event("text")
    def text(data: str, connection_id: str) -> str:
        called.append(("text", connection_id))
        return data

    @wps.on_user_event("bytes")
    def as_bytes(data: bytes, connection_id: str) -> bytes:
        called.append(("bytes", connection_id))
        return data

    @wps.on_user_event("stream", once=True)
    def stream(data: BinaryIO, connection_id: str) -> dict[str, Any]:
        called.append(("stream", connection_id))
        return {"data": data.read(), "dataType": "binary"}

    @wps.on_user_event("order", schema=Order, reply_schema=Order)
    def order(data: dict[str, Any], connection_id: str) -> dict[str, Any]:
        called.append(("order", connection_id))
        return data

    @wps.on_user_event("pay", schema=Order, once=True)
    def pay(data: dict[str, Any], connection_id: str) -> str:
        called.append(("pay", connection_id))
        return "paid"

    @wps.on_user_event("wait")
    async def wait(connection_id: str) -> str:
        called.append(("wait", connection_id))
        return "waited"

    @wps.on_user_event("*")
    def anything(metadata: Any, user_properties: Any, connection_id: str) -> UserEventResponse:
        called.append(("anything", connection_id))
        return UserEventResponse(metadata=metadata, user_properties=user_properties or [])


def _add_answers(wps: WebPubSub, called: list[tuple[str, str]]) -> None:
    @wps.on_user_event("count")
    def count(states: Any, data: Any, connection_id: str) -> dict[str, Any]:
        called.append(("count", connection_id))
        return {"data": len(states), "states": {**states, "last": data if isinstance(data, str) else None}}

    @wps.on_user_event("clear")
    def clear(request: UserEventRequest, connection_id: str) -> UserEventResponse:
        called.append(("clear", connection_id))
        response = UserEventResponse("cleared")
        response.clear_states()
        return response

    @wps.on_user_event("mapping")
    def mapping(data: Any, metadata: Any, connection_id: str) -> Any:
        called.append(("mapping", connection_id))
        return data if isinstance(data, dict) else {"data": data, "metadata": metadata}

    @wps.on_user_event("fail")
    def fail(data: Any, connection_id: str) -> EventErrorResponse:
        called.append(("fail", connection_id))
        raise EventError(403, "No.")

    @wps.on_user_event("abort")
    def give_up(connection_id: str) -> None:
        called.append(("abort", connection_id))
        abort(409)

    @wps.on_user_event("response")
    def response(user_id: str | None, connection_id: str) -> Response:
        called.append(("response", connection_id))
        return Response(user_id or "nobody", mimetype="text/plain")


def _add_hubs(wps: WebPubSub, called: list[tuple[str, str]]) -> None:
    own = Hub("own", connection="OWN_CONNECTION")
    unsigned = Hub("open", connection=None)

    @own.on_connect
    def connect(claims: Any, connection_id: str) -> dict[str, Any]:
        called.append(("own", connection_id))
        return {"userId": None, "groups": list(claims)}

    @unsigned.on_message
    def message(data: Any, connection_id: str) -> None:
        called.append(("open", connection_id))

    wps.register_hub(own)
    wps.register_hub(unsigned)
