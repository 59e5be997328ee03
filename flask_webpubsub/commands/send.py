"""``flask webpubsub send``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from flask.cli import ScriptInfo, pass_script_info

from .loading import load_dispatcher, verify_url

#: The versions of MQTT that a client can speak, as its users call them.
VERSIONS = ("3.1.1", "5.0")


def _split_pairs(context: click.Context, parameter: click.Parameter, texts: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    for text, (name, equals, _) in zip(texts, pairs, strict=True):
        if not equals or not name:
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE.")
    return [(name, value) for name, _, value in pairs]


def _pairs(name: str, text: str) -> Callable[[Any], Any]:
    help_text = f"{text}; can be given several times."
    return click.option(name, multiple=True, metavar="NAME=VALUE", callback=_split_pairs, help=help_text)


@click.command()
@click.argument("event", default="message")
@click.argument("data", required=False)
@click.option("--hub", help="The hub; without it, WEBPUBSUB_HUB or the only one that has handlers.")
@click.option("--user", help="The user id of the client; without it, the client is anonymous.")
@click.option("--json", "as_json", is_flag=True, help="The data is JSON.")
@click.option("--binary", is_flag=True, help="The data is binary, even if it could be text.")
@click.option("--file", type=click.File("rb"), help="A file with the data; - is standard input.")
@click.option("--user-event", is_flag=True, help="EVENT is a message, even if a system event has its name.")
@click.option("--connect", "connect_first", is_flag=True, help="Connect first, and keep the states that are set there.")
@_pairs("--state", "A state of the connection; its value is JSON, or else text")
@_pairs("--query", "connect: a value of the client's URL")
@_pairs("--claim", "connect: a claim of the client's token")
@_pairs("--header", "connect: a header of the client's handshake")
@click.option("--subprotocol", multiple=True, help="connect: a subprotocol that the client offers.")
@click.option("--group", help="joined, left: the group.")
@click.option("--reason", help="disconnected: the reason.")
@click.option("--mqtt", type=click.Choice(VERSIONS), help="The client speaks this version of MQTT.")
@click.option("--username", help="MQTT: the user name.")
@click.option("--password", help="MQTT: the password.")
@_pairs("--property", "MQTT: a user property of the packet")
@click.option("--url", callback=verify_url, help="Send to the app that is deployed there: https, or this machine.")
@pass_script_info
def send(info: ScriptInfo, /, event: str, data: str | None, url: str | None, **options: Any) -> None:
    """Send an event to the app, as the service would.

    EVENT is connect, connected, disconnected, joined, left, or the name of a message. DATA is its text.

    The event is signed with the app's own key, comes from a fresh connection, and goes to the app in this process. Its
    handler is called for real.

    \b
      flask webpubsub send message hello --user alice
      flask webpubsub send typing '{"in": "lobby"}' --json
      flask webpubsub send connect --user alice --query room=lobby
      flask webpubsub send message --file photo.jpg --connect
      flask webpubsub send connect --mqtt 5.0 --username thermometer

    The exit status is 1 if the app answers with an error or not at all, and 2 if the event can not be sent.
    """
    from .sending import send_event  # the other commands of 'flask' do without

    app, dispatcher = load_dispatcher(info)
    click.get_current_context().exit(send_event(app, dispatcher, event, data, url, options))
