"""Starts what is measured: an app behind a server, or the peer, on cores of its own."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.emulator.node_tools import install_packages
from tests.emulator.processes import free_port, run_program

from ..references import HOST as SERVICE
from ..references import HUB, PATH
from .events import HOST
from .variants import APPS, PEER, Setup

#: Where the peer and its packages are.
FOLDER = Path(__file__).parent

_SECONDS = 30

# What each server writes once for each of its processes, when it is there.
_STARTED = {
    "gunicorn": r"Booting worker with pid",
    "granian": r"Started worker-\d",
    "waitress": r"Serving on",
    PEER: r"listening",
}


def _gunicorn(factory: str, port: int, workers: int) -> list[str]:
    # As many threads as the page on production has; without that option it is one.
    options = [f"--bind={HOST}:{port}", f"--workers={workers}", "--worker-class=gthread", "--threads=8"]
    return ["gunicorn", *options, f"{factory}()"]


def _granian(factory: str, port: int, workers: int) -> list[str]:
    options = ["--interface=wsgi", f"--host={HOST}", f"--port={port}", f"--workers={workers}"]
    return ["granian", *options, "--factory", factory]


def _waitress(factory: str, port: int, workers: int) -> list[str]:
    # As many threads as wrk has connections: with fewer it writes a line to its log for each event that waits.
    return ["waitress", f"--listen={HOST}:{port}", "--threads=16", "--call", factory]


_COMMANDS = {"gunicorn": _gunicorn, "granian": _granian, "waitress": _waitress}


@contextmanager
def run_variant(variant: str, setup: Setup, cores: Sequence[int]) -> Iterator[int]:
    """Run a variant, until the block ends. It gives the port of 127.0.0.1.

    :param cores: those that all its processes share.
    :raises AssertionError: if it does not start; the message holds what it wrote.
    """
    port = free_port()
    program = PEER if variant == PEER else setup.server
    command = pin(_make_command(variant, setup, port), cores)
    with run_program(command, env={"NODE_ENV": "production"}) as running:
        running.wait_for(_STARTED[program], count=setup.workers)
        _wait_until_it_listens(port)
        yield port


def pin(command: Sequence[str], cores: Sequence[int]) -> list[str]:
    """The command with which a program runs on these cores alone."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]


def share_cores(workers: int) -> tuple[list[int], int]:
    """The cores for a server's processes, and the one for wrk, which has none to itself where there are too few.

    :raises RuntimeError: if there is one core alone.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("There is one core alone: the server and wrk need one each.")
    return cores[:workers], cores[-1]


def find_missing(variants: Collection[str], servers: Collection[str]) -> str | None:
    """What this machine lacks to measure these variants behind these servers; nothing if it has it all."""
    for program in ("wrk", "taskset"):
        if shutil.which(program) is None:
            return f"{program} is not installed."
    for server in servers:
        if find_spec(server) is None:
            return f"{server} is not installed."
    return install_packages(FOLDER) if PEER in variants else None


def _wait_until_it_listens(port: int) -> None:
    """Wait for what some servers do only after they have said that they started.

    :raises OSError: if a server does not do it.
    """
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return socket.create_connection((HOST, port), _SECONDS).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _make_command(variant: str, setup: Setup, port: int) -> list[str]:
    if variant == PEER:
        return ["node", f"{FOLDER}/peer.mjs", str(port), str(setup.workers), HUB, PATH, f"https://{SERVICE}"]
    return [sys.executable, "-m", *_COMMANDS[setup.server](APPS[variant], port, setup.workers)]
