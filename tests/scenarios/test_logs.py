"""No event, whatever stands in it, forges a line of the log, or has a secret written there."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields

from flask_webpubsub import EventError, EventErrorResponse, UserEventResponse, WebPubSub
from flask_webpubsub.messages import Answer, to_wsgi
from flask_webpubsub.signature import sign_connection
from tests.conftest import KEY
from tests.test_dispatch import CONNECT, call, make_event

pytestmark = pytest.mark.both_doors

CODE = "the-access-code"
SECRET = "the secret of the body"
SIGNATURE = sign_connection("c1", [KEY.encode()])
# What ends a line or moves the cursor, for one reader or another, what turns text around, and what Python formats.
HOSTILE = "x\r\nERROR all is lost\x1b[2K\x0b\x85\u2028\u202e\x07%s%(name)s{0}"
# The same without control characters, as the id of a user may be.
USER = "x\x85\u2028\u202e%s%(name)s{0}"
# The same where an event may hold nothing but printable ASCII.
PRINTABLE = "x%s%(name)s{0}'\"\\n"

# A text of the client's that stands in each header which may hold it.
HEADERS: dict[str, str | None] = {
    "ce-userId": to_wsgi(USER),
    "x-ms-client-request-id": to_wsgi(HOSTILE),
    "User-Agent": to_wsgi(HOSTILE),
    "x-webpubsub-metadata-a": to_wsgi(HOSTILE),
    "Cookie": "session=the-secret-cookie",
    "Authorization": "Bearer the-secret-token",
    "ce-signature": SIGNATURE,
}
SECRETS = (KEY, CODE, SECRET, "the-secret", SIGNATURE.removeprefix("sha256=")[:16], "the secret of the handler")


# What handlers answer with, and so for the client to see.
FOR_THE_CLIENT = {(SECRET, 401), (SECRET, 500)}


class Move(Schema):
    x = fields.Integer(required=True)


def make_app() -> Flask:
    """An app in which there is a handler for each line that the package may write about an event."""
    app = Flask("app")
    app.config.update(WEBPUBSUB_ALLOW_UNSIGNED=False, WEBPUBSUB_HUB="chat", WEBPUBSUB_ACCESS_CODE=CODE)
    app.config["WEBPUBSUB_CONNECTION_STRING"] = f"Endpoint=https://contoso.webpubsub.azure.com;AccessKey={KEY};"
    wps = WebPubSub(app)
    wps.on_message(lambda: "ack")
    wps.on_user_event("json")(lambda data: data)
    wps.on_user_event("list")(lambda: [SECRET])
    wps.on_user_event("object")(lambda: {SECRET})
    wps.on_user_event("metadata")(lambda user_id: UserEventResponse("ack", metadata={"a": user_id}))
    wps.on_user_event("once", once=True)(lambda: "ack")
    wps.on_connected(lambda: EventErrorResponse("serverError", SECRET))

    @wps.on_connect
    def connect() -> None:
        raise EventError("unauthorized", SECRET)

    @wps.on_user_event("schema", schema=Move)
    def move(data: Any) -> None: ...

    @wps.on_user_event("raises")
    def fail() -> None:
        raise LookupError("the secret of the handler")

    return app


def answered_before(app: Flask) -> None:
    app.before_request(lambda: ("{}", 200))


def nothing(app: Flask) -> None: ...


# The event, the status of the answer, and what the app does beside.
LINES: dict[str, Any] = {
    "handled": ({}, 200, nothing),
    "a method": ({"method": "X%s{0}"}, 405, nothing),
    "a wrong code": ({"query": "code=the-secret%0D%0Ax"}, 401, nothing),
    "an origin": ({"headers": {"WebHook-Request-Origin": HOSTILE}}, 401, nothing),
    "an origin that asks": ({"method": "OPTIONS", "headers": {"WebHook-Request-Origin": HOSTILE}}, 400, nothing),
    "a forged signature": ({"headers": {"ce-signature": SIGNATURE[:-4] + "0000"}}, 401, nothing),
    "a hub": ({"headers": {"ce-hub": PRINTABLE}}, 404, nothing),
    "a hub over two lines": ({"headers": {"ce-hub": HOSTILE}}, 400, nothing),
    "a user over two lines": ({"headers": {"ce-userId": to_wsgi(HOSTILE)}}, 400, nothing),
    "an event": ({"ce_type": f"azure.webpubsub.user.{PRINTABLE}"}, 404, nothing),
    "an event that differs": ({"headers": {"ce-eventName": PRINTABLE}}, 400, nothing),
    "a type": ({"headers": {"Content-Type": HOSTILE}}, 400, nothing),
    "states": ({"headers": {"ce-connectionState": HOSTILE}}, 400, nothing),
    "a body that is no JSON": (
        {"ce_type": "azure.webpubsub.user.json", "headers": {"Content-Type": "application/json"}},
        400,
        nothing,
    ),
    "a list": ({"ce_type": "azure.webpubsub.user.list"}, 500, nothing),
    "an object": ({"ce_type": "azure.webpubsub.user.object"}, 204, nothing),
    "a mapping with a client's keys": (
        {
            "ce_type": "azure.webpubsub.user.json",
            "body": json.dumps({HOSTILE: SECRET, "metadata": {HOSTILE: 1}}).encode(),
            "headers": {"Content-Type": "application/json"},
        },
        500,
        nothing,
    ),
    "a user in metadata": ({"ce_type": "azure.webpubsub.user.metadata"}, 500, nothing),
    "an error of a notice": ({"ce_type": "azure.webpubsub.sys.connected"}, 500, nothing),
    "an error of a connect": ({"ce_type": CONNECT, "body": b"{}"}, 401, nothing),
    "a crash": ({"ce_type": "azure.webpubsub.user.raises"}, 500, nothing),
    "a message that does not fit": (
        {
            "ce_type": "azure.webpubsub.user.schema",
            "body": json.dumps({HOSTILE: SECRET, "x": SECRET}).encode(),
            "headers": {"Content-Type": "application/json"},
        },
        400,
        nothing,
    ),
    "an app that answers first": pytest.param(
        {"ce_type": CONNECT, "body": b"{}"}, 500, answered_before, marks=pytest.mark.view_only("before_request")
    ),
}


def send(app: Flask, changes: dict[str, Any]) -> Answer:
    event = {"body": SECRET.encode(), "query": f"code={CODE}", **changes}
    return call(app, make_event(**{**event, "headers": {**HEADERS, **changes.get("headers", {})}}))


def verify(lines: list[str]) -> None:
    assert lines
    for line in lines:
        assert line.isprintable()
        for secret in SECRETS:
            assert secret not in line


@pytest.mark.parametrize("debug", [False, True], ids=["quiet", "debug"])
@pytest.mark.parametrize(("changes", "status", "beside"), LINES.values(), ids=LINES)
def test_a_line_is_one_line_and_tells_no_secret(
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    status: int,
    beside: Callable[[Flask], None],
    debug: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    app = make_app()
    app.debug = debug
    app.config["PROPAGATE_EXCEPTIONS"] = False
    # It shows the exceptions of handlers, as it should.
    monkeypatch.setattr(app.logger, "disabled", True)
    beside(app)

    answer = send(app, changes)

    assert answer.status == status
    verify(caplog.messages)
    told = answer.body.decode()
    # The text of an error is for the client; whatever else went wrong is told in the words of HTTP.
    assert not [secret for secret in SECRETS if secret in told and (secret, status) not in FOR_THE_CLIENT]


def test_an_event_that_comes_again_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = make_app()
    event = {"ce_type": "azure.webpubsub.user.once", "headers": {"ce-id": PRINTABLE}}
    assert [send(app, event).status for _ in range(2)] == [200, 200]
    assert "came again" in caplog.text
    verify(caplog.messages)


@pytest.mark.view_only("Flask's routes")
def test_a_path_over_two_lines_is_not_found(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    environ = make_event(query=f"code={CODE}", headers=HEADERS)
    environ["PATH_INFO"] += "/\r\nERROR all is lost"
    assert call(app, environ).status == 404
    assert not [line for line in caplog.messages if "lost" in line]
