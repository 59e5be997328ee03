"""Run the emulator alone: ``python -m flask_webpubsub.emulator``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from ..access import DEVELOPMENT_KEY
from ..errors import ConfigurationError
from . import explain_missing

DEFAULT_PORT = 7080
DEFAULT_HANDLER = "http://localhost:5000/runtime/webhooks/webpubsub"

try:
    from .handlers import verify_template
    from .names import InvalidNameError, verify_hub
    from .options import SYSTEM_EVENTS, EventHandler, HubSettings, Options
    from .server import Service
    from .terminal import describe_service, has_colours, make_event_log, show_log_lines
    from .thread import bind_host, listen
    from .wiring import DEFAULT_SYSTEM_EVENTS, Identity
except ModuleNotFoundError as error:
    print(explain_missing(error), file=sys.stderr)  # noqa: T201
    sys.exit(2)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line: the whole usage would hide what is wrong."""
        self.exit(2, f"{self.prog}: {message} (--help shows all options)\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, and serve until the process is told to stop.

    Ends the process with status 2 if that can not work.
    """
    parser = _make_parser()
    given = parser.parse_args(arguments)
    try:
        options = _make_options(given)
        identity = Identity(given.host.lower(), given.port, tuple(given.key or [DEVELOPMENT_KEY]))
        _verify_keys(identity.keys)
        listener = listen(given.bind or bind_host(identity.host), given.port)
    except (ConfigurationError, InvalidNameError) as error:
        parser.error(str(error))
    except (OSError, OverflowError) as error:
        parser.error(f"port {given.port} can not be used: {error}. Is an emulator running? --port takes another.")
    asyncio.run(_serve(options, identity, listener, given))


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m flask_webpubsub.emulator",
        description="A stand-in for Azure Web PubSub on this machine, for development and tests only.",
    )
    add = parser.add_argument
    add("--host", default="localhost", help="the host of the endpoint, which events name too (%(default)s)")
    add("--port", type=int, default=DEFAULT_PORT, help="the port to listen at, 0 for a free one (%(default)s)")
    add("--bind", metavar="ADDRESS", help="the address to listen at, 127.0.0.1 if not given; 0.0.0.0 for all")
    add("--key", action="append", help="an AccessKey; given twice, the second is the secondary key")
    add("--hub", action="append", help="send the events of this hub alone; may be given several times")
    add(
        "--handler",
        action="append",
        metavar="[HUB=]URL",
        help=f"where events go, for one hub or all; {{hub}} and {{event}} are replaced ({DEFAULT_HANDLER})",
    )
    add("--user-events", default="*", metavar="NAMES", help="the user events to send, with commas between (all)")
    add(
        "--system-events",
        default=",".join(DEFAULT_SYSTEM_EVENTS),
        metavar="NAMES",
        help=f"the system events to send, of {','.join(SYSTEM_EVENTS)} (%(default)s)",
    )
    add("--allow-anonymous", action="store_true", help="let clients connect without a token")
    add("--allowed-host", action="append", default=[], metavar="NAME", help="another name of this machine to answer to")
    add("--no-retries", action="store_true", help="send each event once, even if the app fails")
    return parser


def _make_options(given: argparse.Namespace) -> Options:
    system_events = tuple(name.strip().lower() for name in given.system_events.split(",") if name.strip())
    for name in system_events:
        if name not in SYSTEM_EVENTS:
            raise ConfigurationError(f"--system-events: {name!r} is none of {', '.join(SYSTEM_EVENTS)}.")
    hubs: dict[str, list[EventHandler]] = {name: [] for name in given.hub or []}
    everywhere: list[EventHandler] = []
    for text in given.handler or [DEFAULT_HANDLER]:
        hub, url = _split_handler(text)
        verify_template(url)
        handler = EventHandler(url_template=url, user_events=given.user_events, system_events=system_events)
        (everywhere if hub is None else hubs.setdefault(hub, [])).append(handler)
    for name, handlers in hubs.items():
        verify_hub(name)
        handlers.extend(everywhere)
    anonymous = given.allow_anonymous
    options = Options(
        hubs={name: HubSettings(event_handlers=found, allow_anonymous=anonymous) for name, found in hubs.items()},
        default_hub=HubSettings(event_handlers=() if given.hub else everywhere, allow_anonymous=anonymous),
    )
    return replace(options, retry_delays=()) if given.no_retries else options


def _split_handler(text: str) -> tuple[str | None, str]:
    """The hub and the URL of ``hub=url``; a URL may hold ``=`` too, after its scheme."""
    hub, equals, url = text.partition("=")
    return (hub.strip(), url.strip()) if equals and ":" not in hub else (None, text.strip())


def _verify_keys(keys: Sequence[str]) -> None:
    for key in keys:
        if len(key) < 32 or not key.isprintable() or ";" in key or key != key.strip():
            raise ConfigurationError("--key: an AccessKey has at least 32 characters, no ';' and no blanks around it.")
    if len(keys) > 2:
        raise ConfigurationError("--key: a service has two keys at most.")


async def _serve(options: Options, identity: Identity, listener: socket.socket, given: argparse.Namespace) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not the loop's own way to do it, which Windows lacks.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    show_log_lines()
    service = Service(options, identity, hosts=given.allowed_host, events=make_event_log(_write, colour=has_colours()))
    try:
        await service.start(listener)
        for line in describe_service(identity, listener.getsockname()[1], given.hub or []):
            _write(f" * {line}")
        for url in given.handler or [DEFAULT_HANDLER]:
            _write(f" * Events go to {url.partition('?')[0]}")
        await stop.wait()
    finally:
        await service.stop()


def _write(line: str) -> None:
    # At once, also into a pipe: somebody may be waiting for it.
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
