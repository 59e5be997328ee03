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
    if metafunc.definition.get_closest_marker("both_doors"):
        metafunc.parametrize("door", ["view", "lane"], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out of the lane what is marked ``view_only``."""
    left_out = [item for item in items if item.get_closest_marker("view_only") and _door_of(item) == "lane"]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _door_of(item: pytest.Item) -> object:
    return item.callspec.params.get("door") if isinstance(item, pytest.Function) else None


# It comes before all fixtures that make an app but those of whole modules, which have to ask for it.
@pytest.fixture(scope="module", autouse=True)
def door(request: pytest.FixtureRequest) -> Iterator[str]:
    """The door that each app of a test answers events through."""
    name: str = getattr(request, "param", "view")
    with pytest.MonkeyPatch.context() as patch:
        if name == "lane":
            patch.setattr(Flask, "default_config", {**Flask.default_config, "WEBPUBSUB_DIRECT": True})
        yield name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Where every optional part is required, a skipped test is a failed one."""
    report = yield
    if report.skipped and os.environ.get("WEBPUBSUB_REQUIRE_ALL"):
        report.outcome = "failed"
    return report
