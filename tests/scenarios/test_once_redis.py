"""Events that are handled once by the workers of a real server, with a real Redis server between them."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

import cachelib
import pytest
from flask import Flask

from flask_webpubsub import EventStillRunningError, WebPubSub
from flask_webpubsub.messages import Answer
from flask_webpubsub.once import Once
from flask_webpubsub.once.leases import LEASE_SECONDS
from flask_webpubsub.once.redis_store import RedisStore, make_redis_store
from flask_webpubsub.once.store import Store
from flask_webpubsub.testing import WebPubSubTestClient
from sample_app.over_http import forward_to
from tests.conftest import CONNECTION_STRING
from tests.redis_server import RedisServer, run_redis
from tests.servers import Server, serve
from tests.test_once import make_app, make_context, make_delivery, post

APP = "tests.scenarios.once_app:app"
WORKERS = 4
RETRIES = 100
PATIENCE = 30


@pytest.fixture(scope="module")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with run_redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture
def redis(running_redis: RedisServer) -> RedisServer:
    running_redis.client.flushall()
    return running_redis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may stop."""
    with run_redis(tmp_path) as redis:
        yield redis


def make_store(redis: RedisServer) -> RedisStore:
    store = make_redis_store(redis.url)
    assert store is not None
    return store


# Four workers.


@pytest.fixture
def server(redis: RedisServer) -> Iterator[Server]:
    environment = {
        "FLASK_WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING,
        "FLASK_WEBPUBSUB_HUB": "chat",
        "FLASK_WEBPUBSUB_ONCE_STORE": redis.url,
    }
    with serve("gunicorn-sync", APP, workers=WORKERS, env=environment) as running:
        yield running


def deliver(server: Server, text: str = "order", **changes: Any) -> Answer:
    client = WebPubSubTestClient(forward_to(server.host, server.port), connection_string=CONNECTION_STRING, hub="chat")
    return client.call("POST", make_delivery(text, **changes))


def worker_of_first_run(redis: RedisServer) -> int:
    """The process that runs the event, as soon as it does."""
    found = redis.client.blpop(["workers"], PATIENCE)
    assert found is not None
    return int(found[1])


def runs(redis: RedisServer) -> int:
    return int(redis.client.get("runs") or 0)


def test_a_hundred_retries_at_the_same_time_run_the_handler_once(server: Server, redis: RedisServer) -> None:
    with ThreadPoolExecutor(RETRIES) as pool:
        first = pool.submit(deliver, server)
        worker_of_first_run(redis)
        # The first one is held until all others have been answered.
        retries = list(pool.map(lambda _: deliver(server), range(RETRIES)))
        redis.client.rpush("go", "on")
        answer = first.result()
        again = list(pool.map(lambda _: deliver(server), range(RETRIES)))
    assert Counter(retry.status for retry in retries) == {503: RETRIES}
    assert (answer.status, answer.body) == (200, b"order: 1")
    assert {retry.body for retry in again} == {b"order: 1"}
    assert {retry.header("ce-connectionState") for retry in again} == {answer.header("ce-connectionState")} != {None}
    assert runs(redis) == 1


def test_a_hundred_first_deliveries_at_the_same_time_run_the_handler_once(server: Server, redis: RedisServer) -> None:
    redis.client.rpush("go", "on")  # the handler does not wait
    with ThreadPoolExecutor(RETRIES) as pool:
        answers = list(pool.map(lambda _: deliver(server), range(RETRIES)))
    assert {(answer.status, answer.body) for answer in answers} <= {(200, b"order: 1"), (503, b"Service Unavailable")}
    assert deliver(server).body == b"order: 1"
    assert runs(redis) == 1


def test_the_event_of_a_killed_worker_comes_home_with_a_retry(server: Server, redis: RedisServer) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(deliver, server)
        os.kill(worker_of_first_run(redis), signal.SIGKILL)
        killed = time.monotonic()
        with pytest.raises((HTTPException, ConnectionError)):
            first.result(PATIENCE)
    # As the service does it, but more often: the mark of the dead worker stands for a while.
    answer = deliver(server)
    refused = 0
    while answer.status == 503 and time.monotonic() < killed + PATIENCE:
        refused += 1
        time.sleep(0.1)
        answer = deliver(server)
    seconds = time.monotonic() - killed
    assert (answer.status, answer.body, refused > 0) == (200, b"order: 2", True)
    assert seconds < LEASE_SECONDS + 1  # and so before the service has tried for the last time
    assert deliver(server) == deliver(server)
    assert runs(redis) == 2


def test_a_long_event_stays_its_workers_own(server: Server, redis: RedisServer) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(deliver, server)
        worker_of_first_run(redis)
        begin = time.monotonic()
        statuses = set()
        while time.monotonic() < begin + LEASE_SECONDS * 1.5:  # nothing can be awaited: nothing is to happen
            statuses.add(deliver(server).status)
            time.sleep(0.2)
        redis.client.rpush("go", "on")
        assert first.result().status == 200
    assert statuses == {503}
    assert runs(redis) == 1


# What is in the store.


def test_the_store_holds_json_that_ends_and_nothing_of_the_event_but_its_answer(
    redis: RedisServer,
) -> None:
    app = make_app(WEBPUBSUB_ONCE_STORE=redis.url, WEBPUBSUB_ONCE_SECONDS=300)
    held: list[Any] = []

    @WebPubSub(app).on_message(once=True)
    def message() -> bytes:
        held.extend(stored_values(redis))
        return b"\x00\xff"

    post(app, make_delivery("a secret", connection_id="my-connection", user_id="alice"))
    held += stored_values(redis)
    (_, mark_ttl, mark), (key, ttl, answer) = held
    assert set(mark) == {"running"}
    assert 0 < mark_ttl <= LEASE_SECONDS * 1000
    assert answer == {"status": 200, "headers": [["Content-Type", "application/octet-stream"]], "body": "AP8="}
    assert 290_000 < ttl <= 300_000
    prefix, digest = key.rsplit(":", 1)
    assert (prefix, len(digest), len(bytes.fromhex(digest))) == ("webpubsub:once:1", 64, 32)


def keys(redis: RedisServer) -> list[str]:
    return [str(key, "ascii") for key in redis.client.scan_iter()]


def stored_values(redis: RedisServer) -> list[tuple[str, int, Any]]:
    return [(key, redis.client.pttl(key), json.loads(redis.client.get(key) or b"")) for key in keys(redis)]


CACHES: dict[str, Callable[[RedisServer], Any]] = {
    "a URL": lambda redis: redis.url,
    "a cache": lambda redis: cachelib.RedisCache(port=redis.port, key_prefix="app:"),
    "a cache with a function for its prefix": lambda redis: cachelib.RedisCache(
        port=redis.port, key_prefix=lambda: "app:"
    ),
    "a cache around a client that decodes": lambda redis: cachelib.RedisCache(
        type(redis.client)(port=redis.port, decode_responses=True), key_prefix="app:"
    ),
}


@pytest.mark.parametrize("cache", CACHES)
def test_the_store_may_be(cache: str, redis: RedisServer) -> None:
    app = make_app(WEBPUBSUB_ONCE_STORE=CACHES[cache](redis))
    calls: list[Any] = []
    WebPubSub(app).on_message(once=True)(lambda data: calls.append(data))
    assert post(app, make_delivery()) == post(app, make_delivery())
    assert len(calls) == 1
    (key,) = keys(redis)
    assert key.startswith("webpubsub:" if cache == "a URL" else "app:webpubsub:")


def test_two_apps_with_one_store_are_one_to_the_service(redis: RedisServer) -> None:
    calls: list[Any] = []
    for _ in range(2):
        app = make_app(WEBPUBSUB_ONCE_STORE=redis.url)
        WebPubSub(app).on_message(once=True)(lambda data: calls.append(data))
        assert post(app, make_delivery()).status == 204
    assert len(calls) == 1


def test_one_of_many_workers_begins(redis: RedisServer) -> None:
    store = make_store(redis)
    ready = threading.Barrier(32)

    def begin(number: int) -> bytes | None:
        ready.wait()
        return store.begin("event", b"%d" % number, 60)

    with ThreadPoolExecutor(32) as pool:
        held = Counter(pool.map(begin, range(32)))
    assert held.pop(None) == 1
    (winner,) = held
    assert redis.client.get("event") == winner


def test_a_step_of_the_store_touches_nobody_elses_mark(redis: RedisServer) -> None:
    store: Store = make_store(redis)
    assert store.begin("event", b"mine", 60) is None
    store.forget("event", b"theirs")
    assert store.renew("event", b"theirs", 60) is False
    assert store.begin("event", b"theirs", 60) == b"mine"
    assert store.begin("event", b"mine", 60) is None  # asked again, because the answer was lost
    assert store.renew("event", b"mine", 5) is True
    assert 0 < redis.client.pttl("event") <= 5000
    store.forget("event", b"mine")
    assert keys(redis) == []
    assert store.renew("event", b"mine", 5) is True  # it had vanished
    store.keep("event", b"answer", 60)
    assert store.renew("event", b"mine", 5) is False
    store.forget("event", b"mine")
    assert redis.client.get("event") == b"answer"


def test_what_is_kept_ends(redis: RedisServer) -> None:
    store = make_store(redis)
    store.keep("event", b"answer", 0.02)
    deadline = time.monotonic() + PATIENCE
    while store.begin("event", b"mark", 60) is not None:
        assert time.monotonic() < deadline


# A store that fails.


def make_slow_app(redis: RedisServer) -> tuple[Flask, list[Any], threading.Event, threading.Event]:
    app = make_app(WEBPUBSUB_ONCE_STORE=redis.url)
    calls: list[Any] = []
    began, may_end = threading.Event(), threading.Event()

    @WebPubSub(app).on_message(once=True)
    def message(data: str) -> str:
        calls.append(data)
        began.set()
        assert may_end.wait(PATIENCE)
        return f"run {len(calls)}"

    return app, calls, began, may_end


def test_events_are_handled_again_as_soon_as_the_store_is_back(own_redis: RedisServer) -> None:
    app, calls, _, may_end = make_slow_app(own_redis)
    may_end.set()
    assert post(app, make_delivery(event_id="1")).status == 200
    own_redis.stop()
    begin = time.monotonic()
    assert post(app, make_delivery(event_id="2")).status == 503
    assert time.monotonic() - begin < 5  # the service waits for an answer, and so does the client
    assert len(calls) == 1
    own_redis.start()
    assert post(app, make_delivery(event_id="2")).status == 200
    assert len(calls) == 2


def test_an_event_that_was_handled_is_answered_although_the_store_went_down(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    app, _, began, may_end = make_slow_app(own_redis)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(post, app, make_delivery())
        assert began.wait(PATIENCE)
        own_redis.stop()
        may_end.set()
        answer = first.result()
    assert (answer.status, answer.body) == (200, b"run 1")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message.startswith("The answer to an event is sent, but not remembered: The Redis server failed")


def test_an_event_that_runs_keeps_its_mark_while_the_store_loses_its_memory(own_redis: RedisServer) -> None:
    app, calls, began, may_end = make_slow_app(own_redis)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(post, app, make_delivery())
        assert began.wait(PATIENCE)
        own_redis.stop()
        own_redis.start()
        deadline = time.monotonic() + PATIENCE
        while not keys(own_redis):  # until the mark is renewed
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert post(app, make_delivery()).status == 503
        may_end.set()
        answer = first.result()
    assert post(app, make_delivery()) == answer
    assert len(calls) == 1


def test_a_failed_event_is_a_failure_although_the_store_went_down(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store(own_redis)
    once = Once(store, 60)
    turn = once.begin(make_context())
    assert turn is not None

    def fail() -> Answer:
        own_redis.stop()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        turn.answer(fail)
    assert caplog.messages == [
        "An event counts as running for 3 s after it failed: The Redis server failed with a ConnectionError."
    ]


def test_a_server_that_is_full_refuses_events_and_drops_nothing(own_redis: RedisServer) -> None:
    app, calls, _, may_end = make_slow_app(own_redis)
    may_end.set()
    first = post(app, make_delivery(event_id="1"))
    own_redis.client.config_set("maxmemory", "1")
    assert post(app, make_delivery(event_id="2")).status == 503
    assert post(app, make_delivery(event_id="1")).status == 503  # a mark would have to be tried first
    own_redis.client.config_set("maxmemory", "0")
    assert post(app, make_delivery(event_id="1")) == first
    assert len(calls) == 1


def test_a_mark_that_is_renewed_outlives_its_lease(redis: RedisServer) -> None:
    once = Once(make_store(redis), 60, lease_seconds=0.2)
    turn = once.begin(make_context())
    assert turn is not None
    (key,) = keys(redis)
    # Each renewal sets the time anew: it was seen to rise five times.
    rises, before, deadline = 0, redis.client.pttl(key), time.monotonic() + PATIENCE
    while rises < 5:
        assert time.monotonic() < deadline
        now = redis.client.pttl(key)
        rises, before = rises + (now > before), now
    with pytest.raises(EventStillRunningError):
        once.begin(make_context())
    turn.answer(lambda: Answer(204))
    assert once.begin(make_context()) is not None
