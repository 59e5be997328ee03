"""What the service tells us, as objects."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from flask_webpubsub import (
    ConnectedEventRequest,
    ConnectEventRequest,
    ConnectEventResponse,
    DisconnectedEventRequest,
    EventErrorResponse,
    GroupJoinedEventRequest,
    GroupLeftEventRequest,
    MqttConnectedEventRequest,
    MqttConnectEventErrorResponse,
    MqttConnectEventRequest,
    MqttConnectEventResponse,
    MqttConnectionContext,
    MqttDisconnectedEventRequest,
    MqttUserEventRequest,
    MqttUserProperty,
    MqttV311ConnectReturnCode,
    MqttV500ConnectReasonCode,
    UserEventRequest,
    UserEventResponse,
    WebPubSubConnectionContext,
    WebPubSubDataType,
    WebPubSubEventRequest,
    WebPubSubEventType,
)
from flask_webpubsub.events import request_classes
from tests.wire import replay

CONTEXT = WebPubSubConnectionContext(
    event_type=WebPubSubEventType.USER,
    event_name="message",
    hub="chat",
    connection_id="c1",
    signature="sha256=abc",
    headers=Headers({"ce-signature": "sha256=abc", "ce-userId": "alice"}),
)


def test_a_context_shows_neither_its_signature_nor_its_headers() -> None:
    shown = repr(CONTEXT)
    assert "sha256" not in shown
    assert "ce-userId" not in shown
    assert "'c1'" in shown


def test_signature_and_headers_do_not_compare() -> None:
    assert replace(CONTEXT, signature=None, headers=Headers()) == CONTEXT
    assert replace(CONTEXT, connection_id="c2") != CONTEXT


def test_the_headers_of_a_context_ignore_case() -> None:
    headers = replay.read("message_text").decode().connection_context.headers
    assert headers["CE-HUB"] == headers["ce-hub"] == "chat"


def test_a_context_has_no_more_than_its_documented_members() -> None:
    assert {field.name for field in fields(WebPubSubConnectionContext)} == {
        *("event_type", "event_name", "hub", "connection_id", "user_id", "subprotocol"),
        *("signature", "origin", "states", "headers", "event_id", "time"),
    }
    more = {field.name for field in fields(MqttConnectionContext)} - {
        field.name for field in fields(WebPubSubConnectionContext)
    }
    assert more == {"physical_connection_id", "session_id"}


@pytest.mark.parametrize(
    ("mqtt", "plain"),
    [
        (MqttConnectEventRequest, ConnectEventRequest),
        (MqttConnectedEventRequest, ConnectedEventRequest),
        (MqttUserEventRequest, UserEventRequest),
        (MqttDisconnectedEventRequest, DisconnectedEventRequest),
        (MqttConnectionContext, WebPubSubConnectionContext),
        (MqttConnectEventResponse, ConnectEventResponse),
    ],
)
def test_the_classes_of_mqtt_derive_from_the_plain_ones(mqtt: type, plain: type) -> None:
    assert issubclass(mqtt, plain)


@pytest.mark.parametrize(
    ("event_type", "event_name", "classes"),
    [
        (WebPubSubEventType.USER, "anything", (UserEventRequest, MqttUserEventRequest)),
        (WebPubSubEventType.USER, "connect", (UserEventRequest, MqttUserEventRequest)),
        (WebPubSubEventType.SYSTEM, "Connect", (ConnectEventRequest, MqttConnectEventRequest)),
        (WebPubSubEventType.SYSTEM, "connected", (ConnectedEventRequest, MqttConnectedEventRequest)),
        (WebPubSubEventType.SYSTEM, "disconnected", (DisconnectedEventRequest, MqttDisconnectedEventRequest)),
        (WebPubSubEventType.PRESENCE, "joined", (GroupJoinedEventRequest, GroupJoinedEventRequest)),
        (WebPubSubEventType.PRESENCE, "LEFT", (GroupLeftEventRequest, GroupLeftEventRequest)),
        (WebPubSubEventType.PRESENCE, "connect", (WebPubSubEventRequest, WebPubSubEventRequest)),
        (WebPubSubEventType.SYSTEM, "joined", (WebPubSubEventRequest, WebPubSubEventRequest)),
        (WebPubSubEventType.SYSTEM, "later", (WebPubSubEventRequest, WebPubSubEventRequest)),
    ],
)
def test_an_event_has_its_class(event_type: WebPubSubEventType, event_name: str, classes: Any) -> None:
    assert request_classes(event_type, event_name) == classes


@pytest.mark.parametrize(
    ("data", "data_type", "raw"),
    [
        ("é", "text", "é".encode()),
        (b"\xff", "binary", b"\xff"),
        ({"a": [1, None]}, "json", b'{"a":[1,null]}'),
        ("text", "json", b'"text"'),
        (None, "json", b"null"),
        (0, "json", b"0"),
    ],
)
def test_a_message_that_was_made_has_its_bytes(data: Any, data_type: str, raw: bytes) -> None:
    event = UserEventRequest(connection_context=CONTEXT, data=data, data_type=WebPubSubDataType(data_type))
    assert event.get_data() == raw


def test_a_message_that_came_has_the_bytes_that_came() -> None:
    event = replay.read("event_json").changed(body=b' {"a" : 1.0}\n').decode()
    assert isinstance(event, UserEventRequest)
    assert event.data == {"a": 1.0}
    assert event.get_data() == b' {"a" : 1.0}\n'


def test_a_message_creates_its_answer() -> None:
    event = replay.read("message_text").decode()
    assert isinstance(event, UserEventRequest)
    assert event.create_response() == UserEventResponse()
    assert event.create_response("ack") == UserEventResponse("ack", "text")
    assert event.create_response([1], "json") == UserEventResponse([1], "json")
    assert event.create_error_response("userError", "No.") == EventErrorResponse("userError", "No.")
    with pytest.raises(ValueError, match="xml"):
        event.create_response("ack", "xml")


def test_a_connect_creates_its_answer() -> None:
    event = replay.read("connect").decode()
    assert isinstance(event, ConnectEventRequest)
    assert event.create_response() == ConnectEventResponse()
    assert event.create_response("bob", ["a"], [], "chat") == ConnectEventResponse("bob", ["a"], [], "chat")
    assert event.create_error_response(403) == EventErrorResponse(403)
    with pytest.raises(ValueError, match="is no error code"):
        event.create_error_response(200)


def test_an_mqtt_connect_creates_its_answer() -> None:
    event = replay.read("mqtt_connect_500").decode()
    assert isinstance(event, MqttConnectEventRequest)
    properties = [MqttUserProperty("a", "b")]
    response = event.create_response("bob", user_properties=properties)
    assert response == MqttConnectEventResponse("bob", user_properties=properties)
    assert response.subprotocol == "mqtt"
    assert event.create_error_response("unauthorized", "No.") == EventErrorResponse("unauthorized", "No.")
    for code in (MqttV500ConnectReasonCode.BANNED, MqttV311ConnectReturnCode.NOT_AUTHORIZED):
        assert event.create_error_response(code, "No.") == MqttConnectEventErrorResponse(code, "No.")
        assert event.create_error_response(code) == MqttConnectEventErrorResponse(code)
