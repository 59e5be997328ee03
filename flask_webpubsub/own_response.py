"""The response that the view makes of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self, cast

from flask import Response
from werkzeug.wrappers import Response as HTTPResponse

from .messages import Answer, Environ, send_answer, to_wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

#: Where the WSGI environ tells that the view's own response was sent.
ANSWERED_KEY = "flask_webpubsub.answered"


class OwnResponse(Response):
    """A response of the view, which is known as such when it is sent.

    An app may add headers to it. When it has turned an error into a success, it is the view's no more.
    """

    default_mimetype = None
    refuses: bool

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not self.refuses or self.status_code >= 400:
            environ[ANSWERED_KEY] = True
        return super().__call__(environ, start_response)


class LateResponse(OwnResponse):
    """A response that is built when something of the app looks at it, as an ``after_request`` function does.

    Nothing does in most apps. Then the answer is sent as it stands, which spares two thirds of a response's cost.
    """

    _answer: Answer | None = None

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """The response that sends an answer."""
        response = cls.__new__(cls)
        vars(response).update(_answer=answer, refuses=answer.status >= 400)
        return response

    def __getattr__(self, name: str) -> Any:
        # Only what is not there comes here: all that a response is made of, before it is built.
        if self._answer is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        self._build(self._answer)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._answer is not None:
            self._build(self._answer)
        super().__setattr__(name, value)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self._answer is None or environ["REQUEST_METHOD"] == "HEAD":
            return super().__call__(environ, start_response)
        environ[ANSWERED_KEY] = True
        return send_answer(self._answer, start_response)

    def _build(self, answer: Answer) -> None:
        vars(self)["_answer"] = None
        self.__init__(answer.body, answer.status, _wsgi_headers(answer))  # type: ignore[misc]


def make_own(answer: Answer | HTTPResponse, response_class: type[Response]) -> OwnResponse:
    """The view's own response.

    :param answer: an answer, or a response that a handler made, which is taken over with whatever its class adds to it.
    :param response_class: the class of the app's responses.
    """
    if isinstance(answer, Answer):
        if response_class is Response:
            return LateResponse.of(answer)
        own = _own_class(response_class)(answer.body, answer.status, _wsgi_headers(answer))
    else:
        if not isinstance(answer, Response):
            answer = Response.force_type(answer)
        answer.__class__ = _own_class(type(cast(Response, answer)))
        own = cast(OwnResponse, answer)
    own.refuses = own.status_code >= 400
    return own


def _own_class(response_class: type[Response]) -> type[OwnResponse]:
    if issubclass(response_class, OwnResponse):
        return response_class
    if response_class not in _OWN_CLASSES:
        _OWN_CLASSES[response_class] = type(response_class.__name__, (OwnResponse, response_class), {})
    return _OWN_CLASSES[response_class]


_OWN_CLASSES: dict[type[Response], type[OwnResponse]] = {}


def _wsgi_headers(answer: Answer) -> list[tuple[str, str]]:
    return [(name, to_wsgi(value)) for name, value in answer.headers]
