"""An issuer of tokens on this machine, which publishes its keys as Microsoft Entra ID does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

TENANT = "11111111-aaaa-bbbb-cccc-222222222222"
AUDIENCE = "api://chat.example"
OBJECT_ID = "33333333-aaaa-bbbb-cccc-444444444444"
APPLICATION_ID = "55555555-aaaa-bbbb-cccc-666666666666"

FIRST_DISCOVERY = f"/{TENANT}/.well-known/openid-configuration"
SECOND_DISCOVERY = f"/{TENANT}/v2.0/.well-known/openid-configuration"
FIRST_KEYS = "/common/discovery/keys"
SECOND_KEYS = f"/{TENANT}/discovery/v2.0/keys"

#: Answers a request in its own way.
Act = Callable[[BaseHTTPRequestHandler], None]


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """A key of that name, the same one each time."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key_id: str, **changes: Any) -> dict[str, Any]:
    """The public half of a key, as an issuer publishes it."""
    public = RSAAlgorithm.to_jwk(private_key(key_id).public_key(), as_dict=True)
    return {"kty": "RSA", "n": public["n"], "e": public["e"], "use": "sig", "kid": key_id} | changes


class LocalIssuer:
    """What is published, and who asked for it.

    ``keys`` are those published; ``acts`` are answers of another kind by their paths.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.authority = f"{self.url}/{TENANT}"
        self.keys: list[Any] = [public_jwk("first")]
        self.acts: dict[str, Act] = {}
        self.requests: list[str] = []
        self.closing = Event()
        self.lock = Lock()

    @property
    def first_issuer(self) -> str:
        """The issuer of tokens of version 1.0, which has a host of its own in Azure too."""
        return f"https://sts.example/{TENANT}/"

    @property
    def second_issuer(self) -> str:
        """The issuer of tokens of version 2.0."""
        return f"{self.authority}/v2.0"

    def documents(self) -> Mapping[str, Any]:
        """What is published, by its path."""
        return {
            FIRST_DISCOVERY: {"issuer": self.first_issuer, "jwks_uri": self.url + FIRST_KEYS},
            SECOND_DISCOVERY: {"issuer": self.second_issuer, "jwks_uri": self.url + SECOND_KEYS},
            FIRST_KEYS: {"keys": self.keys},
            SECOND_KEYS: {"keys": self.keys},
        }

    def claims(self, version: str = "1.0", **changes: Any) -> dict[str, Any]:
        """What the token of the service's managed identity says. ``None`` leaves a claim out."""
        now = int(time.time())
        claims = {
            "aud": AUDIENCE,
            "iss": self.second_issuer if version == "2.0" else self.first_issuer,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "oid": OBJECT_ID,
            "sub": OBJECT_ID,
            "tid": TENANT,
            "ver": version,
            ("azp" if version == "2.0" else "appid"): APPLICATION_ID,
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, version: str = "1.0", *, key: str = "first", **changes: Any) -> str:
        """A token with such claims, signed with the key of that name."""
        return jwt.encode(self.claims(version, **changes), private_key(key), "RS256", {"kid": key})


@contextmanager
def serve_issuer() -> Iterator[LocalIssuer]:
    """Serve an issuer on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    issuer = server.issuer = LocalIssuer(server)  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        issuer.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        issuer: LocalIssuer = self.server.issuer  # type: ignore[attr-defined]
        with issuer.lock:
            issuer.requests.append(self.path)
        if self.path in issuer.acts:
            issuer.acts[self.path](self)
        elif self.path in issuer.documents():
            answer(json.dumps(issuer.documents()[self.path]).encode())(self)
        else:
            answer(b"", 404)(self)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def answer(body: bytes, status: int = 200, **headers: str) -> Act:
    """Answer with this."""

    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return act


def hang(handler: BaseHTTPRequestHandler) -> None:
    """Take the request, and say nothing until the issuer ends."""
    handler.server.issuer.closing.wait()  # type: ignore[attr-defined]
    handler.close_connection = True


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Send a blank now and then, so that there is always something, and never all of it."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    closing: Event = handler.server.issuer.closing  # type: ignore[attr-defined]
    try:
        while not closing.wait(0.02):
            handler.wfile.write(b" ")
    except OSError:  # whom it takes too long hangs up
        handler.close_connection = True


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


def speak_no_http(handler: BaseHTTPRequestHandler) -> None:
    """Answer with something that is no HTTP."""
    handler.wfile.write(b"hello\r\n\r\n")
    handler.close_connection = True
