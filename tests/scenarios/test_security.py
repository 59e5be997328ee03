"""Who may send events to an app, and what nobody ever sees."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import (
    ConfigurationError,
    ConnectEventRequest,
    ConnectEventResponse,
    EventError,
    EventErrorResponse,
    Hub,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
    event_handled,
    event_rejected,
)
from flask_webpubsub.access import DEVELOPMENT_CONNECTION_STRING
from flask_webpubsub.signature import sign_connection
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import CONNECTION_STRING, HOST, KEY
from tests.test_dispatch import CONNECT, call, make_event, never

pytestmark = pytest.mark.both_doors

OLD_KEY, NEW_KEY = "the-old-key", "the-new-key"
CODE = "the-access-code"
REFUSED = EventErrorResponse("unauthorized", "Unauthorized")


def make_app(connection_string: Any = CONNECTION_STRING, **config: Any) -> tuple[Flask, WebPubSub]:
    """An app that lets everybody in who is signed, and echoes what they say."""
    app = Flask("app")
    app.config.update(WEBPUBSUB_CONNECTION_STRING=connection_string, WEBPUBSUB_HUB="chat", **config)
    wps = WebPubSub(app)

    @wps.on_connect
    def connect(request: ConnectEventRequest) -> ConnectEventResponse:
        return request.create_response(user_id=request.connection_context.user_id or "nobody")

    @wps.on_message
    def message(request: UserEventRequest) -> str:
        return f"{request.connection_context.user_id}: {request.data}"

    return app, wps


def with_key(*keys: str) -> list[str]:
    return [f"Endpoint=https://{HOST};AccessKey={key};Version=1.0;" for key in keys]


# Forgery.

FORGERIES: dict[str, dict[str, Any]] = {
    "a wrong key": {"keys": ["another"]},
    "no signature": {"keys": []},
    "a foreign origin": {"origins": ["evil.example"]},
    "a foreign origin with our key": {"origins": ["evil.example"], "keys": [KEY]},
    "a host that begins alike": {"origins": [f"{HOST}.evil.example"]},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_event_is_401(forgery: dict[str, Any]) -> None:
    app, wps = make_app()
    client = wps.test_client(app)
    for name, value in forgery.items():
        setattr(client, name, value)

    refused = client.connect("admin")
    assert not refused.accepted
    assert refused.response == REFUSED

    client.system_events = ()
    assert client.connect("admin").send_text("hi") == REFUSED


def test_a_forged_event_is_refused_before_anything_of_its_body_is_read() -> None:
    app, _ = make_app()

    for ce_type in (CONNECT, "azure.webpubsub.user.message"):
        environ = never(make_event(ce_type, headers={"ce-signature": sign_connection("c1", [b"another"])}))
        assert call(app, environ).status == 401


def test_the_signature_of_one_connection_is_none_for_another() -> None:
    app, _ = make_app()
    stolen = sign_connection("c1", [KEY.encode()])

    assert call(app, make_event(headers={"ce-connectionId": "c2", "ce-signature": stolen})).status == 401
    assert call(app, make_event(headers={"ce-connectionId": "c1", "ce-signature": stolen})).status == 200


def test_several_origins_are_all_tried() -> None:
    app, wps = make_app()
    client = wps.test_client(app)

    for origins in ([HOST, "other.example"], ["other.example", HOST], [HOST.upper()]):
        client.origins = origins
        assert client.validate()
        assert client.connect("ada").response == ConnectEventResponse(user_id="ada")


def test_origins_with_blanks_between_are_all_tried() -> None:
    app, _ = make_app()

    assert call(app, make_event(headers={"WebHook-Request-Origin": f"other.example {HOST}"})).status == 200


def test_a_key_of_one_trusted_host_does_not_sign_for_another() -> None:
    app, wps = make_app([CONNECTION_STRING, "Endpoint=https://second.example;AccessKey=second-key;"])
    client = wps.test_client(app)

    client.keys, client.origins = ["second-key"], [HOST]
    assert client.connect().response == REFUSED
    client.origins = [HOST, "second.example"]
    assert client.connect("ada").accepted


def test_a_service_without_a_key_is_refused() -> None:
    app, wps = make_app(f"Endpoint=https://{HOST};Version=1.0;")
    client = wps.test_client(app)

    for keys in ([], [""], ["any"]):
        client.keys = keys
        assert client.connect().response == REFUSED


def test_a_service_with_and_without_a_key_is_checked_with_the_key() -> None:
    app, wps = make_app([f"Endpoint=https://{HOST};", CONNECTION_STRING])
    client = wps.test_client(app)

    client.keys = []
    assert client.connect().response == REFUSED
    client.keys = [KEY]
    assert client.connect("ada").accepted


# Keys are exchanged while clients are connected.

ROTATIONS: dict[str, tuple[list[str], list[str], bool]] = {
    "before": ([OLD_KEY], [OLD_KEY, "secondary"], True),
    "the app knows both, the service signs with the old": ([OLD_KEY, NEW_KEY], [OLD_KEY, "secondary"], True),
    "the app knows both, the service signs with the new": ([OLD_KEY, NEW_KEY], [NEW_KEY, "secondary"], True),
    "the service signs with both": ([OLD_KEY], [NEW_KEY, OLD_KEY], True),
    "after": ([NEW_KEY], [NEW_KEY, "secondary"], True),
    "an app that was forgotten": ([OLD_KEY], [NEW_KEY, "secondary"], False),
    "a service that was forgotten": ([NEW_KEY], [OLD_KEY, "secondary"], False),
}


@pytest.mark.parametrize(("known", "used", "accepted"), ROTATIONS.values(), ids=ROTATIONS)
def test_keys_of_one_host_can_be_exchanged(known: list[str], used: list[str], accepted: bool) -> None:
    app, wps = make_app(with_key(*known))
    client = wps.test_client(app)
    client.keys = used

    assert client.connect("ada").accepted == accepted


# The second factor.


def test_an_app_with_an_access_code_wants_it_from_everybody() -> None:
    app, wps = make_app(WEBPUBSUB_ACCESS_CODE=[CODE, "the-next-code"])
    client = wps.test_client(app)
    assert client.access_code == CODE

    for code, accepted in [(CODE, True), ("the-next-code", True), ("wrong", False), (None, False), ("", False)]:
        client.access_code = code
        assert client.validate() == accepted
        assert client.connect("ada").accepted == accepted


# Nothing secret is told.


def test_nothing_secret_is_logged_sent_or_shown(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []

    def note(sender: Flask, **values: Any) -> None:
        shown.append(f"{sender!r} {values!r} {values.get('error')}")

    app, wps = make_app(WEBPUBSUB_ACCESS_CODE=CODE)
    monkeypatch.setattr(app.logger, "disabled", True)  # it shows the handler's exception, as it should

    @wps.on_user_event("show")
    def show(request: UserEventRequest) -> None:
        shown.append(f"{request!r} {request.connection_context!r} {vars(wps)!r} {vars(app.extensions['webpubsub'])!r}")

    @wps.on_user_event("raise")
    def fail(request: UserEventRequest) -> None:
        raise LookupError("the secret of the handler")

    @wps.on_user_event("refuse")
    def refuse() -> None:
        raise EventError("serverError", "For the client.")

    @wps.on_user_event("nonsense")
    def nonsense() -> list[str]:
        return ["the secret of the answer"]

    signature = sign_connection("c1", [KEY.encode()])
    body = b"the secret of the body"
    calls: list[dict[str, Any]] = [
        {},
        {"method": "PUT"},
        {"method": "OPTIONS"},
        {"method": "OPTIONS", "headers": {"WebHook-Request-Origin": "evil.example"}},
        {"query": "code=the-wrong-code"},
        {"headers": {"ce-signature": signature[:-1] + "z"}},
        {"headers": {"ce-signature": signature, "ce-connectionId": "c2"}},
        {"headers": {"ce-hub": "other"}},
        {"headers": {"ce-type": None}},
        {"headers": {"ce-connectionState": "!"}},
        {"headers": {"Content-Type": "application/json"}},
        {"headers": {"Content-Type": None}},
        {"headers": {"Content-Length": "9"}},
        {"headers": {"Content-Length": "99"}},
        *({"ce_type": f"azure.webpubsub.user.{name}"} for name in ("show", "raise", "refuse", "nonsense", "none")),
    ]
    answers = []
    with event_handled.connected_to(note), event_rejected.connected_to(note):
        for changes in calls:
            headers = {"ce-signature": signature, **changes.pop("headers", {})}
            environ = make_event(body=body, headers=headers, **{"query": f"code={CODE}", **changes})
            answers.append(call(app, environ))

    assert len({answer.status for answer in answers}) > 5
    sent = repr([answer for answer in answers if answer.status != 200])
    for secret in (KEY, CODE, "the-wrong-code", signature[10:]):
        assert secret not in caplog.text
        assert secret not in repr(shown)
        assert secret not in repr(answers)
    # A request shows its data, which is the handler's own business. Nothing else does.
    for told in (caplog.text, *shown, sent):
        assert "secret of" not in told.replace("data='the secret of the body'", "")


def test_an_error_tells_the_client_nothing_of_the_inside() -> None:
    app, wps = make_app()
    client = wps.test_client(app)
    client.keys = ["another"]

    answer = client.connect().answer

    assert answer.body == b"Unauthorized"
    assert {name.lower() for name, _ in answer.headers} == {"content-type", "content-length"}


# An app that can not be right says so at start.


def no_hub(app: Flask) -> None:
    app.config["WEBPUBSUB_HUB"] = None
    WebPubSub(app).on_message(lambda: None)


def twice(app: Flask) -> None:
    wps = WebPubSub(app)
    wps.on_message(lambda: None)
    wps.on_message(lambda: None)


def config(**values: Any) -> Callable[[Flask], None]:
    def start(app: Flask) -> None:
        app.config.update(values)
        WebPubSub(app)

    return start


def no_connection_string(app: Flask) -> None:
    del app.config["WEBPUBSUB_CONNECTION_STRING"]
    WebPubSub(app)


MISTAKES: dict[str, tuple[Callable[[Flask], object], type[Exception], str]] = {
    "connection string missing": (no_connection_string, ConfigurationError, "WEBPUBSUB_CONNECTION_STRING is not set"),
    "connection string None": (
        config(WEBPUBSUB_CONNECTION_STRING=None),
        ConfigurationError,
        "WEBPUBSUB_CONNECTION_STRING holds nothing",
    ),
    "connection string empty": (
        config(WEBPUBSUB_CONNECTION_STRING=""),
        ConfigurationError,
        "WEBPUBSUB_CONNECTION_STRING holds nothing",
    ),
    "connection string malformed": (
        config(WEBPUBSUB_CONNECTION_STRING=f"AccessKey={KEY};{HOST}"),
        ConfigurationError,
        "WEBPUBSUB_CONNECTION_STRING is no connection string",
    ),
    "empty AccessKey": (
        config(WEBPUBSUB_CONNECTION_STRING=f"Endpoint=https://{HOST};AccessKey="),
        ConfigurationError,
        "AccessKey of the connection string is empty",
    ),
    "development key outside debug": (
        config(WEBPUBSUB_CONNECTION_STRING=DEVELOPMENT_CONNECTION_STRING),
        ConfigurationError,
        "local emulator's key",
    ),
    "empty access code": (config(WEBPUBSUB_ACCESS_CODE=""), ConfigurationError, "WEBPUBSUB_ACCESS_CODE is empty"),
    "a connection that names no config key": (
        lambda app: WebPubSub(app).on_message(connection="NO_SUCH_KEY")(lambda: None),
        ConfigurationError,
        "NO_SUCH_KEY is not set",
    ),
    "no hub": (no_hub, ConfigurationError, "names no hub"),
    "the same handler twice": (twice, ConfigurationError, "has two handlers"),
    "an unknown argument name": (
        lambda app: WebPubSub(app).on_message(lambda mesage: None),
        TypeError,
        "takes 'mesage', which .* does not have. It has: connection_context",
    ),
    "a hub of an impossible name": (lambda app: Hub("my-hub"), ConfigurationError, "can not be the name of a hub"),
}


@pytest.mark.parametrize(("start", "error", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_misconfigured_app_says_so_at_start(
    start: Callable[[Flask], object], error: type[Exception], message: str
) -> None:
    app = Flask("app")
    app.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB="chat")

    with pytest.raises(error, match=message) as caught:
        start(app)
    assert KEY not in str(caught.value)


def test_a_setting_that_is_unset_never_opens_an_app() -> None:
    # What os.environ.get gives for a name that was typed wrongly.
    with pytest.raises(ConfigurationError):
        make_app(None)
    app = Flask("app")
    app.config.update(WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING, WEBPUBSUB_HUB="chat", OTHER=None)
    with pytest.raises(ConfigurationError):
        WebPubSub(app).on_message(connection="OTHER")(lambda: None)


@pytest.mark.parametrize("several", [False, True], ids=["one handler", "several handlers"])
def test_an_unsigned_app_warns_at_start(caplog: pytest.LogCaptureFixture, several: bool) -> None:
    app = Flask("app")
    app.config.update(WEBPUBSUB_ALLOW_UNSIGNED=True, WEBPUBSUB_HUB="chat")
    wps = WebPubSub(app)
    wps.on_message(lambda: "ack")
    if several:
        wps.on_connect(lambda: None)

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    client = WebPubSubTestClient(app, connection_string=None, hub="chat", system_events=())
    assert client.validate()
    assert client.connect().send_text("hi") == UserEventResponse("ack")
