"""MQTT clients beside plain ones: each has its handlers, a sensor signs in, reports, and goes."""

from __future__ import annotations

from typing import Any

import pytest

from flask_webpubsub import (
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    MqttConnectEventRequest,
    MqttConnectEventResponse,
    MqttConnectProperties,
    MqttDisconnectedEventRequest,
    MqttDisconnectedProperties,
    MqttDisconnectPacketProperties,
    MqttDisconnectReasonCode,
    MqttProtocolVersion,
    MqttUserEventRequest,
    MqttUserProperty,
    MqttV311ConnectReturnCode,
    MqttV500ConnectReasonCode,
    UserEventResponse,
    WebPubSub,
)
from flask_webpubsub.testing import WebPubSubTestClient

pytestmark = pytest.mark.both_doors

V311, V500 = MqttProtocolVersion.V311, MqttProtocolVersion.V500


def sign_in(version: MqttProtocolVersion, password: bytes) -> MqttConnectProperties:
    return MqttConnectProperties(protocol_version=version, clean_start=True, username="sensor", password=password)


@pytest.fixture
def log(wps: WebPubSub) -> list[Any]:
    """An app for sensors; what it hears is listed."""
    heard: list[Any] = []

    @wps.on_connect(client_protocols="mqtt")
    def connect(request: MqttConnectEventRequest) -> Any:
        if request.mqtt.password != b"secret":
            wrong = {
                V311: MqttV311ConnectReturnCode.BAD_USERNAME_OR_PASSWORD,
                V500: MqttV500ConnectReasonCode.BAD_USERNAME_OR_PASSWORD,
            }
            return request.create_error_response(wrong[request.mqtt.protocol_version], "Wrong password.")
        response = request.create_response(
            request.mqtt.username, groups=["sensors"], user_properties=[MqttUserProperty("rate", "60")]
        )
        response.set_state("reports", 0)
        return response

    @wps.on_connect
    def connect_plain() -> EventErrorResponse:
        return EventErrorResponse(403, "Sensors only.")

    @wps.on_user_event("report")
    def report(request: MqttUserEventRequest, data: float, user_properties: list[MqttUserProperty]) -> Any:
        count = request.connection_context.states["reports"] + 1
        heard.append((data, user_properties))
        return UserEventResponse(
            {"reports": count}, states={"reports": count}, user_properties=[MqttUserProperty("seen", str(count))]
        )

    @wps.on_disconnected
    def disconnected(request: MqttDisconnectedEventRequest, mqtt: MqttDisconnectedProperties) -> None:
        heard.append((request.reason, mqtt.disconnect_packet, dict(request.connection_context.states)))

    return heard


@pytest.mark.parametrize("version", MqttProtocolVersion, ids=lambda version: version.name)
def test_a_sensor_reports_and_goes(version: MqttProtocolVersion, client: WebPubSubTestClient, log: list[Any]) -> None:
    sensor = client.connect(mqtt=sign_in(version, b"secret"), connection_id="sensor-17")
    assert sensor.response == MqttConnectEventResponse(
        "sensor", ["sensors"], user_properties=[MqttUserProperty("rate", "60")], states={"reports": 0}
    )
    celsius = [MqttUserProperty("unit", "°C")]
    for count, temperature in enumerate((20.5, 21), start=1):
        assert sensor.send_event("report", temperature, user_properties=celsius) == UserEventResponse(
            {"reports": count}, states={"reports": count}, user_properties=[MqttUserProperty("seen", str(count))]
        )
    packet = MqttDisconnectPacketProperties(code=MqttDisconnectReasonCode.KEEP_ALIVE_TIMEOUT)
    lost = MqttDisconnectedProperties(initiated_by_client=False, disconnect_packet=packet)
    assert sensor.disconnect("Silence.", mqtt=lost) is None
    assert log == [(20.5, celsius), (21, celsius), ("Silence.", packet, {"reports": 2})]


@pytest.mark.parametrize(("version", "code"), [(V311, 4), (V500, 134)])
def test_a_sensor_with_a_wrong_password_is_told_so_in_its_version(
    version: MqttProtocolVersion, code: int, client: WebPubSubTestClient, log: list[Any]
) -> None:
    sensor = client.connect(mqtt=sign_in(version, b"guess"))
    assert sensor.response == MqttConnectEventErrorResponse(code, "Wrong password.")
    assert (sensor.accepted, sensor.answer.status) == (False, 401)
    assert log == []


def test_a_plain_client_gets_its_own_handler(client: WebPubSubTestClient, log: list[Any]) -> None:
    assert client.connect("alice").response == EventErrorResponse(403, "Sensors only.")


def test_a_sensor_that_comes_again_is_a_new_network_connection(client: WebPubSubTestClient, log: list[Any]) -> None:
    first = client.connect(mqtt=sign_in(V500, b"secret"), connection_id="sensor-17")
    again = client.connect(mqtt=sign_in(V500, b"secret"), connection_id="sensor-17")
    first.send_event("report", 1)
    assert (first.states, again.states) == ({"reports": 1}, {"reports": 0})
