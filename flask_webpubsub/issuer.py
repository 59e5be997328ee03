"""The keys that an issuer of tokens publishes: found by OpenID Connect discovery, fetched when needed, and kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, build_opener

# It is there only where PyJWT is installed together with cryptography.
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from .errors import InvalidIdentityError, KeysUnavailableError
from .settings import verify_safe_url
from .wire_json import read_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

logger = logging.getLogger("flask_webpubsub")

#: The one algorithm that Microsoft Entra ID signs with.
ALGORITHM = "RS256"
#: After this time the keys are fetched anew. Where that fails, those that are known are used further.
FRESH_SECONDS = 60 * 60
#: After this time keys are not used any more.
KEEP_SECONDS = 24 * 60 * 60
#: How long the keys are not fetched again for the sake of an unknown key id, which anybody can make up.
PAUSE_SECONDS = 30
#: How long it takes until the first keys are tried again. The service sends an event again after 1, 3 and 5 seconds.
RETRY_SECONDS = 5
#: How long a call of the issuer may take.
TIMEOUT_SECONDS = 5
#: How long its answer may be.
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Published:
    """What an issuer published.

    :param issuer: what the issuer is called in its tokens.
    :param keys: its keys by their ids.
    :param time: when they were fetched, by the monotonic clock in seconds.
    """

    issuer: str
    keys: Mapping[str, RSAPublicKey]
    time: float


class Issuer:
    """An issuer of tokens. Any number of threads may ask it for keys, and one of them fetches.

    :param url: where it is, without a ``/`` at its end. Its discovery document is below.
    :param tenant_id: what must stand in the issuer's name; ``None`` takes the name as it is.
    """

    def __init__(self, url: str, tenant_id: str | None = None) -> None:
        self._url = f"{url}/.well-known/openid-configuration"
        self._tenant_id = tenant_id
        self._lock = Lock()
        self._published: Published | None = None
        self._failure: str | None = None
        self._tried: float | None = None

    def find_key(self, key_id: str) -> tuple[str, RSAPublicKey]:
        """The name of the issuer, and its key of this id.

        :raises InvalidIdentityError: if it has no such key.
        :raises KeysUnavailableError: if it can not be asked.
        """
        published = self._find(key_id)
        if published is None:
            published = self._fetch_for(key_id)
        elif _age(published.time) > FRESH_SECONDS:
            self._refresh()
        if published is None:
            self._refuse(key_id)
        return published.issuer, published.keys[key_id]

    def _find(self, key_id: str) -> Published | None:
        published = self._usable()
        return published if published is not None and key_id in published.keys else None

    def _usable(self) -> Published | None:
        published = self._published
        return published if published is not None and _age(published.time) <= KEEP_SECONDS else None

    def _fetch_for(self, key_id: str) -> Published | None:
        # The others wait for the one that fetches, and find what it found.
        with self._lock:
            if self._find(key_id) is None and self._may_fetch():
                self._fetch()
        return self._find(key_id)

    def _refresh(self) -> None:
        if not self._may_fetch() or not self._lock.acquire(blocking=False):
            return
        try:
            self._fetch()
        finally:
            self._lock.release()
        if self._failure is not None:
            logger.warning("%s The keys that are known are used further.", self._failure)

    def _may_fetch(self) -> bool:
        pause = RETRY_SECONDS if self._usable() is None else PAUSE_SECONDS
        return self._tried is None or _age(self._tried) >= pause

    def _fetch(self) -> None:
        try:
            document = _get(self._url)
            issuer = self._read_issuer(document)
            keys = _read_keys(_get(_read_keys_url(document)))
        except (OSError, HTTPException, ValueError) as error:
            self._failure = f"The keys of {self._url!r} can not be had: {type(error).__name__}: {error}"
        else:
            self._failure = None
            self._published = Published(issuer, keys, monotonic())
        finally:
            self._tried = monotonic()

    def _read_issuer(self, document: Any) -> str:
        issuer = document.get("issuer") if isinstance(document, dict) else None
        if not isinstance(issuer, str) or not issuer:
            raise ValueError("The discovery document names no issuer.")
        # All tenants are '{tenantid}' in a document that is for all of them.
        if "{" in issuer or (self._tenant_id is not None and self._tenant_id not in issuer.lower()):
            raise ValueError(f"The discovery document is that of {issuer!r}.")
        return issuer

    def _refuse(self, key_id: str) -> NoReturn:
        if self._failure is not None:
            raise KeysUnavailableError(self._failure)
        raise InvalidIdentityError(f"The token names the key {key_id[:80]!r}, which is not found by {self._url!r}.")


def _age(time: float) -> float:
    return monotonic() - time


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect, so that it is an error."""


def _get(url: str) -> Any:
    """Read a JSON document.

    :raises OSError: if it can not be had in time; also an ``HTTPException``, if the answer is no HTTP.
    :raises ValueError: if it is no JSON, or too long.
    """
    deadline = monotonic() + TIMEOUT_SECONDS
    body = b""
    try:
        with cast(HTTPResponse, build_opener(_NoRedirects).open(url, timeout=TIMEOUT_SECONDS)) as response:
            # The time limit of a socket is for each piece, and a slow answer has many.
            while piece := response.read1(65536):
                body += piece
                if monotonic() > deadline:
                    raise TimeoutError(f"{url!r} took more than {TIMEOUT_SECONDS} seconds.")
                if len(body) > MAX_BYTES:
                    raise ValueError(f"{url!r} has more than {MAX_BYTES} bytes.")
    except HTTPError as error:
        error.close()
        raise
    try:
        return read_json(body)
    except ValueError as error:
        raise ValueError(f"{url!r} is no JSON.") from error


def _read_keys_url(document: dict[str, Any]) -> str:
    url = document.get("jwks_uri")
    if not isinstance(url, str):
        raise ValueError("The discovery document names no jwks_uri.")
    verify_safe_url(url)
    return url


def _read_keys(document: Any) -> dict[str, RSAPublicKey]:
    """The keys that tokens can be signed with. Any others are left out."""
    items = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise ValueError("The issuer publishes no list of keys.")
    keys = {item["kid"]: key for item in items if _can_sign(item) and (key := _read_key(item)) is not None}
    if not keys:
        raise ValueError(f"The issuer publishes no key for {ALGORITHM}.")
    return keys


def _can_sign(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("kid"), str)
        and item.get("kty") == "RSA"
        and item.get("use", "sig") == "sig"
        and item.get("alg", ALGORITHM) == ALGORITHM
    )


def _read_key(item: dict[str, Any]) -> RSAPublicKey | None:
    public = {name: item.get(name) for name in ("kty", "n", "e")}
    try:
        return cast("RSAPublicKey", RSAAlgorithm.from_jwk(public))
    except (InvalidKeyError, ValueError, TypeError, AttributeError) as error:
        logger.warning("The published key %r can not be read: %s", item["kid"][:80], type(error).__name__)
        return None
