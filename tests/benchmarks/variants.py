"""What is measured: each variant is an app and an event, with the answer that it must give."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask

from .apps import make_dicts, make_direct, make_many, make_typed, make_unseen
from .events import (
    HUNDRED_STATES,
    Environ,
    make_connect,
    make_forged_message,
    make_message,
    make_message_with_100_states,
    make_mib,
    make_mqtt_connect,
    make_system_event,
    make_validation,
)
from .references import EVENTS, STATES, call, make_bare, make_by_hand

#: The references' variants that ours are compared with.
MESSAGE = ("message by hand", "bare message")
CONNECT = ("connect by hand", "bare connect")

# What the apps answer: the message is counted, and the client that connects is let into its room.
_COUNTED = STATES | {"count": 42}
_ROOM = {"room": "lobby"}
_ACCEPTED = {
    "userId": "alice@example.com",
    "groups": ["lobby"],
    "roles": ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"],
    "subprotocol": "json.webpubsub.azure.v1",
}


@dataclass(frozen=True)
class Variant:
    """An event that an app answers.

    :param status: of the answer.
    :param answer: the body of the answer; of JSON its value.
    :param states: those that the answer sets; ``None`` if it lets them be.
    :param against: the names of the references' variants that its time is compared with.
    """

    name: str
    app: Flask
    environ: Environ
    body: bytes
    status: int = 200
    answer: bytes | Mapping[str, Any] = b"ack"
    states: Mapping[str, Any] | None = None
    against: Sequence[str] = ("bare message",)

    def call(self) -> tuple[str, dict[str, str], bytes]:
        """Send the event, as a server does."""
        return call(self.app, self.environ, self.body)

    def verify(self) -> None:
        """Check that the app does the work that is measured.

        :raises AssertionError: if the answer is another.
        """
        status, headers, body = self.call()
        answer = json.loads(body) if isinstance(self.answer, Mapping) else body
        raw = headers.get("ce-connectionState")
        states = None if raw is None else json.loads(base64.b64decode(raw))
        found, expected = (int(status[:3]), answer, states), (self.status, self.answer, self.states)
        if found != expected:
            raise AssertionError(f"{self.name}: the answer is {found!r}, not {expected!r}.")


def make_references() -> Iterator[Variant]:
    """The references, (b) and (c), with the events that ours are compared with."""
    bare, by_hand = make_bare(), make_by_hand()
    yield Variant("bare message", bare, *EVENTS["message"], against=())
    yield Variant("bare connect", bare, *EVENTS["connect"], against=())
    yield Variant("message by hand", by_hand, *EVENTS["message"], states=_COUNTED)
    yield Variant(
        "connect by hand", by_hand, *EVENTS["connect"], answer=_ACCEPTED, states=_ROOM, against=("bare connect",)
    )


def make_small() -> Iterator[Variant]:
    """Our events of the usual size."""
    yield from _make_typed()
    yield from _make_dicts()
    yield from _make_unseen()
    direct = make_direct()
    yield Variant("message, direct", direct, *EVENTS["message"], states=_COUNTED, against=MESSAGE)
    yield Variant("connect, direct", direct, *EVENTS["connect"], answer=_ACCEPTED, states=_ROOM, against=CONNECT)


def make_large() -> Iterator[Variant]:
    """Events of 1 MiB, by hand and ours, and an app of very many handlers."""
    by_hand, typed = make_by_hand(), make_typed()
    for data_type in ("text", "json", "binary"):
        theirs, ours = f"1 MiB of {data_type} by hand", f"1 MiB of {data_type}"
        yield Variant(theirs, by_hand, *make_mib(data_type, "message"), states=_COUNTED, against=())
        yield Variant(ours, typed, *make_mib(data_type), against=(theirs,))
    yield Variant("message, 1 handler", make_many(1), *EVENTS["message"])
    yield Variant("message, 10,000 handlers", make_many(10_000), *EVENTS["message"])


def _make_typed() -> Iterator[Variant]:
    app = make_typed()
    yield Variant("message", app, *EVENTS["message"], states=_COUNTED, against=MESSAGE)
    yield Variant("connect", app, *EVENTS["connect"], answer=_ACCEPTED, states=_ROOM, against=CONNECT)
    mqtt = _ACCEPTED | {"userId": "alice", "subprotocol": "mqtt"}
    yield Variant("connect of MQTT", app, *make_mqtt_connect(), answer=mqtt, against=CONNECT)
    yield Variant("connected", app, *make_system_event("connected", {}), status=204, answer=b"")
    yield Variant("disconnected", app, *make_system_event("disconnected", {"reason": "bye"}), status=204, answer=b"")
    yield Variant("bad signature", app, *make_forged_message(), status=401, answer=b"Unauthorized")
    yield Variant("validation", app, *make_validation(), answer=b"")
    yield Variant("states read", app, *make_message("read"), answer=b"41 in lobby")
    yield Variant("state set", app, *make_message("set"), states=_COUNTED)
    hundred_and_one = HUNDRED_STATES | {"count": 1}
    yield Variant("message, 100 states", app, *make_message_with_100_states(), states=hundred_and_one)


def _make_dicts() -> Iterator[Variant]:
    app = make_dicts()
    yield Variant("message, dict answer", app, *EVENTS["message"], states=_COUNTED, against=MESSAGE)
    yield Variant("connect, dict answer", app, *EVENTS["connect"], answer=_ACCEPTED, states=_ROOM, against=CONNECT)


def _make_unseen() -> Iterator[Variant]:
    app = make_unseen()
    hello = {"userId": "alice@example.com", "groups": ["lobby"]}
    yield Variant("message unseen", app, *EVENTS["message"], against=MESSAGE)
    yield Variant("connect unseen", app, *EVENTS["connect"], answer=hello, against=CONNECT)
    for claims in ("1 claim", "200 claims"):
        event = make_connect(int(claims.partition(" ")[0]))
        yield Variant(f"connect unseen, {claims}", app, *event, answer=hello, against=("bare connect",))


def verified(variants: Iterable[Variant]) -> dict[str, Variant]:
    """Variants by name, each of which answers as it must.

    :raises AssertionError: if one does not.
    """
    found = {variant.name: variant for variant in variants}
    for variant in found.values():
        variant.verify()
    return found


@contextmanager
def silent_log() -> Iterator[None]:
    """Let the package write its log nowhere. What makes the lines still counts, and what prints them does not."""
    logger, handler = logging.getLogger("flask_webpubsub"), logging.NullHandler()
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)


@contextmanager
def quiet_log() -> Iterator[None]:
    """Let the package make no lines of its log at all, as an app does that has raised the level."""
    logger = logging.getLogger("flask_webpubsub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
