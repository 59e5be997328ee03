"""Prints the answers to events for a person, and never a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from http import HTTPStatus

import click

from ..codec import STATE_HEADER
from ..enums import WebPubSubDataType
from ..errors import InvalidEventError
from ..message_data import find_data_type
from ..messages import Answer
from ..states import decode_states
from .loading import one_line

_MAX_SHOWN_BYTES = 256


class AnswerPrinter:
    """Prints answers.

    :param secrets: what is never printed, even where an answer holds it: an app may echo its requests.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        found = sorted(filter(None, secrets), key=len, reverse=True)
        # Hex digits may come back in the other case.
        self._secrets = re.compile("|".join(map(re.escape, found)), re.IGNORECASE) if found else None

    def show(self, answer: Answer, seconds: float) -> None:
        """Print status, headers, states and body."""
        colour = "green" if 200 <= answer.status <= 299 else "red"
        click.secho(f"<- {answer.status} {_phrase(answer.status)}".rstrip(), fg=colour, nl=False)
        click.echo(f" in {seconds * 1000:.0f} ms")
        for name, value in answer.headers:
            if name.lower() != STATE_HEADER.lower():
                self._print(f"{name}: {value}")
        self._show_states(answer)
        self._show_body(answer)

    def _show_states(self, answer: Answer) -> None:
        header = answer.header(STATE_HEADER)
        if header is None:
            return
        try:
            states = json.dumps(dict(decode_states(header)), ensure_ascii=False)
        except InvalidEventError as error:
            self._print(f"States: {error}")
        else:
            self._print(f"States: {states}")

    def _show_body(self, answer: Answer) -> None:
        if not answer.body:
            return
        self._print(f"Body, {len(answer.body)} bytes:" if len(answer.body) > 1 else "Body, 1 byte:")
        for line in _readable(answer).splitlines() or [""]:
            self._print(f"  {line}")

    def _print(self, text: str) -> None:
        if self._secrets is not None:
            text = self._secrets.sub("***", text)
        click.echo(f"   {one_line(text)}")


def _readable(answer: Answer) -> str:
    kind = find_data_type(answer.header("Content-Type"))
    try:
        text = answer.body.decode()
        if kind is WebPubSubDataType.JSON:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        kind = WebPubSubDataType.BINARY
    if kind is WebPubSubDataType.BINARY:
        shown = answer.body[:_MAX_SHOWN_BYTES]
        return repr(shown) + ("..." if len(shown) < len(answer.body) else "")
    return text


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
