"""The official Python SDK for services, with and without ``async``: every operation, with its exact result."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.messaging.webpubsubservice import GroupMember, WebPubSubServiceClient
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient as AsyncServiceClient
from flask import Flask

from flask_webpubsub import UserEventResponse, WebPubSub
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.emulator import Emulator
from tests.emulator.service_sdk_cases import HUB, Cases, Client, Step, World

#: What is no operation of the service.
NO_OPERATIONS = {"close", "from_connection_string", "send_request"}


def run_sync(connection_string: str, steps: Sequence[Step]) -> list[Any]:
    with WebPubSubServiceClient.from_connection_string(connection_string, HUB, retry_total=0) as client:

        def take(step: Step) -> Any:
            try:
                result = getattr(client, step.name)(**step.arguments)
                return [_show(member) for member in result] if step.name == "list_connections" else result
            except HttpResponseError as error:
                return _show_error(error)

        return [take(step) for step in steps]


def run_async(connection_string: str, steps: Sequence[Step]) -> list[Any]:
    async def run() -> list[Any]:
        async with AsyncServiceClient.from_connection_string(connection_string, HUB, retry_total=0) as client:

            async def take(step: Step) -> Any:
                try:
                    result = getattr(client, step.name)(**step.arguments)
                    if step.name == "list_connections":
                        return [_show(member) async for member in result]
                    return await result
                except HttpResponseError as error:
                    return _show_error(error)

            return [await take(step) for step in steps]

    return asyncio.run(run())


def _show(member: GroupMember) -> list[str | None]:
    return [member.connection_id, member.user_id]


def _show_error(error: HttpResponseError) -> dict[str, Any]:
    response: Any = error.response
    code = response.headers["x-ms-error-code"]
    # What it shows to a person is the body's.
    assert response.request.method == "HEAD" or f"({code}) " in str(error)
    return {"status": error.status_code, "code": code}


class TestSync(Cases):
    run = staticmethod(run_sync)


class TestAsync(Cases):
    run = staticmethod(run_async)


def test_every_public_operation_is_tried() -> None:
    tried: set[str] = set()

    def note(connection_string: str, steps: Sequence[Step]) -> list[Any]:
        tried.update(step.name for step in steps)
        return run_sync(connection_string, steps)

    for name in [name for name in dir(Cases) if name.startswith("test_")]:
        case = type("Noting", (Cases,), {"run": staticmethod(note)})()
        with Emulator() as service, ExitStack() as stack:
            getattr(case, name)(World(service, note, stack))
    for client in (WebPubSubServiceClient, AsyncServiceClient):
        assert tried == {name for name in dir(client) if not name.startswith("_")} - NO_OPERATIONS


def test_a_stream_is_sent() -> None:
    with Emulator() as service:
        client = Client(service.client_url(HUB))
        step = {"message": io.BytesIO(b"hi"), "content_type": "application/octet-stream"}
        assert run_sync(service.connection_string, [Step("send_to_all", step)]) == [None]
        assert client.receive()["data"] == "aGk="
        client.close()


def test_one_client_serves_many_threads() -> None:
    app = Flask("app")
    app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=DEVELOPMENT_CONNECTION_STRING, WEBPUBSUB_HUB=HUB)
    wps = WebPubSub(app)

    def send(number: int) -> None:
        wps.service_client().send_to_all(str(number), content_type="text/plain")

    with Emulator(app) as service:
        client = Client(service.client_url())
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(send, range(200)))
        send(200)
        received = [int(data) for *_, data in client.receive_until("200")]
        client.close()
    assert sorted(received) == list(range(200))


def test_a_handler_reaches_clients_while_the_service_waits_for_it() -> None:
    def create_app(connection_string: str) -> Flask:
        app = Flask("app")
        app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=connection_string, WEBPUBSUB_HUB=HUB)
        wps = WebPubSub(app)

        @wps.on_user_event("say")
        def say(data: str, user_id: str) -> UserEventResponse:
            wps.service_client().send_to_all(f"{user_id}: {data}", content_type="text/plain")
            return UserEventResponse("said")

        return app

    with Emulator(create_app) as service:
        client = Client(service.client_url(user_id="alice"))
        assert client.ask(type="event", event="say", data="hi", dataType="text")
        client.close()
        assert service.events.wait_for("say").response == UserEventResponse("said", data_type="text")
