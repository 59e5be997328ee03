"""The test client as a pytest fixture: ``pytest_plugins = ["flask_webpubsub.fixtures"]``."""

from __future__ import annotations

import pytest
from flask import Flask

from .extension import make_test_client
from .testing import WebPubSubTestClient


@pytest.fixture
def webpubsub(app: Flask) -> WebPubSubTestClient:
    """A client that talks to the ``app`` fixture's app as the service does."""
    return make_test_client(app)
