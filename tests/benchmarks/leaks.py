"""Counts the memory that is kept of events that are over."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

from .garbage import SMALL
from .goals import Figure
from .references import call, sign
from .variants import Variant

EVENTS = 100_000

_STRETCHES = 5


def measure_leaks(variants: Mapping[str, Variant]) -> Iterator[Figure]:
    """What is kept of 100,000 events of all kinds, each of a connection and a user of its own."""
    senders = [_make_sender(variants[name]) for name in SMALL]
    numbers = count()

    def send(events: int) -> None:
        for _ in range(events // len(senders)):
            for sender in senders:
                sender(next(numbers))

    send(EVENTS // _STRETCHES)  # fills what is kept on purpose
    before = _resident_size()
    yield Figure("leak: 100,000 events", find_leak(send, EVENTS), "blocks")
    if before is not None:
        yield Figure("leak: growth of the process", ((_resident_size() or 0) - before) / 1024, "KiB")


def find_leak(send: Callable[[int], None], events: int) -> int:
    """The blocks of memory that are kept of some events.

    A leak shows in every stretch of them, and what happens now and then, such as a table that grows, does not: so it is
    the least of the stretches that counts, for all of them.
    """
    kept = []
    for _ in range(_STRETCHES):
        gc.collect()
        before = sys.getallocatedblocks()
        send(events // _STRETCHES)
        gc.collect()
        kept.append(sys.getallocatedblocks() - before)
    return max(0, min(kept)) * _STRETCHES


def _make_sender(variant: Variant) -> Callable[[int], None]:
    """A function that sends a variant's event, of a connection of that number."""
    forged = variant.status == 401
    of_connection = "HTTP_CE_CONNECTIONID" in variant.environ

    def send(number: int) -> None:
        connection_id = f"connection {number}"
        environ = variant.environ | {"HTTP_X_MS_CLIENT_REQUEST_ID": f"request {number}"}
        if of_connection:
            environ |= {
                "HTTP_CE_CONNECTIONID": connection_id,
                "HTTP_CE_SIGNATURE": sign(connection_id[::-1] if forged else connection_id),
                "HTTP_CE_USERID": f"user {number}",
                "HTTP_CE_ID": str(number),
            }
        status, _, _ = call(variant.app, environ, variant.body)
        if int(status[:3]) != variant.status:
            raise AssertionError(f"{variant.name}: the answer is {status}, not {variant.status}.")

    return send


def _resident_size() -> int | None:
    """The bytes of the process that are in memory; ``None`` where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
