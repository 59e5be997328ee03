"""A program that uses the public API passes ``mypy --strict`` as its author would run it, and a wrong one does not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import flask_webpubsub

pytest.importorskip("mypy", reason="mypy is not installed")

RIGHT = '''
"""An app as a user writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from flask import Flask, Response, jsonify

from flask_webpubsub import (
    NOT_GIVEN,
    ClientProtocols,
    ConfigurationError,
    ConnectedEventRequest,
    ConnectEventRequest,
    ConnectEventResponse,
    DisconnectedEventRequest,
    EventError,
    EventErrorResponse,
    GroupJoinedEventRequest,
    GroupLeftEventRequest,
    HandlerNotFoundError,
    Hub,
    InvalidEventError,
    InvalidHandlerResultError,
    InvalidSignatureError,
    MqttConnectedEventRequest,
    MqttConnectEventErrorResponse,
    MqttConnectEventRequest,
    MqttConnectEventResponse,
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
    MqttV500ConnectReasonCode,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
    WebPubSubClientCertificate,
    WebPubSubConnectionContext,
    WebPubSubDataType,
    WebPubSubError,
    WebPubSubErrorCode,
    WebPubSubEventRequest,
    WebPubSubEventResponse,
    WebPubSubEventType,
    event_handled,
    event_rejected,
)
from flask_webpubsub.testing import Connection, WebPubSubTestClient

wps = WebPubSub()
support = Hub("support", connection=["SUPPORT", "OLD"])
open_hub = Hub("open", connection=None)


@wps.on_connect
def connect(request: ConnectEventRequest, claims: Mapping[str, list[str]]) -> ConnectEventResponse | EventErrorResponse:
    context: WebPubSubConnectionContext = request.connection_context
    certificates: list[WebPubSubClientCertificate] = request.client_certificates
    if not claims or not certificates or context.event_type is not WebPubSubEventType.SYSTEM:
        return EventErrorResponse(WebPubSubErrorCode.UNAUTHORIZED, "Sign in.")
    response = request.create_response(user_id="ada", groups=["lobby"], roles=[])
    response.set_state("count", 1)
    response.user_id = NOT_GIVEN
    return response


@wps.on_connect(client_protocols=ClientProtocols.MQTT, hub="devices")
def connect_device(
    request: MqttConnectEventRequest,
) -> MqttConnectEventResponse | MqttConnectEventErrorResponse | EventErrorResponse:
    mqtt: MqttConnectProperties = request.mqtt
    if mqtt.protocol_version is MqttProtocolVersion.V311:
        return MqttConnectEventErrorResponse(MqttV311ConnectReturnCode.NOT_AUTHORIZED, "No.")
    if mqtt.username is None:
        return request.create_error_response(MqttV500ConnectReasonCode.BANNED, "No.")
    return request.create_response(user_properties=[MqttUserProperty("a", "1")])


@wps.on_connected()
def connected(request: ConnectedEventRequest) -> None: ...


@wps.on_connected(client_protocols="mqtt")
def device_connected(request: MqttConnectedEventRequest) -> None:
    context = request.connection_context
    assert isinstance(context, MqttConnectionContext)
    print(context.physical_connection_id, context.session_id)


@wps.on_message
def message(request: UserEventRequest, data: str, data_type: WebPubSubDataType) -> UserEventResponse:
    if data_type == "json":
        raise EventError("userError", "Text, please.")
    response = request.create_response(f"you said {data}", "text")
    response.set_state("last", data)
    response.clear_states()
    return response


@wps.on_message(hub="devices", client_protocols="mqtt")
def device_message(request: MqttUserEventRequest, data: BinaryIO) -> UserEventResponse:
    properties: list[MqttUserProperty] = request.user_properties
    return UserEventResponse(data.read(), metadata={"a": "b"}, user_properties=properties)


@wps.on_user_event("typing", hub="support", connection=["SUPPORT"])
async def typing(connection_context: WebPubSubConnectionContext) -> dict[str, Any]:
    return {"data": "ack", "dataType": "text"}


@wps.trigger("*", event_type="user", client_protocols="all", connection="SUPPORT")
def anything(event_name: str, data: bytes) -> Response:
    return jsonify(event_name)


@wps.trigger("renamed", event_type=WebPubSubEventType.SYSTEM)
def renamed(request: WebPubSubEventRequest) -> EventErrorResponse | MqttConnectEventErrorResponse:
    return request.create_error_response(503, "Later.")


@wps.on_group_joined
def joined(request: GroupJoinedEventRequest, group: str) -> None: ...


@wps.on_group_left(connection=None)
def left(request: GroupLeftEventRequest) -> None: ...


@support.on_connect
def support_connect() -> WebPubSubEventResponse:
    return ConnectEventResponse("ada")


@support.on_disconnected()
def support_disconnected(request: DisconnectedEventRequest, reason: str | None) -> None:
    print(request.reason, reason)


@open_hub.on_disconnected(client_protocols="mqtt")
def device_disconnected(request: MqttDisconnectedEventRequest) -> None:
    mqtt: MqttDisconnectedProperties = request.mqtt
    packet: MqttDisconnectPacketProperties | None = mqtt.disconnect_packet
    if packet is not None and packet.code == MqttDisconnectReasonCode.SERVER_BUSY:
        print(packet.user_properties)


def note(sender: Flask, context: WebPubSubConnectionContext, status: int, seconds: float) -> None:
    print(sender.name, context.hub, status, seconds)


def note_error(sender: Flask, status: int, error: WebPubSubError) -> None:
    known = (ConfigurationError, HandlerNotFoundError, InvalidEventError, InvalidSignatureError)
    print(isinstance(error, known), isinstance(error, InvalidHandlerResultError), error.status)


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["WEBPUBSUB_CONNECTION_STRING"] = "Endpoint=https://a.example;AccessKey=k;"
    wps.init_app(app)
    wps.register_hub(support)
    wps.register_hub(open_hub)
    event_handled.connect(note, app)
    event_rejected.connect(note_error, app)
    return app


def test_chat() -> None:
    app = create_app()
    client: WebPubSubTestClient = wps.test_client(app, "support")
    other = WebPubSubTestClient(app.wsgi_app, connection_string=None, hub="open")
    assert client.validate() and other.validate()
    chat: Connection = client.connect("ada", query={"a": "b"}, claims={"role": ["x"]}, subprotocols=["json"])
    assert chat.accepted
    assert chat.send_text("hi") == UserEventResponse("you said hi", WebPubSubDataType.TEXT)
    assert chat.send_json({"a": 1}) == EventErrorResponse("userError", "Text, please.")
    chat.join("lobby")
    chat.leave("lobby")
    chat.disconnect("bye")


# Decorators keep the type of what they decorate.
plain: str = message(UserEventRequest(connection_context=WebPubSubConnectionContext(
    event_type=WebPubSubEventType.USER, event_name="message", hub="chat", connection_id="c"
), data="hi", data_type=WebPubSubDataType.TEXT), "hi", WebPubSubDataType.TEXT).data
nothing: None = joined(group="lobby", request=GroupJoinedEventRequest(
    connection_context=WebPubSubConnectionContext(
        event_type=WebPubSubEventType.PRESENCE, event_name="joined", hub="chat", connection_id="c"
    ),
    group="lobby",
))
'''

# Each line that is marked holds one mistake.
WRONG = """
from __future__ import annotations

from flask_webpubsub import (
    ConnectEventRequest,
    ConnectEventResponse,
    EventErrorResponse,
    UserEventRequest,
    WebPubSub,
    WebPubSubConnectionContext,
    WebPubSubEventType,
)
from flask_webpubsub import no_such_name  # refused

wps = WebPubSub()


@wps.on_connect
def connect(request: ConnectEventRequest) -> ConnectEventResponse:
    request.claims = {}  # refused
    request.connection_context.user_id = "admin"  # refused
    request.connection_context.states["count"] = 1  # refused
    request.mqtt  # refused
    response = request.create_response()
    response.user_id = 5  # refused
    response.roles = ["admin"]
    return response


@wps.on_message
def message(request: UserEventRequest) -> EventErrorResponse:
    request.data_type = None  # refused
    return EventErrorResponse()  # refused


@wps.on_message("chat")  # refused
def other() -> None: ...


@wps.on_message(event="chat")  # refused
def another() -> None: ...


@wps.on_user_event  # refused
def typing() -> None: ...


@wps.trigger("ping", hub=5)  # refused
def ping() -> None: ...


message("not a request")  # refused
WebPubSubConnectionContext(WebPubSubEventType.USER, "message", "chat", "c1")  # refused
"""


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, str]]:
    """What mypy says to both programs, by file and line. It is run once, as it is slow to begin."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(WRONG)
    # Of what is installed, mypy reads the types and reports no errors: so here too.
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={folder / 'cache'}"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "right.py", "wrong.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(Path(flask_webpubsub.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found: dict[str, dict[int, str]] = {}
    for name, line, message in re.findall(r"^(.+?):(\d+): error: (.*)$", done.stdout, re.MULTILINE):
        found.setdefault(name, {})[int(line)] = message
    return found


def test_a_right_program_passes(errors: dict[str, dict[int, str]]) -> None:
    assert "right.py" not in errors


def test_every_mistake_of_a_wrong_program_is_found_and_nothing_else(errors: dict[str, dict[int, str]]) -> None:
    lines = {number: line for number, line in enumerate(WRONG.splitlines(), 1) if "# refused" in line}

    assert len(lines) > 10
    assert errors["wrong.py"].keys() == lines.keys(), errors["wrong.py"]


def test_the_right_program_runs(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT.split("# Decorators keep")[0])
    done = subprocess.run(
        [sys.executable, "-c", "import right"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(flask_webpubsub.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(flask_webpubsub.__file__).parent / "py.typed").exists()
