"""``flask webpubsub``: the commands, and ``dev``, which runs an app and the emulator wired to each other."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click
from flask import Flask
from flask.cli import NoAppException, ScriptInfo, pass_script_info, show_server_banner
from flask.helpers import get_debug_flag
from werkzeug.serving import WSGIRequestHandler, is_running_from_reloader, run_simple

from .commands import COMMANDS
from .errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from .emulator.thread import ServiceThread
    from .emulator.wiring import Wiring

# How a reloaded app finds the emulator, which runs on in the process that watches the files.
_ENDPOINT_VARIABLE = "FLASK_WEBPUBSUB_EMULATOR"


class DevelopmentError(click.ClickException):
    """Raised when the development server can not start; shown in one line."""

    exit_code = 2


@click.group()
def webpubsub() -> None:
    """Look at the handlers of Azure Web PubSub events, try them, and run them on this machine."""


for _command in COMMANDS:
    webpubsub.add_command(_command)


@webpubsub.command()
@click.option("--host", "-h", default="127.0.0.1", help="The interface for the app to bind to.", show_default=True)
@click.option("--port", "-p", default=5000, type=click.IntRange(1, 65535), help="The app's port.", show_default=True)
@click.option("--reload/--no-reload", default=None, help="Start the app again when its code changes: on in debug mode.")
@click.option("--debugger/--no-debugger", default=None, help="Show a debugger for errors: on in debug mode.")
@pass_script_info
def dev(info: ScriptInfo, host: str, port: int, reload: bool | None, debugger: bool | None) -> None:
    """Run the app and a Web PubSub emulator, wired to each other.

    The emulator is where the app's connection string points, on this machine. Debug mode is on, unless
    'flask --no-debug' says otherwise.
    """
    # The local emulator's key is for debug mode alone.
    os.environ.setdefault("FLASK_DEBUG", "1")
    debug = get_debug_flag()
    reloaded = is_running_from_reloader()
    app, wiring = _load(info, f"http://{_reachable(host)}:{port}")
    if reloaded and wiring is not None:
        _tell_emulator(wiring)
    with nullcontext() if reloaded or wiring is None else _start_emulator(wiring, host, port):
        if not reloaded:
            show_server_banner(debug, info.app_import_path)
        run_simple(
            host,
            port,
            app,
            use_reloader=debug if reload is None else reload,
            use_debugger=debug if debugger is None else debugger,
            threaded=True,
            request_handler=_request_handler(wiring),
        )


def _load(info: ScriptInfo, base_url: str) -> tuple[Any, Wiring | None]:
    """The app and what it wants of the emulator. After a change, an app that can not be loaded shows its error."""
    try:
        app = info.load_app()
        return app, _wire(app, base_url)
    except Exception as error:
        if is_running_from_reloader():
            # As 'flask run' does: the next change may mend it.
            traceback.print_exc()
            return _Broken(error), None
        if isinstance(error, NoAppException):
            raise DevelopmentError(error.message) from error
        if isinstance(error, ConfigurationError):
            raise DevelopmentError(str(error)) from error
        raise


def _wire(app: Flask, base_url: str) -> Wiring:
    from .emulator.wiring import find_dispatcher, read_wiring

    if find_dispatcher(app) is None:
        raise DevelopmentError("The app does not have the extension: add WebPubSub(app), or init_app(app).")
    return read_wiring(app, base_url)


def _start_emulator(wiring: Wiring, host: str, port: int) -> ServiceThread:
    try:
        from .emulator.options import Options
        from .emulator.server import Service
        from .emulator.terminal import describe_service, has_colours, make_event_log, show_log_lines
        from .emulator.thread import ServiceThread, bind_host, listen
    except ModuleNotFoundError as error:
        from .emulator import explain_missing

        raise DevelopmentError(str(explain_missing(error))) from error

    identity = wiring.identity
    emulator_port = identity.port or 80
    if emulator_port == port:
        raise DevelopmentError(f"The app and the emulator can not both have port {port}: choose one with --port.")
    _verify_free(host, port)
    try:
        listener = listen(bind_host(identity.host), emulator_port)
    except OSError as error:
        raise DevelopmentError(
            f"The emulator can not listen at {identity.endpoint(emulator_port)}, where the connection string points: "
            f"{error.strerror or error}. Is another emulator running?"
        ) from error
    show_log_lines()
    # A developer who mends the app does not wait a minute until it is asked again.
    options = Options(retry_delays=(), validation_retry_seconds=(0.5, 2.0), validation_cache_seconds=5.0)
    service = Service(options, identity, events=make_event_log(click.echo, colour=has_colours()))
    service.wire(wiring)
    os.environ[_ENDPOINT_VARIABLE] = identity.endpoint(emulator_port)
    hubs = list(wiring.hubs) or ([wiring.hub] if wiring.hub else [])
    for line in describe_service(identity, emulator_port, hubs):
        click.echo(f" * {line}")
    click.echo(f" * Events go to {_webhook(wiring)}")
    return ServiceThread(service, listener)


def _tell_emulator(wiring: Wiring) -> None:
    """Tell the emulator, which runs on, what the changed app wants."""
    from .emulator.control import send_wiring

    endpoint = os.environ.get(_ENDPOINT_VARIABLE, "")
    try:
        if endpoint != wiring.identity.endpoint(wiring.identity.port or 80):
            raise ValueError("it points elsewhere now")
        send_wiring(wiring, endpoint)
    except (OSError, ValueError) as error:
        reason = str(error).rstrip(".")
        click.secho(f"The emulator does not fit the app any more ({reason}): start this command again.", fg="yellow")


def _verify_free(host: str, port: int) -> None:
    """Check that the app will have its port; werkzeug would say it at length."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise DevelopmentError(
            f"The app can not listen at {host}:{port}: {error.strerror or error}. Choose another port with --port."
        ) from error


def _reachable(host: str) -> str:
    """The host under which this machine reaches an app that is bound to ``host``."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 -- compared, and not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _webhook(wiring: Wiring) -> str:
    return wiring.default_hub[0].url_template.partition("?")[0]


def _request_handler(wiring: Wiring | None) -> type[WSGIRequestHandler]:
    """Writes no line for an event that went well: the emulator writes one for each."""
    path = None if wiring is None else "/" + _webhook(wiring).split("/", 3)[3]

    class RequestHandler(WSGIRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            asked = getattr(self, "path", "")  # which a malformed request lacks
            if path is None or asked.partition("?")[0] != path or not str(code).startswith("2"):
                super().log_request(code, size)

    return RequestHandler


class _Broken:
    """Stands for an app that can not be loaded: each request shows why."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        raise self._error from None
