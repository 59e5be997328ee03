"""A person at the chat's page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Locator, Page


class Person:
    """Does and sees what a person does and sees, by the words on the page.

    :param page: of the browser, still empty.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        #: What went wrong on the page without being expected.
        self.errors: list[str] = []
        self._expected: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(f"{error}"))
        page.goto(url)

    def expect_failures(self, pattern: str) -> None:
        """Let the browser note failed requests; it always does. Exceptions of the page are never expected."""
        self._expected.append(pattern)

    def ask_to_join(self, name: str, room: str = "lobby") -> None:
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("Room").fill(room)
        self.page.get_by_role("button", name="Join").click()

    def join(self, name: str, room: str = "lobby") -> Person:
        """Join, and be in the room."""
        self.ask_to_join(name, room)
        self.sees("You are in")
        return self

    def say(self, text: str) -> None:
        self.composer.fill(text)
        self.composer.press("Enter")

    @property
    def composer(self) -> Locator:
        return self.page.get_by_label("Your message")

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log")

    @property
    def banner(self) -> Locator:
        return self.page.get_by_text("The connection is lost")

    def message(self, text: str) -> Locator:
        """The messages with this very text."""
        return self.log.locator("li .text", has_text=re.compile(f"^{re.escape(text)}$"))

    def sees(self, text: str) -> None:
        """Wait until there is a text in the log."""
        self.log.get_by_text(text, exact=False).last.wait_for()

    def texts(self) -> list[str]:
        """The messages in the log."""
        return self.log.locator(".text").all_inner_texts()

    def notes(self) -> list[str]:
        """The notes in the log, without their times."""
        return self.log.locator(".note span").all_inner_texts()

    def online(self) -> list[str]:
        """Who is online."""
        return self.page.locator("#people-list .person-name").all_inner_texts()

    def focused(self) -> str:
        """What has the focus, by its id."""
        found: str = self.page.evaluate("document.activeElement.id")
        return found

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(re.search(pattern, message.text) for pattern in self._expected):
            self.errors.append(message.text)
