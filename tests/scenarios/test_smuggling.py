"""Requests that mean one thing to a proxy and another to an app: what real servers make of them.

Whatever a server takes a malformed request for, an event that reaches a handler is one that the service signed, and
what stands where a body or a second header should be is never an event of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

import pytest

from tests.scenarios.test_servers import (
    APP,
    ENVIRONMENT,
    FORGED,
    MIB,
    SIGNATURE,
    TAKE_AN_UNDERSCORE_FOR_A_HYPHEN,
    event_bytes,
    event_headers,
    send,
)
from tests.servers import DEVELOPMENT_SERVER, SERVERS, Server, serve

# What servers do to requests on the way, as the page on the threat model tells.
JOIN_A_FOLDED_HEADER = {"waitress", DEVELOPMENT_SERVER}
READ_CHUNKS_OF_HTTP_1_0 = {DEVELOPMENT_SERVER}
IGNORE_CHUNKS_OF_HTTP_1_0 = {"waitress"}
TAKE_A_LENGTH_BESIDE_CHUNKS = {"waitress", "granian", DEVELOPMENT_SERVER}
READ_ON_AFTER_A_LENGTH_BESIDE_CHUNKS = {"waitress"}
HANG_UP_AFTER_AN_ANSWER = {"gunicorn-sync", DEVELOPMENT_SERVER}
TAKE_ANY_LENGTH = {DEVELOPMENT_SERVER}

EMPTY = ("Content-Length", "0")
# Would be answered with 200 if it were taken for a request, and the other one with 204.
HIDDEN = event_bytes([*event_headers(), EMPTY])
LAST = event_bytes([*event_headers("quiet"), EMPTY])
IN_CHAT, NOT_FOUND = (200, b"None in chat"), (404, b"Not Found")


@pytest.fixture(scope="module", params=[*SERVERS, DEVELOPMENT_SERVER])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(request.param, APP, env=ENVIRONMENT) as running:
        yield running


def who(*more: tuple[str, str], without: str | None = None, signature: str = SIGNATURE) -> list[tuple[str, str]]:
    """The headers of the event that is answered with the user and the hub that the app sees."""
    return [item for item in event_headers("who", signature=signature) if item[0] != without] + [*more, EMPTY]


def ask(server: Server, request: bytes) -> tuple[int, bytes]:
    """Send a request; returns the status and the body of the answer."""
    answer = send(server, request)
    assert answer is not None
    return answer.status, answer.body


def statuses_of(server: Server, request: bytes) -> list[int]:
    """Send a request that leaves its connection open, and a last one; returns the answers but for that to the last.

    A server that finds the end of the first one answers both, or hangs up after the first, or waits for more.
    """
    seen = b""
    with server.open_socket(timeout=3) as connection, suppress(ConnectionError, TimeoutError):
        connection.sendall(request + LAST)
        while part := connection.recv(65536):
            seen += part
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", seen)]
    return statuses[:-1] if statuses[-1:] == [204] else statuses


def kept_open(headers: Iterable[tuple[str, str]], *more: tuple[str, str]) -> bytes:
    """The beginning of a request after which another may come."""
    return event_bytes([*(item for item in headers if item[0] != "Connection"), *more])


class TestSentTwice:
    def test_a_second_hub_makes_a_hub_that_nobody_has(self, server: Server) -> None:
        assert ask(server, event_bytes(who(("ce-hub", "support")))) == NOT_FOUND

    def test_a_stranger_with_a_second_hub_is_a_stranger(self, server: Server) -> None:
        assert ask(server, event_bytes(who(("ce-hub", "support"), signature=FORGED)))[0] == 401

    def test_a_second_user_is_neither_of_the_two(self, server: Server) -> None:
        status, body = ask(server, event_bytes(who(("ce-userId", "ada"), ("ce-userId", "root"))))
        assert (status, body.replace(b", ", b",")) == (200, b"ada,root in chat")

    def test_a_second_signature_is_one_more_to_try(self, server: Server) -> None:
        assert ask(server, event_bytes(who(("ce-signature", FORGED)))) == IN_CHAT
        assert ask(server, event_bytes(who(("ce-signature", FORGED), signature=FORGED)))[0] == 401

    def test_a_trusted_origin_beside_a_strangers_still_needs_its_key(self, server: Server) -> None:
        assert ask(server, event_bytes(who(("WebHook-Request-Origin", "evil.example")))) == IN_CHAT
        forged = who(("WebHook-Request-Origin", "evil.example"), signature=FORGED)
        assert ask(server, event_bytes(forged))[0] == 401


class TestUnderscores:
    def test_a_hub_with_an_underscore_is_none(self, server: Server) -> None:
        answer = ask(server, event_bytes(who(("ce_hub", "chat"), without="ce-hub")))
        if server.name in TAKE_AN_UNDERSCORE_FOR_A_HYPHEN:
            assert answer == IN_CHAT
        else:
            assert answer == (400, b"Bad Request")

    def test_a_signature_with_an_underscore_is_none(self, server: Server) -> None:
        answer = ask(server, event_bytes(who(("ce_signature", SIGNATURE), without="ce-signature")))
        if server.name in TAKE_AN_UNDERSCORE_FOR_A_HYPHEN:
            assert answer == IN_CHAT  # it is the right one, under another name
        else:
            assert answer[0] == 401

    def test_a_forged_signature_is_none_under_any_name(self, server: Server) -> None:
        headers = who(("ce_signature", FORGED), without="ce-signature")
        assert ask(server, event_bytes(headers))[0] == 401

    @pytest.mark.parametrize(
        "other", [("Content_Length", str(len(HIDDEN))), ("Transfer_Encoding", "chunked")], ids=lambda other: other[0]
    )
    def test_the_length_of_a_body_has_no_other_name(self, server: Server, other: tuple[str, str]) -> None:
        statuses = statuses_of(server, kept_open(who(other)) + HIDDEN)
        # The second request is one, because the first has no body.
        assert statuses == ([200] if server.name in HANG_UP_AFTER_AN_ANSWER else [200, 200])


FOLDED = {
    "a hub folded over two lines": (b"ce-hub: chat", b"ce-hub: chat\r\n support", NOT_FOUND),
    "a value on the next line": (b"ce-hub: chat", b"ce-hub: support\r\n chat", NOT_FOUND),
    "a header in the fold of another": (
        b"ce-hub: chat",
        b"ce-userId: ada\r\n\tce-hub: support\r\nce-hub: chat",
        (400, b"Bad Request"),
    ),
}


@pytest.mark.parametrize(("line", "folded", "joined"), FOLDED.values(), ids=FOLDED)
def test_a_folded_header_is_refused_or_one_value(
    server: Server, line: bytes, folded: bytes, joined: tuple[int, bytes]
) -> None:
    answer = ask(server, event_bytes(who()).replace(line, folded))
    if server.name in JOIN_A_FOLDED_HEADER:
        assert answer == joined
    else:
        assert answer[0] == 400


class TestHttp10:
    def test_an_event_is_answered(self, server: Server) -> None:
        request = event_bytes(event_headers(**{"Content-Length": "2"})).replace(b"HTTP/1.1", b"HTTP/1.0")
        assert ask(server, request + b"hi") == (200, b"#1: hi")

    def test_an_event_without_a_host_is_answered(self, server: Server) -> None:
        request = event_bytes(who()).replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Host: app\r\n", b"")
        assert ask(server, request) == IN_CHAT

    def test_a_forged_event_is_refused(self, server: Server) -> None:
        assert ask(server, event_bytes(who(signature=FORGED)).replace(b"HTTP/1.1", b"HTTP/1.0"))[0] == 401

    def test_a_body_without_a_length_is_none(self, server: Server) -> None:
        request = event_bytes(event_headers()).replace(b"HTTP/1.1", b"HTTP/1.0")
        answer = send(server, request, b"hi")
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"#1: ")

    def test_chunks_which_it_does_not_know_are_no_second_request(self, server: Server) -> None:
        headers = event_headers(**{"Transfer-Encoding": "chunked"})
        request = event_bytes(headers).replace(b"HTTP/1.1", b"HTTP/1.0")
        answer = send(server, request, b"2\r\nhi\r\n0\r\n\r\n")
        assert answer is not None
        if server.name in READ_CHUNKS_OF_HTTP_1_0:
            assert (answer.status, answer.body) == (200, b"#1: hi")
        elif server.name in IGNORE_CHUNKS_OF_HTTP_1_0:
            assert (answer.status, answer.body) == (200, b"#1: ")
        else:
            assert answer.status == 400


# A call that is answered before its body is read leaves the body on the connection, where the next request should be.

UNREAD = {
    "refused": (event_headers("who", signature=FORGED), 401),
    "without a handler": (event_headers("unknown"), 404),
    "answered by a handler that takes no data": (event_headers("who"), 200),
}


@pytest.mark.parametrize(("headers", "status"), UNREAD.values(), ids=UNREAD)
def test_a_body_that_is_not_read_is_never_taken_for_a_request(
    server: Server, headers: list[tuple[str, str]], status: int
) -> None:
    request = kept_open(headers, ("Content-Length", str(len(HIDDEN)))) + HIDDEN
    assert statuses_of(server, request) == [status]


def test_a_body_that_is_too_large_is_never_taken_for_a_request(server: Server) -> None:
    request = kept_open(event_headers(), ("Content-Length", str(3 * MIB))) + HIDDEN.ljust(3 * MIB, b"x")
    # A server may hang up in the middle of the body, and the answer is lost with it.
    assert set(statuses_of(server, request)) <= {413}


NO_CHUNKS = b"0\r\n\r\n"
LENGTH = len(NO_CHUNKS + HIDDEN)
UNCLEAR: dict[str, list[tuple[str, str]]] = {
    "an unknown encoding": [("Transfer-Encoding", "xchunked"), ("Content-Length", str(LENGTH))],
    "two encodings": [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity")],
    "two lengths": [("Content-Length", "0"), ("Content-Length", str(LENGTH))],
}


@pytest.mark.parametrize("unclear", UNCLEAR.values(), ids=UNCLEAR)
def test_nothing_follows_a_request_whose_end_is_unclear(server: Server, unclear: list[tuple[str, str]]) -> None:
    statuses = statuses_of(server, kept_open(event_headers("who"), *unclear) + NO_CHUNKS + HIDDEN)
    if server.name in TAKE_ANY_LENGTH:
        assert statuses == [200]
    else:
        assert statuses in ([400], [501])


def test_a_length_beside_chunks_is_refused_or_does_not_count(server: Server) -> None:
    unclear = [("Content-Length", str(LENGTH)), ("Transfer-Encoding", "chunked")]
    statuses = statuses_of(server, kept_open(event_headers("who"), *unclear) + NO_CHUNKS + HIDDEN)
    if server.name in READ_ON_AFTER_A_LENGTH_BESIDE_CHUNKS:
        assert statuses == [200, 200]  # a proxy in front must refuse such a request
    elif server.name in TAKE_A_LENGTH_BESIDE_CHUNKS:
        assert statuses == [200]
    else:
        assert statuses == [400]


def test_a_second_request_needs_a_signature_of_its_own(server: Server) -> None:
    statuses = statuses_of(server, kept_open(who()) + kept_open(who(signature=FORGED)))
    assert statuses == ([200] if server.name in HANG_UP_AFTER_AN_ANSWER else [200, 401])
