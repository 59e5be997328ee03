"""Loads the app that a command is about, or says in a line why it can not."""

from __future__ import annotations

from typing import Any

import click
from flask import Flask
from flask.cli import NoAppException, ScriptInfo

from ..blueprint import EXTENSION_KEY
from ..dispatch import Dispatcher
from ..errors import ConfigurationError


class CommandError(click.ClickException):
    """Raised when a command can not do its work; shown without a traceback."""

    exit_code = 2


def load_app(info: ScriptInfo) -> Flask:
    """The app that ``--app`` or ``FLASK_APP`` names.

    :raises CommandError: if there is none, or its configuration can not work.
    """
    try:
        return info.load_app()
    except NoAppException as error:
        raise CommandError(error.message) from error
    except ConfigurationError as error:
        raise CommandError(f"{error}{_advise()}") from error


def load_dispatcher(info: ScriptInfo) -> tuple[Flask, Dispatcher]:
    """The app, and what the extension keeps with it.

    :raises CommandError: also if the app does not have the extension.
    """
    app = load_app(info)
    dispatcher: Dispatcher | None = app.extensions.get(EXTENSION_KEY)
    if dispatcher is None:
        raise CommandError(
            f"The app {app.name!r} does not have the extension: add WebPubSub(app), or call init_app(app) in the "
            "function that makes the app."
        )
    return app, dispatcher


def verify_url(context: click.Context, parameter: click.Parameter, url: str | None) -> str | None:
    """The callback of an option that names a URL to send signed events to."""
    if url is not None:
        from ..remote import verify_address  # only who asks for it needs HTTP

        try:
            verify_address(url)
        except ValueError as error:
            raise click.BadParameter(f"No events can be sent there: {error}") from error
    return url


def one_line(value: Any) -> str:
    """Text from elsewhere, with whatever a terminal could take for a command made visible."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(value))


def _advise() -> str:
    context = click.get_current_context(silent=True)
    command = "check" if context is None else context.info_name
    more = "" if command == "check" else "\n'flask webpubsub check' says more."
    return f"\nOn your own machine, with the emulator's key: flask --debug webpubsub {command}{more}"
