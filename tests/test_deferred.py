"""What a handler defers: when it is done and when not, and how its process starts, forks and ends with it."""

from __future__ import annotations

import contextvars
import logging
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, Response, abort, current_app, g, has_request_context

from flask_webpubsub import ConnectEventResponse, EventError, EventErrorResponse, UserEventResponse, WebPubSub, defer
from flask_webpubsub import background as background_module
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import CONNECTION_STRING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

pytestmark = pytest.mark.both_doors

SECONDS = 10


def says(text: str) -> partial[None]:
    """A function to log with, whose arguments are partly bound."""
    return partial(fail, text)


def fail(*args: object, **kwargs: object) -> None:
    raise LookupError("on purpose")


# What is done.


def test_what_is_deferred_is_called_with_its_arguments_in_its_order(
    wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    done: list[Any] = []

    def note(*args: Any, **kwargs: Any) -> None:
        done.append((args, kwargs))

    @wps.on_message
    def message(data: str) -> str:
        defer(note, data, 1)
        defer(note, function=2, self=3)
        defer(partial(note, 4), 5, key=6)
        assert done == []
        return "ack"

    assert client.connect().send_text("hi") == UserEventResponse("ack")
    assert done == [(("hi", 1), {}), ((), {"function": 2, "self": 3}), ((4, 5), {"key": 6})]


def test_it_is_not_begun_before_the_response_is_closed(app: Flask, wps: WebPubSub, client: WebPubSubTestClient) -> None:
    done: list[str] = []
    seen: list[tuple[str, int]] = []

    def watch(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        answer = app.wsgi_app(environ, start_response)
        body = [*answer]
        seen.append(("sent", len(done)))
        answer.close()  # type: ignore[attr-defined]
        return body

    @wps.on_message
    def message() -> str:
        defer(done.append, "done")
        return "ack"

    client.wsgi_app = watch
    client.connect().send_text("hi")
    assert seen == [("sent", 0)]
    assert done == ["done"]


def test_the_test_client_waits_for_it(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    release, done = threading.Event(), threading.Event()

    def work() -> None:
        assert release.wait(SECONDS)
        done.set()

    @wps.on_message
    def message() -> None:
        defer(work)

    threading.Timer(0.05, release.set).start()
    client.connect().send_text("hi")
    assert done.is_set()


def test_the_test_client_does_not_wait_for_ever(
    wps: WebPubSub, client: WebPubSubTestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr("flask_webpubsub.testing._DEFERRED_SECONDS", 0.05)

    @wps.on_message
    def message() -> None:
        defer(release.wait, SECONDS)

    try:
        with pytest.raises(TimeoutError, match=r"is not done after 0.05 seconds"):
            client.connect().send_text("hi")
    finally:
        release.set()


def test_it_runs_in_a_context_of_the_app_and_outside_of_the_request(
    app: Flask, wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    seen: list[Any] = []
    ended: list[BaseException | None] = []
    app.teardown_appcontext(lambda error: ended.append(error))

    def look(value: int) -> None:
        seen.append((current_app.name, has_request_context(), g.get("value"), threading.current_thread().name))
        g.value = value

    @wps.on_message
    def message() -> None:
        g.value = 0
        defer(look, 1)
        defer(look, 2)

    client.connect().send_text("hi")
    assert [entry[:3] for entry in seen] == [("app", False, None)] * 2
    assert seen[0][3].startswith("webpubsub-deferred-")
    assert ended == [None, None, None]  # that of the event, and one of each call


def test_context_variables_of_one_are_not_seen_by_the_next(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    variable = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    def count() -> None:
        seen.append(variable.get())
        variable.set(1)

    @wps.on_message
    def message() -> None:
        defer(count)

    chat = client.connect()
    for _ in range(10):
        chat.send_text("hi")
    assert seen == [0] * 10


def test_the_work_of_several_events_is_done_at_the_same_time(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    barrier = threading.Barrier(2)

    @wps.on_message
    def message() -> None:
        defer(barrier.wait, SECONDS)

    chats = [client.connect(), client.connect()]
    threads = [threading.Thread(target=chat.send_text, args=("hi",)) for chat in chats]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not barrier.broken


def test_every_event_can_defer(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    done: list[str] = []

    @wps.on_connect
    def connect() -> ConnectEventResponse:
        defer(done.append, "connect")
        return ConnectEventResponse()

    @wps.on_connected
    def connected() -> None:
        defer(done.append, "connected")

    @wps.on_user_event("*")
    def event(event_name: str) -> None:
        defer(done.append, event_name)

    @wps.on_disconnected
    def disconnected() -> None:
        defer(done.append, "disconnected")

    chat = client.connect()
    chat.send_event("typing", "hi")
    chat.retry()
    chat.disconnect()
    assert done == ["connect", "connected", "typing", "typing", "disconnected"]


def test_coroutine_functions_defer_and_are_deferred(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    pytest.importorskip("asgiref", reason="Flask's extra for async is not installed")
    done: list[str] = []

    async def work(text: str) -> None:
        done.append(f"{current_app.name}: {text}")

    @wps.on_message
    async def message(data: str) -> str:
        defer(work, data)
        defer(partial(work, "again"))
        return "ack"

    assert client.connect().send_text("hi") == UserEventResponse("ack")
    assert done == ["app: hi", "app: again"]


# After which answers.

RETURNED: dict[str, Any] = {
    "nothing": None,
    "text": "ack",
    "a mapping": {"data": "ack"},
    "an error response": EventErrorResponse("userError", "No."),
    "a mapping with a code": {"code": "serverError"},
    "a response": Response("ack", mimetype="text/plain"),
    "a response of an error": Response("no", 418, mimetype="text/plain"),
    "what is ignored": 5,
}


@pytest.mark.parametrize("kind", RETURNED)
def test_it_is_done_after_whatever_the_handler_returned(wps: WebPubSub, client: WebPubSubTestClient, kind: str) -> None:
    done: list[str] = []

    @wps.on_message
    def message() -> Any:
        defer(done.append, "done")
        return RETURNED[kind]

    client.connect().send_text("hi")
    assert done == ["done"]


def abort_it() -> None:
    abort(403)


def raise_event_error() -> None:
    raise EventError("userError", "No.")


def raise_an_exception() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (abort_it, 403),
        (raise_event_error, 400),
        (raise_an_exception, 500),
        (lambda: ("a", "tuple"), 500),
        (lambda: {"unknown": 1}, 500),
        (lambda: {"data": object()}, 500),
        (lambda: Response("<p>", mimetype="text/html"), 500),
    ],
    ids=["abort", "EventError", "exception", "refused type", "refused key", "refused value", "refused response"],
)
def test_it_is_not_done_where_the_handler_did_not_return_an_answer(
    wps: WebPubSub, client: WebPubSubTestClient, end: Callable[[], Any], status: int
) -> None:
    done: list[str] = []

    @wps.on_message
    def message(data: str) -> Any:
        defer(done.append, data)
        return end() if data == "bad" else None

    client.raise_exceptions = False
    wsgi_app = client.wsgi_app
    assert isinstance(wsgi_app, Flask)
    wsgi_app.config["PROPAGATE_EXCEPTIONS"] = False
    chat = client.connect()
    chat.send_text("bad")
    assert chat.answer.status == status
    chat.send_text("good")
    assert done == ["good"]


@pytest.mark.view_only("after_request")
def test_it_is_not_done_where_the_app_gave_another_answer(
    app: Flask, wps: WebPubSub, client: WebPubSubTestClient, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    @app.after_request
    def answer(response: Response) -> Response:
        response.headers["X-Seen"] = "yes"
        return Response("busy", 503, mimetype="text/plain") if response.data == b"bad" else response

    @wps.on_message
    def message(data: str) -> str:
        defer(done.append, data)
        return data

    chat = client.connect()
    chat.send_text("bad")
    assert "The app answered an event with 503 after its handler" in caplog.text
    chat.send_text("good")
    assert (chat.answer.header("X-Seen"), done) == ("yes", ["good"])


# Where there is no handler.

NO_HANDLER = "works while a handler of an event is running, and no handler is"


def test_outside_of_a_handler_it_is_an_error(app: Flask) -> None:
    with pytest.raises(RuntimeError, match=NO_HANDLER):
        defer(print)
    with app.test_request_context(), pytest.raises(RuntimeError, match=NO_HANDLER):
        defer(print)


@pytest.mark.view_only("before_request")
def test_before_the_handler_it_is_an_error(app: Flask, wps: WebPubSub, client: WebPubSubTestClient) -> None:
    seen: list[str] = []

    @app.before_request
    def before() -> None:
        with pytest.raises(RuntimeError, match=NO_HANDLER):
            defer(print)
        seen.append("before")

    @wps.on_message
    def message() -> None:
        seen.append("handler")

    client.connect().send_text("hi")
    assert seen == ["before", "handler"]


def test_within_what_was_deferred_it_is_an_error(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    errors: list[str] = []

    def again() -> None:
        with pytest.raises(RuntimeError) as error:
            defer(print)
        errors.append(str(error.value))

    @wps.on_message
    def message() -> None:
        defer(again)

    client.connect().send_text("hi")
    assert len(errors) == 1
    assert NO_HANDLER in errors[0]


def test_after_the_handler_it_is_an_error_even_in_a_copy_of_its_context(
    wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    contexts: list[contextvars.Context] = []

    @wps.on_message
    def message() -> None:
        contexts.append(contextvars.copy_context())

    client.connect().send_text("hi")
    with pytest.raises(RuntimeError, match=NO_HANDLER):
        contexts[0].run(defer, print)


def test_a_handler_that_sends_an_event_itself_goes_on_to_defer(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    done: list[str] = []

    @wps.on_user_event("inner")
    def inner() -> None:
        defer(done.append, "inner")

    @wps.on_message
    def message() -> None:
        defer(done.append, "first")
        client.connect().send_event("inner", "hi")
        defer(done.append, "second")

    client.connect().send_text("hi")
    assert done == ["inner", "first", "second"]


# Failures.


def leave() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (fail, f"{__name__}.fail"),
        (says("a secret"), f"{__name__}.fail"),
        (leave, f"{__name__}.leave"),
        ("hi".index, "str.index"),
    ],
    ids=["function", "partial", "SystemExit", "method"],
)
def test_what_fails_is_logged_by_name_and_does_not_keep_the_rest_from_being_done(
    wps: WebPubSub,
    client: WebPubSubTestClient,
    caplog: pytest.LogCaptureFixture,
    function: Callable[..., Any],
    name: str,
) -> None:
    done: list[str] = []

    @wps.on_message
    def message() -> str:
        defer(function, *([] if function is leave else ["a secret"]))
        defer(done.append, "done")
        return "ack"

    assert client.connect().send_text("hi") == UserEventResponse("ack")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (record.name, record.getMessage()) == ("flask_webpubsub", f"The deferred function {name} failed.")
    assert record.exc_info is not None
    assert "a secret" not in caplog.text
    assert done == ["done"]


def test_the_context_of_what_fails_is_told_of_the_error(
    app: Flask, wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    ended: list[type | None] = []
    app.teardown_appcontext(lambda error: ended.append(error and type(error)))

    @wps.on_message
    def message() -> None:
        defer(fail)

    client.connect().send_text("hi")
    assert ended == [None, LookupError]


# The threads.


def test_a_flood_is_done_by_who_brings_it(
    wps: WebPubSub, client: WebPubSubTestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_module, "_MAX_WAITING", 0)
    seen: list[threading.Thread] = []

    @wps.on_message
    def message() -> None:
        defer(lambda: seen.append(threading.current_thread()))

    client.connect().send_text("hi")
    assert seen == [threading.current_thread()]


def test_where_no_thread_can_be_started_it_is_done_at_once(
    wps: WebPubSub, client: WebPubSubTestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(background_module, "Thread", NoThread)
    monkeypatch.setattr(background_module, "_backgrounds", {})
    seen: list[threading.Thread] = []

    @wps.on_message
    def message() -> None:
        defer(lambda: seen.append(threading.current_thread()))

    client.connect().send_text("hi")
    assert seen == [threading.current_thread()]


# Processes of their own.

PROGRAM = f"""
import logging, os, sys, threading, time
from flask import Flask
from flask_webpubsub import WebPubSub, background, defer

logging.basicConfig(format="%(levelname)s %(message)s")
app = Flask("app")
app.config.update(WEBPUBSUB_CONNECTION_STRING={CONNECTION_STRING!r}, WEBPUBSUB_HUB="chat")
wps = WebPubSub(app)

def work(text):
    os.write(1, text.encode() + b"\\n")  # in one piece, whatever the other threads write

@wps.on_message
def message(data):
    defer(work, data)

@wps.on_user_event("plain")
def plain():
    pass

def send(event="message"):
    # As a server does, which does not wait for what is deferred.
    client = wps.test_client(app)
    client.wsgi_app = lambda environ, start: app({{**environ, "flask_webpubsub.waiting": None}}, start)
    client.connect("alice").send_event(event, event)

def threads():
    return sorted(thread.name for thread in threading.enumerate())
"""


def run(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program after :data:`PROGRAM`, to its end."""
    return subprocess.run(
        [sys.executable, *options, "-c", PROGRAM + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_app_that_never_defers_has_no_thread() -> None:
    done = run("""
        for _ in range(3):
            send("plain")
        print(threads(), background._backgrounds)
    """)
    assert (done.stdout, done.stderr) == ("['MainThread'] {}\n", "")


def test_an_app_that_defers_has_few_threads_that_start_as_they_are_needed() -> None:
    done = run("""
        count, release = threading.Semaphore(0), threading.Event()
        def work(text):
            count.release()
            release.wait(10)
        send()
        count.acquire()
        print(threads())
        for _ in range(50):
            send()
        for _ in range(3):
            count.acquire()
        print(threads())
        release.set()
    """)
    first = ["MainThread", "webpubsub-deferred-1", "webpubsub-deferred-exit"]
    assert done.stdout.splitlines() == [
        str(first),
        str([*first[:2], *(f"webpubsub-deferred-{number}" for number in (2, 3, 4)), first[2]]),
    ]
    assert done.stderr == ""


def test_the_end_of_a_process_waits_for_what_was_deferred() -> None:
    done = run("""
        def work(text):
            threading.main_thread().join()  # it goes on only when the process is about to end
            os.write(1, b"done\\n")
        for _ in range(6):  # more than there are threads
            send()
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n" * 6, "")


def test_the_end_of_a_process_does_not_wait_for_ever() -> None:
    done = run("""
        background._EXIT_SECONDS = 0.2
        def work(text):
            threading.Event().wait()
        for _ in range(6):
            send()
    """)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "ERROR The process ends before 6 deferred jobs are done.\n"


def test_it_is_done_while_the_process_ends() -> None:
    done = run("""
        import atexit
        atexit.register(send)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "message\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_process_that_was_forked_has_threads_of_its_own(busy: bool) -> None:
    done = run(
        f"""
        release, began = threading.Event(), threading.Event()
        def work(text):
            began.set()
            if os.getpid() == parent:
                release.wait(10)
            os.write(1, b"child\\n" if os.getpid() != parent else b"parent\\n")
        parent = os.getpid()
        if not {busy}:
            release.set()
        for _ in range(6):
            send()
        began.wait(10)
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            release.set()
        else:
            send()
        """,
        *("-W", "ignore::DeprecationWarning"),  # of later Pythons, for any fork where there are threads
    )
    assert done.stderr == ""
    assert sorted(done.stdout.split()) == ["child"] + ["parent"] * 6
