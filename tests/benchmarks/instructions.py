"""Counts the processor's instructions of an event, with callgrind.

The program that callgrind runs is this module itself: it sends each event 20 times and then 120 times. As a sign to
callgrind, which writes down then what it has counted, it asks the system for its parent process before and after each.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .goals import Figure
from .variants import make_references, make_small, silent_log, verified

ROOT = Path(__file__).parent.parent.parent

_FEW, _MANY = 20, 120

_SIGN = "getppid"


def measure_instructions() -> Iterator[Figure]:
    """The instructions of one event of each small variant; nothing where valgrind is not installed."""
    if shutil.which("valgrind") is None:
        return
    names, totals = _run_callgrind()
    # What went before an event's turn, its few, its many.
    for name, few, many in zip(names, totals[1::3], totals[2::3], strict=True):
        yield Figure(f"instructions: {name}", round((many - few) / (_MANY - _FEW)), "")


def _run_callgrind() -> tuple[list[str], list[int]]:
    """The names of the variants, and the instructions that were counted from one sign to the next."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts")
        options = ["--tool=callgrind", f"--dump-before={_SIGN}", "--combine-dumps=yes"]
        run = subprocess.run(
            ["valgrind", *options, f"--callgrind-out-file={counts}", sys.executable, "-m", __name__],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": "0"},  # so that every run is the same
            check=True,
            capture_output=True,
            text=True,
            timeout=600,
        )
        totals = re.findall(r"^totals: (\d+)$", counts.read_text(), re.MULTILINE)
    return run.stdout.splitlines(), [int(total) for total in totals[:-1]]


def _main() -> None:
    variants = verified([*make_references(), *make_small()])
    gc.collect()
    gc.freeze()
    for name, variant in variants.items():
        print(name)
        os.getppid()
        for count in (_FEW, _MANY):
            for _ in range(count):
                variant.call()
            os.getppid()


if __name__ == "__main__":
    with silent_log():
        _main()
