"""A WSGI callable in front of a running server: the test client talks to the server as it talks to an app."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_TIMEOUT_SECONDS = 30


def forward_to(host: str, port: int) -> WSGIApplication:
    """Make a WSGI callable that sends each request to a server over HTTP, and hands its answer back."""

    @Request.application
    def forward(request: Request) -> Response:
        headers = {name: value for name, value in request.headers if name != "Host"}
        with closing(HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)) as http:
            http.request(request.method, request.full_path.rstrip("?"), request.get_data(), headers)
            answer = http.getresponse()
            return _Answer(answer.read(), answer.status, answer.getheaders())

    return forward


class _Answer(Response):
    """An answer with the headers that the server gave it, and no others."""

    default_mimetype = None
