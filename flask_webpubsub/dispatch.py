"""The path of one message, from request to answer."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from http import HTTPStatus
from time import perf_counter
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as HTTPResponse

from .access import HostKeys, keys_by_host, split_origins
from .codec import Response, decode_context, decode_event, encode_error, encode_response, is_mqtt, mqtt_version
from .deferred import DEFERRED_KEY, call_handler
from .enums import WebPubSubEventType, make_error_code
from .errors import (
    EventError,
    EventStillRunningError,
    HandlerNotFoundError,
    InvalidAccessCodeError,
    InvalidEventError,
    InvalidSignatureError,
    MethodNotAllowedError,
    WebPubSubError,
)
from .event_lines import REQUEST_ID, log_event
from .events import WebPubSubConnectionContext, WebPubSubEventRequest
from .messages import Answer, Message
from .registry import Handler, HandlerTable
from .results import describe, is_connect, make_response
from .settings import Settings
from .signals import event_handled, event_rejected
from .signature import verify_signature
from .tracing import trace_events
from .wire_json import make_writer

logger = logging.getLogger("flask_webpubsub")

#: The methods that the webhook answers.
METHODS = ("GET", "OPTIONS", "POST")


class Dispatcher:
    """Answers the webhook calls of one app.

    :param app: the app, as its signals name it.
    :param ensure_sync: makes a function that can be called of one that may be a coroutine function.
    :param json_default: gives a JSON form to values of answers that JSON does not know.
    :param verify_token: checks an ``Authorization`` header; ``None`` where events need no token.
    """

    def __init__(
        self,
        app: object,
        settings: Settings,
        ensure_sync: Callable[[Callable[..., Any]], Callable[..., Any]],
        json_default: Callable[[Any], Any] | None = None,
        verify_token: Callable[[str | None], None] | None = None,
    ) -> None:
        self.settings = settings
        self.handlers = HandlerTable(keys_by_host(settings.connections), unsigned=settings.allow_unsigned)
        #: Whether an event has come: from then on, nothing more is registered.
        self.started = False
        self._app = app
        self._ensure_sync = ensure_sync
        self._write_json = make_writer(json_default)
        self._verify_token = verify_token

    def dispatch(self, message: Message) -> Answer | HTTPResponse:
        """Answer a call of the webhook.

        What a handler raises comes out as it is, but for :exc:`EventError` and HTTP errors, which are answers.
        """
        try:
            if message.method not in METHODS:
                raise MethodNotAllowedError(f"The method is {message.method!r}.")
            if self.settings.access_codes:
                self._verify_access_code(message)
            if message.method != "POST":
                return self._validate(message)
        except WebPubSubError as error:
            return self._reject(error, message)
        return self._handle_event(message)

    def _start(self) -> None:
        """What is done before the first event, when all that the app imports is there."""
        self.started = True
        trace_events(self._app)

    def _handle_event(self, message: Message) -> Answer | HTTPResponse:
        if not self.started:
            self._start()
        begin = perf_counter()
        try:
            message.verify_length(self.settings.max_body_bytes)
            context = decode_context(message)
            handler = self._find_handler(context)
            if handler.keys is not None:
                self._verify_origin(context, handler.keys)
            request = self._decode_event(context, message, handler)
            arguments = handler.trigger.plan.bind(request)
            turn = None if handler.once is None else handler.once.begin(context)
        except WebPubSubError as error:
            return self._reject(error, message)
        if turn is None:
            return self._answer(handler, arguments, request, message, begin)
        return turn.answer(lambda: self._answer(handler, arguments, request, message, begin))

    def _answer(
        self,
        handler: Handler,
        arguments: dict[str, Any],
        request: WebPubSubEventRequest,
        message: Message,
        begin: float,
    ) -> Answer | HTTPResponse:
        context = request.connection_context
        result = self._call(handler, arguments, context, message, begin)
        try:
            answer = self._encode(make_response(result, request), request)
        except WebPubSubError as error:
            message.environ.pop(DEFERRED_KEY, None)
            return self._reject(error, message)
        self._tell(context, answer.status_code if isinstance(answer, HTTPResponse) else answer.status, begin)
        return answer

    def _verify_access_code(self, message: Message) -> None:
        expected = self.settings.access_codes
        header = message.header("x-functions-key")
        given = [code.encode("utf-8", "replace") for code in message.query("code")]
        if header is not None:
            given.append(header.encode("latin-1", "replace"))
        # No early end, so that the time it takes tells nothing.
        if not sum(hmac.compare_digest(code, known) for code in given for known in expected):
            raise InvalidAccessCodeError("The call brings none of the codes of WEBPUBSUB_ACCESS_CODE.")

    def _validate(self, message: Message) -> Answer:
        """Tell the service that it may send its events here (CloudEvents abuse protection)."""
        origins = split_origins(message.header("WebHook-Request-Origin") or "")
        if not origins:
            raise InvalidEventError("The validation request has no WebHook-Request-Origin.")
        trusted = self.handlers.trusted_keys.keys()
        if not self.handlers.unsigned and trusted.isdisjoint(origins):
            raise InvalidEventError(f"The origin {origins!r} is not trusted here: {sorted(trusted)!r} are.")
        return Answer(200, [("WebHook-Allowed-Origin", "*")])

    def _find_handler(self, context: WebPubSubConnectionContext) -> Handler:
        handler = self.handlers.find(context)
        if handler is None:
            if not self.settings.allow_unsigned:  # so that a stranger learns nothing
                self._verify_origin(context, self.handlers.trusted_keys)
            raise HandlerNotFoundError(
                f"No handler for the {describe(context)}. Register one with {_decorator_for(context)}. "
                f"There are handlers for the hubs {self.handlers.hubs!r}."
            )
        return handler

    def _verify_origin(self, context: WebPubSubConnectionContext, keys: HostKeys) -> None:
        trusted = keys.get(context.origin)
        if trusted is None:
            trusted = _find_keys(context.origin, keys)
        if trusted:
            verify_signature(context.signature, context.connection_id, trusted)
        elif self._verify_token is None:
            raise InvalidSignatureError(
                f"The connection string of the origin {context.origin!r} has no AccessKey to check with."
            )
        if self._verify_token is not None:
            self._verify_token(context.headers.get("Authorization"))

    def _decode_event(
        self, context: WebPubSubConnectionContext, message: Message, handler: Handler
    ) -> WebPubSubEventRequest:
        limit = self.settings.max_body_bytes
        reads_body = handler.trigger.plan.reads_body
        if not is_mqtt(context):
            return decode_event(context, message, with_body=reads_body, max_body_bytes=limit)
        # An MQTT client must be refused in the words of its version, which stands in the body.
        request = decode_event(context, message, with_body=reads_body or is_connect(context), max_body_bytes=limit)
        message.mqtt_version = mqtt_version(request)
        return request

    def _call(
        self,
        handler: Handler,
        arguments: dict[str, Any],
        context: WebPubSubConnectionContext,
        message: Message,
        begin: float,
    ) -> Any:
        try:
            return call_handler(handler.call, arguments, message.environ)
        except (EventError, HTTPException) as error:
            return error
        except Exception:
            self._tell(context, 500, begin)
            raise

    def _encode(
        self, response: Response | HTTPResponse | None, request: WebPubSubEventRequest
    ) -> Answer | HTTPResponse:
        if response is None:
            return Answer(204)
        if isinstance(response, HTTPResponse):
            return response
        return encode_response(
            response, request, write_json=self._write_json, max_state_bytes=self.settings.max_state_bytes
        )

    def _tell(self, context: WebPubSubConnectionContext, status: int, begin: float) -> None:
        seconds = perf_counter() - begin
        log_event(context, status, seconds)
        if event_handled.receivers:
            event_handled.send(
                self._app, _async_wrapper=self._ensure_sync, context=context, status=status, seconds=seconds
            )

    def _reject(self, error: WebPubSubError, message: Message) -> Answer:
        ours = error.status >= 500 and not isinstance(error, EventStillRunningError)
        level = logging.ERROR if ours else logging.WARNING
        logger.log(level, "Refused with %d: %s (request %r)", error.status, error, message.header(REQUEST_ID))
        if event_rejected.receivers:
            event_rejected.send(self._app, _async_wrapper=self._ensure_sync, status=error.status, error=error)
        answer = encode_error(make_error_code(error.status), HTTPStatus(error.status).phrase, message.mqtt_version)
        if isinstance(error, MethodNotAllowedError):
            answer.headers.append(("Allow", ", ".join(METHODS)))
        return answer


def _find_keys(origin: str, keys: HostKeys) -> tuple[bytes, ...]:
    """The keys of all the hosts that an origin names and that are trusted."""
    hosts = [host for host in split_origins(origin) if host in keys]
    if not hosts:
        raise InvalidSignatureError(f"The origin {origin!r} is not trusted here: {sorted(keys)!r} are.")
    return tuple(key for host in hosts for key in keys[host])


def _decorator_for(context: WebPubSubConnectionContext) -> str:
    name = context.event_name.lower()
    if context.event_type is WebPubSubEventType.USER:
        call = "on_message(" if name == "message" else f"on_user_event({context.event_name!r}, "
    else:
        call = _DECORATORS.get(name, f"trigger({context.event_name!r}, event_type={context.event_type.value!r}, ")
    return f"@wps.{call}hub={context.hub!r})"


_DECORATORS = {
    "connect": "on_connect(",
    "connected": "on_connected(",
    "disconnected": "on_disconnected(",
    "joined": "on_group_joined(",
    "left": "on_group_left(",
}
