"""Reads the requests in this folder, changes them where a test wants it, and sends them to an app byte for byte.

The requests are the samples of Microsoft's reference of CloudEvents for Web PubSub and its MQTT page, with their
placeholders filled in and signed. A file holds one request; the last line break is not part of the body.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from werkzeug.test import create_environ, run_wsgi_app

from flask_webpubsub.codec import decode_context, decode_event
from flask_webpubsub.events import WebPubSubEventRequest
from flask_webpubsub.messages import Answer, Message

FOLDER = Path(__file__).parent

#: A header's new value; several are a header sent several times; ``None`` takes it away.
Change = str | Sequence[str] | None


@dataclass(frozen=True)
class WireRequest:
    """A request as it comes over HTTP. The values of headers are Latin-1 text, as WSGI has them."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def changed(self, changes: Mapping[str, Change] | None = None, *, body: bytes | None = None) -> WireRequest:
        """The same request with other headers or another body, whose ``Content-Length`` follows."""
        changes = dict(changes or {})
        if body is not None:
            changes.setdefault("Content-Length", str(len(body)))
        names = {name.lower() for name in changes}
        headers = [(name, value) for name, value in self.headers if name.lower() not in names]
        for name, change in changes.items():
            values = [] if change is None else [change] if isinstance(change, str) else change
            headers += [(name, value) for value in values]
        return replace(self, headers=tuple(headers), body=self.body if body is None else body)

    def environ(self) -> dict[str, Any]:
        """The request as a WSGI server hands it over: a header sent twice is joined by a comma."""
        environ = create_environ(self.path, method=self.method)
        del environ["HTTP_HOST"]
        found: dict[str, list[str]] = {}
        for name, value in self.headers:
            key = name.upper().replace("-", "_")
            found.setdefault(key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}", []).append(value)
        environ |= {key: ",".join(values) for key, values in found.items()}
        environ["wsgi.input"] = io.BytesIO(self.body)
        return environ

    def send(self, app: WSGIApplication) -> Answer:
        """Send the request to an app."""
        return send(app, self.environ())

    def decode(self) -> WebPubSubEventRequest:
        """Read the request as an event, as the app would."""
        message = Message(self.environ())
        return decode_event(decode_context(message), message)


def send(app: WSGIApplication, environ: dict[str, Any]) -> Answer:
    """Send a request to an app as a WSGI server does."""
    body, status, headers = run_wsgi_app(app, environ, buffered=True)
    return Answer(int(status[:3]), list(headers), b"".join(body))


def read(name: str) -> WireRequest:
    """Read the request of a file, by its name without the ending."""
    head, _, body = (FOLDER / f"{name}.http").read_bytes().partition(b"\n\n")
    first, *lines = head.decode("latin-1").splitlines()
    method, path, _ = first.split(" ")
    headers = tuple((header, value) for header, value in (line.split(": ", 1) for line in lines))
    return WireRequest(method, path, headers, body.removesuffix(b"\n"))


#: The names of all the events.
EVENTS = sorted(path.stem for path in FOLDER.glob("*.http") if path.stem != "validation")
