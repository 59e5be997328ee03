"""Calls an app over HTTP, and again where a failure may pass."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterable, Sequence

import aiohttp
from yarl import URL

from ..messages import Answer
from .handlers import show

# The service's own requests have none of these.
_NO_AUTOMATIC_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
# At once many events may be under way, and yet a development server is not flooded with connections.
_MAX_CONNECTIONS = 100
# Less than common servers keep an idle connection: one that they close as it is used again fails an event.
_KEEP_ALIVE_SECONDS = 1.0


class CallError(Exception):
    """Raised when a call brought no answer that can be used; the text says why and what to change."""


class NoAnswerError(CallError):
    """Raised when a call brought no answer, which may pass."""


class Webhook:
    """The service's HTTP client.

    :param max_answer_bytes: the largest answer to take.
    """

    def __init__(self, max_answer_bytes: int) -> None:
        self._max_answer_bytes = max_answer_bytes
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes | None = None
    ) -> Answer:
        """Send one request. Redirects are not followed.

        :raises CallError: if no answer came, or one that is too large.
        """
        try:
            async with self._open().request(
                method,
                URL(url, encoded=True),
                headers=list(headers),
                data=body,
                allow_redirects=False,
                skip_auto_headers=_NO_AUTOMATIC_HEADERS,
            ) as answer:
                content = await self._read(answer)
                return Answer(answer.status, list(answer.headers.items()), content)
        except (aiohttp.InvalidURL, ValueError) as error:
            raise CallError(f"The request to {show(url)} can not be sent: {_in_one_line(error)}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswerError(_describe(error, url)) from error

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),  # each connection has a jar of its own
                timeout=aiohttp.ClientTimeout(total=None),  # the caller limits the time
            )
        return self._session

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        content = bytearray()
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > self._max_answer_bytes:
                raise CallError(f"The answer has more than {self._max_answer_bytes} bytes: send less.")
        return bytes(content)


async def call_repeatedly(call: Callable[[], Awaitable[Answer]], delays: Sequence[float]) -> Answer:
    """Call an app, and again after 408, 5xx and missing answers.

    :param delays: the pauses before each further try.
    :raises CallError: if the last try brought no answer.
    """
    for delay in delays:
        try:
            answer = await call()
        except NoAnswerError:
            pass
        else:
            if answer.status != 408 and answer.status < 500:
                return answer
        await asyncio.sleep(delay)
    return await call()


def _describe(error: Exception, url: str) -> str:
    where = show(url)
    match error:
        case aiohttp.ClientConnectorDNSError():
            return f"The host of {where} is not known: correct the event handler's URL."
        case aiohttp.ClientSSLError():
            return f"There is no TLS connection to {where}: {_in_one_line(error)}. On this machine, use http://."
        case aiohttp.ClientConnectorError() if error.os_error.errno == errno.ECONNREFUSED:
            return f"Nothing listens at {where}: the app is not running, or at another port."
        case aiohttp.ClientConnectorError():
            return f"There is no connection to {where}: {_in_one_line(error.os_error)}."
        case aiohttp.ServerDisconnectedError() | ConnectionResetError() | aiohttp.ClientOSError():
            return f"The app at {where} hung up before it answered: it was stopped or crashed, look at its log."
        case aiohttp.ClientPayloadError():
            return f"The answer of {where} broke off: look at the app's log."
        case aiohttp.ClientResponseError():
            return f"What {where} answered is not HTTP: {_in_one_line(error)}."
    return f"The call of {where} failed: {_in_one_line(error)}."


def _in_one_line(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split()).rstrip(".")
