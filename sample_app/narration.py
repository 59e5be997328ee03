"""Shows a person what the service and the app say to each other."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, TextIO

from flask_webpubsub.codec import STATE_HEADER, Delivery
from flask_webpubsub.messages import Answer
from flask_webpubsub.states import decode_states
from flask_webpubsub.testing import WebPubSubTestClient

# Not ce-signature: with the connection's id it makes any event, so it is never shown.
_SHOWN = (
    "WebHook-Request-Origin",
    "WebHook-Allowed-Origin",
    "ce-type",
    "ce-hub",
    "ce-connectionId",
    "ce-userId",
    "ce-id",
    STATE_HEADER,
    "Content-Type",
)


class Screen:
    """Prints for a person: in colour on a terminal, plainly into a file.

    :param out: where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._coloured = out.isatty() and "NO_COLOR" not in os.environ

    def title(self, text: str) -> None:
        """Begin a part of the story."""
        self._print(f"\n{text}", "1")

    def right(self, text: str) -> None:
        """Say what was found right."""
        self._print(f"  ✓ {text}", "32")

    def wrong(self, text: str) -> None:
        """Say what was found wrong."""
        self._print(f"  ✗ {text}", "1;31")

    def message(self, first_line: str, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """Show a request or an answer."""
        self._print(f"  {first_line}", "36")
        for line in _shown_headers(headers):
            self._print(f"      {line}", "2")
        for line in body.decode(errors="replace").splitlines():
            self._print(f"      {line}", "")

    def call(self, method: str, path: str, body: bytes) -> None:
        """Show a call of the app to its service."""
        self._print(f"      ⇒ {method} {path}", "35")
        if body:
            self._print(f"          {json.dumps(json.loads(body), ensure_ascii=False)}", "")

    def _print(self, text: str, style: str) -> None:
        print(f"\033[{style}m{text}\033[0m" if self._coloured and style else text, file=self._out, flush=True)


class NarratingClient(WebPubSubTestClient):
    """A test client that shows each request and its answer on a screen; for the options see its base."""

    def __init__(self, screen: Screen, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._screen = screen

    def call(self, method: str, delivery: Delivery, cookies: Mapping[str, str] | None = None) -> Answer:
        self._screen.message(f"→ {method} {self.path}", delivery.headers, delivery.body)
        answer = super().call(method, delivery, cookies)
        self._screen.message(f"← {answer.status} {HTTPStatus(answer.status).phrase}", answer.headers, answer.body)
        return answer


def _shown_headers(headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    values = {name.lower(): value for name, value in headers}
    for name in _SHOWN:
        value = values.get(name.lower())
        if value and name == STATE_HEADER:
            yield f"{name}: {json.dumps(dict(decode_states(value)), ensure_ascii=False)}  (sent in base64)"
        elif value:
            yield f"{name}: {value}"
