"""Measures the variants behind one server, interleaved.

A process of each variant runs all the time, and is idle but when it is its turn. Each round loads every case once, in
an order of its own: what slows the machine down for a while slows all of them. The first round warms up.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from .events import to_bytes, verify_answer
from .load import Load, run_wrk
from .servers import run_variant, share_cores
from .variants import BARE, Case, Setup

# Shuffled the same way in each run.
_SEED = 7

#: The loads of each case, one for each round.
Rounds = Mapping[Case, Sequence[Load]]


def run_rounds(setup: Setup, cases: Sequence[Case], rounds: int, seconds: int) -> Rounds:
    """Load each case once in each round.

    :param seconds: how long each load takes.
    :raises AssertionError: if a variant does not start, or does not answer as it must.
    :raises RuntimeError: if an answer failed under load, or there are too few cores.
    """
    cores, core_of_wrk = share_cores(setup.workers)
    loads: dict[Case, list[Load]] = {case: [] for case in cases}
    shuffle = random.Random(_SEED).shuffle
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        requests = {event: _write_request(folder, event) for _, event in cases}
        variants = dict.fromkeys(case.variant for case in cases)
        ports = {variant: stack.enter_context(run_variant(variant, setup, cores)) for variant in variants}
        for variant, event in cases:
            verify_answer(ports[variant], event, bare=variant == BARE)
        for number in range(rounds + 1):
            order = list(cases)
            shuffle(order)
            for case in order:
                load = run_wrk(ports[case.variant], requests[case.event], seconds, core_of_wrk)
                if number > 0:
                    loads[case].append(load)
    return loads


def _write_request(folder: Path, event: str) -> Path:
    path = folder / event
    path.write_bytes(to_bytes(event))
    return path
