"""The input binding, ``client_access``: a client connects with the URL that it gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from flask import Flask
from websocket import WebSocketBadStatusException

from flask_webpubsub import WebPubSub
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.actions import SendToGroupAction
from flask_webpubsub.emulator import Emulator
from tests.emulator.service_sdk_cases import Client


@pytest.fixture
def wps() -> Iterator[WebPubSub]:
    app = Flask("chat")
    app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=DEVELOPMENT_CONNECTION_STRING, WEBPUBSUB_HUB="chat")
    wps = WebPubSub(app)

    @wps.on_connect
    def connect(claims: dict[str, list[str]]) -> None:
        app.logger.debug("%r", claims)

    with Emulator(app):
        yield wps


def test_a_client_is_who_the_token_says_and_may_do_what_it_says(wps: WebPubSub) -> None:
    access = wps.client_access(user_id="alice", groups=["room"], roles=["webpubsub.joinLeaveGroup.other"])

    with closing(Client(access.url)) as client:
        assert client.user_id == "alice"
        assert client.ask(type="joinGroup", group="other")
        assert not client.ask(type="joinGroup", group="third")
        wps.send_actions([SendToGroupAction("room", "hi"), SendToGroupAction("other", "end")])
        assert client.receive_until("end") == [("group", "room", "text", "hi")]


def test_the_url_is_its_parts(wps: WebPubSub) -> None:
    access = wps.client_access()

    assert access.url == f"{access.base_url}?access_token={access.access_token}"
    with closing(Client(access.url)) as client:
        assert client.user_id is None


def test_a_token_of_another_hub_is_refused(wps: WebPubSub) -> None:
    other = wps.client_access(hub="other")

    with pytest.raises(WebSocketBadStatusException, match="401"):
        Client(other.url.replace("/hubs/other", "/hubs/chat"))
