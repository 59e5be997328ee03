"""What is wrong with an app's settings and connection strings."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from flask import Flask

from ..access import DEVELOPMENT_KEY, ServiceAccess
from ..dispatch import Dispatcher
from ..emulator.wiring import is_loopback
from ..errors import ConfigurationError
from ..registry import Trigger
from ..settings import CONNECTION_KEY, read_connections
from .findings import BODY_KEY, CODE_KEY, SETTINGS, STATE_KEY, UNSIGNED_KEY, Finding, Level, list_names
from .start import split_message

#: The largest message that the service takes from a client, in bytes.
MAX_MESSAGE_BYTES = 1024 * 1024
#: What common servers take for one header line, in bytes: gunicorn has 8190, nginx 8 KiB, each with the name.
MAX_HEADER_BYTES = 8190 - len("ce-connectionState: ")
#: Shorter access codes can be guessed.
MIN_CODE_LENGTH = 16
_AZURE_HOST = re.compile(r"[a-z0-9-]+\.webpubsub\.azure\.(com|us|cn)")


def check_settings(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    """Settings whose names nothing knows."""
    named = {key for handler in dispatcher.handlers for key in handler.trigger.connections or ()}
    known = sorted(SETTINGS)
    for key in app.config:
        if not key.startswith("WEBPUBSUB") or key in SETTINGS or key in named:
            continue
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
        meant = f"If you mean {close[0]}, set that." if close else "Take it out, or correct its name."
        yield Finding(Level.WARNING, key, "There is no setting of this name: it does nothing.", meant)


def check_connections(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    """Connection strings that no event can be checked with."""
    for key, users in _connections_in_use(dispatcher).items():
        try:
            accesses = read_connections(app.config, [key])
        except ConfigurationError as error:
            yield split_message(str(error))  # it was changed after the start
            continue
        for access in accesses:
            yield from _check_key(app, key, access, users, entra=dispatcher.settings.entra is not None)


def check_hosts(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    """Services that are none, or that are reached without TLS."""
    for key in _connections_in_use(dispatcher):
        for access in _read_quietly(app, key):
            yield from _check_host(key, access)


def check_signatures(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    """Events that are accepted without a signature."""
    unsigned = [handler for handler in dispatcher.handlers if handler.keys is None]
    if not dispatcher.handlers.unsigned:
        return
    everyone = "everyone who can reach the webhook can send them"
    level = Level.PROBLEM
    if dispatcher.settings.access_codes:
        everyone, level = "the access code is all that keeps others out", Level.WARNING
    if dispatcher.settings.allow_unsigned:
        cure = f"Take it out, and set {CONNECTION_KEY} to your service's connection string."
        yield Finding(level, UNSIGNED_KEY, f"Events are accepted without a signature: {everyone}.", cure)
    named = [str(handler.trigger) for handler in unsigned if handler.trigger.unsigned]
    if named:
        what = f"The events of {list_names(named)} are accepted without a signature: {everyone}."
        yield Finding(level, "connection=None", what, "Name a config key that holds a connection string.")


def check_access_code(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    """A webhook without a second factor, or with one that can be guessed."""
    codes = dispatcher.settings.access_codes
    if any(len(code) < MIN_CODE_LENGTH for code in codes):
        what = f"An access code has fewer than {MIN_CODE_LENGTH} characters: it can be guessed."
        yield Finding(Level.WARNING, CODE_KEY, what, "Make one with 'flask webpubsub code'.")
    elif codes:
        yield Finding(Level.OK, CODE_KEY, "Calls without the access code are refused.")
    elif not all(map(is_loopback, dispatcher.handlers.trusted_keys)):
        yield Finding(
            Level.WARNING,
            CODE_KEY,
            "No access code is set: whoever has seen one ce-signature can forge any event of that connection.",
            "Make one with 'flask webpubsub code', and give Azure the URL that 'flask webpubsub url' shows.",
        )


def check_limits(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    """Limits that messages or states do not fit into."""
    body, states = dispatcher.settings.max_body_bytes, dispatcher.settings.max_state_bytes
    if body < MAX_MESSAGE_BYTES:
        setting = "MAX_CONTENT_LENGTH" if app.config.get("MAX_CONTENT_LENGTH") == body else BODY_KEY
        what = f"A message may have 1 MiB, and one of more than {body} bytes is answered with 413."
        yield Finding(Level.WARNING, setting, what, "Raise it, unless your clients send no more.")
    if states > MAX_HEADER_BYTES:
        yield Finding(
            Level.WARNING,
            STATE_KEY,
            f"States may have {states} bytes, and common servers refuse a header of more than {MAX_HEADER_BYTES}: "
            "every later event of such a connection would fail with 431.",
            "Keep the default of 4096, or raise your server's limit too (gunicorn: --limit-request-field_size; nginx: "
            "large_client_header_buffers).",
        )
    if body >= MAX_MESSAGE_BYTES and states <= MAX_HEADER_BYTES:
        what = f"Messages may have {body} bytes, and the states of a connection {states}."
        yield Finding(Level.OK, "limits", what)


def _connections_in_use(dispatcher: Dispatcher) -> dict[str, list[Trigger]]:
    """The config keys of connection strings, each with the handlers whose events are checked with it."""
    found: dict[str, list[Trigger]] = {} if not dispatcher.settings.connections else {CONNECTION_KEY: []}
    for handler in dispatcher.handlers:
        if handler.keys is not None:
            for key in handler.trigger.connections or (CONNECTION_KEY,):
                found.setdefault(key, []).append(handler.trigger)
    return found


def _read_quietly(app: Flask, key: str) -> tuple[ServiceAccess, ...]:
    try:
        return read_connections(app.config, [key])
    except ConfigurationError:
        return ()  # which another check tells


def _check_key(app: Flask, key: str, access: ServiceAccess, users: list[Trigger], *, entra: bool) -> Iterator[Finding]:
    where = access.endpoint
    if access.key is None:
        if entra:
            yield Finding(Level.OK, key, f"Events of {access.host} are checked with a token of Microsoft Entra ID.")
            return
        never = f" {list_names(map(str, users))} can not be reached by it." if users else ""
        yield Finding(
            Level.PROBLEM,
            key,
            f"The connection string of {where} has no AccessKey: its events are refused with 401.{never}",
            "Copy the whole connection string, under 'Keys' of your Web PubSub resource in the Azure portal.",
        )
    elif access.key == DEVELOPMENT_KEY.encode():
        yield from _check_development_key(app, key)
    elif access.key.startswith(b"<"):
        what = f"The AccessKey of {where} is a placeholder, so that no signature holds."
        yield Finding(Level.PROBLEM, key, what, "Copy the key from the Azure portal, under 'Keys' of your resource.")
    else:
        yield Finding(Level.OK, key, f"Events of {access.host} are checked with its AccessKey.")


def _check_development_key(app: Flask, key: str) -> Iterator[Finding]:
    if app.config.get("WEBPUBSUB_ALLOW_DEVELOPMENT_KEY"):
        yield Finding(
            Level.PROBLEM,
            "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY",
            f"{key} holds the local emulator's key, which everybody knows, and the app takes it outside debug mode.",
            "Take it out, use 'flask --debug run' on your own machine, and your service's connection string elsewhere.",
        )
    else:
        yield Finding(
            Level.OK,
            key,
            "It is the local emulator's, which is for debug mode and tests alone: deployed, the app would not start.",
        )


def _check_host(key: str, access: ServiceAccess) -> Iterator[Finding]:
    host = access.host
    if "<" in host or host.startswith("example."):
        yield Finding(
            Level.PROBLEM,
            key,
            f"Its Endpoint {access.endpoint} is a placeholder: no service has this host.",
            "Copy the connection string from the Azure portal, under 'Keys' of your Web PubSub resource.",
        )
    elif not is_loopback(host) and urlsplit(access.endpoint).scheme == "http":
        what = f"Its Endpoint {access.endpoint} is without TLS: tokens would go over the network for all to read."
        yield Finding(Level.WARNING, key, what, f"Write https://{host} there.")
    elif not is_loopback(host) and not _AZURE_HOST.fullmatch(host):
        yield Finding(
            Level.WARNING,
            key,
            f"Its host {host} is not one of Azure Web PubSub. Events are taken if their WebHook-Request-Origin is this "
            "host, and from no other.",
            "If no event gets in, use the connection string with <name>.webpubsub.azure.com that the portal shows.",
        )
