"""A few threads that do work in the background of a process."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from contextvars import Context
from threading import Condition, Event, Thread, main_thread

logger = logging.getLogger("flask_webpubsub")

Job = Callable[[], None]

_THREADS = 4
# What comes when so many jobs wait is done by who brings it, so that a flood slows down and fills no memory.
_MAX_WAITING = 1000
# Servers that are told to stop wait for their workers 30 seconds and more.
_EXIT_SECONDS = 10.0


def submit(job: Job) -> Event:
    """Have a job done soon. It must not raise.

    The end of the process waits for it, but no longer than ten seconds.

    :return: an event that is set when the job is done.
    """
    # A process that was forked has none of the threads of the one before it: it has a background of its own.
    process = os.getpid()
    background = _backgrounds.get(process) or _backgrounds.setdefault(process, _Background())
    return background.submit(job)


class _Background:
    """The threads of one process, which start when there is something to do."""

    def __init__(self) -> None:
        self._jobs: deque[tuple[Job, Event]] = deque()
        self._changed = Condition()
        self._threads = 0
        self._busy = 0

    def submit(self, job: Job) -> Event:
        done = Event()
        with self._changed:
            if accepted := self._is_ready():
                self._jobs.append((job, done))
                self._changed.notify_all()
        if not accepted:
            _do(job, done)
        return done

    def _is_ready(self) -> bool:
        """Whether there is room for a job, and a thread that will do it."""
        if len(self._jobs) >= _MAX_WAITING or not main_thread().is_alive():  # nothing waits for threads any more
            return False
        if self._threads < _THREADS and self._threads - self._busy <= len(self._jobs):
            try:
                self._start_thread()
            except RuntimeError:  # the process may have no more of them
                return self._threads > 0
        return True

    def _start_thread(self) -> None:
        if not self._threads:
            Thread(target=self._wait_at_exit, name="webpubsub-deferred-exit", daemon=False).start()
        Thread(target=self._work, name=f"webpubsub-deferred-{self._threads + 1}", daemon=True).start()
        self._threads += 1

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs)
                job, done = self._jobs.popleft()
                self._busy += 1
            _do(job, done)
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def _wait_at_exit(self) -> None:
        """Keep the process from ending. The threads that work do not, because one that hangs would keep it for good.

        Not every server's workers run what :mod:`atexit` knows, but all of them wait for threads.
        """
        main_thread().join()
        with self._changed:
            if not self._changed.wait_for(lambda: not self._jobs and not self._busy, _EXIT_SECONDS):
                logger.error("The process ends before %d deferred jobs are done.", len(self._jobs) + self._busy)


def _do(job: Job, done: Event) -> None:
    try:
        Context().run(job)  # so that no job sees context variables of the one before it
    finally:
        done.set()


_backgrounds: dict[int, _Background] = {}
