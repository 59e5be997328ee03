"""The memory of one process as a store."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from time import monotonic

logger = logging.getLogger("flask_webpubsub")

#: How much memory the answers may take, in bytes.
MAX_BYTES = 64 * 1024 * 1024

# What an answer takes beside its own bytes: its name, and its place in the table.
_OVERHEAD = 400
# As much is dropped at a time, so that it is logged now and then and not with every event.
_DROPPED_SHARE = 10

_Held = tuple[bytes, float]


class MemoryStore:
    """Keeps marks and answers in the memory of this process, where no other worker sees them.

    Nothing is dropped before its time but for one case, which is logged: when the answers take more than ``max_bytes``,
    the oldest of them go. The marks of events that are running always stay.

    :param clock: tells the time in seconds.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, clock: Callable[[], float] = monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = Lock()
        self._marks: dict[str, _Held] = {}
        # In the order in which they end, as all are kept for the same time.
        self._answers: dict[str, _Held] = {}
        self._bytes = 0

    def name(self, key: str) -> str:
        """See :class:`~.store.Store`, also for the other methods."""
        return key

    def begin(self, name: str, mark: bytes, seconds: float) -> bytes | None:
        with self._lock:
            now = self._clock()
            self._drop_expired(now)
            held = self._find(name, now)
            if held is None:
                self._marks[name] = mark, now + seconds
            return held

    def renew(self, name: str, mark: bytes, seconds: float) -> bool:
        with self._lock:
            now = self._clock()
            self._drop_expired(now)
            if self._find(name, now) not in (None, mark):
                return False
            self._marks[name] = mark, now + seconds
            return True

    def keep(self, name: str, answer: bytes, seconds: float) -> None:
        with self._lock:
            self._marks.pop(name, None)
            self._drop(name)
            self._answers[name] = answer, self._clock() + seconds
            self._bytes += len(answer) + _OVERHEAD
            if self._bytes > self._max_bytes:
                self._make_room()

    def forget(self, name: str, mark: bytes) -> None:
        with self._lock:
            if name in self._marks and self._marks[name][0] == mark:
                del self._marks[name]

    def _find(self, name: str, now: float) -> bytes | None:
        held = self._answers.get(name) or self._marks.get(name)
        return held[0] if held is not None and held[1] > now else None

    def _drop(self, name: str) -> None:
        if name in self._answers:
            answer, _ = self._answers.pop(name)
            self._bytes -= len(answer) + _OVERHEAD

    def _drop_expired(self, now: float) -> None:
        while (oldest := next(iter(self._answers), None)) is not None and self._answers[oldest][1] <= now:
            self._drop(oldest)

    def _make_room(self) -> None:
        before = len(self._answers)
        room = self._max_bytes // _DROPPED_SHARE
        # The newest is the one that was just put here, and stays however large it is.
        while self._bytes > self._max_bytes - room and len(self._answers) > 1:
            self._drop(next(iter(self._answers)))
        logger.warning(
            "The answers to events take more than %d MiB of memory: the %d oldest of %d are dropped before their time. "
            "Set WEBPUBSUB_ONCE_STORE to a Redis server, or WEBPUBSUB_ONCE_SECONDS to a shorter time.",
            self._max_bytes // 1024**2,
            before - len(self._answers),
            before,
        )
