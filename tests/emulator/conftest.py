"""What the tests of the emulator share: one that runs with a chat app, and an app that is looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flask_webpubsub.emulator import Emulator, RunningEmulator
from tests.emulator.chat_apps import make_chat_app
from tests.emulator.receivers import Receiver, receiving


@pytest.fixture
def service() -> Iterator[RunningEmulator]:
    with Emulator(make_chat_app) as service:
        yield service


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
