"""What most tests need: an app of one hub, the extension on it, and a client that plays the service."""

from __future__ import annotations

import os
from collections.abc import Iterator

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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module marked ``both_doors`` through Flask's view and through the lane."""
    markers = {marker.name for marker in metafunc.definition.iter_markers()}
    if "both_doors" in markers:
        doors = ["view"] if "view_only" in markers else ["view", "lane"]
        metafunc.fixturenames.append("door")
        metafunc.parametrize("door", doors, indirect=True)


@pytest.fixture
def door(request: pytest.FixtureRequest) -> Iterator[None]:
    """Make each app of a test answer events through one of the two doors."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "lane":
            patch.setattr(Flask, "default_config", {**Flask.default_config, "WEBPUBSUB_DIRECT": True})
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Where every optional part is required, a skipped test is a failed one."""
    report = yield
    if report.skipped and os.environ.get("WEBPUBSUB_REQUIRE_ALL"):
        report.outcome = "failed"
    return report
