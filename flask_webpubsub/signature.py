"""Sign a connection id as the service does, and verify that it did."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from functools import lru_cache

from itsdangerous.signer import HMACAlgorithm

from .errors import InvalidSignatureError

#: The service signs once for each of its two keys; more tokens than this are not looked at.
MAX_TOKENS = 16


class _StartedHMAC(HMACAlgorithm):
    """HMAC-SHA256 that takes in each key once, and not again for each event."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        mac = _start(key).copy()
        mac.update(value)
        return mac.digest()


@lru_cache(maxsize=64)  # the keys of an app's settings
def _start(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod=hashlib.sha256)


_ALGORITHM = _StartedHMAC(hashlib.sha256)
_PREFIX = "sha256="
_TOKEN = re.compile(f"{_PREFIX}[0-9a-f]{{{2 * hashlib.sha256().digest_size}}}")


def sign_connection(connection_id: str, keys: Iterable[bytes]) -> str:
    """The ``ce-signature`` of a connection: ``sha256=<hex>`` for each key, with commas between."""
    return ",".join(_sign(key, connection_id) for key in keys)


def verify_signature(header: str | None, connection_id: str, keys: Iterable[bytes]) -> None:
    """Check that one of the keys made one of the signatures.

    Every key is tried against every signature, so that the time it takes tells nothing of which one matched.

    :raises InvalidSignatureError: if none did.
    """
    signatures = _split_header(header)
    matched = False
    # The signature covers the connection id alone, not the body.
    for key in keys:
        expected = _sign(key, connection_id)
        for signature in signatures:
            matched |= hmac.compare_digest(signature, expected)
    if not matched:
        raise _mismatch(signatures)


def _sign(key: bytes, connection_id: str) -> str:
    return _PREFIX + _ALGORITHM.get_signature(key, connection_id.encode()).hex()


def _split_header(header: str | None) -> list[str]:
    if not header:
        raise InvalidSignatureError("The event has no ce-signature header.")
    if not header.isascii():
        raise InvalidSignatureError("The ce-signature header is not ASCII.")
    signatures = header.lower().replace(",", " ").split()
    if len(signatures) > MAX_TOKENS:
        raise InvalidSignatureError(f"The ce-signature header holds more than {MAX_TOKENS} signatures.")
    return signatures


def _mismatch(signatures: list[str]) -> InvalidSignatureError:
    if not any(map(_TOKEN.fullmatch, signatures)):
        return InvalidSignatureError("The ce-signature header holds no sha256=<hex> signature.")
    return InvalidSignatureError("No trusted key made the signature in ce-signature.")
