"""Counts the Python calls of an event, which are the same in every run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

from .goals import Figure
from .variants import Variant


def measure_calls(variants: Mapping[str, Variant]) -> Iterator[Figure]:
    """The calls of each variant, and what ours adds to bare Flask."""
    calls = {name: count_calls(variant) for name, variant in variants.items()}
    for name, count in calls.items():
        yield Figure(f"calls: {name}", count, "")
    for name, other in (
        ("message, 10,000 handlers", "message, 1 handler"),
        ("connect unseen, 200 claims", "connect unseen, 1 claim"),
    ):
        yield Figure(f"calls: {name} / {other}", calls[name] / calls[other], "times")


def count_calls(variant: Variant) -> int:
    """How many functions, of Python and of C, one event of a variant calls."""
    variant.call()  # what is made once for all events does not count
    return count(variant.call)


def count(function: Callable[[], object]) -> int:
    """How many functions, of Python and of C, a function calls."""
    calls = 0

    def take(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(take)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls - 1  # the last one ended the counting
