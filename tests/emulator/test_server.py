"""The service as one server: its paths, the names that it answers to, and its end."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import pytest
from azure.messaging.webpubsubservice import WebPubSubServiceClient

from flask_webpubsub import UserEventResponse
from flask_webpubsub.emulator import Emulator, EventHandler, Options, RunningEmulator
from flask_webpubsub.emulator.control import SETTINGS_PATH, send_wiring
from flask_webpubsub.emulator.server import Service
from flask_webpubsub.emulator.thread import ServiceThread, bind_host, listen
from flask_webpubsub.emulator.wiring import Identity, Wiring
from flask_webpubsub.signature import sign_connection
from flask_webpubsub.wire_json import read_json, write_json
from tests.emulator.chat_apps import make_chat_app
from tests.emulator.parts import in_loop
from tests.emulator.receivers import Receiver, Reply

NO_HEADERS: Mapping[str, str] = {}


class Answer(NamedTuple):
    status: int
    body: bytes


def call(
    service: RunningEmulator, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = NO_HEADERS
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(service.url).port or 0, timeout=10)
    try:
        connection.request(method, path, body, {**headers})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.8.9.1:1", "[::1]:7080", "a.localhost"])
def test_this_machine_may_be_called_by_its_names(service: RunningEmulator, host: str) -> None:
    assert call(service, "HEAD", "/api/health", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7080", "localhost.evil.example", "10.0.0.1", "", "[::1", "@"]
)
@pytest.mark.parametrize("path", ["/", "/api/health", "/client/hubs/chat", "/emulator/hubs"])
def test_a_foreign_name_is_refused_everywhere(service: RunningEmulator, host: str, path: str) -> None:
    # A page of evil.example could else talk to the emulator, once its name means 127.0.0.1.
    assert call(service, "GET", path, headers={"Host": host}).status in (400, 403)


def test_whoever_looks_at_it_learns_what_it_is(service: RunningEmulator) -> None:
    answer = call(service, "GET", "/")
    assert answer.status == 200
    assert b"emulator" in answer.body


def test_a_path_that_is_nothing_is_a_404(service: RunningEmulator) -> None:
    assert call(service, "GET", "/nothing").status == 404


@in_loop
async def test_who_is_connected_can_be_looked_at(service: RunningEmulator) -> None:
    url = service.client_url(user_id="alice", groups=["b", "a"])
    async with aiohttp.ClientSession() as session, session.ws_connect(url):
        connection_id = service.events.wait_for("connected").connection_id
        assert read_json(call(service, "GET", "/emulator/hubs").body) == {
            "chat": [{"connectionId": connection_id, "userId": "alice", "groups": ["a", "b"]}]
        }


# The event handlers, set anew.


def test_an_app_can_set_its_event_handlers_anew(service: RunningEmulator, receiver: Receiver) -> None:
    receiver.default = Reply(200, {"Content-Type": "text/plain"}, b"other")
    identity = Identity()
    handlers = [EventHandler(url_template=receiver.url, system_events=())]
    send_wiring(Wiring(identity, "chat", {"chat": handlers}, []), service.url)

    @in_loop
    async def talk() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(service.client_url()) as client:
            await client.send_str("hi")
            assert await client.receive_str() == "other"

    talk()
    assert [event.event_name for event in service.events] == ["message"]
    assert service.events[0].response == UserEventResponse("other")


def _sign(body: bytes, service: RunningEmulator) -> str:
    key = service.connection_string.split("AccessKey=")[1].partition(";")[0]
    return sign_connection(body.decode(errors="replace"), [key.encode()])


def test_event_handlers_are_set_by_who_has_the_key_alone(service: RunningEmulator) -> None:
    body = write_json({"hubs": {}, "defaultHub": []})
    assert call(service, "PUT", SETTINGS_PATH, body).status == 401
    assert call(service, "PUT", SETTINGS_PATH, body, {"ce-signature": _sign(b"other", service)}).status == 401
    assert call(service, "PUT", SETTINGS_PATH, body, {"ce-signature": _sign(body, service)}).status == 204


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"hubs": [], "defaultHub": []}',
        b'{"hubs": {}, "defaultHub": [{}]}',
        b'{"hubs": {}, "defaultHub": [{"urlTemplate": "ftp://x", "userEvents": "", "systemEvents": []}]}',
        b'{"hubs": {}, "defaultHub": [{"urlTemplate": 1, "userEvents": "", "systemEvents": []}]}',
        b'{"hubs": {}, "defaultHub": [{"urlTemplate": "http://a", "userEvents": 1, "systemEvents": []}]}',
        b'{"hubs": {}, "defaultHub": [{"urlTemplate": "http://a", "userEvents": "", "systemEvents": [1]}]}',
    ],
)
def test_settings_of_another_shape_are_refused(service: RunningEmulator, body: bytes) -> None:
    assert call(service, "PUT", SETTINGS_PATH, body, {"ce-signature": _sign(body, service)}).status == 400


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "127.0.0.1"),
        ("chat.localhost", "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2"),
        ("::1", "::1"),
        ("0.0.0.0", "127.0.0.1"),
        ("emulator", "127.0.0.1"),
    ],
)
def test_other_machines_never_reach_it_by_default(host: str, address: str) -> None:
    assert bind_host(host) == address


# The end.


@in_loop
async def test_a_stop_closes_the_clients() -> None:
    async with aiohttp.ClientSession() as session:
        with Emulator(make_chat_app) as service:
            client = await session.ws_connect(service.client_url())
            other = await session.ws_connect(service.client_url())
            # In another thread, for the clients take part in the closing.
            stopping = asyncio.create_task(asyncio.to_thread(service.stop))
            for each in (client, other):
                assert (await each.receive()).type is aiohttp.WSMsgType.CLOSE
                assert each.close_code == 1001
            await stopping


@in_loop
async def test_a_stop_does_not_wait_for_an_app_that_hangs(receiver: Receiver) -> None:
    called, released = threading.Event(), threading.Event()

    def hang() -> None:
        called.set()
        released.wait(20)

    receiver.default = Reply(204, before=hang)
    try:
        async with aiohttp.ClientSession() as session:
            with Emulator(handlers=[EventHandler(url_template=receiver.url, system_events=())]) as service:
                client = await session.ws_connect(service.client_url("chat"))
                await client.send_str("hi")
                await asyncio.to_thread(called.wait, 10)
                begin = time.monotonic()
            assert time.monotonic() - begin < 5
    finally:
        released.set()


def test_after_the_end_nothing_listens(service: RunningEmulator) -> None:
    service.stop()
    with pytest.raises(ConnectionRefusedError):
        call(service, "GET", "/")


def test_what_keeps_it_from_starting_is_raised_where_it_is_started() -> None:
    listener = listen("127.0.0.1", 0)
    listener.close()
    with pytest.raises(OSError, match=r"Bad file descriptor|Invalid argument"):
        ServiceThread(Service(Options.fast(), Identity()), listener).start()


def test_rest_and_clients_share_one_port(service: RunningEmulator) -> None:
    rest = WebPubSubServiceClient.from_connection_string(service.connection_string, hub="chat")

    @in_loop
    async def talk() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(service.client_url()) as client:
            service.events.wait_for("connected")
            await asyncio.to_thread(rest.send_to_all, "hello", content_type="text/plain")
            assert await client.receive_str() == "hello"

    talk()
