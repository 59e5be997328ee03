"""The meters of the benchmarks find what they look for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import table
from tests.benchmarks.__main__ import main
from tests.benchmarks.calls import count
from tests.benchmarks.events import MIB
from tests.benchmarks.garbage import count_garbage
from tests.benchmarks.goals import GOALS, Figure
from tests.benchmarks.leaks import find_leak
from tests.benchmarks.memory import Stream, measure_memory, peak_of
from tests.benchmarks.ratios import ratio, run_rounds
from tests.benchmarks.report import write_lines
from tests.benchmarks.variants import Variant, make_references, make_small, verified


@pytest.fixture
def bare() -> Variant:
    return next(make_references())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"status": 204}, id="status"),
        pytest.param({"answer": b"nack"}, id="body"),
        pytest.param({"states": {"count": 42}}, id="states"),
    ],
)
def test_what_answers_otherwise_than_it_must_is_not_measured(bare: Variant, change: dict[str, Any]) -> None:
    assert list(verified([bare])) == ["bare message"]
    with pytest.raises(AssertionError, match=r"^bare message: the answer is"):
        verified([replace(bare, **change)])


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    # The medians of the times, 30 and 10, would give 3.
    assert ratio({"ours": [20.0, 30.0, 90.0], "theirs": [10.0, 30.0, 9.0]}, "ours", "theirs") == 2


def test_every_round_times_every_variant(bare: Variant) -> None:
    times = run_rounds({"first": bare, "second": bare}, 5)
    assert [len(found) for found in times.values()] == [5, 5]
    assert all(nanoseconds > 1000 for found in times.values() for nanoseconds in found)


def test_calls_of_python_and_of_c_are_counted() -> None:
    def one() -> int:
        return len("one")

    def three() -> int:
        return one() + one()

    assert (count(one), count(three)) == (2, 5)


def test_a_copy_of_a_body_shows_in_the_peak() -> None:
    body = Stream(MIB)
    assert 1 <= peak_of(lambda: body.read()) / MIB < 1.1
    assert body.left == 0
    assert 2 <= peak_of(lambda: Stream(MIB).read().decode()) / MIB < 2.1


def test_an_event_of_1_mib_is_measured_and_meets_its_goals() -> None:
    figures = list(measure_memory(verified(make_small())))
    assert [figure.name for figure in figures] == [name for name in GOALS if name.startswith(("memory: ", "read: "))]
    assert [figure for figure in figures if not figure.met] == []


def test_garbage_in_cycles_is_counted_and_other_garbage_is_not() -> None:
    def leave_a_cycle() -> None:
        cycle: list[Any] = []
        cycle.append(cycle)

    assert count_garbage(leave_a_cycle) == 1
    assert count_garbage(lambda: [[]]) == 0


@pytest.fixture
def kept() -> Iterator[list[object]]:
    objects: list[object] = []
    yield objects
    objects.clear()


def test_a_leak_is_found(kept: list[object]) -> None:
    def send(events: int) -> None:
        kept.extend([event] for event in range(events))

    assert find_leak(send, 1000) >= 1000


def test_what_is_made_once_is_no_leak(kept: list[object]) -> None:
    def send(events: int) -> None:
        if not kept:
            kept.extend([event] for event in range(events))

    assert find_leak(send, 1000) == 0


def test_a_goal_that_is_missed_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "made" / "calls.jsonl"
    arguments = ["--only", "calls", "--json", str(file)]
    assert main(arguments) == 0
    assert "MISSED" not in capsys.readouterr().out
    monkeypatch.setitem(GOALS, "calls: message", 1)
    assert main(arguments) == 1
    printed = capsys.readouterr().out
    assert next(line for line in printed.splitlines() if line.startswith("calls: message  ")).endswith("≤ 1  MISSED")
    assert printed.splitlines()[-1].startswith("Missed: calls: message ")
    [line] = [line for line in map(json.loads, file.read_text().splitlines()) if line["name"] == "calls: message"]
    assert (line["goal"], line["met"]) == (1, False)
    assert {"Python", "Flask", "Werkzeug", "marshmallow", "itsdangerous", "flask-webpubsub", "machine"} <= line.keys()


def test_the_tables_of_the_documentation_are_made_of_the_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = [
        Figure("time: message / message by hand", 0.7, "times"),
        Figure("time: message / bare message", 1.25, "times"),
        Figure("calls: message", 500, ""),
        Figure("memory: 1 MiB unseen", 0.006, "bodies"),
    ]
    file = tmp_path / "lines.jsonl"
    machine = dict.fromkeys(("Python", "flask-webpubsub", "Flask", "Werkzeug", "marshmallow", "itsdangerous"), "1.2")
    write_lines(file, figures, machine | {"processor": "Z80", "cores": 1, "machine": "CP/M"})
    table.main(str(file))
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith("Measured on Z80, 1 cores, CP/M, with Python 1.2,")
    assert "* - time: message / message by hand - 0.650 - 0.700 (missed)" in printed
    assert "* - memory: 1 MiB unseen - 1.100 bodies - 0.006 bodies" in printed
    assert "* - message - 1.250 - 0.700 - 500 -" in printed
