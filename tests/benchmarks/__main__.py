"""Measures what an event costs, and holds it against the goals: ``python -m tests.benchmarks``.

Exits with 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .calls import measure_calls
from .goals import Figure
from .ratios import measure_ratios
from .report import describe_machine, format_figure, write_lines
from .variants import Variant, make_all

Meter = Callable[[Mapping[str, Variant]], Iterable[Figure]]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the figures; the exit code."""
    options = _parse(arguments)
    meters: dict[str, Meter] = {
        "calls": measure_calls,
        "time": lambda variants: measure_ratios(variants, options.rounds),
    }
    machine = describe_machine()
    print(*(f"{name} {value}" for name, value in machine.items()), sep=", ")
    variants = make_all()
    figures = []
    for name, measure in meters.items():
        if name not in (options.only or meters):
            continue
        for figure in measure(variants):
            print(format_figure(figure), flush=True)
            figures.append(figure)
    write_lines(options.json, figures, machine)
    return _conclude(figures)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="METER", help="the meters to use, such as: time calls")
    parser.add_argument("--rounds", type=int, default=400, help="of the meter of time (400)")
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks.jsonl"), help="where the figures go")
    return parser.parse_args(arguments)


def _conclude(figures: list[Figure]) -> int:
    wanted = [figure for figure in figures if figure.goal is not None]
    missed = [figure.name for figure in wanted if not figure.met]
    print(f"{len(wanted) - len(missed)} of {len(wanted)} goals are met.")
    for name in missed:
        print(f"Missed: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
