"""The pytest fixture, in a project of a user's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import CONNECTION_STRING

CONFTEST = f"""
import pytest
from flask import Flask
from flask_webpubsub import EventErrorResponse, WebPubSub

pytest_plugins = ["flask_webpubsub.fixtures"]


@pytest.fixture
def app():
    app = Flask("shop")
    app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING={CONNECTION_STRING!r}, WEBPUBSUB_HUB="shop")
    wps = WebPubSub(app)

    @wps.on_connect
    def connect(user_id):
        if user_id is None:
            return EventErrorResponse("unauthorized", "Sign in.")

    @wps.on_message
    def message(data, hub):
        return f"{{data}} from {{hub}}"

    return app
"""

TESTS = """
from flask_webpubsub import EventErrorResponse, UserEventResponse


def test_a_conversation(webpubsub):
    assert webpubsub.validate()
    assert webpubsub.connect("alice").send_text("hi") == UserEventResponse("hi from shop")


def test_a_refusal(webpubsub):
    assert webpubsub.connect().response == EventErrorResponse("unauthorized", "Sign in.")


def test_it_is_the_app_of_the_other_fixture(app, webpubsub):
    assert webpubsub.wsgi_app is app
"""

NO_EXTENSION = """
import pytest
from flask import Flask

pytest_plugins = ["flask_webpubsub.fixtures"]


@pytest.fixture
def app():
    return Flask("shop")
"""


def run_pytest(folder: Path, conftest: str, tests: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_shop.py").write_text(tests)
    options = ["-q", "-p", "no:cacheprovider", "-W", "error", "--rootdir", str(folder), str(folder)]
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "pytest", *options]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)


def test_the_fixture_talks_to_the_users_app(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, CONFTEST, TESTS)
    assert "3 passed" in result.stdout, result.stdout + result.stderr
    assert result.returncode == 0


def test_the_fixture_says_what_is_missing(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, NO_EXTENSION, TESTS)
    assert "The app 'shop' has no WebPubSub extension" in result.stdout
    assert result.returncode == 1
