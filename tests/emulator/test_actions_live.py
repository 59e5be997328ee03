"""Each action of the output binding, against live clients of the emulator."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import date
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from flask import Flask

from flask_webpubsub import WebPubSub, defer
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.actions import (
    AddConnectionToGroupAction,
    AddUserToGroupAction,
    CloseAllConnectionsAction,
    CloseClientConnectionAction,
    CloseGroupConnectionsAction,
    GrantPermissionAction,
    RemoveConnectionFromGroupAction,
    RemoveUserFromAllGroupsAction,
    RemoveUserFromGroupAction,
    RevokePermissionAction,
    SendToAllAction,
    SendToConnectionAction,
    SendToGroupAction,
    SendToUserAction,
    WebPubSubAction,
)
from flask_webpubsub.emulator import Emulator, RunningEmulator
from tests.emulator.service_sdk_cases import Client

ROOM = "room 1/a%é"


class World:
    """A service with an app, and the clients that are there."""

    def __init__(self, wps: WebPubSub, service: RunningEmulator, stack: ExitStack) -> None:
        self.wps = wps
        self._service = service
        self._stack = stack

    def connect(self, user_id: str | None = None, *groups: str) -> Client:
        url = self._service.client_url("chat", user_id=user_id, groups=groups)
        return self._stack.enter_context(closing(Client(url)))

    def send(self, *actions: WebPubSubAction | dict[str, Any]) -> None:
        """Send actions, and then the end of what clients are to receive by :func:`received`."""
        self.wps.send_actions([*actions, SendToAllAction("end")])


@pytest.fixture
def world() -> Iterator[World]:
    app = Flask("chat")
    app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=DEVELOPMENT_CONNECTION_STRING, WEBPUBSUB_HUB="chat")
    wps = WebPubSub(app)

    @wps.on_user_event("say")
    def say(data: str, connection_id: str) -> str:
        defer(wps.send_actions, SendToAllAction(f"said: {data}", excluded=[connection_id]))
        return "accepted"

    with Emulator(app) as service, ExitStack() as stack:
        yield World(wps, service, stack)


def received(client: Client) -> list[tuple[str, Any]]:
    """The type and data of the messages up to the end."""
    return [(data_type, data) for _, _, data_type, data in client.receive_until("end")]


def pair(name: str, action: WebPubSubAction, **keys: Any) -> list[Any]:
    """An action in both of its forms."""
    return [
        pytest.param(action, id=f"{name} class"),
        pytest.param({"actionName": name, **keys}, id=f"{name} mapping"),
    ]


# Messages.

DATA = [
    ("hi é€", "text", "text", "hi é€"),
    ("hi", None, "text", "hi"),
    ("", "text", "text", ""),
    ({"a": [1, None, "é"]}, "json", "json", {"a": [1, None, "é"]}),
    ([1.5, True], None, "json", [1.5, True]),
    (0, None, "json", 0),
    (False, "json", "json", False),
    (b"\x00\xff", None, "binary", base64.b64encode(b"\x00\xff").decode()),
    ("é", "binary", "binary", base64.b64encode("é".encode()).decode()),
    (b'{"a": 1}', "json", "json", {"a": 1}),
    (b"bytes", "TEXT", "text", "bytes"),
]


@pytest.mark.parametrize(("data", "data_type", "seen_type", "seen"), DATA, ids=repr)
@pytest.mark.parametrize("form", ["class", "mapping"])
def test_data_arrive_as_they_were_given(
    world: World, form: str, data: Any, data_type: str | None, seen_type: str, seen: Any
) -> None:
    alice = world.connect()
    mapping = {"actionName": "sendToAll", "data": data, "dataType": data_type}
    world.send(SendToAllAction(data, data_type) if form == "class" else mapping)
    assert received(alice) == [(seen_type, seen)]


@pytest.mark.parametrize(
    ("data", "data_type", "seen_type", "seen"),
    [
        ('{"a": 1}', "json", "json", {"a": 1}),
        ("no JSON", "json", "json", "no JSON"),
        ('"quoted"', "json", "json", "quoted"),
        ({"type": "Buffer", "data": [0, 255]}, "binary", "binary", base64.b64encode(b"\x00\xff").decode()),
        ({"type": "Buffer", "data": [0, 255]}, "json", "json", {"type": "Buffer", "data": [0, 255]}),
    ],
    ids=repr,
)
def test_the_data_of_a_mapping_follow_the_rules_of_azure(
    world: World, data: Any, data_type: str, seen_type: str, seen: Any
) -> None:
    alice = world.connect()
    world.send({"actionName": "sendToAll", "data": data, "dataType": data_type})
    assert received(alice) == [(seen_type, seen)]


def test_json_takes_what_the_json_of_the_app_takes(world: World) -> None:
    alice = world.connect()
    world.send(SendToAllAction({"day": date(2026, 1, 1)}))
    assert received(alice) == [("json", {"day": "Thu, 01 Jan 2026 00:00:00 GMT"})]


def test_a_string_of_a_class_is_a_json_string(world: World) -> None:
    alice = world.connect()
    world.send(SendToAllAction('{"a": 1}', "json"))
    assert received(alice) == [("json", '{"a": 1}')]


@pytest.mark.parametrize(
    "action",
    [
        *pair("sendToGroup", SendToGroupAction(ROOM, "hi"), group=ROOM, data="hi"),
        *pair("sendToUser", SendToUserAction("a/l ice", "hi"), userId="a/l ice", data="hi", dataType="text"),
    ],
)
def test_a_message_reaches_the_group_or_the_user_alone(world: World, action: Any) -> None:
    alice, bob = world.connect("a/l ice", ROOM), world.connect("bob", "other")
    world.send(action)
    assert received(alice) == [("text", "hi")]
    assert received(bob) == []


@pytest.mark.parametrize("form", ["class", "mapping"])
def test_a_message_reaches_one_connection_alone(world: World, form: str) -> None:
    alice, other = world.connect("alice"), world.connect("alice")
    target = alice.connection_id
    mapping = {"actionName": "sendToConnection", "connectionId": target, "data": "hi", "dataType": "text"}
    world.send(SendToConnectionAction(target, "hi") if form == "class" else mapping)
    assert received(alice) == [("text", "hi")]
    assert received(other) == []


@pytest.mark.parametrize("form", ["class", "mapping"])
@pytest.mark.parametrize("group", [None, "g"], ids=["all", "group"])
def test_excluded_connections_get_nothing(world: World, group: str | None, form: str) -> None:
    alice, bob = world.connect("alice", "g"), world.connect("bob", "g")
    excluded = [alice.connection_id]
    action: Any
    if form == "mapping":
        name = "sendToAll" if group is None else "sendToGroup"
        target = {} if group is None else {"group": group}
        action = {"actionName": name, "data": "hi", "dataType": "text", "excluded": excluded, **target}
    elif group is None:
        action = SendToAllAction("hi", excluded=excluded)
    else:
        action = SendToGroupAction(group, "hi", excluded=excluded)
    world.send(action)
    assert received(alice) == []
    assert received(bob) == [("text", "hi")]


@pytest.mark.parametrize(
    "action",
    [
        *pair("sendToAll", SendToAllAction("hi", filter="'b' in groups"), data="hi", filter="'b' in groups"),
        *pair(
            "sendToGroup",
            SendToGroupAction("a", "hi", filter="'b' in groups"),
            group="a",
            data="hi",
            filter="'b' in groups",
        ),
        *pair(
            "sendToUser",
            SendToUserAction("alice", "hi", filter="'b' in groups"),
            userId="alice",
            data="hi",
            filter="'b' in groups",
        ),
    ],
)
def test_a_filter_leaves_clients_out(world: World, action: Any) -> None:
    first, second = world.connect("alice", "a"), world.connect("alice", "a", "b")
    world.send(action)
    assert received(first) == []
    assert received(second) == [("text", "hi")]


# Groups.


@pytest.mark.parametrize(
    "action", pair("addUserToGroup", AddUserToGroupAction("alice", ROOM), userId="alice", group=ROOM)
)
def test_a_user_is_put_into_a_group(world: World, action: Any) -> None:
    alice, bob = world.connect("alice"), world.connect("bob")
    world.send(action, SendToGroupAction(ROOM, "hi"))
    assert received(alice) == [("text", "hi")]
    assert received(bob) == []


@pytest.mark.parametrize(
    "action",
    [
        *pair("removeUserFromGroup", RemoveUserFromGroupAction("alice", "a"), userId="alice", group="a"),
        *pair("removeUserFromAllGroups", RemoveUserFromAllGroupsAction("alice"), userId="alice"),
    ],
)
def test_a_user_is_taken_out_of_one_group_or_of_all(world: World, action: Any) -> None:
    alice, bob = world.connect("alice", "a", "b"), world.connect("bob", "a", "b")
    world.send(action, SendToGroupAction("a", "to a"), SendToGroupAction("b", "to b"))
    one = isinstance(action, RemoveUserFromGroupAction) or "group" in (action if isinstance(action, dict) else {})
    assert received(alice) == ([("text", "to b")] if one else [])
    assert received(bob) == [("text", "to a"), ("text", "to b")]


@pytest.mark.parametrize("form", ["class", "mapping"])
def test_a_connection_is_put_into_a_group_and_taken_out(world: World, form: str) -> None:
    alice, other = world.connect("alice"), world.connect("alice")
    target = alice.connection_id
    add: Any = AddConnectionToGroupAction(target, ROOM)
    remove: Any = RemoveConnectionFromGroupAction(target, ROOM)
    if form == "mapping":
        add, remove = (
            {"actionName": name, "connectionId": target, "group": ROOM}
            for name in ("addConnectionToGroup", "removeConnectionFromGroup")
        )
    world.send(add, SendToGroupAction(ROOM, "in"), remove, SendToGroupAction(ROOM, "out"))
    assert received(alice) == [("text", "in")]
    assert received(other) == []


# Ends.


@pytest.mark.parametrize("form", ["class", "mapping"])
@pytest.mark.parametrize("group", [None, "a"], ids=["all", "group"])
def test_connections_are_closed_but_for_those_excluded(world: World, group: str | None, form: str) -> None:
    alice, bob, carol = world.connect("alice", "a"), world.connect("bob", "a"), world.connect("carol")
    excluded = [bob.connection_id, carol.connection_id] if group is None else [bob.connection_id]
    action: Any
    if form == "mapping":
        name = "closeAllConnections" if group is None else "closeGroupConnections"
        target = {} if group is None else {"group": group}
        action = {"actionName": name, "excluded": excluded, "reason": "Tidying up", **target}
    elif group is None:
        action = CloseAllConnectionsAction(excluded=excluded, reason="Tidying up")
    else:
        action = CloseGroupConnectionsAction(group, excluded=excluded, reason="Tidying up")
    world.send(action)
    assert alice.receive_end() == "Tidying up"
    assert received(bob) == received(carol) == []


@pytest.mark.parametrize("form", ["class", "mapping"])
def test_one_connection_is_closed(world: World, form: str) -> None:
    alice, bob = world.connect("alice"), world.connect("bob")
    target = alice.connection_id
    mapping = {"actionName": "closeClientConnection", "connectionId": target, "reason": "Enough"}
    world.send(CloseClientConnectionAction(target, "Enough") if form == "class" else mapping)
    assert alice.receive_end() == "Enough"
    assert received(bob) == []


# Permissions.


@pytest.mark.parametrize("form", ["class", "mapping"])
@pytest.mark.parametrize("target", ["a", None], ids=["one group", "all groups"])
def test_a_permission_is_granted_and_revoked(world: World, target: str | None, form: str) -> None:
    alice = world.connect("alice")
    connection_id = alice.connection_id
    grant: Any = GrantPermissionAction(connection_id, "joinLeaveGroup", target)
    revoke: Any = RevokePermissionAction(connection_id, "joinLeaveGroup", target)
    if form == "mapping":
        keys = {"connectionId": connection_id, "permission": "JoinLeaveGroup", "targetName": target}
        grant, revoke = {"actionName": "grantPermission", **keys}, {"actionName": "revokePermission", **keys}
    assert not alice.ask(type="joinGroup", group="a")
    world.wps.send_actions(grant)
    assert alice.ask(type="joinGroup", group="a")
    assert alice.ask(type="joinGroup", group="b") is (target is None)
    world.wps.send_actions(revoke)
    assert not alice.ask(type="joinGroup", group="a")


# Lists.


def test_actions_are_sent_in_their_order(world: World) -> None:
    alice = world.connect("alice")
    world.send(*(SendToAllAction(str(number)) for number in range(20)))
    assert received(alice) == [("text", str(number)) for number in range(20)]


def test_nothing_is_sent_when_one_action_is_wrong(world: World) -> None:
    alice = world.connect("alice")
    with pytest.raises(ValueError, match=r"^actions\[1\], sendToGroup: group: Missing data"):
        world.send(SendToAllAction("before"), {"actionName": "sendToGroup", "data": "hi"}, SendToAllAction("after"))
    world.send()
    assert received(alice) == []


def test_an_action_that_fails_says_which_it_is_and_stops_the_rest(world: World) -> None:
    alice = world.connect("alice")
    with pytest.raises(HttpResponseError) as failure:
        world.wps.send_actions(
            [SendToAllAction("before"), SendToAllAction("wrong", filter="no filter"), SendToAllAction("after")]
        )
    assert failure.value.status_code == 400
    assert vars(failure.value)["action_index"] == 1
    assert failure.value.__notes__ == [
        "This was actions[1], sendToAll. Those before it are done, those after it are not."
    ]
    world.send()
    assert received(alice) == [("text", "before")]


@pytest.mark.parametrize(("name", "error"), [(".", HttpResponseError), ("..", ClientAuthenticationError)])
def test_a_name_that_would_lead_to_another_call_is_refused_before_anything_is_sent(
    world: World, name: str, error: type[HttpResponseError]
) -> None:
    alice = world.connect("alice")
    with pytest.raises(error):
        world.wps.service_client().send_to_user(name, "hi", content_type="text/plain")
    with pytest.raises(ValueError, match=r"^actions\[1\], sendToUser: userId: Can not be '.' or '..'"):
        world.send(SendToAllAction("before"), SendToUserAction(name, "hi"))
    world.send()
    assert received(alice) == []


def test_another_hub_can_be_named(world: World) -> None:
    alice = world.connect("alice")
    world.wps.send_actions(SendToAllAction("elsewhere"), hub="other")
    world.send()
    assert received(alice) == []


# With defer().


def test_a_handler_answers_its_client_before_it_sends_to_the_others(world: World) -> None:
    alice, bob = world.connect("alice"), world.connect("bob")
    assert alice.ask(type="event", event="say", dataType="text", data="hi")
    assert bob.receive()["data"] == "said: hi"
    world.send()
    assert received(alice) == []
