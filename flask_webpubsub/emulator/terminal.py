"""What a person at a terminal is told of an emulator that runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable

from ..access import DEVELOPMENT_KEY
from .event_log import EventLog, LoggedEvent, describe_event
from .wiring import Identity

#: How many events a process keeps that nobody will ask for them.
KEPT_EVENTS = 100


def describe_service(identity: Identity, port: int, hubs: Iterable[str]) -> list[str]:
    """Where the service is, and how it is reached.

    :param hubs: the hubs that are known by name.
    """
    endpoint = identity.endpoint(port)
    names = list(hubs)
    # The one key that everybody knows may be shown.
    keys = [key if key == DEVELOPMENT_KEY else "<your key>" for key in identity.keys[:1]]
    return [
        f"Web PubSub emulator on {endpoint}, for development alone",
        f"Hub: {', '.join(names) or 'any'}",
        f"Clients connect to ws{endpoint.removeprefix('http')}/client/hubs/{names[0] if names else '<hub>'}",
        f"Connection string: Endpoint={endpoint};AccessKey={keys[0]};Version=1.0;",
    ]


def make_event_log(write: Callable[[str], object], *, colour: bool) -> EventLog:
    """A log whose events are written, each in one line, as they happen."""
    events = EventLog(KEPT_EVENTS)

    def show(event: LoggedEvent) -> None:
        write(describe_event(event, colour=colour))

    events.listen(show)
    return events


def show_log_lines() -> None:
    """Let what the emulator logs be seen too, but for failed events, which have their line."""
    logger = logging.getLogger("flask_webpubsub.emulator")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.propagate = False
    events = logging.getLogger("flask_webpubsub.emulator.events")
    events.addHandler(logging.NullHandler())
    events.propagate = False


def has_colours() -> bool:
    """Whether standard output is a terminal, whose user has not said no to colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
