"""Looks for what keeps an app from getting its events: each finding says what is wrong, and what to change."""

from __future__ import annotations

import difflib
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from traceback import walk_tb
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder

from .access import DEVELOPMENT_KEY, ServiceAccess
from .blueprint import EXTENSION_KEY
from .codec import Delivery
from .dispatch import Dispatcher
from .emulator.wiring import is_loopback
from .enums import ClientProtocols, WebPubSubEventType
from .errors import ConfigurationError, WebPubSubError
from .extension import Hub, WebPubSub
from .messages import Answer
from .provisioning import PRESENCE_EVENTS, SYSTEM_EVENTS
from .registry import Handler, Trigger
from .settings import CONNECTION_KEY, read_connections
from .signals import event_rejected
from .signature import sign_connection
from .testing import WebPubSubTestClient

PATH_KEY = "WEBPUBSUB_PATH"
CODE_KEY = "WEBPUBSUB_ACCESS_CODE"
BODY_KEY = "WEBPUBSUB_MAX_BODY_BYTES"
STATE_KEY = "WEBPUBSUB_MAX_STATE_BYTES"
UNSIGNED_KEY = "WEBPUBSUB_ALLOW_UNSIGNED"

#: Every setting that there is.
SETTINGS = {
    CONNECTION_KEY,
    "WEBPUBSUB_HUB",
    PATH_KEY,
    CODE_KEY,
    BODY_KEY,
    STATE_KEY,
    UNSIGNED_KEY,
    "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY",
    "WEBPUBSUB_SCHEMA_ERRORS",
    "WEBPUBSUB_ONCE",
    "WEBPUBSUB_ONCE_STORE",
    "WEBPUBSUB_ONCE_SECONDS",
    "WEBPUBSUB_ENTRA_TENANT",
    "WEBPUBSUB_ENTRA_AUDIENCE",
    "WEBPUBSUB_ENTRA_IDENTITIES",
}

#: The largest message that the service takes from a client, in bytes.
MAX_MESSAGE_BYTES = 1024 * 1024
#: What common servers take for one header line, in bytes: gunicorn has 8190, nginx 8 KiB, each with the name.
MAX_HEADER_BYTES = 8190 - len("ce-connectionState: ")
#: Shorter access codes can be guessed.
MIN_CODE_LENGTH = 16

_AZURE_HOST = re.compile(r"[a-z0-9-]+\.webpubsub\.azure\.(com|us|cn)")


class Level(StrEnum):
    """How bad a finding is. With a problem, events do not come, or come from anybody."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found.

    :param setting: the key in ``app.config``, the decorator or the option that it is about.
    :param what: what is so, as a sentence.
    :param cure: what to change; empty where nothing needs to be.
    """

    level: Level
    setting: str
    what: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.level.value}: {self.setting}: {self.what}" + (f" {self.cure}" if self.cure else "")


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


def explain_start(error: Exception) -> Finding | None:
    """What keeps an app from starting; ``None`` if it has nothing to do with this package."""
    if isinstance(error, ConfigurationError):
        return _split(str(error))
    # A wrong argument of a handler, init_app called twice: what the package raises as it is set up.
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    own = [name for name in modules if name.startswith(f"{__package__}.") and ".commands" not in name]
    return _split(str(error)) if own else None


# One function for each thing that can be wrong, in the order in which a person would look.


def _check_settings(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    named = {key for handler in dispatcher.handlers for key in handler.trigger.connections or ()}
    known = sorted(SETTINGS)
    for key in app.config:
        if not key.startswith("WEBPUBSUB") or key in SETTINGS or key in named:
            continue
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
        meant = f"If you mean {close[0]}, set that." if close else "Take it out, or correct its name."
        yield Finding(Level.WARNING, key, "There is no setting of this name: it does nothing.", meant)


def _check_connections(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    for key, users in _connections_in_use(dispatcher).items():
        try:
            accesses = read_connections(app.config, [key])
        except ConfigurationError as error:
            yield _split(str(error))  # it was changed after the start
            continue
        for access in accesses:
            yield from _check_key(app, key, access, users, entra=dispatcher.settings.entra is not None)


def _check_hosts(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    for key in _connections_in_use(dispatcher):
        for access in _read_quietly(app, key):
            yield from _check_host(key, access)


def _check_signatures(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
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
        what = f"The events of {_list(named)} are accepted without a signature: {everyone}."
        yield Finding(level, "connection=None", what, "Name a config key that holds a connection string.")


def _check_access_code(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
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


def _check_handlers(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    yield from _find_lost_handlers(app)
    handlers = list(dispatcher.handlers)
    if not handlers:
        yield Finding(
            Level.PROBLEM,
            "@wps.on_message",
            "The app has no handlers: every event is answered with 404.",
            "Import the modules with your handlers where the app is made, and register their hubs with "
            "wps.register_hub(hub).",
        )
        return
    keys = {handler.key for handler in handlers}
    for handler in handlers:
        yield from _check_name(handler)
        hub, event_type, name, protocols = handler.key
        others = {(hub, event_type, name, own) for own in (ClientProtocols.MQTT, ClientProtocols.WEB_PUB_SUB)}
        if protocols is ClientProtocols.ALL and others <= keys:
            what = f"{handler.trigger} is never called: the event has a handler for MQTT and one for all other clients."
            yield Finding(Level.WARNING, _describe(handler.trigger), what, "Take one of the three out.")
    hubs = dispatcher.handlers.hubs
    what = f"{_count(len(handlers), 'handler')}, for the {'hub' if len(hubs) == 1 else 'hubs'} {_list(hubs)}."
    yield Finding(Level.OK, "handlers", what)


def _check_webhook(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    """Ask for validation and send a forged event, to see whether they get as far as the webhook."""
    path = dispatcher.settings.path
    other = _find_other_route(app, path)
    if other is not None:
        what = f"Calls of {path} go to {other}, which is another route of the app."
        yield Finding(Level.PROBLEM, PATH_KEY, what, f"Give that route another path, or set {PATH_KEY} to one.")
        return
    started = dispatcher.started
    with silent_log():
        found = [*_probe_validation(app, dispatcher), *_probe_event(app, dispatcher)]
    dispatcher.started = started  # these were no events
    yield from found
    if not found:
        what = f"Calls of {path} get as far as the webhook, and a forged event is refused."
        yield Finding(Level.OK, PATH_KEY, what)


def _check_limits(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
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


#: The checks by their names, which are those of the sections of the page on troubleshooting.
CHECKS: Mapping[str, Callable[[Flask, Dispatcher], Iterator[Finding]]] = {
    "settings": _check_settings,
    "connections": _check_connections,
    "hosts": _check_hosts,
    "signatures": _check_signatures,
    "access-code": _check_access_code,
    "handlers": _check_handlers,
    "webhook": _check_webhook,
    "limits": _check_limits,
}


# Connection strings.


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
        never = f" {_list(map(str, users))} can not be reached by it." if users else ""
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


# Handlers.


def _find_lost_handlers(app: Flask) -> Iterator[Finding]:
    """Hubs and extensions that stand in a module and are not of any app."""
    for name, value in _globals_of_the_project(app):
        if isinstance(value, Hub) and not value.registered and any(True for _ in value.triggers):
            what = f"The hub {value.name!r} of {name} is not registered: its handlers are never called."
            yield Finding(Level.PROBLEM, f"Hub({value.name!r})", what, f"Call wps.register_hub({name}).")
        elif isinstance(value, WebPubSub) and value.blueprint not in app.blueprints.values():
            what = f"{name} is not on the app {app.name!r}: its handlers are never called."
            yield Finding(
                Level.WARNING, "WebPubSub()", what, "Call its init_app(app), or use the one that the app has."
            )


def _globals_of_the_project(app: Flask) -> Iterator[tuple[str, Any]]:
    """Hubs and extensions in the modules that lie where the app lies, with their names."""
    seen: set[int] = set()
    for module_name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or "site-packages" in file or not Path(file).is_relative_to(app.root_path):
            continue
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if isinstance(value, Hub | WebPubSub) and id(value) not in seen:
                seen.add(id(value))
                yield f"{module_name}.{name}", value


def _check_name(handler: Handler) -> Iterator[Finding]:
    trigger = handler.trigger
    name = trigger.event_name
    known = {WebPubSubEventType.SYSTEM: SYSTEM_EVENTS, WebPubSubEventType.PRESENCE: PRESENCE_EVENTS}
    if trigger.event_type is WebPubSubEventType.USER:
        if name.lower() in (*SYSTEM_EVENTS, *PRESENCE_EVENTS):
            what = f"{trigger} waits for a message that clients send under the name {name!r}, not for the system event."
            decorator = {"joined": "on_group_joined", "left": "on_group_left"}.get(name.lower(), f"on_{name.lower()}")
            yield Finding(Level.WARNING, _describe(trigger), what, f"For that, use @wps.{decorator}.")
    elif name.lower() not in known[trigger.event_type]:
        names = _list(known[trigger.event_type])
        what = (
            f"{trigger} waits for a {trigger.event_type.value} event {name!r}, which the service is not known to send."
        )
        yield Finding(Level.WARNING, _describe(trigger), what, f"Use one of {names}.")


def _describe(trigger: Trigger) -> str:
    return f"{trigger.event_type.value} event {trigger.event_name!r}"


# The way to the webhook.


def _find_other_route(app: Flask, path: str) -> str | None:
    """The endpoint that gets a call of the webhook, if it is another one."""
    for method in ("POST", "OPTIONS"):
        for target in (path, f"{path}/validate"):
            request = app.request_class(EnvironBuilder(target, base_url(app)).get_environ())
            adapter = app.create_url_adapter(request)
            if adapter is None:
                continue
            try:
                endpoint, _ = adapter.match(target, method)
            except HTTPException:
                return "no route, or to one that takes no " + method
            if endpoint != "webpubsub.webhook":
                return repr(endpoint)
    return None


def base_url(app: Flask) -> str:
    """Where the app would say that it is; by https, as it is deployed."""
    trusted = app.config.get("TRUSTED_HOSTS") or ["localhost"]
    return f"https://{app.config.get('SERVER_NAME') or trusted[0].lstrip('.')}"


def _make_client(app: Flask, dispatcher: Dispatcher) -> WebPubSubTestClient:
    codes = dispatcher.settings.access_codes
    return WebPubSubTestClient(
        app,
        connection_string=None,
        hub=made_up_hub(),
        path=dispatcher.settings.path,
        base_url=base_url(app),
        access_code=codes[0].decode() if codes else None,
        keys=[token_hex()],
        origins=list(dispatcher.handlers.trusted_keys) or None,
    )


def made_up_hub() -> str:
    """A hub that has no handlers: an event of it can be sent to any app, and calls nothing."""
    return f"check_{token_hex(8)}"


def make_event(hub: str, origin: str, keys: Iterable[str]) -> Delivery:
    """A small message of a hub, from a fresh connection."""
    connection_id = uuid4().hex
    headers = [
        ("WebHook-Request-Origin", origin),
        ("ce-type", "azure.webpubsub.user.message"),
        ("ce-eventName", "message"),
        ("ce-hub", hub),
        ("ce-connectionId", connection_id),
        ("ce-signature", sign_connection(connection_id, [key.encode() for key in keys])),
        ("Content-Type", "text/plain; charset=utf-8"),
    ]
    return Delivery([(name, value) for name, value in headers if value], b"check")


def _probe_validation(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    client = _make_client(app, dispatcher)
    try:
        valid = client.validate()
    except Exception as error:
        yield _find_raising(app, error)
        return
    if not valid:
        what = (
            "The request by which the service asks whether it may send events is answered by another part of the app."
        )
        yield Finding(Level.PROBLEM, *_find_blame(app, what))


def _probe_event(app: Flask, dispatcher: Dispatcher) -> Iterator[Finding]:
    client = _make_client(app, dispatcher)
    rejections: list[WebPubSubError] = []

    def note(sender: object, error: WebPubSubError, **other: object) -> None:
        rejections.append(error)

    try:
        with event_rejected.connected_to(note, sender=app):
            answer = client.call("POST", make_event(client.hub, client.origin, client.keys))
    except Exception as error:
        yield _find_raising(app, error)
        return
    if not rejections:
        yield _find_obstacle(app, answer)
    elif answer.status != rejections[0].status:
        what = f"A refused event leaves the app with {answer.status} instead of {rejections[0].status}."
        cure = "Let after_request functions and error handlers leave the webhook's answers alone."
        yield Finding(Level.WARNING, "after_request", what, cure)


def _find_obstacle(app: Flask, answer: Answer) -> Finding:
    if answer.status == 400 and "csrf" in app.extensions:
        what = "CSRF protection refuses every event with 400, before the webhook sees it."
        return Finding(Level.PROBLEM, "CSRFProtect", what, "Exempt the webhook: csrf.exempt(wps.blueprint).")
    what = f"Another part of the app answers events, with {answer.status}, before the webhook sees them."
    return Finding(Level.PROBLEM, *_find_blame(app, what))


def _find_blame(app: Flask, what: str) -> tuple[str, str, str]:
    functions = app.before_request_funcs.get(None, [])
    if not functions:
        return "wsgi_app", what, "Look at the middleware around app.wsgi_app, and let it pass the webhook's path on."
    names = _list(f"{function.__module__}.{function.__qualname__}" for function in functions)
    cure = f"Begin with 'if request.blueprint == \"webpubsub\": return' where it is done: {names}."
    return "before_request", what, cure


def _find_raising(app: Flask, error: Exception) -> Finding:
    what = f"The app raises {type(error).__name__} before the webhook sees an event: {error}"
    return Finding(Level.PROBLEM, *_find_blame(app, what))


@contextmanager
def silent_log() -> Iterator[None]:
    """Keep what a check itself causes out of the log."""
    logger = logging.getLogger("flask_webpubsub")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


# Words.

_CONFIG_KEY = re.compile(r"app\.config\[(['\"])(?P<key>.+?)\1\]|\b(?P<name>WEBPUBSUB_[A-Z_]+)\b")
# Where a message goes on with what to do.
_CURE = re.compile(
    r"(?:(?<=\.)|[:;]) (?=(?:set|use|call|name|give|take|add|register|install|pip install|it can be|it has|it begins"
    r"|printable|for a service|microsoft entra id needs)\b)",
    re.IGNORECASE,
)
_CURES = {
    "is no connection string": "Copy the connection string from the Azure portal, under 'Keys' of your Web PubSub "
    "resource: Endpoint=https://<name>.webpubsub.azure.com;AccessKey=<key>;Version=1.0;",
    "has two handlers": "Take one out, or give one another hub= or client_protocols=.",
    "such as 'redis://": "Set it to 'redis://localhost:6379/0' and the like, or to 'memory://' for one process.",
}


def _split(message: str) -> Finding:
    """Make a finding of the message of an error: what is wrong, then what to do."""
    found = _CONFIG_KEY.search(message)
    setting = (found["key"] or found["name"]) if found else "handlers"
    for words, cure in _CURES.items():
        if words in message:
            return Finding(Level.PROBLEM, setting, message, cure)
    parts = _CURE.split(message, maxsplit=1)
    what = parts[0].rstrip(".:;") + "."
    cure = parts[1][0].upper() + parts[1][1:] if len(parts) > 1 else "Correct it."
    return Finding(Level.PROBLEM, setting, what, cure)


def _list(items: Iterable[str]) -> str:
    names = list(items)
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "none"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
