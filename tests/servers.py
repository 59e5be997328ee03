"""Starts real WSGI servers on free ports of 127.0.0.1, and ends them with all their processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from importlib.util import find_spec
from pathlib import Path

import pytest

HOST = "127.0.0.1"
ROOT = Path(__file__).parent.parent

#: The name of the server of ``flask run``, which :func:`serve` knows too.
DEVELOPMENT_SERVER = "werkzeug"

_START_SECONDS = 30
_STOP_SECONDS = 10
_PORTS_TO_TRY = 3


def _gunicorn(worker_class: str) -> Callable[[str, int, int], list[str]]:
    def command(app_import: str, port: int, workers: int) -> list[str]:
        options = [f"--bind={HOST}:{port}", f"--workers={workers}", f"--worker-class={worker_class}"]
        return ["gunicorn", *options, "--graceful-timeout=1", "--access-logfile=-", app_import]

    return command


def _waitress(app_import: str, port: int, workers: int) -> list[str]:
    return ["waitress", f"--listen={HOST}:{port}", app_import]


def _granian(app_import: str, port: int, workers: int) -> list[str]:
    options = ["--interface=wsgi", f"--host={HOST}", f"--port={port}", f"--workers={workers}"]
    return ["granian", *options, app_import]


def _werkzeug(app_import: str, port: int, workers: int) -> list[str]:
    return ["flask", "--app", app_import, "run", f"--host={HOST}", f"--port={port}"]


_COMMANDS = {
    "gunicorn-sync": _gunicorn("sync"),
    "gunicorn-gthread": _gunicorn("gthread"),
    "waitress": _waitress,
    "granian": _granian,
    DEVELOPMENT_SERVER: _werkzeug,
}

#: The names of the servers for production that :func:`serve` knows.
SERVERS = tuple(name for name in _COMMANDS if name != DEVELOPMENT_SERVER)


@dataclass(frozen=True)
class Server:
    """A server that runs, and where it answers."""

    name: str
    port: int
    log_path: Path
    host: str = HOST

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        """What the server and its app have printed so far."""
        return self.log_path.read_text(errors="replace")

    def open_socket(self, timeout: float = 10) -> socket.socket:
        """A TCP connection to the server, for bytes that no client would send."""
        return socket.create_connection((self.host, self.port), timeout)


@contextmanager
def serve(
    server: str, app_import: str, *, workers: int = 1, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> Iterator[Server]:
    """Run a server in processes of its own, from when it answers until the block ends.

    Skips the test where the server is not installed.

    :param server: one of :data:`SERVERS`, or :data:`DEVELOPMENT_SERVER`.
    :param app_import: the app, as ``module:name``; it is imported in ``cwd``.
    :param workers: the number of processes, where the server has several.
    :param env: environment variables beside those of this process.
    :raises RuntimeError: if the server does not come up; the message holds its output.
    """
    package = server.partition("-")[0]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        for attempt in range(1, _PORTS_TO_TRY + 1):
            log_path = Path(folder, f"{attempt}.log")
            running = Server(server, _free_port(), log_path)
            command = [sys.executable, "-m", *_COMMANDS[server](app_import, running.port, workers)]
            with _run(command, log_path, env or {}, cwd) as process:
                if _wait_until_it_answers(running, process):
                    yield running
                    return
        raise RuntimeError(f"{server} did not start:\n{running.log}")


@contextmanager
def _run(command: list[str], log_path: Path, env: Mapping[str, str], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own, and end the whole group after the block."""
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    # Its workers are in its group, and may outlive it.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_STOP_SECONDS)


def _wait_until_it_answers(server: Server, process: subprocess.Popen[bytes]) -> bool:
    """Whether it came up; it does not where somebody else took the port, or where its app can not be imported."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(server.port):
            return True
        time.sleep(0.05)  # a server that starts tells nobody when it is there
    return False


def _answers(port: int) -> bool:
    with closing(HTTPConnection(HOST, port, timeout=_START_SECONDS)) as http:
        try:
            http.request("HEAD", "/")
            http.getresponse()
        except (OSError, HTTPException):
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
