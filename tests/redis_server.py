"""A real Redis server on a free port of 127.0.0.1, that tests can stop and start again."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

HOST = "127.0.0.1"
_STOP_SECONDS = 10


class RedisServer:
    """A server that keeps its data in memory alone, so that it has none when it is started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://{HOST}:{self.port}/0"
        # Tries until the server is there.
        self.client = Redis(host=HOST, port=self.port, retry=Retry(ConstantBackoff(0.05), 200))
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = ["--port", str(self.port), "--bind", HOST, "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            ["redis-server", *options, "--dir", str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        assert self.client.ping()

    def stop(self) -> None:
        """End the server, and with it all that it knows."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)
            self._process = None
            self.client.connection_pool.disconnect()


@contextmanager
def run_redis(folder: Path) -> Iterator[RedisServer]:
    """A server until the block ends; skips the test where there is none to run."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        server.client.close()
