"""One log line for each event that was handled, for who wants to see it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import EventError, WebPubSub
from flask_webpubsub.messages import Answer, to_wsgi
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import KEY
from tests.test_dispatch import CONNECT, MESSAGE, ack, call, make_event

pytestmark = pytest.mark.both_doors

EVENTS = "flask_webpubsub.events"
DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger=EVENTS)
    return caplog


def event_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines of events, with the time that each took left out."""
    lines = [record.getMessage() for record in caplog.records if record.name == EVENTS]
    return [re.sub(r"\d+\.\d ms$", "… ms", line) for line in lines]


def send(app: Flask, headers: Mapping[str, str | None] | None = None, ce_type: str = MESSAGE) -> Answer:
    """Send an event of Ada's connection, with other headers."""
    return call(app, make_event(ce_type, body=b"{}", headers={"ce-userId": "ada", **(headers or {})}))


def test_a_handled_event_is_one_line_with_all_that_one_looks_for(
    wps: WebPubSub, app: Flask, shown: pytest.LogCaptureFixture
) -> None:
    wps.on_message(ack)

    send(app, {"x-ms-client-request-id": "4f3a"})

    assert event_lines(shown) == [
        "user event 'message' of hub 'chat', connection 'c1', user 'ada', request '4f3a': 200 in … ms"
    ]
    (record,) = shown.records
    assert record.levelno == logging.INFO


def test_every_event_of_a_connection_has_its_line(
    wps: WebPubSub, client: WebPubSubTestClient, shown: pytest.LogCaptureFixture
) -> None:
    wps.on_connect(lambda: None)
    wps.on_connected(lambda: None)
    wps.on_message(lambda: None)
    wps.on_disconnected(lambda: None)

    chat = client.connect(connection_id="c2")
    chat.send_text("hi")
    chat.disconnect("bye")

    assert event_lines(shown) == [
        "system event 'connect' of hub 'chat', connection 'c2', user None, request None: 204 in … ms",
        "system event 'connected' of hub 'chat', connection 'c2', user None, request None: 204 in … ms",
        "user event 'message' of hub 'chat', connection 'c2', user None, request None: 204 in … ms",
        "system event 'disconnected' of hub 'chat', connection 'c2', user None, request None: 204 in … ms",
    ]


def refuse() -> None:
    raise EventError("unauthorized", "A text for the client.")


def test_an_error_is_a_line_with_its_status(wps: WebPubSub, app: Flask, shown: pytest.LogCaptureFixture) -> None:
    wps.on_connect(refuse)

    send(app, ce_type=CONNECT)
    (line,) = event_lines(shown)
    assert line.endswith(": 401 in … ms")
    assert "text" not in line


def test_a_handler_that_raises_is_a_line_with_500(wps: WebPubSub, app: Flask, shown: pytest.LogCaptureFixture) -> None:
    @wps.on_message
    def message() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        send(app)
    (line,) = event_lines(shown)
    assert line.endswith(": 500 in … ms")


REFUSED: dict[str, dict[str, str | None]] = {
    "a forged signature": {"ce-signature": "sha256=00"},
    "no handler": {"ce-eventName": "other", "ce-type": "azure.webpubsub.user.other"},
    "a missing header": {"ce-hub": None},
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_a_refused_call_has_its_warning_and_no_line_beside_it(
    wps: WebPubSub, app: Flask, shown: pytest.LogCaptureFixture, headers: Mapping[str, str | None]
) -> None:
    wps.on_message(ack)

    send(app, headers)
    assert event_lines(shown) == []
    assert len(shown.messages) == 1


def test_the_time_is_that_of_the_event(wps: WebPubSub, app: Flask, shown: pytest.LogCaptureFixture) -> None:
    wps.on_message(ack)

    send(app)
    (message,) = shown.messages
    found = re.search(r" in (\d+\.\d) ms$", message)
    assert found is not None
    assert 0 < float(found[1]) < 60_000


# Header values as a WSGI server hands them over: the bytes of the wire as Latin-1.
FORGERIES = {
    "user": {"ce-userId": to_wsgi("ada\u2028flask_webpubsub ERROR all is lost")},
    "user of no UTF-8": {"ce-userId": "ada\x85"},
    "correlation id": {"x-ms-client-request-id": "a\x1b[31m"},
}


@pytest.mark.parametrize("headers", FORGERIES.values(), ids=FORGERIES)
def test_nothing_from_the_wire_can_forge_or_break_a_line(
    wps: WebPubSub, app: Flask, shown: pytest.LogCaptureFixture, headers: Mapping[str, str | None]
) -> None:
    wps.on_message(ack)

    assert send(app, headers).status == 200
    (message,) = shown.messages
    assert message.isprintable()
    assert message.splitlines() == [message]


def test_no_secret_and_no_message_is_in_a_line(app: Flask, shown: pytest.LogCaptureFixture) -> None:
    app.config["WEBPUBSUB_ACCESS_CODE"] = "the-code"
    wps = WebPubSub(app)

    @wps.on_message
    def message() -> str:
        return "the-answer"

    event = make_event(body=b"the-message", query="code=the-code", headers={"Cookie": "session=the-cookie"})
    assert call(app, event).status == 200
    (line,) = shown.messages
    for secret in (KEY, "the-", event["HTTP_CE_SIGNATURE"].removeprefix("sha256=")):
        assert secret not in line


def count_calls(app: Flask) -> list[str]:
    """The functions of the logging module that are called while an event is handled."""
    called: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename == logging.__file__:
            called.append(frame.f_code.co_name)

    environ = make_event()
    sys.setprofile(note)
    try:
        call(app, environ)
    finally:
        sys.setprofile(None)
    return called


def test_a_line_that_nobody_wants_costs_one_look(wps: WebPubSub, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    wps.on_message(ack)
    caplog.set_level(logging.WARNING, logger=EVENTS)

    call(app, make_event())  # what the logging module finds out once
    assert count_calls(app) == ["isEnabledFor"]
    assert caplog.messages == []


def test_lines_can_be_turned_on_and_off_while_the_app_runs(
    wps: WebPubSub, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    wps.on_message(ack)
    lines = []
    for level in (logging.WARNING, logging.INFO, logging.WARNING):
        with caplog.at_level(level, logger=EVENTS):
            send(app)
        lines.append(len(event_lines(caplog)))

    assert lines == [0, 1, 1]


def test_warnings_of_the_package_stay_where_the_lines_are_off(
    wps: WebPubSub, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    wps.on_message(ack)
    caplog.set_level(logging.WARNING, logger=EVENTS)

    send(app, {"ce-signature": None})
    assert len(caplog.messages) == 1


def test_the_line_in_the_documentation_is_one_that_is_logged(
    wps: WebPubSub, app: Flask, shown: pytest.LogCaptureFixture
) -> None:
    wps.on_message(ack)
    send(app)

    page = (DOCS / "observing.rst").read_text()
    shape = _blur(event_lines(shown)[0])
    assert any(_blur(line).endswith(shape) for line in page.splitlines())


def _blur(line: str) -> str:
    """A line without what differs from event to event."""
    return re.sub(r"'[^']*'|None|[\d…]+(\.\d)? ", "… ", line)
