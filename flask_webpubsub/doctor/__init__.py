"""Looks for what keeps an app from getting its events: each finding says what is wrong, and what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from flask import Flask

from ..blueprint import EXTENSION_KEY
from ..dispatch import Dispatcher
from .configuration import (
    check_access_code,
    check_connections,
    check_hosts,
    check_limits,
    check_settings,
    check_signatures,
)
from .findings import SETTINGS, Finding, Level
from .handlers import check_handlers
from .start import explain_start
from .webhook import check_webhook

__all__ = ["CHECKS", "SETTINGS", "Finding", "Level", "examine", "explain_start"]


def examine(app: Flask) -> Iterator[Finding]:
    """All findings about an app. No handler is called; what runs before each request is."""
    dispatcher: Dispatcher | None = app.extensions.get(EXTENSION_KEY)
    if dispatcher is None:
        yield Finding(
            Level.PROBLEM,
            "WebPubSub",
            f"The app {app.name!r} does not have the extension.",
            "Add WebPubSub(app), or call init_app(app) in the function that makes the app.",
        )
        return
    for check in CHECKS.values():
        yield from check(app, dispatcher)


#: The checks by their names, which are those of the sections of the page on troubleshooting.
CHECKS: Mapping[str, Callable[[Flask, Dispatcher], Iterator[Finding]]] = {
    "settings": check_settings,
    "connections": check_connections,
    "hosts": check_hosts,
    "signatures": check_signatures,
    "access-code": check_access_code,
    "handlers": check_handlers,
    "webhook": check_webhook,
    "limits": check_limits,
}
