"""What must hold of every answer, worked out from the request alone and without the package's own code."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote_to_bytes

from flask_webpubsub.messages import Answer

#: The keys of each host; ``None`` where a handler takes unsigned events.
Trust = Mapping[str, Sequence[str]] | None

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII | re.IGNORECASE)


def is_signed(environ: Mapping[str, Any], trust: Trust) -> bool:
    """Whether a key of one of the request's origins signed its connection id."""
    if trust is None:
        return True
    connection = environ.get("HTTP_CE_CONNECTIONID", "").encode("utf-8", "surrogatepass")
    origins = re.split(r"[\s,]+", environ.get("HTTP_WEBHOOK_REQUEST_ORIGIN", "").lower())
    keys = [key for origin in origins for key in trust.get(origin, ())]
    digests = {hmac.new(key.encode(), connection, "sha256").hexdigest() for key in keys}
    tokens = re.split(r"[\s,]+", environ.get("HTTP_CE_SIGNATURE", ""))
    return any(found[1].lower() in digests for found in map(_SIGNATURE.fullmatch, tokens) if found)


def has_code(environ: Mapping[str, Any], codes: Iterable[str]) -> bool:
    """Whether a request brings one of the access codes."""
    pairs = [pair.partition("=") for pair in environ.get("QUERY_STRING", "").split("&")]
    given = [unquote_to_bytes(value.replace("+", " ")) for name, _, value in pairs if unquote_to_bytes(name) == b"code"]
    given.append(environ.get("HTTP_X_FUNCTIONS_KEY", "").encode("latin-1", "replace"))
    return any(code.encode() in given for code in codes)


def verify_answer(answer: Answer, *, whole: bool = True) -> None:
    """Check that an answer is one that a server can send, and that means something to the service.

    :param whole: without it, the body may not be the one that the headers speak of, as it is with ``HEAD``.
    """
    assert 200 <= answer.status < 300 or 400 <= answer.status < 600, answer
    for name, value in answer.headers:
        assert _TOKEN.fullmatch(name), answer
        assert not _CONTROL.search(value), answer
        value.encode("latin-1")
    length = answer.header("Content-Length") if whole else None
    assert length is None or int(length) == len(answer.body), answer
    assert answer.status != 204 or not answer.body, answer


def verify_silence(texts: Iterable[str], secrets: Iterable[str], *, said: str = "") -> None:
    """Check that none of the secrets stands in any of the texts.

    :param said: what the request says in places that may be shown. A secret that stands there is none any more.
    """
    shown = "\n".join(texts).lower()
    for secret in secrets:
        folded = secret.lower()
        assert len(folded) < 8 or folded not in shown or folded in said.lower(), f"{secret!r} is shown: {shown!r}"


@contextmanager
def listening() -> Iterator[list[str]]:
    """What is logged meanwhile, each record as the text that a log shows."""
    handler = _Listener()
    package = logging.getLogger("flask_webpubsub")
    level = package.level
    package.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    try:
        yield handler.texts
    finally:
        logging.getLogger().removeHandler(handler)
        package.setLevel(level)


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        shown = record.getMessage()
        # Whoever can break a line can forge one.
        assert not _CONTROL.search(shown), shown
        self.texts.append(self.format(record))
