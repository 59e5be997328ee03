"""Shows figures: a table for people, and a line of JSON each for programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from ..report import describe_machine
from .figures import METERS, THROUGHPUT, Figure
from .servers import FOLDER, share_cores
from .variants import PEER, Setup

#: The columns of a table: what was measured, and a meter each.
COLUMNS = ("event", "variant", *METERS)

_PEER_PACKAGES = ("@azure/web-pubsub-express", "express")


def describe_parts(setups: Iterable[Setup], variants: Iterable[str]) -> Mapping[str, str | int | None]:
    """The machine, and the versions of all that runs on it."""
    servers = dict.fromkeys(setup.server for setup in setups)
    wrk = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout.split()[1]
    peer = _describe_peer() if PEER in variants else {}
    return {**describe_machine(), **{server: version(server) for server in servers}, "wrk": wrk, **peer}


def describe_cores(setup: Setup) -> str:
    """Which cores a setup runs on."""
    cores, core_of_wrk = share_cores(setup.workers)
    shared = ", which they share" if core_of_wrk in cores else ""
    return f"server on {', '.join(map(str, cores))}, wrk on {core_of_wrk}{shared}"


def make_rows(figures: Iterable[Figure]) -> Iterator[Sequence[str]]:
    """A row of the table for each case of one setup, in the order of :data:`COLUMNS`."""
    for case, of_case in groupby(figures, key=lambda figure: figure.case):
        values = {figure.meter: format_value(figure.meter, figure.value) for figure in of_case}
        yield case.event, case.variant, *(values.get(meter, "") for meter in METERS)


def format_row(row: Sequence[str]) -> str:
    """A row of the table for a terminal."""
    event, variant, *values = row
    return f"  {event:8} {variant:13}{''.join(f'{value:>11}' for value in values)}".rstrip()


def format_value(meter: str, value: float) -> str:
    """A number with the digits that mean something."""
    return f"{value:,.0f}" if meter == THROUGHPUT else f"{value:.2f}"


def format_goal(figure: Figure) -> str:
    """A figure, its goal, and whether it is met."""
    return f"{figure}: {figure.value:.3f}, ≥ {figure.goal:.3f}: {'met' if figure.met else 'MISSED'}"


def write_lines(path: Path, figures: Iterable[Figure], parts: Mapping[str, Any]) -> None:
    """Write a line of JSON for each figure into a file, in place of what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for figure in figures:
            line = {
                **figure.setup._asdict(),
                **figure.case._asdict(),
                "meter": figure.meter,
                "value": figure.value,
                "goal": figure.goal,
                "met": figure.met,
            }
            file.write(json.dumps({**line, **parts}, ensure_ascii=False) + "\n")


def _describe_peer() -> Mapping[str, str]:
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    packages = FOLDER / "node_modules"
    versions = {name: json.loads((packages / name / "package.json").read_text())["version"] for name in _PEER_PACKAGES}
    return {"Node.js": node.removeprefix("v"), **versions}
