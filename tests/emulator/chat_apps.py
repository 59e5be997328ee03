"""Apps that chat: one on the extension, one written by hand, and the official sample on the extension."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from azure.messaging.webpubsubservice import WebPubSubServiceClient
from flask import Flask, Response, current_app, request

from flask_webpubsub import ConnectEventRequest, EventErrorResponse, UserEventRequest, WebPubSub
from flask_webpubsub.access import parse_connection_string


def _make_app(connection_string: str) -> Flask:
    app = Flask("chat")
    app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=connection_string, WEBPUBSUB_HUB="chat")
    return app


def make_chat_app(connection_string: str) -> Flask:
    """Names its clients, counts their messages in the states, and refuses ``mallory``."""
    app = _make_app(connection_string)
    wps = WebPubSub(app)

    @wps.on_connect
    def connect(request: ConnectEventRequest, user_id: str | None) -> Any:
        if user_id == "mallory":
            return EventErrorResponse("unauthorized", "Not you.")
        return request.create_response(user_id=user_id or "guest")

    @wps.on_connected
    def connected() -> None:
        pass

    @wps.on_message
    def message(request: UserEventRequest, states: dict[str, Any], user_id: str, data: Any) -> Any:
        count = states.get("count", 0) + 1
        response = request.create_response(f"{count} {user_id}: {data}")
        response.set_state("count", count)
        return response

    @wps.on_user_event("echo")
    def echo(data: Any, data_type: str) -> Any:
        return {"data": data, "dataType": data_type}

    @wps.on_user_event("broken")
    def broken() -> None:
        raise ZeroDivisionError

    @wps.on_disconnected
    def disconnected() -> None:
        pass

    return app


def make_sample_app(connection_string: str) -> Flask:
    """The chat sample of Azure/azure-webpubsub for Flask, on the extension: each message goes to everybody by REST."""
    app = _make_app(connection_string)
    wps = WebPubSub(app)

    def service_client() -> WebPubSubServiceClient:
        return WebPubSubServiceClient.from_connection_string(
            current_app.config["WEBPUBSUB_CONNECTION_STRING"], hub="chat"
        )

    @app.get("/negotiate")
    def negotiate() -> Any:
        token = service_client().get_client_access_token(user_id=request.args["id"])
        return {"url": token["url"]}, 200

    @wps.on_connected
    def connected(user_id: str) -> None:
        service_client().send_to_all(f"[SYSTEM] {user_id} joined.", content_type="text/plain")

    @wps.on_message
    def message(user_id: str, data: str) -> None:
        # While the service waits for the answer, it is asked to send: nothing may be locked.
        service_client().send_to_all(f"[{user_id}] {data}", content_type="text/plain")

    return app


def make_handwritten_app(connection_string: str) -> Flask:
    """A receiver without the extension, as the tutorials write one by hand, at ``/eventhandler``."""
    app = Flask("handwritten")
    access = parse_connection_string(connection_string)
    key = access.key or b""

    @app.route("/eventhandler", methods=["OPTIONS", "POST"])
    def handle() -> Any:
        if request.method == "OPTIONS":
            origin = request.headers["WebHook-Request-Origin"]
            return Response(status=200, headers={"WebHook-Allowed-Origin": origin if origin == access.host else ""})
        connection_id = request.headers["ce-connectionId"]
        signature = "sha256=" + hmac.new(key, connection_id.encode(), hashlib.sha256).hexdigest()
        if signature not in request.headers["ce-signature"].split(","):
            return Response(status=401)
        match request.headers["ce-type"]:
            case "azure.webpubsub.sys.connected":
                return f"{request.headers['ce-userId']} connected", 200
            case "azure.webpubsub.user.message":
                service = WebPubSubServiceClient.from_connection_string(connection_string, hub="chat")
                service.send_to_all({"from": request.headers["ce-userId"], "message": request.get_data(as_text=True)})
                return Response(status=204)
            case "azure.webpubsub.sys.connect" | "azure.webpubsub.sys.disconnected":
                return Response(status=204)
        return Response(status=404)

    return app
