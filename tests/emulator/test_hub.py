"""The hub: connections, users, groups, and who gets what."""

from __future__ import annotations

import pytest

from flask_webpubsub.emulator.hub import Connection, Hub, Hubs, Message
from flask_webpubsub.emulator.options import EventHandler, HubSettings, Options
from flask_webpubsub.enums import WebPubSubDataType

HELLO = Message("hello", WebPubSubDataType.TEXT, "server")


class Inbox:
    """A client that keeps what it is sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.reasons: list[str | None] = []
        self.cuts = 0

    def send(self, message: Message) -> None:
        self.messages.append(message)

    def close(self, reason: str | None) -> None:
        self.reasons.append(reason)

    def cut(self) -> None:
        self.cuts += 1


@pytest.fixture
def changes() -> list[tuple[str, str, bool]]:
    return []


@pytest.fixture
def hub(changes: list[tuple[str, str, bool]]) -> Hub:
    return Hub("chat", lambda connection, group, joined: changes.append((connection.connection_id, group, joined)))


def add(hub: Hub, connection_id: str, user_id: str | None = None) -> tuple[Connection, Inbox]:
    connection = Connection(hub, connection_id, user_id=user_id)
    connection.client = inbox = Inbox()
    hub.add(connection)
    return connection, inbox


def test_a_message_for_a_group_goes_to_its_members_alone(hub: Hub) -> None:
    first, first_inbox = add(hub, "1")
    second, second_inbox = add(hub, "2")
    _, third_inbox = add(hub, "3")
    hub.join(first, "room")
    hub.join(second, "room")

    hub.send(hub.in_group("room"), HELLO)

    assert [first_inbox.messages, second_inbox.messages, third_inbox.messages] == [[HELLO], [HELLO], []]


def test_groups_are_case_sensitive(hub: Hub) -> None:
    connection, _ = add(hub, "1")
    hub.join(connection, "Room")
    assert hub.in_group("room") == []


def test_a_user_has_all_the_connections_of_its_id(hub: Hub) -> None:
    first, _ = add(hub, "1", "alice")
    second, _ = add(hub, "2", "alice")
    add(hub, "3", "Alice")
    add(hub, "4")
    assert hub.of_user("alice") == [first, second]


def test_joining_twice_is_reported_once(hub: Hub, changes: list[tuple[str, str, bool]]) -> None:
    connection, _ = add(hub, "1")
    hub.join(connection, "room")
    hub.join(connection, "room")
    hub.leave(connection, "room")
    hub.leave(connection, "room")
    assert changes == [("1", "room", True), ("1", "room", False)]


def test_a_connection_that_ends_leaves_its_groups(hub: Hub, changes: list[tuple[str, str, bool]]) -> None:
    connection, _ = add(hub, "1", "alice")
    hub.join(connection, "b")
    hub.join(connection, "a")
    changes.clear()

    hub.remove(connection)

    assert changes == [("1", "a", False), ("1", "b", False)]
    assert (hub.in_group("a"), hub.of_user("alice"), hub.connections) == ([], [], {})
    assert connection.groups == set()


def test_nothing_of_a_connection_stays_behind(hub: Hub) -> None:
    before = repr(vars(hub))
    connection, _ = add(hub, "1", "alice")
    hub.join(connection, "room")
    hub.remove(connection)
    assert repr(vars(hub)) == before


def test_a_connection_that_has_ended_can_not_join(hub: Hub, changes: list[tuple[str, str, bool]]) -> None:
    connection, _ = add(hub, "1")
    hub.remove(connection)
    hub.join(connection, "room")
    assert (hub.in_group("room"), changes) == ([], [])


def test_removing_a_connection_twice_does_not_remove_its_successor(hub: Hub) -> None:
    old, _ = add(hub, "1")
    hub.remove(old)
    new, _ = add(hub, "1")
    hub.remove(old)
    assert hub.connections == {"1": new}


def test_a_second_connection_of_the_same_id_is_refused(hub: Hub) -> None:
    add(hub, "1")
    with pytest.raises(ValueError, match="'1'"):
        add(hub, "1")


def test_clients_may_end_while_they_are_sent_to(hub: Hub) -> None:
    inboxes = []
    for number in range(3):
        connection, inbox = add(hub, str(number))
        hub.join(connection, "room")
        inboxes.append(inbox)

    class Leaver(Inbox):
        def send(self, message: Message) -> None:
            hub.remove(leaver)

    leaver = hub.connections["1"]
    leaver.client = Leaver()
    hub.send(hub.connections.values(), HELLO)
    assert [len(inbox.messages) for inbox in inboxes] == [1, 0, 1]


def test_events_of_a_connection_are_numbered_from_zero(hub: Hub) -> None:
    connection, _ = add(hub, "1")
    assert [connection.next_event_id() for _ in range(3)] == ["0", "1", "2"]


def test_a_connection_hands_everything_to_its_client(hub: Hub) -> None:
    connection, inbox = add(hub, "1")
    connection.send(HELLO)
    connection.close("Bye.")
    connection.cut()
    assert (inbox.messages, inbox.reasons, inbox.cuts) == ([HELLO], ["Bye."], 1)


def test_a_connection_without_a_client_takes_everything_and_does_nothing(hub: Hub) -> None:
    connection = Connection(hub, "1")
    connection.send(HELLO)
    connection.close()
    connection.cut()
    assert connection.client is None


def test_a_connection_may_do_nothing_of_itself(hub: Hub) -> None:
    connection, _ = add(hub, "1")
    assert not connection.permissions.can_join("room")
    assert not connection.permissions.can_send("room")


def test_hubs_compare_ignoring_case() -> None:
    hubs = Hubs()
    assert hubs.get("Chat") is hubs.get("chAT")
    assert hubs.get("other") is not hubs.get("chat")
    assert [hub.name for hub in hubs] == ["Chat", "other"]


def test_hubs_report_changes_to_who_came_later(changes: list[tuple[str, str, bool]]) -> None:
    hubs = Hubs()
    connection, _ = add(hubs.get("chat"), "1")
    hubs.on_group_change = lambda connection, group, joined: changes.append((connection.connection_id, group, joined))
    hubs.get("chat").join(connection, "room")
    assert changes == [("1", "room", True)]


def test_a_connection_names_its_hub_as_the_client_did() -> None:
    hub = Hubs().get("chat")
    assert Connection(hub, "1", hub_name="CHAT").hub_name == "CHAT"
    assert Connection(hub, "1").hub_name == "chat"


def test_the_settings_of_a_hub_are_found_in_any_case() -> None:
    mine = HubSettings(event_handlers=[EventHandler(url_template="http://localhost/")], allow_anonymous=True)
    options = Options(hubs={"Chat": mine})
    assert options.hub("cHAT") is mine
    assert options.hub("other") == HubSettings()


def test_fast_options_send_nothing_again_and_can_be_changed() -> None:
    assert Options.fast().retry_delays == ()
    changed = Options.fast(retry_delays=(0.1,), recovery_seconds=9.0)
    assert (changed.retry_delays, changed.recovery_seconds) == ((0.1,), 9.0)
