"""Runs one engine on one target in a process of its own: ``python -m tests.fuzz.worker TARGET ENGINE INPUTS SEED``.

It writes a line of JSON now and then, with the number of inputs since the last one, and with what was found.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .targets import Target

_SECONDS = 2
_CHUNK = 2000
#: Where so many things are wrong, the rest can wait.
_MOST_FINDINGS = 20
#: How much of an error is shown. What is in it may be huge.
_MOST_LINES, _MOST_CHARACTERS = 30, 300


class Reporter:
    """Checks inputs of one target, each once, and keeps one for each place where something is wrong."""

    def __init__(self, target: Target, name: str, corpus: Path) -> None:
        self._target = target
        self._name = name
        self._corpus = corpus
        self._known: set[str] = set()
        self._seen: set[int] = set()
        self._written = monotonic()
        self._unsaid = 0

    @property
    def inputs(self) -> int:
        """How many different inputs there were."""
        return len(self._seen)

    def check(self, value: Any) -> None:
        """Check an input.

        :raises Exception: what is wrong with it, unless that is known already.
        """
        self._count(value)
        try:
            self._target.check(value)
        except Exception as error:
            if _place(error) not in self._known:
                raise

    def check_new(self, value: Any) -> None:
        """Check an input if it is new, and keep it if something is wrong that was not known."""
        if not self._count(value):
            return
        try:
            self.check(value)
        except Exception as error:
            self.keep(value, error)

    def _count(self, value: Any) -> bool:
        """Take note of an input; says whether it is new."""
        before = self.inputs
        self._seen.add(hash(repr(value)))
        self._unsaid += self.inputs - before
        if monotonic() - self._written > _SECONDS:
            self.flush()
        return self.inputs > before

    def keep(self, value: Any, error: Exception) -> None:
        """Save a finding, and say so."""
        self._known.add(_place(error))
        saved = self._target.save(value, f"{self._name}-{len(self._known)}", self._corpus)
        shown = "".join(traceback.format_exception(error, limit=-4))
        lines = [line[:_MOST_CHARACTERS] for line in shown.splitlines()]
        self._write({"saved": str(saved), "error": "\n".join(lines[-_MOST_LINES:])})
        if len(self._known) == _MOST_FINDINGS:
            os._exit(1)

    def flush(self) -> None:
        """Say how many inputs there were since the last time."""
        self._write({})

    def _write(self, line: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps({"inputs": self._unsaid} | line) + "\n")
        sys.stdout.flush()
        self._unsaid = 0
        self._written = monotonic()


def _place(error: Exception) -> str:
    """Where an error comes from: the last line of ours on the way to it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _OURS.search(frame.filename)]
    return f"{type(error).__name__} {frames[-1].filename}:{frames[-1].lineno}" if frames else type(error).__name__


def run(target_name: str, engine: str, count: int, seed: int, corpus: Path) -> None:
    """Run an engine, and end the process."""
    if engine == "atheris":
        _watch_package()
    from .engines import run_atheris, run_hypothesis  # which import the package, and that is to be watched
    from .targets import TARGETS

    logging.lastResort = None  # what is logged is looked at, and need not be seen
    target = TARGETS[target_name]
    reporter = Reporter(target, f"found-{engine}-{seed}", corpus)
    if engine == "atheris":
        with TemporaryDirectory() as folder:

            def check(value: Any) -> None:
                reporter.check_new(value)
                if reporter.inputs >= count:
                    reporter.flush()
                    rmtree(folder)
                    os._exit(0)  # the engine itself does not end

            run_atheris(target.make, check, seed, Path(folder))
    while reporter.inputs < count:
        # A few more than are missing: those that hypothesis begins with are the same each time.
        found = run_hypothesis(target.make, reporter.check, min(_CHUNK, count - reporter.inputs + 100), seed)
        seed += 1
        if found is not None:
            reporter.keep(*found)
    reporter.flush()


def _watch_package() -> None:
    import atheris  # not for all systems

    with atheris.instrument_imports(include=["flask_webpubsub"]):
        import flask_webpubsub.identity
        import flask_webpubsub.service  # noqa: F401, these two are imported late


_OURS = re.compile(r"flask_webpubsub/|tests/fuzz/")

if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
