"""One conversation in which every way to answer is used, by a client that only sees the wire."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from flask import Flask, abort

from flask_webpubsub import (
    ConnectEventRequest,
    ConnectEventResponse,
    EventError,
    EventErrorResponse,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
)
from flask_webpubsub.testing import WebPubSubTestClient

pytestmark = pytest.mark.both_doors


@pytest.fixture
def connected(wps: WebPubSub) -> list[str | None]:
    """Who is connected to an app whose door and whose messages answer in many ways."""
    users: list[str | None] = []

    @wps.on_connect
    def connect(request: ConnectEventRequest) -> Any:
        match request.query.get("as", ["nobody"])[0]:
            case "typed":
                return request.create_response("typed", ["lobby"], roles=[])
            case "mapping":
                return {"userId": "mapping", "GROUPS": ["lobby"], "states": {"door": "mapping"}}
            case "flask":
                return flask.jsonify(userId="flask")
            case "code":
                return {"code": "unauthorized", "errorMessage": "No.", "userId": "admin"}
            case "abort":
                abort(403, "Not you.")
            case "raise":
                raise EventError("userError", "Which one?")
            case "misspelt":
                return {"userId": "misspelt", "role": []}
            case "text":
                return "let me in"
        return None

    @wps.on_connected
    def hear(user_id: str | None) -> None:
        users.append(user_id)

    @wps.on_message
    def message(request: UserEventRequest, data: Any, data_type: str) -> Any:
        match data:
            case "text":
                return "text"
            case "bytes":
                return b"\x00"
            case "json":
                return {"data": {"a": [1, None]}}
            case "ack":
                return {"data": "ack", "dataType": "text"}  # as Azure's own sample has it
            case "none":
                return None
            case "error":
                return request.create_error_response("serverError", "Out of order.")
            case "flask":
                return flask.Response("flask", 200, {"X-A": "1"}, mimetype="text/plain")
            case _:
                return request.create_response(data, data_type)

    return users


def door(client: WebPubSubTestClient, name: str) -> tuple[bool, Any]:
    connection = client.connect(query={"as": name})
    return connection.accepted, connection.response


def test_a_door_answers_in_many_ways(client: WebPubSubTestClient, connected: list[str | None]) -> None:
    assert door(client, "nobody") == (True, None)
    assert door(client, "typed") == (True, ConnectEventResponse("typed", ["lobby"], roles=[]))
    assert door(client, "mapping") == (True, ConnectEventResponse("mapping", ["lobby"], states={"door": "mapping"}))
    assert door(client, "flask") == (True, ConnectEventResponse("flask"))
    assert connected == [None, "typed", "mapping", "flask"]

    assert door(client, "code") == (False, EventErrorResponse("unauthorized", "No."))
    assert door(client, "abort") == (False, EventErrorResponse(403, "Not you."))
    assert door(client, "raise") == (False, EventErrorResponse("userError", "Which one?"))
    for mistake in ("misspelt", "text"):
        assert door(client, mistake) == (False, EventErrorResponse("serverError", "Internal Server Error"))
    assert len(connected) == 4


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("text", UserEventResponse("text")),
        ("bytes", UserEventResponse(b"\x00")),
        ("json", UserEventResponse({"a": [1, None]})),
        ("ack", UserEventResponse("ack")),
        ("none", None),
        ("error", EventErrorResponse("serverError", "Out of order.")),
        ("flask", UserEventResponse("flask")),
        ("anything else", UserEventResponse("anything else")),
    ],
)
def test_a_message_is_answered_in_many_ways(
    sent: str, answer: Any, client: WebPubSubTestClient, connected: list[str | None]
) -> None:
    assert client.connect().send_text(sent) == answer


def test_an_answer_is_of_the_type_of_its_message(client: WebPubSubTestClient, connected: list[str | None]) -> None:
    connection = client.connect()
    assert connection.send_text("é") == UserEventResponse("é", "text")
    assert connection.send_json({"é": 1}) == UserEventResponse({"é": 1}, "json")
    assert connection.send_bytes(b"\xff") == UserEventResponse(b"\xff", "binary")


def test_a_flask_response_comes_with_its_headers(client: WebPubSubTestClient, connected: list[str | None]) -> None:
    connection = client.connect()
    connection.send_text("flask")
    answer = connection.answer
    assert (answer.status, answer.header("X-A"), answer.body) == (200, "1", b"flask")


def test_async_and_plain_handlers_answer_alike(app: Flask) -> None:
    wps = WebPubSub(app)

    @wps.on_user_event("plain")
    def plain(data: str) -> str:
        return data.upper()

    @wps.on_user_event("async")
    async def asynchronous(data: str) -> str:
        return data.upper()

    connection = wps.test_client(app).connect()
    for name in ("plain", "async"):
        assert connection.send_event(name, "hi") == UserEventResponse("HI")
