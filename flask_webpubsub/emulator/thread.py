"""Runs a service in a thread of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from types import TracebackType
from typing import Self

from .server import Service

# A service that does not stop is left behind in its thread, which ends with the process.
_STOP_SECONDS = 10.0


class ServiceThread:
    """A service in a thread, from :meth:`start` to :meth:`stop`.

    :param listener: the socket that it is to serve, which it closes in the end.
    """

    def __init__(self, service: Service, listener: socket.socket) -> None:
        self.service = service
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="webpubsub-emulator", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def start(self) -> None:
        """Start, and return when clients can connect.

        :raises Exception: what kept it from starting.
        """
        self._thread.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop: clients are closed. Nothing happens if it has stopped already."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_STOP_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # told to who waits for the start
            self._failure = failure
        finally:
            self._listener.close()
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self.service.start(self._listener)
            self._started.set()
            await self._stop.wait()
        finally:
            await self.service.stop()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; connections wait there until they are served.

    :param port: 0 takes a free one.
    :raises OSError: if the port is in use, or the host is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


def bind_host(host: str) -> str:
    """The address to listen at for a service of this name: never one that other machines reach."""
    try:
        return host if ipaddress.ip_address(host).is_loopback else "127.0.0.1"
    except ValueError:
        return "127.0.0.1"  # what localhost means
