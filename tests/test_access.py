"""Connection strings: what is read, what is refused, and that no message holds a key."""

from __future__ import annotations

import pytest

from flask_webpubsub import ConfigurationError
from flask_webpubsub.access import (
    DEVELOPMENT_CONNECTION_STRING,
    ServiceAccess,
    keys_by_host,
    parse_connection_string,
    split_origins,
)
from tests.conftest import CONNECTION_STRING, HOST, KEY

ENDPOINT = f"https://{HOST}"
SECRET = "s3cret+of/the=service=="  # base64 has all three signs

READ = {
    "as the portal shows it": (f"Endpoint={ENDPOINT};AccessKey={KEY};Version=1.0;", ENDPOINT, HOST, KEY),
    "no semicolon at the end": (f"Endpoint={ENDPOINT};AccessKey={KEY}", ENDPOINT, HOST, KEY),
    "another order": (f"Version=1.0;AccessKey={KEY};Endpoint={ENDPOINT}", ENDPOINT, HOST, KEY),
    "names in any case": (f"ENDPOINT={ENDPOINT};accesskey={KEY};vErSiOn=1.0", ENDPOINT, HOST, KEY),
    "blanks around everything": (f" Endpoint = {ENDPOINT} ; AccessKey = {KEY} ; ", ENDPOINT, HOST, KEY),
    "empty items": (f";;Endpoint={ENDPOINT};;AccessKey={KEY}; ;", ENDPOINT, HOST, KEY),
    "only the first = splits": (f"Endpoint={ENDPOINT};AccessKey={SECRET}", ENDPOINT, HOST, SECRET),
    "no key": (f"Endpoint={ENDPOINT};Version=1.0;", ENDPOINT, HOST, None),
    "a key that is not ASCII": (f"Endpoint={ENDPOINT};AccessKey=schlüssel", ENDPOINT, HOST, "schlüssel"),
    "an item of another kind": (f"Endpoint={ENDPOINT};AccessKey={KEY};AuthType=x", ENDPOINT, HOST, KEY),
    "host in upper case": (f"Endpoint=https://{HOST.upper()};AccessKey={KEY}", ENDPOINT, HOST, KEY),
    "http": (f"Endpoint=http://localhost;AccessKey={KEY}", "http://localhost", "localhost", KEY),
    "scheme in upper case": (f"Endpoint=HTTPS://{HOST};AccessKey={KEY}", ENDPOINT, HOST, KEY),
    "a slash at the end": (f"Endpoint={ENDPOINT}/;AccessKey={KEY}", ENDPOINT, HOST, KEY),
    "port in the endpoint": (f"Endpoint={ENDPOINT}:8443;AccessKey={KEY}", f"{ENDPOINT}:8443", HOST, KEY),
    "port of its own": (f"Endpoint={ENDPOINT};AccessKey={KEY};Port=8080", f"{ENDPOINT}:8080", HOST, KEY),
    "port of its own wins": (f"Endpoint={ENDPOINT}:1;AccessKey={KEY};Port=2", f"{ENDPOINT}:2", HOST, KEY),
    "first port": (f"Endpoint={ENDPOINT};Port=1", f"{ENDPOINT}:1", HOST, None),
    "last port": (f"Endpoint={ENDPOINT};Port=65535", f"{ENDPOINT}:65535", HOST, None),
    "IPv6 with a zone": (
        f"Endpoint=http://[FE80::1%ETH0];AccessKey={KEY}",
        "http://[fe80::1%eth0]",
        "fe80::1%eth0",
        KEY,
    ),
    "IPv6": (f"Endpoint=http://[::1]:7080;AccessKey={KEY}", "http://[::1]:7080", "::1", KEY),
}


@pytest.mark.parametrize(("text", "endpoint", "host", "key"), READ.values(), ids=READ)
def test_a_connection_string_is_read(text: str, endpoint: str, host: str, key: str | None) -> None:
    access = parse_connection_string(text)

    assert access == ServiceAccess(endpoint=endpoint, host=host, key=None if key is None else key.encode())


REFUSED = {
    "nothing": ("", "no Endpoint"),
    "no endpoint": (f"AccessKey={SECRET}", "no Endpoint"),
    "empty endpoint": (f"Endpoint=;AccessKey={SECRET}", "Endpoint"),
    "endpoint without a scheme": (f"Endpoint={HOST};AccessKey={SECRET}", "Endpoint"),
    "endpoint of another scheme": (f"Endpoint=wss://{HOST};AccessKey={SECRET}", "Endpoint"),
    "endpoint without a host": (f"Endpoint=https://;AccessKey={SECRET}", "Endpoint"),
    "endpoint that is no URL": (f"Endpoint=https://[::1;AccessKey={SECRET}", "Endpoint"),
    "endpoint with a bad port": (f"Endpoint={ENDPOINT}:70000;AccessKey={SECRET}", "Endpoint"),
    "endpoint with port 0": (f"Endpoint={ENDPOINT}:0;AccessKey={SECRET}", "Endpoint"),
    "endpoint with the next line": (f"Endpoint={ENDPOINT}\nVersion=1.0;AccessKey={SECRET}", "Endpoint"),
    "endpoint with a blank": (f"Endpoint=https://one two.example;AccessKey={SECRET}", "Endpoint"),
    "endpoint in other letters": (f"Endpoint=https://höst.example;AccessKey={SECRET}", "Endpoint"),
    "key that is no UTF-8": (f"Endpoint={ENDPOINT};AccessKey={SECRET}\udcff", "AccessKey .* UTF-8"),
    "empty key": (f"Endpoint={ENDPOINT};AccessKey=;", "AccessKey"),
    "blank key": (f"Endpoint={ENDPOINT};AccessKey=  ;", "AccessKey"),
    "key twice": (f"Endpoint={ENDPOINT};AccessKey={SECRET};accesskey={SECRET}", "Item 3 .* AccessKey a second time"),
    "endpoint twice": (f"Endpoint={ENDPOINT};Endpoint={ENDPOINT};AccessKey={SECRET}", "Item 2 .* Endpoint"),
    "another name twice": (f"{SECRET}=1;{SECRET}=2;Endpoint={ENDPOINT}", "Item 2"),
    "item without =": (f"Endpoint={ENDPOINT};{SECRET.replace('=', '')}", "Item 2"),
    "port 0": (f"Endpoint={ENDPOINT};AccessKey={SECRET};Port=0", "Port"),
    "port too large": (f"Endpoint={ENDPOINT};AccessKey={SECRET};Port=65536", "Port"),
    "port far too large": (f"Endpoint={ENDPOINT};AccessKey={SECRET};Port={'9' * 5000}", "Port"),
    "negative port": (f"Endpoint={ENDPOINT};AccessKey={SECRET};Port=-1", "Port"),
    "empty port": (f"Endpoint={ENDPOINT};AccessKey={SECRET};Port=", "Port"),
    "port in words": (f"Endpoint={ENDPOINT};AccessKey={SECRET};Port=http", "Port"),
    "port in other digits": (f"Endpoint={ENDPOINT};AccessKey={SECRET};Port=٨٠", "Port"),
    "the key alone": (SECRET, "no Endpoint"),
    "the key where the port should be": (f"Endpoint={ENDPOINT};Port={SECRET}", "Port"),
    "the key where the endpoint should be": (f"Endpoint={SECRET}", "Endpoint"),
}


@pytest.mark.parametrize(("text", "named"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_connection_string_is_refused_without_showing_the_key(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        parse_connection_string(text)

    assert "s3cret" not in str(caught.value)


def test_the_key_is_not_in_the_repr() -> None:
    assert KEY not in repr(parse_connection_string(CONNECTION_STRING))


def test_the_emulators_connection_string_can_be_read() -> None:
    access = parse_connection_string(DEVELOPMENT_CONNECTION_STRING)

    assert access.host == "localhost"
    assert access.key is not None


def test_all_keys_of_a_host_are_kept_once() -> None:
    texts = [
        f"Endpoint={ENDPOINT};AccessKey=first",
        f"Endpoint={ENDPOINT}:8443;AccessKey=second",
        f"Endpoint=http://{HOST};AccessKey=first",
        "Endpoint=https://other.example",
    ]

    keys = keys_by_host(parse_connection_string(text) for text in texts)

    assert keys == {HOST: (b"first", b"second"), "other.example": ()}


@pytest.mark.parametrize(
    ("header", "origins"),
    [
        ("a.example", ["a.example"]),
        ("A.Example", ["a.example"]),
        ("a.example,b.example", ["a.example", "b.example"]),
        (" a.example ,  b.example , ", ["a.example", "b.example"]),
        ("a.example b.example", ["a.example", "b.example"]),
        (" , ,", []),
        ("", []),
    ],
)
def test_origins_are_split_on_commas_and_blanks(header: str, origins: list[str]) -> None:
    assert split_origins(header) == origins
