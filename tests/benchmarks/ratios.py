"""Measures how long events take, as ratios to the references.

Each round runs every variant once, in an order of its own, in a slice of about a millisecond. A ratio is taken within
a round, and the figure is the median of the rounds: what slows the machine down for a while slows all of them.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from time import thread_time_ns

from .goals import Figure
from .references import call
from .variants import Variant, quiet_log

SLICE_NS = 1_000_000

# Shuffled the same way in each run.
_SEED = 7

Rounds = Mapping[str, list[float]]


def measure_ratios(variants: Mapping[str, Variant], rounds: int) -> Iterator[Figure]:
    """The time of each variant against its references.

    :param rounds: at least 200, for figures that repeat within a few percent.
    """
    times = run_rounds(variants, rounds)
    for name, variant in variants.items():
        for reference in variant.against:
            yield Figure(f"time: {name} / {reference}", ratio(times, name, reference), "times")
    for name in ("message", "connect"):
        added = [
            (dict_answer - typed) / bare
            for dict_answer, typed, bare in zip(
                times[f"{name}, dict answer"], times[name], times[f"bare {name}"], strict=True
            )
        ]
        yield Figure(f"time: ({name}, dict answer - {name}) / bare {name}", median(added), "times")
    with quiet_log():
        times = run_rounds({name: variants[name] for name in ("bad signature", "bare message")}, rounds)
    yield Figure(
        "time: bad signature, not logged / bare message", ratio(times, "bad signature", "bare message"), "times"
    )
    yield Figure("time: bare message", median(times["bare message"]) / 1000, "µs")


def run_rounds(variants: Mapping[str, Variant], rounds: int) -> Rounds:
    """The time of one event of each variant in each round, in nanoseconds."""
    slices = [(name, _make_slice(variant)) for name, variant in variants.items()]
    times: dict[str, list[float]] = {name: [] for name in variants}
    shuffle = random.Random(_SEED).shuffle
    gc.collect()
    gc.freeze()
    try:
        for _ in range(rounds):
            shuffle(slices)
            for name, run_slice in slices:
                times[name].append(run_slice())
    finally:
        gc.unfreeze()
    return times


def ratio(times: Rounds, name: str, reference: str) -> float:
    """The median of the rounds' ratios."""
    return median(ours / theirs for ours, theirs in zip(times[name], times[reference], strict=True))


def _make_slice(variant: Variant) -> Callable[[], float]:
    """A function that sends a variant's event for about a millisecond, and says how long one took."""
    app, environ, body = variant.app, variant.environ, variant.body

    def run(count: int) -> float:
        # The time of this thread: what else runs on the machine does not count.
        begin = thread_time_ns()
        for _ in range(count):
            call(app, environ, body)
        return (thread_time_ns() - begin) / count

    count = max(1, round(SLICE_NS / min(run(5) for _ in range(20))))  # and the warm-up
    return lambda: run(count)
