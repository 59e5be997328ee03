"""A real HTTP server that stands for an app: it notes what it gets, and answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Received(NamedTuple):
    """A request. Header values are bytes read as Latin-1."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Reply:
    """An answer. ``before`` is called first, in the server's thread."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    before: Callable[[], object] = lambda: None


VALID = Reply(200, {"WebHook-Allowed-Origin": "*"})


class Receiver:
    """What the server got, and what it answers: the next of ``replies``, and when they are used up, ``default``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Received] = []
        self.validation: list[Reply] = []
        self.replies: list[Reply] = []
        self.default_validation = VALID
        self.default = Reply()
        self._lock = threading.Lock()

    def take(self, request: Received) -> Reply:
        """Note a request, and say what to answer."""
        with self._lock:
            self.received.append(request)
            if request.method == "POST":
                return self.replies.pop(0) if self.replies else self.default
            return self.validation.pop(0) if self.validation else self.default_validation

    @property
    def events(self) -> list[Received]:
        """The events among the requests."""
        return [request for request in self.received if request.method == "POST"]

    @property
    def validations(self) -> list[Received]:
        """The other requests."""
        return [request for request in self.received if request.method != "POST"]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Serve in threads of this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = receiver.take(Received(self.command, self.path, list(self.headers.items()), body))
            reply.before()
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_OPTIONS = do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            """Say nothing: a caller may hang up, as at its time limit."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
