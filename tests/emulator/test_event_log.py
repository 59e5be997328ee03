"""The log of events: looked at, waited for, and read on a terminal."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from flask_webpubsub import (
    ConnectEventRequest,
    ConnectEventResponse,
    DisconnectedEventRequest,
    GroupJoinedEventRequest,
    UserEventRequest,
    UserEventResponse,
    WebPubSubConnectionContext,
    WebPubSubDataType,
    WebPubSubEventType,
)
from flask_webpubsub.emulator.event_log import EventLog, LoggedEvent, describe_event


def context(name: str, connection_id: str, user_id: str | None, kind: WebPubSubEventType) -> WebPubSubConnectionContext:
    return WebPubSubConnectionContext(
        event_type=kind, event_name=name, hub="chat", connection_id=connection_id, user_id=user_id
    )


def message(name: str = "message", connection_id: str = "0123456789abcdef", data: Any = "hä") -> UserEventRequest:
    data_type = WebPubSubDataType.BINARY if isinstance(data, bytes) else WebPubSubDataType.TEXT
    own = context(name, connection_id, "alice", WebPubSubEventType.USER)
    return UserEventRequest(connection_context=own, data=data, data_type=data_type)


def event(request: Any = None, **fields: Any) -> LoggedEvent:
    values: dict[str, Any] = {
        "request": request or message(),
        "response": None,
        "status": 204,
        "error": None,
        "tries": 1,
        "seconds": 0.0123,
        "time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    return LoggedEvent(**{**values, **fields})


def test_a_log_is_a_sequence_in_the_order_of_the_answers() -> None:
    log = EventLog()
    first, second = event(message("a")), event(message("b"))
    log.append(first)
    log.append(second)
    assert list(log) == [first, second] == log[:]
    assert (len(log), log[0], log[-1]) == (2, first, second)
    assert repr(log) == "<EventLog ['a', 'b']>"


def test_an_event_says_whose_it_is() -> None:
    found = event(message("Typing", "c1"))
    assert (found.event_type, found.event_name, found.hub, found.connection_id, found.user_id) == (
        WebPubSubEventType.USER,
        "Typing",
        "chat",
        "c1",
        "alice",
    )


def test_events_are_found_by_name_and_connection() -> None:
    log = EventLog()
    for name, connection_id in (("Typing", "c1"), ("typing", "c2"), ("message", "c1")):
        log.append(event(message(name, connection_id)))
    assert [found.connection_id for found in log.named("typing")] == ["c1", "c2"]
    assert [found.event_name for found in log.named("TYPING", "c2")] == ["typing"]
    assert log.named("nothing") == []


def test_waiting_returns_the_event_that_makes_so_many() -> None:
    log = EventLog()
    events = [event(message(connection_id=f"c{number}")) for number in range(3)]

    def append() -> None:
        for item in events:
            log.append(item)

    thread = threading.Thread(target=append)
    thread.start()
    assert log.wait_for("message", count=2) is events[1]
    assert log.wait_for("message", "c2") is events[2]
    thread.join()


def test_waiting_in_vain_says_what_there_was() -> None:
    log = EventLog()
    log.append(event(message("typing")))
    with pytest.raises(TimeoutError, match=r"0 of 1 events 'message' came within 0.01 seconds. .*'typing'"):
        log.wait_for("message", timeout=0.01)


def test_a_cleared_log_starts_anew() -> None:
    log = EventLog()
    log.append(event())
    log.clear()
    assert list(log) == []
    log.append(event())
    assert len(log) == 1


def test_the_oldest_events_go() -> None:
    log = EventLog(limit=2)
    for name in "abc":
        log.append(event(message(name)))
    assert [found.event_name for found in log] == ["b", "c"]


def test_listeners_hear_of_each_event_once() -> None:
    log = EventLog()
    heard: list[LoggedEvent] = []
    log.listen(heard.append)
    first = event()
    log.append(first)
    assert heard == [first]


SYSTEM = WebPubSubEventType.SYSTEM
ID = "0123456789abcdef"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        pytest.param(
            event(response=UserEventResponse("hö"), status=200),
            "03:04:05  chat  message       alice [01234567] text (3 B)  -> 200 text (3 B)  12 ms",
            id="message",
        ),
        pytest.param(
            event(message(data=b"\0\1"), response=UserEventResponse(b"\0"), status=200),
            "03:04:05  chat  message       alice [01234567] binary (2 B)  -> 200 binary (1 B)  12 ms",
            id="binary",
        ),
        pytest.param(
            event(response=UserEventResponse([1]), status=200),
            "03:04:05  chat  message       alice [01234567] text (3 B)  -> 200 json  12 ms",
            id="json",
        ),
        pytest.param(
            event(
                ConnectEventRequest(connection_context=context("connect", ID, None, SYSTEM)),
                response=ConnectEventResponse(user_id="bob"),
                status=200,
            ),
            "03:04:05  chat  connect       anonymous [01234567]  -> 200 as bob  12 ms",
            id="connect",
        ),
        pytest.param(
            event(
                DisconnectedEventRequest(connection_context=context("disconnected", ID, "alice", SYSTEM), reason="b")
            ),
            "03:04:05  chat  disconnected  alice [01234567] 'b'  -> 204  12 ms",
            id="disconnected",
        ),
        pytest.param(
            event(
                GroupJoinedEventRequest(
                    connection_context=context("joined", ID, "alice", WebPubSubEventType.PRESENCE), group="g\n"
                )
            ),
            r"03:04:05  chat  joined        alice [01234567] 'g\n'  -> 204  12 ms",
            id="joined",
        ),
        pytest.param(
            event(status=None, error="Not there.", tries=4),
            "03:04:05  chat  message       alice [01234567] text (3 B)  -> no answer  12 ms  (4 tries)  Not there.",
            id="failure",
        ),
    ],
)
def test_an_event_is_one_line(found: LoggedEvent, line: str) -> None:
    assert describe_event(found) == line


def test_a_user_name_can_not_drive_the_terminal() -> None:
    nasty = context("connect", "c1", "\x1b[2J\nhi", SYSTEM)
    line = describe_event(event(ConnectEventRequest(connection_context=nasty)))
    assert "\x1b" not in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("fields", "colour"),
    [
        ({"status": 204}, 32),
        ({"status": 401, "error": "No."}, 33),
        ({"status": 500, "error": "No."}, 31),
        ({"status": None, "error": "No."}, 31),
        ({"status": 200, "error": "No."}, 31),
    ],
    ids=["good-green", "refused-yellow", "failed-red", "no-answer-red", "unreadable-red"],
)
def test_on_a_terminal_the_answer_has_a_colour(fields: dict[str, Any], colour: int) -> None:
    assert f"\x1b[{colour}m-> " in describe_event(event(**fields), colour=True)
