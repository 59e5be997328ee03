"""Texts that are read before anything is trusted: signatures, access codes, states, connection strings."""

from __future__ import annotations

import base64
import binascii
import json
from random import Random
from typing import Any
from urllib.parse import quote

from flask import Config

from flask_webpubsub import ConfigurationError, InvalidEventError, InvalidSignatureError
from flask_webpubsub.access import parse_connection_string
from flask_webpubsub.settings import read_settings
from flask_webpubsub.signature import MAX_TOKENS, sign_connection, verify_signature
from flask_webpubsub.states import decode_states, encode_states
from tests.conftest import HOST
from tests.wire import replay

from .mutations import json_value, one_in, some, spoil_bytes, spoil_json, spoil_text, text, write_json
from .oracle import has_code, is_signed, listening, verify_answer, verify_silence
from .webhook_app import CODES, SECRETS, webhook

# Signatures.

_KEYS = ["one-key", "\u00e9 ; = another key", "x"]


def make_signature(random: Random) -> dict[str, Any]:
    """A header ``ce-signature``, the connection that it is for, and the keys that are trusted."""
    connection = "".join(random.choice("abc019-_.~ ") for _ in range(1 + some(random, 20)))
    made = [sign_connection(connection, [key.encode()]) for key in random.sample(_KEYS, some(random, 3))]
    made += [random.choice(("sha256=" + "0" * 64, "sha1=00", text(random))) for _ in range(some(random, 3))]
    random.shuffle(made)
    header: str | None = random.choice((",", " ", ", ", ";")).join(made * (8 if one_in(random, 10) else 1))
    if one_in(random, 3):
        header = spoil_text(random, header or "")
    if one_in(random, 4):
        connection = connection[::-1]
    return {
        "header": None if one_in(random, 20) else header,
        "connection": connection,
        "keys": _KEYS[random.randrange(3) :],
    }


def check_signature(given: dict[str, Any]) -> None:
    """Whoever passes has a signature, and what stands in an error is not the signature."""
    header, connection, keys = given["header"], given["connection"], given["keys"]
    environ = {
        "HTTP_CE_CONNECTIONID": connection,
        "HTTP_CE_SIGNATURE": header or "",
        "HTTP_WEBHOOK_REQUEST_ORIGIN": HOST,
    }
    right = is_signed(environ, {HOST: keys})
    try:
        verify_signature(header, connection, [key.encode() for key in keys])
    except InvalidSignatureError as error:
        assert not right or not _is_acceptable(header), "a right signature is refused"
        verify_silence([str(error)], [*(header or "").replace(",", " ").split(), *keys])
    else:
        assert right, "a wrong signature passes"


def _is_acceptable(header: str) -> bool:
    return header.isascii() and len(header.replace(",", " ").split()) <= MAX_TOKENS


# Access codes.


def make_code(random: Random) -> dict[str, Any]:
    """A call that asks for validation, with a query and a header that may hold an access code."""
    pairs = []
    for _ in range(some(random, 4)):
        code = random.choice(CODES)
        name = spoil_text(random, "code") if one_in(random, 4) else "code"
        value = spoil_text(random, code) if one_in(random, 2) else code
        pairs.append(
            "=".join(quote(part, safe="%" if one_in(random, 3) else "", errors="replace") for part in (name, value))
        )
    header = random.choice((None, None, CODES[0], spoil_text(random, CODES[1]), text(random)))
    return {"query": random.choice(("&", "&", ";", "&&")).join(pairs), "header": header}


def check_code(given: dict[str, Any]) -> None:
    """A call passes if it brings a code, and otherwise not."""
    headers = [("WebHook-Request-Origin", HOST)]
    if given["header"] is not None:
        headers.append(("x-functions-key", given["header"]))
    call = replay.WireRequest("OPTIONS", "/runtime/webhooks/webpubsub", tuple(headers))
    environ = call.environ() | {"QUERY_STRING": given["query"]}
    app = webhook("coded")
    app.begin()
    with listening() as logged:
        answer = replay.send(app.app, environ)
    verify_answer(answer)
    assert answer.status == (200 if has_code(environ, CODES) else 401), answer
    verify_silence([*logged, repr(answer)], SECRETS)


# States.


def make_states(random: Random) -> str:
    """A header ``ce-connectionState``."""
    states = {text(random): json_value(random) for _ in range(some(random, 4))}
    body = write_json(random, spoil_json(random, states) if one_in(random, 3) else states)
    encode = base64.urlsafe_b64encode if one_in(random, 2) else base64.b64encode
    header = encode(spoil_bytes(random, body) if one_in(random, 6) else body).decode()
    if one_in(random, 3):
        header = header.rstrip("=")
    return spoil_text(random, header) if one_in(random, 3) else header


def check_states(header: str) -> None:
    """Only base64 of a JSON object is read, as the standard library reads it, and can be written again."""
    try:
        states = decode_states(header)
    except InvalidEventError as error:
        verify_silence([str(error)], [header])
        return
    again = encode_states(states)
    assert again.isascii()
    assert again.isprintable()
    assert decode_states(again) == states
    if header:
        assert states == json.loads(_read_base64(header))


def _read_base64(header: str) -> bytes:
    digits = header.strip().rstrip("=").replace("-", "+").replace("_", "/")
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))


# Connection strings.

_SECRET = "key-that-nobody-may-see"
_ITEMS = (
    "Endpoint=https://contoso.webpubsub.azure.com",
    f"AccessKey={_SECRET}",
    "Version=1.0",
    _SECRET,
    "Port=8080",
    "Endpoint=http://[::1]:7080",
    "endpoint = HTTPS://EXAMPLE.com:443/path?query#fragment",
    f"AccessKey={_SECRET};AccessKey={_SECRET}",
    "Endpoint=https://user:password@host",
    "Endpoint=https://h\u00f6st.example",
    "Port=0",
    "Port=65536",
    "Port=\u0661",
    "AccessKey=",
    "Endpoint=",
    "Endpoint=https://[",
    "Endpoint=https://host:port",
    "Endpoint=ftp://host",
)


def make_connection_string(random: Random) -> Any:
    """What may stand in a setting where a connection string, or a list of them, is due."""
    match random.randrange(10):
        case 0:
            return random.choice((None, 5, b"Endpoint=https://a", [], {}, True, [None], [[]], ""))
        case 1:
            return [_connection_string(random) for _ in range(some(random, 3))]
        case _:
            return _connection_string(random)


def check_connection_string(value: Any) -> None:
    """It is read, or it is an error that does not show the key; and what was read is right."""
    try:
        settings = read_settings(Config("", {"WEBPUBSUB_CONNECTION_STRING": value}))
    except ConfigurationError as error:
        shown, cause = str(error), error.__cause__
        verify_silence([shown, str(cause)], [_SECRET])
        return
    assert settings.connections, "nothing is trusted, and nothing is said of it"
    for access in settings.connections:
        assert access.host
        assert access.host == access.host.lower()
        assert access.endpoint.startswith(("http://", "https://"))
        assert access.key != b""
        key = "" if access.key is None else f"AccessKey={access.key.decode()};"
        assert parse_connection_string(f"Endpoint={access.endpoint};{key}") == access
        verify_silence([repr(access)], [_SECRET], said=access.endpoint)


def _connection_string(random: Random) -> str:
    items = [_ITEMS[index] for index in range(3)]
    for _ in range(some(random, 3)):
        items.insert(random.randrange(len(items) + 1), random.choice(_ITEMS))
    if one_in(random, 3):
        del items[random.randrange(len(items))]
    if one_in(random, 3):
        index = random.randrange(len(items))
        items[index] = spoil_text(random, items[index])
    joined = random.choice((";", "; ", ";;", "\n")).join(items)
    return spoil_text(random, joined) if one_in(random, 4) else joined
