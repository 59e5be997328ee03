"""Counts the garbage of an event that only the collector finds, as it is in cycles."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping

from .goals import Figure
from .variants import Variant

#: Variants that take the package's different ways, and are small.
SMALL = (
    "message",
    "message, dict answer",
    "message unseen",
    "connect",
    "connect of MQTT",
    "disconnected",
    "bad signature",
    "validation",
)

_EVENTS = 200


def measure_garbage(variants: Mapping[str, Variant]) -> Iterator[Figure]:
    """The objects in cycles that one event leaves to the collector, beyond those of bare Flask."""
    bare = count_garbage(variants["bare message"].call)
    yield Figure("garbage: bare message", bare, "objects")
    found = {name: count_garbage(variants[name].call) - bare for name in SMALL}
    for name, count in found.items():
        yield Figure(f"garbage: {name}, beyond bare Flask", count, "objects")
    yield Figure("garbage: beyond bare Flask", max(found.values()), "objects")


def count_garbage(call: Callable[[], object]) -> float:
    """The objects in cycles that one call leaves to the collector."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        call()
        gc.collect()
        for _ in range(_EVENTS):
            call()
        return gc.collect() / _EVENTS
    finally:
        if enabled:
            gc.enable()
