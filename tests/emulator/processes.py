"""Programs in processes of their own, whose output is read as it comes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent.parent

_SECONDS = 30


class Program:
    """A program that runs: what it has written so far, and how to end it."""

    def __init__(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        self._process = process
        self._output = output
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All that it wrote to its standard output and its standard error."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, pattern: str, *, count: int = 1) -> re.Match[str]:
        """Wait for what makes so many matches of a regular expression in the output, and return the last of these."""

        def find() -> list[re.Match[str]]:
            return list(re.finditer(pattern, "".join(self._lines)))

        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(find()) >= count, _SECONDS)
            found = find()
        assert len(found) >= count, f"There is no {pattern!r} in:\n{self.output}"
        return found[count - 1]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, as a terminal sends it to all the program's processes, and wait for the end: the status."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end, and return the status."""
        status = self._process.wait(_SECONDS)
        self._reader.join(_SECONDS)
        return status

    def _read(self) -> None:
        # A terminal ends with an error.
        with suppress(OSError):
            for line in self._output:
                with self._changed:
                    self._lines.append(line.decode().replace("\r\n", "\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def run(arguments: Sequence[str], **options: Any) -> AbstractContextManager[Program]:
    """Run Python with these arguments; see :func:`run_program`."""
    return run_program([sys.executable, *arguments], **options)


@contextmanager
def run_program(
    command: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None, terminal: bool = False
) -> Iterator[Program]:
    """Run a program, until the block ends at the latest.

    :param terminal: whether its output goes to a terminal, and not into a pipe.
    """
    reading, writing = os.openpty() if terminal else os.pipe()
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("FLASK_", "NO_COLOR"))}
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    os.close(writing)
    with open(reading, "rb") as output:
        program = Program(process, output)
        try:
            yield program
        finally:
            program.end(signal.SIGKILL)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
