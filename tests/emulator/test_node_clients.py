"""Clients for Node.js that nobody here wrote: npm's ws, and the official client SDK with both its protocols."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from flask import Flask, current_app

from flask_webpubsub import ConnectEventRequest, EventErrorResponse, UserEventRequest, WebPubSub
from flask_webpubsub.emulator import Emulator, Options, RunningEmulator
from flask_webpubsub.emulator.faults import Faults
from tests.emulator.node_tools import run_node

ROLES = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]


class Stage:
    """An app that does to the emulator what its clients ask for."""

    def __init__(self) -> None:
        self.faults: Faults | None = None

    def make_app(self, connection_string: str) -> Flask:
        app = Flask("stage")
        app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=connection_string, WEBPUBSUB_HUB="chat")
        wps = WebPubSub(app)

        @wps.on_connect
        def connect(request: ConnectEventRequest, user_id: str) -> Any:
            if user_id == "mallory":
                return EventErrorResponse("unauthorized", "Not you.")
            custom = [name for name in request.subprotocols if not name.startswith("json.")]
            return request.create_response(subprotocol=custom[-1]) if custom else None

        @wps.on_message
        def message(request: UserEventRequest, data: Any, connection_id: str) -> Any:
            if data == "break":
                raise ZeroDivisionError
            if data == "close me":
                close(connection_id)
                return None
            return request.create_response(data, request.data_type)

        @wps.on_user_event("echo")
        def echo(request: UserEventRequest) -> Any:
            return request.create_response(request.data, request.data_type)

        @wps.on_user_event("broken")
        def broken() -> None:
            raise ZeroDivisionError

        @wps.on_user_event("cut")
        def cut(data: str) -> None:
            assert self.faults is not None
            self.faults.cut(data)

        @wps.on_user_event("cut-and-refuse")
        def refuse(data: str) -> None:
            assert self.faults is not None
            self.faults.refuse()
            self.faults.cut(data)

        @wps.on_user_event("close")
        def close(data: str) -> None:
            service = WebPubSubServiceClient.from_connection_string(
                current_app.config["WEBPUBSUB_CONNECTION_STRING"], hub="chat"
            )
            service.close_connection(data, reason="bye")

        @wps.on_disconnected
        def disconnected() -> None:
            pass

        return app


@contextmanager
def staged(**options: Any) -> Iterator[RunningEmulator]:
    stage = Stage()
    with Emulator(stage.make_app, options=Options.fast(**options)) as service:
        stage.faults = service.faults
        yield service


def run(script: str, urls: dict[str, str], **values: Any) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(run_node(script, text=json.dumps({"url": urls, **values})))
    return results


def test_raw_frames_by_ws() -> None:
    with staged() as service:
        results = run(
            "raw_client.mjs",
            {
                "alice": service.client_url(user_id="alice"),
                "mallory": service.client_url(user_id="mallory"),
                "speaker": service.client_url(user_id="speaker", roles=["webpubsub.sendToGroup.g"]),
                "member": service.client_url(user_id="member", groups=["g"]),
                "lost": service.client_url(user_id="lost"),
            },
        )
        service.events.wait_for("disconnected", count=8)
        reasons = [event.user_id for event in service.events.named("disconnected")]
    assert results.pop("order") == [str(number) for number in range(50)]
    assert results == {
        "protocol": "",
        "text": {"text": "hä"},
        "binary": {"binary": "00ff"},
        "pieces": {"text": "in pieces"},
        "pong": "are you there",
        "largest": 1024 * 1024,
        "tooLarge": {"code": 1009, "reason": results["tooLarge"]["reason"]},
        "closedByRest": {"code": 1000, "reason": "bye"},
        "broken": {"code": 1011, "reason": results["broken"]["reason"]},
        "subprotocol": "second.v2",
        "subprotocolText": {"text": "ho"},
        "refused": {"status": 401, "body": "Not you."},
        "noToken": {"status": 401, "body": results["noToken"]["body"]},
        "badToken": {"status": 401, "body": results["badToken"]["body"]},
        "badHub": {"status": 400, "body": results["badHub"]["body"]},
        "group": {"text": "to the group"},
        "notAllowed": {"code": 1008, "reason": results["notAllowed"]["reason"]},
    }
    assert reasons.count("lost") == 1


GROUP_MESSAGES = [
    {"group": "g", "from": "alice", "type": "text", "data": "hä"},
    {"group": "g", "from": "alice", "type": "json", "data": {"n": [1, None]}},
    {"group": "g", "from": "alice", "type": "binary", "data": {"hex": "00ff"}},
]
BOTH = {
    "connected": ["alice"],
    "aliceHears": GROUP_MESSAGES,
    "bobHears": [*GROUP_MESSAGES, {"group": "g", "from": "alice", "type": "text", "data": "not to myself"}],
    "bobLeft": [],
    "replies": [
        {"type": "text", "data": "hä"},
        {"type": "json", "data": {"n": 1}},
        {"type": "binary", "data": {"hex": "00ff"}},
    ],
    "fired": [{"type": "text", "data": "fire"}],
    "broken": "InternalServerError",
    "unhandled": "InternalServerError",
    "forbiddenJoin": "Forbidden",
    "forbiddenSend": "Forbidden",
    "duplicated": [False, True],
    "once": ["once"],
    "closedByRest": "bye",
    "newConnection": True,
    "rejoinFailed": 0,
}
AFTER_A_CUT: dict[str, dict[str, Any]] = {
    "json": {"cut": {"sameConnection": False, "disconnected": 1}, "rejoined": True},
    "reliable": {
        "cut": {"connected": 0, "disconnected": 0},
        "numbers": list(range(20)),
        "late": {"sameConnection": False, "disconnected": 1},
    },
}


@pytest.mark.parametrize("protocol", ["json", "reliable"])
def test_the_official_client(protocol: str) -> None:
    # The SDK tries to come back after one second: once in time, and once not.
    with staged(recovery_seconds=0.8) as service:
        results = run(
            "client_sdk.mjs",
            {
                "alice": service.client_url(user_id="alice", roles=ROLES),
                "bob": service.client_url(user_id="bob", roles=ROLES),
                "carol": service.client_url(user_id="carol"),
            },
            protocol=protocol,
        )
        events = service.events.named("connect")
    assert results == BOTH | AFTER_A_CUT[protocol]
    # Alice came three times: what was recovered was no new connection.
    assert [event.user_id for event in events].count("alice") == 3
