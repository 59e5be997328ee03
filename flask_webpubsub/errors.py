"""Every error the package raises, drawn as a tree, each with the HTTP status it is answered with.

::

    WebPubSubError
    ├── ConfigurationError
    ├── InvalidEventError               400
    │   ├── EventTooLargeError          413
    │   └── MethodNotAllowedError       405
    ├── InvalidAccessCodeError          401
    ├── InvalidSignatureError           401
    ├── InvalidIdentityError            401
    ├── KeysUnavailableError            503
    ├── HandlerNotFoundError            404
    ├── InvalidHandlerResultError       500
    ├── EventStillRunningError          503
    ├── OnceStoreError                  503
    ├── InvalidAnswerError
    └── EventError                      as its code says
"""

from __future__ import annotations

from .enums import WebPubSubErrorCode, error_status, make_error_code


class WebPubSubError(Exception):
    """The base of every error that the package raises."""

    #: The HTTP status that the error is answered with.
    status = 500


class ConfigurationError(WebPubSubError):
    """Raised at start, when a setting or a registration can not work."""


class InvalidEventError(WebPubSubError):
    """Raised when a webhook call does not follow the service's contract."""

    status = 400


class EventTooLargeError(InvalidEventError):
    """Raised when an event's body is larger than ``WEBPUBSUB_MAX_BODY_BYTES``."""

    status = 413


class MethodNotAllowedError(InvalidEventError):
    """Raised when the webhook is called with a method other than ``POST``, ``OPTIONS`` and ``GET``."""

    status = 405


class InvalidAccessCodeError(WebPubSubError):
    """Raised when a call brings none of the codes of ``WEBPUBSUB_ACCESS_CODE``."""

    status = 401


class InvalidSignatureError(WebPubSubError):
    """Raised when no trusted key made the signature of an event."""

    status = 401


class InvalidIdentityError(WebPubSubError):
    """Raised when an event brings no token of ``WEBPUBSUB_ENTRA_IDENTITIES``."""

    status = 401


class KeysUnavailableError(WebPubSubError):
    """Raised when the keys of ``WEBPUBSUB_ENTRA_TENANT`` can not be had. The service sends the event again."""

    status = 503


class HandlerNotFoundError(WebPubSubError):
    """Raised when no handler is registered for an event."""

    status = 404


class InvalidHandlerResultError(WebPubSubError):
    """Raised when a handler returned something that is no answer to its event."""


class EventStillRunningError(WebPubSubError):
    """Raised when an event that is to be handled once comes again while it is handled."""

    status = 503


class OnceStoreError(WebPubSubError):
    """Raised when the store of ``WEBPUBSUB_ONCE_STORE`` fails, so that nobody knows whether an event was handled."""

    status = 503


class InvalidAnswerError(WebPubSubError):
    """Raised by the sending side when an app's answer is one that the service could not read."""


class EventError(WebPubSubError):
    """For a handler to raise: the event is answered with this error.

    :param code: ``"unauthorized"``, ``"userError"``, ``"serverError"`` (in any case) or an HTTP status of 400 to 599.
    :param message: the text the client is given; may be empty.
    :raises ValueError: if ``code`` is none of these.
    """

    def __init__(self, code: WebPubSubErrorCode | str | int, message: str = "") -> None:
        super().__init__(code, message)
        self.code = make_error_code(code)
        self.message = message
        self.status = error_status(self.code)
