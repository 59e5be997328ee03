"""Who is in a room, and telling them something: what the app asks of the service.

The service is asked each time who is online, and the app keeps no list: any number of workers give the same answer,
and none has to be told of what happened to another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote

from flask_webpubsub import EventError

from .extensions import wps
from .names import fold, read_name, read_room

if TYPE_CHECKING:
    from azure.messaging.webpubsubservice import GroupMember, WebPubSubServiceClient

HUB = "chat"

#: Why the app closes a connection. The page tells its user, and does not come back.
MOVED, TAKEN = "moved", "taken"

_SEAT_PREFIX = "seat."


@dataclass(frozen=True)
class Place:
    """A person's place in a room.

    :param seat: the secret of one browser tab. Whoever comes back with it is the same person, whose lost connection
        the service may hold still. It is a group of its own, so that the service knows it and the app need not.
    """

    name: str
    room: str
    seat: str

    @classmethod
    def from_token(cls, user_id: str | None, groups: list[str]) -> Self:
        """The place that a client's token gives, checked anew: more than this app may know the key.

        :raises EventError: if it gives none.
        """
        match groups:
            case [room, seat] if user_id and seat.startswith(_SEAT_PREFIX):
                name = unquote(user_id)
                return cls(read_name(name), read_room(room), seat.removeprefix(_SEAT_PREFIX))
        raise EventError("unauthorized", "Say who you are: choose a name.")

    @property
    def user_id(self) -> str:
        """The name in ASCII: events bring it in a header, and not every server lets more through."""
        return quote(self.name, safe=" ")

    @property
    def groups(self) -> list[str]:
        """The groups of the connection. No client can join one: none has a role."""
        return [self.room, f"{_SEAT_PREFIX}{self.seat}"]

    def as_states(self) -> dict[str, str]:
        """The states that bring the place with each event."""
        return asdict(self)


def place_of(states: Mapping[str, Any]) -> Place:
    """The place that stands in a connection's states."""
    return Place(states["name"], states["room"], states["seat"])


def verify_free(place: Place, *, besides: Collection[str] = ()) -> None:
    """Check that nobody else in the room has the name.

    :param besides: connections that do not count.
    :raises EventError: if somebody has it; the message is for who asks for the name.
    """
    _find_lost(place, besides)


def make_way(place: Place) -> None:
    """Close the connections that a person comes back from: one whose network is gone, or another tab's.

    :raises EventError: as :func:`verify_free` does.
    """
    for connection_id in _find_lost(place):
        close(connection_id, MOVED)


def close(connection_id: str, reason: str) -> None:
    """Close a connection."""
    _service().close_connection(connection_id, reason=reason)


def tell(room: str, message: Mapping[str, Any], *, besides: Collection[str] = ()) -> None:
    """Send a message to all in a room.

    :param besides: connections that do not get it.
    """
    _service().send_to_group(room, dict(message), excluded=list(besides))


def list_people(room: str, *, coming: str | None = None, going: str | None = None) -> dict[str, Any]:
    """Who is in a room, and when the service was asked. A page keeps the newest of what it gets.

    :param coming: a name that is there, whether the service lists it yet or not.
    :param going: a connection that is gone, whether the service lists it still or not.
    """
    time = now()
    names = {unquote(member.user_id or "") for member in _members(room) if member.connection_id != going}
    if coming is not None:
        names.add(coming)
    return {"people": sorted(names, key=fold), "time": time}


def now() -> str:
    """The time, in UTC: texts that sort as the times do."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _find_lost(place: Place, besides: Collection[str] = ()) -> set[str]:
    """The connections with the name that are the person's own."""
    name = fold(place.name)
    members = _members(place.room)
    namesakes = {member.connection_id for member in members if fold(unquote(member.user_id or "")) == name}
    namesakes.difference_update(besides)
    if namesakes and not namesakes <= {member.connection_id for member in _members(place.groups[1])}:
        raise EventError(409, f"Somebody in {place.room} is called {place.name} already. Choose another name.")
    return namesakes


def _members(group: str) -> Iterator[GroupMember]:
    yield from _service().list_connections(group=group)


def _service() -> WebPubSubServiceClient:
    return wps.service_client(HUB)
