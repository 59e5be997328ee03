"""Measures how long an import takes, in fresh interpreters that take turns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from .goals import Figure

ROOT = Path(__file__).parent.parent.parent

_REFERENCE = "flask, marshmallow"
_MODULES = (_REFERENCE, "flask_webpubsub")

# The time of the process: what else runs on the machine does not count, nor does the start of the interpreter.
_PROGRAM = """
from time import process_time
begin = process_time()
import {}
print(process_time() - begin)
"""


def measure_imports(rounds: int = 30) -> Iterator[Figure]:
    """The import of the package against that of the libraries that every app with it has."""
    for modules in _MODULES:
        _import_time(modules)  # compiles what is not compiled yet
    times = [{modules: _import_time(modules) for modules in _MODULES} for _ in range(rounds)]
    for modules in _MODULES:
        yield Figure(f"import: {modules}", 1000 * median(time[modules] for time in times), "ms")
    ratios = (time["flask_webpubsub"] / time[_REFERENCE] for time in times)
    yield Figure(f"import: flask_webpubsub / {_REFERENCE}", median(ratios), "times")


def _import_time(modules: str) -> float:
    """The seconds that a fresh interpreter works to import them."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [sys.executable, "-c", _PROGRAM.format(modules)]
    run = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    return float(run.stdout)
