"""Check that an event comes from the service's managed identity, by the token of Microsoft Entra ID that it brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jwt import decode, decode_complete
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from .errors import InvalidIdentityError
from .issuer import ALGORITHM, Issuer
from .settings import EntraSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

#: How far the clocks of the app and of the issuer may differ.
LEEWAY_SECONDS = 60

#: What names an identity: its object id, and its application id in tokens of version 1.0 and of version 2.0.
_IDENTITY_CLAIMS = ("oid", "appid", "azp")


class TokenVerifier:
    """Checks the bearer tokens of events. Nothing is fetched before the first one comes."""

    def __init__(self, settings: EntraSettings) -> None:
        self._audiences = settings.audiences
        self._identities = settings.identities
        # Each version of tokens has its own name of the issuer and its own keys.
        self._issuers = {
            "1.0": Issuer(settings.authority, settings.tenant_id),
            "2.0": Issuer(f"{settings.authority}/v2.0", settings.tenant_id),
        }

    def verify(self, authorization: str | None) -> None:
        """Check an ``Authorization`` header.

        :raises InvalidIdentityError: if it holds no token that one of the identities was given for this app.
        :raises KeysUnavailableError: if the keys to check it with can not be had.
        """
        token = _read_bearer(authorization)
        header, claims = _peek(token)
        issuer = self._find_issuer(claims)
        name, key = issuer.find_key(_read_key_id(header))
        self._verify_identity(self._decode(token, name, key, claims))

    def _find_issuer(self, claims: dict[str, Any]) -> Issuer:
        version = claims.get("ver", "1.0")
        if not isinstance(version, str) or version not in self._issuers:
            raise InvalidIdentityError(f"The token is of version {_show(version)}, and 1.0 and 2.0 are known.")
        return self._issuers[version]

    def _decode(self, token: str, issuer: str, key: RSAPublicKey, unverified: dict[str, Any]) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = decode(
                token,
                key,
                algorithms=[ALGORITHM],
                issuer=issuer,
                audience=self._audiences,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except InvalidIssuerError as error:
            problem = f"The token is from the issuer {_show(unverified.get('iss'))}, and not from {issuer!r}."
            raise InvalidIdentityError(problem) from error
        except InvalidAudienceError as error:
            problem = f"The token is for the audience {_show(unverified.get('aud'))}, and not for {self._audiences!r}."
            raise InvalidIdentityError(problem) from error
        except (PyJWTError, OverflowError) as error:
            raise InvalidIdentityError(_PROBLEMS.get(type(error), "The token is malformed.")) from error
        return claims

    def _verify_identity(self, claims: dict[str, Any]) -> None:
        # An application may have a token on behalf of a user; a managed identity acts for itself.
        if "scp" in claims:
            raise InvalidIdentityError("The token was given to a user, and not to a managed identity.")
        found = {name: value for name in _IDENTITY_CLAIMS if isinstance(value := claims.get(name), str)}
        if self._identities.isdisjoint(value.lower() for value in found.values()):
            raise InvalidIdentityError(
                f"The token is of {_show(found)}, which WEBPUBSUB_ENTRA_IDENTITIES does not name."
            )


# What PyJWT itself says may quote the token, and is not shown.
_PROBLEMS: dict[type[Exception], str] = {
    ExpiredSignatureError: "The token has expired.",
    ImmatureSignatureError: "The token is not valid yet.",
    InvalidSignatureError: "The token is not signed with the key that it names.",
    MissingRequiredClaimError: "The token lacks its end, its issuer or its audience.",
}


def _read_bearer(authorization: str | None) -> str:
    if not authorization:
        raise InvalidIdentityError(
            "The event has no Authorization header: the event handler in Azure does not use the managed identity, or "
            "something between keeps the header."
        )
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidIdentityError("The Authorization header holds no bearer token.")
    return token.strip()


def _peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims as they stand, to find the key by. Nothing of it is true yet."""
    try:
        found = decode_complete(token, options={"verify_signature": False})
    except (PyJWTError, RecursionError, UnicodeError) as error:
        raise InvalidIdentityError("The bearer token is malformed.") from error
    return found["header"], found["payload"]


def _read_key_id(header: dict[str, Any]) -> str:
    if (algorithm := header.get("alg")) != ALGORITHM:
        raise InvalidIdentityError(f"The token is signed by {_show(algorithm)}, and {ALGORITHM} alone is taken.")
    key_id = header.get("kid")
    if not isinstance(key_id, str):
        raise InvalidIdentityError("The token does not name the key that it is signed with.")
    return key_id


def _show(value: object) -> str:
    return repr(value)[:200]
