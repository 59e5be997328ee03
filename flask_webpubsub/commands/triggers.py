"""``flask webpubsub triggers``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import click
from flask.cli import ScriptInfo, pass_script_info

from ..enums import WebPubSubEventType
from ..registry import Handler
from ..settings import CONNECTION_KEY
from .loading import load_dispatcher

_HEADINGS = ("Hub", "Type", "Event", "Protocol", "Function", "Connections")
_ORDER = [WebPubSubEventType.SYSTEM, WebPubSubEventType.PRESENCE, WebPubSubEventType.USER]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@pass_script_info
def triggers(info: ScriptInfo, as_json: bool) -> None:
    """Show the registered handlers.

    Connections are the config keys of the connection strings that events are checked with.
    """
    _, dispatcher = load_dispatcher(info)
    handlers = sorted(dispatcher.handlers, key=_sort_key)
    if as_json:
        click.echo(json.dumps([_describe(handler) for handler in handlers], indent=2))
    elif handlers:
        _print_table([_HEADINGS, *map(_row, handlers)])
    else:
        click.echo("No handlers are registered.")


def _sort_key(handler: Handler) -> tuple[str, int, str, str]:
    hub, event_type, name, protocols = handler.key
    return hub, _ORDER.index(event_type), name, protocols.value


def _describe(handler: Handler) -> dict[str, str | list[str]]:
    trigger = handler.trigger
    return {
        "hub": handler.hub,
        "eventType": trigger.event_type.value,
        "eventName": trigger.event_name,
        "clientProtocols": trigger.protocols.value,
        "function": str(trigger),
        "connections": [] if handler.keys is None else list(trigger.connections or (CONNECTION_KEY,)),
    }


def _row(handler: Handler) -> tuple[str, ...]:
    trigger = handler.trigger
    connections = "unsigned" if handler.keys is None else ", ".join(trigger.connections or (CONNECTION_KEY,))
    return (
        handler.hub,
        trigger.event_type.value,
        trigger.event_name,
        trigger.protocols.value,
        str(trigger),
        connections,
    )


def _print_table(rows: Sequence[Iterable[str]]) -> None:
    """Print rows as 'flask routes' does; the first one is the heading."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
