"""The tokens that clients, REST callers and returning clients bring: made, read and verified."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, unquote_plus, urlsplit

import jwt

#: The path of a client's URL, before ``/hubs/{hub}``.
CLIENT_PATH = "/client"
#: The same for MQTT clients.
MQTT_PATH = "/clients/mqtt"

#: How many seconds the clocks of this machine and of a token's maker may differ.
CLOCK_SKEW = 300

_ALGORITHM = "HS256"
_ISSUER = "https://webpubsub.azure.com"


class TokenError(Exception):
    """Raised when a token is missing, forged, out of date, or made for something else: 401."""


@dataclass(frozen=True, kw_only=True)
class ClientToken:
    """What a client's token says.

    :param user_id: ``None`` for an anonymous client.
    :param groups: those that the connection joins at once; their names are not checked yet.
    :param claims: all the claims, as a ``connect`` event shows them: every value a list of strings.
    """

    user_id: str | None
    roles: list[str]
    groups: list[str]
    claims: dict[str, list[str]]


def verify_client_token(text: str, *, keys: Sequence[str], path: str, hub: str) -> ClientToken:
    """Read a client's token, which one of the keys must have signed for this hub.

    The host in the token may be any: the service has several names, and whom it answers is checked elsewhere.

    :param path: :data:`CLIENT_PATH` or :data:`MQTT_PATH`, by the URL that the client used.
    :param hub: the hub that the client wants, whatever its case.
    :raises TokenError: if the token is not good for this.
    """
    claims = _decode(text, keys, CLOCK_SKEW)
    if not any(_is_for_hub(audience, path, hub) for audience in _audiences(claims)):
        raise TokenError(f"The token is for {claims.get('aud')!r}, not for {path}/hubs/{hub}.")
    shown = {name: _texts(value) for name, value in claims.items()}
    groups = list(shown.get("webpubsub.group", ()))
    if path == MQTT_PATH:
        # The how-to for MQTT names the claim so; the SDKs do not.
        groups += [group for group in shown.get("group", ()) if group not in groups]
    return ClientToken(
        user_id=claims.get("sub") or None, roles=list(shown.get("role", ())), groups=groups, claims=shown
    )


def verify_rest_token(text: str, *, keys: Sequence[str], url: str) -> None:
    """Check the token of a REST call, which one of the keys must have signed for its URL, with or without the query.

    :param url: of the call, or its path and query; percent-encoded in any way. The host may be any.
    :raises TokenError: if the token is not good for this.
    """
    claims = _decode(text, keys, CLOCK_SKEW)
    target = _fold_target(url)
    for audience in _audiences(claims):
        # Both forms of the audience are in use, and how it is percent-encoded differs between the clients.
        if _split(audience) is not None and _fold_target(audience) in (target, (target[0], "")):
            return
    raise TokenError(f"The token is for {claims.get('aud')!r}, not for {url}.")


def make_client_token(
    key: str,
    *,
    endpoint: str,
    hub: str,
    path: str = CLIENT_PATH,
    user_id: str | None = None,
    roles: Sequence[str] = (),
    groups: Sequence[str] = (),
    minutes_to_expire: float = 60,
    claims: Mapping[str, Any] | None = None,
) -> str:
    """Make a token for a client, as the official SDKs do.

    :param endpoint: the URL of the service, ``http://localhost:7080``.
    :param claims: more claims.
    """
    now = int(time.time())
    values: dict[str, Any] = {
        "aud": f"{endpoint.rstrip('/')}{path}/hubs/{hub}",
        "iat": now,
        "exp": now + int(minutes_to_expire * 60),
    }
    optional = {"sub": user_id, "role": list(roles), "webpubsub.group": list(groups)}
    values.update({name: value for name, value in optional.items() if value})
    return jwt.encode({**values, **(claims or {})}, key, algorithm=_ALGORITHM)


def make_reconnection_token(key: str, connection_id: str, seconds: float = 7 * 24 * 3600) -> str:
    """Make the token with which a reliable client comes back to its connection."""
    claims = {"iss": _ISSUER, "aud": connection_id, "exp": time.time() + seconds}
    return jwt.encode(claims, key, algorithm=_ALGORITHM)


def verify_reconnection_token(text: str, *, keys: Sequence[str], connection_id: str) -> None:
    """Check that a token was made for coming back to this connection.

    :raises TokenError: if it was not, or is out of date.
    """
    claims = _decode(text, keys, 0)
    if claims.get("iss") != _ISSUER or claims.get("aud") != connection_id:
        raise TokenError(f"The reconnection token is not for the connection {connection_id!r}.")


def _decode(text: str, keys: Sequence[str], skew: float) -> dict[str, Any]:
    """The claims of a token that one of the keys signed and whose time it is.

    The key is the AccessKey's text as it stands: it looks like base64, and is not decoded.
    """
    options: Any = {"require": ["exp"], "verify_aud": False, "verify_iss": False}
    failure: Exception | None = None
    for key in keys:
        try:
            return jwt.decode(text, key, algorithms=[_ALGORITHM], options=options, leeway=skew)
        except jwt.InvalidSignatureError as error:
            failure = error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenError(f"The token can not be taken: {error}") from error
    raise TokenError("The token was not signed with an AccessKey of this service.") from failure


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    audience = claims.get("aud")
    values = audience if isinstance(audience, list) else [audience]
    return [value for value in values if isinstance(value, str)]


def _is_for_hub(audience: str, path: str, hub: str) -> bool:
    found = _split(audience)
    if found is None:
        return False
    hub = hub.lower()
    audience_path = unquote(found.path).lower()
    if audience_path.rstrip("/") == path:
        # The older form of the URL has the hub in its query.
        return [name.lower() for name in parse_qs(found.query).get("hub", ())] == [hub]
    return audience_path == f"{path}/hubs/{hub}"


def _split(url: str) -> SplitResult | None:
    try:
        found = urlsplit(url)
    except ValueError:
        return None
    return found if found.scheme in ("http", "https") and found.netloc else None


def _fold_target(url: str) -> tuple[str, str]:
    """The path and the query of a URL, as they compare."""
    found = _split(url)
    path, _, query = url.partition("?") if found is None else (found.path, "", found.query)
    return unquote_plus(path).lower(), unquote_plus(query).lower()


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in values]
