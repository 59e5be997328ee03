"""The view's response is sent as it stands, and is any other response to whoever looks at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from flask import Response

from flask_webpubsub.messages import Answer
from flask_webpubsub.own_response import make_own

ANSWERS = {
    "text": Answer(200, [("Content-Type", "text/plain; charset=utf-8")], b"hello"),
    "empty": Answer(200, [("Content-Type", "text/plain; charset=utf-8")]),
    "nothing": Answer(204),
    "nothing with a state": Answer(204, [("ce-connectionState", "e30=")]),
    "a header that is not ASCII": Answer(200, [("mqtt-name", "Zoë")], b"{}"),
    "an error": Answer(401, [("Content-Type", "text/plain; charset=utf-8")], b"Unauthorized"),
    "a status without a phrase": Answer(499, [], b"?"),
    "another status without a phrase": Answer(599),
}


def send(response: Response, method: str = "POST") -> tuple[str, list[tuple[str, str]], bytes]:
    sent: list[Any] = []
    environ = {"REQUEST_METHOD": method, "wsgi.url_scheme": "http", "SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    body = b"".join(cast(Any, response)(environ, lambda status, headers, exc_info=None: sent.extend((status, headers))))
    return sent[0], sorted(sent[1]), body


@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_sent_as_a_response_of_flask_sends_it(answer: Answer, method: str) -> None:
    looked_at = make_own(answer, Response)
    assert looked_at.status_code == answer.status
    assert send(make_own(answer, Response), method) == send(looked_at, method)
    assert send(make_own(answer, Response), method) == send(make_own(answer, type("Own", (Response,), {})), method)


@pytest.mark.parametrize(
    "look",
    [
        lambda response: response.headers.add("X-Seen", "yes"),
        lambda response: setattr(response, "status_code", 503),
        lambda response: setattr(response, "status", "201 CREATED"),
        lambda response: response.set_data(b"other"),
        lambda response: setattr(response, "mimetype", "text/html"),
        lambda response: response.set_cookie("name", "value"),
        lambda response: response.vary.add("Cookie"),
    ],
    ids=["header", "status_code", "status", "data", "mimetype", "cookie", "vary"],
)
def test_what_the_app_does_to_it_is_done(look: Callable[[Response], object]) -> None:
    late, plain = make_own(ANSWERS["text"], Response), Response(b"hello", 200, ANSWERS["text"].headers)
    for response in (late, plain):
        look(response)
    assert send(late) == send(plain)


def test_a_function_is_called_when_it_is_closed() -> None:
    closed: list[str] = []
    response = make_own(ANSWERS["text"], Response)
    response.call_on_close(lambda: closed.append("closed"))
    with response:
        assert send(response)[2] == b"hello"
    assert closed == ["closed"]


def test_what_no_response_has_is_not_there() -> None:
    response = make_own(ANSWERS["text"], Response)
    assert not hasattr(response, "nothing")
    with pytest.raises(AttributeError, match="'LateResponse' object has no attribute 'nothing'"):
        response.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_an_app_gets_a_response_of_its_own_class() -> None:
    class AppResponse(Response):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.headers["X-Class"] = "AppResponse"

    response = make_own(ANSWERS["text"], AppResponse)

    assert isinstance(response, AppResponse)
    assert ("X-Class", "AppResponse") in send(response)[1]
