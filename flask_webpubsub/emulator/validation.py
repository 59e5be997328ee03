"""Asks an app whether events may be sent to it, and remembers the answer (CloudEvents abuse protection)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..messages import Answer
from .handlers import show
from .options import Options
from .webhook import CallError, Webhook, call_repeatedly


class NotValidError(Exception):
    """Raised when events may not be sent to a URL; the text says why and what to change."""


@dataclass
class _Validation:
    """What is known of one URL.

    :param error: why it is not valid; empty if it is, ``None`` if that was not asked yet.
    :param due: when to ask again, in the loop's time.
    :param failures: how many times in a row it was not valid.
    """

    error: str | None = None
    due: float = 0.0
    failures: int = 0
    task: asyncio.Task[None] | None = None


class Validations:
    """The validations of all event handlers.

    A success is asked again in the background, while it is still good; a failure is asked again after 1, 2, 4, ...
    seconds by the next event.

    :param origin: the host that the service calls itself.
    """

    def __init__(self, webhook: Webhook, options: Options, origin: str) -> None:
        self._webhook = webhook
        self._options = options
        self._origin = origin
        self._known: dict[str, _Validation] = {}

    async def verify(self, url: str) -> None:
        """Check that events may be sent; ``url`` has its ``{event}`` filled in.

        :raises NotValidError: if they may not.
        """
        known = self._known.setdefault(url, _Validation())
        if known.task is None and asyncio.get_running_loop().time() >= known.due:
            known.task = asyncio.create_task(self._validate(url, known))
        if known.task is not None and known.error != "":
            await asyncio.shield(known.task)  # others wait for it too
        if known.error:
            raise NotValidError(known.error)

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = [known.task for known in self._known.values() if known.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _validate(self, url: str, known: _Validation) -> None:
        try:
            async with asyncio.timeout(self._options.validation_seconds):
                answer = await self._ask(url)
            known.error = _judge(answer, url, self._origin)
        except TimeoutError:
            known.error = f"{show(url)} did not answer OPTIONS within {self._options.validation_seconds:g} seconds."
        except CallError as error:
            known.error = str(error)
        finally:
            known.task = None
        known.failures = known.failures + 1 if known.error else 0
        known.due = asyncio.get_running_loop().time() + pause_after(known.failures, self._options)

    async def _ask(self, url: str) -> Answer:
        headers = [("WebHook-Request-Origin", self._origin), ("ce-awpsversion", "1.0")]
        delays = self._options.retry_delays
        answer = await call_repeatedly(lambda: self._webhook.call("OPTIONS", url, headers), delays)
        if answer.status == 404:
            answer = await call_repeatedly(lambda: self._webhook.call("GET", url, headers), delays)
        return answer


def pause_after(failures: int, options: Options) -> float:
    """How many seconds later a URL is asked again, after so many failures in a row."""
    if not failures:
        return options.validation_cache_seconds
    first, longest = options.validation_retry_seconds
    return min(longest, first * 2.0 ** min(failures - 1, 30))


def _judge(answer: Answer, url: str, origin: str) -> str:
    """Why events may not be sent, and what to change; empty if they may."""
    # The header may come several times; the values of one are not taken apart.
    allowed = [value.strip() for name, value in answer.headers if name.lower() == "webhook-allowed-origin"]
    if 200 <= answer.status <= 299:
        if any(value.lower() in ("*", origin.lower()) for value in allowed):
            return ""
        if not allowed:
            return (
                f"{show(url)} answered OPTIONS with {answer.status} but without the header WebHook-Allowed-Origin: let "
                "the view answer OPTIONS itself (Flask does it for a route that does not) and add "
                "'WebHook-Allowed-Origin: *'."
            )
        others = ", ".join(map(repr, allowed))
        return f"{show(url)} allows events from {others} alone, and this service is {origin!r}: allow that, or '*'."
    return f"{show(url)} refused the validation with {answer.status}: {_advise(answer.status, origin)}"


def _advise(status: int, origin: str) -> str:
    match status:
        case 400:
            return f"the app does not trust the origin {origin!r}, set its connection string to this service's."
        case 401:
            return "the access code is missing or wrong, add ?code=... to the event handler's URL."
        case 403:
            return "the app lets nobody in, look for what protects its routes."
        case 404:
            return "there is no such route, set the event handler's URL to the app's webhook path."
        case 405:
            return "the route takes no OPTIONS, add it to the route's methods."
        case _ if 300 <= status <= 399:
            return "redirects are not followed, set the event handler's URL to where it leads."
    return "look at the app's log."
