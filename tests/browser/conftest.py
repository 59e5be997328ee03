"""Headless Chromium, and the sample app behind the emulator."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from flask_webpubsub.emulator import Emulator, RunningEmulator
from sample_app import create_app
from tests.browser.person import Person

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# No network but this machine: what Chromium asks its maker for would only be refused.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")  # while it runs, its thread has an event loop, which other tests could not bear
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, headless=True, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningEmulator]:
    for name in [name for name in os.environ if name.startswith("FLASK_")]:
        monkeypatch.delenv(name)
    with Emulator(_make_app) as service:
        yield service


@pytest.fixture
def visit(browser: Browser, service: RunningEmulator) -> Iterator[Callable[..., Person]]:
    """Open the page for one more person, in a browser profile of their own."""
    people: list[Person] = []

    def open_page(width: int = 1280, height: int = 800) -> Person:
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(10_000)
        person = Person(context.new_page(), f"{service.app_url}/")
        people.append(person)
        return person

    yield open_page
    for person in people:
        person.page.context.close()
    assert [error for person in people for error in person.errors] == []


def _make_app(connection_string: str) -> Flask:
    return create_app({"TESTING": True, "WEBPUBSUB_CONNECTION_STRING": connection_string})
