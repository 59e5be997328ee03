"""Every header and every body of an event, as the app hears it, and what it answers where one is wrong."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import (
    ConnectedEventRequest,
    ConnectEventRequest,
    DisconnectedEventRequest,
    EventTooLargeError,
    GroupJoinedEventRequest,
    GroupLeftEventRequest,
    InvalidAnswerError,
    InvalidEventError,
    InvalidHandlerResultError,
    MqttConnectedEventRequest,
    MqttConnectEventErrorResponse,
    MqttConnectEventRequest,
    MqttConnectionContext,
    MqttConnectProperties,
    MqttDisconnectedEventRequest,
    MqttDisconnectedProperties,
    MqttDisconnectPacketProperties,
    MqttDisconnectReasonCode,
    MqttProtocolVersion,
    MqttUserEventRequest,
    MqttUserProperty,
    MqttV311ConnectReturnCode,
    UserEventRequest,
    WebPubSub,
    WebPubSubClientCertificate,
    WebPubSubConnectionContext,
    WebPubSubEventRequest,
    WebPubSubEventResponse,
    WebPubSubEventType,
)
from flask_webpubsub.codec import decode_context, decode_event, decode_response, encode_event, encode_response
from flask_webpubsub.messages import Answer, Message
from flask_webpubsub.states import decode_states
from tests.wire import replay

pytestmark = pytest.mark.both_doors

Heard = list[Any]


@pytest.fixture
def heard(wps: WebPubSub) -> Heard:
    """What the handlers of all events were called with."""
    requests: Heard = []

    def hear(request: WebPubSubEventRequest) -> None:
        requests.append(request)

    wps.on_user_event("*")(hear)
    for decorator in (wps.on_connect, wps.on_connected, wps.on_disconnected, wps.on_group_joined, wps.on_group_left):
        decorator(hear)
    return requests


def log_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "flask_webpubsub" and record.levelno >= logging.WARNING
    ]


def assert_refused(answer: Answer, caplog: pytest.LogCaptureFixture, *parts: str, status: int = 400) -> None:
    """The answer is plain text that tells nothing, and one log line tells all."""
    phrases = {400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found"}
    assert (answer.status, answer.body) == (status, phrases[status])
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    [line] = log_lines(caplog)
    for part in parts:
        assert part in line


# The samples of the reference, as they stand there.

EXPECTED_CLASSES: dict[str, type[WebPubSubEventRequest]] = {
    "connect": ConnectEventRequest,
    "connected": ConnectedEventRequest,
    "disconnected": DisconnectedEventRequest,
    "event_binary": UserEventRequest,
    "event_json": UserEventRequest,
    "event_protobuf": UserEventRequest,
    "event_text": UserEventRequest,
    "joined": GroupJoinedEventRequest,
    "left": GroupLeftEventRequest,
    "message_binary": UserEventRequest,
    "message_text": UserEventRequest,
    "mqtt_connect_311": MqttConnectEventRequest,
    "mqtt_connect_500": MqttConnectEventRequest,
    "mqtt_connected": MqttConnectedEventRequest,
    "mqtt_disconnected": MqttDisconnectedEventRequest,
    "mqtt_user_event": MqttUserEventRequest,
}


@pytest.mark.parametrize("name", replay.EVENTS)
def test_the_documented_sample_reaches_its_handler(name: str, app: Flask, heard: Heard) -> None:
    answer = replay.read(name).send(app)
    assert (answer.status, answer.body) == (204, b"")
    [request] = heard
    assert type(request) is EXPECTED_CLASSES[name]


@pytest.mark.parametrize("name", replay.EVENTS)
def test_the_documented_sample_is_written_as_it_stands(name: str) -> None:
    sample = replay.read(name)
    delivery = encode_event(sample.decode())
    written = {key.lower(): value for key, value in delivery.headers}
    for key, value in sample.headers:
        if key.lower() not in {"host", "content-length", "ce-source"}:
            assert written[key.lower()] == value
    if "json" in written["content-type"]:
        sent, expected = json.loads(delivery.body), json.loads(sample.body)
        assert without_nulls(sent) == without_nulls(expected)
    else:
        assert delivery.body == sample.body


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        # The sample's null is our empty list: the service writes either.
        return {key: without_nulls(item) for key, item in value.items() if item is not None and item != []}
    return value


def test_the_documented_validation_is_accepted(app: Flask, heard: Heard) -> None:
    answer = replay.read("validation").send(app)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("WebHook-Allowed-Origin") == "*"


def test_a_context_has_what_the_headers_say() -> None:
    event = replay.read("message_text").decode()
    assert event.connection_context == WebPubSubConnectionContext(
        event_type=WebPubSubEventType.USER,
        event_name="message",
        hub="chat",
        connection_id="0f9c97a2f0bf4706afe87a14e0797b11",
        user_id="alice",
        subprotocol=None,
        origin="contoso.webpubsub.azure.com",
        states={"key": "a"},
        event_id="1",
        time=datetime(2021, 1, 1, tzinfo=UTC),
    )
    assert event.connection_context.headers["HOST"] == "app.example.com"
    assert str(event.connection_context.signature).startswith("sha256=7767effcb3946f3e")


def test_an_mqtt_context_has_what_the_headers_say() -> None:
    event = replay.read("mqtt_user_event").decode()
    assert event.connection_context == MqttConnectionContext(
        event_type=WebPubSubEventType.USER,
        event_name="greet",
        hub="chat",
        connection_id="sensor-17",
        subprotocol="mqtt",
        origin="contoso.webpubsub.azure.com",
        event_id="1",
        time=datetime(2021, 1, 1, tzinfo=UTC),
        physical_connection_id="1b2c3d4e5f",
        session_id="9f8e7d6c5b",
    )


# Headers.

REQUIRED = ["WebHook-Request-Origin", "ce-type", "ce-eventName", "ce-hub", "ce-connectionId"]
SINGLE = [
    "ce-type",
    "ce-eventName",
    "ce-connectionId",
    "ce-connectionState",
    "ce-id",
    "ce-time",
    "ce-subprotocol",
    "ce-physicalConnectionId",
    "ce-sessionId",
]
PRINTABLE = [*SINGLE, "ce-hub", "ce-source", "ce-specversion", "ce-awpsversion"]


@pytest.mark.parametrize("header", REQUIRED)
@pytest.mark.parametrize("value", [None, ""], ids=["missing", "empty"])
def test_a_required_header_that_is_not_there_is_400(
    header: str, value: str | None, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    answer = replay.read("message_text").changed({header: value}).send(app)
    assert_refused(answer, caplog, header)
    assert not heard


@pytest.mark.parametrize("header", SINGLE)
@pytest.mark.parametrize("name", ["message_text", "mqtt_user_event"])
def test_a_header_that_was_sent_twice_is_400(
    header: str, name: str, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    sample = replay.read(name)
    value = next((value for key, value in sample.headers if key == header), "x")
    assert_refused(sample.changed({header: [value, value]}).send(app), caplog, header, "twice")
    assert not heard


@pytest.mark.parametrize("header", PRINTABLE)
@pytest.mark.parametrize("value", ["caf\u00c3\u00a9", "a\x01b", "a\x7f", "a\x00b", "a\tb"])
def test_a_value_that_is_not_printable_ascii_is_400(
    header: str, value: str, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    answer = replay.read("message_text").changed({header: value}).send(app)
    assert_refused(answer, caplog, header)
    assert value not in log_lines(caplog)[0]
    assert not heard


@pytest.mark.parametrize(
    "header",
    [
        *("ce-userId", "ce-subprotocol", "ce-connectionState", "ce-id", "ce-time"),
        *("ce-source", "ce-specversion", "ce-awpsversion"),
    ],
)
def test_an_optional_header_may_be_absent(header: str, app: Flask, heard: Heard) -> None:
    assert replay.read("event_text").changed({header: None}).send(app).status == 204
    assert len(heard) == 1


def test_what_is_absent_is_none() -> None:
    headers = dict.fromkeys(["ce-userId", "ce-subprotocol", "ce-connectionState", "ce-id", "ce-time"])
    context = replay.read("event_text").changed(headers).decode().connection_context
    assert (context.user_id, context.subprotocol, context.event_id, context.time) == (None,) * 4
    assert context.states == {}


def test_a_hub_may_hold_commas_and_any_case(app: Flask, wps: WebPubSub) -> None:
    seen = []

    @wps.on_message(hub="Rooms,Big")
    def message(hub: str) -> None:
        seen.append(hub)

    assert replay.read("message_text").changed({"ce-hub": "rooms,BIG"}).send(app).status == 204
    assert seen == ["rooms,BIG"]


@pytest.mark.parametrize("header", ["CE-TYPE", "webhook-request-origin", "Ce-EventName"])
def test_the_names_of_headers_have_any_case(header: str, app: Flask, heard: Heard) -> None:
    sample = replay.read("message_text")
    value = next(value for name, value in sample.headers if name.lower() == header.lower())
    assert sample.changed({header: value}).send(app).status == 204


@pytest.mark.parametrize(
    ("event_type", "event_name"),
    [
        ("azure.webpubsub.user.message", "message"),
        ("AZURE.WebPubSub.User.message", "message"),
        ("azure.webpubsub.user.Message", "mESSAGE"),
        ("azure.webpubsub.user.room.moved", "room.moved"),
        ("azure.webpubsub.user.sys.connect", "sys.connect"),
        ("azure.webpubsub.user.connect", "connect"),
    ],
)
def test_an_event_has_the_type_and_name_of_its_headers(event_type: str, event_name: str) -> None:
    event = replay.read("message_text").changed({"ce-type": event_type, "ce-eventName": event_name}).decode()
    assert isinstance(event, UserEventRequest)
    assert event.connection_context.event_type is WebPubSubEventType.USER
    assert event.connection_context.event_name == event_name


@pytest.mark.parametrize(
    ("event_type", "event_name"),
    [
        ("azure.webpubsub.user.message", "messages"),
        ("azure.webpubsub.user.message", "azure.webpubsub.user.message"),
        ("azure.webpubsub.user.room.moved", "moved"),
        ("azure.webpubsub.user.message ", "message"),
    ],
)
def test_names_that_differ_are_400(
    event_type: str, event_name: str, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    answer = replay.read("message_text").changed({"ce-type": event_type, "ce-eventName": event_name}).send(app)
    assert_refused(answer, caplog, "ce-eventName", "ce-type")
    assert not heard


@pytest.mark.parametrize(
    "event_type",
    [
        "azure.webpubsub.user.",
        "azure.webpubsub.sys.",
        "azure.webpubsub.gp.",
        "azure.webpubsub.user",
        "azure.webpubsub.message",
        "azure.webpubsub.system.message",
        "azure.signalr.user.message",
        "message",
        " azure.webpubsub.user.message",
    ],
)
def test_an_unknown_type_of_event_is_400(
    event_type: str, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(replay.read("message_text").changed({"ce-type": event_type}).send(app), caplog, "ce-type")
    assert not heard


@pytest.mark.parametrize(("kind", "event_type"), [("sys", "system"), ("gp", "presence")])
def test_an_event_of_a_later_version_is_404_until_it_has_a_handler(
    kind: str, event_type: str, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    later = {"ce-type": f"azure.webpubsub.{kind}.suspended", "ce-eventName": "suspended", "Content-Type": None}
    sample = replay.read("connected").changed(later, body=b"not JSON")
    seen: list[WebPubSubEventRequest] = []

    @wps.trigger("suspended", event_type=event_type, hub="other")
    def suspended(request: WebPubSubEventRequest) -> str:
        seen.append(request)
        return "ignored"

    assert_refused(sample.send(app), caplog, f"trigger('suspended', event_type={event_type!r}, hub='chat')", status=404)
    answer = sample.changed({"ce-hub": "other"}).send(app)
    assert (answer.status, answer.body) == (204, b"")
    assert type(seen[0]) is WebPubSubEventRequest
    assert seen[0].connection_context.states == {"key": "a"}


@pytest.mark.parametrize(
    ("on_the_wire", "user_id"),
    [
        ("alice", "alice"),
        ("a,b", "a,b"),
        ("\u00c3\u0085ke", "\u00c5ke"),
        ("\u00e5\u00b1\u00b1\u00e7\u0094\u00b0", "\u5c71\u7530"),
        ("\u00f0\u009f\u0098\u0080", "\U0001f600"),
        ("\u5c71\u7530", "\u5c71\u7530"),
        ("caf\u00e9", "caf\u00e9"),
    ],
    ids=["ascii", "comma", "two-bytes", "three-bytes", "four-bytes", "unicode", "latin-1"],
)
def test_a_user_id_is_repaired_where_it_can_be(on_the_wire: str, user_id: str, app: Flask, heard: Heard) -> None:
    assert replay.read("message_text").changed({"ce-userId": on_the_wire}).send(app).status == 204
    assert heard[0].connection_context.user_id == user_id


def test_an_empty_user_id_is_400(app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    assert_refused(replay.read("message_text").changed({"ce-userId": ""}).send(app), caplog, "ce-userId", "server")
    assert not heard


@pytest.mark.parametrize(
    ("header", "time"),
    [
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T02:30:00+02:30", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00.5Z", datetime(2026, 1, 1, microsecond=500_000, tzinfo=UTC)),
        ("2026-01-01T00:00:00.1234567Z", datetime(2026, 1, 1, microsecond=123_456, tzinfo=UTC)),
    ],
)
def test_a_time_is_in_utc(header: str, time: datetime) -> None:
    read = replay.read("message_text").changed({"ce-time": header}).decode().connection_context.time
    assert read == time
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "header",
    [
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "99999-01-01T00:00:00Z",
        "1767225600",
    ],
)
def test_a_malformed_time_is_400(header: str, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    assert_refused(replay.read("message_text").changed({"ce-time": header}).send(app), caplog, "ce-time")


@pytest.mark.parametrize("event_id", ["0", "1", "000", "abc-def"])
def test_an_event_id_is_kept_as_it_is(event_id: str) -> None:
    assert replay.read("message_text").changed({"ce-id": event_id}).decode().connection_context.event_id == event_id


@pytest.mark.parametrize(
    ("physical", "subprotocol", "is_mqtt"),
    [
        ("p1", "mqtt", True),
        ("p1", "MQTT", True),
        ("p1", None, True),
        ("p1", "", True),
        ("p1", "json.webpubsub.azure.v1", False),
        (None, "mqtt", False),
        ("", "mqtt", False),
        (None, None, False),
    ],
)
def test_an_event_is_mqtt_by_its_headers(physical: str | None, subprotocol: str | None, is_mqtt: bool) -> None:
    changes: dict[str, replay.Change] = {"ce-physicalConnectionId": physical, "ce-subprotocol": subprotocol}
    event = replay.read("message_text").changed(changes).decode()
    assert isinstance(event, MqttUserEventRequest) is is_mqtt
    assert isinstance(event.connection_context, MqttConnectionContext) is is_mqtt


def test_the_session_of_an_mqtt_connect_is_none() -> None:
    context = replay.read("mqtt_connect_500").decode().connection_context
    assert isinstance(context, MqttConnectionContext)
    assert (context.physical_connection_id, context.session_id) == ("1b2c3d4e5f", None)


def test_metadata_and_user_properties_come_as_headers() -> None:
    changes: dict[str, replay.Change] = {
        "X-WebPubSub-Metadata-Trace-Id": "a,b",
        "mqtt-Unit": "\u00c2\u00b0C",
        "mqtt-name1": "\u00b0C",
    }
    event = replay.read("mqtt_user_event").changed(changes).decode()
    assert isinstance(event, MqttUserEventRequest)
    assert event.metadata == {"trace-id": "a,b"}
    assert {(item.name, item.value) for item in event.user_properties} == {("unit", "\u00b0C"), ("name1", "\u00b0C")}


def test_a_plain_client_has_no_user_properties(app: Flask, wps: WebPubSub) -> None:
    seen = []

    @wps.on_message
    def message(user_properties: Any, mqtt: Any = "absent") -> None:
        seen.append((user_properties, mqtt))

    assert replay.read("message_text").changed({"mqtt-name": "value"}).send(app).status == 204
    assert seen == [(None, "absent")]


# Bodies of the system's events.


@pytest.mark.parametrize("field", ["claims", "query", "headers", "subprotocols", "clientCertificates"])
@pytest.mark.parametrize("change", ["absent", "null"])
def test_a_field_of_connect_may_be_absent_or_null(field: str, change: str) -> None:
    sample = replay.read("connect")
    body = json.loads(sample.body)
    if change == "absent":
        del body[field]
    else:
        body[field] = None
    event = sample.changed(body=json.dumps(body).encode()).decode()
    attribute = "client_certificates" if field == "clientCertificates" else field
    assert getattr(event, attribute) == ([] if field in {"subprotocols", "clientCertificates"} else {})


def test_connect_has_what_the_body_says() -> None:
    event = replay.read("connect").decode()
    assert isinstance(event, ConnectEventRequest)
    assert event.claims == {"sub": ["alice"], "role": ["reader", "writer"]}
    assert event.query == {"room": ["lobby"]}
    assert event.headers == {"Connection": ["Upgrade"]}
    assert event.subprotocols == ["json.webpubsub.azure.v1"]
    pem = "-----BEGIN CERTIFICATE-----\r\n...\r\n-----END CERTIFICATE-----"
    thumbprint = "3ce9b08a37566915dec4d1662cd2102121a99868"
    assert event.client_certificates == [WebPubSubClientCertificate(thumbprint=thumbprint, content=pem)]


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON ; charset=utf-16", "application/json;"])
def test_a_charset_of_json_is_ignored(content_type: str, app: Flask, heard: Heard) -> None:
    assert replay.read("connect").changed({"Content-Type": content_type}).send(app).status == 204
    assert heard[0].query == {"room": ["lobby"]}


@pytest.mark.parametrize(
    "body",
    [
        {"later": {"anything": 1}},
        {"clientCertificates": [{"thumbprint": "AB", "later": 1}]},
        {"clientCertificates": [{"thumbprint": "AB", "content": None}]},
        {},
    ],
    ids=json.dumps,
)
def test_unknown_keys_of_the_service_are_ignored(body: Any, app: Flask, heard: Heard) -> None:
    assert replay.read("connect").changed(body=json.dumps(body).encode()).send(app).status == 204
    assert len(heard) == 1


def bodies(fields: str, *values: Any, **others: Any) -> list[dict[str, Any]]:
    """For each field and each value a body that has it, with other fields beside."""
    return [others | {field: value} for field in fields.split() for value in values]


WRONG_CONNECTS = [
    *bodies("claims query headers", "a", 1, True, [], ["a"], {"a": "b"}, {"a": None}, {"a": [1]}, {"a": [None]}),
    *bodies("claims query headers", {"a": {}}, {"a": ["b"], "c": 1}),
    *bodies("subprotocols", "a", 1, False, {}, {"a": 1}, [1], [None], [["a"]]),
    *bodies("clientCertificates", "a", 1, {}, [1], ["a"], [None], [{}], [{"thumbprint": 1}], [{"content": "a"}]),
    *bodies("clientCertificates", [{"thumbprint": None}], [{"thumbprint": "a", "content": 1}]),
]


@pytest.mark.parametrize("body", WRONG_CONNECTS, ids=json.dumps)
def test_a_wrong_type_in_connect_is_400(
    body: dict[str, Any], app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    answer = replay.read("connect").changed(body=json.dumps(body).encode()).send(app)
    assert_refused(answer, caplog, "body", next(iter(body)))
    assert not heard


def test_an_mqtt_connect_has_what_the_body_says() -> None:
    event = replay.read("mqtt_connect_500").decode()
    assert isinstance(event, MqttConnectEventRequest)
    assert event.subprotocols == ["mqtt"]
    assert event.mqtt == MqttConnectProperties(
        protocol_version=MqttProtocolVersion.V500,
        clean_start=False,
        username="alice",
        password=b"secret",
        user_properties=[MqttUserProperty("name1", "value1")],
    )


def test_the_nulls_of_an_mqtt_connect_are_none_and_empty() -> None:
    event = replay.read("mqtt_connect_311").decode()
    assert isinstance(event, MqttConnectEventRequest)
    assert event.mqtt == MqttConnectProperties(protocol_version=MqttProtocolVersion.V311, clean_start=True)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(replay.read("mqtt_connect_500").decode())


WRONG_MQTT_CONNECTS: list[Any] = [
    *(None, "mqtt", [], {}),
    *bodies("protocolVersion", None, 3, 6, 0, -1, "4", "5", 4.0, 5.5, True, [4], {}),
    *bodies("cleanStart", 1, 0, "true", [], {}, protocolVersion=4),
    *bodies("username", 1, True, [], {}, protocolVersion=4),
    *bodies("password", 1, [], "c2Vjcm", "not base64!", "c2Vj\u00e9", "=", protocolVersion=4),
    *bodies("userProperties", "a", 1, {}, [1], ["a"], [{}], [{"name": "a"}], [{"value": "a"}], protocolVersion=5),
    *bodies("userProperties", [{"name": 1, "value": "a"}], [{"name": "a", "value": None}], protocolVersion=5),
]


@pytest.mark.parametrize("mqtt", WRONG_MQTT_CONNECTS, ids=json.dumps)
def test_a_wrong_mqtt_connect_is_400(mqtt: Any, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    answer = replay.read("mqtt_connect_500").changed(body=json.dumps({"mqtt": mqtt}).encode()).send(app)
    assert_refused(answer, caplog, "mqtt")
    assert not heard


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b'{"reason": "bye"}', "bye"), (b'{"reason": null}', None), (b"{}", None), (b'{"reason": ""}', "")],
)
def test_the_reason_of_a_disconnect_may_be_absent(body: bytes, reason: str | None) -> None:
    event = replay.read("disconnected").changed(body=body).decode()
    assert isinstance(event, DisconnectedEventRequest)
    assert event.reason == reason


@pytest.mark.parametrize("reason", [1, True, [], {}, ["bye"]], ids=json.dumps)
def test_a_reason_that_is_no_text_is_400(
    reason: Any, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    answer = replay.read("disconnected").changed(body=json.dumps({"reason": reason}).encode()).send(app)
    assert_refused(answer, caplog, "reason")


PACKET = MqttDisconnectPacketProperties
NAMED = [MqttUserProperty("name1", "value1")]


@pytest.mark.parametrize(
    ("mqtt", "expected"),
    [
        ({"initiatedByClient": False}, MqttDisconnectedProperties(initiated_by_client=False)),
        (
            {"initiatedByClient": False, "disconnectPacket": None},
            MqttDisconnectedProperties(initiated_by_client=False),
        ),
        (
            {"initiatedByClient": True, "disconnectPacket": {"code": 4, "userProperties": None}},
            MqttDisconnectedProperties(
                initiated_by_client=True,
                disconnect_packet=PACKET(code=MqttDisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE),
            ),
        ),
        (
            {
                "initiatedByClient": True,
                "disconnectPacket": {"code": 142, "userProperties": [{"name": "name1", "value": "value1"}]},
            },
            MqttDisconnectedProperties(
                initiated_by_client=True,
                disconnect_packet=PACKET(code=MqttDisconnectReasonCode.SESSION_TAKEN_OVER, user_properties=NAMED),
            ),
        ),
        (
            {"initiatedByClient": True, "disconnectPacket": {"code": 77}},
            MqttDisconnectedProperties(initiated_by_client=True, disconnect_packet=PACKET(code=77)),
        ),
    ],
    ids=["no-packet", "null-packet", "null-properties", "properties", "unknown-code"],
)
def test_an_mqtt_disconnect_has_what_the_body_says(mqtt: Any, expected: MqttDisconnectedProperties) -> None:
    event = replay.read("mqtt_disconnected").changed(body=json.dumps({"reason": None, "mqtt": mqtt}).encode()).decode()
    assert isinstance(event, MqttDisconnectedEventRequest)
    assert event.mqtt == expected
    assert event.reason is None


@pytest.mark.parametrize(
    "mqtt",
    [
        None,
        {},
        [],
        {"initiatedByClient": 1},
        {"initiatedByClient": "true"},
        {"initiatedByClient": None},
        {"initiatedByClient": True, "disconnectPacket": []},
        {"initiatedByClient": True, "disconnectPacket": {}},
        {"initiatedByClient": True, "disconnectPacket": {"code": None}},
        {"initiatedByClient": True, "disconnectPacket": {"code": "0"}},
        {"initiatedByClient": True, "disconnectPacket": {"code": True}},
        {"initiatedByClient": True, "disconnectPacket": {"code": 0.5}},
        {"initiatedByClient": True, "disconnectPacket": {"code": 0, "userProperties": {}}},
    ],
    ids=json.dumps,
)
def test_a_wrong_mqtt_disconnect_is_400(mqtt: Any, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    answer = replay.read("mqtt_disconnected").changed(body=json.dumps({"mqtt": mqtt}).encode()).send(app)
    assert_refused(answer, caplog, "mqtt")
    assert not heard


@pytest.mark.parametrize("name", ["joined", "left"])
@pytest.mark.parametrize(
    "body", [{}, {"group": None}, {"group": 1}, {"group": ["lobby"]}, {"Group": "lobby"}], ids=json.dumps
)
def test_a_presence_event_without_its_group_is_400(
    name: str, body: Any, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(replay.read(name).changed(body=json.dumps(body).encode()).send(app), caplog, "group")
    assert not heard


@pytest.mark.parametrize("name", ["connected", "mqtt_connected"])
@pytest.mark.parametrize("body", [b"", b"not JSON", b"\xff"])
def test_the_body_of_connected_is_never_read(name: str, body: bytes, app: Flask, heard: Heard) -> None:
    assert replay.read(name).changed({"Content-Type": None}, body=body).send(app).status == 204
    assert len(heard) == 1


@pytest.mark.parametrize("name", ["connect", "mqtt_connect_500", "disconnected", "joined", "left"])
@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/octet-stream", "json"])
def test_an_event_with_another_type_than_json_is_400(
    name: str, content_type: str | None, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    answer = replay.read(name).changed({"Content-Type": content_type}).send(app)
    assert_refused(answer, caplog, "Content-Type", "application/json")


# Odd JSON, which the standard library lets through or raises for in many ways.

ODD_JSON = {
    "empty": b"",
    "no-json": b"hello",
    "half": b'{"a": ',
    "two": b"{} {}",
    "single-quotes": b"{'a': 1}",
    "trailing-comma": b'{"a": 1,}',
    "too-deep": b"[" * 100_000 + b"]" * 100_000,
    "too-deep-object": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "integer-too-long": b"[" + b"9" * 5000 + b"]",
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": Infinity}',
    "minus-infinity": b'{"a": -Infinity}',
    "overflow": b'{"a": 1e999}',
    "minus-overflow": b'{"a": -1e999}',
    "lone-surrogate": b'{"a": "\\ud800"}',
    "lone-surrogate-key": b'{"\\udfff": 1}',
    "reversed-surrogates": b'{"a": "\\udc00\\ud800"}',
    "encoded-surrogate": b'{"a": "\xed\xa0\x80"}',
    "bom": b"\xef\xbb\xbf{}",
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "utf-16-without-bom": '{"a": 1}'.encode("utf-16-le"),
    "utf-32": '{"a": 1}'.encode("utf-32"),
    "invalid-utf-8": b'{"a": "\xff"}',
    "cut-utf-8": b'{"a": "\xc3"}',
    "control-character": b'{"a": "\x01"}',
    "null-byte": b'{"a": 1}\x00',
}


@pytest.mark.parametrize("body", ODD_JSON.values(), ids=ODD_JSON)
@pytest.mark.parametrize("name", ["connect", "mqtt_connect_311", "disconnected", "joined", "event_json"])
def test_a_body_that_is_not_json_is_400(
    body: bytes, name: str, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(replay.read(name).changed(body=body).send(app), caplog, "body")
    assert not heard


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"true"])
@pytest.mark.parametrize("name", ["connect", "mqtt_connect_500", "disconnected", "joined"])
def test_a_body_that_is_no_object_is_400(
    body: bytes, name: str, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    assert_refused(replay.read(name).changed(body=body).send(app), caplog, "body")
    assert not heard


def test_a_body_is_not_logged(app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    replay.read("connect").changed(body=b'{"query": "my-secret"}').send(app)
    replay.read("event_json").changed(body=b"my-secret").send(app)
    assert "my-secret" not in caplog.text


# Messages.


@pytest.mark.parametrize(
    ("content_type", "body", "data", "data_type"),
    [
        ("text/plain", b"hi", "hi", "text"),
        ("text/plain; charset=latin-1", "é".encode(), "é", "text"),
        ("TEXT/Plain", b"", "", "text"),
        ("text/plain", b"\xef\xbb\xbfhi", "\ufeffhi", "text"),
        ("application/json", b'{"a": [1]}', {"a": [1]}, "json"),
        ("application/json;charset=utf-16", b"0", 0, "json"),
        ("application/json", b"false", False, "json"),
        ("application/json", b"null", None, "json"),
        ("application/json", b"[]", [], "json"),
        ("application/json", b'""', "", "json"),
        ("application/json", b' "\\ud83d\\ude00" ', "\U0001f600", "json"),
        ("application/octet-stream", b"\x00\xff", b"\x00\xff", "binary"),
        ("application/octet-stream", b"", b"", "binary"),
        ("application/x-protobuf", b"\x0a\x01", b"\x0a\x01", "binary"),
    ],
)
def test_the_media_type_says_what_the_data_is(
    content_type: str, body: bytes, data: Any, data_type: str, app: Flask, heard: Heard
) -> None:
    assert replay.read("message_text").changed({"Content-Type": content_type}, body=body).send(app).status == 204
    [event] = heard
    assert (event.data, event.data_type, event.content_type) == (data, data_type, content_type)
    assert type(event.data) is type(data)
    assert event.get_data() == body


@pytest.mark.parametrize(
    "content_type", [None, "", "text/html", "image/png", "text", "multipart/form-data; boundary=x"]
)
def test_a_message_of_another_type_is_400(
    content_type: str | None, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    answer = replay.read("message_text").changed({"Content-Type": content_type}).send(app)
    assert_refused(answer, caplog, "Content-Type")
    assert not heard


@pytest.mark.parametrize("content_type", [None, "", "text/html", "image/png", "x"])
def test_an_mqtt_message_of_another_type_is_binary(content_type: str | None, app: Flask, heard: Heard) -> None:
    sample = replay.read("mqtt_user_event").changed({"Content-Type": content_type}, body=b"\xff")
    assert sample.send(app).status == 204
    [event] = heard
    assert (event.data, event.data_type, event.content_type) == (b"\xff", "binary", content_type or None)


@pytest.mark.parametrize("body", [b"\xff", b"a\xc3", b"\xed\xa0\x80", "é".encode("latin-1")])
def test_text_that_is_not_utf_8_is_400(body: bytes, app: Flask, heard: Heard, caplog: pytest.LogCaptureFixture) -> None:
    assert_refused(replay.read("message_text").changed(body=body).send(app), caplog, "text")
    assert not heard


# Who does not look at the body.


class Untouched:
    """A body that nobody may read."""

    def read(self, *args: int) -> bytes:
        raise AssertionError("The body was read.")

    readline = readlines = __iter__ = read


@pytest.mark.parametrize(
    "name", ["connect", "disconnected", "joined", "message_text", "event_json", "mqtt_disconnected", "mqtt_user_event"]
)
def test_a_handler_that_takes_nothing_of_the_body_does_not_have_it_read(name: str, app: Flask, wps: WebPubSub) -> None:
    seen = []

    def count(
        user_id: str, connection_id: str, states: Any, hub: str, event_name: str, connection_context: Any
    ) -> None:
        seen.append(event_name)

    wps.on_user_event("*")(count)
    for decorator in (wps.on_connect, wps.on_disconnected, wps.on_group_joined):
        decorator(count)
    environ = replay.read(name).changed(body=b"\xff{").environ()
    environ["wsgi.input"] = Untouched()
    with app.request_context(environ):
        assert app.dispatch_request().status_code == 204  # type: ignore[union-attr]
    assert len(seen) == 1


def test_what_a_handler_of_headers_takes_is_there_without_the_body(app: Flask, wps: WebPubSub) -> None:
    seen = []

    @wps.on_user_event("greet")
    def greet(data_type: str, metadata: Any, user_properties: Any) -> None:
        seen.append((data_type, metadata, user_properties))

    changes: dict[str, replay.Change] = {"x-webpubsub-metadata-a": "b"}
    environ = replay.read("mqtt_user_event").changed(changes).environ()
    environ["wsgi.input"] = Untouched()
    with app.request_context(environ):
        app.dispatch_request()
    assert seen == [("text", {"a": "b"}, [MqttUserProperty("name1", "value1")])]


def test_the_body_of_an_mqtt_connect_is_always_read(
    app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    @wps.on_connect
    def connect(user_id: str) -> None:
        pass

    assert_refused(replay.read("mqtt_connect_311").changed(body=b"{").send(app), caplog, "body")


@pytest.mark.parametrize("arguments", [{}, {"data": 1}], ids=["nothing", "data"])
def test_a_wrong_content_type_is_400_whoever_looks(
    arguments: dict[str, Any], app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    if arguments:

        @wps.on_message
        def message(data: Any) -> None:
            pass
    else:

        @wps.on_message
        def message_without(user_id: Any) -> None:
            pass

    assert_refused(replay.read("message_text").changed({"Content-Type": "x/y"}).send(app), caplog, "Content-Type")


def test_a_body_over_the_limit_is_an_error_of_its_own() -> None:
    message = Message(replay.read("message_text").environ())
    with pytest.raises(EventTooLargeError, match="11 bytes, the limit is 10"):
        decode_event(decode_context(message), message, max_body_bytes=10)


def test_a_body_that_ends_too_early_is_an_error() -> None:
    message = Message(replay.read("message_text").changed({"Content-Length": "12"}).environ())
    with pytest.raises(InvalidEventError, match="11 bytes where 12"):
        decode_event(decode_context(message), message)


# What can not be sent.


@pytest.mark.parametrize(
    "field", ["connection_id", "user_id", "hub", "event_name", "subprotocol", "event_id", "origin"]
)
@pytest.mark.parametrize("value", ["a\r\nX-Forged: 1", "a\nb", "\x00", 1], ids=ascii)
def test_an_event_that_no_header_can_hold_is_not_written(field: str, value: Any) -> None:
    event = replay.read("message_text").decode()
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=r"."):
        encode_event(replace(event, connection_context=replace(event.connection_context, **changes)))


def test_an_mqtt_refusal_does_not_fit_another_event() -> None:
    for name in ("connect", "message_text", "mqtt_user_event"):
        with pytest.raises(InvalidHandlerResultError, match="does not fit"):
            encode_response(MqttConnectEventErrorResponse(5), replay.read(name).decode())


def test_a_base_response_is_its_states_alone() -> None:
    answer = encode_response(WebPubSubEventResponse(states={"a": 1}), replay.read("message_text").decode())
    assert (answer.status, answer.body) == (204, b"")
    assert decode_states(answer.header("ce-connectionState") or "") == {"key": "a", "a": 1}


# What the service makes of an answer.

UNREADABLE: dict[str, tuple[str, Answer]] = {
    "redirect": ("message_text", Answer(302)),
    "not-modified": ("message_text", Answer(304)),
    "status-600": ("message_text", Answer(600)),
    "html": ("message_text", Answer(200, [("Content-Type", "text/html")], b"<p>")),
    "broken-json": ("message_text", Answer(200, [("Content-Type", "application/json")], b"{")),
    "broken-text": ("message_text", Answer(200, [("Content-Type", "text/plain")], b"\xff")),
    "states": ("message_text", Answer(204, [("ce-connectionState", "!")])),
    "connect-no-json": ("connect", Answer(200, [], b"OK")),
    "connect-list": ("connect", Answer(200, [], b"[]")),
    "connect-groups": ("connect", Answer(200, [], b'{"groups": "a"}')),
    "mqtt-error-code": (
        "mqtt_connect_311",
        Answer(401, [("Content-Type", "application/json")], b'{"mqtt": {"code": 135}}'),
    ),
    "mqtt-error-shape": ("mqtt_connect_311", Answer(401, [("Content-Type", "application/json")], b"{}")),
}


@pytest.mark.parametrize(("name", "answer"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_the_service_can_not_read_is_an_error(name: str, answer: Answer) -> None:
    with pytest.raises(InvalidAnswerError):
        decode_response(answer, replay.read(name).decode())


@pytest.mark.parametrize("body", [b"", b"null"])
def test_an_empty_answer_to_connect_is_none(body: bytes) -> None:
    assert decode_response(Answer(200, [], body), replay.read("connect").decode()) is None


def test_a_refusal_of_an_mqtt_client_is_read_in_its_version() -> None:
    answer = Answer(401, [("Content-Type", "application/json")], b'{"mqtt": {"code": 5, "reason": "No."}}')
    response = decode_response(answer, replay.read("mqtt_connect_311").decode())
    assert response == MqttConnectEventErrorResponse(MqttV311ConnectReturnCode.NOT_AUTHORIZED, "No.")
