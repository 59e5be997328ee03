"""The two engines that make inputs: hypothesis, which makes a finding small, and atheris, which looks for new code."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

#: Makes an input, by the decisions of a source.
Make = Callable[[Random], Any]
#: Raises something if an input is a finding.
Check = Callable[[Any], None]

_SEEDS = 64
#: Most inputs take fewer decisions, and what changes a byte that decides nothing makes no new input.
_MAX_BYTES = 96


def find_engines() -> list[str]:
    """The engines that there are here. For some systems and versions of Python there is no atheris."""
    return ["hypothesis", "atheris"] if find_spec("atheris") else ["hypothesis"]


def run_hypothesis(make: Make, check: Check, count: int, number: int) -> tuple[Any, Exception] | None:
    """Check so many inputs. The first finding ends it: it is made as small as it gets, and returned with its error.

    :param number: the same number makes the same inputs.
    """
    last: Any = None

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def run(random: Random) -> None:
        nonlocal last
        last = make(random)
        check(last)

    try:
        run()
    except Exception as error:
        return last, error
    return None


def run_atheris(make: Make, check: Check, number: int, folder: Path) -> None:
    """Check inputs until the process ends. The package must have been imported with atheris looking on.

    :param number: the same number makes the same inputs.
    :param folder: an empty one, for what the engine keeps.
    """
    import atheris  # not for all systems

    random = Random(number)
    for index in range(_SEEDS):
        (folder / f"seed-{index}").write_bytes(random.randbytes(random.randrange(_MAX_BYTES)))
    options = [f"-seed={number + 1}", f"-max_len={_MAX_BYTES}", "-len_control=0", f"-artifact_prefix={folder}/"]
    arguments = ["fuzz", *options, "-verbosity=0", "-timeout=60", str(folder)]
    atheris.Setup(arguments, lambda buffer: check(make(Decisions(buffer))))
    atheris.Fuzz()


class Decisions(Random):
    """Takes every decision from a buffer, so that who changes a byte changes a decision.

    What the buffer does not decide is decided at random, and for the same buffer always in the same way.
    """

    def __init__(self, buffer: bytes) -> None:
        super().__init__(0)
        self._buffer = buffer
        self._at = 0
        self._rest = Random(crc32(buffer))

    def getrandbits(self, k: int, /) -> int:
        begin, self._at = self._at, self._at + (k + 7) // 8
        if self._at > len(self._buffer):
            return self._rest.getrandbits(k)
        return int.from_bytes(self._buffer[begin : self._at], "little") & ((1 << k) - 1)

    def random(self) -> float:
        return self.getrandbits(53) / (1 << 53)
