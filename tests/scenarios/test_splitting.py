"""No text of a client, and none of a handler, ends a header or begins one: not in answers, not in events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import ConnectEventRequest, UserEventRequest, WebPubSub
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.mqtt import MqttConnectProperties, MqttProtocolVersion, MqttUserProperty
from flask_webpubsub.testing import WebPubSubTestClient
from tests.scenarios.splitting_app import ANSWERS
from tests.scenarios.test_servers import event_bytes, event_headers, make_client
from tests.servers import DEVELOPMENT_SERVER, SERVERS, Server, serve

pytestmark = pytest.mark.both_doors

BREAKS = {"CR LF": "\r\n", "LF": "\n", "CR": "\r"}
ATTACK = "a{0}X-Injected: 1{0}{0}HTTP/1.1 200 OK{0}Content-Length: 0{0}{0}"

# Where a text is data, or is escaped, it may hold anything. Anywhere else the answer is refused.
TAKES_ANY_TEXT = {"data": 200, "the name of a state": 200, "the value of a state": 200, "a cookie": 200}
TAKES_ANY_TEXT |= {"the message of an error": 400}


# Answers.


@pytest.fixture(scope="module", params=[*SERVERS, DEVELOPMENT_SERVER])
def server(request: pytest.FixtureRequest, door: str) -> Iterator[Server]:
    env = {"FLASK_WEBPUBSUB_DIRECT": json.dumps(door == "lane")}
    with serve(request.param, "tests.scenarios.splitting_app:app", env=env) as running:
        yield running


def answer_with(server: Server, into: str, text: str) -> bytes:
    """The answer of a handler that puts a text somewhere, byte for byte."""
    body = json.dumps({"into": into, "text": text}).encode()
    headers = {**dict(event_headers()), "Content-Type": "application/json", "Content-Length": str(len(body))}
    with server.open_socket() as connection:
        connection.sendall(event_bytes(headers.items()) + body)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("into", ANSWERS)
@pytest.mark.parametrize("line_break", BREAKS.values(), ids=BREAKS)
def test_a_text_that_goes_into_an_answer_makes_no_header(server: Server, into: str, line_break: str) -> None:
    head, _, body = answer_with(server, into, ATTACK.format(line_break)).partition(b"\r\n\r\n")

    status = TAKES_ANY_TEXT.get(into, 500)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert not [
        line for line in re.split(rb"[\r\n]+", head) if line.lower().startswith((b"x-injected", b"http/1.1 200 ok "))
    ]
    assert status != 500 or b"X-Injected" not in body


def test_a_text_that_goes_into_the_answer_to_a_connect_makes_no_header(server: Server) -> None:
    text = ATTACK.format("\r\n")
    client = make_client(server)

    connection = client.connect("ada", query={"text": text})

    # All of it stands in a JSON body, and arrives as it is.
    assert connection.answer.header("X-Injected") is None
    assert (connection.user_id, connection.subprotocol) == (text, text)


# Events: the service's side of the package writes headers, too.


@pytest.fixture
def seen(app: Flask, wps: WebPubSub) -> list[Any]:
    """The requests that came to the app's handlers."""
    requests: list[Any] = []

    @wps.on_connect
    def connect(request: ConnectEventRequest) -> None:
        requests.append(request)

    @wps.on_user_event("*")
    def message(request: UserEventRequest) -> None:
        requests.append(request)

    return requests


@pytest.mark.parametrize("line_break", [*BREAKS.values(), "\0"], ids=[*BREAKS, "NUL"])
class TestTestClient:
    """A value that no header can hold makes no event, and the mistake is told to who made it."""

    def test_a_user_id(self, client: WebPubSubTestClient, seen: list[Any], line_break: str) -> None:
        with pytest.raises(ValueError, match="control character"):
            client.connect(f"ada{line_break}ce-hub: other")
        assert seen == []

    def test_a_connection_id(self, client: WebPubSubTestClient, seen: list[Any], line_break: str) -> None:
        with pytest.raises(ValueError, match="control character"):
            client.connect("ada", connection_id=f"c1{line_break}ce-hub: other")
        assert seen == []

    def test_a_hub(self, client: WebPubSubTestClient, seen: list[Any], line_break: str) -> None:
        client.hub = f"chat{line_break}ce-userId: root"
        with pytest.raises(ValueError, match="control character"):
            client.connect("ada")
        assert seen == []

    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param(lambda text: {"metadata": {text: "1"}}, id="the name of metadata"),
            pytest.param(lambda text: {"metadata": {"a": text}}, id="the value of metadata"),
            pytest.param(
                lambda text: {"user_properties": [MqttUserProperty(text, "1")]}, id="the name of a user property"
            ),
            pytest.param(
                lambda text: {"user_properties": [MqttUserProperty("a", text)]}, id="the value of a user property"
            ),
        ],
    )
    def test_what_a_message_has_beside_its_data(
        self, client: WebPubSubTestClient, seen: list[Any], line_break: str, fields: Any
    ) -> None:
        connection = client.connect("ada", mqtt=MqttConnectProperties(protocol_version=MqttProtocolVersion.V500))
        seen.clear()
        with pytest.raises(ValueError, match=r"of a header|ASCII"):
            connection.send_event("message", "hi", **fields(f"a{line_break}ce-hub: other"))
        assert seen == []

    def test_the_name_of_an_event(self, client: WebPubSubTestClient, seen: list[Any], line_break: str) -> None:
        connection = client.connect("ada")
        seen.clear()
        with pytest.raises(ValueError, match="control character"):
            connection.send_event(f"message{line_break}ce-hub: other", "hi")
        assert seen == []


@pytest.mark.parametrize("line_break", [*BREAKS.values(), "\0"], ids=[*BREAKS, "NUL"])
class TestEmulator:
    """What a client says, or its token, does not come to the app as a header."""

    @pytest.fixture
    def app(self) -> Flask:
        app = Flask("app")
        app.config.update(TESTING=True, WEBPUBSUB_CONNECTION_STRING=DEVELOPMENT_CONNECTION_STRING, WEBPUBSUB_HUB="chat")
        return app

    def test_the_name_of_an_event(self, app: Flask, seen: list[Any], line_break: str) -> None:
        emulator = pytest.importorskip("flask_webpubsub.emulator", reason="the extra 'emulator' is not installed")
        websocket = pytest.importorskip("websocket", reason="websocket-client is not installed")
        frame = {
            "type": "event",
            "event": f"message{line_break}ce-hub: other",
            "dataType": "text",
            "data": "hi",
            "ackId": 1,
        }
        with emulator.Emulator(app) as service:
            url = service.client_url(hub="chat", user_id="ada")
            with closing(websocket.create_connection(url, subprotocols=["json.webpubsub.azure.v1"])) as client:
                client.recv()
                client.send(json.dumps(frame))
                answer = client.recv()
        assert "other" not in str(seen[1:])
        assert '"success":true' not in answer

    def test_a_user_id_in_a_token(self, app: Flask, seen: list[Any], line_break: str) -> None:
        emulator = pytest.importorskip("flask_webpubsub.emulator", reason="the extra 'emulator' is not installed")
        websocket = pytest.importorskip("websocket", reason="websocket-client is not installed")
        with emulator.Emulator(app) as service:
            url = service.client_url(hub="chat", user_id=f"ada{line_break}ce-hub: other")
            with pytest.raises(websocket.WebSocketBadStatusException):
                websocket.create_connection(url)
        assert seen == []
