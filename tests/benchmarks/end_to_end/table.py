"""Prints the tables of the documentation's page on performance: ``python -m tests.benchmarks.end_to_end.table FILE``.

The file is one that ``python -m tests.benchmarks.end_to_end`` wrote.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ..table import list_table
from .figures import METERS, Figure
from .report import make_rows
from .variants import Case, Setup

#: What a line says of its figure; the rest is of all the lines.
_OF_A_FIGURE = {*Setup._fields, *Case._fields, "meter", "value", "goal", "met"}


def main(path: str) -> None:
    """Print the versions, and a table for each event."""
    lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    figures = [_make_figure(line) for line in lines]
    print(", ".join(f"{name} {value}" for name, value in lines[0].items() if name not in _OF_A_FIGURE))
    for event in dict.fromkeys(figure.case.event for figure in figures):
        print("", f".. rubric:: {event}", "", *list_table(event_rows(figures, event)), sep="\n")


def event_rows(figures: Sequence[Figure], event: str) -> Iterator[Sequence[str]]:
    """What the variants make of an event, one server after the other."""
    yield "Server", "App", *METERS
    for setup, of_setup in groupby(figures, key=lambda figure: figure.setup):
        for _, variant, *values in make_rows(figure for figure in of_setup if figure.case.event == event):
            yield str(setup), variant, *values


def _make_figure(line: dict[str, Any]) -> Figure:
    setup, case = Setup(line["server"], line["workers"]), Case(line["variant"], line["event"])
    return Figure(setup, case, line["meter"], line["value"])


if __name__ == "__main__":
    main(sys.argv[1])
