"""Renews the marks of the events that run in this process, so that a mark outlives its worker for a moment only."""

from __future__ import annotations

import logging
from threading import Lock, Thread
from time import sleep

from ..errors import OnceStoreError
from .store import Store

logger = logging.getLogger("flask_webpubsub")

#: The service tries again 1, 3 and 5 seconds after a failure. The second or the third of these finds that the mark of a
#: worker that was killed is gone.
LEASE_SECONDS = 3.0

_RENEWALS_IN_A_LEASE = 3


class Leases:
    """The marks that this process has set. Its thread begins with an event, and ends when none runs any more.

    :param seconds: how long a mark stands when it is not renewed.
    """

    def __init__(self, store: Store, seconds: float) -> None:
        self.seconds = seconds
        self._store = store
        self._lock = Lock()
        self._names: dict[bytes, str] = {}
        self._thread: Thread | None = None

    def add(self, name: str, mark: bytes) -> None:
        """Renew a mark from now on."""
        with self._lock:
            self._names[mark] = name
            # The thread of a parent process is not there after a fork.
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="webpubsub-once", daemon=True)
                self._thread.start()

    def remove(self, mark: bytes) -> None:
        """Renew a mark no more."""
        with self._lock:
            self._names.pop(mark, None)

    def _run(self) -> None:
        while True:
            # Most events are done before the first renewal, and cost no call of the store here.
            sleep(self.seconds / _RENEWALS_IN_A_LEASE)
            with self._lock:
                if not self._names:
                    self._thread = None
                    return
                names = list(self._names.items())
            try:
                for mark, name in names:
                    self._renew(name, mark)
            except OnceStoreError as error:
                logger.warning("The marks of %d events that run are not renewed: %s", len(names), error)

    def _renew(self, name: str, mark: bytes) -> None:
        renewed = self._store.renew(name, mark, self.seconds)
        if not self._is_running(mark):  # it ended meanwhile, and its mark must not stand again
            self._store.forget(name, mark)
        elif not renewed:
            self.remove(mark)
            logger.warning("An event that runs has lost its mark, and is handled twice.")

    def _is_running(self, mark: bytes) -> bool:
        with self._lock:
            return mark in self._names
