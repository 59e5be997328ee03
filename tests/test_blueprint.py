"""The webhook in the app: its URLs and methods, and the service's question whether it may send events."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask, has_request_context, url_for
from werkzeug.datastructures import Headers

from flask_webpubsub import UserEventResponse, WebPubSub
from flask_webpubsub.messages import Answer
from tests.conftest import CONNECTION_STRING, HOST, KEY
from tests.test_dispatch import PATH, ack, call, make_event

pytestmark = pytest.mark.both_doors

SECOND = "second.example"
OWN = "own.example"


@pytest.fixture
def app(app: Flask) -> Flask:
    """An app that trusts two services, and one of its handlers a third."""
    app.config["WEBPUBSUB_CONNECTION_STRING"] = [
        CONNECTION_STRING,
        f"Endpoint=http://{SECOND}:8080;AccessKey={KEY};",
    ]
    app.config["OWN"] = f"Endpoint=https://{OWN};AccessKey={KEY};"
    return app


@pytest.fixture
def wps(app: Flask) -> WebPubSub:
    wps = WebPubSub(app)
    wps.on_message(ack)
    wps.on_user_event("own", connection="OWN")(ack)
    return wps


def validate(
    app: Flask, origin: str | list[str] | None, *, method: str = "OPTIONS", path: str = PATH, query: str = ""
) -> Answer:
    """Ask as the service does: without a signature, a hub or a cookie."""
    headers = Headers([("ce-awpsversion", "1.0")])
    for value in [origin] if isinstance(origin, str) else origin or []:
        headers.add("WebHook-Request-Origin", value)
    answer = app.test_client().open(path, method=method, headers=headers, query_string=query)
    return Answer(answer.status_code, list(answer.headers), answer.data)


TRUSTED: dict[str, str | list[str]] = {
    "the first service": HOST,
    "the second service": SECOND,
    "the service of one handler": OWN,
    "in upper case": HOST.upper(),
    "in mixed case": HOST.title(),
    "the first of two": f"{HOST},evil.example",
    "the last of two": f"evil.example, {HOST}",
    "blanks alone between": f"evil.example {HOST}",
    "empty ones between": f", ,{HOST},,",
    "blanks around": f"  {HOST}  ",
    "two headers": [HOST, "evil.example"],
    "two headers, the last": ["evil.example", HOST],
}
FOREIGN: dict[str, str | list[str] | None] = {
    "another host": "evil.example",
    "a host below": f"sub.{HOST}",
    "a host above": HOST.partition(".")[2],
    "a host that begins alike": f"{HOST}.evil.example",
    "a host that ends alike": f"evil{HOST}",
    "a URL": f"https://{HOST}",
    "with a port": f"{HOST}:443",
    "a star": "*",
    "several": "evil.example,other.example",
    "two headers of others": ["evil.example", "other.example"],
}


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
@pytest.mark.parametrize("origin", TRUSTED.values(), ids=TRUSTED)
def test_a_trusted_service_may_send_events(wps: WebPubSub, app: Flask, origin: Any, method: str) -> None:
    answer = validate(app, origin, method=method)

    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("WebHook-Allowed-Origin") == "*"


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
@pytest.mark.parametrize("origin", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_service_is_refused_with_one_line_that_names_it_and_who_is_trusted(
    wps: WebPubSub, app: Flask, caplog: pytest.LogCaptureFixture, origin: Any, method: str
) -> None:
    answer = validate(app, origin, method=method)

    assert answer.status == 400
    assert answer.header("WebHook-Allowed-Origin") is None
    (record,) = caplog.records
    last = (origin if isinstance(origin, str) else origin[-1]).split(",")[-1]
    for host in (last.lower(), HOST, SECOND, OWN):
        assert repr(host) in record.getMessage()
    assert KEY not in caplog.text


@pytest.mark.parametrize("unsigned", [False, True], ids=["signed", "unsigned"])
@pytest.mark.parametrize("origin", [None, "", "  ", ",", ", ,"], ids=repr)
@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_nobody_is_refused(
    app: Flask, caplog: pytest.LogCaptureFixture, origin: str | None, method: str, unsigned: bool
) -> None:
    app.config["WEBPUBSUB_ALLOW_UNSIGNED"] = unsigned
    WebPubSub(app)
    caplog.clear()

    answer = validate(app, origin, method=method)

    assert answer.status == 400
    assert answer.header("WebHook-Allowed-Origin") is None
    assert len(caplog.records) == 1
    assert "WebHook-Request-Origin" in caplog.text


def test_the_scheme_and_the_port_of_an_endpoint_play_no_part(app: Flask) -> None:
    app.config["WEBPUBSUB_CONNECTION_STRING"] = f"Endpoint=http://{HOST}:7080;AccessKey={KEY};Port=7081"
    WebPubSub(app)

    assert validate(app, HOST).status == 200


def test_a_service_without_a_key_may_ask_though_its_events_are_refused(app: Flask) -> None:
    app.config["WEBPUBSUB_CONNECTION_STRING"] = f"Endpoint=https://{HOST};"
    WebPubSub(app).on_message(ack)

    assert validate(app, HOST).status == 200
    assert call(app, make_event()).status == 401


def test_an_unsigned_app_trusts_everybody(app: Flask) -> None:
    app.config.update(WEBPUBSUB_ALLOW_UNSIGNED=True, WEBPUBSUB_CONNECTION_STRING=None)
    WebPubSub(app)

    assert validate(app, "anybody.example").header("WebHook-Allowed-Origin") == "*"


def test_an_app_with_one_unsigned_handler_trusts_everybody(wps: WebPubSub, app: Flask) -> None:
    wps.on_user_event("open", connection=None)(ack)

    assert validate(app, "anybody.example").header("WebHook-Allowed-Origin") == "*"


def test_validation_needs_no_handler(app: Flask) -> None:
    WebPubSub(app)

    assert validate(app, HOST).status == 200


def test_validation_does_not_end_the_time_of_registration(wps: WebPubSub, app: Flask) -> None:
    assert validate(app, HOST).status == 200

    wps.on_user_event("late")(ack)

    assert wps.test_client(app).connect().send_event("late", "hi") == UserEventResponse("ack hi")


# Methods.


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT"])
@pytest.mark.parametrize("path", [PATH, f"{PATH}/", f"{PATH}/connect"])
def test_other_methods_are_405(
    wps: WebPubSub, app: Flask, caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    answer = call(app, make_event(method=method, path=path))

    assert answer.status == 405
    assert answer.header("Allow") == "GET, OPTIONS, POST"
    assert answer.header("WebHook-Allowed-Origin") is None
    assert len(caplog.records) == 1


def test_methods_that_nobody_knows_are_405(wps: WebPubSub, app: Flask) -> None:
    assert call(app, make_event(method="PROPFIND")).status == 405


def test_flasks_own_answer_to_options_is_off_for_the_webhook_alone(wps: WebPubSub, app: Flask) -> None:
    @app.get("/own")
    def own() -> str:
        return ""

    assert validate(app, "evil.example").status == 400
    assert validate(app, None, path="/own").status == 200


# Paths.


@pytest.mark.parametrize("path", ["", "/", "/validate", "/chat/message", "/a.b/c d/é", "/connect/"])
def test_the_path_and_everything_below_it_is_served(wps: WebPubSub, app: Flask, path: str) -> None:
    assert validate(app, HOST, path=PATH + path).status == 200
    assert call(app, make_event(path=PATH + path)).body == b"ack hi"


@pytest.mark.parametrize("path", ["/", "/runtime", "/runtime/webhooks", f"{PATH}x", f"{PATH}-old/message"])
def test_other_paths_are_not(wps: WebPubSub, app: Flask, path: str) -> None:
    assert validate(app, HOST, path=path).status == 404


@pytest.mark.parametrize("configured", ["/events", "/events/", "/a/b"])
def test_the_path_can_be_set(app: Flask, configured: str) -> None:
    app.config["WEBPUBSUB_PATH"] = configured
    wps = WebPubSub(app)
    wps.on_message(ack)

    assert wps.test_client(app).connect().send_text("hi") == UserEventResponse("ack hi")
    assert validate(app, HOST, path=configured.rstrip("/")).status == 200
    assert validate(app, HOST, path=configured.rstrip("/") + "/validate").status == 200
    assert validate(app, HOST).status == 404


def test_the_url_of_a_functions_deployment_keeps_working(app: Flask) -> None:
    app.config["WEBPUBSUB_ACCESS_CODE"] = "the-system-key=="
    wps = WebPubSub(app)
    wps.on_message(ack)
    query = "code=the-system-key%3D%3D"

    assert validate(app, HOST, query=query).status == 200
    assert validate(app, HOST).status == 401
    assert call(app, make_event(query=query)).body == b"ack hi"
    assert wps.test_client(app).validate()


def test_the_endpoint_has_a_name_for_url_for(wps: WebPubSub, app: Flask) -> None:
    assert wps.blueprint.name == "webpubsub"
    with app.test_request_context():
        assert url_for("webpubsub.webhook") == PATH
        assert url_for("webpubsub.webhook", event="validate") == f"{PATH}/validate"


# What comes with every answer.


def test_an_answer_without_a_body_has_no_type(wps: WebPubSub, app: Flask) -> None:
    wps.on_connected(lambda: None)

    answer = call(app, make_event("azure.webpubsub.sys.connected", b"{}"))

    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("Content-Type") is None


def test_an_event_comes_through_the_door_that_the_test_is_about(wps: WebPubSub, app: Flask, door: str) -> None:
    @wps.on_user_event("door")
    def answer() -> str:
        return "view" if has_request_context() else "lane"

    assert wps.test_client(app).connect().send_event("door", "") == UserEventResponse(door)


@pytest.mark.view_only("flask.request")
def test_the_app_has_a_request_context_in_a_handler(wps: WebPubSub, app: Flask) -> None:
    @wps.on_user_event("where")
    def where() -> str:
        return url_for("webpubsub.webhook")

    assert wps.test_client(app).connect().send_event("where", "") == UserEventResponse(PATH)


def test_a_validation_that_succeeds_logs_nothing(wps: WebPubSub, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "flask_webpubsub")

    assert validate(app, HOST).status == 200
    assert caplog.records == []
