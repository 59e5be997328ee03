"""Does the work of ``flask webpubsub send``: makes an event of the options, sends it, and prints the answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

import click
from flask import Flask

from ..dispatch import Dispatcher
from ..doctor.webhook import base_url
from ..emulator.advice import explain
from ..emulator.handlers import show
from ..enums import WebPubSubDataType, WebPubSubEventType
from ..errors import ConfigurationError, InvalidAnswerError
from ..mqtt import MqttConnectProperties, MqttProtocolVersion, MqttUserProperty
from ..registry import verify_event_name
from ..remote import CallError, RemoteWebhook
from ..settings import verify_hub
from ..testing import SYSTEM_EVENTS
from ..wire_json import read_json
from .answers import AnswerPrinter
from .loading import CommandError
from .remote import describe_risk, fill_path, find_identity
from .scripts import RecordingClient, Script, make_request, play

_VERSIONS = {"3.1.1": MqttProtocolVersion.V311, "5.0": MqttProtocolVersion.V500}


def send_event(
    app: Flask, dispatcher: Dispatcher, event: str, data: str | None, url: str | None, options: dict[str, Any]
) -> int:
    """Send an event as the options of the command say, and print what comes back: the exit status.

    :raises CommandError: if there is no such event.
    """
    script = _make_script(event, data, options)
    hub = _find_hub(options["hub"], dispatcher)
    client = _make_client(app, dispatcher, hub, script.event, url)
    who = "an anonymous client" if script.user_id is None else f"user {script.user_id!r}"
    where = f"the app {app.name!r} in this process" if url is None else show(fill_path(url, app))
    if url is not None:
        click.echo(describe_risk(url), err=True)
    click.echo(f"To {where}, hub {hub!r}, as {who}.")
    status = _send(client, script, url)
    if status and dispatcher.settings.entra is not None:
        click.echo("The app asks for a token of Microsoft Entra ID too, which only the service has.", err=True)
    return status


def _send(client: RecordingClient, script: Script, url: str | None) -> int:
    """Send, and print what comes back: the exit status."""
    problem: InvalidAnswerError | None = None
    no_answer: CallError | None = None
    try:
        play(client, script)
    except InvalidAnswerError as error:
        problem = error
    except CallError as error:
        no_answer = error
    except ValueError as error:
        raise CommandError(f"There can be no such event: {error}") from error
    codes = [] if client.access_code is None else [client.access_code]
    printer = AnswerPrinter(_secrets([*codes, *client.keys], client, url))
    failed = False
    for call in client.calls:
        click.echo(f"\n-> {call.event}, connection {call.connection_id}")
        printer.show(call.answer, call.seconds)
        unreadable = problem if call is client.calls[-1] else None
        if unreadable is not None or not 200 <= call.answer.status <= 299:
            failed = True
            click.secho(explain(make_request(client.hub, call, script), call.answer, unreadable), fg="red", err=True)
    if no_answer is not None:
        raise _NoAnswer(str(no_answer))
    return int(failed)


class _NoAnswer(click.ClickException):
    """Raised when nothing came back."""

    exit_code = 1


def _make_client(app: Flask, dispatcher: Dispatcher, hub: str, event: str, url: str | None) -> RecordingClient:
    identity = find_identity(app, hub, event)
    code_in_url = url is not None and "code" in dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    # The exception of a handler is logged and answered with 500, as it is when the app is served.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return RecordingClient(
        app if url is None else RemoteWebhook(fill_path(url, app)),
        connection_string=None,
        hub=hub,
        path=dispatcher.settings.path if url is None else "/",
        base_url=base_url(app),
        access_code=None if code_in_url else identity.access_code,
        keys=identity.keys,
        origins=[identity.origin],
        raise_exceptions=url is not None,
    )


def _find_hub(given: str | None, dispatcher: Dispatcher) -> str:
    hubs = dispatcher.handlers.hubs
    hub = given or dispatcher.settings.hub or (hubs[0] if len(hubs) == 1 else None)
    if hub is None:
        known = f" The app has handlers for {', '.join(map(repr, hubs))}." if hubs else ""
        raise CommandError(f"Name a hub with --hub.{known}")
    try:
        verify_hub(hub)
    except ConfigurationError as error:
        raise CommandError(str(error)) from error
    return hub


def _make_script(event: str, data: str | None, options: dict[str, Any]) -> Script:
    is_message = options["user_event"] or event.lower() not in SYSTEM_EVENTS
    name = event if is_message else event.lower()
    if is_message:
        try:
            verify_event_name(WebPubSubEventType.USER, name)
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
    _verify_options(name, is_message, data, options)
    values: dict[str, Any] = {}
    if is_message:
        values["data"], values["data_type"] = _read_data(data, options)
    properties = [MqttUserProperty(*pair) for pair in options["property"]]
    return Script(
        event=name,
        is_message=is_message,
        connect_first=options["connect_first"],
        user_id=options["user"],
        states={state: _read_state(text) for state, text in options["state"]},
        claims=_collect(options["claim"]),
        query=_collect(options["query"]),
        headers=_collect(options["header"]),
        subprotocols=options["subprotocol"],
        group=options["group"] or "",
        reason=options["reason"],
        mqtt=_make_mqtt(options, properties),
        properties=properties,
        **values,
    )


def _verify_options(name: str, is_message: bool, data: str | None, options: dict[str, Any]) -> None:
    """Refuse what would be left out in silence."""
    event = "" if is_message else name
    if not is_message and (data is not None or options["file"]):
        raise click.UsageError(f"{name} carries no data. For a message of this name, add --user-event.")
    if data is not None and options["file"]:
        raise click.UsageError("Give either DATA or --file.")
    if options["as_json"] and options["binary"]:
        raise click.UsageError("Give either --json or --binary.")
    if event in ("connect", "connected") and options["state"]:
        raise click.UsageError(
            f"A connection has no states of its own at {name}: they come from the answer to connect."
        )
    if event in ("joined", "left") and not options["group"]:
        raise click.UsageError(f"{name} needs a --group.")
    if options["group"] and event not in ("joined", "left"):
        raise click.UsageError("--group is for joined and left.")
    if options["reason"] is not None and event != "disconnected":
        raise click.UsageError("--reason is for disconnected.")
    asks = event == "connect" or options["connect_first"]
    for option in ("claim", "query", "header", "subprotocol"):
        if options[option] and not asks:
            raise click.UsageError(f"--{option} is for connect: add --connect to connect first.")
    for option in ("username", "password", "property"):
        if options[option] and not options["mqtt"]:
            raise click.UsageError(f"--{option} is for MQTT clients: add --mqtt 5.0.")


def _read_data(data: str | None, options: dict[str, Any]) -> tuple[Any, WebPubSubDataType]:
    raw: bytes = options["file"].read() if options["file"] else (data or "").encode(errors="surrogateescape")
    if options["binary"]:
        return raw, WebPubSubDataType.BINARY
    if options["as_json"]:
        try:
            return read_json(raw), WebPubSubDataType.JSON
        except ValueError as error:
            raise click.UsageError(f"The data is no JSON: {error}") from error
    try:
        return raw.decode(), WebPubSubDataType.TEXT
    except UnicodeDecodeError:
        return raw, WebPubSubDataType.BINARY


def _read_state(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        return text


def _collect(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _make_mqtt(options: dict[str, Any], properties: Sequence[MqttUserProperty]) -> MqttConnectProperties | None:
    if options["mqtt"] is None:
        return None
    password = options["password"]
    return MqttConnectProperties(
        protocol_version=_VERSIONS[options["mqtt"]],
        username=options["username"],
        password=None if password is None else password.encode(),
        user_properties=list(properties),
    )


def _secrets(known: Iterable[str], client: RecordingClient, url: str | None) -> set[str]:
    """What an answer may hold that is never printed: codes, keys and signatures, in the forms that they travel in."""
    codes = [code for name, code in parse_qsl(urlsplit(url or "").query) if name == "code"]
    plain = {*known, *codes}
    signatures = {token for call in client.calls for token in call.signature.replace("sha256=", "").split(",")}
    return {form for secret in plain for form in _forms(secret)} | signatures


def _forms(secret: str) -> list[str]:
    in_url = [quote(secret, safe=""), quote(secret), quote_plus(secret)]
    return [secret, *in_url, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], escape(secret)]
