"""Faults on command: what can go wrong between clients, service and app, made to happen in a test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class _Fault:
    """What goes wrong, for which event (``None``: any), and how many times more (``None``: always)."""

    value: float
    event_name: str | None
    times: int | None


class Faults:
    """Makes things fail. Each command holds for the next ``times`` cases, or with ``None`` until :meth:`clear`.

    May be used from any thread.

    :param cut: breaks the network connection of a client; returns whether there was one of this id.
    """

    def __init__(self, cut: Callable[[str], bool]) -> None:
        self._cut = cut
        self._lock = threading.Lock()
        self._delays: list[_Fault] = []
        self._failures: list[_Fault] = []
        self._refusals: list[_Fault] = []

    def cut(self, connection_id: str) -> None:
        """Break a client's network connection, without a close frame. A reliable client may come back.

        :raises LookupError: if there is no such connection.
        """
        if not self._cut(connection_id):
            raise LookupError(f"There is no connection {connection_id!r}.")

    def delay(self, seconds: float, event_name: str | None = None, *, times: int | None = 1) -> None:
        """Hold events back before they go to the app.

        :param event_name: hold back the events of this name alone.
        """
        self._add(self._delays, _Fault(seconds, event_name, times))

    def fail(self, status: int = 500, event_name: str | None = None, *, times: int | None = 1) -> None:
        """Fail deliveries as if the app had answered with this status. The app is not called.

        Each try of an event counts, so that retries can be watched.

        :param event_name: fail the events of this name alone.
        """
        self._add(self._failures, _Fault(status, event_name, times))

    def refuse(self, status: int = 503, *, times: int | None = 1) -> None:
        """Refuse clients that want to connect or to come back, with this HTTP status."""
        self._add(self._refusals, _Fault(status, None, times))

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            for faults in (self._delays, self._failures, self._refusals):
                faults.clear()

    def take_delay(self, event_name: str) -> float:
        """For the service: how many seconds to hold an event back."""
        return self._take(self._delays, event_name) or 0.0

    def take_failure(self, event_name: str) -> int | None:
        """For the service: the status to fail a try with; ``None`` lets it go to the app."""
        value = self._take(self._failures, event_name)
        return None if value is None else int(value)

    def take_refusal(self) -> int | None:
        """For the service: the status to refuse a client with; ``None`` lets it in."""
        value = self._take(self._refusals, None)
        return None if value is None else int(value)

    def _add(self, faults: list[_Fault], fault: _Fault) -> None:
        if fault.times is not None and fault.times < 1:
            raise ValueError("times is 1 or more, or None for always.")
        with self._lock:
            faults.append(fault)

    def _take(self, faults: list[_Fault], event_name: str | None) -> float | None:
        with self._lock:
            for fault in faults:
                if fault.event_name not in (None, event_name):
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        faults.remove(fault)
                return fault.value
        return None
