"""HTTP as the codec sees it: a request as a WSGI server hands it over, and an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qs

from werkzeug.datastructures import EnvironHeaders, Headers
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wsgi import get_content_length, get_input_stream

from .errors import EventTooLargeError, InvalidEventError
from .mqtt import MqttProtocolVersion

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

Environ = dict[str, Any]

# More digits than the length of any body has, and few enough to read.
_MAX_DIGITS = 18


class Message:
    """A request to the webhook. Nothing of it is copied, and its body is read when it is asked for.

    :param environ: the request, as WSGI has it.
    :param read_again: gives the body where it was read before; ``None`` where that can not be.
    """

    def __init__(self, environ: Environ, read_again: Callable[[], bytes] | None = None) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        #: The declared size of the body in bytes; ``None`` for a chunked body.
        self.content_length = _content_length(environ)
        #: The version of an MQTT client that asks to connect, as soon as it is known: errors are said in its words.
        self.mqtt_version: MqttProtocolVersion | None = None
        self._read_again = read_again

    def header(self, name: str) -> str | None:
        """The value of a header, as WSGI has it."""
        return self.environ.get(environ_name(name))

    @property
    def headers(self) -> Headers:
        """All headers, whatever the case of their names."""
        return EnvironHeaders(self.environ)

    def query(self, name: str) -> list[str]:
        """The values of a query parameter."""
        query = self.environ.get("QUERY_STRING", "")
        return parse_qs(query, keep_blank_values=True).get(name, []) if query else []

    @property
    def content_type(self) -> str | None:
        """The media type of the body with its parameters."""
        return self.environ.get("CONTENT_TYPE") or None

    @property
    def media_type(self) -> str:
        """The media type of the body, in lower case and without parameters; may be empty."""
        return media_type(self.content_type)

    def verify_length(self, limit: int) -> None:
        """Check that the body does not declare more than ``limit`` bytes.

        :raises EventTooLargeError: if it does.
        """
        length = self.content_length
        if length is not None and length > limit:
            raise EventTooLargeError(f"The body has {length} bytes, the limit is {limit}.")

    def read_body(self, limit: int) -> bytes:
        """Read the body, of at most ``limit`` bytes.

        :raises EventTooLargeError: if it is larger.
        :raises InvalidEventError: if it ends too early.
        """
        length = self.content_length
        if length is None:
            return self._read_chunked(limit)
        self.verify_length(limit)
        body = _read(self.environ["wsgi.input"], length)
        if len(body) < length and self._read_again is not None:
            body = self._read_again()
        if len(body) < length:
            raise InvalidEventError(f"The body has {len(body)} bytes where {length} were declared.")
        return body

    def _read_chunked(self, limit: int) -> bytes:
        # A body without a length has an end only where the server says so. One byte more shows that it is too large.
        body = _read(get_input_stream(self.environ), limit + 1)
        if not body and self._read_again is not None:
            body = self._read_again()
        if len(body) > limit:
            raise EventTooLargeError(f"The body is larger than the limit of {limit} bytes.")
        return body


@dataclass
class Answer:
    """An answer to a request. Header values are text, whatever their bytes on the wire."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The value of a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def _content_length(environ: Environ) -> int | None:
    length = environ.get("CONTENT_LENGTH", "")
    if length.isascii() and length.isdigit() and "HTTP_TRANSFER_ENCODING" not in environ:
        return int(length[:_MAX_DIGITS])
    return get_content_length(environ)


def _read(stream: IO[bytes], size: int) -> bytes:
    try:
        # One read that is answered in full keeps a single copy of a large body in memory.
        body = stream.read(size)
        while len(body) < size and (more := stream.read(size - len(body))):
            body += more
    except Exception as error:  # whatever a server raises where a body is malformed or breaks off
        raise InvalidEventError("The body can not be read: it is malformed or ended too early.") from error
    return body


def send_answer(answer: Answer, start_response: StartResponse) -> list[bytes]:
    """Send an answer to anything but a ``HEAD`` request, as a WSGI app does."""
    status = answer.status
    line = _STATUS_LINES.get(status) or f"{status} UNKNOWN"
    headers = [(name, to_wsgi(value)) for name, value in answer.headers]
    if status == 204:  # which has no body, not even an empty one
        start_response(line, headers)
        return []
    headers.append(("Content-Length", str(len(answer.body))))
    start_response(line, headers)
    return [answer.body]


_STATUS_LINES = {code: f"{code} {phrase.upper()}" for code, phrase in HTTP_STATUS_CODES.items()}


@cache
def environ_name(header: str) -> str:
    """A header's key in a WSGI environ."""
    return "HTTP_" + header.upper().replace("-", "_")


def media_type(content_type: str | None) -> str:
    """The media type of a ``Content-Type``, in lower case and without parameters; empty if there is none."""
    return (content_type or "").partition(";")[0].strip().lower()


def to_wsgi(value: str) -> str:
    """A header's value as WSGI has it: the bytes of its UTF-8, read as Latin-1."""
    return value if value.isascii() else value.encode().decode("latin-1")


def from_wsgi(value: str) -> str:
    """Undo :func:`to_wsgi`. A value that did not come that way stays as it stands."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
