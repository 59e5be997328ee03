"""Tokens of Microsoft Entra ID, from an issuer on this machine: changed before or after they were signed."""

from __future__ import annotations

import base64
import json
import time
from functools import cache
from random import Random
from typing import Any

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flask_webpubsub import WebPubSub
from flask_webpubsub.messages import Answer
from tests.conftest import HOST
from tests.local_issuer import APPLICATION_ID, AUDIENCE, OBJECT_ID, LocalIssuer, private_key, serve_issuer
from tests.wire import replay

from .mutations import json_value, one_in, some, spoil_text, text
from .oracle import listening, verify_answer, verify_silence
from .webhook_app import Webhook

#: Claims that are times. Inputs have them relative to now, so that an old finding is still one.
_TIMES = ("exp", "nbf", "iat")
_CLAIMS = ("aud", "iss", "oid", "appid", "azp", "ver", "scp", "tid", "sub", *_TIMES)
_ALGORITHMS = ("RS256", "none", "HS256", "RS512", "ES256", "rs256", "")
_LEEWAY_SECONDS = 60
_CONNECT = replay.read("connect")


def make(random: Random) -> dict[str, Any]:
    """How a token is made, and what is done to it then."""
    edits = [
        (random.randrange(1200), some(random, 400), text(random) if one_in(random, 2) else random.choice("Aa0.-_="))
        for _ in range(some(random, 2))
    ]
    return {
        "version": random.choice(("1.0", "2.0")),
        "claims": {random.choice(_CLAIMS): _claim(random) for _ in range(some(random, 3))},
        "header": {random.choice(("kid", "typ", "crit", "jku", "jwk", "x5c", "b64")): _value(random)}
        if one_in(random, 4)
        else {},
        "algorithm": random.choice(_ALGORITHMS) if one_in(random, 3) else "RS256",
        "key": random.choice(("first", "first", "first", "second")),
        "edits": edits,
        "scheme": random.choice(("Bearer ", "Bearer ", "bearer  ", spoil_text(random, "Bearer "))),
    }


def check(given: dict[str, Any]) -> None:
    """A handler is called for a good token, and for no other."""
    issuer, app = _parts()
    token = _make_token(issuer, given)
    app.begin()
    with listening() as logged:
        answer = _send(app, given["scheme"] + token)
    verify_answer(answer)
    # The issuer is gone, so that nobody knows of a key that it had not.
    assert answer.status in {204, 401, 503}, answer
    assert bool(app.called) is (answer.status == 204)
    if app.called:
        _verify_token(issuer, token.strip())
    elif _is_untouched(given):
        raise AssertionError("a good token is refused")
    verify_silence([*logged, repr(answer)], [token, *[part for part in token.split(".") if len(part) > 30]])


@cache
def _parts() -> tuple[LocalIssuer, Webhook]:
    """An issuer, and an app that has asked it for its keys already: it is not asked for those again."""
    with serve_issuer() as issuer:
        app = Webhook(
            WEBPUBSUB_CONNECTION_STRING=f"Endpoint=https://{HOST};Version=1.0;",
            WEBPUBSUB_ENTRA_TENANT=issuer.authority,
            WEBPUBSUB_ENTRA_AUDIENCE=AUDIENCE,
            WEBPUBSUB_ENTRA_IDENTITIES=OBJECT_ID,
        )
        wps = WebPubSub(app.app)

        @wps.on_connect
        def connect(connection_id: str) -> None:
            app.called.append(("connect", connection_id))

        for version in ("1.0", "2.0"):
            _send(app, f"Bearer {issuer.token(version)}")
        assert len(app.called) == 2
    return issuer, app


def _send(app: Webhook, authorization: str) -> Answer:
    return _CONNECT.changed({"Authorization": authorization}).send(app.app)


def _make_token(issuer: LocalIssuer, given: dict[str, Any]) -> str:
    claims = issuer.claims(given["version"])
    for name, value in given["claims"].items():
        claims[name] = _absolute(value) if name in _TIMES else value
    header = {"alg": given["algorithm"], "typ": "JWT", "kid": given["key"]} | given["header"]
    signed = f"{_encode(header)}.{_encode(claims)}"
    token = f"{signed}.{_sign(given['algorithm'], given['key'], signed.encode())}"
    for begin, count, inserted in given["edits"]:
        token = token[:begin] + inserted + token[begin + count :]
    return token.encode("latin-1", "replace").decode("latin-1")


def _encode(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _sign(algorithm: str, key: str, signed: bytes) -> str:
    if algorithm == "none":
        return ""
    if algorithm == "HS256":  # with what everybody knows
        public = private_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).hash_alg(public).digest()
    else:
        signature = private_key(key).sign(signed, PKCS1v15(), SHA256())
    return base64.urlsafe_b64encode(signature).rstrip(b"=").decode()


def _verify_token(issuer: LocalIssuer, token: str) -> None:
    """What a token must be, by RFC 7515 and what the app is set to trust."""
    header, claims, signature = (_decode(part) for part in token.split("."))
    try:
        private_key("first").public_key().verify(signature, token.rpartition(".")[0].encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        raise AssertionError("a token with a wrong signature passes") from None
    assert json.loads(header)["alg"] == "RS256"
    found = json.loads(claims)
    audiences = found["aud"] if isinstance(found["aud"], list) else [found["aud"]]
    now = time.time()
    assert AUDIENCE in audiences
    assert found["iss"] == (issuer.second_issuer if found.get("ver", "1.0") == "2.0" else issuer.first_issuer)
    assert int(found["exp"]) > now - _LEEWAY_SECONDS - 5
    assert int(found.get("nbf", 0)) < now + _LEEWAY_SECONDS + 5
    assert "scp" not in found
    assert OBJECT_ID in {str(found.get(name)).lower() for name in ("oid", "appid", "azp")}


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _is_untouched(given: dict[str, Any]) -> bool:
    changed = given["claims"] or given["header"] or given["edits"] or given["algorithm"] != "RS256"
    return not changed and given["key"] == "first" and given["scheme"] == "Bearer "


def _absolute(value: Any) -> Any:
    return int(time.time()) + value if isinstance(value, int) and abs(value) < 10**6 else value


def _claim(random: Random) -> Any:
    match random.randrange(3):
        case 0:
            return random.choice((AUDIENCE, OBJECT_ID, APPLICATION_ID, "1.0", "2.0", [AUDIENCE], [OBJECT_ID]))
        case 1:
            return random.choice((0, 30, -30, 3600, -3600, 10**30, -(10**30), 1.5, True))
        case _:
            return json_value(random)


def _value(random: Random) -> Any:
    return random.choice(("first", "second", "../first", ["exp"], {"kty": "RSA"}, "http://127.0.0.1/", None, 5, True))
