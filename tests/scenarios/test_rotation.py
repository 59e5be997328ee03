"""Keys and access codes are changed while clients are connected, as the documentation says: nobody is kept out.

Each step of a procedure changes one side alone, the app or the service. After each, the clients that were there before
go on, new ones get in, and what is out of date is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import EventErrorResponse, UserEventResponse, WebPubSub
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.testing import Connection, WebPubSubTestClient
from tests.scenarios.test_security import make_app, with_key

pytestmark = pytest.mark.both_doors

PRIMARY, SECONDARY, NEW_PRIMARY, NEW_SECONDARY = "primary-1", "secondary-1", "primary-2", "secondary-2"

# What the app knows, and what the service signs with.
Step = tuple[list[str], list[str]]

KEY_PROCEDURES: dict[str, list[Step]] = {
    "one key at a time": [
        ([PRIMARY], [PRIMARY, SECONDARY]),
        ([SECONDARY], [PRIMARY, SECONDARY]),
        ([SECONDARY], [NEW_PRIMARY, SECONDARY]),
        ([NEW_PRIMARY], [NEW_PRIMARY, SECONDARY]),
        ([NEW_PRIMARY], [NEW_PRIMARY, NEW_SECONDARY]),
    ],
    "both keys for a while": [
        ([PRIMARY], [PRIMARY, SECONDARY]),
        ([SECONDARY, PRIMARY], [PRIMARY, SECONDARY]),
        ([SECONDARY, PRIMARY], [NEW_PRIMARY, SECONDARY]),
        ([NEW_PRIMARY, SECONDARY], [NEW_PRIMARY, SECONDARY]),
        ([NEW_PRIMARY, SECONDARY], [NEW_PRIMARY, NEW_SECONDARY]),
        ([NEW_PRIMARY], [NEW_PRIMARY, NEW_SECONDARY]),
    ],
}

OLD_CODE, NEW_CODE = "the-old-code", "the-new-code"

# What the app takes, and what stands in the URL that the service has.
CODE_PROCEDURE: list[tuple[Any, str]] = [
    (OLD_CODE, OLD_CODE),
    ([NEW_CODE, OLD_CODE], OLD_CODE),
    ([NEW_CODE, OLD_CODE], NEW_CODE),
    (NEW_CODE, NEW_CODE),
]


def start(client: WebPubSubTestClient, known: Sequence[str], **config: Any) -> None:
    """Start the app anew with these keys, behind the same service."""
    client.wsgi_app, _ = make_app(with_key(*known), **config)


def verify_all_is_well(client: WebPubSubTestClient, connected: list[Connection]) -> None:
    """Let a new client in, and have every client that is there say something."""
    assert client.validate()
    connection = client.connect("ada")
    assert connection.accepted
    connected.append(connection)
    for earlier in connected:
        assert earlier.send_text("hi") == UserEventResponse("ada: hi")


@pytest.mark.parametrize("steps", KEY_PROCEDURES.values(), ids=KEY_PROCEDURES)
@pytest.mark.parametrize("backwards", [False, True], ids=["primary first", "secondary first"])
def test_no_step_of_a_change_of_keys_keeps_a_client_out(steps: list[Step], backwards: bool) -> None:
    client = WebPubSubTestClient(Flask("none"), connection_string=with_key(PRIMARY), hub="chat")
    client.system_events = ("connect",)
    connected: list[Connection] = []
    for known, signing in steps:
        start(client, known)
        client.keys = signing[::-1] if backwards else signing
        verify_all_is_well(client, connected)


@pytest.mark.parametrize("steps", KEY_PROCEDURES.values(), ids=KEY_PROCEDURES)
def test_after_a_change_of_keys_the_old_ones_are_worth_nothing(steps: list[Step]) -> None:
    client = WebPubSubTestClient(Flask("none"), connection_string=with_key(PRIMARY), hub="chat")
    client.system_events = ()
    start(client, steps[-1][0])
    for old in ([PRIMARY], [SECONDARY], [PRIMARY, SECONDARY]):
        client.keys = old
        assert client.connect("ada").send_text("hi") == EventErrorResponse("unauthorized", "Unauthorized")


def test_no_step_of_a_change_of_codes_keeps_a_client_out() -> None:
    client = WebPubSubTestClient(Flask("none"), connection_string=with_key(PRIMARY), hub="chat")
    client.system_events = ("connect",)
    connected: list[Connection] = []
    for known, in_the_url in CODE_PROCEDURE:
        start(client, [PRIMARY], WEBPUBSUB_ACCESS_CODE=known)
        client.access_code = in_the_url
        verify_all_is_well(client, connected)


def test_after_a_change_of_codes_the_old_one_is_worth_nothing() -> None:
    client = WebPubSubTestClient(Flask("none"), connection_string=with_key(PRIMARY), hub="chat")
    start(client, [PRIMARY], WEBPUBSUB_ACCESS_CODE=CODE_PROCEDURE[-1][0])
    client.access_code = OLD_CODE
    assert not client.validate()
    assert client.connect("ada").answer.status == 401


@pytest.mark.parametrize(
    "wrong_turn", [([PRIMARY], [NEW_PRIMARY, NEW_SECONDARY]), ([NEW_PRIMARY], [PRIMARY, SECONDARY])]
)
def test_a_side_that_was_forgotten_shows_at_once(wrong_turn: Step) -> None:
    client = WebPubSubTestClient(Flask("none"), connection_string=with_key(PRIMARY), hub="chat")
    start(client, wrong_turn[0])
    client.keys = wrong_turn[1]
    assert client.connect("ada").answer.status == 401


@pytest.mark.parametrize("steps", KEY_PROCEDURES.values(), ids=KEY_PROCEDURES)
def test_urls_that_the_app_signs_are_good_at_every_step(steps: list[Step]) -> None:
    """With real WebSockets, and a service that takes the keys which it has at that step alone."""
    emulator = pytest.importorskip("flask_webpubsub.emulator", reason="the extra 'emulator' is not installed")
    websocket = pytest.importorskip("websocket", reason="websocket-client is not installed")
    pytest.importorskip("azure.messaging.webpubsubservice", reason="the extra 'service' is not installed")
    for known, signing in steps:
        app, wps = make_local_app(known)
        with emulator.Emulator(app, keys=[long(key) for key in signing]):
            url = wps.client_access(user_id="ada").url
            with closing(websocket.create_connection(url)) as client:
                client.send("hi")
                assert client.recv() == "ada: hi"


def make_local_app(known: Sequence[str]) -> tuple[Flask, WebPubSub]:
    endpoint = DEVELOPMENT_CONNECTION_STRING.partition(";")[0]
    return make_app([f"{endpoint};AccessKey={long(key)};Version=1.0;" for key in known], TESTING=True)


def long(key: str) -> str:
    """A key as long as the service's: shorter ones are no good for tokens."""
    return key.ljust(32, "0")
