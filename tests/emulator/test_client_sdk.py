"""The official client SDK for Python, sync and async, with both of its protocols."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("azure.messaging.webpubsubclient", reason="the client SDK of Azure is not installed")

from azure.messaging.webpubsubclient import WebPubSubClient, WebPubSubClientCredential
from azure.messaging.webpubsubclient.aio import WebPubSubClient as AsyncWebPubSubClient
from azure.messaging.webpubsubclient.aio import WebPubSubClientCredential as AsyncWebPubSubClientCredential
from azure.messaging.webpubsubclient.models import (
    CallbackType,
    OpenClientError,
    SendMessageError,
    WebPubSubDataType,
    WebPubSubProtocolType,
)
from azure.messaging.webpubsubservice import WebPubSubServiceClient

from flask_webpubsub.emulator import Emulator, Options, RunningEmulator
from tests.emulator.chat_apps import make_chat_app
from tests.emulator.parts import ALL

# A thread of the SDK that acknowledges messages ends with an exception when the network is cut under it, and sockets
# that were refused are left to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

TEXT, JSON, BINARY = WebPubSubDataType.TEXT, WebPubSubDataType.JSON, WebPubSubDataType.BINARY
SECONDS = 30.0

# The SDK may miss that it was woken, and then waits as long as it is allowed to.
_SETTINGS = {
    "start_timeout": 2.0,
    "ack_timeout": 2.0,
    "message_retry_total": 1,
    "message_retry_backoff_factor": 0.01,
    "reconnect_retry_backoff_factor": 0.05,
}


class Client:
    """A client of either kind, called as if it were the sync one, and what it was called back with."""

    def __init__(self, get_url: Callable[[], str], protocol: WebPubSubProtocolType) -> None:
        self.back: dict[CallbackType, queue.Queue[Any]] = {kind: queue.Queue() for kind in CallbackType}
        self.get_url = get_url
        self.protocol = protocol

    def open(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def call(self, name: str, *arguments: Any, **keywords: Any) -> None:
        raise NotImplementedError

    def take(self, kind: CallbackType) -> Any:
        """The next thing that it was called back with."""
        return self.back[kind].get(timeout=SECONDS)

    def join(self, group: str, **keywords: Any) -> None:
        self.call("join_group", group, **keywords)

    def leave(self, group: str) -> None:
        self.call("leave_group", group)

    def send(self, group: str, content: Any, data_type: WebPubSubDataType, **keywords: Any) -> None:
        self.call("send_to_group", group, content, data_type, **keywords)

    def raise_event(self, event: str, content: Any, data_type: WebPubSubDataType, **keywords: Any) -> None:
        self.call("send_event", event, content, data_type, **keywords)


class SyncClient(Client):
    def open(self) -> None:
        credential = WebPubSubClientCredential(self.get_url)
        self.client = WebPubSubClient(credential, protocol_type=self.protocol, **_SETTINGS)  # type: ignore[arg-type]
        for kind in CallbackType:
            self.client.subscribe(kind, self._listen(kind))  # type: ignore[call-overload]
        self.client.open()

    def close(self) -> None:
        self.client.close()

    def call(self, name: str, *arguments: Any, **keywords: Any) -> None:
        getattr(self.client, name)(*arguments, **keywords)

    def _listen(self, kind: CallbackType) -> Callable[..., None]:
        return lambda *arguments: self.back[kind].put(arguments[0] if arguments else None)


class AsyncClient(Client):
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self._run(self._open())

    def close(self) -> None:
        self._run(self.client.close())
        self._run(self._finish())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def call(self, name: str, *arguments: Any, **keywords: Any) -> None:
        self._run(getattr(self.client, name)(*arguments, **keywords))

    async def _open(self) -> None:
        async def get_url() -> str:
            return self.get_url()

        credential = AsyncWebPubSubClientCredential(get_url)
        self.client = AsyncWebPubSubClient(credential, protocol_type=self.protocol, **_SETTINGS)  # type: ignore[arg-type]
        for kind in CallbackType:
            await self.client.subscribe(kind, self._listen(kind))  # type: ignore[call-overload]
        await self.client.open()

    async def _finish(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(4 * SECONDS)

    def _listen(self, kind: CallbackType) -> Callable[..., Any]:
        async def put(*arguments: Any) -> None:
            self.back[kind].put(arguments[0] if arguments else None)

        return put


PROTOCOLS = {"json": WebPubSubProtocolType.JSON, "reliable": WebPubSubProtocolType.JSON_RELIABLE}
KINDS = {"sync": SyncClient, "async": AsyncClient}


class Scene:
    """An emulator with a chat app, and clients of one kind and one protocol."""

    def __init__(self, service: RunningEmulator, kind: type[Client], protocol: WebPubSubProtocolType) -> None:
        self.service = service
        self.kind = kind
        self.protocol = protocol
        self.rest = WebPubSubServiceClient.from_connection_string(service.connection_string, hub="chat")

    @contextmanager
    def client(self, user_id: str = "alice", roles: tuple[str, ...] = ALL) -> Iterator[Client]:
        client = self.kind(lambda: self.service.client_url("chat", user_id=user_id, roles=roles), self.protocol)
        client.open()
        try:
            yield client
        finally:
            client.close()


@contextmanager
def scene(kind: str, protocol: str, **options: Any) -> Iterator[Scene]:
    with Emulator(make_chat_app, options=Options.fast(**options)) as service:
        played = Scene(service, KINDS[kind], PROTOCOLS[protocol])
        with played.rest:
            yield played
    gc.collect()  # what the SDK leaves open is not to be found in another test


both_kinds = pytest.mark.parametrize("kind", KINDS)
both_protocols = pytest.mark.parametrize("protocol", PROTOCOLS)


@both_kinds
@both_protocols
def test_a_client_connects_and_says_goodbye(kind: str, protocol: str) -> None:
    with scene(kind, protocol) as played:
        with played.client("alice") as client:
            connected = client.take(CallbackType.CONNECTED)
            assert connected.user_id == "alice"
            assert played.rest.connection_exists(connected.connection_id)
        told = played.service.events.wait_for("disconnected")
        assert told.connection_id == connected.connection_id
        assert not played.rest.connection_exists(connected.connection_id)
        assert [event.event_name for event in played.service.events] == ["connect", "connected", "disconnected"]


@both_kinds
@both_protocols
def test_a_refused_client_can_not_open(kind: str, protocol: str) -> None:
    with scene(kind, protocol) as played:
        client = played.kind(lambda: played.service.client_url("chat", user_id="mallory"), played.protocol)
        with pytest.raises(OpenClientError):
            client.open()
        client.close()


@both_kinds
@both_protocols
def test_clients_join_leave_and_hear_one_another(kind: str, protocol: str) -> None:
    with scene(kind, protocol) as played, played.client("alice") as alice, played.client("bob") as bob:
        alice.join("room")
        bob.join("room")

        for content, data_type in (("hällo", TEXT), ({"a": [1, None]}, JSON), (memoryview(b"\x00\xff"), BINARY)):
            bob.send("room", content, data_type)
            heard = alice.take(CallbackType.GROUP_MESSAGE)
            assert (heard.group, heard.from_user_id, heard.data_type) == ("room", "bob", data_type)
            assert (bytes(heard.data) if data_type is BINARY else heard.data) == content
            assert bob.take(CallbackType.GROUP_MESSAGE).data_type == data_type  # its own echo

        bob.send("room", "quiet", TEXT, no_echo=True)
        assert alice.take(CallbackType.GROUP_MESSAGE).data == "quiet"
        alice.leave("room")
        bob.send("room", "last", TEXT)
        assert bob.take(CallbackType.GROUP_MESSAGE).data == "last"
        assert alice.back[CallbackType.GROUP_MESSAGE].empty()


@both_kinds
@both_protocols
def test_events_are_answered(kind: str, protocol: str) -> None:
    with scene(kind, protocol) as played, played.client() as client:
        for content, data_type in (("hällo", TEXT), ({"a": 1}, JSON), (memoryview(b"\x00\xff"), BINARY)):
            client.raise_event("echo", content, data_type)
            answer = client.take(CallbackType.SERVER_MESSAGE)
            assert answer.data_type == data_type
            assert (bytes(answer.data) if data_type is BINARY else answer.data) == content
        client.raise_event("echo", "without ack", TEXT, ack=False)
        assert client.take(CallbackType.SERVER_MESSAGE).data == "without ack"


@both_kinds
@both_protocols
@pytest.mark.parametrize("event", ["broken", "unknown"])
def test_a_failed_event_is_an_error_and_the_client_goes_on(kind: str, protocol: str, event: str) -> None:
    with scene(kind, protocol) as played, played.client() as client:
        with pytest.raises(SendMessageError) as error:
            client.raise_event(event, "x", TEXT)
        assert error.value.error_detail is not None
        assert error.value.error_detail.name == "InternalServerError"
        client.raise_event("echo", "x", TEXT)


@both_kinds
@both_protocols
def test_what_a_client_may_not_do_is_forbidden(kind: str, protocol: str) -> None:
    with scene(kind, protocol) as played, played.client(roles=("webpubsub.joinLeaveGroup.mine",)) as client:
        client.join("mine")
        actions: list[Callable[[], None]] = [lambda: client.join("room"), lambda: client.send("mine", "x", TEXT)]
        for action in actions:
            with pytest.raises(SendMessageError) as error:
                action()
            assert error.value.error_detail is not None
            assert error.value.error_detail.name == "Forbidden"


@both_kinds
@both_protocols
def test_a_duplicate_is_done_once_and_no_error(kind: str, protocol: str) -> None:
    with scene(kind, protocol) as played, played.client() as client:
        client.raise_event("echo", "once", TEXT, ack_id=1000)
        client.raise_event("echo", "twice", TEXT, ack_id=1000)
        client.raise_event("echo", "end", TEXT)
        assert {client.take(CallbackType.SERVER_MESSAGE).data for _ in range(2)} == {"once", "end"}
        assert len(played.service.events.named("echo")) == 2


@both_kinds
@both_protocols
def test_messages_over_rest_arrive(kind: str, protocol: str) -> None:
    with scene(kind, protocol) as played, played.client("alice") as client:
        connection_id = client.take(CallbackType.CONNECTED).connection_id
        played.rest.send_to_all({"n": 1})
        assert client.take(CallbackType.SERVER_MESSAGE).data == {"n": 1}
        played.rest.send_to_user("alice", "hi", content_type="text/plain")
        assert client.take(CallbackType.SERVER_MESSAGE).data == "hi"
        played.rest.add_connection_to_group("room", connection_id)
        played.rest.send_to_group("room", "all", content_type="text/plain")
        assert client.take(CallbackType.GROUP_MESSAGE).data == "all"


@both_kinds
def test_a_cut_reliable_client_misses_nothing_and_gets_nothing_twice(kind: str) -> None:
    with scene(kind, "reliable", recovery_seconds=20.0) as played, played.client() as client:
        connection_id = client.take(CallbackType.CONNECTED).connection_id
        client.join("room")
        for number in range(300):
            if number in (50, 51, 150, 250):
                played.service.faults.cut(connection_id)
            played.rest.send_to_group("room", {"number": number})

        heard = [client.take(CallbackType.GROUP_MESSAGE) for _ in range(300)]

        # Each callback of the sync client runs in a thread of its own, in no order.
        heard.sort(key=lambda item: int(item.sequence_id))
        assert [item.data["number"] for item in heard] == list(range(300))
        # It is the same connection, which works as before, and the app heard of nothing.
        client.send("room", {"number": -1}, JSON)
        assert client.take(CallbackType.GROUP_MESSAGE).data == {"number": -1}
        assert played.rest.connection_exists(connection_id)
        assert [event.event_name for event in played.service.events] == ["connect", "connected"]
        assert client.back[CallbackType.DISCONNECTED].empty()


@both_kinds
def test_a_reliable_client_tries_again_while_the_service_is_away(kind: str) -> None:
    with scene(kind, "reliable", recovery_seconds=20.0) as played, played.client() as client:
        connection_id = client.take(CallbackType.CONNECTED).connection_id
        played.service.faults.refuse(503)
        played.service.faults.cut(connection_id)
        played.rest.send_to_connection(connection_id, "still here", content_type="text/plain")
        assert client.take(CallbackType.SERVER_MESSAGE).data == "still here"
        assert client.back[CallbackType.DISCONNECTED].empty()


@both_kinds
def test_a_reliable_client_that_is_away_too_long_starts_anew(kind: str) -> None:
    with scene(kind, "reliable", recovery_seconds=0.0) as played, played.client() as client:
        first = client.take(CallbackType.CONNECTED).connection_id
        client.join("room")
        played.service.faults.refuse(503)  # so that the client comes when its window has closed
        played.service.faults.cut(first)
        assert client.take(CallbackType.DISCONNECTED).connection_id == first
        second = client.take(CallbackType.CONNECTED).connection_id
        assert second != first
        # It joins its groups again.
        played.service.events.wait_for("connected", second)
        _hears_the_group(played, client)


@both_kinds
def test_a_plain_client_that_is_cut_starts_anew(kind: str) -> None:
    with scene(kind, "json") as played, played.client() as client:
        first = client.take(CallbackType.CONNECTED).connection_id
        client.join("room")
        played.service.faults.cut(first)
        assert client.take(CallbackType.DISCONNECTED).connection_id == first
        assert client.take(CallbackType.CONNECTED).connection_id != first
        assert played.service.events.wait_for("disconnected").connection_id == first
        _hears_the_group(played, client)


@both_kinds
@both_protocols
def test_a_client_that_is_closed_over_rest_hears_why_and_starts_anew(kind: str, protocol: str) -> None:
    with scene(kind, protocol) as played, played.client() as client:
        first = client.take(CallbackType.CONNECTED).connection_id
        played.rest.close_connection(first, reason="Enough.")
        gone = client.take(CallbackType.DISCONNECTED)
        assert (gone.connection_id, gone.message) == (first, "Enough.")
        assert client.take(CallbackType.CONNECTED).connection_id != first
        told = played.service.events.wait_for("disconnected")
        assert (told.connection_id, told.request.reason) == (first, "Enough.")  # type: ignore[attr-defined]


def _hears_the_group(played: Scene, client: Client) -> None:
    """Wait until a client is in its group again: it joins by itself, some time after it is connected."""
    for _ in range(200):
        played.rest.send_to_group("room", "again", content_type="text/plain")
        try:
            assert client.back[CallbackType.GROUP_MESSAGE].get(timeout=0.05).data == "again"
        except queue.Empty:
            continue
        return
    pytest.fail("The client did not join its group again.")
