"""The events that went to the app and what it answered: to assert on, and to read on a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from ..codec import Response
from ..enums import WebPubSubDataType, WebPubSubEventType
from ..events import UserEventRequest, WebPubSubEventRequest
from ..responses import ConnectEventResponse, UserEventResponse

GREEN, RED, YELLOW, DIM, BOLD = 32, 31, 33, 2, 1


@dataclass(frozen=True, kw_only=True)
class LoggedEvent:
    """One event and its answer.

    :param response: the app's answer; ``None`` if it was empty, or none that could be read.
    :param status: the HTTP status of the last answer; ``None`` if there was none.
    :param error: why the event failed and what to change; ``None`` if it did not.
    :param tries: how many times it was sent to the app.
    :param seconds: from the first try to the answer.
    """

    request: WebPubSubEventRequest
    response: Response | None
    status: int | None
    error: str | None
    tries: int
    seconds: float
    time: datetime

    @property
    def event_type(self) -> WebPubSubEventType:
        """Who the event comes from."""
        return self.request.connection_context.event_type

    @property
    def event_name(self) -> str:
        """The event's name, as it was sent."""
        return self.request.connection_context.event_name

    @property
    def hub(self) -> str:
        """The hub, as the client spelt it."""
        return self.request.connection_context.hub

    @property
    def connection_id(self) -> str:
        """The connection of the event."""
        return self.request.connection_context.connection_id

    @property
    def user_id(self) -> str | None:
        """The user of the connection; ``None`` if anonymous."""
        return self.request.connection_context.user_id


class EventLog(Sequence[LoggedEvent]):
    """The events so far, in the order in which they were answered. May be used from any thread.

    :param limit: how many are kept; older ones go.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._events: list[LoggedEvent] = []
        self._changed = threading.Condition()
        self._listeners: list[Callable[[LoggedEvent], None]] = []

    def __len__(self) -> int:
        with self._changed:
            return len(self._events)

    @overload
    def __getitem__(self, index: int) -> LoggedEvent: ...
    @overload
    def __getitem__(self, index: slice) -> list[LoggedEvent]: ...
    def __getitem__(self, index: int | slice) -> LoggedEvent | list[LoggedEvent]:
        with self._changed:
            return self._events[index]

    def __iter__(self) -> Iterator[LoggedEvent]:
        with self._changed:
            return iter(list(self._events))

    def __repr__(self) -> str:
        return f"<EventLog {[event.event_name for event in self]}>"

    def named(self, event_name: str, connection_id: str | None = None) -> list[LoggedEvent]:
        """The events of a name, of one connection or of all. Names compare ignoring case."""
        with self._changed:
            return self._find(event_name, connection_id)

    def wait_for(
        self, event_name: str, connection_id: str | None = None, *, count: int = 1, timeout: float = 5.0
    ) -> LoggedEvent:
        """Wait until ``count`` events of a name were answered, and return the last of these.

        :param timeout: in seconds.
        :raises TimeoutError: if they do not come in time.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while len(found := self._find(event_name, connection_id)) < count:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(
                        f"{len(found)} of {count} events {event_name!r} came within {timeout} seconds. "
                        f"There were {[event.event_name for event in self._events[-20:]]}."
                    )
            return found[count - 1]

    def clear(self) -> None:
        """Forget the events so far."""
        with self._changed:
            self._events.clear()

    def listen(self, listener: Callable[[LoggedEvent], None]) -> None:
        """Call a function with each event that comes, in the service's thread."""
        self._listeners.append(listener)

    def append(self, event: LoggedEvent) -> None:
        """For the service: note an event."""
        with self._changed:
            self._events.append(event)
            del self._events[: -self._limit]
            self._changed.notify_all()
        for listener in self._listeners:
            listener(event)

    def _find(self, event_name: str, connection_id: str | None) -> list[LoggedEvent]:
        folded = event_name.lower()
        return [
            event
            for event in self._events
            if event.event_name.lower() == folded and connection_id in (None, event.connection_id)
        ]


def now() -> datetime:
    """The time of this machine, with its zone."""
    return datetime.fromtimestamp(time.time()).astimezone()


def describe_event(event: LoggedEvent, *, colour: bool = False) -> str:
    """One line for an event, for a person at a terminal.

    :param colour: whether to use the terminal's colours.
    """

    def paint(text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    refused = event.status is not None and 400 <= event.status <= 499
    answer_colour = GREEN if event.error is None else YELLOW if refused else RED
    parts = [
        paint(event.time.strftime("%H:%M:%S"), DIM),
        event.hub,
        paint(f"{event.event_name:<12}", BOLD),
        f"{_who(event)} {_what(event.request)}".strip(),
        paint(f"-> {_answer(event)}", answer_colour),
        paint(f"{event.seconds * 1000:.0f} ms", DIM),
    ]
    if event.tries > 1:
        parts.append(f"({event.tries} tries)")
    if event.error is not None:
        parts.append(paint(event.error, answer_colour))
    return "  ".join(parts)


def _who(event: LoggedEvent) -> str:
    user = "anonymous" if event.user_id is None else event.user_id
    # A client chooses its name, and must not be able to drive the terminal.
    return f"{user if user.isprintable() else repr(user)} [{event.connection_id[:8]}]"


def _what(request: WebPubSubEventRequest) -> str:
    if isinstance(request, UserEventRequest):
        return _describe_data(request.data_type, len(request.get_data()))
    detail = getattr(request, "group", None) or getattr(request, "reason", None)
    return "" if detail is None else repr(detail)


def _answer(event: LoggedEvent) -> str:
    status = "no answer" if event.status is None else str(event.status)
    match event.response:
        case UserEventResponse(data=str() as text, data_type=WebPubSubDataType() as data_type):
            return f"{status} {_describe_data(data_type, len(text.encode()))}"
        case UserEventResponse(data=bytes() as data, data_type=WebPubSubDataType() as data_type):
            return f"{status} {_describe_data(data_type, len(data))}"
        case UserEventResponse(data_type=WebPubSubDataType() as data_type):
            return f"{status} {data_type.value}"
        case ConnectEventResponse(user_id=str() as user_id) if user_id.isprintable():
            return f"{status} as {user_id}"
    return status


def _describe_data(data_type: WebPubSubDataType, size: int) -> str:
    return f"{data_type.value} ({size} B)"
