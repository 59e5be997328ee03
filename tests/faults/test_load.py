"""Many events through several workers: every answer right, in order, and nothing kept of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from math import ceil

import pytest

from tests.conftest import CONNECTION_STRING
from tests.faults.service import Conversation, booted_workers, play, resident_bytes, timed
from tests.servers import Server, serve

CLIENTS = 200
WORKERS = 4
#: How many each client sends: with ``make load`` more than in the ordinary tests.
EVENTS = ceil(int(os.environ.get("WEBPUBSUB_LOAD_EVENTS", "2000")) / CLIENTS)
#: How much a worker may grow once it is warm: of 100,000 events on 4 workers, less than 84 bytes for each.
GROWTH_LIMIT = 2 * 1024 * 1024

ENVIRONMENT = {
    "FLASK_WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING,
    "FLASK_WEBPUBSUB_HUB": "chat",
    # A connection that is closed because no event comes for a while would count as a broken one.
    "GUNICORN_CMD_ARGS": "--threads=8 --keep-alive=60",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve("gunicorn-gthread", "tests.scenarios.served_app:app", workers=WORKERS, env=ENVIRONMENT) as running:
        yield running


def test_every_event_is_answered_once_and_in_order_and_the_workers_do_not_grow(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    warm_up = play(server, "worker", clients=CLIENTS, events=5)
    workers = booted_workers(server)
    assert sorted(workers) == sorted(pids(warm_up))
    before = [resident_bytes(pid) for pid in workers]
    with timed() as seconds:
        conversations = play(server, "worker", clients=CLIENTS, events=EVENTS)
    growth = [resident_bytes(pid) - size for pid, size in zip(workers, before, strict=True)]

    assert [counts(conversation) for conversation in conversations] == [list(range(1, EVENTS + 1))] * CLIENTS
    assert [conversation.retries for conversation in conversations] == [0] * CLIENTS
    # The states make that no matter: a client's events go to one worker and another.
    assert max(len(pids([conversation])) for conversation in conversations) > 1
    assert pids(conversations) == set(workers)
    assert max(growth) <= GROWTH_LIMIT
    with capsys.disabled():
        sys.stdout.write(
            f"\n{CLIENTS * EVENTS} events of {CLIENTS} clients: {CLIENTS * EVENTS / seconds[0]:.0f} events/s; "
            f"{WORKERS} workers of {max(before) / 2**20:.1f} MiB at most grew by {max(growth) / 1024:.0f} KiB at most\n"
        )


def counts(conversation: Conversation) -> list[int]:
    return [answer["count"] for answer in conversation.answers]


def pids(conversations: list[Conversation]) -> set[int]:
    """The workers that answered."""
    return {answer["pid"] for conversation in conversations for answer in conversation.answers}
