"""Measures the most memory that an event takes, over bodies that take none until they are read."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

from flask import Flask
from werkzeug.wsgi import ClosingIterator

from .events import MIB, Environ, make_forged_message, make_mib
from .goals import Figure
from .variants import Variant


class Stream:
    """A request's body that makes its bytes when they are read: it holds none, so that every copy shows."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size`` of them."""
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return b"x" * size


def measure_memory(variants: Mapping[str, Variant]) -> Iterator[Figure]:
    """The peak of an event of 1 MiB, in bodies, and how much is read of one that is refused."""
    typed, unseen = variants["message"].app, variants["message unseen"].app
    large, message, forged = make_mib("binary"), make_mib("text", "message"), make_forged_message()
    yield Figure("memory: 1 MiB of binary", _peak(typed, large[0], 200), "bodies")
    yield Figure("memory: 1 MiB of text", _peak(typed, message[0], 200), "bodies")
    yield Figure("memory: 1 MiB unseen", _peak(unseen, message[0], 200), "bodies")
    yield Figure("memory: 1 MiB refused", _peak(typed, forged[0], 401), "bodies")
    body = Stream(MIB)
    send(typed, forged[0], body)
    yield Figure("read: 1 MiB refused", MIB - body.left, "bytes")


def send(app: Flask, environ: Environ, body: Stream) -> int:
    """Send an event whose body is a stream; the status of the answer."""
    started: list[str] = []
    request = environ | {"CONTENT_LENGTH": str(body.left), "wsgi.input": body}
    answer = app(request, lambda status, *_: started.append(status))  # type: ignore[arg-type]
    with closing(ClosingIterator(answer)) as chunks:
        b"".join(chunks)
    return int(started[0][:3])


def peak_of(call: Callable[[], object]) -> int:
    """The most bytes that are allocated at once while a function runs, beyond those before it."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _peak(app: Flask, environ: Environ, expected: int) -> float:
    """The peak of an event of 1 MiB, in bodies."""
    found = send(app, environ, Stream(MIB))  # what is made once for all events does not count
    if found != expected:
        raise AssertionError(f"The answer is {found}, not {expected}.")
    return peak_of(lambda: send(app, environ, Stream(MIB))) / MIB
