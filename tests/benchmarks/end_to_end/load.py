"""Sends one event to a server, as often as it answers: wrk with a script."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .events import HOST
from .servers import pin

CONNECTIONS = 16

_SCRIPT = Path(__file__).parent / "event.lua"
_MORE_SECONDS = 30


@dataclass(frozen=True)
class Load:
    """What came of some seconds of load.

    :param throughput: requests per second.
    :param p50: the time of an answer that half of them are within, in milliseconds; so are 99 % within ``p99``.
    """

    throughput: float
    p50: float
    p99: float


def run_wrk(port: int, request: Path, seconds: int, core: int) -> Load:
    """Send a request to a server for some seconds, over all connections at once.

    :param request: the file with its bytes.
    :param core: the one that wrk runs on.
    :raises RuntimeError: if wrk failed, or if a request had no answer or one of status 400 and above.
    """
    options = ["--threads=1", f"--connections={CONNECTIONS}", f"--duration={seconds}s", f"--script={_SCRIPT}"]
    command = pin(["wrk", *options, f"http://{HOST}:{port}", "--", str(request)], [core])
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + _MORE_SECONDS, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"wrk failed: {run.stderr or run.stdout}")
    found = json.loads(run.stdout.splitlines()[-1])
    if found["refused"] or found["failed"] or not found["requests"]:
        raise RuntimeError(
            f"Of {found['requests']} requests {found['refused']} were answered with an error, and {found['failed']} "
            "had no answer."
        )
    return Load(found["requests"] / found["seconds"], found["p50"], found["p99"])
