"""Each event is handled once: what a repeated delivery is answered with, and when it is handled again."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import cachelib
import pytest
from flask import Flask, Response, abort
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flask_webpubsub import (
    ConfigurationError,
    ConnectEventResponse,
    EventError,
    EventErrorResponse,
    EventStillRunningError,
    Hub,
    MqttConnectionContext,
    MqttConnectProperties,
    MqttProtocolVersion,
    OnceStoreError,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
    WebPubSubConnectionContext,
    WebPubSubDataType,
    WebPubSubEventType,
    event_handled,
    event_rejected,
)
from flask_webpubsub.codec import Delivery, encode_event
from flask_webpubsub.messages import Answer
from flask_webpubsub.once import Once
from flask_webpubsub.once.leases import Leases
from flask_webpubsub.once.memory_store import MemoryStore
from flask_webpubsub.signature import sign_connection
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import CONNECTION_STRING, HOST, KEY

pytestmark = pytest.mark.both_doors

#: A port on which nobody listens.
NO_SERVER = "redis://127.0.0.1:1/0"
PATIENCE = 10


def make_context(**changes: Any) -> WebPubSubConnectionContext:
    """The context of a message of the connection ``c1``, whose id is 1."""
    fields: dict[str, Any] = {
        "event_type": WebPubSubEventType.USER,
        "event_name": "message",
        "hub": "chat",
        "connection_id": "c1",
        "origin": HOST,
        "event_id": "1",
    } | changes
    fields["signature"] = sign_connection(fields["connection_id"], [KEY.encode()])
    if "physical_connection_id" in fields:
        return MqttConnectionContext(subprotocol="mqtt", **fields)
    return WebPubSubConnectionContext(**fields)


def make_delivery(text: str = "hi", **changes: Any) -> Delivery:
    """A message of :func:`make_context`."""
    return encode_event(
        UserEventRequest(connection_context=make_context(**changes), data=text, data_type=WebPubSubDataType.TEXT)
    )


def make_app(**config: Any) -> Flask:
    """An app that is configured, and does not have the extension yet."""
    app = Flask("app")
    app.config.update({"WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING, "WEBPUBSUB_HUB": "chat", "TESTING": True})
    app.config.update(config)
    return app


@pytest.fixture
def runs() -> list[Any]:
    """What the handlers were called with."""
    return []


# What a repeated delivery is answered with.


def with_states(request: UserEventRequest) -> UserEventResponse:
    response = request.create_response({"done": True, "name": "Zoë"})
    response.set_state("count", 1)
    return response


def with_cookie(request: UserEventRequest) -> Response:
    response = Response("pässt", status=201, mimetype="text/plain", headers={"X-Note": "n"})
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


def refusal(request: UserEventRequest) -> None:
    abort(403, "No.")


def raised_error(request: UserEventRequest) -> None:
    raise EventError("userError", "Not like that.")


ANSWERS: dict[str, Callable[[UserEventRequest], Any]] = {
    "nothing": lambda request: None,
    "text": lambda request: "Zoë",
    "bytes": lambda request: b"\x00\xff",
    "empty text": lambda request: "",
    "json and states": with_states,
    "metadata": lambda request: UserEventResponse("x", metadata={"key": "value"}),
    "a mapping": lambda request: {"data": [1, 2], "dataType": "json", "states": {"a": 1}},
    "a refusal": lambda request: EventErrorResponse("unauthorized", "No."),
    "an error of 429": lambda request: EventErrorResponse(429, "Slow down."),
    "a raised error": raised_error,
    "abort": refusal,
    "a response": with_cookie,
    "a streamed response": lambda request: Response(iter(["a", "b", "ç"]), mimetype="text/plain"),
    "an empty response": lambda request: Response(status=204),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_retry_gets_the_answer_of_the_first_time_and_the_handler_is_not_called(
    wps: WebPubSub, client: WebPubSubTestClient, name: str, runs: list[Any]
) -> None:
    @wps.on_message(once=True)
    def message(request: UserEventRequest) -> Any:
        runs.append(request)
        return ANSWERS[name](request)

    chat = client.connect("alice")
    first = chat.send_text("hi")
    answer, states, cookies = chat.answer, chat.states, dict(chat.cookies)
    assert chat.retry() == first
    assert answer is not None
    assert chat.answer is not None
    assert (chat.answer.status, chat.answer.body) == (answer.status, answer.body)
    assert sorted(chat.answer.headers) == sorted(answer.headers)
    assert (chat.states, chat.cookies) == (states, cookies)
    assert len(runs) == 1


def test_the_next_event_is_handled_with_the_states_of_the_stored_answer(
    wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    @wps.on_message(once=True)
    def message(request: UserEventRequest, states: dict[str, int]) -> UserEventResponse:
        response = request.create_response(str(states.get("count", 0)))
        response.set_state("count", states.get("count", 0) + 1)
        return response

    chat = client.connect("alice")
    assert chat.send_text("hi") == chat.retry() == chat.retry()
    assert chat.states == {"count": 1}
    assert chat.send_text("hi") == UserEventResponse("1", "text", states={"count": 2})


def test_an_async_handler_is_called_once_too(wps: WebPubSub, client: WebPubSubTestClient, runs: list[Any]) -> None:
    @wps.on_message(once=True)
    async def message(data: str) -> str:
        runs.append(data)
        return "ack"

    chat = client.connect("alice")
    assert chat.send_text("hi") == chat.retry() == UserEventResponse("ack", "text")
    assert runs == ["hi"]


def test_without_once_a_retry_is_handled_again(wps: WebPubSub, client: WebPubSubTestClient, runs: list[Any]) -> None:
    wps.on_message(lambda data: runs.append(data))
    chat = client.connect("alice")
    chat.send_text("hi")
    chat.retry()
    assert runs == ["hi", "hi"]


def test_a_client_is_asked_about_once(wps: WebPubSub, client: WebPubSubTestClient, runs: list[Any]) -> None:
    @wps.on_connect(once=True)
    def connect(user_id: str) -> ConnectEventResponse:
        runs.append(user_id)
        return ConnectEventResponse(groups=[f"group-{len(runs)}"])

    client.system_events = ("connect",)
    chat = client.connect("alice")
    assert chat.retry() == ConnectEventResponse(groups=["group-1"])
    assert chat.accepted
    # Another connection is another client, although it begins to count at 0 too.
    assert client.connect("alice").response == ConnectEventResponse(groups=["group-2"])


# Which events are the same one.


@pytest.fixture
def counting(runs: list[Any]) -> Flask:
    """An app that trusts two services and handles every message of two hubs once."""
    other = CONNECTION_STRING.replace(HOST, "other.webpubsub.azure.com")
    app = make_app(WEBPUBSUB_CONNECTION_STRING=[CONNECTION_STRING, other], WEBPUBSUB_ONCE=True)
    wps = WebPubSub(app)
    for hub in ("chat", "news"):

        @wps.on_user_event("*", hub=hub)
        def count(data: str) -> str:
            runs.append(data)
            return str(len(runs))

    return app


def post(app: Flask, delivery: Delivery) -> Answer:
    client = WebPubSubTestClient(app, connection_string=CONNECTION_STRING, hub="chat")
    return client.call("POST", delivery)


MQTT = {"physical_connection_id": "p1"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({}, {"event_id": "2"}, id="id"),
        pytest.param({"event_id": "0"}, {"event_id": "00"}, id="spelling of the id"),
        pytest.param({}, {"connection_id": "c2"}, id="connection"),
        pytest.param({}, {"connection_id": "C1"}, id="case of the connection"),
        pytest.param({}, {"event_name": "other"}, id="name"),
        pytest.param({}, {"hub": "news"}, id="hub"),
        pytest.param({}, {"origin": "other.webpubsub.azure.com"}, id="service"),
        pytest.param({}, MQTT, id="protocol"),
        pytest.param(MQTT, {"physical_connection_id": "p2"}, id="network connection of an MQTT client"),
        # Where one part ends and the next begins is clear.
        pytest.param({"event_id": "11"}, {"connection_id": "c11"}, id="borders of the parts"),
    ],
)
def test_events_that_differ_are_both_handled(
    counting: Flask, runs: list[Any], first: dict[str, str], second: dict[str, str]
) -> None:
    answers = [post(counting, make_delivery(**changes)).body for changes in (first, second, first, second)]
    assert answers == [b"1", b"2", b"1", b"2"]
    assert len(runs) == 2


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"hub": "CHAT"}, id="case of the hub"),
        pytest.param({"event_name": "MESSAGE"}, id="case of the name"),
        pytest.param({"origin": HOST.upper()}, id="case of the service"),
        pytest.param({"user_id": "bob"}, id="user"),
    ],
)
def test_events_that_are_the_same_are_handled_once(counting: Flask, runs: list[Any], second: dict[str, str]) -> None:
    assert post(counting, make_delivery()) == post(counting, make_delivery(**second))
    assert len(runs) == 1


def test_several_origins_are_the_same_in_any_order(counting: Flask, runs: list[Any]) -> None:
    origins = [HOST, "other.webpubsub.azure.com"]
    post(counting, make_delivery(origin=", ".join(origins)))
    post(counting, make_delivery(origin=",".join(reversed(origins))))
    assert len(runs) == 1


@pytest.mark.parametrize("event_id", [None, ""], ids=["absent", "empty"])
def test_events_without_an_id_are_all_handled(counting: Flask, runs: list[Any], event_id: str | None) -> None:
    for _ in range(3):
        assert post(counting, make_delivery(event_id=event_id)).status == 200
    assert len(runs) == 3


def test_an_mqtt_client_that_connects_again_is_asked_about_again(
    wps: WebPubSub, client: WebPubSubTestClient, runs: list[Any]
) -> None:
    @wps.on_connect(once=True)
    def connect(connection_id: str) -> ConnectEventResponse:
        runs.append(connection_id)
        return ConnectEventResponse()

    mqtt = MqttConnectProperties(protocol_version=MqttProtocolVersion.V500)
    client.system_events = ("connect",)
    for _ in range(2):  # the client chooses its id, and its first event is number 0 each time
        client.connect(mqtt=mqtt, connection_id="sensor").retry()
    assert runs == ["sensor", "sensor"]


def test_two_apps_do_not_share_what_they_remember(runs: list[Any]) -> None:
    wps = WebPubSub()
    wps.on_message(once=True, hub="chat")(lambda data: runs.append(data))
    for _ in range(2):
        app = make_app(WEBPUBSUB_HUB="chat")
        wps.init_app(app)
        post(app, make_delivery())
        post(app, make_delivery())
    assert len(runs) == 2


# What is not remembered.


def crash() -> None:
    raise ZeroDivisionError


def stop() -> None:
    raise SystemExit(1)  # what a server raises in a worker that takes too long


def broken_stream() -> Response:
    def generate() -> Iterator[str]:
        yield "a"
        raise ZeroDivisionError

    return Response(generate(), mimetype="text/plain")


FAILURES: dict[str, Callable[[], Any]] = {
    "an exception": crash,
    "the end of the worker": stop,
    "a server error": lambda: EventErrorResponse("serverError"),
    "an error of 503": lambda: EventErrorResponse(503),
    "an error of 408": lambda: EventErrorResponse(408),
    "a response of 500": lambda: Response("no", 500),
    "a refused result": lambda: ["no", "answer"],
    "states that are too large": lambda: {"data": "x", "states": {"a": "x" * 5000}},
    "a stream that breaks off": broken_stream,
}


@pytest.mark.parametrize("failure", FAILURES)
def test_after_a_failure_the_retry_is_handled_and_remembered(
    wps: WebPubSub, client: WebPubSubTestClient, failure: str, runs: list[Any]
) -> None:
    @wps.on_message(once=True)
    def message() -> Any:
        runs.append(None)
        return FAILURES[failure]() if len(runs) == 1 else "at last"

    client.raise_exceptions = False
    chat = client.connect("alice")
    with suppress(SystemExit):
        chat.send_text("hi")
        assert chat.answer.status in (408, 500, 503)
    assert chat.retry() == chat.retry() == UserEventResponse("at last", "text")
    assert len(runs) == 2


def test_an_answer_is_remembered_for_as_long_as_the_setting_says() -> None:
    now = 1000.0
    once = Once(MemoryStore(clock=lambda: now), seconds=60)

    def answer() -> Answer:
        turn = once.begin(make_context())
        assert turn is not None
        given = turn.answer(lambda: Answer(200, [], str(now).encode()))
        assert isinstance(given, Answer)
        return given

    first = answer()
    now += 59
    assert answer() == first
    now += 1
    assert answer() != first


# While the first one is running.


class Slow:
    """A handler that waits until it may go on."""

    def __init__(self) -> None:
        self.runs = 0
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> str:
        self.runs += 1
        self.began.set()
        assert self.may_end.wait(PATIENCE)
        return f"run {self.runs}"


@pytest.fixture
def slow(wps: WebPubSub) -> Slow:
    handler = Slow()

    @wps.on_message(once=True)
    def message() -> str:
        return handler()

    return handler


def test_a_retry_while_the_first_one_is_running_is_503_and_then_gets_its_answer(
    slow: Slow, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(post, app, make_delivery())
        assert slow.began.wait(PATIENCE)
        refused = [post(app, make_delivery()) for _ in range(3)]
        # Others are not held back.
        other = pool.submit(post, app, make_delivery(event_id="2"))
        slow.may_end.set()
        answer = first.result()
    assert [answer.status for answer in refused] == [503] * 3
    assert refused[0].body == b"Service Unavailable"
    assert post(app, make_delivery()) == answer
    assert (answer.status, other.result().status, slow.runs) == (200, 200, 2)
    lines = [record for record in caplog.records if record.message.startswith("Refused with 503")]
    assert len(lines) == 3
    assert {record.levelno for record in lines} == {logging.WARNING}
    assert "The user event 'message' with the id '1' came again while it is handled." in lines[0].message


def test_one_of_many_deliveries_at_the_same_time_is_handled(slow: Slow, app: Flask) -> None:
    with ThreadPoolExecutor(32) as pool:
        calls = [pool.submit(post, app, make_delivery()) for _ in range(32)]
        assert slow.began.wait(PATIENCE)
        slow.may_end.set()
        statuses = {call.result().status for call in calls}
    assert 200 in statuses
    assert statuses <= {200, 503}
    assert slow.runs == 1


def test_an_mqtt_client_whose_connect_is_running_is_told_in_its_own_words(
    wps: WebPubSub, client: WebPubSubTestClient
) -> None:
    handler = Slow()

    @wps.on_connect(once=True)
    def connect() -> ConnectEventResponse:
        handler()
        return ConnectEventResponse()

    client.system_events = ("connect",)
    mqtt = MqttConnectProperties(protocol_version=MqttProtocolVersion.V311)
    deliveries: list[Delivery] = []
    call = client.call

    def remember(method: str, delivery: Delivery, cookies: Any = None) -> Answer:
        deliveries.append(delivery)
        return call(method, delivery, cookies)

    client.call = remember  # type: ignore[method-assign]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(client.connect, mqtt=mqtt)
        assert handler.began.wait(PATIENCE)
        answer = call("POST", deliveries[0])
        handler.may_end.set()
        assert first.result().accepted
    assert answer.status == 503
    assert json.loads(answer.body)["mqtt"]["code"] == 3


def test_signals_tell_of_what_was_handled_and_of_what_was_refused(slow: Slow, app: Flask) -> None:
    told: list[Any] = []

    def handled(sender: object, status: int, **extra: Any) -> None:
        told.append(status)

    def rejected(sender: object, error: Exception, **extra: Any) -> None:
        told.append(type(error))

    with event_handled.connected_to(handled), event_rejected.connected_to(rejected), ThreadPoolExecutor() as pool:
        first = pool.submit(post, app, make_delivery())
        assert slow.began.wait(PATIENCE)
        post(app, make_delivery())
        slow.may_end.set()
        first.result()
        post(app, make_delivery())
    assert told == [EventStillRunningError, 200]


def test_a_thread_renews_marks_only_while_there_are_some() -> None:
    renewed = threading.Semaphore(0)

    class Watched(MemoryStore):
        def renew(self, name: str, mark: bytes, seconds: float) -> bool:
            renewed.release()
            return super().renew(name, mark, seconds)

    store = Watched()
    leases = Leases(store, 0.05)
    assert store.begin("event", b"mark", leases.seconds) is None
    leases.add("event", b"mark")
    thread = leases._thread
    assert thread is not None
    assert thread.daemon
    for _ in range(10):  # more than a lease is long
        assert renewed.acquire(timeout=PATIENCE)
    assert store.begin("event", b"other", 1) == b"mark"
    leases.remove(b"mark")
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert leases._thread is None


def test_a_mark_that_is_forgotten_during_its_renewal_does_not_stand_again() -> None:
    class Late(MemoryStore):
        def renew(self, name: str, mark: bytes, seconds: float) -> bool:
            leases.remove(mark)
            self.forget(name, mark)
            renewed = super().renew(name, mark, seconds)
            assert self.begin(name, b"other", 1) == mark
            return renewed

    store = Late()
    leases = Leases(store, 0.05)
    store.begin("event", b"mark", leases.seconds)
    leases.add("event", b"mark")
    thread = leases._thread
    assert thread is not None
    thread.join(PATIENCE)
    assert store.begin("event", b"other", 1) is None


def test_a_mark_that_another_worker_has_taken_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    leases = Leases(store, 0.05)
    store.begin("event", b"theirs", 60)
    leases.add("event", b"ours")
    thread = leases._thread
    assert thread is not None
    thread.join(PATIENCE)
    assert caplog.messages == ["An event that runs has lost its mark, and is handled twice."]
    assert store.begin("event", b"other", 1) == b"theirs"


# Nobody but the service comes near the store.


@pytest.fixture
def unreachable(runs: list[Any]) -> Flask:
    """An app whose store is down."""
    app = make_app(WEBPUBSUB_ONCE_STORE=NO_SERVER)
    wps = WebPubSub(app)
    wps.on_message(once=True)(lambda data: runs.append(data))
    wps.on_user_event("plain")(lambda data: runs.append(data))
    return app


def test_while_the_store_is_down_events_are_503_and_not_handled(
    unreachable: Flask, runs: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert post(unreachable, make_delivery()).status == 503
    assert runs == []
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message.startswith("Refused with 503: The Redis server failed with a ConnectionError.")


def test_an_event_without_an_id_needs_no_store(unreachable: Flask, runs: list[Any]) -> None:
    assert post(unreachable, make_delivery(event_id=None)).status == 204
    assert len(runs) == 1


def test_handlers_without_once_need_no_store(unreachable: Flask, runs: list[Any]) -> None:
    assert post(unreachable, make_delivery(event_name="plain")).status == 204
    assert len(runs) == 1


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        pytest.param("ce-signature", sign_connection("c1", [b"a guess"]), 401, id="forged"),
        pytest.param("WebHook-Request-Origin", "evil.example", 401, id="unknown service"),
        pytest.param("ce-connectionState", "!", 400, id="malformed"),
    ],
)
def test_the_store_is_not_asked_about_a_refused_event(unreachable: Flask, header: str, value: str, status: int) -> None:
    headers = [(name, text) for name, text in make_delivery().headers if name != header] + [(header, value)]
    assert post(unreachable, Delivery(headers, b"hi")).status == status


# Configuration and registration.


def count_runs(app: Flask, register: Callable[[WebPubSub, Callable[..., Any]], Any]) -> int:
    """How often a handler is called for a message that comes twice."""
    runs: list[None] = []
    wps = WebPubSub(app)

    def handler() -> None:
        runs.append(None)

    register(wps, handler)
    post(app, make_delivery())
    post(app, make_delivery())
    return len(runs)


@pytest.mark.parametrize(
    ("everywhere", "options", "expected"),
    [
        pytest.param(False, {}, 2, id="off"),
        pytest.param(False, {"once": True}, 1, id="on for a handler"),
        pytest.param(True, {}, 1, id="on for all"),
        pytest.param(True, {"once": True}, 1, id="on for all and for a handler"),
        pytest.param(True, {"once": False}, 2, id="off for a handler"),
    ],
)
@pytest.mark.parametrize(
    "register",
    [
        pytest.param(lambda wps, handler, **options: wps.on_message(**options)(handler), id="on_message"),
        pytest.param(lambda wps, handler, **options: wps.on_user_event("*", **options)(handler), id="on_user_event"),
        pytest.param(lambda wps, handler, **options: wps.trigger("message", **options)(handler), id="trigger"),
        pytest.param(
            lambda wps, handler, **options: wps.register_hub(register_on(Hub("chat"), handler, **options)), id="Hub"
        ),
    ],
)
def test_once_is_for_a_handler_or_for_all_user_events(
    register: Callable[..., Any], everywhere: bool, options: dict[str, bool], expected: int
) -> None:
    app = make_app(WEBPUBSUB_ONCE=everywhere)
    assert count_runs(app, lambda wps, handler: register(wps, handler, **options)) == expected


def register_on(hub: Hub, handler: Callable[..., Any], **options: Any) -> Hub:
    hub.on_message(**options)(handler)
    return hub


def test_the_setting_for_all_user_events_is_not_for_connect(runs: list[Any]) -> None:
    app = make_app(WEBPUBSUB_ONCE=True)
    wps = WebPubSub(app)

    @wps.on_connect
    def connect() -> ConnectEventResponse:
        runs.append(None)
        return ConnectEventResponse()

    wps.test_client(app).connect("alice").retry()
    assert len(runs) == 2


@pytest.mark.parametrize("name", ["on_connected", "on_disconnected", "on_group_joined", "on_group_left"])
def test_once_is_refused_for_events_that_no_client_waits_for(wps: WebPubSub, name: str) -> None:
    with pytest.raises(ConfigurationError, match="user events and 'connect'"):
        getattr(wps, name)(once=True)(lambda: None)
    getattr(wps, name)(once=False)(lambda: None)


def test_once_is_refused_for_an_unknown_system_event(wps: WebPubSub) -> None:
    with pytest.raises(ConfigurationError, match="'renamed' is none"):
        wps.trigger("renamed", event_type="system", once=True)


@pytest.mark.parametrize("once", ["yes", 1, 0, ()])
def test_once_is_true_or_false(wps: WebPubSub, once: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"once is .*: set it to True or False"):
        wps.on_message(once=once)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_the_setting_is_true_or_false(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"WEBPUBSUB_ONCE is .*: set it to True or False"):
        WebPubSub(make_app(WEBPUBSUB_ONCE=value))


@pytest.mark.parametrize("value", [0, -1, True, "600", 1.5, None])
def test_the_time_is_a_number_of_seconds(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"WEBPUBSUB_ONCE_SECONDS is .*: set it to a number of seconds"):
        WebPubSub(make_app(WEBPUBSUB_ONCE_SECONDS=value))


@pytest.mark.parametrize(
    ("store", "message"),
    [
        pytest.param("", "is text that is no URL of a Redis server", id="empty"),
        pytest.param("memcached://localhost", "is text that is no URL of a Redis server", id="another URL"),
        pytest.param("redis://:secret@localhost:port", "is no URL of a Redis server", id="a URL that is wrong"),
        pytest.param("redis://:secret@localhost?socket_timeout=x", "is no URL of a Redis server", id="a wrong option"),
        pytest.param({}, "is a dict", id="no cache"),
        pytest.param(cachelib.SimpleCache(), "is a SimpleCache", id="SimpleCache"),
        pytest.param(cachelib.NullCache(), "is a NullCache", id="NullCache"),
    ],
)
def test_a_store_that_can_not_keep_the_promise_is_refused_at_start(store: Any, message: str) -> None:
    app = make_app(WEBPUBSUB_ONCE_STORE=store)
    with pytest.raises(ConfigurationError, match=f"^WEBPUBSUB_ONCE_STORE {message}") as refusal:
        WebPubSub(app).on_message(once=True)(lambda: None)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_store_that_nobody_uses_is_not_looked_at() -> None:
    assert count_runs(make_app(WEBPUBSUB_ONCE_STORE=object()), lambda wps, handler: wps.on_message(handler)) == 2


def test_the_password_of_the_store_is_not_shown() -> None:
    app = make_app(WEBPUBSUB_ONCE_STORE="redis://:secret@127.0.0.1:1/0")
    WebPubSub(app).on_message(once=True)(lambda: None)
    assert "secret" not in repr(app.extensions["webpubsub"].settings)


@pytest.mark.parametrize(
    ("config", "warned"),
    [
        ({}, True),
        ({"DEBUG": True}, False),
        ({"TESTING": True}, False),
        ({"WEBPUBSUB_ONCE_STORE": "memory://"}, False),
        ({"WEBPUBSUB_ONCE_STORE": NO_SERVER}, False),
    ],
    ids=["deployed", "debug", "testing", "memory", "Redis"],
)
def test_a_deployed_app_is_warned_once_that_its_workers_do_not_share(
    config: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(**{"TESTING": False} | config)
    wps = WebPubSub(app)
    wps.on_message(once=True)(lambda: None)
    wps.on_user_event("other", once=True)(lambda: None)
    lines = [line for line in caplog.messages if line.startswith("The answers to events are remembered in this")]
    assert len(lines) == int(warned)


# The store of one process.


class MemoryStoreMachine(RuleBasedStateMachine):
    """A store beside the simplest thing that is right: a table that drops what has ended."""

    NAMES = st.sampled_from(["a", "b", "c"])
    MARKS = st.sampled_from([b"m1", b"m2"])
    LEASE = 3
    KEPT = 10

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.store = MemoryStore(clock=lambda: self.now)
        self.model: dict[str, tuple[bytes, float]] = {}

    def held(self, name: str) -> bytes | None:
        value, end = self.model.get(name, (b"", 0.0))
        return value if end > self.now else None

    @rule(seconds=st.sampled_from([1, 2, 3, 9, 10]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(name=NAMES, mark=MARKS)
    def begin(self, name: str, mark: bytes) -> None:
        expected = self.held(name)
        assert self.store.begin(name, mark, self.LEASE) == expected
        if expected is None:
            self.model[name] = mark, self.now + self.LEASE

    @rule(name=NAMES, mark=MARKS)
    def renew(self, name: str, mark: bytes) -> None:
        expected = self.held(name) in (None, mark)
        assert self.store.renew(name, mark, self.LEASE) == expected
        if expected:
            self.model[name] = mark, self.now + self.LEASE

    @rule(name=NAMES, answer=st.sampled_from([b"one", b"another"]))
    def keep(self, name: str, answer: bytes) -> None:
        self.store.keep(name, answer, self.KEPT)
        self.model[name] = answer, self.now + self.KEPT

    @rule(name=NAMES, mark=MARKS)
    def forget(self, name: str, mark: bytes) -> None:
        self.store.forget(name, mark)
        if self.held(name) == mark:
            del self.model[name]

    @invariant()
    def what_has_ended_takes_no_memory_for_long(self) -> None:
        answers = self.store._answers
        assert len(answers) <= 3
        assert self.store._bytes == sum(len(value) + 400 for value, _ in answers.values())


MemoryStoreMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
test_the_store_of_a_process_does_what_a_simple_table_does = MemoryStoreMachine.TestCase


def names_held(store: MemoryStore, names: Sequence[str]) -> list[str]:
    return [name for name in names if store.begin(name, b"probe", 0.0) is not None]


def test_the_oldest_answers_go_when_they_take_too_much_memory_and_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore(max_bytes=10_000)
    names = [f"event {number}" for number in range(25)]
    store.begin("running", b"mark", 60)
    for name in names[:20]:
        store.keep(name, b"x" * 100, 600)
    assert names_held(store, names) == names[:20]
    assert caplog.messages == []
    store.keep(names[20], b"x" * 100, 600)
    held = names_held(store, names)
    assert held == names[3:21]
    assert names_held(store, ["running"]) == ["running"]
    assert len(caplog.messages) == 1
    assert "the 3 oldest of 21 are dropped before their time" in caplog.messages[0]
    store.keep(names[21], b"x" * 100, 600)
    assert len(caplog.messages) == 1  # there is room again for a while


def test_an_answer_that_is_larger_than_all_the_memory_is_kept_alone() -> None:
    store = MemoryStore(max_bytes=1000)
    store.keep("small", b"x", 600)
    store.keep("large", b"x" * 5000, 600)
    assert names_held(store, ["small", "large"]) == ["large"]


def test_answers_that_have_ended_take_no_memory() -> None:
    now = 0.0
    store = MemoryStore(clock=lambda: now)
    for number in range(100):
        store.keep(str(number), b"x", 10)
    now = 10.0
    store.begin("next", b"mark", 1)
    assert (len(store._answers), store._bytes) == (0, 0)


@pytest.mark.parametrize("held", [b"", b"null", b"[]", b'{"status": 200}', b"\x80\x04K\x01.", b"1"])
def test_what_the_store_holds_from_somebody_else_is_not_taken_for_an_answer(held: bytes) -> None:
    store = MemoryStore()
    once = Once(store, 60)
    turn = once.begin(make_context())
    assert turn is not None
    store.keep(turn._name, held, 60)
    with pytest.raises(OnceStoreError, match="something else"):
        once.begin(make_context())
