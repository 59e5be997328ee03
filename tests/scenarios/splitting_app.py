"""The app that the servers of ``test_splitting.py`` run: it puts what a message says into every part of an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Response

from flask_webpubsub import (
    ConnectEventResponse,
    EventErrorResponse,
    MqttUserProperty,
    UserEventResponse,
    WebPubSub,
)
from tests.conftest import CONNECTION_STRING

app = Flask(__name__)
app.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB="chat")
app.config.from_prefixed_env()
wps = WebPubSub(app)


def with_states(states: dict[str, Any]) -> UserEventResponse:
    response = UserEventResponse("ack")
    for name, value in states.items():
        response.set_state(name, value)
    return response


def with_cookie(text: str) -> Response:
    response = Response("ack", mimetype="text/plain")
    response.set_cookie("seen", text)
    return response


#: What a handler may do with a text that a client sent it.
ANSWERS: dict[str, Callable[[str], Any]] = {
    "the name of metadata": lambda text: UserEventResponse("ack", metadata={text: "1"}),
    "the value of metadata": lambda text: UserEventResponse("ack", metadata={"a": text}),
    "the name of a user property": lambda text: UserEventResponse("ack", user_properties=[MqttUserProperty(text, "1")]),
    "the value of a user property": lambda text: UserEventResponse(
        "ack", user_properties=[MqttUserProperty("a", text)]
    ),
    "metadata in a mapping": lambda text: {"data": "ack", "metadata": {"a": text}},
    "the name of a state": lambda text: with_states({text: 1}),
    "the value of a state": lambda text: with_states({"a": text}),
    "data": lambda text: text,
    "the data type of a mapping": lambda text: {"data": "ack", "dataType": text},
    "the message of an error": lambda text: EventErrorResponse("userError", text),
    "a header of a response": lambda text: Response("ack", mimetype="text/plain", headers={"X-Own": text}),
    "the type of a response": lambda text: Response("ack", content_type=f"text/plain; a={text}"),
    "the status of a response": lambda text: Response("ack", f"200 {text}", mimetype="text/plain"),
    "a cookie": with_cookie,
}


@wps.on_connect
def connect(query: dict[str, list[str]]) -> ConnectEventResponse:
    [text] = query["text"]
    return ConnectEventResponse(user_id=text, groups=[text], roles=[text], subprotocol=text)


@wps.on_message
def message(data: Any) -> Any:
    return ANSWERS[data["into"]](data["text"])
