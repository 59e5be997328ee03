"""What can be made to go wrong, with a service, an app and clients that are real."""

from __future__ import annotations

import time

import aiohttp
import pytest

from flask_webpubsub import EventErrorResponse
from flask_webpubsub.emulator import RunningEmulator
from flask_webpubsub.emulator.faults import Faults
from tests.emulator.parts import in_loop


def make() -> Faults:
    return Faults(lambda connection_id: connection_id == "here")


def test_faults_wear_off() -> None:
    faults = make()
    faults.fail(503, times=2)
    faults.delay(1.5)
    faults.refuse(429)
    assert [faults.take_failure("a") for _ in range(3)] == [503, 503, None]
    assert [faults.take_delay("a") for _ in range(2)] == [1.5, 0]
    assert [faults.take_refusal() for _ in range(2)] == [429, None]


def test_a_fault_may_be_for_one_event_alone() -> None:
    faults = make()
    faults.fail(500, "message")
    faults.fail(501, "typing")
    assert [faults.take_failure(name) for name in ("typing", "typing", "message", "connect")] == [501, None, 500, None]


def test_faults_without_end_last_until_they_are_cleared() -> None:
    faults = make()
    faults.fail(times=None)
    faults.delay(1, times=None)
    faults.refuse(times=None)
    for _ in range(3):
        assert (faults.take_failure("a"), faults.take_delay("a"), faults.take_refusal()) == (500, 1, 503)
    faults.clear()
    assert (faults.take_failure("a"), faults.take_delay("a"), faults.take_refusal()) == (None, 0, None)


def test_a_fault_for_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="times"):
        make().fail(times=0)


def test_cutting_a_connection_that_is_not_there_is_an_error() -> None:
    make().cut("here")
    with pytest.raises(LookupError, match="'there'"):
        make().cut("there")


@in_loop
async def test_a_cut_client_gets_no_close_frame_and_the_app_is_told(service: RunningEmulator) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(service.client_url(user_id="alice")) as client:
        connection_id = service.events.wait_for("connected").connection_id
        service.faults.cut(connection_id)
        received = await client.receive()
        assert received.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
        assert client.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
    assert service.events.wait_for("disconnected").connection_id == connection_id
    with pytest.raises(LookupError):
        service.faults.cut(connection_id)


@in_loop
async def test_a_refused_client_gets_the_status_and_the_next_one_is_let_in(service: RunningEmulator) -> None:
    service.faults.refuse(429)
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(service.client_url(user_id="alice"))
        assert refused.value.status == 429
        assert len(service.events) == 0
        async with http.ws_connect(service.client_url(user_id="alice")) as client:
            await client.send_str("hi")
            assert await client.receive_str() == "1 alice: hi"


@in_loop
async def test_a_failed_message_closes_a_raw_client(service: RunningEmulator) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(service.client_url(user_id="alice")) as client:
        service.faults.fail(503, "message")
        await client.send_str("hi")
        await client.receive()
        assert client.close_code == 1011
    (failed,) = service.events.named("message")
    assert (failed.status, failed.response) == (503, EventErrorResponse(503, ""))


@in_loop
async def test_a_delayed_message_is_answered_later(service: RunningEmulator) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(service.client_url(user_id="alice")) as client:
        service.faults.delay(0.2, "message")
        begin = time.monotonic()
        await client.send_str("hi")
        assert await client.receive_str() == "1 alice: hi"
        assert time.monotonic() - begin >= 0.2
