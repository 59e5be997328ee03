"""What is measured, and behind which servers."""

from __future__ import annotations

from typing import NamedTuple

from ..references import EVENTS

#: The reference that looks at nothing.
BARE = "bare"
#: The reference that does the whole job in one view.
BY_HAND = "by hand"
#: The app on ``@azure/web-pubsub-express``, which is a server by itself.
PEER = "peer"

#: The apps for Flask, by the functions that make them.
APPS = {
    BARE: "tests.benchmarks.references:make_bare",
    BY_HAND: "tests.benchmarks.references:make_by_hand",
    "ours": "tests.benchmarks.apps:make_typed",
    "ours, direct": "tests.benchmarks.apps:make_direct",
}


class Setup(NamedTuple):
    """A server, and the number of its processes."""

    server: str
    workers: int

    def __str__(self) -> str:
        return f"{self.server}, {self.workers} {'worker' if self.workers == 1 else 'workers'}"


class Case(NamedTuple):
    """An event that a variant answers."""

    variant: str
    event: str


#: waitress is one process: two of them need a proxy in front, which would then be measured.
SETUPS = (Setup("gunicorn", 1), Setup("gunicorn", 2), Setup("granian", 1), Setup("granian", 2), Setup("waitress", 1))
SERVERS = tuple(dict.fromkeys(setup.server for setup in SETUPS))

CASES = tuple(Case(variant, event) for event in EVENTS for variant in (*APPS, PEER))
