"""Many clients at once: every event answered, in order, and nothing kept of clients that left."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from flask_webpubsub.emulator import Emulator, Options, RunningEmulator
from flask_webpubsub.emulator.hub import Connection
from flask_webpubsub.emulator.websocket import WebSocket
from tests.emulator.chat_apps import make_chat_app

CLIENTS = 500
EVENTS = 20


def test_five_hundred_clients_get_every_answer_in_order_and_leave_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    # With more time than a small machine needs for all of them at once.
    with Emulator(make_chat_app, options=Options.fast(event_seconds=60.0)) as service:
        seconds = _play(service, EVENTS)
        after_first = _memory()
        _play(service, 1)
        after_second = _memory()
        assert len(service.events) == 0
        _wait_until_all_are_gone()

    # What the first round needed serves the second one.
    assert after_second - after_first < 30
    with capsys.disabled():
        sys.stdout.write(
            f"\n{CLIENTS} clients with {EVENTS} events each: {CLIENTS * EVENTS / seconds:.0f} events/s, "
            f"{after_first:.0f} MiB once they have left, {after_second:.0f} MiB after {CLIENTS} more\n"
        )


def _play(service: RunningEmulator, events: int) -> float:
    """Connect all clients, let each send its events and check the answers; gives the seconds that the events took."""
    seconds = asyncio.run(_play_all(service, events))
    service.events.wait_for("disconnected", count=CLIENTS, timeout=60.0)
    assert len(service.events.named("message")) == CLIENTS * events
    assert [event for event in service.events if event.error is not None] == []
    service.events.clear()
    gc.collect()
    return seconds


async def _play_all(service: RunningEmulator, events: int) -> float:
    async with ClientSession(connector=TCPConnector(limit=0)) as session:
        urls = [service.client_url("chat", user_id=f"user{number}") for number in range(CLIENTS)]
        gate = asyncio.Semaphore(50)  # as many as knock at the door at once

        async def connect(url: str):  # type: ignore[no-untyped-def]
            async with gate:
                return await session.ws_connect(url)

        sockets = await asyncio.gather(*(connect(url) for url in urls))
        begin = time.perf_counter()

        async def talk(number: int) -> None:
            socket = sockets[number]
            for event in range(events):
                await socket.send_str(f"m{event}")
            answers = [await socket.receive_str(timeout=60.0) for _ in range(events)]
            assert answers == [f"{event + 1} user{number}: m{event}" for event in range(events)]

        await asyncio.gather(*(talk(number) for number in range(CLIENTS)))
        seconds = time.perf_counter() - begin
        await asyncio.gather(*(socket.close() for socket in sockets))
        return seconds


def _wait_until_all_are_gone() -> None:
    """Wait for the last sockets to be closed; what is still there after a while is kept by somebody."""
    deadline = time.monotonic() + 20.0
    while (left_over := _count_left_over()) > 0:
        assert time.monotonic() < deadline, f"{left_over} connections and sockets are left over."
        time.sleep(0.2)


def _count_left_over() -> int:
    # Only counted: a list of them, kept until the next look, would itself be what keeps them.
    gc.collect()
    return sum(isinstance(item, Connection | WebSocket) for item in gc.get_objects())


def _memory() -> float:
    """What the process holds in memory, in MiB; 0 where that can not be told."""
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        return 0.0
    pages = int(statistics.read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
