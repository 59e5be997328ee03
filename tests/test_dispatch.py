"""The path of one message: the order of its checks, and what each of them answers."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from flask import Flask, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_webpubsub import ConnectEventRequest, UserEventRequest, UserEventResponse, WebPubSub
from flask_webpubsub.messages import Answer
from flask_webpubsub.signature import sign_connection
from tests.benchmarks.memory import Stream, peak_of
from tests.conftest import HOST, KEY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

pytestmark = pytest.mark.both_doors

PATH = "/runtime/webhooks/webpubsub"
MESSAGE = "azure.webpubsub.user.message"
CONNECT = "azure.webpubsub.sys.connect"


# The tests below send what the test client never would, so they write their requests themselves.


def make_event(
    ce_type: str = MESSAGE,
    body: bytes = b"hi",
    *,
    method: str = "POST",
    path: str = PATH,
    query: str = "",
    key: str = KEY,
    headers: dict[str, str | None] | None = None,
) -> WSGIEnvironment:
    """A signed event as a WSGI server hands it over; a header that is ``None`` is left out."""
    values: dict[str, str | None] = {
        "WebHook-Request-Origin": HOST,
        "ce-type": ce_type,
        "ce-eventName": ce_type.split(".", 3)[3],
        "ce-hub": "chat",
        "ce-connectionId": "c1",
        "ce-signature": sign_connection("c1", [key.encode()]),
        "ce-id": "1",
        "Content-Type": "text/plain" if ".user." in ce_type else "application/json",
        **(headers or {}),
    }
    builder = EnvironBuilder(path=path, method=method, query_string=query, input_stream=io.BytesIO(body))
    environ: WSGIEnvironment = builder.get_environ()
    environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in values.items():
        wsgi_name = name.upper().replace("-", "_")
        wsgi_name = wsgi_name if wsgi_name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{wsgi_name}"
        environ.pop(wsgi_name, None)
        if value is not None:
            environ[wsgi_name] = value
    return environ


def call(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """What a WSGI app answers."""
    body, status, headers = run_wsgi_app(app, environ, buffered=True)
    return Answer(int(status[:3]), list(headers), b"".join(body))


class BodyReadError(BaseException):
    """Raised by a body that nobody may read; not even ``except Exception`` may hide it."""


class Unreadable(io.RawIOBase):
    """A body that nobody may read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise BodyReadError


def never(environ: WSGIEnvironment) -> WSGIEnvironment:
    """The same request, with a body that nobody may read."""
    environ["wsgi.input"] = Unreadable()
    return environ


def ack(request: UserEventRequest) -> str:
    return f"ack {request.data}"


@pytest.fixture
def served(app: Flask, wps: WebPubSub) -> Flask:
    """The app with a handler for messages and one for connect, which read the body."""
    wps.on_message(ack)

    @wps.on_connect
    def connect(request: ConnectEventRequest) -> None: ...

    return app


@pytest.fixture
def guarded(app: Flask) -> Flask:
    """The same with an access code and small bodies."""
    app.config.update(WEBPUBSUB_ACCESS_CODE="the-code", WEBPUBSUB_MAX_BODY_BYTES=1000)
    wps = WebPubSub(app)
    wps.on_message(ack)
    return app


def test_the_event_that_the_others_are_made_of_is_answered(served: Flask) -> None:
    answer = call(served, make_event())

    assert (answer.status, answer.body) == (200, b"ack hi")
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"


# The order of the checks. Each step is wrong together with all that come after it, and its own answer comes.

WRONG: list[tuple[str, int, dict[str, Any]]] = [
    ("method", 405, {"method": "PUT"}),
    ("access code", 401, {"query": "code=wrong"}),
    ("declared size", 413, {"headers": {"Content-Length": "1001"}}),
    ("headers", 400, {"headers": {"ce-type": "nonsense"}}),
    ("handler", 404, {"headers": {"ce-hub": "other"}}),
    ("signature", 401, {"headers": {"ce-signature": "sha256=" + "0" * 64}}),
    ("states", 400, {"headers": {"ce-connectionState": "!"}}),
]


def wrong_from(number: int) -> dict[str, Any]:
    """A request in which every check from a number on fails."""
    made: dict[str, Any] = {"query": "code=the-code"}
    headers: dict[str, str | None] = {}
    for _, _, changes in WRONG[number:]:
        made.update({name: value for name, value in changes.items() if name != "headers"})
        headers.update(changes.get("headers", {}))
    return {**made, "headers": headers}


@pytest.mark.parametrize(("step", "status", "_"), WRONG, ids=[step[0] for step in WRONG])
def test_each_check_goes_before_all_that_follow_and_before_the_body_is_read(
    guarded: Flask, caplog: pytest.LogCaptureFixture, step: str, status: int, _: Any
) -> None:
    number = [name for name, _, _ in WRONG].index(step)
    # An unknown hub with a bad signature is a stranger's, and told nothing: 401.
    expected = 401 if step == "handler" else status

    answer = call(guarded, never(make_event(**wrong_from(number))))

    assert answer.status == expected
    assert len(caplog.records) == 1
    assert caplog.records[0].levelname == "WARNING"


@pytest.mark.parametrize(("step", "status", "changes"), WRONG, ids=[step[0] for step in WRONG])
def test_each_check_alone_refuses_before_the_body_is_read(
    guarded: Flask, caplog: pytest.LogCaptureFixture, step: str, status: int, changes: dict[str, Any]
) -> None:
    answer = call(guarded, never(make_event(**{"query": "code=the-code", **changes})))

    assert answer.status == status
    assert f"Refused with {status}" in caplog.text
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    # Short, and nothing of what is inside.
    assert answer.body.decode() == HTTPStatus(status).phrase


def test_no_handler_is_called_for_a_refused_event(app: Flask, wps: WebPubSub) -> None:
    calls = 0

    @wps.on_message
    def message(data: str) -> None:
        nonlocal calls
        calls += 1

    refused: list[dict[str, Any]] = [
        {"headers": {"ce-signature": None}},
        {"headers": {"ce-connectionState": "!"}},
        {"headers": {"Content-Type": "image/png"}},
        {"body": b"\xff"},
    ]
    assert [call(app, make_event(**changes)).status for changes in refused] == [401, 400, 400, 400]
    assert calls == 0
    assert call(app, make_event()).status == 204
    assert calls == 1


# A stranger learns nothing.

STRANGERS: dict[str, dict[str, Any]] = {
    "no signature": {"ce-signature": None},
    "another key": {"ce-signature": sign_connection("c1", [b"another"])},
    "another connection": {"ce-connectionId": "c2"},
    "another origin": {"WebHook-Request-Origin": "evil.example"},
}
UNKNOWN: dict[str, tuple[str, dict[str, str | None], str]] = {
    "hub": (MESSAGE, {"ce-hub": "other"}, "@wps.on_message(hub='other')"),
    "user event": ("azure.webpubsub.user.typing", {}, "@wps.on_user_event('typing', hub='chat')"),
    "system event": ("azure.webpubsub.sys.disconnected", {}, "@wps.on_disconnected(hub='chat')"),
    "presence event": ("azure.webpubsub.gp.joined", {}, "@wps.on_group_joined(hub='chat')"),
    "event of the future": (
        "azure.webpubsub.sys.renamed",
        {},
        "@wps.trigger('renamed', event_type='system', hub='chat')",
    ),
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_a_stranger_is_not_told_which_handlers_there_are(served: Flask, stranger: str, unknown: str) -> None:
    ce_type, headers, _ = UNKNOWN[unknown]
    with_handler = call(served, never(make_event(headers=STRANGERS[stranger])))
    without = call(served, never(make_event(ce_type, headers={**headers, **STRANGERS[stranger]})))

    assert with_handler == without
    assert without.status == 401


@pytest.mark.parametrize(("ce_type", "headers", "decorator"), UNKNOWN.values(), ids=UNKNOWN)
def test_the_service_is_told_that_there_is_no_handler_and_the_log_which_decorator_to_add(
    served: Flask, caplog: pytest.LogCaptureFixture, ce_type: str, headers: dict[str, str | None], decorator: str
) -> None:
    answer = call(served, never(make_event(ce_type, headers=headers)))

    assert (answer.status, answer.body) == (404, b"Not Found")
    assert len(caplog.records) == 1
    assert decorator in caplog.text
    assert "['chat']" in caplog.text


def test_an_unsigned_app_has_no_strangers(app: Flask) -> None:
    app.config["WEBPUBSUB_ALLOW_UNSIGNED"] = True
    WebPubSub(app)

    assert call(app, make_event(headers={"ce-signature": None})).status == 404


def test_one_unsigned_handler_does_not_open_the_rest(app: Flask, wps: WebPubSub) -> None:
    wps.on_message(connection=None)(ack)
    wps.on_user_event("typing")(ack)
    unsigned: dict[str, str | None] = {"ce-signature": None, "WebHook-Request-Origin": "anybody.example"}

    assert call(app, make_event(headers=unsigned)).status == 200
    assert call(app, make_event("azure.webpubsub.user.typing", headers=unsigned)).status == 401
    assert call(app, make_event("azure.webpubsub.user.other", headers=unsigned)).status == 401


# The access code.


def with_codes(codes: Any) -> Flask:
    app = Flask("app")
    app.config.update(TESTING=True, WEBPUBSUB_HUB="chat", WEBPUBSUB_ACCESS_CODE=codes)
    app.config["WEBPUBSUB_CONNECTION_STRING"] = f"Endpoint=https://{HOST};AccessKey={KEY};"
    WebPubSub(app).on_message(ack)
    return app


CODES: dict[str, tuple[Any, str, str | None, bool]] = {
    "in the query": ("one", "code=one", None, True),
    "in the header": ("one", "", "one", True),
    "in both, the query's wrong": ("one", "code=two", "one", True),
    "in both, the header's wrong": ("one", "code=one", "two", True),
    "the first of two": (["one", "two"], "code=one", None, True),
    "the second of two": (["one", "two"], "code=two", None, True),
    "the last of several in the query": ("one", "code=&code=two&code=one", None, True),
    "among other parameters": ("one", "a=1&code=one&b=2", None, True),
    "with signs that are quoted": ("a+b/c=d &e", "code=" + quote("a+b/c=d &e"), None, True),
    "UTF-8 in the query": ("ключ", "code=" + quote("ключ"), None, True),
    "UTF-8 in the header": ("ключ", "", "ключ".encode().decode("latin-1"), True),
    "missing": ("one", "", None, False),
    "empty": ("one", "code=", None, False),
    "without a value": ("one", "code", None, False),
    "empty header": ("one", "", "", False),
    "wrong": ("one", "code=two", None, False),
    "in another case": ("one", "code=ONE", None, False),
    "parameter in another case": ("one", "CODE=one", None, False),
    "the beginning": ("one", "code=on", None, False),
    "longer": ("one", "code=one1", None, False),
    "two in one": (["one", "two"], "code=one,two", None, False),
    "bytes that are no UTF-8": ("one", "code=%FF", None, False),
    "a header that is no UTF-8": ("one", "", "\xff", False),
    "UTF-8 that is wrong": ("ключ", "code=" + quote("клюк"), None, False),
}


@pytest.mark.parametrize(("codes", "query", "header", "accepted"), CODES.values(), ids=CODES)
def test_the_access_code_is_compared(codes: Any, query: str, header: str | None, accepted: bool) -> None:
    app = with_codes(codes)
    headers = {"x-functions-key": header}

    event = make_event(query=query, headers=headers)
    validation = make_event(method="OPTIONS", query=query, body=b"", headers=headers)
    if not accepted:
        never(event)

    assert call(app, event).status == (200 if accepted else 401)
    answer = call(app, validation)
    assert answer.status == (200 if accepted else 401)
    assert (answer.header("WebHook-Allowed-Origin") is not None) == accepted


def test_an_app_without_a_code_takes_any(served: Flask) -> None:
    environ = make_event(query="code=anything", headers={"x-functions-key": "anything"})

    assert call(served, environ).status == 200


# The size of the body.


@pytest.fixture(params=["own limit", "the app's limit"])
def small(request: pytest.FixtureRequest, app: Flask) -> Flask:
    key = "WEBPUBSUB_MAX_BODY_BYTES" if request.param == "own limit" else "MAX_CONTENT_LENGTH"
    app.config[key] = 10
    wps = WebPubSub(app)
    wps.on_message(ack)
    wps.on_user_event("unread")(lambda: "ack")
    return app


def chunked(environ: WSGIEnvironment) -> WSGIEnvironment:
    """The same request as a server hands over a chunked body."""
    del environ["CONTENT_LENGTH"]
    environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    environ["wsgi.input_terminated"] = True
    return environ


def test_a_body_of_the_limit_is_taken(small: Flask) -> None:
    assert call(small, make_event(body=b"0123456789")).body == b"ack 0123456789"
    assert call(small, chunked(make_event(body=b"0123456789"))).body == b"ack 0123456789"


def test_a_body_over_the_limit_is_413(small: Flask, caplog: pytest.LogCaptureFixture) -> None:
    assert call(small, never(make_event(body=b"0123456789a"))).status == 413
    assert call(small, chunked(make_event(body=b"0123456789a"))).status == 413
    assert [record.getMessage().count("limit") for record in caplog.records] == [1, 1]


def test_a_declared_size_over_the_limit_is_413_even_where_the_body_is_not_read(small: Flask) -> None:
    environ = make_event("azure.webpubsub.user.unread", b"0123456789a")

    assert call(small, never(environ)).status == 413


def test_the_default_limit_is_two_mebibytes(served: Flask) -> None:
    size = 2 * 1024 * 1024

    assert call(served, make_event(body=b"a" * size)).status == 200
    assert call(served, never(make_event(headers={"Content-Length": str(size + 1)}))).status == 413
    assert call(served, never(make_event(headers={"Content-Length": str(3 * 1024 * 1024)}))).status == 413


def test_a_body_shorter_than_declared_is_400(served: Flask, caplog: pytest.LogCaptureFixture) -> None:
    assert call(served, make_event(body=b"hi", headers={"Content-Length": "3"})).status == 400
    assert "bytes where 3 were declared" in caplog.text


def test_no_more_than_the_declared_body_is_read(served: Flask) -> None:
    # What follows on the connection is the next request.
    assert call(served, make_event(body=b"hi there", headers={"Content-Length": "2"})).body == b"ack hi"


class Dripping(io.RawIOBase):
    """A body that comes byte by byte."""

    def __init__(self, body: bytes) -> None:
        self._body = io.BytesIO(body)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._body.read(1)
        buffer[: len(part)] = part
        return len(part)


def test_a_body_that_comes_in_pieces_is_read_whole(served: Flask) -> None:
    for prepare in (lambda environ: environ, chunked):
        environ = prepare(make_event(body=b"piece by piece"))
        environ["wsgi.input"] = Dripping(b"piece by piece")
        assert call(served, environ).body == b"ack piece by piece"


def test_an_event_without_a_body_has_empty_data(served: Flask) -> None:
    assert call(served, make_event(body=b"")).body == b"ack "
    assert call(served, make_event(body=b"", headers={"Content-Length": None})).body == b"ack "


@pytest.mark.parametrize("length", ["abc", "-5", "1e3", "9" * 5000], ids=lambda length: length[:5])
def test_a_content_length_that_is_none_is_no_500(served: Flask, length: str) -> None:
    assert 200 <= call(served, make_event(headers={"Content-Length": length})).status < 500


READ_BEFORE: dict[str, Callable[[], object]] = {
    "as bytes": lambda: request.get_data(),
    "as JSON": lambda: request.get_json(silent=True, force=True),
    "as a form": lambda: request.form,
    "as bytes, twice": lambda: (request.get_data(), request.get_data()),
}


@pytest.mark.view_only("before_request")
@pytest.mark.parametrize("prepare", [lambda environ: environ, chunked], ids=["sized", "chunked"])
@pytest.mark.parametrize("read", READ_BEFORE.values(), ids=READ_BEFORE)
def test_a_body_that_a_before_request_has_read_is_still_there(
    served: Flask, read: Callable[[], object], prepare: Callable[[WSGIEnvironment], WSGIEnvironment]
) -> None:
    @served.before_request
    def look() -> None:
        read()

    assert call(served, prepare(make_event())).body == b"ack hi"


@pytest.mark.view_only("before_request")
def test_a_body_that_a_before_request_has_thrown_away_is_400(served: Flask) -> None:
    @served.before_request
    def drain() -> None:
        request.stream.read()

    assert call(served, make_event()).status == 400


# The body is read for who takes it, and for nobody else.

BODY_ARGUMENTS = [
    ("on_message", "data", True),
    ("on_message", "request", True),
    ("on_message", "data_type", False),
    ("on_message", "metadata", False),
    ("on_message", "user_properties", False),
    ("on_connect", "claims", True),
    ("on_connect", "query", True),
    ("on_connect", "headers", True),
    ("on_connect", "subprotocols", True),
    ("on_connect", "client_certificates", True),
    ("on_connect", "mqtt", True),
    ("on_disconnected", "reason", True),
    ("on_disconnected", "mqtt", True),
    ("on_group_joined", "group", True),
    ("on_group_left", "group", True),
    ("on_connected", "request", False),
]
HEADER_ARGUMENTS = ["connection_context", "states", "user_id", "connection_id", "hub", "event_name"]
TYPES = {
    "on_message": MESSAGE,
    "on_connect": CONNECT,
    "on_connected": "azure.webpubsub.sys.connected",
    "on_disconnected": "azure.webpubsub.sys.disconnected",
    "on_group_joined": "azure.webpubsub.gp.joined",
    "on_group_left": "azure.webpubsub.gp.left",
}
CASES = [*BODY_ARGUMENTS, *((decorator, name, False) for decorator in TYPES for name in HEADER_ARGUMENTS)]


@pytest.mark.parametrize(("decorator", "name", "reads"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_the_body_is_read_where_the_handler_takes_something_of_it(
    app: Flask, wps: WebPubSub, decorator: str, name: str, reads: bool
) -> None:
    namespace: dict[str, Any] = {}
    exec(f"def handler({name}): pass", namespace)
    getattr(wps, decorator)(namespace["handler"])
    environ = never(make_event(TYPES[decorator]))

    if reads:
        with pytest.raises(BodyReadError):
            call(app, environ)
    else:
        assert call(app, environ).status == 204


def test_a_malformed_body_that_nobody_reads_goes_unnoticed(app: Flask, wps: WebPubSub) -> None:
    @wps.on_connect
    def connect(user_id: str) -> None: ...

    assert call(app, make_event(CONNECT, b"{")).status == 204


def test_the_body_is_decoded_whole_whichever_part_is_taken(app: Flask, wps: WebPubSub) -> None:
    @wps.on_connect
    def connect(query: Any) -> None: ...

    @wps.on_message
    def message(data: bytes) -> None: ...

    assert call(app, make_event(CONNECT, b'{"query": {}, "claims": 5}')).status == 400
    assert call(app, make_event(body=b"{", headers={"Content-Type": "application/json"})).status == 400


# Logs.

INJECTIONS: dict[str, tuple[dict[str, str | None], int]] = {
    "event name": ({"ce-type": f"{MESSAGE}\nFAKE", "ce-eventName": "message\nFAKE"}, 400),
    "event name that differs": ({"ce-eventName": "x\r\nFAKE"}, 400),
    "hub": ({"ce-hub": "x\nFAKE"}, 400),
    "connection id": ({"ce-connectionId": "x\nFAKE"}, 400),
    "user id": ({"ce-userId": "x\nFAKE"}, 400),
    "user id folded with a tab": ({"ce-userId": "x\tce-hub: FAKE"}, 400),
    "origin": ({"WebHook-Request-Origin": "x\x0bFAKE\nFAKE"}, 401),
    "time": ({"ce-time": "x\nFAKE"}, 400),
    "signature": ({"ce-signature": "sha256=\nFAKE"}, 401),
    "content type": ({"Content-Type": "x\nFAKE"}, 400),
    "states": ({"ce-connectionState": "x\nFAKE"}, 400),
    "request id": ({"x-ms-client-request-id": "x\nFAKE", "ce-signature": None}, 401),
}


@pytest.mark.parametrize(("headers", "status"), INJECTIONS.values(), ids=INJECTIONS)
def test_nothing_from_the_wire_can_begin_a_line_in_the_log(
    served: Flask, caplog: pytest.LogCaptureFixture, headers: dict[str, str | None], status: int
) -> None:
    assert call(served, make_event(headers=headers)).status == status

    assert len(caplog.records) == 1
    assert not any(sign in caplog.records[0].getMessage() for sign in "\n\r\x0b")


def test_the_services_request_id_is_in_the_log_line(served: Flask, caplog: pytest.LogCaptureFixture) -> None:
    call(served, make_event(headers={"ce-signature": None, "x-ms-client-request-id": "4711"}))

    assert "request '4711'" in caplog.text


# Costs.


@pytest.mark.parametrize("annotation", [str, None, bytes], ids=["str", "unannotated", "bytes"])
def test_a_large_text_is_in_memory_once_as_bytes_and_once_as_text(app: Flask, wps: WebPubSub, annotation: Any) -> None:
    size = 1024 * 1024

    def message(data: Any) -> None: ...

    if annotation is None:
        del message.__annotations__["data"]
    else:
        message.__annotations__["data"] = annotation
    wps.on_message(message)
    call(app, make_event())
    environ = make_event(body=b"a" * size)

    environ["wsgi.input"] = Stream(size)

    def receive() -> None:
        assert call(app, environ).status == 204

    assert peak_of(receive) < 2.2 * size


# The handler's answer and its log.


def test_a_handler_that_raises_reaches_flask_untouched(served: Flask, wps: WebPubSub) -> None:
    served.testing = False

    @wps.on_user_event("fail")
    def fail() -> None:
        raise LookupError("the secret of the handler")

    answer = call(served, make_event("azure.webpubsub.user.fail"))
    assert answer.status == 500
    assert b"secret" not in answer.body


def test_a_handled_event_writes_no_log_line(served: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    assert call(served, make_event()).status == 200
    assert [record for record in caplog.records if record.name == "flask_webpubsub"] == []


def test_a_test_of_the_shipped_client_sends_the_same(wps: WebPubSub, served: Flask) -> None:
    assert wps.test_client(served).connect().send_text("hi") == UserEventResponse("ack hi")
