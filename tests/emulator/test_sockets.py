"""Clients on real WebSockets: who is let in, what goes over the socket, and how it ends."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web

from flask_webpubsub import ConnectEventResponse, EventErrorResponse, UserEventResponse
from flask_webpubsub.emulator.app_events import AppEvents
from flask_webpubsub.emulator.delivery import Outcome
from flask_webpubsub.emulator.hub import Connection, Hubs, Message
from flask_webpubsub.emulator.options import HubSettings, Options
from flask_webpubsub.emulator.sockets import Sockets
from flask_webpubsub.emulator.tokens import make_client_token, make_reconnection_token
from flask_webpubsub.enums import WebPubSubDataType
from flask_webpubsub.events import ConnectEventRequest, DisconnectedEventRequest
from tests.emulator.parts import ALL, App, frame, in_loop

KEY = "a-key-of-the-emulator-that-is-long-enough"
SECOND_KEY = "another-key-of-the-emulator-that-is-long-enough"
JSON = "json.webpubsub.azure.v1"
RELIABLE = "json.reliable.webpubsub.azure.v1"


class Service:
    """The endpoint on a port of this machine, with an app whose answers are set."""

    def __init__(self, port: int, session: ClientSession, hubs: Hubs, app: App, sockets: Sockets) -> None:
        self.port = port
        self.session = session
        self.hubs = hubs
        self.app = app
        self.sockets = sockets

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, path: str = "/client/hubs/chat", token: str | None = None, **query: str) -> str:
        if token is not None:
            query["access_token"] = token
        return f"{self.endpoint}{path}" + (f"?{urlencode(query)}" if query else "")

    def token(self, **values: Any) -> str:
        return make_client_token(
            values.pop("key", KEY), endpoint=self.endpoint, **{"hub": "chat", "roles": ALL, **values}
        )

    async def connect(
        self, url: str | None = None, protocols: Sequence[str] = (), **arguments: Any
    ) -> ClientWebSocketResponse:
        arguments.update(protocols=protocols, max_msg_size=0)
        socket: ClientWebSocketResponse = await self.session.ws_connect(
            url or self.url(token=self.token()), **arguments
        )
        return socket

    async def refused(self, url: str, **arguments: Any) -> int:
        with pytest.raises(WSServerHandshakeError) as refusal:
            await self.connect(url, **arguments)
        return refusal.value.status

    async def connection(self, number: int = 0) -> Connection:
        """A connection of the hub, as soon as it is there."""
        while len(self.hubs.get("chat").connections) <= number:
            await asyncio.sleep(0.001)
        return list(self.hubs.get("chat").connections.values())[number]


@asynccontextmanager
async def serve(**options: Any) -> AsyncIterator[Service]:
    app, hubs = App(), Hubs()
    events = AppEvents(app)
    hubs.on_group_change = events.group_changed
    sockets = Sockets(hubs, events, Options.fast(**options), [KEY, SECOND_KEY])
    application = web.Application()
    sockets.add_routes(application)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession() as session:
        try:
            yield Service(runner.addresses[0][1], session, hubs, app, sockets)
        finally:
            await sockets.stop()
            await runner.cleanup()


async def read(socket: ClientWebSocketResponse, count: int = 1) -> list[Any]:
    return [json.loads(await socket.receive_str()) for _ in range(count)]


async def closing(socket: ClientWebSocketResponse) -> tuple[int | None, str | None]:
    """The code and the reason with which a socket is closed, after whatever came before."""
    while True:
        message = await socket.receive()
        if message.type is WSMsgType.CLOSE:
            return message.data, message.extra
        if message.type in (WSMsgType.CLOSED, WSMsgType.ERROR):
            return socket.close_code, None


# Who is let in.


@pytest.mark.parametrize("path", ["/client/hubs/chat", "/client/?hub=chat", "/client?hub=chat", "/client/hubs/CHAT"])
@in_loop
async def test_every_form_of_the_url_lets_a_client_in(path: str) -> None:
    async with serve() as service:
        joint = "&" if "?" in path else "?"
        url = f"{service.endpoint}{path}{joint}access_token={service.token()}"
        async with await service.connect(url):
            connection = await service.connection()
            assert connection.hub_name == ("CHAT" if "CHAT" in path else "chat")


@pytest.mark.parametrize("key", [KEY, SECOND_KEY], ids=["primary", "secondary"])
@in_loop
async def test_a_token_of_either_key_is_good(key: str) -> None:
    async with serve() as service, await service.connect(service.url(token=service.token(key=key))):
        await service.connection()


@in_loop
async def test_a_token_may_be_in_a_header() -> None:
    async with serve() as service:
        headers = {"Authorization": f"Bearer {service.token(user_id='alice')}"}
        async with await service.connect(service.url(), headers=headers):
            assert (await service.connection()).user_id == "alice"


@in_loop
async def test_the_token_of_the_query_wins() -> None:
    async with serve() as service:
        headers = {"Authorization": f"Bearer {service.token(user_id='header')}"}
        async with await service.connect(service.url(token=service.token(user_id="query")), headers=headers):
            assert (await service.connection()).user_id == "query"


@in_loop
async def test_bad_tokens_are_401_before_the_upgrade() -> None:
    async with serve() as service:
        tokens = [
            None,
            "x",
            service.token(key="a-key-of-somebody-else-that-is-long-enough"),
            service.token(hub="other"),
            service.token(minutes_to_expire=-6),
        ]
        assert [await service.refused(service.url(token=token)) for token in tokens] == [401] * 5
        assert service.app.requests == []


@in_loop
async def test_a_token_is_good_for_five_minutes_after_its_end() -> None:
    async with serve() as service, await service.connect(service.url(token=service.token(minutes_to_expire=-4))):
        await service.connection()


@in_loop
async def test_anonymous_clients_need_a_hub_that_lets_them_in() -> None:
    async with serve(hubs={"Chat": HubSettings(allow_anonymous=True)}) as service:
        async with await service.connect(service.url()):
            assert (await service.connection()).user_id is None
        assert await service.refused(service.url("/client/hubs/other")) == 401
        # A bad token is not the same as none.
        assert await service.refused(service.url(token="x")) == 401


BAD_REQUESTS = {
    "bad-hub": ("/client/hubs/1chat", {}),
    "hub-with-a-slash": (f"/client/hubs/{quote('a/b', safe='')}", {}),
    "no-hub": ("/client/", {}),
    "unknown-mode": ("/client/hubs/chat", {"webpubsub_mode": "dance"}),
    "no-group": ("/client/hubs/chat", {"webpubsub_mode": "sendToGroup"}),
    "blank-group": ("/client/hubs/chat", {"webpubsub_mode": "sendToGroup", "group": " "}),
    "bad-echo": ("/client/hubs/chat", {"webpubsub_mode": "sendToGroup", "group": "room", "noEcho": "maybe"}),
}


@pytest.mark.parametrize(("path", "query"), BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
@in_loop
async def test_bad_names_and_modes_are_400_before_the_upgrade(path: str, query: dict[str, str]) -> None:
    async with serve() as service:
        assert await service.refused(service.url(path, token=service.token(), **query)) == 400
        assert await service.refused(service.url(path, **query)) == 400  # even without a token


@in_loop
async def test_a_token_with_a_bad_group_is_400() -> None:
    async with serve() as service:
        assert await service.refused(service.url(token=service.token(groups=["ok", " "]))) == 400


@in_loop
async def test_what_is_no_websocket_is_400() -> None:
    async with serve() as service, service.session.get(service.url(token=service.token())) as answer:
        assert answer.status == 400


@in_loop
async def test_no_handshake_is_more_than_let_in_or_refused(caplog: pytest.LogCaptureFixture) -> None:
    luck = random.Random(7)
    names = (
        "webpubsub_mode",
        "group",
        "noEcho",
        "awps_connection_id",
        "awps_reconnection_token",
        "access_token",
        "hub",
    )
    async with serve(hubs={"chat": HubSettings(allow_anonymous=True)}) as service:
        values = ("", " ", "sendToGroup", "true", "ä", "\x00", "%", "a.b.c", "x" * 2000, service.token())
        paths = ("/client/hubs/chat", "/client/", "/client", "/client/hubs/%00", f"/client/hubs/{'x' * 200}")
        offers: list[list[str]] = [[], [JSON], [RELIABLE], ["mine"]]
        statuses = set()
        for _ in range(300):
            query = {luck.choice(names): luck.choice(values) for _ in range(luck.randrange(5))}
            try:
                url = service.url(luck.choice(paths), **query)
                socket = await service.connect(url, protocols=luck.choice(offers))
                await socket.close()
                statuses.add(101)
            except WSServerHandshakeError as refusal:
                statuses.add(refusal.status)
    assert statuses == {101, 400, 401}
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


# What the app says to it.


@in_loop
async def test_the_app_sees_what_the_client_asks_for() -> None:
    async with serve() as service:
        url = service.url("/client/hubs/Chat", service.token(user_id="alice", claims={"age": 7}), room="a", x="1")
        headers = {"X-Trace": "t", "Authorization": "Bearer secret"}
        async with await service.connect(f"{url}&room=b", protocols=["mine", "yours"], headers=headers):
            pass
        connect = service.app.requests[0]
        assert isinstance(connect, ConnectEventRequest)
        assert connect.query == {"room": ["a", "b"], "x": ["1"]}
        assert (connect.claims["sub"], connect.claims["age"]) == (["alice"], ["7"])
        assert connect.subprotocols == ["mine", "yours"]
        assert connect.headers["X-Trace"] == ["t"]
        assert not [name for name in connect.headers if name.lower() == "authorization"]
        context = connect.connection_context
        assert (context.hub, context.user_id, context.event_id, context.subprotocol) == ("Chat", "alice", "0", None)


@in_loop
async def test_bytes_that_are_no_text_do_not_reach_the_app_as_such() -> None:
    async with serve() as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(
            f"GET /client/hubs/chat?access_token={service.token()}&a=%FF HTTP/1.1\r\nHost: localhost\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n".encode()
            + b"X-Bytes: \xff\xfe\r\n\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        writer.close()
        connect = service.app.requests[0]
        assert isinstance(connect, ConnectEventRequest)
        assert json.dumps([connect.headers, connect.query], ensure_ascii=False).encode()


@in_loop
async def test_without_an_answer_the_token_holds() -> None:
    async with serve() as service:
        token = service.token(user_id="alice", groups=["a", "b"], roles=["webpubsub.sendToGroup.a"])
        async with await service.connect(service.url(token=token)):
            connection = await service.connection()
            assert (connection.user_id, connection.groups) == ("alice", {"a", "b"})
            assert connection.permissions.can_send("a")
            assert not connection.permissions.can_join("a")


@pytest.mark.parametrize(
    ("response", "user_id", "groups", "may_send"),
    [
        (ConnectEventResponse(), "alice", {"a"}, True),
        (ConnectEventResponse(user_id="bob"), "bob", {"a"}, True),
        (ConnectEventResponse(user_id=""), None, {"a"}, True),
        (ConnectEventResponse(user_id=None, groups=None, roles=None), "alice", {"a"}, True),
        (ConnectEventResponse(groups=["b"]), "alice", {"b"}, True),
        (ConnectEventResponse(groups=[]), "alice", {"a"}, True),
        (ConnectEventResponse(roles=[]), "alice", {"a"}, False),
        (ConnectEventResponse(roles=["webpubsub.joinLeaveGroup"]), "alice", {"a"}, False),
    ],
    ids=["empty", "user", "no-user", "nulls", "groups", "no-groups-given", "no-roles", "other-roles"],
)
@in_loop
async def test_the_answer_to_connect_overrides_the_token(
    response: ConnectEventResponse, user_id: str | None, groups: set[str], may_send: bool
) -> None:
    async with serve() as service:
        service.app.answer("connect", response)
        token = service.token(user_id="alice", groups=["a"])
        async with await service.connect(service.url(token=token)):
            connection = await service.connection()
            assert (connection.user_id, connection.groups) == (user_id, groups)
            assert connection.permissions.can_send("room") is may_send
            assert service.hubs.get("chat").of_user(user_id or "alice") == ([connection] if user_id else [])


REFUSALS = {
    "401": (Outcome(EventErrorResponse(401, "No."), True, False, 401, b"No.", "text/plain"), 401, b"No."),
    "409": (Outcome(None, True, False, 409, b'{"a":1}', "application/json"), 409, b'{"a":1}'),
    "503": (Outcome(None, True, False, 503, b"", None), 503, b""),
    "no-answer": (Outcome(None, True, False, 500), 500, b""),
    "an-answer-that-can-not-be-read": (Outcome(None, True, False, 200, b"{"), 500, b"{"),
}


@pytest.mark.parametrize(("outcome", "status", "body"), REFUSALS.values(), ids=REFUSALS.keys())
@in_loop
async def test_a_refused_client_gets_the_apps_own_words(outcome: Outcome, status: int, body: bytes) -> None:
    async with serve() as service:
        service.app.answers["connect"] = lambda request: outcome
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        async with service.session.get(service.url(token=service.token()), headers=headers) as answer:
            assert (answer.status, await answer.read()) == (status, body)
            if outcome.content_type:
                assert answer.content_type == outcome.content_type
        assert service.app.names == ["connect"]
        assert service.hubs.get("chat").connections == {}


@pytest.mark.parametrize(
    "response",
    [ConnectEventResponse(groups=[" "]), ConnectEventResponse(subprotocol="not-offered")],
    ids=["bad-group", "subprotocol-not-offered"],
)
@in_loop
async def test_an_answer_that_can_not_be_is_500(response: ConnectEventResponse) -> None:
    async with serve() as service:
        service.app.answer("connect", response)
        assert await service.refused(service.url(token=service.token()), protocols=["mine"]) == 500


@in_loop
async def test_a_client_that_leaves_before_the_app_answers_was_never_here() -> None:
    async with serve() as service:
        answered = service.app.hold("connect")
        connecting = asyncio.create_task(service.connect())
        await service.app.wait_for("connect")
        connecting.cancel()
        await asyncio.wait([connecting])
        await asyncio.sleep(0.05)  # the other end of the connection hears of it
        answered.set()
        await asyncio.sleep(0.05)
        async with await service.connect():
            await service.connection()
            assert len(service.hubs.get("chat").connections) == 1


# Subprotocols.


@pytest.mark.parametrize(
    ("offered", "answer", "chosen"),
    [
        ([], None, None),
        ([JSON], None, JSON),
        ([RELIABLE], None, RELIABLE),
        ([JSON, RELIABLE], None, JSON),
        (["mine", RELIABLE, JSON], None, RELIABLE),
        ([JSON.upper()], None, JSON.upper()),
        (["mine", "yours"], None, None),
        (["mine", "yours"], "yours", "yours"),
        ([JSON, "mine"], "mine", "mine"),
        ([JSON], "", JSON),
    ],
    ids=[
        "none",
        "json",
        "reliable",
        "first-known",
        "first-known-of-others",
        "any-case",
        "unknown",
        "the-apps-choice",
        "the-apps-choice-wins",
        "no-choice",
    ],
)
@in_loop
async def test_the_chosen_subprotocol_is_echoed(offered: list[str], answer: str | None, chosen: str | None) -> None:
    async with serve() as service:
        if answer is not None:
            service.app.answer("connect", ConnectEventResponse(subprotocol=answer))
        async with await service.connect(protocols=offered) as socket:
            assert socket.protocol == chosen
            await service.app.wait_for("connected")
            assert service.app.requests[-1].connection_context.subprotocol == chosen
            assert (await service.connection()).subprotocol == chosen


@in_loop
async def test_a_custom_subprotocol_is_a_raw_client() -> None:
    async with serve() as service:
        service.app.answer("connect", ConnectEventResponse(subprotocol="mine"))
        service.app.answer("message", UserEventResponse(b"\x01"))
        async with await service.connect(protocols=["mine"]) as socket:
            await socket.send_bytes(b"\x00")
            assert await socket.receive_bytes() == b"\x01"


# Being connected.


@in_loop
async def test_connected_and_the_groups_follow_the_greeting() -> None:
    async with serve() as service:
        token = service.token(groups=["a"])
        async with await service.connect(service.url(token=token), protocols=[JSON]) as socket:
            (greeting,) = await read(socket)
            await service.app.wait_for("joined")
            assert greeting["event"] == "connected"
            assert service.app.names == ["connect", "connected", "joined"]
            assert [request.connection_context.event_id for request in service.app.requests] == ["0", "1", "2"]


@in_loop
async def test_the_greeting_is_the_first_frame_whatever_is_sent_meanwhile() -> None:
    async with serve() as service:
        token = service.token(groups=["a"])
        hub = service.hubs.get("chat")
        sockets = []
        for number in range(20):
            sockets.append(await service.connect(service.url(token=token), protocols=[JSON]))
            hub.send(hub.in_group("a"), Message(number, WebPubSubDataType.JSON, "server"))
        firsts = [(await read(socket))[0] for socket in sockets]
        assert [first["type"] for first in firsts] == ["system"] * 20
        for socket in sockets:
            await socket.close()


@in_loop
async def test_a_message_does_not_wait_for_connected() -> None:
    async with serve() as service:
        answered = service.app.hold("connected")
        service.app.answer("message", UserEventResponse("hi"))
        async with await service.connect() as socket:
            await socket.send_str("x")
            assert await socket.receive_str() == "hi"
            answered.set()


@in_loop
async def test_disconnected_waits_for_connected() -> None:
    async with serve() as service:
        answered = service.app.hold("connected")
        async with await service.connect():
            await service.app.wait_for("connected")
        while service.hubs.get("chat").connections:
            await asyncio.sleep(0.001)
        assert service.app.names == ["connect", "connected"]
        answered.set()
        await service.app.wait_for("disconnected")


@in_loop
async def test_messages_of_one_client_are_handled_in_order_and_one_at_a_time() -> None:
    async with serve() as service:
        running = 0

        async def answer() -> Outcome:
            nonlocal running
            running += 1
            assert running == 1
            await asyncio.sleep(0.001)
            running -= 1
            return Outcome(UserEventResponse(str(len(service.app.messages))))

        service.app.answers["message"] = lambda request: answer()
        async with await service.connect() as socket:
            for number in range(50):
                await socket.send_str(str(number))
            answers = [await socket.receive_str() for _ in range(50)]
        assert service.app.messages == [str(number) for number in range(50)]
        assert answers == [str(number) for number in range(1, 51)]


@in_loop
async def test_pings_are_answered_while_the_app_thinks() -> None:
    async with serve() as service:
        answered = service.app.hold("message", UserEventResponse("late"))
        async with await service.connect(autoping=False) as socket:
            await socket.send_str("x")
            await service.app.wait_for("message")
            await socket.ping(b"here?")
            pong = await socket.receive()
            assert (pong.type, bytes(pong.data)) == (WSMsgType.PONG, b"here?")
            answered.set()
            assert await socket.receive_str() == "late"


@in_loop
async def test_a_client_that_answers_no_ping_is_lost() -> None:
    async with serve(ping_seconds=0.1) as service:
        socket = await service.connect(autoping=False)
        told = await service.app.wait_for("disconnected")
        assert isinstance(told, DisconnectedEventRequest)
        assert told.reason == "The client did not answer a ping."
        await socket.close()


# Sizes and kinds of frames.

MIB = 1024 * 1024


@in_loop
async def test_a_frame_may_have_one_mebibyte() -> None:
    async with serve() as service:
        service.app.answer("message", UserEventResponse("ok"))
        async with await service.connect() as socket:
            await socket.send_str("x" * MIB)
            assert await socket.receive_str() == "ok"
            assert [len(data) for data in service.app.messages] == [MIB]


@pytest.mark.parametrize("protocols", [[], [JSON], [RELIABLE]], ids=["raw", "json", "reliable"])
@in_loop
async def test_a_larger_frame_is_1009_and_final(protocols: list[str]) -> None:
    async with serve() as service:
        async with await service.connect(protocols=protocols) as socket:
            await socket.send_str("x" * (MIB + 1))
            assert (await closing(socket))[0] == 1009
        await service.app.wait_for("disconnected")
        assert (service.hubs.get("chat").connections, service.app.messages) == ({}, [])


@pytest.mark.parametrize(
    ("data", "code"), [(b"{}", 1003), ("{", 1007), (frame("dance"), 1007)], ids=["binary", "no-json", "unknown-type"]
)
@in_loop
async def test_a_wrong_frame_closes_a_json_client(data: bytes | str, code: int) -> None:
    async with serve() as service, await service.connect(protocols=[JSON]) as socket:
        await (socket.send_bytes(data) if isinstance(data, bytes) else socket.send_str(data))
        assert (await closing(socket))[0] == code


@in_loop
async def test_text_that_is_no_utf_8_is_1007_and_a_broken_frame_is_1002() -> None:
    async with serve() as service:
        for broken, code in ((b"\x81\x81\x00\x00\x00\x00\xff", 1007), (b"\xf1\x80\x00\x00\x00\x00", 1002)):
            socket = await service.connect()
            transport = socket.get_extra_info("socket")
            assert transport is not None
            writer = socket._response.connection.transport  # type: ignore[union-attr]
            writer.write(broken)  # type: ignore[union-attr]
            assert (await closing(socket))[0] == code
            await socket.close()


@in_loop
async def test_a_failed_event_closes_a_raw_client_with_1011() -> None:
    async with serve() as service, await service.connect() as socket:
        await socket.send_str("x")
        assert (await closing(socket))[0] == 1011


@pytest.mark.parametrize("may", [True, False])
@in_loop
async def test_frames_of_a_client_in_group_mode_need_the_permission(may: bool) -> None:
    async with serve() as service:
        member = await service.connect(service.url(token=service.token(groups=["room"])))
        query = {"webpubsub_mode": "SENDTOGROUP", "group": "room"}
        sender = await service.connect(service.url(token=service.token(roles=ALL if may else ()), **query))
        await sender.send_bytes(b"\x01")
        if may:
            assert await member.receive_bytes() == b"\x01"
        else:
            assert (await closing(sender))[0] == 1008
        await member.close()
        await sender.close()


@in_loop
async def test_a_subprotocol_of_the_service_has_no_mode() -> None:
    async with serve() as service:
        url = service.url(token=service.token(), webpubsub_mode="dance")
        async with await service.connect(url, protocols=[JSON]) as socket:
            assert (await read(socket))[0]["type"] == "system"


# Ends.


@pytest.mark.parametrize(
    ("code", "message", "reason"), [(1000, b"", None), (1000, b"Bye.", "Bye."), (1001, b"", None), (4000, b"X", "X")]
)
@in_loop
async def test_a_client_that_closes_is_disconnected(code: int, message: bytes, reason: str | None) -> None:
    async with serve() as service:
        socket = await service.connect(protocols=[JSON])
        await socket.close(code=code, message=message)
        told = await service.app.wait_for("disconnected")
        assert isinstance(told, DisconnectedEventRequest)
        assert told.reason == reason
        assert service.hubs.get("chat").connections == {}


@in_loop
async def test_a_client_whose_network_breaks_is_disconnected() -> None:
    async with serve() as service, await service.connect() as socket:
        (await service.connection()).cut()
        assert await closing(socket) == (1006, None)
        told = await service.app.wait_for("disconnected")
        assert isinstance(told, DisconnectedEventRequest)
        assert told.reason == "The connection was lost."


@pytest.mark.parametrize("reason", ["Enough.", "ä" * 100], ids=["short", "longer-than-a-close-frame"])
@in_loop
async def test_a_close_over_rest_says_why(reason: str) -> None:
    async with serve() as service, await service.connect(protocols=[JSON]) as socket:
        (await service.connection()).close(reason)
        assert [item.get("message") for item in await read(socket, 2)] == [None, reason]
        code, text = await closing(socket)
        assert (code, text) == (1000, reason.encode()[:123].decode(errors="ignore"))
        told = await service.app.wait_for("disconnected")
        assert isinstance(told, DisconnectedEventRequest)
        assert told.reason == reason


@in_loop
async def test_messages_written_before_a_close_arrive_before_it() -> None:
    async with serve() as service, await service.connect() as socket:
        connection = await service.connection()
        for number in range(100):
            connection.send(Message(str(number) * 1000, WebPubSubDataType.TEXT, "server"))
        connection.close()
        assert [len(await socket.receive_str()) for _ in range(100)] == [1000] * 10 + [2000] * 90
        assert (await closing(socket))[0] == 1000


@in_loop
async def test_a_client_that_reads_nothing_is_closed_and_holds_up_nobody() -> None:
    async with serve(max_waiting_bytes=2_000_000, closing_seconds=0.2) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
        writer.write(
            f"GET /client/hubs/chat?access_token={service.token()} HTTP/1.1\r\nHost: localhost\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        slow = await service.connection()
        async with await service.connect() as quick:
            hub = service.hubs.get("chat")
            while hub.has(slow):
                hub.send(hub.connections.values(), Message("x" * 500_000, WebPubSubDataType.TEXT, "server"))
                assert len(await quick.receive_str()) == 500_000
            told = await service.app.wait_for("disconnected")
            assert isinstance(told, DisconnectedEventRequest)
            assert told.reason == "The client does not read its messages."
        writer.close()
        del reader


@in_loop
async def test_a_service_that_stops_sends_its_clients_away_and_tells_the_app_nothing() -> None:
    async with serve() as service:
        raw, reliable = await service.connect(), await service.connect(protocols=[RELIABLE])
        held = service.app.hold("message")
        await raw.send_str("x")
        await service.app.wait_for("message")
        await service.app.wait_for("connected", 2)
        await asyncio.gather(service.sockets.stop(), raw.receive(), closing(reliable))
        assert (raw.close_code, reliable.close_code) == (1001, 1001)
        assert "disconnected" not in service.app.names
        held.set()
        assert await service.refused(service.url(token=service.token())) == 503


# Coming back.


async def greet(service: Service, **arguments: Any) -> tuple[ClientWebSocketResponse, dict[str, Any]]:
    socket = await service.connect(protocols=[RELIABLE], **arguments)
    (greeting,) = await read(socket)
    return socket, greeting


def recovery_url(service: Service, connection_id: str, token: str, access_token: str | None = None) -> str:
    return service.url(token=access_token, awps_connection_id=connection_id, awps_reconnection_token=token)


@pytest.mark.parametrize("access_token", [None, "expired-or-broken"], ids=["without-token", "whatever-the-token"])
@in_loop
async def test_a_client_comes_back_and_nothing_is_lost(access_token: str | None) -> None:
    async with serve() as service:
        socket, greeting = await greet(service)
        connection = await service.connection()
        connection.send(Message("a", WebPubSubDataType.TEXT, "server"))
        connection.cut()
        await closing(socket)
        connection.send(Message("b", WebPubSubDataType.TEXT, "server"))

        url = recovery_url(service, greeting["connectionId"], greeting["reconnectionToken"], access_token)
        async with await service.connect(url, protocols=[RELIABLE]) as again:
            connection.send(Message("c", WebPubSubDataType.TEXT, "server"))
            connected, *messages = await read(again, 4)
            assert connected["connectionId"] == greeting["connectionId"]
            assert [(item["sequenceId"], item["data"]) for item in messages] == [(1, "a"), (2, "b"), (3, "c")]
            assert service.app.names == ["connect", "connected"]


@in_loop
async def test_a_client_that_comes_back_takes_the_place_of_its_old_socket() -> None:
    async with serve() as service:
        old, greeting = await greet(service)
        url = recovery_url(service, greeting["connectionId"], greeting["reconnectionToken"])
        async with await service.connect(url, protocols=[RELIABLE]) as new:
            await read(new)
            assert await closing(old) == (1006, None)
            await new.send_str(frame("joinGroup", group="room", ackId=1))
            assert (await read(new))[0]["success"]
            assert len(service.hubs.get("chat").connections) == 1


REFUSED_RECOVERIES = ["unknown connection", "another connection's token", "forged token", "no token", "not reliable"]


@pytest.mark.parametrize("why", REFUSED_RECOVERIES)
@in_loop
async def test_a_refused_recovery_is_an_upgrade_and_then_1008(why: str) -> None:
    async with serve() as service:
        socket, greeting = await greet(service)
        plain = await service.connect(protocols=[JSON])
        ((plain_greeting),) = await read(plain)
        mine = greeting["connectionId"]
        connection_id, token = {
            "unknown connection": ("0" * 32, make_reconnection_token(KEY, "0" * 32)),
            "another connection's token": (mine, make_reconnection_token(KEY, "0" * 32)),
            "forged token": (mine, make_reconnection_token("a-key-of-somebody-else-that-is-long-enough", mine)),
            "no token": (mine, ""),
            "not reliable": (
                plain_greeting["connectionId"],
                make_reconnection_token(KEY, plain_greeting["connectionId"]),
            ),
        }[why]
        url = recovery_url(service, connection_id, token, service.token())
        async with await service.connect(url, protocols=[RELIABLE]) as refused:
            assert refused.protocol == RELIABLE
            message = await refused.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1008)
        assert len(service.hubs.get("chat").connections) == 2
        await socket.close()
        await plain.close()


@in_loop
async def test_after_a_close_over_rest_the_client_can_not_come_back() -> None:
    async with serve() as service:
        socket, greeting = await greet(service)
        (await service.connection()).close("Enough.")
        assert (await read(socket))[0]["message"] == "Enough."
        assert await closing(socket) == (1000, "Enough.")
        url = recovery_url(service, greeting["connectionId"], greeting["reconnectionToken"])
        async with await service.connect(url, protocols=[RELIABLE]) as refused:
            assert (await closing(refused))[0] == 1008


@in_loop
async def test_a_goodbye_is_final_and_another_code_is_not() -> None:
    async with serve(recovery_seconds=60.0) as service:
        for code, kept in ((1001, 1), (1000, 1)):
            socket, _ = await greet(service)
            await socket.close(code=code)
            if code == 1000:
                await service.app.wait_for("disconnected")
            while True:
                away = [c for c in service.hubs.get("chat").connections.values() if c.client.socket is None]  # type: ignore[union-attr]
                if len(away) == kept:
                    break
                await asyncio.sleep(0.001)
        assert service.app.names.count("disconnected") == 1


@in_loop
async def test_a_client_that_does_not_come_back_in_time_is_disconnected() -> None:
    async with serve(recovery_seconds=0.1) as service:
        socket, greeting = await greet(service)
        (await service.connection()).cut()
        await closing(socket)
        await service.app.wait_for("disconnected")
        url = recovery_url(service, greeting["connectionId"], greeting["reconnectionToken"])
        async with await service.connect(url, protocols=[RELIABLE]) as refused:
            assert (await closing(refused))[0] == 1008
