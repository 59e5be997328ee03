"""The test client and the emulator as pytest fixtures: ``pytest_plugins = ["flask_webpubsub.fixtures"]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from .extension import make_test_client
from .testing import WebPubSubTestClient

if TYPE_CHECKING:
    from .emulator import RunningEmulator


@pytest.fixture
def webpubsub(app: Flask) -> WebPubSubTestClient:
    """A client that talks to the ``app`` fixture's app as the service does."""
    return make_test_client(app)


@pytest.fixture
def webpubsub_service(app: Flask) -> Iterator[RunningEmulator]:
    """A service on this machine with the ``app`` fixture's app behind it, for clients that connect to it."""
    from .emulator import Emulator  # whose extra tests without it do not need

    with Emulator(app) as service:
        yield service
