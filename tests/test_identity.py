"""Tokens of the service's managed identity, against an issuer on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask

pytest.importorskip("cryptography", reason="the extra 'entra' is not installed")

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flask_webpubsub import ConfigurationError, WebPubSub, event_rejected, issuer
from flask_webpubsub.settings import EntraSettings, read_settings
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import CONNECTION_STRING, HOST
from tests.local_issuer import (
    APPLICATION_ID,
    AUDIENCE,
    FIRST_DISCOVERY,
    FIRST_KEYS,
    OBJECT_ID,
    SECOND_DISCOVERY,
    SECOND_KEYS,
    TENANT,
    Act,
    LocalIssuer,
    answer,
    drip,
    hang,
    hang_up,
    private_key,
    public_jwk,
    serve_issuer,
    speak_no_http,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

pytestmark = pytest.mark.both_doors

KEYLESS = f"Endpoint=https://{HOST};Version=1.0;"
OTHER_ID = "77777777-aaaa-bbbb-cccc-888888888888"


class Webhook:
    """An app that checks tokens, and a service that brings one."""

    def __init__(self, **config: Any) -> None:
        self.app = Flask("app")
        self.app.config.update(TESTING=True, WEBPUBSUB_HUB="chat", **config)
        self.wps = WebPubSub(self.app)
        self.authorization: str | None = None
        self.handled: list[str] = []
        self.wps.on_connect(self.handle)
        self.client = self.wps.test_client(self.app)
        self.client.wsgi_app = self

    def handle(self, connection_id: str) -> None:
        self.handled.append(connection_id)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self.authorization is not None:
            environ["HTTP_AUTHORIZATION"] = self.authorization
        return self.app(environ, start_response)

    def status(self, authorization: str | None = None) -> int:
        """Send a ``connect`` with this header; gives the status of the answer."""
        self.authorization = authorization
        before = len(self.handled)
        connection = self.client.connect()
        status = connection.answer.status
        assert self.handled[before:] == ([connection.connection_id] if status < 300 else [])
        return status

    def with_token(self, token: str) -> int:
        return self.status(f"Bearer {token}")


@pytest.fixture
def entra() -> Iterator[LocalIssuer]:
    with serve_issuer() as served:
        yield served


def config_of(entra: LocalIssuer, **changes: Any) -> dict[str, Any]:
    return {
        "WEBPUBSUB_CONNECTION_STRING": KEYLESS,
        "WEBPUBSUB_ENTRA_TENANT": entra.authority,
        "WEBPUBSUB_ENTRA_AUDIENCE": AUDIENCE,
        "WEBPUBSUB_ENTRA_IDENTITIES": OBJECT_ID,
    } | changes


@pytest.fixture
def webhook(entra: LocalIssuer) -> Webhook:
    return Webhook(**config_of(entra))


# What is taken.


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_a_service_without_a_key_comes_in_with_its_token(
    entra: LocalIssuer, webhook: Webhook, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert webhook.with_token(entra.token(version)) == 204
    assert "AccessKey" not in caplog.text


@pytest.mark.parametrize("identity", [OBJECT_ID, APPLICATION_ID, OBJECT_ID.upper()])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_an_identity_is_known_by_its_object_id_or_its_application_id(
    entra: LocalIssuer, version: str, identity: str
) -> None:
    webhook = Webhook(**config_of(entra, WEBPUBSUB_ENTRA_IDENTITIES=[OTHER_ID, identity]))

    assert webhook.with_token(entra.token(version)) == 204


def test_one_of_several_audiences_is_enough(entra: LocalIssuer) -> None:
    webhook = Webhook(**config_of(entra, WEBPUBSUB_ENTRA_AUDIENCE=["api://other", AUDIENCE]))

    assert webhook.with_token(entra.token()) == 204


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {} ", "Bearer  {}"])
def test_the_header_may_be_written_in_any_of_the_usual_ways(entra: LocalIssuer, webhook: Webhook, form: str) -> None:
    assert webhook.status(form.format(entra.token())) == 204


def test_the_case_of_an_id_in_a_token_does_not_matter(entra: LocalIssuer, webhook: Webhook) -> None:
    assert webhook.with_token(entra.token(oid=OBJECT_ID.upper())) == 204


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -30), ("nbf", 30), ("iat", 30)])
def test_clocks_may_differ_a_little(entra: LocalIssuer, webhook: Webhook, claim: str, seconds: int) -> None:
    changes: dict[str, Any] = {claim: int(time.time()) + seconds}

    assert webhook.with_token(entra.token(**changes)) == 204


def test_a_token_without_a_version_is_one_of_the_first(entra: LocalIssuer, webhook: Webhook) -> None:
    assert webhook.with_token(entra.token(ver=None)) == 204


@pytest.mark.parametrize("end", ["", "/", "/v2.0", "/v2.0/"])
def test_the_tenant_may_be_the_url_of_either_version(entra: LocalIssuer, end: str) -> None:
    webhook = Webhook(**config_of(entra, WEBPUBSUB_ENTRA_TENANT=entra.authority + end))

    assert [webhook.with_token(entra.token(version)) for version in ("1.0", "2.0")] == [204, 204]


# What is refused.


def signed(entra: LocalIssuer, header: dict[str, Any], key: Any = None, **claims: Any) -> str:
    """A token with a header of its own."""
    algorithm = header.get("alg", "RS256")
    return jwt.encode(entra.claims(**claims), private_key("first") if key is None else key, algorithm, header)


def forge(entra: LocalIssuer, header: dict[str, Any], signature: bytes = b"") -> str:
    """A token that no library would make."""
    parts = [json.dumps(header).encode(), json.dumps(entra.claims()).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def hs256_with_the_public_key(entra: LocalIssuer) -> str:
    """Signed with what everybody knows, in the hope that it is taken for a shared secret."""
    pem = private_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = forge(entra, {"alg": "HS256", "typ": "JWT", "kid": "first"}).rpartition(".")[0]
    mac = hmac.new(pem, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def swap_claims(entra: LocalIssuer) -> str:
    """The claims of one token with the signature of another."""
    header, _, signature = entra.token(oid=OTHER_ID).split(".")
    return ".".join([header, entra.token().split(".")[1], signature])


def deep_header(entra: LocalIssuer) -> str:
    text = '{"alg":"RS256","kid":"first","x":' + "[" * 100_000 + "]" * 100_000 + "}"
    return ".".join([base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode(), *entra.token().split(".")[1:]])


NOW = int(time.time())  # the tests may run long after this module is read

#: A token, and what the log says of it.
REFUSED: dict[str, tuple[Callable[[LocalIssuer], str], str]] = {
    "expired": (lambda entra: entra.token(exp=NOW - 120), "has expired"),
    "too early": (lambda entra: entra.token(nbf=NOW + 24 * 3600), "is not valid yet"),
    "issued in the future": (lambda entra: entra.token(iat=NOW + 24 * 3600), "is not valid yet"),
    "without an end": (lambda entra: entra.token(exp=None), "lacks its end"),
    "without an issuer": (lambda entra: entra.token(iss=None), "lacks its end, its issuer"),
    "without an audience": (lambda entra: entra.token(aud=None), "or its audience"),
    "an end that is no number": (lambda entra: entra.token(exp="tomorrow"), "malformed"),
    "an endless end": (lambda entra: entra.token(exp=float("inf")), "malformed"),
    "of another tenant": (
        lambda entra: entra.token(iss=f"https://sts.example/{OTHER_ID}/", tid=OTHER_ID),
        f"from the issuer 'https://sts.example/{OTHER_ID}/'",
    ),
    "of another issuer": (lambda entra: entra.token(iss="https://evil.example/"), "from the issuer"),
    "of the other version's issuer": (lambda entra: entra.token("2.0", iss=entra.first_issuer), "from the issuer"),
    "of the issuer without its slash": (lambda entra: entra.token(iss=entra.first_issuer.rstrip("/")), "issuer"),
    "for another audience": (lambda entra: entra.token(aud="https://management.azure.com/"), "for the audience"),
    "for a longer audience": (lambda entra: entra.token(aud=f"{AUDIENCE}/"), "for the audience"),
    "of another identity": (
        lambda entra: entra.token(oid=OTHER_ID, appid=OTHER_ID),
        f"The token is of {{'oid': '{OTHER_ID}'",
    ),
    "of no identity": (lambda entra: entra.token(oid=None, appid=None), "The token is of {}"),
    "of an identity that is no text": (lambda entra: entra.token(oid=[OBJECT_ID], appid=1), "The token is of {}"),
    "with the identity elsewhere": (
        lambda entra: entra.token(oid=OTHER_ID, appid=None, sub=OBJECT_ID, idp=OBJECT_ID),
        "The token is of",
    ),
    "of a user": (lambda entra: entra.token(oid=OBJECT_ID, scp="access_as_user"), "given to a user"),
    "of an unknown version": (lambda entra: entra.token(ver="3.0"), "of version '3.0'"),
    "of a version that is no text": (lambda entra: entra.token(ver=[2]), "of version [2]"),
    "alg none": (lambda entra: forge(entra, {"alg": "none", "kid": "first"}), "signed by 'none'"),
    "alg None": (lambda entra: forge(entra, {"alg": "None", "kid": "first"}), "signed by 'None'"),
    "alg null": (lambda entra: forge(entra, {"alg": None, "kid": "first"}), "signed by None"),
    "no alg": (lambda entra: forge(entra, {"kid": "first"}), "signed by None"),
    "alg none with a signature": (
        lambda entra: forge(entra, {"alg": "none", "kid": "first"}, b"signature"),
        "signed by 'none'",
    ),
    "RS256 without a signature": (lambda entra: forge(entra, {"alg": "RS256", "kid": "first"}), "is not signed with"),
    "HS256 with the public key": (hs256_with_the_public_key, "signed by 'HS256'"),
    "RS512": (lambda entra: signed(entra, {"alg": "RS512", "kid": "first"}), "signed by 'RS512'"),
    "PS256": (lambda entra: signed(entra, {"alg": "PS256", "kid": "first"}), "signed by 'PS256'"),
    "an unknown key id": (lambda entra: entra.token(key="unknown"), "the key 'unknown'"),
    "no key id": (lambda entra: signed(entra, {}), "does not name the key"),
    "a key id that is no text": (lambda entra: forge(entra, {"alg": "RS256", "kid": 5}), "malformed"),
    "another key under a known id": (
        lambda entra: signed(entra, {"kid": "first"}, private_key("stolen")),
        "is not signed with the key that it names",
    ),
    "a key of its own": (
        lambda entra: signed(entra, {"kid": "stolen", "jwk": public_jwk("stolen")}, private_key("stolen")),
        "the key 'stolen'",
    ),
    "changed claims": (swap_claims, "is not signed with"),
    "a header that is nested too deep": (deep_header, "malformed"),
    "two parts": (lambda entra: entra.token().rpartition(".")[0], "malformed"),
    "no token at all": (lambda entra: "", "malformed"),
    "garbage": (lambda entra: "garbage", "malformed"),
    "no Unicode": (lambda entra: "g.\ud800.e", "malformed"),
    "not ASCII": (lambda entra: "gärbage.é.ü", "malformed"),
    "a list for claims": (lambda entra: "eyJhbGciOiJSUzI1NiIsImtpZCI6ImZpcnN0In0.W10.eA", "malformed"),
    "two tokens": (lambda entra: f"{entra.token()},Bearer {entra.token()}", "malformed"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_token_is_401_and_no_handler_runs(
    entra: LocalIssuer,
    webhook: Webhook,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[LocalIssuer], str],
    reason: str,
) -> None:
    token = make(entra)

    assert webhook.with_token(token) == 401
    assert webhook.client.connect().answer.body == b"Unauthorized"
    assert reason in caplog.messages[0]
    assert caplog.messages[0].startswith("Refused with 401: ")
    assert all(part not in caplog.text for part in token.split(".") if len(part) > 20)


NO_BEARER = {
    "no header": None,
    "empty": "",
    "the scheme alone": "Bearer",
    "another scheme": "Basic YWxpY2U6c2VjcmV0",
    "another scheme with the token": "Basic {}",
    "no scheme": "{}",
    "the scheme at the end": "{} Bearer",
}


@pytest.mark.parametrize("form", NO_BEARER.values(), ids=NO_BEARER)
def test_an_event_without_a_bearer_token_is_401(entra: LocalIssuer, webhook: Webhook, form: str | None) -> None:
    assert webhook.status(form and form.format(entra.token())) == 401
    assert entra.requests == []


def test_what_is_refused_names_no_secret_in_its_signal(entra: LocalIssuer, webhook: Webhook) -> None:
    seen: list[str] = []

    def receive(app: Flask, status: int, error: Exception, **extra: Any) -> None:
        seen.append(f"{status} {type(error).__name__} {error}")

    token = entra.token(oid=OTHER_ID, appid=OTHER_ID, email="alice@example.com")
    with event_rejected.connected_to(receive, webhook.app):
        webhook.with_token(token)
    assert [text.startswith("401 InvalidIdentityError") for text in seen] == [True]
    assert token not in seen[0]
    assert "alice" not in seen[0]


# Together with the signature.


def test_a_connection_with_a_key_needs_the_signature_and_the_token(entra: LocalIssuer) -> None:
    webhook = Webhook(**config_of(entra, WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING))

    assert webhook.status() == 401
    assert webhook.with_token(entra.token()) == 204
    webhook.client.keys = ["a guess"]
    assert webhook.with_token(entra.token()) == 401
    webhook.client.keys = []
    assert webhook.with_token(entra.token()) == 401


def test_nothing_is_fetched_for_a_forged_signature(entra: LocalIssuer) -> None:
    webhook = Webhook(**config_of(entra, WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING))
    webhook.client.keys = ["a guess"]

    assert webhook.with_token(entra.token()) == 401
    assert entra.requests == []


def test_one_host_with_a_key_and_without_one_needs_the_signature(entra: LocalIssuer) -> None:
    webhook = Webhook(**config_of(entra, WEBPUBSUB_CONNECTION_STRING=[KEYLESS, CONNECTION_STRING]))

    assert webhook.with_token(entra.token()) == 204
    webhook.client.keys = []
    assert webhook.with_token(entra.token()) == 401


def test_a_token_does_not_make_up_for_an_unknown_origin(entra: LocalIssuer, webhook: Webhook) -> None:
    webhook.client.origins = ["evil.example"]

    assert webhook.with_token(entra.token()) == 401


def test_the_connections_of_a_handler_need_the_token_too(entra: LocalIssuer) -> None:
    webhook = Webhook(**config_of(entra, OTHER="Endpoint=https://other.example;"))
    handled: list[str] = []
    webhook.wps.on_message(hub="chat", connection="OTHER")(lambda data: handled.append(data))

    assert webhook.with_token(entra.token()) == 204
    connection = webhook.client.connect()
    webhook.client.origins = ["other.example"]
    connection.send_text("with")
    webhook.authorization = None
    connection.send_text("without")
    assert handled == ["with"]


def test_a_handler_that_takes_unsigned_events_takes_them_without_a_token(webhook: Webhook) -> None:
    handled: list[str] = []
    webhook.wps.on_user_event("open", hub="chat", connection=None)(lambda data: handled.append(data))
    client = WebPubSubTestClient(webhook.app, connection_string=None, hub="chat", system_events=())

    client.connect().send_event("open", "hi")

    assert handled == ["hi"]


def test_a_stranger_does_not_learn_which_handlers_there_are(entra: LocalIssuer, webhook: Webhook) -> None:
    webhook.client.system_events = ()
    statuses = []
    for authorization in (None, f"Bearer {entra.token()}"):
        webhook.authorization = authorization
        connection = webhook.client.connect()
        connection.send_text("nobody handles this")
        statuses.append(connection.answer.status)

    assert statuses == [401, 404]


def test_the_validation_request_needs_no_token(entra: LocalIssuer, webhook: Webhook) -> None:
    assert webhook.client.validate()
    assert entra.requests == []


# The keys.


def test_the_keys_are_fetched_with_the_first_token_and_kept(entra: LocalIssuer, webhook: Webhook) -> None:
    assert entra.requests == []
    assert [webhook.with_token(entra.token()) for _ in range(5)] == [204] * 5
    assert entra.requests == [FIRST_DISCOVERY, FIRST_KEYS]
    assert webhook.with_token(entra.token("2.0")) == 204
    assert entra.requests == [FIRST_DISCOVERY, FIRST_KEYS, SECOND_DISCOVERY, SECOND_KEYS]


def at_once(count: int, ask: Callable[[], int]) -> list[int]:
    """Call a function in several threads at a time."""
    barrier = Barrier(count)
    results: list[int] = []

    def run() -> None:
        barrier.wait()
        results.append(ask())

    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def post_in_threads(webhook: Webhook, token: str, count: int = 8) -> list[int]:
    """Send an event in several threads at a time, each with a client of its own."""

    def ask() -> int:
        http = webhook.app.test_client()
        headers = {
            "WebHook-Request-Origin": HOST,
            "ce-type": "azure.webpubsub.sys.connect",
            "ce-eventName": "connect",
            "ce-hub": "chat",
            "ce-connectionId": "c-1",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {token}",
        }
        return http.post("/runtime/webhooks/webpubsub", headers=headers, data=b"{}").status_code

    return at_once(count, ask)


def test_several_threads_fetch_the_keys_once(entra: LocalIssuer, webhook: Webhook) -> None:
    assert post_in_threads(webhook, entra.token()) == [204] * 8
    assert entra.requests == [FIRST_DISCOVERY, FIRST_KEYS]


def test_a_new_key_is_found_when_a_token_names_it(
    entra: LocalIssuer, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer, "PAUSE_SECONDS", 0)
    assert webhook.with_token(entra.token()) == 204
    entra.keys = [public_jwk("second")]

    assert webhook.with_token(entra.token(key="second")) == 204
    assert entra.requests == [FIRST_DISCOVERY, FIRST_KEYS] * 2
    # The old one is not published any more.
    assert webhook.with_token(entra.token()) == 401


def test_several_threads_with_a_new_key_fetch_it_once(
    entra: LocalIssuer, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer, "PAUSE_SECONDS", 0)
    assert webhook.with_token(entra.token()) == 204
    entra.keys.append(public_jwk("second"))

    assert post_in_threads(webhook, entra.token(key="second")) == [204] * 8
    assert entra.requests == [FIRST_DISCOVERY, FIRST_KEYS] * 2


def test_made_up_key_ids_do_not_have_the_keys_fetched_each_time(entra: LocalIssuer, webhook: Webhook) -> None:
    assert webhook.with_token(entra.token()) == 204

    assert [webhook.with_token(entra.token(key="unknown")) for _ in range(5)] == [401] * 5
    assert entra.requests == [FIRST_DISCOVERY, FIRST_KEYS]


def test_old_keys_are_fetched_anew(entra: LocalIssuer, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    assert webhook.with_token(entra.token()) == 204
    monkeypatch.setattr(issuer, "FRESH_SECONDS", -1)
    monkeypatch.setattr(issuer, "PAUSE_SECONDS", 0)

    assert webhook.with_token(entra.token()) == 204
    assert entra.requests == [FIRST_DISCOVERY, FIRST_KEYS] * 2


@pytest.mark.parametrize(
    "keys",
    {
        "for encryption": [public_jwk("first", use="enc")],
        "for another algorithm": [public_jwk("first", alg="RS512")],
        "without an id": [{**public_jwk("first"), "kid": None}],
        "of another kind": [{"kty": "oct", "kid": "first", "use": "sig", "k": "c2VjcmV0"}],
        "broken": [public_jwk("first", n="!"), public_jwk("first", e=None), public_jwk("first", n=5)],
        "no object": ["first", None, 5],
    }.items(),
    ids=lambda item: item[0],
)
def test_keys_that_can_not_have_signed_are_left_out(
    entra: LocalIssuer, webhook: Webhook, keys: tuple[str, list[Any]]
) -> None:
    entra.keys = [*keys[1], public_jwk("second")]

    assert webhook.with_token(entra.token(key="second")) == 204
    assert webhook.with_token(entra.token()) == 401


# No keys.

#: What the issuer does instead of answering, and where.
NO_KEYS: dict[str, tuple[str, Act]] = {
    "500": (FIRST_DISCOVERY, answer(b"Sorry.", 500)),
    "404": (FIRST_KEYS, answer(b"", 404)),
    "no answer": (FIRST_DISCOVERY, hang),
    "no answer for the keys": (FIRST_KEYS, hang),
    "an answer without an end": (FIRST_DISCOVERY, drip),
    "keys without an end": (FIRST_KEYS, drip),
    "no connection": (FIRST_DISCOVERY, hang_up),
    "no HTTP": (FIRST_DISCOVERY, speak_no_http),
    "no JSON": (FIRST_DISCOVERY, answer(b"<html>")),
    "keys that are no JSON": (FIRST_KEYS, answer(b"\xff\x00")),
    "JSON that is nested too deep": (FIRST_KEYS, answer(b"[" * 100_000)),
    "a list": (FIRST_DISCOVERY, answer(b"[]")),
    "no issuer": (FIRST_DISCOVERY, answer(b'{"jwks_uri": "https://sts.example/keys"}')),
    "an issuer that is no text": (FIRST_DISCOVERY, answer(b'{"issuer": 5, "jwks_uri": "https://sts.example/keys"}')),
    "no address of the keys": (FIRST_DISCOVERY, answer(f'{{"issuer": "https://sts.example/{TENANT}/"}}'.encode())),
    "keys that are no list": (FIRST_KEYS, answer(b'{"keys": {}}')),
    "keys that are no object": (FIRST_KEYS, answer(b"5")),
    "no keys": (FIRST_KEYS, answer(b'{"keys": []}')),
}


@pytest.mark.parametrize(("path", "act"), NO_KEYS.values(), ids=NO_KEYS)
def test_no_event_comes_in_while_the_keys_can_not_be_had(
    entra: LocalIssuer,
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
    act: Act,
) -> None:
    monkeypatch.setattr(issuer, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(issuer, "RETRY_SECONDS", 0)
    entra.acts[path] = act

    assert webhook.with_token(entra.token()) == 503
    assert webhook.client.connect().answer.body == b"Service Unavailable"
    assert caplog.records[0].levelno == logging.ERROR
    assert f"The keys of '{entra.authority}/.well-known/openid-configuration' can not be had" in caplog.messages[0]
    # The service sends the event again, and by then they can be.
    monkeypatch.undo()
    monkeypatch.setattr(issuer, "RETRY_SECONDS", 0)
    entra.acts.clear()
    assert webhook.with_token(entra.token()) == 204


@pytest.mark.parametrize("path", [FIRST_DISCOVERY, FIRST_KEYS], ids=["discovery", "keys"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(entra: LocalIssuer, webhook: Webhook, path: str, status: int) -> None:
    entra.acts[path] = answer(b"", status, Location=f"{entra.url}/elsewhere")

    assert webhook.with_token(entra.token()) == 503
    assert "/elsewhere" not in entra.requests


def test_too_long_an_answer_is_not_read_to_its_end(entra: LocalIssuer, webhook: Webhook) -> None:
    keys = json.dumps({"keys": entra.keys}).encode()
    entra.acts[FIRST_KEYS] = answer(keys + b" " * issuer.MAX_BYTES)

    assert webhook.with_token(entra.token()) == 503


OTHER_ISSUERS = {
    "of another tenant": (TENANT, f"https://sts.example/{OTHER_ID}/"),
    "of all tenants": (TENANT, "https://sts.example/{tenantid}/"),
    "of all tenants, for a tenant by its name": ("contoso.example", "https://sts.example/{tenantid}/"),
}


@pytest.mark.parametrize(("tenant", "name"), OTHER_ISSUERS.values(), ids=OTHER_ISSUERS)
def test_the_discovery_document_must_be_the_tenants_own(entra: LocalIssuer, tenant: str, name: str) -> None:
    webhook = Webhook(**config_of(entra, WEBPUBSUB_ENTRA_TENANT=f"{entra.url}/{tenant}"))
    document = {"issuer": name, "jwks_uri": entra.url + FIRST_KEYS}
    entra.acts[f"/{tenant}/.well-known/openid-configuration"] = answer(json.dumps(document).encode())

    assert webhook.with_token(entra.token(iss=name)) == 503


def test_a_tenant_may_be_given_by_its_name(entra: LocalIssuer) -> None:
    webhook = Webhook(**config_of(entra, WEBPUBSUB_ENTRA_TENANT=f"{entra.url}/contoso.example"))
    document = json.dumps(entra.documents()[FIRST_DISCOVERY]).encode()
    entra.acts["/contoso.example/.well-known/openid-configuration"] = answer(document)

    assert webhook.with_token(entra.token()) == 204


def publish_elsewhere(entra: LocalIssuer, url: str) -> None:
    document = {"issuer": entra.first_issuer, "jwks_uri": url}
    entra.acts[FIRST_DISCOVERY] = answer(json.dumps(document).encode())


def test_keys_are_not_fetched_over_http_from_another_machine(entra: LocalIssuer, webhook: Webhook) -> None:
    # It is this machine in truth, by a name that does not say so.
    publish_elsewhere(entra, entra.url.replace("127.0.0.1", "127.1") + FIRST_KEYS)

    assert webhook.with_token(entra.token()) == 503
    assert entra.requests == [FIRST_DISCOVERY]


def test_keys_are_not_read_from_a_file(entra: LocalIssuer, webhook: Webhook, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"keys": entra.keys}))
    publish_elsewhere(entra, (tmp_path / "keys.json").as_uri())

    assert webhook.with_token(entra.token()) == 503


def test_an_issuer_that_is_down_lets_nobody_in() -> None:
    with serve_issuer() as entra:
        webhook = Webhook(**config_of(entra))
        token = entra.token()

    assert webhook.with_token(token) == 503


def test_an_issuer_that_is_down_is_not_asked_by_every_event(entra: LocalIssuer, webhook: Webhook) -> None:
    entra.acts[FIRST_DISCOVERY] = answer(b"", 500)

    assert [webhook.with_token(entra.token()) for _ in range(5)] == [503] * 5
    assert entra.requests == [FIRST_DISCOVERY]


def test_the_threads_that_wait_for_a_slow_issuer_do_not_each_wait_anew(
    entra: LocalIssuer, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer, "TIMEOUT_SECONDS", 0.2)
    entra.acts[FIRST_DISCOVERY] = hang

    assert post_in_threads(webhook, entra.token()) == [503] * 8
    assert entra.requests == [FIRST_DISCOVERY]


def test_a_malformed_token_is_401_whether_the_issuer_is_up_or_not(entra: LocalIssuer, webhook: Webhook) -> None:
    entra.acts[FIRST_DISCOVERY] = answer(b"", 500)

    assert webhook.with_token("garbage") == 401
    assert webhook.with_token(hs256_with_the_public_key(entra)) == 401
    assert entra.requests == []


def test_known_keys_serve_while_new_ones_can_not_be_had(
    entra: LocalIssuer, webhook: Webhook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert webhook.with_token(entra.token()) == 204
    entra.acts[FIRST_DISCOVERY] = answer(b"", 500)
    monkeypatch.setattr(issuer, "FRESH_SECONDS", -1)
    monkeypatch.setattr(issuer, "PAUSE_SECONDS", 0)

    assert webhook.with_token(entra.token()) == 204
    assert "The keys that are known are used further." in caplog.text
    # But one that is not known may be a new one: the service asks again.
    assert webhook.with_token(entra.token(key="second")) == 503


def test_known_keys_do_not_serve_for_ever(
    entra: LocalIssuer, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert webhook.with_token(entra.token()) == 204
    entra.acts[FIRST_DISCOVERY] = answer(b"", 500)
    monkeypatch.setattr(issuer, "KEEP_SECONDS", -1)
    monkeypatch.setattr(issuer, "RETRY_SECONDS", 0)

    assert webhook.with_token(entra.token()) == 503


def test_one_version_does_not_need_the_keys_of_the_other(entra: LocalIssuer, webhook: Webhook) -> None:
    entra.acts[SECOND_DISCOVERY] = answer(b"", 404)

    assert webhook.with_token(entra.token()) == 204
    assert webhook.with_token(entra.token("2.0")) == 503


# Settings.


def read(**changes: Any) -> EntraSettings | None:
    config = {
        "WEBPUBSUB_CONNECTION_STRING": KEYLESS,
        "WEBPUBSUB_ENTRA_TENANT": TENANT,
        "WEBPUBSUB_ENTRA_AUDIENCE": AUDIENCE,
        "WEBPUBSUB_ENTRA_IDENTITIES": OBJECT_ID,
    } | changes
    return read_settings({key: value for key, value in config.items() if value is not ...}).entra


def test_no_token_is_needed_unless_it_is_set() -> None:
    assert read_settings({"WEBPUBSUB_CONNECTION_STRING": CONNECTION_STRING}).entra is None


TENANTS = {
    TENANT: (f"https://login.microsoftonline.com/{TENANT}", TENANT),
    TENANT.upper(): (f"https://login.microsoftonline.com/{TENANT.upper()}", TENANT),
    f" {TENANT} ": (f"https://login.microsoftonline.com/{TENANT}", TENANT),
    "contoso.onmicrosoft.com": ("https://login.microsoftonline.com/contoso.onmicrosoft.com", None),
    f"https://login.microsoftonline.us/{TENANT}": (f"https://login.microsoftonline.us/{TENANT}", TENANT),
    f"https://login.microsoftonline.us/{TENANT}/v2.0": (f"https://login.microsoftonline.us/{TENANT}", TENANT),
    f"https://login.partner.microsoftonline.cn/{TENANT}/": (
        f"https://login.partner.microsoftonline.cn/{TENANT}",
        TENANT,
    ),
    "https://issuer.example/adfs": ("https://issuer.example/adfs", None),
    f"http://localhost:8080/{TENANT}": (f"http://localhost:8080/{TENANT}", TENANT),
}


@pytest.mark.parametrize(("value", "expected"), TENANTS.items(), ids=TENANTS)
def test_a_tenant_is_an_id_or_a_url(value: str, expected: tuple[str, str | None]) -> None:
    entra = read(WEBPUBSUB_ENTRA_TENANT=value)

    assert entra is not None
    assert (entra.authority, entra.tenant_id) == expected


WRONG: dict[str, tuple[str, Any]] = {
    "tenant None": ("WEBPUBSUB_ENTRA_TENANT", None),
    "tenant empty": ("WEBPUBSUB_ENTRA_TENANT", ""),
    "tenant blank": ("WEBPUBSUB_ENTRA_TENANT", "  "),
    "tenant no text": ("WEBPUBSUB_ENTRA_TENANT", 5),
    "tenant a list": ("WEBPUBSUB_ENTRA_TENANT", [TENANT]),
    "tenant missing": ("WEBPUBSUB_ENTRA_TENANT", ...),
    "tenant common": ("WEBPUBSUB_ENTRA_TENANT", "common"),
    "tenant organizations": ("WEBPUBSUB_ENTRA_TENANT", "https://login.microsoftonline.com/organizations/v2.0"),
    "tenant a host alone": ("WEBPUBSUB_ENTRA_TENANT", "https://login.microsoftonline.com"),
    "tenant a host and a version": ("WEBPUBSUB_ENTRA_TENANT", "https://login.microsoftonline.com/v2.0"),
    "tenant without https": ("WEBPUBSUB_ENTRA_TENANT", f"http://login.microsoftonline.com/{TENANT}"),
    "tenant in a file": ("WEBPUBSUB_ENTRA_TENANT", f"file:///{TENANT}"),
    "tenant with a query": ("WEBPUBSUB_ENTRA_TENANT", f"https://login.microsoftonline.com/{TENANT}?a=b"),
    "tenant of a user": ("WEBPUBSUB_ENTRA_TENANT", f"https://me@login.microsoftonline.com/{TENANT}"),
    "tenant no URL": ("WEBPUBSUB_ENTRA_TENANT", "https://[/tenant"),
    "audience None": ("WEBPUBSUB_ENTRA_AUDIENCE", None),
    "audience empty": ("WEBPUBSUB_ENTRA_AUDIENCE", ""),
    "audience an empty list": ("WEBPUBSUB_ENTRA_AUDIENCE", []),
    "audience an empty item": ("WEBPUBSUB_ENTRA_AUDIENCE", [AUDIENCE, ""]),
    "audience missing": ("WEBPUBSUB_ENTRA_AUDIENCE", ...),
    "identities None": ("WEBPUBSUB_ENTRA_IDENTITIES", None),
    "identities empty": ("WEBPUBSUB_ENTRA_IDENTITIES", ""),
    "identities an empty list": ("WEBPUBSUB_ENTRA_IDENTITIES", []),
    "identities with None": ("WEBPUBSUB_ENTRA_IDENTITIES", [OBJECT_ID, None]),
    "identities a name": ("WEBPUBSUB_ENTRA_IDENTITIES", "my-identity"),
    "identities a resource": ("WEBPUBSUB_ENTRA_IDENTITIES", f"/subscriptions/{OBJECT_ID}"),
    "identities in one text": ("WEBPUBSUB_ENTRA_IDENTITIES", f"{OBJECT_ID},{OTHER_ID}"),
    "identities everybody": ("WEBPUBSUB_ENTRA_IDENTITIES", "*"),
    "identities missing": ("WEBPUBSUB_ENTRA_IDENTITIES", ...),
}


@pytest.mark.parametrize(("key", "value"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_stops_the_app_at_start(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{key} (is|holds)"):
        read(**{key: value})


def test_unsigned_events_and_tokens_exclude_one_another() -> None:
    with pytest.raises(ConfigurationError, match="WEBPUBSUB_ALLOW_UNSIGNED would let events in without the token"):
        read(WEBPUBSUB_ALLOW_UNSIGNED=True)


START = """
import sys
from flask import Flask
from flask_webpubsub import ConfigurationError, WebPubSub
sys.modules[{blocked!r}] = None
app = Flask("app")
app.config.update({config!r})
try:
    WebPubSub(app)
except ConfigurationError as error:
    print(error)
"""


@pytest.mark.parametrize("blocked", ["jwt", "cryptography"])
def test_without_the_extra_the_app_says_at_start_what_to_install(blocked: str) -> None:
    config = {
        "WEBPUBSUB_CONNECTION_STRING": KEYLESS,
        "WEBPUBSUB_ENTRA_TENANT": TENANT,
        "WEBPUBSUB_ENTRA_AUDIENCE": AUDIENCE,
        "WEBPUBSUB_ENTRA_IDENTITIES": OBJECT_ID,
    }
    program = START.format(blocked=blocked, config=config)

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert "pip install 'flask-webpubsub[entra]'" in done.stdout, done.stderr
