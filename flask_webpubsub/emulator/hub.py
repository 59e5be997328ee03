"""The hub: who is connected, who is in which group, and who is to be sent what. No sockets and no waiting.

Everything here happens in one event loop, step by step, so nothing is locked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

from ..enums import WebPubSubDataType
from ..states import NO_STATES
from .permissions import Permissions

NO_METADATA: Mapping[str, str] = MappingProxyType({})


class Message(NamedTuple):
    """Something for clients.

    ``data`` is a ``str`` for text, the value for JSON, and ``bytes`` for binary. A message from a group names the group
    and the user who sent it, ``None`` if anonymous.
    """

    data: Any
    data_type: WebPubSubDataType
    source: Literal["group", "server"]
    group: str | None = None
    from_user: str | None = None
    metadata: Mapping[str, str] = NO_METADATA


class Client(Protocol):
    """The client's end of a connection, in its own protocol. Nothing here waits for the network."""

    def send(self, message: Message) -> None:
        """Give the client a message."""

    def close(self, reason: str | None) -> None:
        """End the connection for good: the service wants it so. ``reason`` is shown to the client."""

    def cut(self) -> None:
        """Break the network connection under the client, as a lost network would."""


class Connection:
    """One logical connection: who it is, what it may do, and what an app keeps with it.

    A reliable client may lose its socket and come back to the same connection.

    :param hub_name: the hub as the client spelt it, which is how events name it.
    """

    def __init__(
        self,
        hub: Hub,
        connection_id: str,
        *,
        hub_name: str | None = None,
        user_id: str | None = None,
        subprotocol: str | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        self.hub = hub
        self.connection_id = connection_id
        self.hub_name = hub_name or hub.name
        self.user_id = user_id
        self.subprotocol = subprotocol
        self.permissions = Permissions.from_roles(()) if permissions is None else permissions
        #: The groups that it is in. Only the hub changes them.
        self.groups: set[str] = set()
        #: What an app keeps with the connection. Answers to blocking events replace it.
        self.states: Mapping[str, Any] = NO_STATES
        #: What the app's cookies are kept in; owned by whoever delivers events.
        self.cookies: Any = None
        #: Set once the client is let in.
        self.client: Client | None = None
        self._last_event_id = -1

    def next_event_id(self) -> str:
        """The id of the connection's next event: ``connect`` is ``0``, and all others count on."""
        self._last_event_id += 1
        return str(self._last_event_id)

    def send(self, message: Message) -> None:
        """Give a message to the client; never waits."""
        if self.client is not None:
            self.client.send(message)

    def close(self, reason: str | None = None) -> None:
        """End the connection from the service's side.

        :param reason: shown to the client, and to the app in ``disconnected``.
        """
        if self.client is not None:
            self.client.close(reason)

    def cut(self) -> None:
        """Break the network connection, as a lost network would: a reliable client may come back."""
        if self.client is not None:
            self.client.cut()


#: Told that a connection joined (``True``) or left (``False``) a group.
GroupChange = Callable[[Connection, str, bool], None]


class Hub:
    """The connections of one hub.

    :param on_group_change: told each time that a connection joins or leaves a group, and of each group that it is in
        when it ends.
    """

    def __init__(self, name: str, on_group_change: GroupChange | None = None) -> None:
        self.name = name
        self.connections: dict[str, Connection] = {}
        self._users: dict[str, dict[str, Connection]] = {}
        self._groups: dict[str, dict[str, Connection]] = {}
        self._on_group_change = on_group_change

    def add(self, connection: Connection) -> None:
        """Take a connection in. Its user may not change from now on.

        :raises ValueError: if there is one with the same id.
        """
        if connection.connection_id in self.connections:
            raise ValueError(f"There is a connection {connection.connection_id!r} already.")
        self.connections[connection.connection_id] = connection
        if connection.user_id is not None:
            self._users.setdefault(connection.user_id, {})[connection.connection_id] = connection

    def remove(self, connection: Connection) -> None:
        """Forget a connection; it leaves its groups. One that is not there is no error."""
        if not self.has(connection):
            return
        self.leave_all(connection)
        del self.connections[connection.connection_id]
        if connection.user_id is not None:
            _drop(self._users, connection.user_id, connection)

    def has(self, connection: Connection) -> bool:
        """Whether this very connection is here."""
        return self.connections.get(connection.connection_id) is connection

    def in_group(self, group: str) -> list[Connection]:
        """The connections of a group, in the order in which they joined."""
        return list(self._groups.get(group, {}).values())

    def of_user(self, user_id: str) -> list[Connection]:
        """The connections of a user, in the order in which they came."""
        return list(self._users.get(user_id, {}).values())

    def join(self, connection: Connection, group: str) -> None:
        """Put a connection into a group; nothing happens if it is in, or gone."""
        if group in connection.groups or not self.has(connection):
            return
        connection.groups.add(group)
        self._groups.setdefault(group, {})[connection.connection_id] = connection
        self._report(connection, group, True)

    def leave(self, connection: Connection, group: str) -> None:
        """Take a connection out of a group; nothing happens if it is not in."""
        if group not in connection.groups:
            return
        connection.groups.discard(group)
        _drop(self._groups, group, connection)
        self._report(connection, group, False)

    def leave_all(self, connection: Connection) -> None:
        """Take a connection out of all its groups."""
        for group in sorted(connection.groups):
            self.leave(connection, group)

    def send(self, connections: Iterable[Connection], message: Message) -> None:
        """Give a message to connections; never waits."""
        # A client that is too slow is closed as it is sent to, which changes what is iterated over.
        for connection in list(connections):
            connection.send(message)

    def _report(self, connection: Connection, group: str, joined: bool) -> None:
        if self._on_group_change is not None:
            self._on_group_change(connection, group, joined)


class Hubs:
    """All hubs, each made when it is first asked for. Their names compare ignoring case.

    :param on_group_change: as :class:`Hub` has it.
    """

    def __init__(self, on_group_change: GroupChange | None = None) -> None:
        self.on_group_change = on_group_change
        self._hubs: dict[str, Hub] = {}

    def get(self, name: str) -> Hub:
        """The hub of this name."""
        folded = name.lower()
        if folded not in self._hubs:
            self._hubs[folded] = Hub(name, self._change)
        return self._hubs[folded]

    def __iter__(self) -> Iterator[Hub]:
        return iter(list(self._hubs.values()))

    def _change(self, connection: Connection, group: str, joined: bool) -> None:
        # Looked up late: whoever tells the app of groups is made after the hubs.
        if self.on_group_change is not None:
            self.on_group_change(connection, group, joined)


def _drop(index: dict[str, dict[str, Connection]], key: str, connection: Connection) -> None:
    """Take a connection out of an index, and with the last one its entry: nothing of who left stays behind."""
    found = index[key]
    del found[connection.connection_id]
    if not found:
        del index[key]
