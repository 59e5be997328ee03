"""Delivers an event to the app: the right handler, signed, with its cookies, again if need be, and reads the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import cast

from aiohttp import CookieJar
from yarl import URL

from ..codec import STATE_HEADER, Delivery, Response, decode_response, encode_event
from ..enums import WebPubSubEventType
from ..errors import InvalidAnswerError
from ..events import ConnectEventRequest, UserEventRequest, WebPubSubEventRequest
from ..messages import Answer
from ..signature import sign_connection
from ..states import decode_states
from .advice import explain
from .event_log import EventLog, LoggedEvent, now
from .faults import Faults
from .handlers import VALIDATE, fill_template, find_handler, show
from .hub import Connection
from .options import Options
from .validation import NotValidError, Validations
from .webhook import CallError, Webhook, call_repeatedly

# A logger of its own: on a terminal each event has its line anyway.
logger = logging.getLogger("flask_webpubsub.emulator.events")


@dataclass(frozen=True)
class Outcome:
    """What became of an event.

    :param response: the app's answer; ``None`` if it was empty or failed.
    :param failed: whether the event failed: no answer, an error, or an answer that can not be read.
    :param unhandled: whether no event handler takes the event, so that it went nowhere.
    :param status: what a client is told whose ``connect`` failed.
    :param body: goes with the status.
    :param content_type: of the body.
    """

    response: Response | None = None
    failed: bool = False
    unhandled: bool = False
    status: int = 204
    body: bytes = b""
    content_type: str | None = None


class EventSender:
    """Sends the events of one service.

    :param origin: the host that the service calls itself.
    :param keys: its AccessKeys, the primary one first; each signs.
    """

    def __init__(self, options: Options, *, origin: str, keys: Sequence[str], events: EventLog, faults: Faults) -> None:
        self.options = options
        self._origin = origin
        self._keys = [key.encode() for key in keys]
        self.events = events
        self.faults = faults
        self.webhook = Webhook(options.max_answer_bytes)
        self.validations = Validations(self.webhook, options, origin)

    async def send(self, connection: Connection, request: WebPubSubEventRequest) -> Outcome:
        """Deliver an event, and keep what its answer says about the connection's states and cookies.

        Never raises: what fails is logged with what to change.
        """
        context = request.connection_context
        handler = find_handler(self.options.hub(context.hub).event_handlers, context)
        if handler is not None:
            request = self._complete(connection, request)
            return await _Attempt(self, connection, request, handler.url_template).run()
        if context.event_type is WebPubSubEventType.USER:
            self.note(request, error="No event handler takes it: add it to the user events of one.")
        return Outcome(unhandled=True)

    def note(
        self,
        request: WebPubSubEventRequest,
        response: Response | None = None,
        *,
        status: int | None = None,
        error: str | None = None,
        tries: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Log what became of an event; see :class:`LoggedEvent`."""
        if error is not None:
            context = request.connection_context
            logger.warning(
                "Event %r of %r in hub %r failed. %s", context.event_name, context.connection_id, context.hub, error
            )
        self.events.append(
            LoggedEvent(
                request=request,
                response=response,
                status=status,
                error=error,
                tries=tries,
                seconds=seconds,
                time=now(),
            )
        )

    async def close(self) -> None:
        """Stop what is under way, and close all connections to the app."""
        await self.validations.close()
        await self.webhook.close()

    def _complete(self, connection: Connection, request: WebPubSubEventRequest) -> WebPubSubEventRequest:
        """The request with what only its sender knows."""
        context = request.connection_context
        context = replace(
            context,
            origin=self._origin,
            signature=sign_connection(context.connection_id, self._keys),
            states=connection.states,
            event_id=context.event_id or connection.next_event_id(),
            time=context.time or datetime.now(UTC).replace(microsecond=0),
        )
        return replace(request, connection_context=context)


class _Attempt:
    """One event on its way to one URL."""

    def __init__(
        self, sender: EventSender, connection: Connection, request: WebPubSubEventRequest, url_template: str
    ) -> None:
        context = request.connection_context
        self._sender = sender
        self._connection = connection
        self._request = request
        self._validate_url = fill_template(url_template, context.hub, VALIDATE)
        self._url = fill_template(url_template, context.hub, context.event_name)
        self._tries = 0
        self._begin = perf_counter()

    async def run(self) -> Outcome:
        options = self._sender.options
        try:
            async with asyncio.timeout(options.event_seconds):
                await self._sender.validations.verify(self._validate_url)
                await asyncio.sleep(self._sender.faults.take_delay(self._request.connection_context.event_name))
                answer = await self._post(encode_event(self._request))
        except TimeoutError:
            return self._fail(f"{show(self._url)} did not answer within {options.event_seconds:g} seconds.")
        except (NotValidError, CallError) as error:
            return self._fail(str(error))
        except ValueError as error:
            return self._fail(f"The event can not be written: {error}")
        return self._take(answer)

    async def _post(self, delivery: Delivery) -> Answer:
        headers = delivery.headers
        cookies = self._cookies()
        if cookies:
            headers = [*headers, ("Cookie", cookies)]

        async def post() -> Answer:
            self._tries += 1
            status = self._sender.faults.take_failure(self._request.connection_context.event_name)
            if status is not None:
                return Answer(status)
            return await self._sender.webhook.call("POST", self._url, headers, delivery.body)

        return await call_repeatedly(post, self._sender.options.retry_delays)

    def _take(self, answer: Answer) -> Outcome:
        """Make of an answer what the service makes of it."""
        try:
            response = decode_response(answer, self._request)
        except InvalidAnswerError as error:
            return self._fail(explain(self._request, answer, error.__cause__), answer)
        if answer.status >= 400:
            return self._fail(explain(self._request, answer), answer, response)
        self._keep_cookies(answer)
        self._keep_states(answer)
        self._note(response, answer.status)
        return Outcome(response, False, False, answer.status, answer.body, answer.header("Content-Type"))

    def _fail(self, error: str, answer: Answer | None = None, response: Response | None = None) -> Outcome:
        self._note(response, None if answer is None else answer.status, error)
        if answer is None or answer.status < 400:
            return Outcome(failed=True, status=500)
        # The app's own words go to a client whose connect it refused.
        return Outcome(response, True, False, answer.status, answer.body, answer.header("Content-Type"))

    def _note(self, response: Response | None, status: int | None, error: str | None = None) -> None:
        seconds = perf_counter() - self._begin
        self._sender.note(self._request, response, status=status, error=error, tries=self._tries, seconds=seconds)

    def _keep_states(self, answer: Answer) -> None:
        # Only blocking events can change the states.
        header = answer.header(STATE_HEADER)
        if header is not None and isinstance(self._request, ConnectEventRequest | UserEventRequest):
            self._connection.states = decode_states(header)

    def _cookies(self) -> str:
        jar = cast("CookieJar | None", self._connection.cookies)
        if jar is None:
            return ""
        found = jar.filter_cookies(URL(self._url, encoded=True))
        return "; ".join(f"{cookie.key}={cookie.coded_value}" for cookie in found.values())

    def _keep_cookies(self, answer: Answer) -> None:
        headers = [value for name, value in answer.headers if name.lower() == "set-cookie"]
        if not headers:
            return
        if self._connection.cookies is None:
            self._connection.cookies = CookieJar(unsafe=True)  # which is to say, of hosts like 127.0.0.1 too
        self._connection.cookies.update_cookies_from_headers(headers, URL(self._url, encoded=True))
