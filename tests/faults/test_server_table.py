"""The table of the page on production: what it says that servers do to requests is what they do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from flask_webpubsub.messages import Answer
from flask_webpubsub.states import encode_states
from tests.scenarios.test_servers import (
    APP,
    ENVIRONMENT,
    FORGED,
    MIB,
    event_bytes,
    event_headers,
    read_answer,
    send,
)
from tests.servers import SERVERS, Server, serve

PAGE = Path(__file__).parent.parent.parent / "docs" / "production.rst"
COLUMNS = {"gunicorn-sync": 0, "gunicorn-gthread": 0, "waitress": 1, "granian": 2}

#: Long enough for an answer that does not wait for more of the request, in seconds.
SOON = 0.5


def read_table() -> dict[str, list[str]]:
    """The rows of the table, each with a cell for each column but the first."""
    section = PAGE.read_text().partition("\nWhat servers do to requests\n")[2].partition("\n\n\n")[0]
    rows = re.findall(r"^   \* - (.+)\n((?:     - .+\n?)+)", section, re.MULTILINE)
    return {name: [cell.removeprefix("     - ") for cell in cells.splitlines()] for name, cells in rows}


TABLE = read_table()

OBSERVATIONS: dict[str, Callable[[Server], str]] = {}


def row(name: str) -> Callable[[Callable[[Server], str]], Callable[[Server], str]]:
    """Register a function that says what a server does, in the words of the table's row."""

    def register(observe: Callable[[Server], str]) -> Callable[[Server], str]:
        OBSERVATIONS[name] = observe
        return observe

    return register


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(request.param, APP, env=ENVIRONMENT) as running:
        yield running


@pytest.mark.parametrize("name", TABLE)
def test_the_table_is_true(server: Server, name: str) -> None:
    assert OBSERVATIONS[name](server) == TABLE[name][COLUMNS[server.name]]


def test_each_observation_is_in_the_table() -> None:
    assert set(OBSERVATIONS) == set(TABLE)


# One request for each row.


def post(server: Server, **more: str) -> Answer | None:
    """An event without a body."""
    return send(server, event_bytes(event_headers("who", **{"Content-Length": "0"}, **more)))


def chunked(**more: str) -> bytes:
    """The beginning of a message whose body comes in chunks."""
    return event_bytes(event_headers(**{"Transfer-Encoding": "chunked"}, **more))


def status(answer: Answer | None) -> str:
    return "the connection ends" if answer is None else str(answer.status)


def user_and_hub(answer: Answer | None) -> str:
    """What the app saw of a request."""
    assert answer is not None
    assert answer.status == 200, answer
    return answer.body.decode()


@row("The app is called")
def app_is_called(server: Server) -> str:
    with server.open_socket(SOON) as connection:
        connection.sendall(event_bytes(event_headers(signature=FORGED, **{"Content-Length": "1000"})))
        try:
            answer = read_answer(connection)
        except TimeoutError:
            connection.sendall(b"x" * 1000)
            assert status(read_answer(connection)) == "401"
            return "when all of the request is there: a forged or too large body is received first"
    assert status(answer) == "401"
    return "when the headers are there: a refused call costs no body"


@row("A user id that is not ASCII")
def user_id(server: Server) -> str:
    answer = post(server, **{"ce-userId": "Zoë"})
    if status(answer) == "400":
        assert "ce-userId" in server.log
        return "its value is dropped; the app answers 400, and logs it"
    assert user_and_hub(answer) == "Zoë in chat"
    return "arrives"


@row("``ce_hub`` beside ``ce-hub``")
def underscore(server: Server) -> str:
    headers = event_headers("who", **{"Content-Length": "0"})
    before = [("ce_hub", "support"), *headers]
    after = [*headers, ("ce_hub", "support")]
    hubs = [user_and_hub(send(server, event_bytes(headers))) for headers in (before, after)]
    return {
        ("None in chat", "None in chat"): "dropped",
        ("None in chat", "None in support"): "taken as the same header: the later one counts",
    }[hubs[0], hubs[1]]


@row("A header of an event that comes twice")
def header_twice(server: Server) -> str:
    answer = send(server, event_bytes([*event_headers("who", **{"Content-Length": "0"}), ("ce-connectionId", "c1")]))
    return f"joined with a comma: the app answers {status(answer)}"


@row("``ce-hub`` twice")
def hub_twice(server: Server) -> str:
    answer = send(server, event_bytes([*event_headers("who", **{"Content-Length": "0"}), ("ce-hub", "chat")]))
    assert re.search(r"'chat, ?chat'", server.log)
    return f"joined with a comma: a hub without handlers, {status(answer)}"


@row("One header of more than 8 KiB")
def long_header(server: Server) -> str:
    answer = post(server, **{"X-Long": "x" * 20_000})
    if status(answer) == "431":
        return "431; ``--limit-request-field_size`` moves the limit of 8190 bytes"
    assert user_and_hub(answer) == "None in chat"
    return "arrives, 20 KB at least"


@row("Headers of 1 MiB")
def headers_of_one_mib(server: Server) -> str:
    return status(post(server, **{"X-Long": "x" * MIB}))


@row("More than 100 headers")
def many_headers(server: Server) -> str:
    answer = post(server, **{f"mqtt-{number}": "x" for number in range(101)})
    if status(answer) != "431":
        assert user_and_hub(answer) == "None in chat"
        return "arrive"
    if server.name.startswith("gunicorn"):
        return "431; ``--limit-request-fields`` moves the limit"
    return "431"


@row("A header folded over two lines")
def folded(server: Server) -> str:
    request = event_bytes(event_headers("who", **{"Content-Length": "0"}))
    answer = send(server, request.replace(b"ce-hub", b"ce-userId: a\r\n b\r\nce-hub"))
    if status(answer) != "200":
        return status(answer)
    assert user_and_hub(answer) == "a b in chat"
    return "joined with a blank"


@row("HTTP/1.0")
def http_1_0(server: Server) -> str:
    headers = [header for header in event_headers("who", **{"Content-Length": "0"}) if header[0] != "Connection"]
    with server.open_socket() as connection:
        connection.sendall(event_bytes(headers).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert user_and_hub(read_answer(connection)) == "None in chat"
        assert connection.recv(1) == b""
    return "answered; then the connection ends"


@row("``Expect: 100-continue``")
def expect(server: Server) -> str:
    with server.open_socket(SOON) as connection:
        headers = event_headers(signature=FORGED, **{"Content-Length": "2", "Expect": "100-continue"})
        connection.sendall(event_bytes(headers))
        received = b""
        with suppress(TimeoutError):
            while more := connection.recv(4096):
                received += more
    statuses = re.findall(rb"^HTTP/1.1 (\d+)", received, re.MULTILINE)
    return {
        (b"100", b"401"): "100 at once, even if the call is refused next",
        (b"100",): "100 at once",
        (b"401",): "100 when the body is read",
    }[tuple(statuses)]


@row("A body of 16 MiB that is refused unread")
def refused_unread(server: Server) -> str:
    with server.open_socket() as connection:
        connection.sendall(event_bytes(event_headers("who", **{"Content-Length": str(16 * MIB)})))
        time.sleep(SOON)  # so that what the server does not take is sent after its answer
        try:
            connection.sendall(b"x" * 16 * MIB)
            received = "received; then"
        except ConnectionError:
            received = "not received:"
        return f"{received} {status(read_answer(connection))}" + (
            ", and the connection breaks while it is sent" if received == "not received:" else ""
        )


@row("A body shorter than announced")
def short_body(server: Server) -> str:
    answer = send(server, event_bytes(event_headers(**{"Content-Length": "10"})), b"hi", end=True)
    return status(answer) + ("; the app is not called" if answer is None else "")


@row("A chunked body that is cut off")
def cut_chunk(server: Server) -> str:
    return saying(send(server, chunked(), b"5\r\nhi", end=True), "hi", "taken as whole")


@row("A chunked body that is malformed")
def malformed_chunk(server: Server) -> str:
    return saying(send(server, chunked(), b"2\r\nhi\r\nzz\r\nhi\r\n0\r\n\r\n"), "hi", "taken as whole")


def saying(answer: Answer | None, data: str, words: str) -> str:
    """The status of an error; else the words, if the app was given this data."""
    if answer is None or answer.status != 200:
        return status(answer)
    assert answer.body.decode() == f"#1: {data}"
    return words


@row("A length and chunks together")
def length_and_chunks(server: Server) -> str:
    answer = send(server, chunked(**{"Content-Length": "2"}), b"5\r\nhello\r\n0\r\n\r\n")
    return saying(answer, "hello", "the chunks count")


# What the cells say of options.


def test_gunicorns_limits_move_with_their_options() -> None:
    options = "--limit-request-field_size=20000 --limit-request-fields=200"
    with serve("gunicorn-gthread", APP, env={**ENVIRONMENT, "GUNICORN_CMD_ARGS": options}) as server:
        states = encode_states({"pad": "x" * 12_000})
        assert user_and_hub(post(server, **{"ce-connectionState": states})) == "None in chat"
        assert user_and_hub(post(server, **{f"mqtt-{number}": "x" for number in range(101)})) == "None in chat"
