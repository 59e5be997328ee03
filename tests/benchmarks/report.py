"""Shows figures: a table for people, and a line of JSON each for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .goals import Figure

#: Those whose versions a figure depends on.
PACKAGES = ("flask-webpubsub", "Flask", "Werkzeug", "marshmallow", "itsdangerous")


def describe_machine() -> Mapping[str, str | int | None]:
    """The versions of what runs here, and the machine."""
    return {
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def format_figure(figure: Figure) -> str:
    """A row of the table."""
    goal = "" if figure.goal is None else f"≤ {format_value(figure.goal)}"
    verdict = "" if figure.goal is None else "met" if figure.met else "MISSED"
    return f"{figure.name:62} {format_value(figure.value):>10} {figure.unit:8} {goal:>9}  {verdict}".rstrip()


def format_value(value: float) -> str:
    """A number with the digits that mean something: all of a count, three after the point of a ratio."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}"


def write_lines(path: Path, figures: Iterable[Figure], machine: Mapping[str, Any]) -> None:
    """Write a line of JSON for each figure into a file, in place of what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for figure in figures:
            line = {
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "goal": figure.goal,
                "met": figure.met,
            }
            file.write(json.dumps({**line, **machine}, ensure_ascii=False) + "\n")


def _processor() -> str:
    """The processor's own name, where the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
