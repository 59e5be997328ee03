"""Loads the app behind real servers, and holds it against the references, a peer and the goals.

Exits with 1 if a goal is missed, and with 2 if something that it needs is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from .figures import Figure, make_figures
from .load import CONNECTIONS
from .report import COLUMNS, describe_cores, describe_parts, format_goal, format_row, make_rows, write_lines
from .rounds import run_rounds
from .servers import find_missing
from .variants import CASES, SERVERS, SETUPS, Case, Setup


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the figures; the exit code."""
    options = _parse(arguments)
    setups = [setup for setup in SETUPS if setup.server in options.servers]
    cases = [case for case in CASES if any(fnmatch(f"{case.event}, {case.variant}", only) for only in options.only)]
    variants = {case.variant for case in cases}
    missing = find_missing(variants, options.servers) if cases else f"No case is like {', '.join(options.only)}."
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    parts = describe_parts(setups, variants)
    print(*(f"{name} {value}" for name, value in parts.items()), sep=", ")
    print(f"{CONNECTIONS} connections, {options.rounds} rounds, {options.seconds} s for each load")
    print(f"Load of the machine before: {os.getloadavg()[0]:.2f}. It must be near 0, or the figures mean nothing.")
    figures = list(_measure_all(setups, cases, options.rounds, options.seconds))
    write_lines(options.json, figures, {**parts, "rounds": options.rounds, "seconds": options.seconds})
    return _conclude(figures)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.end_to_end", description=__doc__)
    parser.add_argument("--seconds", type=_positive, default=1, help="of each load (1)")
    parser.add_argument("--rounds", type=_positive, default=6, help="in which each case is loaded once (6)")
    parser.add_argument(
        "--servers", nargs="+", choices=SERVERS, default=SERVERS, metavar="SERVER", help=", ".join(SERVERS)
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=["*"],
        metavar="CASE",
        help="events and variants, as patterns: 'message, *' '*, by hand'",
    )
    parser.add_argument(
        "--json", type=Path, default=Path("build/end_to_end.jsonl"), metavar="FILE", help="where the figures go"
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _measure_all(setups: Sequence[Setup], cases: Sequence[Case], rounds: int, seconds: int) -> Iterator[Figure]:
    """Measure one setup after the other, and print the table of each."""
    for setup in setups:
        figures = list(make_figures(setup, run_rounds(setup, cases, rounds, seconds)))
        print(f"\n{setup} ({describe_cores(setup)})", *map(format_row, (COLUMNS, *make_rows(figures))), sep="\n")
        sys.stdout.flush()
        yield from figures


def _conclude(figures: Sequence[Figure]) -> int:
    wanted = [figure for figure in figures if figure.goal is not None]
    missed = [figure for figure in wanted if not figure.met]
    print("", *map(format_goal, wanted), sep="\n")
    print(f"{len(wanted) - len(missed)} of {len(wanted)} goals are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
