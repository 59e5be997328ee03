"""Workers that are killed under load, again and again: the retries of the service bring every event home."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, count, pairwise
from pathlib import Path

import pytest

from tests.faults.service import Conversation, booted_workers, play, timed
from tests.faults.test_load import CLIENTS, ENVIRONMENT, EVENTS, WORKERS, counts
from tests.redis_server import RedisServer, run_redis
from tests.servers import Server, serve

#: The seconds before the first kills, once a tenth of the events is answered. Later ones come at no regular time, as
#: retries have one. They are seldom: an event whose worker is killed each time that the service sends it is lost.
KILL_SECONDS = (0.0, 0.4, 0.4)
LATER_KILL_SECONDS = (2.0, 6.0)
#: The share of events whose answer is lost on its way, so that an event comes again whose worker lives.
LOST = 0.01


@contextmanager
def killing(server: Server) -> Iterator[list[int]]:
    """Kill one of the workers now and then, until the block ends; gives a list of those that were killed."""
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while server.log.count('"POST ') < CLIENTS * EVENTS / 10 and not ended.wait(0.05):
            pass
        later = (random.uniform(*LATER_KILL_SECONDS) for _ in count())
        for seconds in chain(KILL_SECONDS, later):
            if ended.wait(seconds):
                return
            worker = random.choice([pid for pid in booted_workers(server) if pid not in killed])
            killed.append(worker)
            os.kill(worker, signal.SIGKILL)

    with ThreadPoolExecutor() as threads:
        killer = threads.submit(kill)
        try:
            yield killed
        finally:
            ended.set()
            killer.result()


def play_and_kill(server: Server, event_name: str, lost: float = 0.0) -> tuple[list[Conversation], list[int], float]:
    """What each client was told, which workers were killed, and how many seconds it took."""
    with killing(server) as killed, timed() as seconds:
        conversations = play(server, event_name, clients=CLIENTS, events=EVENTS, lost=lost)
    # Else this would show nothing.
    assert len(killed) >= len(KILL_SECONDS)
    assert sum(conversation.retries for conversation in conversations) > 0
    return conversations, killed, seconds[0]


def report(capsys: pytest.CaptureFixture[str], played: tuple[list[Conversation], list[int], float], more: str) -> None:
    conversations, killed, seconds = played
    with capsys.disabled():
        retries = sum(conversation.retries for conversation in conversations)
        sys.stdout.write(
            f"\n{CLIENTS * EVENTS} events in {seconds:.0f} s, {len(killed)} kills, {retries} retries{more}\n"
        )


def test_every_event_comes_home_in_order_although_workers_are_killed(capsys: pytest.CaptureFixture[str]) -> None:
    app = "tests.scenarios.served_app:app"
    with serve("gunicorn-gthread", app, workers=WORKERS, env=ENVIRONMENT) as server:
        played = play_and_kill(server, "worker")
    assert [counts(conversation) for conversation in played[0]] == [list(range(1, EVENTS + 1))] * CLIENTS
    report(capsys, played, "")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with run_redis(tmp_path) as running:
        yield running


def test_a_handler_runs_once_for_each_event_but_for_those_whose_worker_was_killed(
    redis: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {**ENVIRONMENT, "FLASK_WEBPUBSUB_ONCE_STORE": redis.url}
    with serve("gunicorn-gthread", "tests.faults.recording_app:app", workers=WORKERS, env=environment) as server:
        played = play_and_kill(server, "count", LOST)
    conversations, killed, _ = played
    assert [counts(conversation) for conversation in conversations] == [list(range(1, EVENTS + 1))] * CLIENTS
    cut_off = 0
    for conversation in conversations:
        runs = runs_of(redis, conversation)
        # In order, and none left out: the next event began when the one before was answered.
        assert [first for first, then in pairwise(runs) if not 0 <= then[0] - first[0] <= 1] == []
        # Whoever ran an event that ran again was killed meanwhile, and no answer of theirs was ever seen.
        again = [pid for (event_id, pid), (next_id, _) in pairwise(runs) if event_id == next_id]
        assert set(again) <= set(killed)
        cut_off += len(again)
        last = dict(runs)
        assert [answer["pid"] for answer in conversation.answers] == [last[event_id] for event_id in sorted(last)]
    report(capsys, played, f", {cut_off} runs of a handler that a kill cut off")


def runs_of(redis: RedisServer, conversation: Conversation) -> list[tuple[int, int]]:
    """Each run of the handler for a client: the number of the event, and the worker."""
    lines = redis.client.lrange(f"runs of {conversation.connection_id}", 0, -1)
    return [(int(event_id), int(pid)) for event_id, pid in (line.split() for line in lines)]
