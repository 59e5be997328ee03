"""The public names: neither more nor fewer than the design lists."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import flask_webpubsub

#: What users write, request and response classes, vocabularies, errors, signals, and work for later.
EXPECTED = {
    *("WebPubSub", "Hub", "NOT_GIVEN"),
    *("WebPubSubConnectionContext", "MqttConnectionContext"),
    *("WebPubSubEventRequest", "ConnectEventRequest", "ConnectedEventRequest", "UserEventRequest"),
    *("DisconnectedEventRequest", "GroupJoinedEventRequest", "GroupLeftEventRequest"),
    *("MqttConnectEventRequest", "MqttConnectedEventRequest", "MqttUserEventRequest", "MqttDisconnectedEventRequest"),
    *("WebPubSubClientCertificate", "MqttConnectProperties", "MqttDisconnectedProperties"),
    *("MqttDisconnectPacketProperties", "MqttUserProperty"),
    *("WebPubSubEventResponse", "ConnectEventResponse", "MqttConnectEventResponse", "UserEventResponse"),
    *("EventErrorResponse", "MqttConnectEventErrorResponse"),
    *("WebPubSubEventType", "WebPubSubDataType", "WebPubSubErrorCode", "ClientProtocols"),
    *("MqttProtocolVersion", "MqttV311ConnectReturnCode", "MqttV500ConnectReasonCode", "MqttDisconnectReasonCode"),
    *("WebPubSubError", "ConfigurationError", "InvalidEventError", "InvalidSignatureError", "HandlerNotFoundError"),
    *("InvalidHandlerResultError", "EventError"),
    *("EventStillRunningError", "OnceStoreError"),
    *("event_handled", "event_rejected", "defer"),
    # Not in the design's list: the subclasses and the sender's error, which have a status or a use of their own.
    *("EventTooLargeError", "MethodNotAllowedError", "InvalidAccessCodeError", "InvalidAnswerError"),
    *("InvalidIdentityError", "KeysUnavailableError"),
}


def test_the_public_names_are_those_of_the_design() -> None:
    assert set(flask_webpubsub.__all__) == EXPECTED


def test_every_public_name_is_there_and_nothing_else_is() -> None:
    names = {name for name, value in vars(flask_webpubsub).items() if not isinstance(value, ModuleType)}
    public = {name for name in names if not name.startswith("_")} - {"annotations"}
    assert public == EXPECTED


def test_every_public_class_says_what_it_is_for() -> None:
    undocumented = [name for name in EXPECTED if isinstance(getattr(flask_webpubsub, name), type)]
    undocumented = [name for name in undocumented if not vars(getattr(flask_webpubsub, name)).get("__doc__")]
    assert undocumented == []


def test_the_import_of_an_app_brings_no_extra_with_it() -> None:
    script = (
        "import sys, flask_webpubsub\n"
        "print(sorted({'flask_webpubsub.testing', 'flask_webpubsub.emulator', 'aiohttp', 'azure', 'jwt', 'pytest'}"
        " & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"
