"""What real servers make of the webhook's requests, and how the app answers through them."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any, BinaryIO

import pytest
from flask import Flask, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_webpubsub import EventErrorResponse, UserEventResponse, WebPubSub
from flask_webpubsub.messages import Answer
from flask_webpubsub.signature import sign_connection
from flask_webpubsub.states import encode_states
from flask_webpubsub.testing import WebPubSubTestClient
from sample_app.over_http import forward_to
from tests.benchmarks.memory import Stream, peak_of
from tests.conftest import CONNECTION_STRING, HOST, KEY
from tests.servers import SERVERS, Server, serve

APP = "tests.scenarios.served_app:app"
ENVIRONMENT = {"FLASK_WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING, "FLASK_WEBPUBSUB_HUB": "chat"}
PATH = "/runtime/webhooks/webpubsub"
MIB = 1024 * 1024

SIGNATURE = sign_connection("c1", [KEY.encode()])
FORGED = sign_connection("c1", [b"a guess"])

# What servers do to requests on the way, as the docs on deployment tell.
HOLD_A_REQUEST_BACK_UNTIL_ALL_OF_IT_IS_THERE = {"waitress"}
DROP_VALUES_THAT_ARE_NOT_ASCII = {"granian"}
TAKE_A_BROKEN_CHUNKED_BODY_FOR_A_WHOLE_ONE = {"granian"}
TAKE_AN_UNDERSCORE_FOR_A_HYPHEN = {"granian"}
LIMIT_HEADERS_TO_8_KIB = {"gunicorn-sync", "gunicorn-gthread"}

Headers = Iterable[tuple[str, str]]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(request.param, APP, env=ENVIRONMENT) as running:
        yield running


@pytest.fixture
def client(server: Server) -> WebPubSubTestClient:
    return make_client(server)


def make_client(server: Server) -> WebPubSubTestClient:
    return WebPubSubTestClient(
        forward_to(server.host, server.port),
        connection_string=CONNECTION_STRING,
        hub="chat",
        system_events=("connect",),
    )


def event_headers(name: str = "message", *, signature: str = SIGNATURE, **more: str) -> list[tuple[str, str]]:
    """The headers of a user event of the connection ``c1``."""
    return [
        ("Host", "app"),
        ("Connection", "close"),
        ("WebHook-Request-Origin", HOST),
        ("ce-type", f"azure.webpubsub.user.{name}"),
        ("ce-eventName", name),
        ("ce-hub", "chat"),
        ("ce-connectionId", "c1"),
        ("ce-signature", signature),
        ("Content-Type", "text/plain"),
        *more.items(),
    ]


def event_bytes(headers: Headers, *, method: str = "POST") -> bytes:
    """The beginning of a request up to its body, with nothing checked."""
    lines = [f"{method} {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode()


def send(server: Server, *parts: bytes, method: str = "POST", end: bool = False) -> Answer | None:
    """Send bytes, and read the answer; ``None`` if the server hung up without one.

    :param end: whether to say that nothing more comes.
    """
    with server.open_socket() as connection:
        with suppress(ConnectionError):  # a server may answer, and hang up, before it has all
            for part in parts:
                connection.sendall(part)
            if end:
                connection.shutdown(socket.SHUT_WR)
        return read_answer(connection, method)


def read_answer(connection: socket.socket, method: str = "POST") -> Answer | None:
    response = HTTPResponse(connection, method=method)
    try:
        response.begin()
        return Answer(response.status, response.getheaders(), response.read())
    except (HTTPException, ConnectionError):
        return None
    finally:
        response.close()


def curl(server: Server, body: bytes, headers: Headers, *options: str) -> tuple[int, str]:
    """Send an event with curl; returns the answer's status and its body."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    arguments = [argument for name, value in headers for argument in ("--header", f"{name}: {value}")]
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--data-binary", "@-", *options, *arguments]
    done = subprocess.run(
        [*command, "--write-out", "\n%{http_code}", server.url + PATH],
        input=body,
        capture_output=True,
        timeout=30,
        check=True,
    )
    text, _, status = done.stdout.decode().rpartition("\n")
    return int(status), text


class TestCurl:
    def test_a_signed_message_is_answered(self, server: Server) -> None:
        assert curl(server, b"hi", event_headers()) == (200, "#1: hi")

    def test_states_come_back_with_the_next_message(self, server: Server) -> None:
        states = {"ce-connectionState": encode_states({"count": 41})}
        assert curl(server, b"hi", event_headers(**states)) == (200, "#42: hi")

    def test_a_forged_message_is_401(self, server: Server) -> None:
        assert curl(server, b"hi", event_headers(signature=FORGED)) == (401, "Unauthorized")

    def test_a_chunked_message_is_answered(self, server: Server) -> None:
        assert curl(server, b"hi", event_headers(**{"Transfer-Encoding": "chunked"})) == (200, "#1: hi")

    def test_a_message_of_one_mib_arrives_whole(self, server: Server) -> None:
        assert curl(server, b"x" * MIB, event_headers("size")) == (200, str(MIB))

    def test_a_message_of_three_mib_is_413(self, server: Server) -> None:
        assert curl(server, b"x" * 3 * MIB, event_headers("size")) == (413, HTTPStatus(413).phrase)


class TestConversation:
    def test_validation_is_accepted_from_the_service_alone(self, server: Server, client: WebPubSubTestClient) -> None:
        assert client.validate()
        client.origins = ["stranger.example"]
        assert not client.validate()
        validation = event_bytes(
            [("Host", "app"), ("Connection", "close"), ("WebHook-Request-Origin", HOST)], method="OPTIONS"
        )
        answer = send(server, validation, method="OPTIONS")
        assert answer is not None
        assert (answer.status, answer.header("WebHook-Allowed-Origin"), answer.body) == (200, "*", b"")

    def test_a_client_is_let_in_speaks_and_is_counted(self, client: WebPubSubTestClient) -> None:
        chat = client.connect("alice")
        assert chat.send_text("hi") == UserEventResponse("#1: hi", states={"count": 1})
        assert chat.send_json({"é": 1}) == UserEventResponse("#2: {'é': 1}", states={"count": 2})

    def test_a_connect_that_is_refused_is_401_with_its_reason(self, client: WebPubSubTestClient) -> None:
        refused = client.connect()
        assert refused.answer.status == 401
        assert refused.response == EventErrorResponse("unauthorized", "Sign in first.")

    def test_a_user_id_in_utf_8_is_kept_or_refused(self, server: Server, client: WebPubSubTestClient) -> None:
        answer = client.connect("alice", claims={"sub": "Zoë 李"}).send_event("who", "")
        if server.name in DROP_VALUES_THAT_ARE_NOT_ASCII:
            assert answer == EventErrorResponse("userError", "Bad Request")
            assert "ce-userId" in server.log
        else:
            assert answer == UserEventResponse("Zoë 李 in chat")

    def test_an_empty_answer_is_a_204_without_a_body(self, server: Server) -> None:
        with server.open_socket() as connection:
            connection.sendall(event_bytes(event_headers("quiet", **{"Content-Length": "0"})))
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 204 ")
        assert answer.endswith(b"\r\n\r\n")
        assert answer.count(b"\r\n\r\n") == 1
        assert not {b"content-length", b"transfer-encoding"} & {
            line.partition(b":")[0].lower() for line in answer.split(b"\r\n")
        }


class TestRefusedEarly:
    """With nothing of the body sent, where the server lets the app answer then."""

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            pytest.param(event_headers(signature=FORGED, **{"Content-Length": "1000"}), 401, id="forged"),
            pytest.param(event_headers(**{"Content-Length": str(3 * MIB)}), 413, id="too large"),
            pytest.param(event_headers("unknown", **{"Content-Length": "1000"}), 404, id="no handler"),
            pytest.param(event_headers(**{"ce-time": "now", "Content-Length": "1000"}), 400, id="wrong header"),
        ],
    )
    def test_the_answer_does_not_wait_for_the_body(self, server: Server, headers: Headers, status: int) -> None:
        with server.open_socket() as connection:
            connection.sendall(event_bytes(headers))
            if server.name in HOLD_A_REQUEST_BACK_UNTIL_ALL_OF_IT_IS_THERE:
                connection.sendall(b"x" * int(dict(headers)["Content-Length"]))
            answer = read_answer(connection)
        assert answer is not None
        assert answer.status == status


class TestHeaders:
    @pytest.mark.parametrize("change", [str.lower, str.upper], ids=["lower", "upper"])
    def test_names_may_have_any_case(self, server: Server, change: Any) -> None:
        headers = [(change(name), value) for name, value in event_headers(**{"Content-Length": "2"})]
        answer = send(server, event_bytes(headers), b"hi")
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"#1: hi")
        assert answer.header("ce-connectionState") == encode_states({"count": 1})

    def test_upper_case_hex_is_a_signature(self, server: Server) -> None:
        answer = send(server, event_bytes(event_headers(signature=SIGNATURE.upper(), **{"Content-Length": "2"})), b"hi")
        assert answer is not None
        assert answer.status == 200

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("ce-connectionState", encode_states({"count": 1})),
            ("ce-connectionId", "c2"),
            ("ce-eventName", "message"),
            ("ce-type", "azure.webpubsub.user.message"),
            ("ce-id", "2"),
        ],
    )
    def test_a_header_sent_twice_is_400(self, server: Server, name: str, value: str) -> None:
        headers = [
            *event_headers(**{"Content-Length": "2", "ce-id": "1"}),
            ("ce-connectionState", "e30="),
            (name, value),
        ]
        answer = send(server, event_bytes(headers), b"hi")
        assert answer is not None
        assert answer.status == 400

    @pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
    def test_an_underscore_is_no_way_into_another_hub(self, server: Server, before: bool) -> None:
        headers = event_headers("who", **{"Content-Length": "0"})
        headers.insert(headers.index(("ce-hub", "chat")) + (not before), ("ce_hub", "support"))
        answer = send(server, event_bytes(headers))
        assert answer is not None
        if server.name in TAKE_AN_UNDERSCORE_FOR_A_HYPHEN:
            assert answer.body in {b"None in chat", b"None in support", b"Not Found"}
        else:
            assert answer.body == b"None in chat"

    def test_a_state_over_8_kib_needs_a_server_that_takes_it(self, server: Server) -> None:
        state = {"ce-connectionState": encode_states({"pad": "x" * 8192, "count": 1})}
        answer = send(server, event_bytes(event_headers(**state, **{"Content-Length": "2"})), b"hi")
        assert answer is not None
        # Taken, the count makes an answer with a state that is over our own limit.
        assert answer.status == (431 if server.name in LIMIT_HEADERS_TO_8_KIB else 500)

    @pytest.mark.parametrize(
        "line",
        [
            pytest.param("ce-userId: a\0b", id="NUL in a value"),
            pytest.param("ce-userId: a\rb", id="CR in a value"),
            pytest.param("ce-userId : a", id="blank before the colon"),
            pytest.param("ce-userId", id="no colon"),
            pytest.param("Content-Length: 3", id="two lengths"),
        ],
    )
    def test_a_malformed_line_is_400(self, server: Server, line: str) -> None:
        beginning = event_bytes(event_headers("who", **{"Content-Length": "0"}))
        answer = send(server, beginning.replace(b"ce-hub", line.encode() + b"\r\nce-hub"))
        assert answer is not None
        assert answer.status == 400


class TestBodies:
    @pytest.mark.parametrize("length", ["-1", "+2", "two", "2 2", "0x2"])
    def test_a_malformed_length_is_400(self, server: Server, length: str) -> None:
        answer = send(server, event_bytes(event_headers(**{"Content-Length": length})), b"hi")
        assert answer is not None
        assert answer.status == 400

    def test_a_body_shorter_than_declared_is_never_handled(self, server: Server) -> None:
        answer = send(server, event_bytes(event_headers(**{"Content-Length": "10"})), b"hi", end=True)
        if server.name in HOLD_A_REQUEST_BACK_UNTIL_ALL_OF_IT_IS_THERE:
            assert answer is None
        else:
            assert answer is not None
            assert answer.status == 400

    def test_a_body_longer_than_declared_is_cut(self, server: Server) -> None:
        answer = send(server, event_bytes(event_headers(**{"Content-Length": "2"})), b"hi there")
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"#1: hi")

    def test_a_message_without_a_length_is_empty(self, server: Server) -> None:
        answer = send(server, event_bytes(event_headers()))
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"#1: ")

    def test_a_chunked_body_arrives_whole(self, server: Server) -> None:
        chunked = event_bytes(event_headers(**{"Transfer-Encoding": "chunked"}))
        answer = send(server, chunked, b"2\r\nhi\r\n", b"6\r\n there\r\n", b"0\r\n\r\n")
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"#1: hi there")

    def test_a_chunked_body_of_three_mib_is_413(self, server: Server) -> None:
        chunked = event_bytes(event_headers("size", **{"Transfer-Encoding": "chunked"}))
        answer = send(server, chunked, b"%x\r\n" % (3 * MIB), b"x" * 3 * MIB, b"\r\n0\r\n\r\n")
        assert answer is not None
        assert answer.status == 413

    @pytest.mark.parametrize(
        "body", [pytest.param(b"zz\r\nhi\r\n0\r\n\r\n", id="malformed"), pytest.param(b"5\r\nhi", id="cut")]
    )
    def test_a_broken_chunked_body_is_not_handled(self, server: Server, body: bytes) -> None:
        chunked = event_bytes(event_headers(**{"Transfer-Encoding": "chunked"}))
        answer = send(server, chunked, body, end=True)
        if server.name in TAKE_A_BROKEN_CHUNKED_BODY_FOR_A_WHOLE_ONE:
            assert answer is not None
            assert answer.status == 200
        elif answer is not None:
            assert answer.status == 400

    def test_100_continue_asks_for_the_body(self, server: Server) -> None:
        with server.open_socket() as connection:
            connection.sendall(event_bytes(event_headers(**{"Content-Length": "2", "Expect": "100-continue"})))
            assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
            connection.sendall(b"hi")
            answer = read_answer(connection)
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"#1: hi")


def test_a_chunked_body_that_the_app_has_read_before_still_arrives(app: Flask, wps: WebPubSub) -> None:
    @app.before_request
    def read_it() -> None:
        request.get_data()

    @wps.on_message
    def message(data: str) -> str:
        return data

    environ = EnvironBuilder(path=PATH, method="POST", headers=event_headers()).get_environ()
    environ |= {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": True,
        "wsgi.input": io.BytesIO(b"hi"),
    }
    body, status, _ = run_wsgi_app(app, environ)
    assert (status, b"".join(body)) == ("200 OK", b"hi")


@pytest.mark.parametrize("method", ["PUT", "HEAD", "PATCH", "DELETE", "TRACE", "PURGE"])
def test_another_method_is_405(server: Server, method: str) -> None:
    answer = send(server, event_bytes(event_headers(**{"Content-Length": "0"}), method=method), method=method)
    assert answer is not None
    assert answer.status == 405
    assert {"GET", "OPTIONS", "POST"} <= set((answer.header("Allow") or "").split(", "))
    assert answer.body == b"" or method != "HEAD"


def test_the_log_never_holds_a_key_or_a_signature(server: Server) -> None:
    send(server, event_bytes(event_headers(signature=FORGED, **{"Content-Length": "2"})), b"hi")
    send(server, event_bytes(event_headers(**{"Content-Length": "2"})), b"hi")
    assert "Refused with 401" in server.log
    assert not [secret for secret in (KEY, SIGNATURE, FORGED) if secret.removeprefix("sha256=") in server.log]


@pytest.mark.parametrize("name", ["gunicorn-gthread", "waitress", "granian"])
def test_an_app_answers_through_the_lane_on_real_servers(name: str) -> None:
    with serve(name, APP, env={**ENVIRONMENT, "FLASK_WEBPUBSUB_DIRECT": "true"}) as server:
        client = make_client(server)
        assert client.validate()
        assert client.connect().response == EventErrorResponse("unauthorized", "Sign in first.")
        chat = client.connect("ada")
        assert chat.send_event("door", "") == UserEventResponse("lane")
        for count in (1, 2):
            assert chat.send_text("héllo") == UserEventResponse(f"#{count}: héllo", states={"count": count})
        assert chat.send_event("quiet", "") is None
        assert chat.send_event("size", bytes(MIB)) == UserEventResponse(str(MIB))
        forged = send(server, event_bytes([*event_headers(signature=FORGED), ("Content-Length", "2")]), b"hi")
        assert forged is not None
        assert (forged.status, forged.body) == (401, b"Unauthorized")
        wrong_method = send(server, event_bytes(event_headers(), method="HEAD"), method="HEAD")
        assert wrong_method is not None
        assert (wrong_method.status, wrong_method.body) == (405, b"")


def test_four_workers_keep_the_count_of_a_conversation() -> None:
    def converse(number: int) -> tuple[list[int], set[int]]:
        chat = service.connect(f"user {number}")
        answers: list[Any] = [chat.send_event("worker", "") for _ in range(25)]
        return [answer.data["count"] for answer in answers], {answer.data["pid"] for answer in answers}

    with serve("gunicorn-sync", APP, workers=4, env=ENVIRONMENT) as server, ThreadPoolExecutor(8) as threads:
        service = make_client(server)
        conversations = list(threads.map(converse, range(16)))
    assert [counts for counts, _ in conversations] == [list(range(1, 26))] * 16
    assert max(len(pids) for _, pids in conversations) > 1


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_gone_after_its_block(name: str) -> None:
    with serve(name, APP, workers=2, env=ENVIRONMENT) as server:
        server.open_socket().close()
    # A killed worker's socket goes a moment after it.
    deadline = time.monotonic() + 10
    while answers(server) and time.monotonic() < deadline:
        pass
    assert not answers(server)


def answers(server: Server) -> bool:
    try:
        server.open_socket().close()
    except ConnectionError:
        return False
    return True


def test_a_server_that_does_not_start_says_why() -> None:
    server = serve("gunicorn-sync", APP, env={"FLASK_WEBPUBSUB_CONNECTION_STRING": ""})
    with pytest.raises(RuntimeError, match="WEBPUBSUB_CONNECTION_STRING holds nothing"), server:
        pytest.fail("the server started")


@pytest.mark.parametrize(
    ("event_name", "content_type", "signature", "chunked", "status", "bodies"),
    [
        pytest.param("binary", "application/octet-stream", SIGNATURE, False, 204, 1.1, id="binary: the bytes"),
        pytest.param("stream", "application/octet-stream", SIGNATURE, False, 204, 1.1, id="stream: the bytes"),
        pytest.param("text", "text/plain", SIGNATURE, False, 204, 2.1, id="text: the bytes and the text"),
        pytest.param("binary", "application/octet-stream", SIGNATURE, True, 204, 2.1, id="chunked: twice at most"),
        pytest.param("nothing", "text/plain", SIGNATURE, False, 204, 0.05, id="a handler without data: nothing"),
        pytest.param("text", "text/plain", FORGED, False, 401, 0.05, id="forged: nothing"),
        pytest.param("unknown", "text/plain", SIGNATURE, False, 404, 0.05, id="no handler: nothing"),
    ],
)
def test_a_large_body_is_held_once(
    app: Flask,
    wps: WebPubSub,
    event_name: str,
    content_type: str,
    signature: str,
    chunked: bool,
    status: int,
    bodies: float,
) -> None:
    sizes: list[int] = []

    @wps.on_user_event("binary")
    def binary(data: bytes) -> None:
        sizes.append(len(data))

    @wps.on_user_event("stream")
    def stream(data: BinaryIO) -> None:
        sizes.append(data.seek(0, io.SEEK_END))

    @wps.on_user_event("text")
    def text(data: str) -> None:
        sizes.append(len(data))

    @wps.on_user_event("nothing")
    def nothing(user_id: str | None) -> None:
        """A handler that takes nothing of the body."""

    def call() -> tuple[str, Stream]:
        builder = EnvironBuilder(
            path=PATH, method="POST", headers=event_headers(event_name, signature=signature), content_type=content_type
        )
        environ = builder.get_environ()
        environ["wsgi.input"] = body = Stream(MIB)
        environ |= (
            {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
            if chunked
            else {"CONTENT_LENGTH": str(MIB)}
        )
        started: list[str] = []
        app(environ, lambda answer_status, *_: started.append(answer_status))  # type: ignore[arg-type]
        return started[0], body

    call()  # what is made once for all events does not count
    calls: list[tuple[str, Stream]] = []
    peak = peak_of(lambda: calls.append(call()))
    [(answer_status, body)] = calls
    assert answer_status.startswith(str(status))
    assert peak <= bodies * MIB
    read = event_name in {"binary", "stream", "text"} and status == 204
    assert sizes == ([MIB, MIB] if read else [])
    assert body.left == (0 if read else MIB)
