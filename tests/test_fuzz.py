"""Hostile input, briefly; ``make fuzz`` does the same for as long as one likes. What it found is tried each time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("cryptography", reason="the extra 'entra' is not installed")

from tests.fuzz.engines import Decisions, find_engines, run_hypothesis
from tests.fuzz.literals import ODDITIES, read_literal, write_literal
from tests.fuzz.oracle import has_code, is_signed
from tests.fuzz.targets import CORPUS, TARGETS, Target
from tests.fuzz.webhook_app import CODES, DEFAULT_TRUST, HANDLED, webhook
from tests.wire import replay

ROOT = Path(__file__).parent.parent
KEPT = sorted(CORPUS.rglob("*.txt"))

#: More than its share for what is proven by number.
INPUTS = {name: 2 * target.share for name, target in TARGETS.items()} | {"equality": 3000}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_hostile_input_does_no_harm(target: Target) -> None:
    found = run_hypothesis(target.make, target.check, INPUTS[target.name], 0)
    if found is not None:
        value, error = found
        raise AssertionError(f"{target.name} fails for {value!r}") from error


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_was_found_once_does_no_harm(path: Path) -> None:
    TARGETS[path.parent.name].replay(path)


def test_every_kept_input_is_one_of_a_target() -> None:
    assert {path.parent.name for path in KEPT} <= TARGETS.keys()
    assert sum(len(target.corpus) for target in TARGETS.values()) == len(KEPT) > 0


# The tools themselves.


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_inputs_can_be_written_down_and_read(target: Target) -> None:
    for number in range(100):
        value = target.make(Random(number))
        assert read_literal(write_literal(value)) == value


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_same_bytes_make_the_same_input(target: Target) -> None:
    made = [repr(target.make(Decisions(Random(number).randbytes(number)))) for number in range(100)]
    assert made == [repr(target.make(Decisions(Random(number).randbytes(number)))) for number in range(100)]
    assert len(set(made)) > 50


def test_bytes_decide_one_by_one() -> None:
    decisions = Decisions(b"\x03\x01\x00\x02")
    assert [decisions.randrange(4) for _ in range(4)] == [3, 1, 0, 2]
    assert 0 <= decisions.random() < 1


def test_a_finding_is_made_small() -> None:
    def check(value: list[int]) -> None:
        assert sum(value) < 10

    found = run_hypothesis(lambda random: [random.randrange(100) for _ in range(random.randrange(9))], check, 500, 0)
    assert found is not None
    assert found[0] == [10]


def test_inputs_reach_every_handler() -> None:
    called: Counter[str] = Counter()
    for number in range(2000):
        request = TARGETS["webhook"].make(Random(number))
        TARGETS["webhook"].check(request)
        called.update(name for name, _ in webhook(request["app"]).called)
    assert called.total() > 300
    assert len(called) == len(HANDLED) + 1  # two handlers for one event, of MQTT clients and of all others


def test_the_oracle_knows_a_good_signature_from_a_bad_one() -> None:
    event = replay.read("message_text")
    assert is_signed(event.environ(), DEFAULT_TRUST)
    for changes in (
        {"ce-signature": None},
        {"ce-signature": "sha256=" + "0" * 64},
        {"ce-connectionId": "another"},
        {"WebHook-Request-Origin": "fabrikam.webpubsub.azure.com"},
    ):
        assert not is_signed(event.changed(changes).environ(), DEFAULT_TRUST)


def test_the_oracle_knows_a_good_access_code_from_a_bad_one() -> None:
    assert has_code({"QUERY_STRING": "a=b&code=access%20c%C3%B6de+%26%20of%3dtomorrow"}, CODES)
    assert has_code({"HTTP_X_FUNCTIONS_KEY": CODES[0]}, CODES)
    assert not has_code({"QUERY_STRING": f"Code={CODES[0]}&code={CODES[0]}x"}, CODES)


@pytest.mark.parametrize("name", ODDITIES)
def test_every_oddity_can_be_answered(name: str) -> None:
    for event in ("connect", "mqtt_connect_500", "message_text", "connected"):
        TARGETS["results"].check({"event": event, "result": {"!": name}})


# The command.


def fuzz(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz", *arguments, "--seed", "1"]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environ, capture_output=True, encoding="utf-8", timeout=300, check=False
    )


def test_the_command_runs_every_engine_that_there_is(tmp_path: Path) -> None:
    done = fuzz("300", "--target", "signature", "--target", "states", "--corpus", str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith(": 0 findings.")
    assert all(engine in done.stdout for engine in find_engines())
    assert not list(tmp_path.iterdir())


#: What is broken on purpose, and the target that must find it.
BROKEN: dict[str, tuple[str, str]] = {
    "any signature passes": ("webhook", "import hmac; hmac.compare_digest = lambda one, other: True"),
    "any token passes": (
        "identity",
        "import jwt; decode = jwt.decode; verify = {'verify_signature': False}\n"
        "jwt.decode = lambda token, *args, **kwargs: decode(token, options=verify)",
    ),
    "a log that shows bodies": (
        "webhook",
        "import logging, json; real = json.JSONDecoder.decode; log = logging.getLogger('flask_webpubsub')\n"
        "json.JSONDecoder.decode = lambda self, text: (log.debug('%r', text), real(self, text))[1]",
    ),
}


@pytest.mark.parametrize(("target", "program"), BROKEN.values(), ids=BROKEN)
def test_the_command_finds_what_is_broken_and_keeps_the_input(target: str, program: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(program)
    corpus = tmp_path / "corpus"

    done = fuzz("600", "--target", target, "--corpus", str(corpus), PYTHONPATH=str(tmp_path))

    assert done.returncode == 1, done.stdout + done.stderr
    saved = sorted(corpus.rglob("*.txt"))
    assert all(f"saved in {path}" in done.stdout for path in saved)
    inputs: list[Any] = [read_literal(path.read_text("utf-8")) for path in saved]
    assert inputs
    TARGETS[target].check(inputs[0])  # which is all right where nothing is broken
