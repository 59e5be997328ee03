"""MQTT's codes: the status of each, and how other errors are said in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask, abort

from flask_webpubsub import (
    ConnectEventResponse,
    EventError,
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    MqttConnectEventRequest,
    MqttConnectEventResponse,
    MqttConnectProperties,
    MqttDisconnectReasonCode,
    MqttProtocolVersion,
    MqttUserProperty,
    MqttV311ConnectReturnCode,
    MqttV500ConnectReasonCode,
    UserEventResponse,
    WebPubSub,
    WebPubSubErrorCode,
)
from flask_webpubsub.messages import Answer
from flask_webpubsub.mqtt import connect_status, make_disconnect_code
from flask_webpubsub.testing import WebPubSubTestClient
from tests.test_codec import log_lines
from tests.wire import replay

pytestmark = pytest.mark.both_doors

V311, V500 = MqttProtocolVersion.V311, MqttProtocolVersion.V500
SAMPLES = {V311: "mqtt_connect_311", V500: "mqtt_connect_500"}

STATUSES_311 = {1: 400, 2: 400, 3: 503, 4: 401, 5: 401}
STATUSES_500 = {
    128: 500,
    129: 400,
    130: 400,
    131: 400,
    132: 400,
    133: 400,
    134: 401,
    135: 401,
    136: 503,
    137: 503,
    138: 403,
    140: 400,
    144: 400,
    149: 400,
    151: 429,
    153: 400,
    154: 400,
    155: 400,
    156: 500,
    157: 500,
    159: 429,
}
STATUSES: list[tuple[MqttProtocolVersion, int, int]] = [
    *((V311, code, status) for code, status in STATUSES_311.items()),
    *((V500, code, status) for code, status in STATUSES_500.items()),
]


def refuse(result: Any, version: MqttProtocolVersion, wps: WebPubSub, app: Flask) -> tuple[int, Any]:
    """The status and the body that an MQTT client is refused with."""

    @wps.on_connect
    def connect() -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    answer = replay.read(SAMPLES[version]).send(app)
    assert answer.header("Content-Type") == "application/json"
    assert answer.header("ce-connectionState") is None
    return answer.status, json.loads(answer.body)


def test_there_are_the_documented_codes() -> None:
    assert {int(code) for code in MqttV311ConnectReturnCode} == STATUSES_311.keys()
    assert {int(code) for code in MqttV500ConnectReasonCode} == STATUSES_500.keys()
    assert [int(version) for version in MqttProtocolVersion] == [4, 5]
    assert {int(code) for code in MqttDisconnectReasonCode} == {
        *(0, 4, 128, 129, 130, 131, 135, 137, 139, 141, 142, 143, 144, 147, 148, 149),
        *range(150, 163),
    }


@pytest.mark.parametrize(("version", "code", "status"), STATUSES)
@pytest.mark.parametrize("form", ["typed", "number", "mapping"])
def test_a_code_has_its_status(
    version: MqttProtocolVersion, code: int, status: int, form: str, app: Flask, wps: WebPubSub
) -> None:
    typed = MqttV311ConnectReturnCode if version is V311 else MqttV500ConnectReasonCode
    result = {
        "typed": MqttConnectEventErrorResponse(typed(code)),
        "number": MqttConnectEventErrorResponse(code),
        "mapping": {"mqtt": {"code": code}},
    }[form]
    assert connect_status(typed(code)) == status
    assert refuse(result, version, wps, app) == (status, {"mqtt": {"code": code}})


WRONG_CODES: list[tuple[MqttProtocolVersion, Any]] = [
    *((V311, code) for code in (0, 6, 128, 135, -1, MqttV500ConnectReasonCode.BANNED)),
    *((V500, code) for code in (0, 1, 5, 127, 139, 160, 401, MqttV311ConnectReturnCode.NOT_AUTHORIZED)),
    *((version, code) for version in (V311, V500) for code in (None, True, "5", "unauthorized", 5.0, [5])),
]


@pytest.mark.parametrize(("version", "code"), WRONG_CODES)
@pytest.mark.parametrize("form", ["typed", "mapping"])
def test_a_code_of_another_version_is_refused(
    version: MqttProtocolVersion,
    code: Any,
    form: str,
    app: Flask,
    wps: WebPubSub,
    caplog: pytest.LogCaptureFixture,
) -> None:
    result = MqttConnectEventErrorResponse(code) if form == "typed" else {"mqtt": {"code": code}}
    generic = 3 if version is V311 else 136
    expected = {"mqtt": {"code": generic, "reason": "Internal Server Error"}}
    assert refuse(result, version, wps, app) == (500, expected)
    assert len(log_lines(caplog)) == 1


def test_a_code_that_is_no_number_is_not_logged(app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture) -> None:
    result: Any = MqttConnectEventErrorResponse({"code": "hunter2"})  # type: ignore[arg-type]
    assert refuse(result, V500, wps, app)[0] == 500
    assert "a dict is no code of MQTT" in caplog.text
    assert "hunter2" not in caplog.text


# Generic errors: their code in each version. The integer stays the status.
TRANSLATIONS: dict[str, tuple[Any, int, int, int]] = {
    "unauthorized": ("unauthorized", 401, 5, 135),
    "unauthorized-any-case": ("UNAUTHORIZED", 401, 5, 135),
    "user-error": (WebPubSubErrorCode.USER_ERROR, 400, 4, 134),
    "server-error": ("serverError", 500, 3, 136),
    "400": (400, 400, 4, 134),
    "401": (401, 401, 5, 135),
    "402": (402, 402, 4, 131),
    "403": (403, 403, 5, 138),
    "404": (404, 404, 4, 131),
    "429": (429, 429, 3, 159),
    "499": (499, 499, 4, 131),
    "500": (500, 500, 3, 136),
    "501": (501, 501, 3, 128),
    "503": (503, 503, 3, 136),
    "599": (599, 599, 3, 128),
}


@pytest.mark.parametrize(("code", "status", "v311", "v500"), TRANSLATIONS.values(), ids=TRANSLATIONS)
@pytest.mark.parametrize("version", MqttProtocolVersion, ids=lambda version: version.name)
@pytest.mark.parametrize("form", ["typed", "mapping", "raised"])
def test_a_generic_error_is_said_in_the_clients_version(
    code: Any,
    status: int,
    v311: int,
    v500: int,
    version: MqttProtocolVersion,
    form: str,
    app: Flask,
    wps: WebPubSub,
) -> None:
    result = {
        "typed": EventErrorResponse(code, "Why."),
        "mapping": {"code": code, "errorMessage": "Why."},
        "raised": EventError(code, "Why."),
    }[form]
    expected = {"mqtt": {"code": v311 if version is V311 else v500, "reason": "Why."}}
    assert refuse(result, version, wps, app) == (status, expected)


def test_an_error_without_a_message_has_no_reason(app: Flask, wps: WebPubSub) -> None:
    assert refuse(EventErrorResponse(403), V500, wps, app) == (403, {"mqtt": {"code": 138}})


def test_abort_is_said_in_mqtt(app: Flask, wps: WebPubSub) -> None:
    wps.on_connect(lambda: abort(403))
    answer = replay.read("mqtt_connect_311").send(app)
    assert (answer.status, json.loads(answer.body)) == (403, {"mqtt": {"code": 5, "reason": "Forbidden"}})


REFUSALS: dict[str, tuple[Any, Any]] = {
    "reason": (MqttConnectEventErrorResponse(138, "Banned."), {"code": 138, "reason": "Banned."}),
    "empty-reason": (MqttConnectEventErrorResponse(138, ""), {"code": 138}),
    "properties": (
        MqttConnectEventErrorResponse(138, user_properties=[MqttUserProperty("a", "é")]),
        {"code": 138, "userProperties": [{"name": "a", "value": "é"}]},
    ),
    "mapping": (
        {"MQTT": {"Code": 138, "reason": "Banned.", "user_properties": [{"name": "a", "value": "b"}]}},
        {"code": 138, "reason": "Banned.", "userProperties": [{"name": "a", "value": "b"}]},
    ),
    "mapping-null": ({"mqtt": {"code": 138, "reason": None}}, {"code": 138}),
}


@pytest.mark.parametrize(("result", "body"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_has_its_reason_and_its_properties(result: Any, body: Any, app: Flask, wps: WebPubSub) -> None:
    assert refuse(result, V500, wps, app) == (403, {"mqtt": body})


REFUSED: dict[str, Any] = {
    "user-response": UserEventResponse("a"),
    "text": "a",
    "tuple": ("a", 401),
    "subprotocol": MqttConnectEventResponse(subprotocol="json"),
    "accept-properties": MqttConnectEventResponse(user_properties=["a"]),  # type: ignore[list-item]
    "reason": MqttConnectEventErrorResponse(138, 1),  # type: ignore[arg-type]
    "properties": MqttConnectEventErrorResponse(138, user_properties=["a"]),  # type: ignore[list-item]
    "mapping-reason": {"mqtt": {"code": 138, "reason": 1}},
    "mapping-key": {"mqtt": {"code": 138, "later": 1}},
    "mapping-other-key": {"mqtt": {"code": 138}, "userId": "a"},
    "mapping-properties": {"mqtt": {"userProperties": [{"name": "a"}]}},
    "mapping-mqtt": {"mqtt": "a"},
    "mapping-accept-key": {"mqtt": {"reason": "a"}},
    "code": {"code": 200},
}


@pytest.mark.parametrize("result", REFUSED.values(), ids=REFUSED)
def test_a_wrong_answer_keeps_an_mqtt_client_out(
    result: Any, app: Flask, wps: WebPubSub, caplog: pytest.LogCaptureFixture
) -> None:
    expected = {"mqtt": {"code": 136, "reason": "Internal Server Error"}}
    assert refuse(result, V500, wps, app) == (500, expected)
    assert len(log_lines(caplog)) == 1


@pytest.mark.parametrize(("version", "code"), [(V311, 3), (V500, 136)])
def test_a_crash_is_500_in_mqtt(version: MqttProtocolVersion, code: int, app: Flask, wps: WebPubSub) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    status, body = refuse(LookupError("hunter2"), version, wps, app)
    assert (status, body["mqtt"]["code"]) == (500, code)
    assert "hunter2" not in json.dumps(body)


EARLY: dict[str, tuple[dict[str, Any], bytes | None, int]] = {
    "signature": ({"ce-signature": "sha256=00"}, None, 401),
    "headers": ({"ce-time": "yesterday"}, None, 400),
    "hub": ({"ce-hub": "other"}, None, 404),
    "states": ({"ce-connectionState": "!"}, None, 400),
    "json": ({}, b"{", 400),
    "version": ({}, b'{"mqtt": {"protocolVersion": 3}}', 400),
}


@pytest.mark.parametrize(("changes", "body", "status"), EARLY.values(), ids=EARLY)
def test_a_failure_before_the_version_is_known_is_plain_text(
    changes: Any, body: bytes | None, status: int, app: Flask, wps: WebPubSub
) -> None:
    wps.on_connect(lambda: None)
    answer = replay.read("mqtt_connect_500").changed(changes, body=body).send(app)
    assert (answer.status, answer.header("Content-Type")) == (status, "text/plain; charset=utf-8")


def test_a_plain_response_lets_an_mqtt_client_in(app: Flask, wps: WebPubSub) -> None:
    wps.on_connect(lambda: ConnectEventResponse("alice"))
    answer = replay.read("mqtt_connect_311").send(app)
    assert (answer.status, json.loads(answer.body)) == (200, {"userId": "alice"})


def test_errors_of_other_mqtt_events_are_plain(app: Flask, wps: WebPubSub) -> None:
    wps.on_user_event("greet")(lambda: EventErrorResponse("unauthorized", "No."))
    answer = replay.read("mqtt_user_event").send(app)
    assert answer == Answer(401, answer.headers, b"No.")
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("code", [MqttV311ConnectReturnCode.NOT_AUTHORIZED, MqttV500ConnectReasonCode.BANNED])
def test_the_request_creates_the_error_that_fits(code: Any, wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_connect
    def connect(request: MqttConnectEventRequest) -> Any:
        return request.create_error_response(code, "No.")

    version = V311 if isinstance(code, MqttV311ConnectReturnCode) else V500
    connection = client.connect(mqtt=MqttConnectProperties(protocol_version=version))
    assert connection.response == MqttConnectEventErrorResponse(code, "No.")
    assert not connection.accepted


@pytest.mark.parametrize("code", [*MqttDisconnectReasonCode, 1, 77, 255])
def test_a_disconnect_code_keeps_its_number(code: int) -> None:
    made = make_disconnect_code(int(code))
    assert made == code
    assert isinstance(made, MqttDisconnectReasonCode) == isinstance(code, MqttDisconnectReasonCode)
