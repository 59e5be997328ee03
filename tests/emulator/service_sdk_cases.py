"""What an official service SDK does with a service, on live and on unknown targets: the same for each of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar, NamedTuple, Protocol

import pytest
import websocket

from flask_webpubsub.emulator import Emulator, RunningEmulator

HUB = "chat"
ROOM = "room 1/a%é"
ALICE = "alice@example.com/x y"
#: What no operation returns, but some raise.
NOT_FOUND = {"status": 404, "code": "NotFound"}
BAD_REQUEST = {"status": 400, "code": "BadRequest"}


class Step(NamedTuple):
    """A call, by the names of the Python SDK, and its result; that of a failure is its status and its code."""

    name: str
    arguments: dict[str, Any]
    expected: Any = None


class Run(Protocol):
    """Takes steps with an SDK, and gives their results."""

    def __call__(self, connection_string: str, steps: Sequence[Step]) -> list[Any]: ...


class Client:
    """A client on a WebSocket that speaks JSON."""

    def __init__(self, url: str) -> None:
        self._socket: Any = websocket.create_connection(url, timeout=10, subprotocols=["json.webpubsub.azure.v1"])
        self._last_ack = 0
        connected = self.receive()
        self.connection_id: str = connected["connectionId"]
        self.user_id: str | None = connected.get("userId")

    def receive(self) -> Any:
        """The next frame."""
        return json.loads(self._socket.recv())

    def receive_until(self, end: str) -> list[tuple[Any, ...]]:
        """The messages before the one whose data are ``end``: where each is from, its group, type and data."""
        messages = []
        while (frame := self.receive()).get("data") != end:
            assert frame["type"] == "message"
            messages.append((frame["from"], frame.get("group"), frame["dataType"], frame["data"]))
        return messages

    def ask(self, **frame: Any) -> bool:
        """Send a request, and return whether it was granted."""
        self._last_ack += 1
        self._socket.send(json.dumps({**frame, "ackId": self._last_ack}))
        while (answer := self.receive())["type"] != "ack":
            pass
        return bool(answer["success"])

    def receive_end(self) -> str:
        """The reason with which the service closes; nothing else comes before that."""
        frame = self.receive()
        assert (frame["type"], frame["event"]) == ("system", "disconnected")
        opcode, payload = self._socket.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        assert payload[2:].decode() == frame["message"]
        return str(frame["message"])

    def close(self) -> None:
        """Go."""
        self._socket.close()
        self._socket.shutdown()  # which close() forgets where the service was the first to close


class World:
    """A service with some clients: alice twice, once in the room, bob, in the room, and somebody."""

    def __init__(self, service: RunningEmulator, run: Run, stack: ExitStack) -> None:
        self.service = service
        self._run = run
        self._stack = stack
        self.alice = self.connect(user_id=ALICE, groups=[ROOM])
        self.alice_too = self.connect(user_id=ALICE)
        self.bob = self.connect(user_id="bob", groups=[ROOM])
        self.somebody = self.connect()
        self.all = [self.alice, self.alice_too, self.bob, self.somebody]

    def connect(self, url: str | None = None, **options: Any) -> Client:
        """Connect one more client."""
        client = Client(url or self.service.client_url(HUB, **options))
        self._stack.callback(client.close)
        return client

    def take(self, *steps: Step) -> list[Any]:
        """Take steps, and check what each gives."""
        results = self._run(self.service.connection_string, steps)
        wrong = [(step, got) for step, got in zip(steps, results, strict=True) if not _fits(step.expected, got)]
        assert not wrong, wrong
        return results


def _fits(expected: Any, got: Any) -> bool:
    return expected is ... or (expected == got and type(expected) is type(got))


class Cases:
    """The cases; a subclass says which SDK."""

    run: ClassVar[Any]

    @pytest.fixture
    def world(self) -> Iterator[World]:
        with Emulator() as service, ExitStack() as stack:
            yield World(service, type(self).run, stack)

    def test_messages_reach_whom_they_are_for(self, world: World) -> None:
        alice, too, bob, somebody = (client.connection_id for client in world.all)
        text, data = {"content_type": "text/plain"}, {"content_type": "application/json"}
        binary = {"content_type": "application/octet-stream"}
        known = "userId ne null"
        world.take(
            Step("send_to_all", {"message": "1", **text}),
            Step("send_to_all", {"message": {"n": [2, None, "é"]}, **data, "excluded": [alice, bob]}),
            Step("send_to_all", {"message": b"\x003", **binary, "filter": known}),
            Step("send_to_all", {"message": "4", **text, "filter": known, "excluded": [too]}),
            Step("send_to_group", {"group": ROOM, "message": "5", **text}),
            Step("send_to_group", {"group": ROOM, "message": "6", **data, "excluded": [bob]}),
            Step("send_to_group", {"group": ROOM, "message": b"7", **binary, "filter": "userId eq 'bob'"}),
            Step("send_to_user", {"user_id": ALICE, "message": "8", **text}),
            Step("send_to_user", {"user_id": ALICE, "message": {"n": 9}, **data, "filter": f"connectionId eq '{too}'"}),
            Step("send_to_connection", {"connection_id": somebody, "message": b"10", **binary}),
            Step("send_to_connection", {"connection_id": bob, "message": "11", **text}),
            Step("send_to_all", {"message": "end", **text}),
        )
        server, group = ("server", None), ("group", ROOM)
        one, two = (*server, "text", "1"), (*server, "json", {"n": [2, None, "é"]})
        three, four = (*server, "binary", base64.b64encode(b"\x003").decode()), (*server, "text", "4")
        five, six = (*group, "text", "5"), (*group, "json", "6")
        seven, eight = (*group, "binary", base64.b64encode(b"7").decode()), (*server, "text", "8")
        nine, ten = (*server, "json", {"n": 9}), (*server, "binary", base64.b64encode(b"10").decode())
        eleven = (*server, "text", "11")
        assert world.alice.receive_until("end") == [one, three, four, five, six, eight]
        assert world.alice_too.receive_until("end") == [one, two, three, eight, nine]
        assert world.bob.receive_until("end") == [one, three, four, five, seven, eleven]
        assert world.somebody.receive_until("end") == [one, two, ten]

    def test_messages_for_nobody_are_taken(self, world: World) -> None:
        message = {"message": "hi", "content_type": "text/plain"}
        world.take(
            Step("send_to_group", {"group": "nobody", **message}),
            Step("send_to_user", {"user_id": "nobody", **message}),
            Step("send_to_connection", {"connection_id": "nobody", **message}),
            Step("send_to_all", {**message, "filter": "false"}),
        )

    def test_what_is_there_is_found(self, world: World) -> None:
        world.take(
            Step("connection_exists", {"connection_id": world.bob.connection_id}, True),
            Step("connection_exists", {"connection_id": "nobody"}, False),
            Step("user_exists", {"user_id": ALICE}, True),
            Step("user_exists", {"user_id": "nobody"}, False),
            Step("group_exists", {"group": ROOM}, True),
            Step("group_exists", {"group": "nobody"}, False),
        )

    def test_members_are_listed_by_pages(self, world: World) -> None:
        members: list[list[str | None]] = [[world.alice.connection_id, ALICE], [world.bob.connection_id, "bob"]]
        members += [[world.connect(groups=[ROOM]).connection_id, None] for _ in range(3)]
        everybody = sorted(members, key=str)
        world.take(
            Step("list_connections", {"group": ROOM}, everybody),
            Step("list_connections", {"group": ROOM, "maxpagesize": 2}, everybody),
            Step("list_connections", {"group": ROOM, "maxpagesize": 1, "top": 3}, everybody[:3]),
            Step("list_connections", {"group": ROOM, "top": 1}, everybody[:1]),
            Step("list_connections", {"group": "nobody"}, []),
        )

    def test_groups_are_joined_and_left(self, world: World) -> None:
        somebody, bob = world.somebody.connection_id, world.bob.connection_id
        alices = sorted([[world.alice.connection_id, ALICE], [world.alice_too.connection_id, ALICE]])
        world.take(
            Step("add_connection_to_group", {"group": "a", "connection_id": somebody}),
            Step("add_connection_to_group", {"group": "a", "connection_id": somebody}),
            Step("list_connections", {"group": "a"}, [[somebody, None]]),
            Step("remove_connection_from_group", {"group": "a", "connection_id": somebody}),
            Step("remove_connection_from_group", {"group": "a", "connection_id": somebody}),
            Step("group_exists", {"group": "a"}, False),
            Step("add_user_to_group", {"group": "b", "user_id": ALICE}),
            Step("list_connections", {"group": "b"}, alices),
            Step("remove_user_from_group", {"group": "b", "user_id": ALICE}),
            Step("group_exists", {"group": "b"}, False),
            Step("remove_user_from_all_groups", {"user_id": ALICE}),
            Step("list_connections", {"group": ROOM}, [[bob, "bob"]]),
            Step("remove_connection_from_all_groups", {"connection_id": bob}),
            Step("group_exists", {"group": ROOM}, False),
        )

    def test_groups_of_nobody_stay_as_they_are(self, world: World) -> None:
        world.take(
            Step("add_connection_to_group", {"group": "a", "connection_id": "nobody"}, NOT_FOUND),
            Step("add_user_to_group", {"group": "a", "user_id": "nobody"}, NOT_FOUND),
            Step("remove_connection_from_group", {"group": "a", "connection_id": "nobody"}),
            Step("remove_connection_from_all_groups", {"connection_id": "nobody"}),
            Step("remove_user_from_group", {"group": "a", "user_id": "nobody"}),
            Step("remove_user_from_all_groups", {"user_id": "nobody"}),
            Step("group_exists", {"group": "a"}, False),
        )

    def test_permissions_are_granted_and_revoked(self, world: World) -> None:
        bob = {"connection_id": world.bob.connection_id}
        join, send = {"permission": "joinLeaveGroup"}, {"permission": "sendToGroup"}
        assert not world.bob.ask(type="joinGroup", group="a")
        world.take(
            Step("has_permission", {**bob, **join, "target_name": "a"}, False),
            Step("grant_permission", {**bob, **join, "target_name": "a"}),
            Step("grant_permission", {**bob, **send}),
            Step("has_permission", {**bob, **join, "target_name": "a"}, True),
            Step("has_permission", {**bob, **join, "target_name": "b"}, False),
            Step("has_permission", {**bob, **send}, True),
            Step("has_permission", {**bob, **send, "target_name": "anything"}, True),
        )
        assert world.bob.ask(type="joinGroup", group="a")
        assert not world.bob.ask(type="joinGroup", group="b")
        assert world.bob.ask(type="sendToGroup", group="b", data="hi", dataType="text")
        world.take(
            Step("revoke_permission", {**bob, **send, "target_name": "b"}),
            Step("revoke_permission", {**bob, **join, "target_name": "a"}),
            Step("has_permission", {**bob, **send, "target_name": "b"}, False),
        )
        assert not world.bob.ask(type="sendToGroup", group="b", data="hi", dataType="text")
        assert not world.bob.ask(type="leaveGroup", group="a")

    def test_permissions_of_nobody_are_not_found(self, world: World) -> None:
        nobody = {"connection_id": "nobody", "permission": "sendToGroup", "target_name": "a"}
        world.take(
            Step("has_permission", nobody, False),
            Step("grant_permission", nobody, NOT_FOUND),
            Step("revoke_permission", nobody, NOT_FOUND),
        )

    def test_one_connection_is_closed(self, world: World) -> None:
        somebody = {"connection_id": world.somebody.connection_id}
        world.take(
            Step("close_connection", {**somebody, "reason": "Good night & bye"}),
            Step("connection_exists", somebody, False),
            Step("close_connection", somebody),
            Step("close_connection", {"connection_id": world.bob.connection_id}),
        )
        assert world.somebody.receive_end() == "Good night & bye"
        assert world.bob.receive_end() == "Closed by REST API."

    def test_the_connections_of_a_user_and_of_a_group_are_closed(self, world: World) -> None:
        world.take(
            Step("close_user_connections", {"user_id": ALICE, "reason": "user"}),
            Step("user_exists", {"user_id": ALICE}, False),
            Step("close_group_connections", {"group": ROOM, "reason": "group"}),
            Step("group_exists", {"group": ROOM}, False),
            Step("connection_exists", {"connection_id": world.somebody.connection_id}, True),
            Step("close_user_connections", {"user_id": "nobody"}),
            Step("close_group_connections", {"group": "nobody"}),
        )
        assert [client.receive_end() for client in (world.alice, world.alice_too, world.bob)] == [
            "user",
            "user",
            "group",
        ]

    def test_all_connections_are_closed(self, world: World) -> None:
        world.take(
            Step("close_all_connections", {"reason": "all"}),
            Step("user_exists", {"user_id": "bob"}, False),
            Step("close_all_connections", {}),
        )
        assert [client.receive_end() for client in world.all] == ["all"] * 4

    def test_a_token_lets_a_client_in(self, world: World) -> None:
        options = {"user_id": "carol", "roles": ["webpubsub.sendToGroup.a"], "groups": [ROOM], "minutes_to_expire": 5}
        made, plain, mqtt = world.take(
            Step("get_client_access_token", options, ...),
            Step("get_client_access_token", {}, ...),
            Step("get_client_access_token", {"client_protocol": "MQTT"}, ...),
        )
        endpoint = f"ws{world.service.url.removeprefix('http')}"
        assert made["baseUrl"] == f"{endpoint}/client/hubs/{HUB}"
        assert made["url"] == f"{made['baseUrl']}?access_token={made['token']}"
        assert mqtt["baseUrl"] == f"{endpoint}/clients/mqtt/hubs/{HUB}"
        carol = world.connect(made["url"])
        assert carol.user_id == "carol"
        assert carol.ask(type="sendToGroup", group="a", data="hi", dataType="text")
        assert not carol.ask(type="sendToGroup", group="b", data="hi", dataType="text")
        assert world.connect(plain["url"]).user_id is None
        members = sorted(
            [[world.alice.connection_id, ALICE], [world.bob.connection_id, "bob"], [carol.connection_id, "carol"]]
        )
        world.take(Step("list_connections", {"group": ROOM}, members))

    @pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
    def test_what_can_not_be_is_an_error(self, world: World) -> None:
        message = {"message": "hi", "content_type": "text/plain"}
        world.take(
            Step("send_to_all", {**message, "filter": "not length(userId) gt 5"}, BAD_REQUEST),
            Step("send_to_group", {**message, "group": ROOM, "filter": "("}, BAD_REQUEST),
            Step("send_to_user", {**message, "user_id": "bob", "filter": "userId"}, BAD_REQUEST),
            Step("send_to_group", {**message, "group": " "}, BAD_REQUEST),
            Step("send_to_all", {"message": "x" * (1024 * 1024 + 1), "content_type": "text/plain"}, BAD_REQUEST),
            Step("list_connections", {"group": ROOM, "maxpagesize": 201}, BAD_REQUEST),
        )

    def test_another_key_is_refused(self, world: World) -> None:
        wrong = world.service.connection_string.replace("AccessKey=", "AccessKey=another-")
        steps = [
            Step("send_to_all", {"message": "hi", "content_type": "text/plain"}),
            Step("user_exists", {"user_id": "bob"}),
            Step("close_all_connections", {}),
        ]
        assert type(self).run(wrong, steps) == [{"status": 401, "code": "Unauthorized"}] * 3
