"""The fixture ``webpubsub_service``, in a project of a user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_fixtures import run_pytest

CONFTEST = """
import pytest
from flask import Flask
from flask_webpubsub import WebPubSub

pytest_plugins = ["flask_webpubsub.fixtures"]


@pytest.fixture
def app():
    app = Flask("shop")
    app.config.update(
        TESTING=True,
        WEBPUBSUB_CONNECTION_STRING="Endpoint=http://localhost;AccessKey=0123456789abcdef0123456789abcdef;Version=1.0;",
        WEBPUBSUB_HUB="shop",
    )
    wps = WebPubSub(app)

    @wps.on_message
    def message(data, user_id):
        return f"{user_id}: {data}"

    return app
"""

TESTS = """
from contextlib import closing

from websocket import create_connection


def test_a_conversation(app, webpubsub_service):
    own = app.config["WEBPUBSUB_CONNECTION_STRING"]
    assert own == webpubsub_service.connection_string
    with closing(create_connection(webpubsub_service.client_url(user_id="alice"))) as alice:
        alice.send("hi")
        assert alice.recv() == "alice: hi"
    assert webpubsub_service.events.wait_for("message").status == 200


def test_the_next_test_has_a_service_of_its_own(webpubsub_service):
    assert not webpubsub_service.events


def test_both_fixtures_can_be_had_together(webpubsub, webpubsub_service):
    assert webpubsub.connect("bob").send_text("ho").data == "bob: ho"
"""

WITHOUT_EXTRA = """
import sys


def test_it_says_what_to_install(request, monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    request.getfixturevalue("webpubsub_service")
"""


def test_the_service_has_the_users_app_behind_it(tmp_path: Path) -> None:
    pytest.importorskip("websocket", reason="websocket-client is not installed")
    result = run_pytest(tmp_path, CONFTEST, TESTS)
    assert "3 passed" in result.stdout, result.stdout + result.stderr


def test_an_app_of_azure_is_told_what_to_set(tmp_path: Path) -> None:
    conftest = CONFTEST.replace("http://localhost", "https://contoso.webpubsub.azure.com")
    result = run_pytest(tmp_path, conftest, TESTS)
    assert "ConfigurationError" in result.stdout
    assert "set WEBPUBSUB_CONNECTION_STRING to" in result.stdout


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, CONFTEST, WITHOUT_EXTRA)
    assert "pip install 'flask-webpubsub[emulator]'" in result.stdout
