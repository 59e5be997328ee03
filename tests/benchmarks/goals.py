"""The figures that are wanted: the name of each, and the most that it may be."""

from __future__ import annotations

from dataclasses import dataclass

#: The goals, by the names of the figures.
GOALS = {
    "time: message / message by hand": 0.65,
    "time: message / bare message": 1.30,
    "time: connect / connect by hand": 0.75,
    "time: connect / bare connect": 1.85,
    "time: connect unseen / connect by hand": 0.50,
    "time: (message, dict answer - message) / bare message": 0.10,
    "time: message, direct / bare message": 0.30,
    "time: bad signature / bare message": 1.15,
    "calls: message, 10,000 handlers / message, 1 handler": 1.05,
    "calls: connect unseen, 200 claims / connect unseen, 1 claim": 1.05,
    "memory: 1 MiB of binary": 1.1,
    "memory: 1 MiB of text": 2.1,
    "memory: 1 MiB unseen": 1.1,
    "memory: 1 MiB refused": 0.05,
    "read: 1 MiB refused": 0,
    "import: flask_webpubsub / flask, marshmallow": 1.15,
    "garbage: beyond bare Flask": 0,
    "leak: 100,000 events": 0,
}


@dataclass(frozen=True)
class Figure:
    """What a meter found.

    :param name: begins with the meter, as do the names of :data:`GOALS`.
    :param unit: of the value; ``times`` for a ratio.
    """

    name: str
    value: float
    unit: str

    @property
    def goal(self) -> float | None:
        """The most that the value may be, if that is said anywhere."""
        return GOALS.get(self.name)

    @property
    def met(self) -> bool:
        """Whether the goal is met; a figure without one always is."""
        return self.goal is None or self.value <= self.goal
