"""How long a refusal takes tells nothing: secrets are compared in constant time, and each of them every time."""

from __future__ import annotations

import hmac
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import WebPubSub
from flask_webpubsub.signature import sign_connection
from tests.conftest import HOST
from tests.test_dispatch import ack, call, make_event

KEYS, CODES = ("the-first-key", "the-second-key", "the-third-key"), ("the-first-code", "the-second-code")
WRONG = "sha256=" + "0" * 64


@pytest.fixture
def app() -> Flask:
    app = Flask("app")
    app.config.update(
        WEBPUBSUB_CONNECTION_STRING=[f"Endpoint=https://{HOST};AccessKey={key};" for key in KEYS],
        WEBPUBSUB_HUB="chat",
        WEBPUBSUB_ACCESS_CODE=list(CODES),
    )
    WebPubSub(app).on_message(ack)
    return app


def compare(app: Flask, *, signatures: Sequence[str], codes: Sequence[str] = CODES[:1]) -> tuple[int, list[str]]:
    """Send an event; returns the status of the answer, and the functions of the app that ran until it was known.

    A comparison in constant time is one of the functions, and so is its own name there, however it was imported.
    """
    environ = make_event(
        query="&".join(f"code={code}" for code in codes), headers={"ce-signature": ",".join(signatures)}
    )
    ran: list[str] = []

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function is hmac.compare_digest:
            ran.append("compare_digest")
        elif event == "call" and "flask_webpubsub" in frame.f_code.co_filename:
            ran.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        answer = call(app, environ)
    finally:
        sys.setprofile(None)
    return answer.status, ran


def signed(*keys: str) -> list[str]:
    return [sign_connection("c1", [key.encode()]) for key in keys]


SIGNATURES = {
    "the first key": (signed(KEYS[0], "another"), 200),
    "the last key": (signed(KEYS[-1], "another"), 200),
    "the second of two signatures": (signed("another", KEYS[0]), 200),
    "two keys": (signed(KEYS[0], KEYS[1]), 200),
    "no key": (signed("another", "a-third"), 401),
    "wrong from the first byte": ([WRONG, WRONG], 401),
    "wrong in the last byte": ([text[:-2] + ("00" if text[-2:] != "00" else "11") for text in signed(*KEYS[:2])], 401),
}


@pytest.mark.parametrize(("signatures", "status"), SIGNATURES.values(), ids=SIGNATURES)
def test_every_key_is_compared_with_every_signature(app: Flask, signatures: list[str], status: int) -> None:
    found, ran = compare(app, signatures=signatures)

    assert found == status
    # And each of two codes with the one that was given.
    assert ran.count("compare_digest") == len(KEYS) * len(signatures) + len(CODES)


def test_the_app_does_the_same_whichever_key_matches(app: Flask) -> None:
    compare(app, signatures=signed(KEYS[0]))  # what is made once for all events does not count
    ways = [compare(app, signatures=signed(key, "another")) for key in KEYS]
    assert ways[0] == ways[1] == ways[2]
    assert ways[0][0] == 200


CODE_ATTEMPTS = {
    "the first code": (CODES[:1], 200),
    "the last code": (CODES[-1:], 200),
    "both": (CODES, 200),
    "none": (("wrong",), 401),
    "nearly": ((CODES[0][:-1] + "E",), 401),
    "one of three": (("wrong", "worse", CODES[-1]), 200),
}


@pytest.mark.parametrize(("codes", "status"), CODE_ATTEMPTS.values(), ids=CODE_ATTEMPTS)
def test_every_code_is_compared_with_every_code_that_was_given(app: Flask, codes: Sequence[str], status: int) -> None:
    found, ran = compare(app, signatures=signed(KEYS[0]), codes=codes)

    assert found == status
    for_the_signature = len(KEYS) if status == 200 else 0
    assert ran.count("compare_digest") == len(CODES) * len(codes) + for_the_signature


def test_the_app_does_the_same_whichever_code_matches(app: Flask) -> None:
    compare(app, signatures=signed(KEYS[0]))
    ways = [compare(app, signatures=signed(KEYS[0]), codes=[code]) for code in CODES]
    assert ways[0] == ways[1]
