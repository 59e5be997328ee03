"""What was found behind a server, and what is wanted of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from statistics import median

from .rounds import Rounds
from .variants import BARE, BY_HAND, PEER, SERVERS, Case, Setup

THROUGHPUT, P50, P99 = "requests/s", "p50 ms", "p99 ms"
#: The variants whose throughput that of the others is compared with.
REFERENCES = (BARE, BY_HAND, PEER)


def against(reference: str) -> str:
    """The name of the meter that compares with a reference."""
    return f"/ {reference}"


#: The names of the meters, in the order of the table. Ratios are those of throughputs.
METERS = (THROUGHPUT, P50, P99, *map(against, REFERENCES))


@dataclass(frozen=True)
class Goal:
    """The least throughput that a variant must have, as a multiple of a reference's."""

    variant: str
    reference: str
    least: float
    events: Collection[str] = ("message", "connect")
    servers: Collection[str] = SERVERS
    workers: Collection[int] = (1, 2)


GOALS = (
    Goal("ours", BY_HAND, 1.0),
    Goal("ours", BARE, 0.78, events=("message",), servers=("granian",)),
    Goal("ours, direct", PEER, 2.5, events=("message",), servers=("granian",), workers=(1,)),
)


@dataclass(frozen=True)
class Figure:
    """What a meter found of a case behind a server."""

    setup: Setup
    case: Case
    meter: str
    value: float

    def __str__(self) -> str:
        return f"{self.setup}: {self.case.event}, {self.case.variant}, {self.meter}"

    @property
    def goal(self) -> float | None:
        """The least that the value may be, if that is said anywhere."""
        return next((goal.least for goal in GOALS if self._is_of(goal)), None)

    @property
    def met(self) -> bool:
        """Whether the goal is met; a figure without one always is."""
        return self.goal is None or self.value >= self.goal

    def _is_of(self, goal: Goal) -> bool:
        return (
            (self.case.variant, self.meter) == (goal.variant, against(goal.reference))
            and self.case.event in goal.events
            and self.setup.server in goal.servers
            and self.setup.workers in goal.workers
        )


def make_figures(setup: Setup, rounds: Rounds) -> Iterator[Figure]:
    """The medians over the rounds; a ratio is taken within each round."""
    for case, loads in rounds.items():
        yield Figure(setup, case, THROUGHPUT, median(load.throughput for load in loads))
        yield Figure(setup, case, P50, median(load.p50 for load in loads))
        yield Figure(setup, case, P99, median(load.p99 for load in loads))
        for reference in REFERENCES:
            theirs = rounds.get(Case(reference, case.event))
            if theirs is not None and reference != case.variant:
                ratios = (a.throughput / b.throughput for a, b in zip(loads, theirs, strict=True))
                yield Figure(setup, case, against(reference), median(ratios))
