"""Fuzzes everything for as many inputs as you like, on all cores: ``make fuzz INPUTS=1000000``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from time import monotonic, time

import click

from .engines import find_engines
from .targets import CORPUS, TARGETS

_PROGRESS_SECONDS = 15
#: Of ten inputs, how many each engine makes. hypothesis is slower.
_SHARES = {"hypothesis": 2, "atheris": 8}


@dataclass(frozen=True)
class Job:
    """A part of the work that one process does."""

    target: str
    engine: str
    inputs: int
    seed: int


@dataclass
class Run:
    """What was done until now."""

    inputs: int
    corpus: Path
    begin: float = field(default_factory=monotonic)
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    _shown: float = field(default_factory=monotonic)
    _lock: Lock = field(default_factory=Lock)

    def work(self, job: Job) -> None:
        """Do a job in a process of its own, and follow what it says."""
        command = [sys.executable, "-m", "tests.fuzz.worker", job.target, job.engine, str(job.inputs), str(job.seed)]
        with subprocess.Popen(
            [*command, str(self.corpus)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            with ThreadPoolExecutor(1) as reader:  # a pipe that nobody reads stops who writes
                noise = reader.submit(process.stderr.read)
                told = [self._follow(job, line) for line in process.stdout]
        if process.returncode and not any(told):
            self._find(f"{job.target}, {job.engine}: ended with {process.returncode}.\n{noise.result()[-2000:]}")

    def _follow(self, job: Job, line: str) -> bool:
        """Take in a line of a worker; says whether it tells of a finding."""
        try:
            report = json.loads(line)
        except ValueError:
            return False  # an engine says something of its own
        with self._lock:
            self.done[job.target, job.engine] += report["inputs"]
            if monotonic() - self._shown > _PROGRESS_SECONDS:
                self._shown = monotonic()
                click.echo(f"{self.done.total():>11,} of {self.inputs:,} inputs after {self._time()}")
        if "saved" in report:
            self._find(f"{job.target}, {job.engine}: saved in {report['saved']}\n{report['error']}")
        return "saved" in report

    def _find(self, text: str) -> None:
        self.findings.append(text)
        click.secho(f"Found: {text}", fg="red")

    def _time(self) -> str:
        return "{} min {:02} s".format(*divmod(int(monotonic() - self.begin), 60))

    def summarise(self) -> None:
        """Print a table of it all."""
        engines = find_engines()
        click.echo(f"\n{'Target':20}" + "".join(f"{engine:>14}" for engine in engines))
        for target in TARGETS:
            if any(self.done[target, engine] for engine in engines):
                click.echo(f"{target:20}" + "".join(f"{self.done[target, engine]:>14,}" for engine in engines))
        click.echo(f"\n{self.done.total():,} inputs in {self._time()}: {len(self.findings)} findings.")


def plan(inputs: int, targets: tuple[str, ...], seed: int) -> Iterator[Job]:
    """The jobs of a run, the long ones first."""
    engines = find_engines()
    shares = sum(TARGETS[name].share for name in targets)
    for name in targets:
        own = -(-inputs * TARGETS[name].share // shares)
        for engine in engines:
            count = own if len(engines) == 1 else -(-own * _SHARES[engine] // 10)
            # A process for each core, which go different ways.
            workers = min(os.cpu_count() or 1, 1 + count // 1000) if engine == "atheris" else 1
            for worker in range(workers):
                yield Job(name, engine, -(-count // workers), seed + worker)


@click.command(help=__doc__)
@click.argument("inputs", type=click.IntRange(1), default=1_000_000)
@click.option("--target", "targets", multiple=True, type=click.Choice(list(TARGETS)), help="Only this one.")
@click.option("--seed", type=int, help="The same seed makes the same inputs.")
@click.option("--corpus", type=click.Path(path_type=Path), default=CORPUS, help="Where findings are saved.")
def main(inputs: int, targets: tuple[str, ...], seed: int | None, corpus: Path) -> None:
    """Fuzz, and end with the status 1 if something was found."""
    seed = int(time()) if seed is None else seed
    if "atheris" not in find_engines():
        click.echo("atheris is not installed: hypothesis makes all inputs.")
    click.echo(f"{inputs:,} inputs, with the seed {seed}.")
    run = Run(inputs, corpus)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(run.work, plan(inputs, targets or tuple(TARGETS), seed)))
    run.summarise()
    sys.exit(bool(run.findings))


if __name__ == "__main__":
    main()
