"""Calls of the webhook: real events that were damaged on the way, signed rightly, wrongly or not at all."""

from __future__ import annotations

import hmac
import json
from random import Random
from typing import Any
from urllib.parse import quote

from flask_webpubsub.messages import Answer
from tests.conftest import KEY
from tests.wire import replay

from .mutations import CANARY, json_value, one_in, some, spoil_bytes, spoil_json, spoil_text, text, write_json
from .oracle import has_code, is_signed, listening, verify_answer, verify_silence
from .webhook_app import (
    CODES,
    CONFIGS,
    DEFAULT_TRUST,
    HANDLED,
    KEYLESS_HOST,
    OTHER_HOST,
    OTHER_KEYS,
    OWN_KEY,
    SECRETS,
    TRUST,
    webhook,
)

_EVENTS = [replay.read(name) for name in [*replay.EVENTS, "validation"]]
_PATH = "/runtime/webhooks/webpubsub"
_PATHS = (_PATH, f"{_PATH}/", f"{_PATH}/connect", f"/{_PATH}", f"{_PATH}/..", f"{_PATH}x", "/%ff")
_METHODS = ("POST", "OPTIONS", "GET", "HEAD", "PUT", "DELETE", "post", "TRACE", "CONNECT", "PRI")
_TYPES = (
    "application/json",
    "text/plain; charset=utf-8",
    "application/octet-stream",
    "application/x-protobuf",
    "application/json; charset=utf-16",
    "APPLICATION/JSON",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "",
)
#: Headers that an event need not have, and some that ought to mean nothing.
_MORE = (
    ("ce-physicalConnectionId", "p1"),
    ("ce-sessionId", "s1"),
    ("ce-subprotocol", "mqtt"),
    ("ce-connectionState", "eyJrZXkiOiJhIn0="),
    ("x-webpubsub-metadata-trace", "t1"),
    ("mqtt-colour", "red"),
    ("Content-Length", "5"),
    ("Content-Length", "-1"),
    ("Content-Length", "99999999999999999999"),
    ("Content-Length", "\u0661"),
    ("Transfer-Encoding", "chunked"),
    ("Content-Encoding", "gzip"),
    ("ce_hub", "own"),
    ("ce_signature", "sha256=00"),
    ("x-functions-key", CODES[0]),
    ("Cookie", "session=eyJhIjoxfQ.garbage"),
    ("Authorization", "Bearer a.b.c"),
    ("Host", "evil.example/\u00e9"),
    ("X-HTTP-Method-Override", "GET"),
    ("Expect", "100-continue"),
    ("Upgrade", "websocket"),
)
_ORDER = {"count": 1, "name": "a", "parts": [{"count": 2}]}
_PRIVATE = {"ce-signature", "authorization", "x-functions-key"}

#: A request: the app that gets it, method, path, headers and body.
Request = dict[str, Any]


def make(random: Random) -> Request:
    """A call of the webhook."""
    event = random.choice(_EVENTS)
    headers = dict(event.headers)
    if random.randrange(4):
        headers |= zip(("ce-type", "ce-eventName", "ce-hub"), random.choice(HANDLED), strict=True)
    body = _make_body(random, event.body, headers)
    for _ in range(some(random, 1)):
        name, value = random.choice(_MORE)
        headers[name] = value
    if one_in(random, 4):
        headers["Content-Type"] = random.choice(_TYPES)
    _sign(random, headers)
    pairs = list(headers.items())
    for _ in range(some(random, 2)):
        pairs = _spoil_headers(random, pairs)
    # WSGI has Latin-1 here, and a test client any Unicode; a lone surrogate comes from neither.
    pairs = [(name, value.encode("utf-8", "replace").decode()) for name, value in pairs]
    method = random.choice(_METHODS) if one_in(random, 12) else event.method
    kind = random.choice(sorted(CONFIGS))
    return {"app": kind, "method": method, "path": _make_path(random, kind), "headers": pairs, "body": body}


def check(request: Request) -> None:
    """Send the request, and look at everything that came of it."""
    app = webhook(request["app"])
    call = replay.WireRequest(request["method"], request["path"], tuple(request["headers"]), request["body"])
    environ = call.environ()
    app.begin()
    with listening() as logged:
        answer = call.send(app.app)
    verify_answer(answer, whole=request["method"] != "HEAD")
    _verify_who_was_let_in(request, environ, answer)
    _verify_status(request, answer)
    _verify_nothing_leaks(request, answer, logged)


def _make_body(random: Random, body: bytes, headers: dict[str, str]) -> bytes:
    if headers.get("ce-eventName") in {"order", "pay"}:
        body = json.dumps(_ORDER).encode()
    match random.randrange(8):
        case 0 | 1 | 2:
            pass
        case 3 | 4 | 5 if body.startswith(b"{"):
            body = write_json(random, spoil_json(random, json.loads(body)))
        case 6:
            body = write_json(random, json_value(random))
        case _:
            body = spoil_bytes(random, body + CANARY.encode())
    headers["Content-Length"] = str(len(body))
    return body


def _sign(random: Random, headers: dict[str, str]) -> None:
    """Sign it as it stands, with a key that may be right or not; or leave the signature of the sample."""
    if one_in(random, 8):
        headers["ce-connectionId"] = spoil_text(random, headers.get("ce-connectionId", ""))
    if one_in(random, 6):
        headers["WebHook-Request-Origin"] = random.choice((OTHER_HOST, KEYLESS_HOST, f"x {OTHER_HOST}", "evil.example"))
    match random.randrange(12):
        case 0:
            return
        case 1:
            headers.pop("ce-signature", None)
            return
        case 2:
            headers["ce-signature"] = "sha256=" + "0" * 64
            return
    connection = headers.get("ce-connectionId", "").encode("utf-8", "surrogatepass")
    signature = f"sha256={hmac.new(_choose_key(random, headers).encode(), connection, 'sha256').hexdigest()}"
    if one_in(random, 8):
        signature = spoil_text(random, signature)
    headers["ce-signature"] = signature


def _choose_key(random: Random, headers: dict[str, str]) -> str:
    if one_in(random, 6):
        return random.choice((KEY, *OTHER_KEYS, OWN_KEY, ""))
    if headers.get("ce-hub") == "own":
        return OWN_KEY
    return random.choice(OTHER_KEYS) if OTHER_HOST in headers["WebHook-Request-Origin"] else KEY


def _spoil_headers(random: Random, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if not pairs:
        return [("ce-type", text(random))]
    index = random.randrange(len(pairs))
    name, value = pairs[index]
    match random.randrange(6):
        case 0:
            new = [(name, spoil_text(random, value))]
        case 1:
            new = []
        case 2:
            new = [(name, value), (name, spoil_text(random, value))]
        case 3:
            new = [(name, random.choice(pairs)[1])]
        case 4:
            new = [(name.replace("-", "_").swapcase(), value)]
        case _:
            new = [(name, value), (random.choice(_MORE)[0], text(random))]
    return pairs[:index] + new + pairs[index + 1 :]


def _make_path(random: Random, kind: str) -> str:
    path = random.choice(_PATHS) if one_in(random, 10) else _PATH
    if kind != "coded" and not one_in(random, 8):
        return path
    code = random.choice(CODES)
    match random.randrange(8):
        case 0:
            code = quote(spoil_text(random, code), errors="replace")
        case 1:
            code = text(random).encode("utf-8", "replace").decode().replace("#", "")
        case _:
            code = quote(code)
    return f"{path}?code={code}" + ("&code=guess" if one_in(random, 5) else "")


def _verify_who_was_let_in(request: Request, environ: dict[str, Any], answer: Answer) -> None:
    called = webhook(request["app"]).called
    assert len(called) <= 1
    for name, connection_id in called:
        assert is_signed(environ, TRUST.get(name, DEFAULT_TRUST)), f"{name} was called without a signature"
        assert connection_id == environ["HTTP_CE_CONNECTIONID"]
        assert request["method"] == "POST"
    if called or answer.status < 400:
        assert request["app"] != "coded" or has_code(environ, CODES), "let in without an access code"
    if answer.status < 400 and request["method"] == "POST":
        # Also where an answer of before is given again, and no handler called.
        trusts = [DEFAULT_TRUST, *TRUST.values()] if _may_be_open(environ) else [DEFAULT_TRUST, TRUST["own"]]
        assert any(is_signed(environ, trust) for trust in trusts), "answered without a signature"


def _may_be_open(environ: dict[str, Any]) -> bool:
    hub: str = environ.get("HTTP_CE_HUB", "")
    return hub.lower() == "open"


def _verify_status(request: Request, answer: Answer) -> None:
    app = webhook(request["app"])
    assert answer.status != 500 or app.may_fail(), f"500, and {app.refusals} were refused"
    assert answer.status < 501 or (answer.status == 503 and app.called), answer
    if not app.called:
        assert answer.status in {200, 204, 400, 401, 403, 404, 405, 409, 413}, answer


def _verify_nothing_leaks(request: Request, answer: Answer, logged: list[str]) -> None:
    headers = request["headers"]
    private = [value for name, value in headers if name.lower().replace("_", "-") in _PRIVATE]
    tokens = [token.partition("=")[2] for value in private for token in value.replace(",", " ").split()]
    shown = [value for name, value in headers if name.lower().replace("_", "-") not in _PRIVATE]
    body = request["body"].decode("utf-8", "replace")
    told = [answer.body.decode("utf-8", "replace"), *(value for _, value in answer.headers)]
    path = request["path"].partition("?")[0]
    verify_silence([*logged, *told], [*SECRETS, *tokens], said="\n".join([*shown, body, path]))
    verify_silence(logged, [CANARY], said="\n".join(shown))
    if answer.status in {401, 404, 405, 413}:  # others may be a handler's, now or before
        verify_silence(told, [CANARY])
