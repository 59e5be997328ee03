"""A webhook at a URL, as a WSGI callable: the test client talks to it as it talks to an app."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import gaierror
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from werkzeug.datastructures import EnvironHeaders

from .emulator.handlers import fill_template, show, verify_template
from .emulator.wiring import is_loopback
from .errors import ConfigurationError
from .messages import Environ

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

#: How long an answer may take.
TIMEOUT_SECONDS = 30.0
#: The largest answer that is read.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
#: What the service fills in for ``{event}`` when it asks for validation.
VALIDATE = "validate"

_CHUNK_BYTES = 64 * 1024
# Those of one hop: they say nothing of the answer.
_HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding"}


class CallError(Exception):
    """Raised when a call brought no answer.

    :param what: what happened.
    :param cure: what to do about it.
    """

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what} {cure}")
        self.what = what
        self.cure = cure


class RemoteWebhook:
    """A WSGI callable that sends each request to a URL, and hands the answer back. Redirects are not followed.

    :param url_template: where to send; ``{event}`` and ``{hub}`` are filled in as the service does.
    :param timeout: how many seconds an answer may take.
    """

    def __init__(self, url_template: str, timeout: float = TIMEOUT_SECONDS) -> None:
        self._url_template = url_template
        self._timeout = timeout

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        hub, event = environ.get("HTTP_CE_HUB", ""), environ.get("HTTP_CE_EVENTNAME", VALIDATE)
        url = urlsplit(fill_template(self._url_template, hub, event))
        query = "&".join(filter(None, (url.query, environ.get("QUERY_STRING", ""))))
        target = (url.path or "/") + (f"?{query}" if query else "")
        headers = {name: value for name, value in EnvironHeaders(environ) if name not in ("Host", "Content-Length")}
        body = environ["wsgi.input"].read()
        try:
            with closing(self._connect(url)) as http:
                http.request(environ["REQUEST_METHOD"], target, body or None, headers)
                answer = http.getresponse()
                content = self._read(answer)
        except (OSError, HTTPException, ValueError) as error:
            raise _explain(error, show(url.geturl()), self._timeout) from error
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_HEADERS]
        start_response(f"{answer.status} {answer.reason or 'Unknown'}", kept)
        return [content]

    def _connect(self, url: SplitResult) -> HTTPConnection:
        kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
        return kind(url.hostname or "", url.port, timeout=self._timeout)

    def _read(self, answer: HTTPResponse) -> bytes:
        content, deadline = bytearray(), monotonic() + self._timeout
        while chunk := answer.read1(_CHUNK_BYTES):
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise ValueError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
            if monotonic() > deadline:
                raise TimeoutError
        return bytes(content)


def verify_address(url: str) -> None:
    """Check that signed events may be sent to a URL: by https, or by http on this machine alone.

    :raises ValueError: if they may not; the message says why.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it has characters that a URL can not have.")
    try:
        verify_template(url)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a user name or a password, which the service does not send.")
    if parts.fragment:
        raise ValueError("it has a '#', and what comes after that is never sent.")
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("a signed event goes over https:// alone, or over http:// on this machine.")


def _explain(error: Exception, url: str, timeout: float) -> CallError:
    match error:
        case gaierror():
            return CallError(f"The host of {url} is not known.", "Correct the URL.")
        case ConnectionRefusedError():
            return CallError(f"Nothing listens at {url}.", "Start the app, or correct the URL's host and port.")
        case TimeoutError():
            return CallError(
                f"{url} did not answer within {timeout:g} seconds.",
                "See whether the app runs, and whether a firewall keeps others out.",
            )
        case ssl.SSLCertVerificationError():
            return CallError(
                f"The certificate of {url} can not be verified: {error.verify_message}.",
                "Give the server a certificate of a known authority, with its whole chain, for this very host.",
            )
        case ssl.SSLError():
            return CallError(f"{url} speaks no TLS.", "Serve it over HTTPS; on this machine, use http://.")
        case HTTPException() | ConnectionError():
            return CallError(f"{url} hung up, or what it answered is not HTTP.", "Look at its log.")
    reason = " ".join(str(error).split()).rstrip(".")
    return CallError(f"The call of {url} failed: {reason or type(error).__name__}.", "Correct the URL.")
