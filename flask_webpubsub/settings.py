"""``WEBPUBSUB_*`` configuration, read once for each app."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from .access import DEVELOPMENT_CONNECTION_STRING, DEVELOPMENT_KEY, ServiceAccess, parse_connection_string
from .codec import DEFAULT_MAX_BODY_BYTES, DEFAULT_MAX_STATE_BYTES
from .errors import ConfigurationError
from .records import Record, read_only

CONNECTION_KEY = "WEBPUBSUB_CONNECTION_STRING"

#: The service waits 100 seconds for an answer, and tries three times more: longer than it can take until the last one.
DEFAULT_ONCE_SECONDS = 600

Config = Mapping[str, Any]


@read_only
class EntraSettings(Record):
    """Whose tokens of Microsoft Entra ID an event may bring.

    :param authority: the URL of the tenant, without a ``/`` at its end.
    :param tenant_id: the tenant's id in lower case, which must stand in the name of the issuer; ``None`` where the
        tenant is given by another name.
    :param audiences: what a token may be for.
    :param identities: the object ids and application ids of those who may send events, in lower case.
    """

    authority: str
    tenant_id: str | None
    audiences: tuple[str, ...]
    identities: frozenset[str]


@read_only
class Settings(Record):
    """The settings of one app. ``connections`` are the default ones; sizes are in bytes.

    :param entra: ``None`` means that events need no token.
    :param skip_session: whether events are spared Flask's session.
    :param direct: whether events are answered before Flask builds a request.
    """

    connections: tuple[ServiceAccess, ...]
    allow_unsigned: bool
    hub: str | None
    path: str
    access_codes: tuple[bytes, ...] = field(repr=False)
    max_body_bytes: int
    max_state_bytes: int
    schema_errors: bool
    once: bool
    once_store: object = field(repr=False)
    once_seconds: int
    entra: EntraSettings | None
    skip_session: bool
    direct: bool


def read_settings(config: Config) -> Settings:
    """Read an app's configuration.

    :raises ConfigurationError: if a setting can not work. The message names it and says what to do.
    """
    allow_unsigned = _read_flag(config, "WEBPUBSUB_ALLOW_UNSIGNED")
    if allow_unsigned and not config.get(CONNECTION_KEY):
        connections: tuple[ServiceAccess, ...] = ()
    else:
        connections = read_connections(config, [CONNECTION_KEY])
    max_body_bytes = _read_size(config, "WEBPUBSUB_MAX_BODY_BYTES", DEFAULT_MAX_BODY_BYTES)
    app_limit = config.get("MAX_CONTENT_LENGTH")
    return Settings(
        connections=connections,
        allow_unsigned=allow_unsigned,
        hub=_read_hub(config),
        path=_read_path(config),
        access_codes=_read_access_codes(config),
        max_body_bytes=max_body_bytes if app_limit is None else min(max_body_bytes, app_limit),
        max_state_bytes=_read_size(config, "WEBPUBSUB_MAX_STATE_BYTES", DEFAULT_MAX_STATE_BYTES),
        schema_errors=_read_flag(config, "WEBPUBSUB_SCHEMA_ERRORS", default=True),
        once=_read_flag(config, "WEBPUBSUB_ONCE"),
        once_store=config.get("WEBPUBSUB_ONCE_STORE"),  # looked at where a handler needs it
        once_seconds=_read_size(config, "WEBPUBSUB_ONCE_SECONDS", DEFAULT_ONCE_SECONDS, "seconds"),
        entra=_read_entra(config, allow_unsigned),
        skip_session=_read_flag(config, "WEBPUBSUB_SKIP_SESSION"),
        direct=_read_flag(config, "WEBPUBSUB_DIRECT"),
    )


def read_connections(config: Config, keys: Iterable[str]) -> tuple[ServiceAccess, ...]:
    """Read the connection strings that some config keys hold.

    :raises ConfigurationError: if a key does not exist, holds nothing, or holds what is no connection string.
    """
    return tuple(access for key in keys for access in _read_key(config, key))


def verify_hub(hub: object) -> None:
    """Check that the service can have a hub of this name.

    :raises ConfigurationError: if it can not.
    """
    if not isinstance(hub, str) or not _HUB.fullmatch(hub):
        raise ConfigurationError(
            f"{hub!r} can not be the name of a hub: it begins with a letter, and has at most 128 letters, digits and "
            "characters of _`,.[]"
        )


def verify_safe_url(url: str) -> None:
    """Check that what comes from a URL can not be changed on the way: it is https, or on this machine.

    :raises ValueError: if it is not.
    """
    parts = urlsplit(url)
    local = parts.hostname in _LOCAL_HOSTS
    if not parts.hostname or parts.scheme not in ({"http", "https"} if local else {"https"}):
        raise ValueError(f"{url!r} is no https URL.")


def verify_access_codes(codes: Iterable[bytes], connections: Iterable[ServiceAccess]) -> None:
    """Check that no access code is an AccessKey, which would then stand in URLs and their logs.

    :raises ConfigurationError: if one is.
    """
    keys = {access.key for access in connections}
    if any(code in keys for code in codes):
        raise ConfigurationError("WEBPUBSUB_ACCESS_CODE is an AccessKey: set it to a secret of its own.")


def _read_key(config: Config, key: str) -> list[ServiceAccess]:
    if key not in config:
        raise ConfigurationError(f"{key} is not set.{_how_to_set(key)}")
    value = config[key]
    texts = list(value) if isinstance(value, list | tuple) else [value]
    if not all(isinstance(text, str | None) for text in texts):
        raise ConfigurationError(f"{key} holds something that is no string.{_how_to_set(key)}")
    if not texts or not all(text and text.strip() for text in texts):
        held = "an empty item" if len(texts) > 1 else "nothing"
        raise ConfigurationError(f"{key} holds {held}.{_how_to_set(key)}")
    return [_read_connection(config, key, text) for text in texts]


def _how_to_set(key: str) -> str:
    return (
        f" Set app.config[{key!r}] to the connection string of your Web PubSub service, "
        "'Endpoint=https://<name>.webpubsub.azure.com;AccessKey=<key>;Version=1.0;', or in development to the local "
        f"emulator's: {DEVELOPMENT_CONNECTION_STRING!r}."
    )


def _read_connection(config: Config, key: str, text: str) -> ServiceAccess:
    try:
        access = parse_connection_string(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{key} is no connection string. {error}") from None
    local = config.get("DEBUG") or config.get("TESTING") or _read_flag(config, "WEBPUBSUB_ALLOW_DEVELOPMENT_KEY")
    if access.key == DEVELOPMENT_KEY.encode() and not local:
        raise ConfigurationError(
            f"{key} holds the local emulator's key, which everybody knows. Use your service's own connection string; "
            "on your own machine run 'flask --debug run', or set WEBPUBSUB_ALLOW_DEVELOPMENT_KEY = True."
        )
    return access


def _read_flag(config: Config, key: str, *, default: bool = False) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{key} is {value!r}: set it to True or False.")
    return value


def _read_size(config: Config, key: str, default: int, unit: str = "bytes") -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ConfigurationError(f"{key} is {value!r}: set it to a number of {unit}.")
    return value


def _read_hub(config: Config) -> str | None:
    hub: str | None = config.get("WEBPUBSUB_HUB")
    if hub is not None:
        try:
            verify_hub(hub)
        except ConfigurationError as error:
            raise ConfigurationError(f"WEBPUBSUB_HUB is wrong. {error}") from None
    return hub


def _read_path(config: Config) -> str:
    path = config.get("WEBPUBSUB_PATH", "/runtime/webhooks/webpubsub")
    if not isinstance(path, str) or not path.startswith("/") or not path.rstrip("/") or "<" in path:
        raise ConfigurationError(f"WEBPUBSUB_PATH is {path!r}: set it to a path such as '/webpubsub', not '/'.")
    return path.rstrip("/")


def _read_access_codes(config: Config) -> tuple[bytes, ...]:
    value = config.get("WEBPUBSUB_ACCESS_CODE")
    if value is None:
        return ()
    codes = list(value) if isinstance(value, list | tuple) else [value]
    if not codes or not all(isinstance(code, str) and code for code in codes):
        raise ConfigurationError(
            "WEBPUBSUB_ACCESS_CODE is empty or no string: set it to a secret such as secrets.token_hex(), or to a list "
            "of them, or leave it out."
        )
    try:
        return tuple(code.encode() for code in codes)
    except UnicodeEncodeError:  # as of an environment variable that is not UTF-8
        raise ConfigurationError(
            "WEBPUBSUB_ACCESS_CODE holds what UTF-8 can not: set it to a secret such as secrets.token_hex()."
        ) from None


def _read_entra(config: Config, allow_unsigned: bool) -> EntraSettings | None:
    # One that is there and holds nothing is a mistake, and must not switch the check off.
    missing = [key for key in _ENTRA_KEYS if key not in config]
    if len(missing) == len(_ENTRA_KEYS):
        return None
    if missing:
        raise ConfigurationError(f"{missing[0]} is not set: Microsoft Entra ID needs all of {', '.join(_ENTRA_KEYS)}.")
    if allow_unsigned:
        raise ConfigurationError(
            "WEBPUBSUB_ALLOW_UNSIGNED would let events in without the token of Microsoft Entra ID. For a service "
            f"without an AccessKey set {CONNECTION_KEY} to 'Endpoint=https://<name>.webpubsub.azure.com;Version=1.0;'."
        )
    authority, tenant_id = _read_tenant(config)
    identities = _read_texts(config, "WEBPUBSUB_ENTRA_IDENTITIES", "the object id of your service's managed identity")
    for identity in identities:
        if not _ID.fullmatch(identity):
            raise ConfigurationError(
                f"WEBPUBSUB_ENTRA_IDENTITIES holds {identity!r}: set it to the object id of your service's managed "
                "identity, such as '00000000-0000-0000-0000-000000000000', or to a list of them."
            )
    return EntraSettings(
        authority=authority,
        tenant_id=tenant_id,
        audiences=_read_texts(config, "WEBPUBSUB_ENTRA_AUDIENCE", "the audience that the event handler has in Azure"),
        identities=frozenset(identity.lower() for identity in identities),
    )


def _read_tenant(config: Config) -> tuple[str, str | None]:
    """The URL of the tenant, and its id where that is known."""
    value = config["WEBPUBSUB_ENTRA_TENANT"]
    text = value.strip() if isinstance(value, str) else ""
    authority = text if "://" in text else f"{_AUTHORITY}/{text}"
    authority = authority.rstrip("/").removesuffix("/v2.0").rstrip("/")
    try:
        verify_safe_url(authority)
        parts = urlsplit(authority)
        tenant = parts.path.rpartition("/")[2].lower()
        wrong = not text or not tenant or tenant in _ALL_TENANTS or "@" in parts.netloc or parts.query or parts.fragment
    except ValueError:
        wrong = True
    if wrong:
        raise ConfigurationError(
            f"WEBPUBSUB_ENTRA_TENANT is {value!r}: set it to the id of your tenant, or to its URL, such as "
            "'https://login.microsoftonline.us/<tenant id>'."
        )
    return authority, tenant if _ID.fullmatch(tenant) else None


def _read_texts(config: Config, key: str, meaning: str) -> tuple[str, ...]:
    value = config[key]
    texts = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ConfigurationError(f"{key} is {value!r}: set it to {meaning}, or to a list of them.")
    return tuple(text.strip() for text in texts)


_ENTRA_KEYS = ("WEBPUBSUB_ENTRA_TENANT", "WEBPUBSUB_ENTRA_AUDIENCE", "WEBPUBSUB_ENTRA_IDENTITIES")
_AUTHORITY = "https://login.microsoftonline.com"
# Under these names anybody's tenant has its tokens.
_ALL_TENANTS = {"common", "organizations", "consumers"}
_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_HUB = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}")
