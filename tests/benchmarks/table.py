"""Prints the tables of the documentation's page on performance: ``python -m tests.benchmarks.table FILE``.

The file is one that ``python -m tests.benchmarks`` wrote.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .goals import GOALS, Figure
from .report import PACKAGES, format_value

Lines = Sequence[dict[str, Any]]


def main(path: str) -> None:
    """Print the machine, the goals, and the events."""
    lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    figures = {line["name"]: Figure(line["name"], line["value"], line["unit"]) for line in lines}
    print(describe(lines[0]), "", *list_table(goal_rows(figures)), "", *list_table(event_rows(figures)), sep="\n")


def describe(line: dict[str, Any]) -> str:
    """A sentence on the machine and the versions."""
    versions = ", ".join(f"{name} {line[name]}" for name in ("Python", *PACKAGES))
    return f"Measured on {line['processor']}, {line['cores']} cores, {line['machine']}, with {versions}."


def goal_rows(figures: dict[str, Figure]) -> Iterator[Sequence[str]]:
    """The goals that were measured, and what was found."""
    yield "Figure", "Goal", "Measured"
    for name in GOALS:
        if (figure := figures.get(name)) is not None:
            unit = "" if figure.unit == "times" else f" {figure.unit}"
            verdict = "" if figure.met else " (missed)"
            yield name, f"{format_value(GOALS[name])}{unit}", f"{format_value(figure.value)}{unit}{verdict}"


def event_rows(figures: dict[str, Figure]) -> Iterator[Sequence[str]]:
    """What each event costs: its time against a reference, its calls and its instructions."""
    yield "Event", "Time against bare Flask", "Time against the same by hand", "Calls", "Instructions"
    events = [name.removeprefix("calls: ") for name in figures if name.startswith("calls: ") and "/" not in name]
    for event in events:
        row = (
            _against(figures, event, "bare "),
            _against(figures, event, " by hand"),
            figures.get(f"calls: {event}"),
            figures.get(f"instructions: {event}"),
        )
        yield event, *("" if figure is None else format_value(figure.value) for figure in row)


def _against(figures: dict[str, Figure], event: str, reference: str) -> Figure | None:
    """The time of an event against a reference with this in its name."""
    begin = f"time: {event} / "
    return next((figures[name] for name in figures if name.startswith(begin) and reference in name[len(begin) :]), None)


def list_table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table in reStructuredText; the first row is its header."""
    yield from (".. list-table::", "   :header-rows: 1", "")
    for row in rows:
        for number, cell in enumerate(row):
            yield f"   {'  -' if number else '* -'} {cell}".rstrip()


if __name__ == "__main__":
    main(sys.argv[1])
