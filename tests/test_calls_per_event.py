"""What an event costs, in calls of functions: they are exact, so that a change which adds some is seen here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.variants import make_small

ROOT = Path(__file__).parent.parent

#: The most functions, of Python and of C, that the package calls for an event, beyond a bare Flask view. It is what
#: that version of Python and of the libraries needs which needs the most. Below 0 is what needs fewer than
#: the view, whose response Flask builds.
LIMITS = {
    "message": 59,
    "message, 100 states": 59,
    "message, dict answer": 87,
    "message unseen": 31,
    "states read": 35,
    "state set": 60,
    "connect": 111,
    "connect, dict answer": 152,
    "connect unseen": 33,
    "connect unseen, 1 claim": 33,
    "connect unseen, 200 claims": 33,
    "connect of MQTT": 234,
    "connected": 0,
    "disconnected": 23,
    "bad signature": 39,
    "validation": -66,
    "message, direct": -140,
    "connect, direct": -88,
}


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The calls of each event, of a process in which nothing else has listened to signals or logged."""
    file = tmp_path_factory.mktemp("benchmarks") / "calls.jsonl"
    command = [sys.executable, "-m", "tests.benchmarks", "--only", "calls", "--json", str(file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode in {0, 1}, run.stderr
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return {line["name"].removeprefix("calls: "): line["value"] for line in lines}


@pytest.mark.parametrize("event", LIMITS)
def test_an_event_costs_no_more_calls_than_it_did(event: str, calls: dict[str, int]) -> None:
    assert calls[event] - calls["bare message"] <= LIMITS[event]


def test_every_event_has_its_limit() -> None:
    assert set(LIMITS) == {variant.name for variant in make_small()}


@pytest.mark.parametrize(
    ("event", "other"),
    [
        pytest.param("message, 10,000 handlers", "message, 1 handler", id="10,000 handlers"),
        pytest.param("connect unseen, 200 claims", "connect unseen, 1 claim", id="200 claims that nobody sees"),
    ],
)
def test_what_an_event_does_not_use_costs_it_nothing(event: str, other: str, calls: dict[str, int]) -> None:
    assert calls[event] == calls[other]
