"""Slow, stalled and cut-off requests, and those that hold another: what they do to others, and to the app."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import pytest

from flask_webpubsub.messages import Answer
from tests.scenarios.test_servers import (
    ENVIRONMENT,
    FORGED,
    SIGNATURE,
    TAKE_A_BROKEN_CHUNKED_BODY_FOR_A_WHOLE_ONE,
    event_bytes,
    event_headers,
    read_answer,
    send,
)
from tests.servers import Server, serve

APP = "tests.faults.served_calls_app:app"
THREADS = 4  # which is what waitress has
LIMITS = {"GUNICORN_CMD_ARGS": f"--threads={THREADS}", "GRANIAN_BLOCKING_THREADS": str(THREADS)}
SERVERS = ("gunicorn-gthread", "waitress", "granian")
#: More than there are threads.
MANY = 40
#: What is slow here, in seconds: nothing that goes well takes nearly as long.
LONG = 1.0


@dataclass(frozen=True)
class SlowRequest:
    """How a request begins, and what comes of it then, byte by byte."""

    beginning: bytes
    drip: bytes = b""


def keep_alive(**more: str) -> Sequence[tuple[str, str]]:
    return [header for header in event_headers(**more) if header[0] != "Connection"]


def unfinished_headers() -> bytes:
    return event_bytes([*event_headers(), ("X-Slow", "")]).removesuffix(b"\r\n\r\n")


IN_HEADERS = {
    "nothing at all": SlowRequest(b""),
    "half a header": SlowRequest(event_bytes(event_headers())[:60]),
    "a header that drips": SlowRequest(unfinished_headers(), b"h"),
}
IN_BODY = {
    "no body": SlowRequest(event_bytes(event_headers(**{"Content-Length": "1000"}))),
    "a body that drips": SlowRequest(event_bytes(event_headers(**{"Content-Length": "1000"})), b"b"),
    "a chunk that drips": SlowRequest(
        event_bytes(event_headers(**{"Transfer-Encoding": "chunked"})) + b"3e8\r\nc", b"c"
    ),
}
CONTINUED = SlowRequest(event_bytes(event_headers(**{"Content-Length": "1000", "Expect": "100-continue"})))
SLOW = {**IN_HEADERS, **IN_BODY, "a body that was asked for": CONTINUED}
#: What the server lets the app refuse before the body is there.
REFUSED = SlowRequest(
    event_bytes(keep_alive(**{"Content-Length": "1000"})).replace(SIGNATURE.encode(), FORGED.encode())
)


def holds_a_thread(server_name: str, request: SlowRequest) -> bool:
    """Whether a server waits for the rest of a request with a thread, as the page on production tells."""
    match server_name:
        case "waitress":
            return False
        case "granian":
            return request not in IN_HEADERS.values()
        case _:
            return True


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(request.param, APP, env={**ENVIRONMENT, **LIMITS}) as running:
        yield running


@contextmanager
def slow_connections(server: Server, request: SlowRequest, count: int) -> Iterator[list[socket.socket]]:
    """Connections whose requests have begun, and do not end before the block does."""
    with ExitStack() as stack:
        connections = [stack.enter_context(server.open_socket()) for _ in range(count)]
        for connection in connections:
            connection.sendall(request.beginning)
        time.sleep(0.1)  # nothing tells when a server has taken them up
        yield connections


def say(server: Server, text: str, name: str = "message", *, timeout: float = LONG) -> Answer | None:
    """Send an event over a connection of its own; ``None`` if there is no answer in time."""
    with server.open_socket(timeout) as connection:
        connection.sendall(event_bytes(event_headers(name, **{"Content-Length": str(len(text))})) + text.encode())
        with suppress(TimeoutError):
            return read_answer(connection)
    return None


def body_of(answer: Answer | None) -> str:
    assert answer is not None
    assert answer.status == 200
    return answer.body.decode()


def handled(server: Server) -> list[str]:
    """The messages that the app's handler has seen."""
    messages: list[str] = json.loads(body_of(say(server, "", "messages", timeout=10)))
    return messages


def verify_handled(server: Server, said: list[str]) -> None:
    """Check that of the messages of a test all were handled, and that no other was but those of other tests."""
    messages = handled(server)
    assert sorted(message for message in messages if message in said) == sorted(said)
    strays = [message for message in messages if not message.startswith("said")]
    if server.name in TAKE_A_BROKEN_CHUNKED_BODY_FOR_A_WHOLE_ONE:
        strays = [message for message in strays if set(message) != {"c"}]
    assert strays == []


@pytest.mark.parametrize("kind", SLOW)
def test_slow_requests_leave_others_alone_within_the_servers_limits(server: Server, kind: str) -> None:
    request = SLOW[kind]
    said = [f"said {uuid4()}" for _ in range(10)]
    count = THREADS - 1 if holds_a_thread(server.name, request) else MANY
    with slow_connections(server, request, count) as connections:
        for text in said:
            for connection in connections:
                connection.sendall(request.drip)
            assert body_of(say(server, text)) == text
        verify_handled(server, said)


@pytest.mark.parametrize("kind", SLOW)
def test_as_many_slow_requests_as_threads_hold_others_up_while_they_last(server: Server, kind: str) -> None:
    request = SLOW[kind]
    if not holds_a_thread(server.name, request):
        return  # which the test before shows with more of them
    with slow_connections(server, request, THREADS):
        assert say(server, "said late", timeout=0.3) is None
    assert body_of(say(server, "said", timeout=10)) == "said"


def test_a_call_that_is_refused_before_its_body_is_there_holds_no_thread_of_granian() -> None:
    with (
        serve("granian", APP, env={**ENVIRONMENT, **LIMITS}) as server,
        slow_connections(server, REFUSED, MANY) as connections,
    ):
        assert {getattr(read_answer(connection), "status", None) for connection in connections} == {401}
        assert body_of(say(server, "said")) == "said"


@pytest.mark.parametrize(
    ("request_", "count", "seconds"),
    [
        pytest.param(REFUSED, THREADS, 5, id="each a thread"),
        pytest.param(SlowRequest(REFUSED.beginning.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)), 1, 2, id="all"),
    ],
)
def test_gunicorn_waits_for_the_body_of_a_call_that_was_refused(
    request_: SlowRequest, count: int, seconds: float
) -> None:
    with serve("gunicorn-gthread", APP, env={**ENVIRONMENT, **LIMITS}) as server:
        begin = time.monotonic()
        with slow_connections(server, request_, count):
            assert body_of(say(server, "said", timeout=10)) == "said"
        assert seconds - 0.2 < time.monotonic() - begin < seconds + 3


def test_waitress_takes_a_hundred_connections() -> None:
    with serve("waitress", APP, env=ENVIRONMENT) as server:
        with slow_connections(server, IN_HEADERS["half a header"], 90):
            assert body_of(say(server, "said")) == "said"
        with slow_connections(server, IN_HEADERS["half a header"], 110):
            assert say(server, "said late", timeout=0.3) is None


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("kind", SLOW)
def test_a_request_that_is_cut_off_is_never_handled_and_holds_nothing(server: Server, kind: str, reset: bool) -> None:
    if "chunk" in kind and server.name in TAKE_A_BROKEN_CHUNKED_BODY_FOR_A_WHOLE_ONE:
        return  # as the page on production tells
    for _ in range(MANY):
        with server.open_socket() as connection:
            connection.sendall(SLOW[kind].beginning + SLOW[kind].drip * 10)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    said = [f"said {uuid4()}" for _ in range(THREADS * 2)]
    with ThreadPoolExecutor(THREADS) as threads:  # all of the server's are free
        assert list(threads.map(lambda text: body_of(say(server, text, timeout=10)), said)) == said
    verify_handled(server, said)


# Where a request ends, and the next one begins.


def answers_to(server: Server, data: bytes) -> Iterator[Answer]:
    """The answers that come over one connection, until it ends or stays silent."""
    with server.open_socket(LONG / 2) as connection:
        connection.sendall(data)
        with suppress(TimeoutError):
            while (answer := read_answer(connection)) is not None:
                yield answer


def test_what_follows_a_body_is_a_request_that_needs_a_signature_of_its_own(server: Server) -> None:
    first = event_bytes(keep_alive(**{"Content-Length": "4"})) + b"said"
    second = event_bytes(event_headers(signature=FORGED, **{"Content-Length": "6"})) + b"forged"
    # Both answers may come in one packet, of which the reader of the first would take too much.
    with server.open_socket() as connection:
        connection.sendall(first + second)
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"200", b"401"]
    verify_handled(server, [])


@pytest.mark.parametrize(
    ("name", "signature", "status"),
    [
        pytest.param("message", FORGED, 401, id="forged"),
        pytest.param("unknown", SIGNATURE, 404, id="no handler"),
        pytest.param("unread", SIGNATURE, 200, id="a handler without data"),
    ],
)
def test_a_request_in_a_body_that_nobody_reads_is_no_request(
    server: Server, name: str, signature: str, status: int
) -> None:
    hidden = event_bytes(event_headers(**{"Content-Length": "6"})) + b"hidden"
    headers = [
        header
        for header in event_headers(name, signature=signature, **{"Content-Length": str(len(hidden))})
        if header[0] != "Connection"
    ]
    assert [answer.status for answer in answers_to(server, event_bytes(headers) + hidden)] == [status]
    verify_handled(server, [])


def test_headers_without_an_end_are_refused_and_leave_others_alone(server: Server) -> None:
    endless = event_bytes([*event_headers(), ("X-Long", "x" * 1024 * 1024)])
    answer = send(server, endless)
    assert answer is not None
    assert answer.status == 431
    assert body_of(say(server, "said")) == "said"
