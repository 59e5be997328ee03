"""What most tests need: an app of one hub, the extension on it, and a client that plays the service."""

from __future__ import annotations

import os

import pytest
from flask import Flask

from flask_webpubsub import WebPubSub
from flask_webpubsub.testing import WebPubSubTestClient

HOST = "contoso.webpubsub.azure.com"
KEY = "7aab239577fd4f24bc919802fb629f5f"
CONNECTION_STRING = f"Endpoint=https://{HOST};AccessKey={KEY};Version=1.0;"


@pytest.fixture
def app() -> Flask:
    app = Flask("app")
    app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB="chat")
    return app


@pytest.fixture
def wps(app: Flask) -> WebPubSub:
    return WebPubSub(app)


@pytest.fixture
def client(wps: WebPubSub, app: Flask) -> WebPubSubTestClient:
    return wps.test_client(app)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Where every optional part is required, a skipped test is a failed one."""
    report = yield
    if report.skipped and os.environ.get("WEBPUBSUB_REQUIRE_ALL"):
        report.outcome = "failed"
    return report
