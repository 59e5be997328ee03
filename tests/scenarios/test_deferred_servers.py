"""What handlers defer on real servers: the answer is there while the work is still held up."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flask_webpubsub import UserEventResponse
from flask_webpubsub.testing import WebPubSubTestClient
from sample_app.over_http import forward_to
from tests.conftest import CONNECTION_STRING
from tests.servers import SERVERS, Server, serve

APP = "tests.scenarios.deferring_app:app"
ENVIRONMENT = {"FLASK_WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING, "FLASK_WEBPUBSUB_HUB": "chat"}
SECONDS = 10

ANSWERS = {"reply": (200, UserEventResponse("ack")), "quiet": (204, None)}
#: The signal on which each server ends in good order.
STOP = {"waitress": signal.SIGINT}


def make_client(server: Server) -> WebPubSubTestClient:
    return WebPubSubTestClient(
        forward_to(server.host, server.port), connection_string=CONNECTION_STRING, hub="chat", system_events=()
    )


class Work:
    """Deferred work that has begun, and is held until :meth:`release`."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(SECONDS)
        self._connection = connection
        self._file = connection.makefile("rb")
        #: The process that does it.
        self.pid = int(self._file.readline())

    def release(self) -> bytes:
        """Let it go on; what it says when it is done."""
        self._connection.sendall(b"x")
        return self._file.readline()

    def end(self) -> bytes:
        """What it says in the end, by itself; nothing where its process has ended without it."""
        return self._file.readline()

    def close(self) -> None:
        self._file.close()
        self._connection.close()


class Listener:
    """Where deferred work tells that it has begun."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._taken: list[Work] = []
        self.port = str(listening.getsockname()[1])

    def take(self) -> Work:
        """The next that has begun."""
        self._taken.append(Work(self._listening.accept()[0]))
        return self._taken[-1]

    def close(self) -> None:
        for work in self._taken:
            work.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listen() as listener:
        yield listener


@contextmanager
def listen() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)
        listener = Listener(listening)
        try:
            yield listener
        finally:
            listener.close()


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(request.param, APP, env=ENVIRONMENT) as running:
        yield running


@pytest.mark.parametrize("event", ANSWERS)
def test_the_answer_is_there_while_the_work_is_held_up(server: Server, listener: Listener, event: str) -> None:
    chat = make_client(server).connect()
    # The work can not go on before it is taken, which is after the answer.
    response = chat.send_event(event, listener.port)
    assert (chat.answer.status, response) == ANSWERS[event]
    assert listener.take().release() == b"done\n"


@pytest.mark.parametrize("event", ANSWERS)
def test_the_server_answers_other_events_while_the_work_is_held_up(
    server: Server, listener: Listener, event: str
) -> None:
    chat = make_client(server).connect()
    chat.send_event(event, listener.port)
    work = listener.take()
    answer = chat.send_event("plain", "hi")
    assert isinstance(answer, UserEventResponse)
    assert answer.data == str(work.pid)
    assert work.release() == b"done\n"


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_is_stopped_waits_for_the_work(name: str, listener: Listener) -> None:
    with serve(name, APP, env=ENVIRONMENT) as server:
        make_client(server).connect().send_event("late", listener.port)
        work = listener.take()
        os.kill(parent(server, work.pid), STOP.get(name, signal.SIGTERM))
        assert work.end() == b"done\n"


def test_the_workers_of_an_app_that_was_loaded_before_they_were_forked_have_threads_of_their_own(
    listener: Listener,
) -> None:
    environment = {**ENVIRONMENT, "FLASK_WARM": "1", "GUNICORN_CMD_ARGS": "--preload"}
    with serve("gunicorn-sync", APP, workers=2, env=environment) as server:
        assert "warm\n" in server.log
        master = int(re.findall(r"Listening at: \S+ \((\d+)\)", server.log)[0])
        make_client(server).connect().send_event("quiet", listener.port)
        work = listener.take()
        assert work.pid != master
        assert work.release() == b"done\n"


def parent(server: Server, worker: int) -> int:
    """The process to stop: that which started a worker, or the one that there is."""
    if server.name == "waitress":
        return worker
    with open(f"/proc/{worker}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])
