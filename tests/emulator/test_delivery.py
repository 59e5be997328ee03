"""Events on their way to an app: against a real server, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from flask_webpubsub import (
    ConnectedEventRequest,
    ConnectEventRequest,
    ConnectEventResponse,
    DisconnectedEventRequest,
    EventErrorResponse,
    GroupJoinedEventRequest,
    UserEventRequest,
    UserEventResponse,
    WebPubSubConnectionContext,
    WebPubSubDataType,
    WebPubSubEventRequest,
    WebPubSubEventType,
)
from flask_webpubsub.emulator.delivery import EventSender, Outcome
from flask_webpubsub.emulator.event_log import EventLog
from flask_webpubsub.emulator.faults import Faults
from flask_webpubsub.emulator.hub import Connection, Hub
from flask_webpubsub.emulator.options import EventHandler, HubSettings, Options
from flask_webpubsub.emulator.validation import pause_after
from tests.emulator.parts import in_loop
from tests.emulator.receivers import Receiver, Reply

PRIMARY = "the-primary-key-of-a-service-that-is-only-a-test"
SECONDARY = "the-secondary-key-of-a-service-that-is-only-a-test"
ORIGIN = "contoso.example"
STATES = base64.b64encode(b'{"n":1}').decode()


class Scene:
    """A sender, and a connection that it sends events of."""

    def __init__(self, handlers: list[EventHandler], **options: Any) -> None:
        self.options = Options.fast(default_hub=HubSettings(event_handlers=handlers), **options)
        self.events = EventLog()
        self.faults = Faults(lambda connection_id: False)
        self.sender = EventSender(
            self.options, origin=ORIGIN, keys=[PRIMARY, SECONDARY], events=self.events, faults=self.faults
        )
        self.hub = Hub("chat")
        self.connection = self.connect("c1")

    async def __aenter__(self) -> Scene:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.sender.close()

    def connect(self, connection_id: str, user_id: str | None = "alice") -> Connection:
        return Connection(self.hub, connection_id, user_id=user_id)

    async def send(self, request: WebPubSubEventRequest, connection: Connection | None = None) -> Outcome:
        return await self.sender.send(connection or self.connection, request)

    async def message(self, data: Any = "hi", connection: Connection | None = None, **context: Any) -> Outcome:
        return await self.send(message(data, connection or self.connection, **context), connection)


def scene(receiver: Receiver, path: str = "/hook", **options: Any) -> Scene:
    return Scene([EventHandler(url_template=receiver.url + path)], **options)


def context(
    event_name: str, event_type: WebPubSubEventType, connection: Connection | None = None, **fields: Any
) -> WebPubSubConnectionContext:
    own: dict[str, Any] = {
        "hub": "chat",
        "connection_id": "c1" if connection is None else connection.connection_id,
        "user_id": "alice" if connection is None else connection.user_id,
        "event_id": "7",
        "time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    return WebPubSubConnectionContext(event_type=event_type, event_name=event_name, **{**own, **fields})


def system(event_name: str, **fields: Any) -> WebPubSubConnectionContext:
    return context(event_name, WebPubSubEventType.SYSTEM, **fields)


def message(data: Any = "hi", connection: Connection | None = None, **fields: Any) -> UserEventRequest:
    data_type = WebPubSubDataType.TEXT if isinstance(data, str) else WebPubSubDataType.JSON
    own = context(fields.pop("event_name", "message"), WebPubSubEventType.USER, connection, **fields)
    return UserEventRequest(connection_context=own, data=data, data_type=data_type)


CONNECT = ConnectEventRequest(
    connection_context=system("connect", event_id="0", subprotocol=None),
    claims={"sub": ["alice"]},
    query={"room": ["1"]},
    headers={"Host": ["localhost"]},
    subprotocols=["json.webpubsub.azure.v1"],
)
CONNECTED = ConnectedEventRequest(connection_context=system("connected"))
DISCONNECTED = DisconnectedEventRequest(connection_context=system("disconnected"), reason="bye")
JOINED = GroupJoinedEventRequest(connection_context=context("joined", WebPubSubEventType.PRESENCE), group="g")


def signature(key: str, connection_id: str = "c1") -> str:
    return "sha256=" + hmac.new(key.encode(), connection_id.encode(), hashlib.sha256).hexdigest()


# What goes out.


@in_loop
async def test_a_message_has_exactly_the_services_headers(receiver: Receiver) -> None:
    async with scene(receiver, "/hook?code=sesame") as s:
        s.connection.states = {"n": 1}
        await s.message("hä", subprotocol="json.webpubsub.azure.v1")
    (event,) = receiver.events
    assert (event.path, event.body) == ("/hook?code=sesame", "hä".encode())
    assert dict(event.headers) == {
        "Host": receiver.url.removeprefix("http://"),
        "WebHook-Request-Origin": ORIGIN,
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": "3",
        "ce-specversion": "1.0",
        "ce-awpsversion": "1.0",
        "ce-type": "azure.webpubsub.user.message",
        "ce-source": "/hubs/chat/client/c1",
        "ce-id": "7",
        "ce-time": "2026-01-02T03:04:05Z",
        "ce-signature": f"{signature(PRIMARY)},{signature(SECONDARY)}",
        "ce-hub": "chat",
        "ce-connectionId": "c1",
        "ce-eventName": "message",
        "ce-userId": "alice",
        "ce-subprotocol": "json.webpubsub.azure.v1",
        "ce-connectionState": STATES,
    }


@pytest.mark.parametrize(
    ("request_", "event_type", "body"),
    [
        pytest.param(
            CONNECT,
            "azure.webpubsub.sys.connect",
            {
                "claims": {"sub": ["alice"]},
                "query": {"room": ["1"]},
                "headers": {"Host": ["localhost"]},
                "subprotocols": ["json.webpubsub.azure.v1"],
                "clientCertificates": [],
            },
            id="connect",
        ),
        pytest.param(CONNECTED, "azure.webpubsub.sys.connected", {}, id="connected"),
        pytest.param(DISCONNECTED, "azure.webpubsub.sys.disconnected", {"reason": "bye"}, id="disconnected"),
        pytest.param(JOINED, "azure.webpubsub.gp.joined", {"group": "g"}, id="joined"),
    ],
)
def test_the_body_of_an_event_is_its_json(
    receiver: Receiver, request_: WebPubSubEventRequest, event_type: str, body: Any
) -> None:
    @in_loop
    async def run() -> None:
        async with scene(receiver) as s:
            outcome = await s.send(request_)
            assert not outcome.failed

    run()
    (event,) = receiver.events
    assert event.header("ce-type") == event_type
    assert event.header("Content-Type") == "application/json; charset=utf-8"
    assert json.loads(event.body) == body


@in_loop
async def test_an_empty_message_has_a_body_of_no_bytes(receiver: Receiver) -> None:
    async with scene(receiver) as s:
        await s.message("")
    assert receiver.events[0].header("Content-Length") == "0"


@in_loop
async def test_a_user_id_goes_out_as_utf_8(receiver: Receiver) -> None:
    async with scene(receiver) as s:
        await s.message(connection=s.connect("c2", "Zoë 日本"))
    assert receiver.events[0].header("ce-userId") == "Zoë 日本".encode().decode("latin-1")


@in_loop
async def test_an_anonymous_connection_has_no_user_id(receiver: Receiver) -> None:
    async with scene(receiver) as s:
        await s.message(connection=s.connect("c2", None))
    assert receiver.events[0].header("ce-userId") is None


@in_loop
async def test_a_user_id_that_would_break_the_headers_is_never_sent(receiver: Receiver) -> None:
    async with scene(receiver) as s:
        outcome = await s.message(connection=s.connect("c2", "a\r\nce-hub: other"))
    assert outcome.failed
    assert receiver.events == []


# Where it goes.


@pytest.mark.parametrize(
    ("template", "hub", "event", "path"),
    [
        ("/{hub}/api/{event}", "chat", "message", "/chat/api/message"),
        ("/{HUB}?e={Event}", "chat", "room.moved", "/chat?e=room.moved"),
        ("/x/{hub}", "a`b,[c]", "message", "/x/a%60b%2C%5Bc%5D"),
        ("/{other}", "chat", "message", "/{other}"),
    ],
)
def test_a_url_template_is_filled_in_and_escaped(
    receiver: Receiver, template: str, hub: str, event: str, path: str
) -> None:
    @in_loop
    async def run() -> None:
        async with scene(receiver, template) as s:
            await s.message(hub=hub, event_name=event)

    run()
    assert receiver.events[0].path == path


@in_loop
async def test_the_validation_goes_to_the_event_validate(receiver: Receiver) -> None:
    async with scene(receiver, "/{hub}/{event}") as s:
        await s.message()
    assert [(request.method, request.path) for request in receiver.received] == [
        ("OPTIONS", "/chat/validate"),
        ("POST", "/chat/message"),
    ]


HANDLERS = [
    ("/a", "typing, Moved", ["connected"]),
    ("/b", "moved,ping", ["connect", "connected"]),
    ("/c", "*", []),
]


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        pytest.param(message(event_name="typing"), "/a", id="listed"),
        pytest.param(message(event_name="MOVED"), "/a", id="in-another-case-and-the-first-of-two"),
        pytest.param(message(event_name="ping"), "/b", id="second"),
        pytest.param(message(event_name="else"), "/c", id="any-other"),
        pytest.param(CONNECT, "/b", id="connect"),
        pytest.param(CONNECTED, "/a", id="connected"),
        pytest.param(DISCONNECTED, None, id="unwanted"),
    ],
)
def test_the_first_handler_that_takes_an_event_gets_it(
    receiver: Receiver, request_: WebPubSubEventRequest, path: str | None
) -> None:
    @in_loop
    async def run() -> None:
        handlers = [
            EventHandler(url_template=receiver.url + at, user_events=user, system_events=events)
            for at, user, events in HANDLERS
        ]
        async with Scene(handlers) as s:
            outcome = await s.send(request_)
            assert outcome.unhandled == (path is None)

    run()
    assert [event.path for event in receiver.events] == ([] if path is None else [path])


@in_loop
async def test_a_message_that_no_handler_takes_is_in_the_log(receiver: Receiver) -> None:
    async with Scene([EventHandler(url_template=receiver.url, user_events="typing")]) as s:
        outcome = await s.message()
    assert outcome == Outcome(unhandled=True)
    assert [(event.event_name, event.tries) for event in s.events] == [("message", 0)]
    assert "user events" in (s.events[0].error or "")
    assert receiver.received == []


# What comes back.


@pytest.mark.parametrize(
    ("reply", "response"),
    [
        (Reply(204), None),
        (Reply(200, {"Content-Type": "text/plain"}, b"ho"), UserEventResponse("ho")),
        (Reply(200, {"Content-Type": "application/json"}, b"[1]"), UserEventResponse([1])),
        (Reply(200, {}, b"ho"), UserEventResponse(b"ho")),
        (Reply(200, {"Content-Type": "text/plain", "ce-connectionState": STATES}, b"a"), UserEventResponse("a")),
    ],
    ids=["empty", "text", "json", "no-type", "states"],
)
def test_an_answer_to_a_message_is_read(receiver: Receiver, reply: Reply, response: Any) -> None:
    receiver.replies.append(reply)

    @in_loop
    async def run() -> None:
        async with scene(receiver) as s:
            outcome = await s.message()
            assert not outcome.failed
            if response is not None and "ce-connectionState" in reply.headers:
                assert s.connection.states == {"n": 1}
                response.states = {"n": 1}
            assert outcome.response == response
            assert [(event.response, event.error) for event in s.events] == [(response, None)]

    run()


@in_loop
async def test_the_json_of_a_connect_answer_is_read_whatever_its_type(receiver: Receiver) -> None:
    receiver.replies.append(Reply(200, {"Content-Type": "text/html"}, b'{"userId": "bob", "roles": []}'))
    async with scene(receiver) as s:
        outcome = await s.send(CONNECT)
    assert outcome.response == ConnectEventResponse(user_id="bob", roles=[])


@in_loop
async def test_a_refused_connect_has_the_apps_status_and_words(receiver: Receiver) -> None:
    receiver.replies.append(Reply(403, {"Content-Type": "text/x-sorry"}, b"Not today."))
    async with scene(receiver) as s:
        outcome = await s.send(CONNECT)
    assert outcome.failed
    assert (outcome.status, outcome.body, outcome.content_type) == (403, b"Not today.", "text/x-sorry")
    assert outcome.response == EventErrorResponse(403, "Not today.")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {"Content-Type": "application/json"}, b"{"),
        Reply(200, {"Content-Type": "application/json"}, b'{"groups": "g"}'),
        Reply(302, {"Location": "/login"}),
    ],
    ids=["broken", "wrong-type", "redirect"],
)
def test_a_connect_answer_that_is_none_is_a_500(receiver: Receiver, reply: Reply) -> None:
    receiver.replies.append(reply)

    @in_loop
    async def run() -> None:
        async with scene(receiver) as s:
            outcome = await s.send(CONNECT)
        assert (outcome.failed, outcome.status, outcome.body) == (True, 500, b"")

    run()
    assert len(receiver.events) == 1  # a redirect is not followed


@in_loop
async def test_an_answer_that_is_too_large_fails(receiver: Receiver) -> None:
    receiver.replies.append(Reply(200, {"Content-Type": "text/plain"}, b"x" * 2001))
    receiver.replies.append(Reply(200, {"Content-Type": "text/plain"}, b"x" * 2000))
    async with scene(receiver, max_answer_bytes=2000) as s:
        assert (await s.message()).failed
        assert not (await s.message()).failed
    assert "2000 bytes" in (s.events[0].error or "")


# States.


@pytest.mark.parametrize(
    ("request_", "reply", "states"),
    [
        (message(), Reply(204, {"ce-connectionState": STATES}), {"n": 1}),
        (CONNECT, Reply(204, {"ce-connectionState": STATES}), {"n": 1}),
        (message(), Reply(204, {"ce-connectionState": ""}), {}),
        (message(), Reply(204), {"old": True}),
        (CONNECTED, Reply(204, {"ce-connectionState": STATES}), {"old": True}),
        (message(), Reply(400, {"ce-connectionState": STATES}), {"old": True}),
    ],
    ids=["message", "connect", "empty-replaces", "absent-keeps", "connected-can-not", "failure-can-not"],
)
def test_only_a_good_answer_to_a_blocking_event_replaces_the_states(
    receiver: Receiver, request_: WebPubSubEventRequest, reply: Reply, states: Any
) -> None:
    receiver.replies.append(reply)

    @in_loop
    async def run() -> None:
        async with scene(receiver) as s:
            s.connection.states = {"old": True}
            await s.send(request_)
            assert s.connection.states == states

    run()


# Cookies.


@in_loop
async def test_cookies_come_back_on_later_events_of_the_same_connection(receiver: Receiver) -> None:
    receiver.replies.append(Reply(204, {"Set-Cookie": "session=a.b-c; HttpOnly; Path=/"}))
    async with scene(receiver) as s:
        other = s.connect("c2")
        for connection in (s.connection, s.connection, other, s.connection):
            await s.message(connection=connection)
    assert [event.header("Cookie") for event in receiver.events] == [None, "session=a.b-c", None, "session=a.b-c"]


@in_loop
async def test_a_cookie_that_ends_is_not_sent_again(receiver: Receiver) -> None:
    receiver.replies += [
        Reply(204, {"Set-Cookie": "a=1"}),
        Reply(204, {"Set-Cookie": "a=; Max-Age=0"}),
    ]
    async with scene(receiver) as s:
        for _ in range(3):
            await s.message()
    assert [event.header("Cookie") for event in receiver.events] == [None, "a=1", None]


@in_loop
async def test_the_cookie_of_a_failed_answer_is_not_kept(receiver: Receiver) -> None:
    receiver.replies.append(Reply(400, {"Set-Cookie": "a=1"}))
    async with scene(receiver) as s:
        await s.message()
        await s.message()
    assert receiver.events[1].header("Cookie") is None


@in_loop
async def test_a_cookie_for_another_path_is_not_sent(receiver: Receiver) -> None:
    receiver.replies.append(Reply(204, {"Set-Cookie": "a=1; Path=/elsewhere"}))
    async with scene(receiver) as s:
        await s.message()
        await s.message()
    assert receiver.events[1].header("Cookie") is None


# Again.

DELAYS: dict[str, Any] = {"retry_delays": (0.01, 0.02, 0.03)}


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_a_passing_failure_is_tried_four_times_with_the_same_event(receiver: Receiver, status: int) -> None:
    receiver.default = Reply(status, {"Content-Type": "text/plain"}, b"no")

    @in_loop
    async def run() -> None:
        async with scene(receiver, **DELAYS) as s:
            outcome = await s.send(CONNECT)
            assert (outcome.failed, outcome.status, outcome.body) == (True, status, b"no")
            assert s.events[0].tries == 4

    run()
    assert [event.header("ce-id") for event in receiver.events] == ["0"] * 4
    assert len({str(event) for event in receiver.events}) == 1


@in_loop
async def test_a_later_try_may_succeed(receiver: Receiver) -> None:
    receiver.replies += [Reply(500), Reply(503), Reply(200, {"Content-Type": "text/plain"}, b"ho")]
    async with scene(receiver, **DELAYS) as s:
        outcome = await s.message()
    assert outcome.response == UserEventResponse("ho")
    assert s.events[0].tries == 3


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429])
def test_another_failure_is_not_tried_again(receiver: Receiver, status: int) -> None:
    receiver.default = Reply(status)

    @in_loop
    async def run() -> None:
        async with scene(receiver, **DELAYS) as s:
            assert (await s.message()).failed

    run()
    assert len(receiver.events) == 1


@in_loop
async def test_a_time_limit_is_not_tried_again_and_is_a_500(receiver: Receiver) -> None:
    released = threading.Event()
    receiver.default = Reply(204, before=lambda: released.wait(10))
    try:
        async with scene(receiver, event_seconds=1, **DELAYS) as s:
            outcome = await s.send(CONNECT)
    finally:
        released.set()
    assert (outcome.failed, outcome.status) == (True, 500)
    assert len(receiver.events) == 1
    assert "within 1 seconds" in (s.events[0].error or "")


@in_loop
async def test_a_connection_that_is_refused_is_tried_again(receiver: Receiver) -> None:
    async with Scene([EventHandler(url_template=f"http://127.0.0.1:{free_port()}/hook")], **DELAYS) as s:
        begin = asyncio.get_running_loop().time()
        outcome = await s.message()
        assert asyncio.get_running_loop().time() - begin >= sum(DELAYS["retry_delays"])
    assert (outcome.failed, outcome.status) == (True, 500)
    assert "the app is not running" in (s.events[0].error or "")


def test_the_services_own_pauses_are_1_3_and_5_seconds_within_100() -> None:
    assert tuple(Options().retry_delays) == (1, 3, 5)
    assert Options().event_seconds == 100
    assert tuple(Options.fast().retry_delays) == ()


# The validation.


@in_loop
async def test_the_validation_asks_as_the_service_does(receiver: Receiver) -> None:
    async with scene(receiver, "/hook?code=sesame") as s:
        await s.message()
    (validation,) = receiver.validations
    assert validation.path == "/hook?code=sesame"
    assert dict(validation.headers) == {
        "Host": receiver.url.removeprefix("http://"),
        "WebHook-Request-Origin": ORIGIN,
        "ce-awpsversion": "1.0",
    }


@in_loop
async def test_a_validation_holds_for_many_events_and_connections(receiver: Receiver) -> None:
    async with scene(receiver) as s:
        await asyncio.gather(*(s.message(connection=s.connect(f"c{number}")) for number in range(5)))
        await s.message()
    assert len(receiver.validations) == 1
    assert len(receiver.events) == 6


@pytest.mark.parametrize("allowed", ["*", ORIGIN, ORIGIN.upper(), f" {ORIGIN} "])
def test_the_apps_own_name_for_the_service_is_enough(receiver: Receiver, allowed: str) -> None:
    receiver.default_validation = Reply(200, {"WebHook-Allowed-Origin": allowed})

    @in_loop
    async def run() -> None:
        async with scene(receiver) as s:
            assert not (await s.message()).failed

    run()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(200), ["WebHook-Allowed-Origin", "Flask"]),
        (Reply(200, {"WebHook-Allowed-Origin": "other.example"}), ["'other.example'", ORIGIN]),
        (Reply(200, {"WebHook-Allowed-Origin": f"a.example,{ORIGIN}"}), ["alone"]),
        (Reply(400), ["does not trust the origin", ORIGIN]),
        (Reply(401), ["access code", "?code="]),
        (Reply(403), ["protects"]),
        (Reply(404), ["no such route"]),
        (Reply(405), ["methods"]),
        (Reply(308, {"Location": "/hook/"}), ["redirects are not followed"]),
        (Reply(500), ["look at the app's log"]),
    ],
    ids=["no-header", "other", "list", "400", "401", "403", "404", "405", "308", "500"],
)
def test_without_a_validation_no_event_is_sent_and_the_log_says_what_to_change(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, reply: Reply, words: list[str]
) -> None:
    receiver.default_validation = reply

    @in_loop
    async def run() -> None:
        async with scene(receiver) as s:
            assert await s.send(CONNECT) == Outcome(failed=True, status=500)

    run()
    assert receiver.events == []
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    for word in words:
        assert word in record.getMessage()


@in_loop
async def test_a_404_for_options_is_followed_by_a_get(receiver: Receiver) -> None:
    receiver.validation.append(Reply(404))
    async with scene(receiver) as s:
        assert not (await s.message()).failed
    assert [request.method for request in receiver.received] == ["OPTIONS", "GET", "POST"]
    assert receiver.received[0].headers == receiver.received[1].headers


@in_loop
async def test_an_old_validation_is_asked_again_in_the_background(receiver: Receiver) -> None:
    asked, released = threading.Event(), threading.Event()

    def wait() -> None:
        asked.set()
        released.wait(10)

    receiver.validation += [receiver.default_validation, Reply(500, before=wait)]
    try:
        async with scene(receiver, validation_cache_seconds=0) as s:
            assert not (await s.message()).failed
            assert not (await s.message()).failed  # while it is asked again, the old answer holds
            await asyncio.to_thread(asked.wait, 10)
            assert not (await s.message()).failed
            assert len(receiver.validations) == 2
            released.set()
            async with asyncio.timeout(10):
                while not (await s.message()).failed:
                    await asyncio.sleep(0.01)
    finally:
        released.set()


@in_loop
async def test_a_failed_validation_is_asked_again_after_1_2_4_seconds_and_so_on(receiver: Receiver) -> None:
    receiver.default_validation = Reply(500)
    times: list[float] = []
    unit = 0.05
    async with scene(receiver, validation_retry_seconds=(unit, 4 * unit)) as s:
        async with asyncio.timeout(10):
            while len(times) < 5:
                before = len(receiver.validations)
                await s.message()
                if len(receiver.validations) > before:
                    times.append(asyncio.get_running_loop().time())
                await asyncio.sleep(0.002)
        receiver.default_validation = Reply(200, {"WebHook-Allowed-Origin": "*"})
        async with asyncio.timeout(10):
            while (await s.message()).failed:
                await asyncio.sleep(0.002)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    for pause, least in zip(pauses, [1, 2, 4, 4], strict=True):
        assert pause >= least * unit * 0.99


def test_the_pauses_after_failed_validations_double_up_to_a_minute() -> None:
    assert [pause_after(failures, Options()) for failures in range(9)] == [60, 1, 2, 4, 8, 16, 32, 60, 60]
    assert pause_after(10**9, Options()) == 60


@in_loop
async def test_a_validation_is_given_up_after_its_own_limit(receiver: Receiver) -> None:
    released = threading.Event()
    receiver.default_validation = Reply(200, before=lambda: released.wait(10))
    try:
        async with scene(receiver, validation_seconds=0.1) as s:
            assert (await s.message()).failed
    finally:
        released.set()
    assert "did not answer OPTIONS within 0.1 seconds" in (s.events[0].error or "")


@in_loop
async def test_a_validation_is_tried_again_as_an_event_is(receiver: Receiver) -> None:
    receiver.validation += [Reply(503), Reply(500)]
    async with scene(receiver, **DELAYS) as s:
        assert not (await s.message()).failed
    assert len(receiver.validations) == 3


def test_the_services_own_validation_limits_are_10_and_60_seconds() -> None:
    options = Options()
    assert options.validation_seconds == 10
    assert options.validation_cache_seconds == 60
    assert options.validation_retry_seconds == (1, 60)


# What the log says.


@pytest.mark.parametrize(
    ("request_", "reply", "words"),
    [
        (message(), Reply(200, {"Content-Type": "text/html; charset=utf-8"}, b"ho"), ["text/html", "text/plain"]),
        (message(), Reply(200, {"Content-Type": "application/json"}, b"{"), ["can not be read"]),
        (CONNECT, Reply(200, {}, b"<html>"), ["JSON that lets a client in"]),
        (message(), Reply(401), ["AccessKeys differ"]),
        (message(event_name="typing"), Reply(404), ["@wps.on_user_event('typing', hub='chat')"]),
        (message(), Reply(404), ["@wps.on_message(hub='chat')"]),
        (CONNECT, Reply(404), ["@wps.on_connect(hub='chat')"]),
        (JOINED, Reply(404), ["@wps.on_group_joined(hub='chat')"]),
        (message(), Reply(405), ["no POST"]),
        (message(), Reply(413), ["WEBPUBSUB_MAX_BODY_BYTES"]),
        (message(), Reply(431), ["fewer connection states"]),
        (message(), Reply(301), ["redirects"]),
        (message(), Reply(400), ["malformed"]),
        (message(), Reply(418), ["refused"]),
        (message(), Reply(500), ["look at the app's log"]),
    ],
)
def test_a_failed_event_is_one_line_that_says_what_to_change(
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    request_: WebPubSubEventRequest,
    reply: Reply,
    words: list[str],
) -> None:
    receiver.replies.append(reply)

    @in_loop
    async def run() -> None:
        async with scene(receiver) as s:
            assert (await s.send(request_)).failed

    run()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    text = record.getMessage()
    assert "\n" not in text
    assert repr(request_.connection_context.event_name) in text
    for word in words:
        assert word in text


def _hang_up(connection: socket.socket) -> None:
    connection.recv(65536)


def _speak_nonsense(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"220 mail.example ESMTP\r\n")


def _break_off(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhal")


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [(_hang_up, "hung up"), (_speak_nonsense, "not HTTP"), (_break_off, "broke off")],
)
def test_a_server_that_misbehaves_is_a_failure_with_a_reason(
    behaviour: Callable[[socket.socket], None], words: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            # A validation that is hung up on is asked once more by the HTTP client.
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    behaviour(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()

        @in_loop
        async def run() -> None:
            async with Scene([EventHandler(url_template=f"http://127.0.0.1:{listener.getsockname()[1]}")]) as s:
                assert (await s.message()).failed
                assert words in (s.events[0].error or "")

        run()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://no-such-host.invalid/hook", "is not known"),
        ("https://{here}/hook", "TLS"),
    ],
)
def test_a_url_that_can_not_be_reached_is_a_failure_with_a_reason(receiver: Receiver, url: str, words: str) -> None:
    @in_loop
    async def run() -> None:
        template = url.replace("{here}", receiver.url.removeprefix("http://"))
        async with Scene([EventHandler(url_template=template)]) as s:
            assert (await s.message()).failed
            assert words in (s.events[0].error or "")

    run()


@in_loop
async def test_neither_access_code_nor_key_nor_body_is_logged(receiver: Receiver) -> None:
    receiver.default_validation = Reply(400)
    async with scene(receiver, "/hook?code=sesame") as s:
        await s.message("the body")
    error = s.events[0].error or ""
    for secret in ("sesame", PRIMARY, signature(PRIMARY), "the body"):
        assert secret not in error


# Faults.


@in_loop
async def test_a_failure_on_command_does_not_reach_the_app(receiver: Receiver) -> None:
    async with scene(receiver) as s:
        s.faults.fail(503, "message")
        assert (await s.message()).status == 503
        assert not (await s.message()).failed
    assert len(receiver.events) == 1


@in_loop
async def test_failures_on_command_count_by_tries(receiver: Receiver) -> None:
    async with scene(receiver, **DELAYS) as s:
        s.faults.fail(503, times=2)
        assert not (await s.message()).failed
    assert s.events[0].tries == 3
    assert len(receiver.events) == 1


@in_loop
async def test_a_delay_holds_one_event_back(receiver: Receiver) -> None:
    async with scene(receiver) as s:
        s.faults.delay(0.2, "message")
        slow = asyncio.create_task(s.message("slow"))
        await asyncio.sleep(0)
        await s.message("fast", s.connect("c2"), event_name="other")
        await slow
    assert [event.body for event in receiver.events] == [b"fast", b"slow"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
