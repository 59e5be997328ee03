"""An app on the official library for Express: what it takes for Azure's events are the emulator's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest

from flask_webpubsub import ConnectEventResponse, EventErrorResponse, UserEventResponse
from flask_webpubsub.emulator import Emulator, EventHandler, RunningEmulator
from tests.emulator.node_tools import FOLDER, node_command
from tests.emulator.parts import in_loop
from tests.emulator.processes import Program, run_program

JSON = "json.webpubsub.azure.v1"


@contextmanager
def express(allowed: str = "http://localhost") -> Iterator[tuple[Program, RunningEmulator]]:
    with run_program(node_command("express_app.mjs", allowed), cwd=FOLDER) as program:
        port = program.wait_for(r"listening at (\d+)")[1]
        handler = EventHandler(
            url_template=f"http://127.0.0.1:{port}/api/webpubsub/hubs/{{hub}}/",
            system_events=("connect", "connected", "disconnected"),
        )
        with Emulator(handlers=[handler]) as service:
            yield program, service


def told(program: Program, event_name: str) -> Any:
    return json.loads(program.wait_for(rf'\{{"eventName":"{event_name}".*\}}')[0])


@in_loop
async def test_a_conversation() -> None:
    with express() as (program, service):
        url = service.client_url("chat", user_id="Zoe") + "&room=1"
        async with aiohttp.ClientSession() as http, http.ws_connect(url, protocols=[JSON]) as client:
            assert client.protocol == JSON
            connected = await client.receive_json()
            assert (connected["event"], connected["userId"]) == ("connected", "Dr Zoe")
            states = {"query": {"room": ["1"]}}
            assert told(program, "connected")["userId"] == "Dr Zoe"
            for number, text in enumerate(("hi", "ho"), start=1):
                await client.send_json(
                    {"type": "event", "event": "e", "ackId": number, "dataType": "text", "data": text}
                )
                message, ack = await client.receive_json(), await client.receive_json()
                assert message["data"].endswith(f" {number}: {text}")
                assert ack == {"type": "ack", "ackId": number, "success": True}
            await client.send_json({"type": "event", "event": "e", "ackId": 3, "data": {"a": [1]}})
            assert (await client.receive_json())["data"] == {"got": {"a": [1]}}
            assert (await client.receive_json())["success"]
            await client.send_json({"type": "event", "event": "broken", "ackId": 4, "dataType": "text", "data": ""})
            assert not (await client.receive_json())["success"]
        gone = told(program, "disconnected")
        assert gone["states"] == {**states, "count": 3}
        connect = service.events.wait_for("connect")
        assert connect.response == ConnectEventResponse(user_id="Dr Zoe", groups=["g"], subprotocol=JSON, states=states)
        first = service.events.named("e")[0]
        assert isinstance(first.response, UserEventResponse)
        assert first.response.states == {**states, "count": 1}
        assert service.events.named("broken")[0].response == EventErrorResponse(500, "No.")


@in_loop
async def test_a_client_that_the_app_refuses() -> None:
    with express() as (_, service):
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(service.client_url("chat", user_id="mallory"))
            assert refused.value.status == 401
        assert service.events[0].response == EventErrorResponse("unauthorized", "Not you.")


@in_loop
async def test_an_app_of_another_service_gets_no_events() -> None:
    # The library names the port too, which is no part of what a service calls itself.
    with express("http://localhost:7080") as (_, service):
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(service.client_url("chat", user_id="alice"))
            assert refused.value.status == 500
        assert "'other.example', 'localhost:7080' alone" in (service.events[0].error or "")
