"""``WEBPUBSUB_*`` configuration, read once for each app."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .access import DEVELOPMENT_CONNECTION_STRING, DEVELOPMENT_KEY, ServiceAccess, parse_connection_string
from .codec import DEFAULT_MAX_BODY_BYTES, DEFAULT_MAX_STATE_BYTES
from .errors import ConfigurationError

CONNECTION_KEY = "WEBPUBSUB_CONNECTION_STRING"

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Settings:
    """The settings of one app. ``connections`` are the default ones; sizes are in bytes."""

    connections: tuple[ServiceAccess, ...]
    allow_unsigned: bool
    hub: str | None
    path: str
    access_codes: tuple[bytes, ...] = field(repr=False)
    max_body_bytes: int
    max_state_bytes: int


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


def _read_flag(config: Config, key: str) -> bool:
    value = config.get(key, False)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{key} is {value!r}: set it to True or False.")
    return value


def _read_size(config: Config, key: str, default: int) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ConfigurationError(f"{key} is {value!r}: set it to a number of bytes.")
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
    return tuple(code.encode() for code in codes)


_HUB = re.compile(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}")
