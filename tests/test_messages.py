"""A request as the codec sees it, and an answer."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_webpubsub import EventTooLargeError, InvalidEventError
from flask_webpubsub.messages import Answer, Message, environ_name, from_wsgi, media_type, to_wsgi
from tests import strategies


def make_message(body: bytes = b"", *, length: int | None = None, read_again: Any = None, **environ: Any) -> Message:
    stream = environ.pop("stream", None) or io.BytesIO(body)
    size = len(body) if length is None else length
    base = {"REQUEST_METHOD": "POST", "wsgi.input": stream, "CONTENT_LENGTH": str(size)}
    return Message({key: value for key, value in (base | environ).items() if value is not None}, read_again)


class Slow(io.RawIOBase):
    """A body that comes byte by byte."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found, self.body = self.body[:1], self.body[1:]
        return found

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


@given(strategies.texts)
def test_text_is_repaired_as_it_was(text: str) -> None:
    assert from_wsgi(to_wsgi(text)) == text
    assert to_wsgi(text).encode("latin-1") == text.encode()


@given(st.text(st.characters(max_codepoint=0x10FFFF)))
def test_any_text_at_all_can_be_repaired_or_stays(text: str) -> None:
    assert isinstance(from_wsgi(text), str)


@pytest.mark.parametrize("text", ["alice", "caf\u00e9", "\u5c71", "\ud800", "\u00c3"])
def test_what_can_not_be_repaired_stays(text: str) -> None:
    assert from_wsgi(text) == text


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (None, ""),
        ("", ""),
        ("Text/Plain", "text/plain"),
        (" text/plain ; charset=utf-8", "text/plain"),
        ("application/json;charset", "application/json"),
        (";", ""),
    ],
)
def test_a_media_type_is_lower_case_and_alone(content_type: str | None, expected: str) -> None:
    assert media_type(content_type) == expected
    assert make_message(CONTENT_TYPE=content_type).media_type == expected


def test_headers_are_found_in_any_case() -> None:
    message = make_message(HTTP_CE_TYPE="x", HTTP_COOKIE="")
    assert message.header("Ce-Type") == message.header("ce-type") == message.headers["CE-type"] == "x"
    assert message.header("cookie") == ""
    assert message.header("ce-hub") is None
    assert environ_name("WebHook-Request-Origin") == "HTTP_WEBHOOK_REQUEST_ORIGIN"


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (None, []),
        ("", []),
        ("code=a", ["a"]),
        ("code=a&x=1&code=%C3%A9", ["a", "é"]),
        ("code=", [""]),
        ("Code=a", []),
        ("code=%ff", ["\ufffd"]),
        ("&&=&code", [""]),
    ],
)
def test_a_query_has_all_the_values_of_a_name(query: str | None, values: list[str]) -> None:
    assert make_message(QUERY_STRING=query).query("code") == values


@pytest.mark.parametrize(
    ("length", "expected"),
    [("0", 0), ("12", 12), (None, 0), ("", 0), ("-1", 0), ("+1", 0), ("x", 0), ("1.5", 0), ("\u0661", 0)],
)
def test_a_wrong_length_is_no_length(length: str | None, expected: int) -> None:
    assert (make_message(CONTENT_LENGTH=length).content_length or 0) == expected


def test_an_endless_length_is_a_large_one() -> None:
    message = make_message(CONTENT_LENGTH="9" * 5000)
    with pytest.raises(InvalidEventError):
        message.read_body(5)


def test_the_body_of_a_message_is_read() -> None:
    assert make_message(b"hello").read_body(5) == b"hello"
    assert make_message(b"hello", length=2).read_body(5) == b"he"
    assert make_message(b"hello", stream=Slow(b"hello")).read_body(5) == b"hello"
    assert make_message(b"").read_body(5) == b""


def test_a_declared_size_over_the_limit_is_not_read() -> None:
    class Untouched:
        def read(self, *args: int) -> bytes:
            raise AssertionError("The body was read.")

    with pytest.raises(EventTooLargeError, match="6 bytes, the limit is 5"):
        make_message(length=6, stream=Untouched()).read_body(5)


@pytest.mark.parametrize("stream", [None, Slow(b"hello")], ids=["at-once", "slow"])
def test_a_body_that_ends_too_early_is_an_error(stream: Any) -> None:
    with pytest.raises(InvalidEventError, match="5 bytes where 6"):
        make_message(b"hello", length=6, stream=stream).read_body(10)


def test_a_body_that_breaks_off_is_an_error() -> None:
    class Broken:
        def read(self, *args: int) -> bytes:
            raise ConnectionResetError

    with pytest.raises(InvalidEventError, match="ended too early"):
        make_message(length=5, stream=Broken()).read_body(10)


def test_a_body_that_was_read_before_is_given_again() -> None:
    message = make_message(b"", length=5, read_again=lambda: b"hello")
    assert message.read_body(5) == b"hello"
    with pytest.raises(InvalidEventError, match="0 bytes where 5"):
        make_message(b"", length=5, read_again=lambda: b"").read_body(5)


CHUNKED: dict[str, Any] = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}


@pytest.mark.parametrize("stream", [None, Slow(b"hello")], ids=["at-once", "slow"])
def test_a_chunked_body_is_read(stream: Any) -> None:
    assert make_message(b"hello", stream=stream, **CHUNKED).read_body(5) == b"hello"


def test_a_chunked_body_over_the_limit_is_an_error() -> None:
    with pytest.raises(EventTooLargeError, match="the limit of 4 bytes"):
        make_message(b"hello", **CHUNKED).read_body(4)


def test_the_headers_of_an_answer_are_found_in_any_case() -> None:
    answer = Answer(200, [("Content-Type", "text/plain"), ("X-A", "1"), ("x-a", "2")])
    assert (answer.header("content-type"), answer.header("X-a"), answer.header("X-B")) == ("text/plain", "1", None)
