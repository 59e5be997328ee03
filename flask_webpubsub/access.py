"""A service we trust: its connection string, its host, its key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from .errors import ConfigurationError

#: The key of the local emulator, known to everybody: an app takes it only in debug or testing mode.
DEVELOPMENT_KEY = "local-development-only-known-to-everybody-never-deploy"

#: The connection string of the local emulator.
DEVELOPMENT_CONNECTION_STRING = f"Endpoint=http://localhost:7080;AccessKey={DEVELOPMENT_KEY};Version=1.0;"

#: The keys of each trusted host.
HostKeys = Mapping[str, tuple[bytes, ...]]

# As it stands in the header that names it: in printable ASCII. One with "=" has swallowed the item after it.
_HOST = re.compile(r"[!-<>-~]+")
_NAMES = {name.lower(): name for name in ("Endpoint", "AccessKey", "Version", "Port")}


@dataclass(frozen=True)
class ServiceAccess:
    """A Web PubSub service, as its connection string describes it.

    :param endpoint: its URL, with the port where one is set.
    :param host: the host of the endpoint alone, in lower case: what the service calls itself towards an app.
    :param key: the access key as it stands in the connection string, which is what signs; ``None`` if there is none.
    """

    endpoint: str
    host: str
    key: bytes | None = field(default=None, repr=False)


def parse_connection_string(text: str) -> ServiceAccess:
    """Read ``Endpoint=https://<name>.webpubsub.azure.com;AccessKey=<key>;Version=1.0;[Port=<n>;]``.

    :raises ConfigurationError: if it can not be right. The message never holds the key.
    """
    items = _split(text)
    if "endpoint" not in items:
        raise ConfigurationError("The connection string has no Endpoint.")
    if items.get("accesskey") == "":
        raise ConfigurationError("The AccessKey of the connection string is empty.")
    endpoint = _parse_endpoint(items["endpoint"])
    port = _parse_port(items["port"]) if "port" in items else endpoint.port
    host = (endpoint.hostname or "").lower()  # of which urlsplit leaves what follows a "%" as it is
    netloc = f"[{host}]" if ":" in host else host
    return ServiceAccess(
        endpoint=f"{endpoint.scheme}://{netloc}" + (f":{port}" if port is not None else ""),
        host=host,
        key=_encode_key(items.get("accesskey")),
    )


def keys_by_host(accesses: Iterable[ServiceAccess]) -> HostKeys:
    """The keys of each host. One host may have several, while they are exchanged, or none."""
    keys: dict[str, list[bytes]] = {}
    for access in accesses:
        keys.setdefault(access.host, []).extend([] if access.key is None else [access.key])
    return {host: tuple(dict.fromkeys(found)) for host, found in keys.items()}


def split_origins(header: str) -> list[str]:
    """The hosts that a ``WebHook-Request-Origin`` header names, in lower case."""
    return header.lower().replace(",", " ").split()


def _split(text: str) -> dict[str, str]:
    items: dict[str, str] = {}
    for number, item in enumerate(filter(None, (part.strip() for part in text.split(";"))), start=1):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            # The item itself may be a piece of a key, so only its number is shown.
            raise ConfigurationError(f"Item {number} of the connection string has no '='.")
        if name.lower() in items:
            shown = _NAMES.get(name.lower(), "a name")
            raise ConfigurationError(f"Item {number} of the connection string sets {shown} a second time.")
        items[name.lower()] = value
    return items


def _parse_endpoint(text: str) -> SplitResult:
    try:
        endpoint = urlsplit(text)
        valid = endpoint.scheme in {"http", "https"} and endpoint.port != 0
        valid &= _HOST.fullmatch(endpoint.hostname or "") is not None
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(
            "The Endpoint of the connection string is no http or https URL with a host and a valid port."
        )
    return endpoint


def _encode_key(key: str | None) -> bytes | None:
    try:
        return None if key is None else key.encode()
    except UnicodeEncodeError:  # as of an environment variable that is not UTF-8
        raise ConfigurationError("The AccessKey of the connection string is no text that UTF-8 can hold.") from None


def _parse_port(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535:
        return int(text)
    raise ConfigurationError("The Port of the connection string is no number from 1 to 65535.")
