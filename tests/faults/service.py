"""Plays the service for many clients at once, whose events come in order and again until they are answered."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from resource import getpagesize
from select import select
from socket import socket
from typing import Any

from flask_webpubsub import UserEventResponse
from flask_webpubsub.codec import Delivery
from flask_webpubsub.messages import Answer, from_wsgi, to_wsgi
from flask_webpubsub.testing import Connection, WebPubSubTestClient
from sample_app.over_http import forward_to
from tests.conftest import CONNECTION_STRING
from tests.servers import Server

#: When the service tries again after a failure: a broken connection, 408, or 500 and more.
RETRY_SECONDS = (1, 3, 5)

#: The number of processes that send events, so that they are no slower than the server.
PROCESSES = 2

# So that each event finds another connection than the one before, and with it another worker.
_SPARE_CONNECTIONS = 8
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Conversation:
    """What a client was told: for each of its events the answer, and how often it was sent again."""

    connection_id: str
    answers: list[Any]
    retries: int


class KeepAliveClient(WebPubSubTestClient):
    """Sends events over connections that stay open, one event at a time over each.

    :param size: the number of connections.
    :param lost: the share of events after which the connection breaks, so that nobody learns of the answer.
    """

    def __init__(self, host: str, port: int, size: int, lost: float) -> None:
        super().__init__(forward_to(host, port), connection_string=CONNECTION_STRING, hub="chat", system_events=())
        self._lost = lost
        self._idle: SimpleQueue[HTTPConnection] = SimpleQueue()
        for _ in range(size):
            self._idle.put(HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS))

    def call(self, method: str, delivery: Delivery, cookies: Mapping[str, str] | None = None) -> Answer:
        """Send one request.

        :raises ConnectionError: if there is no answer.
        """
        http = self._idle.get()
        if _is_dropped(http):
            http.close()  # it opens again with the next request
        try:
            http.request(method, self.path, delivery.body, {name: to_wsgi(value) for name, value in delivery.headers})
            if random.random() < self._lost:
                raise ConnectionResetError
            with http.getresponse() as answer:
                headers = [(name, from_wsgi(value)) for name, value in answer.getheaders()]
                return Answer(answer.status, headers, answer.read())
        except (OSError, HTTPException) as error:
            http.close()
            raise ConnectionError("The server gave no answer.") from error
        finally:
            self._idle.put(http)

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()


def _is_dropped(http: HTTPConnection) -> bool:
    """Whether the server has ended a connection while it was idle: no event is lost with it."""
    sock: socket | None = http.sock
    return sock is not None and bool(select([sock], [], [], 0)[0])


def play(server: Server, event_name: str, *, clients: int, events: int, lost: float = 0.0) -> list[Conversation]:
    """Let clients send their events, all at the same time, and each of them one event after the other.

    :param events: how many each of them sends.
    :param lost: see :class:`KeepAliveClient`.
    :raises AssertionError: if an event is not answered in the four times that the service sends it.
    """
    shares = [len(range(number, clients, PROCESSES)) for number in range(PROCESSES)]
    # Not forked: this process may have threads.
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        play_share = partial(_play_share, server.host, server.port, event_name, events, lost)
        return list(chain.from_iterable(pool.map(play_share, shares)))


def _play_share(host: str, port: int, event_name: str, events: int, lost: float, clients: int) -> list[Conversation]:
    service = KeepAliveClient(host, port, clients + _SPARE_CONNECTIONS, lost)
    try:
        with ThreadPoolExecutor(clients) as threads:
            return list(threads.map(lambda _: _converse(service, event_name, events), range(clients)))
    finally:
        service.close()


def _converse(service: WebPubSubTestClient, event_name: str, events: int) -> Conversation:
    chat = service.connect("alice")
    told = [_deliver(chat, event_name) for _ in range(events)]
    return Conversation(chat.connection_id, [answer for answer, _ in told], sum(retries for _, retries in told))


def _deliver(chat: Connection, event_name: str) -> tuple[Any, int]:
    """Send an event as the service does: what the app answered, and how often it was sent again for that."""
    failures: list[object] = []
    for seconds in (0, *RETRY_SECONDS):
        time.sleep(seconds)
        try:
            response = chat.retry() if failures else chat.send_event(event_name, "")
        except ConnectionError as error:
            failures.append(error)
            continue
        if chat.answer.status != 408 and chat.answer.status < 500:
            assert isinstance(response, UserEventResponse), f"The app answered {chat.answer}."
            return response.data, len(failures)
        failures.append(chat.answer)
    raise AssertionError(f"An event of {chat.connection_id} was lost: {failures}.")


# The workers of a gunicorn server.


def booted_workers(server: Server) -> Sequence[int]:
    """The processes that it has started so far, the newest last."""
    return [int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", server.log)]


def resident_bytes(pid: int) -> int:
    """What a process holds in memory; 0 where that can not be told."""
    statistics = Path(f"/proc/{pid}/statm")
    return int(statistics.read_text().split()[1]) * getpagesize() if statistics.exists() else 0


@contextmanager
def timed() -> Iterator[list[float]]:
    """Gives a list that holds the seconds of the block when it has ended."""
    seconds: list[float] = []
    begin = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - begin)
