"""Measures what an event costs, and holds it against the goals.

Exits with 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .calls import measure_calls
from .garbage import measure_garbage
from .goals import Figure
from .imports import measure_imports
from .instructions import measure_instructions
from .leaks import measure_leaks
from .memory import measure_memory
from .ratios import measure_ratios
from .report import describe_machine, format_figure, write_lines
from .variants import Variant, make_large, make_references, make_small, silent_log, verified

METERS = ("time", "calls", "instructions", "memory", "import", "garbage", "leak")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the figures; the exit code."""
    options = _parse(arguments)
    machine = describe_machine()
    print(*(f"{name} {value}" for name, value in machine.items()), sep=", ")
    figures = []
    with silent_log():
        for figure in _measure_all(options.only, options.rounds):
            print(format_figure(figure), flush=True)
            figures.append(figure)
    write_lines(options.json, figures, machine)
    return _conclude(figures)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=METERS, default=METERS, metavar="METER", help=", ".join(METERS))
    parser.add_argument("--rounds", type=int, default=400, help="of the meter of time; at least 200 (400)")
    parser.add_argument(
        "--json", type=Path, default=Path("build/benchmarks.jsonl"), metavar="FILE", help="where the figures go"
    )
    return parser.parse_args(arguments)


def _measure_all(meters: Iterable[str], rounds: int) -> Iterator[Figure]:
    variants = verified([*make_references(), *make_small(), *make_large()])
    for meter in meters:
        yield from _measure(meter, variants, rounds)


def _measure(meter: str, variants: Mapping[str, Variant], rounds: int) -> Iterable[Figure]:
    match meter:
        case "time":
            return measure_ratios(variants, rounds)
        case "calls":
            return measure_calls(variants)
        case "instructions":
            return measure_instructions()
        case "memory":
            return measure_memory(variants)
        case "import":
            return measure_imports()
        case "garbage":
            return measure_garbage(variants)
    return measure_leaks(variants)


def _conclude(figures: list[Figure]) -> int:
    wanted = [figure for figure in figures if figure.goal is not None]
    missed = [figure for figure in wanted if not figure.met]
    print(f"{len(wanted) - len(missed)} of {len(wanted)} goals are met.")
    for figure in missed:
        print(f"Missed: {format_figure(figure)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
