"""What a handler puts off until its answer has gone out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import partial
from threading import Event
from typing import Any, ParamSpec, Protocol

logger = logging.getLogger("flask_webpubsub")

P = ParamSpec("P")

#: Where the path of an event leaves what its handler deferred, in the WSGI environ.
DEFERRED_KEY = "flask_webpubsub.deferred"
#: Where who sends an event may put a list into the WSGI environ, to which an event is added that tells of the end.
WAITING_KEY = "flask_webpubsub.waiting"

Call = partial[Any]


class App(Protocol):
    """What is needed of a Flask app."""

    def app_context(self) -> AbstractContextManager[Any]: ...

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]: ...


def defer(function: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
    """Call a function after the handler's answer has gone out, so that the client does not wait for it.

    It is called in a thread, within a context of the app and outside of any request. Several are called in their
    order. What it raises is logged. If the handler does not return, or what it returns is refused, nothing is called.

    :param function: may be a coroutine function, where the app can run one.
    :raises RuntimeError: if no handler is running.
    """
    handling = _current.get()
    if handling is None or handling.over:
        raise RuntimeError("defer() works while a handler of an event is running, and no handler is.")
    if handling.calls is None:
        handling.calls = []
    handling.calls.append(partial(function, *args, **kwargs))


def call_handler(handler: Callable[..., Any], arguments: dict[str, Any], environ: dict[str, Any]) -> Any:
    """Call a handler. If it returns, what it deferred is in the WSGI environ."""
    handling = _Handling()
    token = _current.set(handling)
    try:
        result = handler(**arguments)
    finally:
        _current.reset(token)
        handling.over = True
    if handling.calls:
        environ[DEFERRED_KEY] = handling.calls
    return result


def run_later(calls: Sequence[Call], app: App, waiting: list[Event] | None) -> None:
    """Make calls in the background, one after the other.

    :param waiting: what is found under :data:`WAITING_KEY`.
    """
    from .background import submit  # an app that defers nothing has no threads

    done = submit(partial(_run_all, calls, app))
    if waiting is not None:
        waiting.append(done)


class _Handling:
    """One call of a handler. It is made for each event, so it has nothing to set up."""

    calls: list[Call] | None = None
    over = False


def _run_all(calls: Sequence[Call], app: App) -> None:
    for call in calls:
        try:
            with app.app_context():
                app.ensure_sync(call.func)(*call.args, **call.keywords)
        except BaseException:  # not even SystemExit may end the thread
            logger.exception("The deferred function %s failed.", _name(call.func))


def _name(function: Callable[..., Any]) -> str:
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", type(function).__name__)
    return f"{module}.{name}" if module else name


_current: ContextVar[_Handling | None] = ContextVar("flask_webpubsub.deferred", default=None)
