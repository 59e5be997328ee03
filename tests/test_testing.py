"""The test client: it talks to an app as the service does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
import pytest
from flask import Flask, request, session

from flask_webpubsub import (
    ConnectEventRequest,
    ConnectEventResponse,
    EventErrorResponse,
    MqttConnectEventErrorResponse,
    MqttConnectEventRequest,
    MqttConnectEventResponse,
    MqttConnectionContext,
    MqttConnectProperties,
    MqttDisconnectedProperties,
    MqttProtocolVersion,
    MqttUserProperty,
    UserEventRequest,
    UserEventResponse,
    WebPubSub,
    WebPubSubClientCertificate,
    WebPubSubEventRequest,
)
from flask_webpubsub.codec import Delivery
from flask_webpubsub.errors import ConfigurationError, InvalidAnswerError
from flask_webpubsub.testing import WebPubSubTestClient
from tests.conftest import CONNECTION_STRING, HOST, KEY

pytestmark = pytest.mark.both_doors

V311 = MqttConnectProperties(protocol_version=MqttProtocolVersion.V311)
V500 = MqttConnectProperties(protocol_version=MqttProtocolVersion.V500)
OTHER = "Endpoint=https://other.webpubsub.azure.com;AccessKey=abcdefgh;Version=1.0;"


class Ear:
    """Handlers of all events, which keep what they hear and answer what they are told to."""

    def __init__(self, wps: WebPubSub) -> None:
        self.heard: list[Any] = []
        self.answers: list[Any] = []
        wps.on_user_event("*")(self.hear)
        wps.on_connect(self.hear)
        wps.on_connected(self.hear)
        wps.on_disconnected(self.hear)
        wps.on_group_joined(self.hear)
        wps.on_group_left(self.hear)

    def hear(self, request: WebPubSubEventRequest) -> Any:
        self.heard.append(request)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def names(self) -> list[str]:
        return [event.connection_context.event_name for event in self.heard]

    @property
    def contexts(self) -> list[Any]:
        return [event.connection_context for event in self.heard]


@pytest.fixture
def ear(wps: WebPubSub) -> Ear:
    return Ear(wps)


# The events of a connection.


def test_a_connection_sends_connect_and_connected(client: WebPubSubTestClient, ear: Ear) -> None:
    ear.answers = [ConnectEventResponse("alice")]
    connection = client.connect()
    assert ear.names == ["connect", "connected"]
    assert connection.accepted
    assert connection.response == ConnectEventResponse("alice")


def test_a_refused_connection_is_there_and_sends_nothing(client: WebPubSubTestClient, ear: Ear) -> None:
    ear.answers = [EventErrorResponse("unauthorized", "No.")]
    connection = client.connect()
    assert not connection.accepted
    assert connection.response == EventErrorResponse("unauthorized", "No.")
    assert ear.names == ["connect"]
    sends: list[Callable[[], Any]] = [
        connection.disconnect,
        lambda: connection.send_text(""),
        lambda: connection.join(""),
    ]
    for send in sends:
        with pytest.raises(RuntimeError, match="The connection was refused"):
            send()
    assert ear.names == ["connect"]


def test_the_handshake_is_what_the_test_says(client: WebPubSubTestClient, ear: Ear) -> None:
    certificate = WebPubSubClientCertificate(thumbprint="AB", content="PEM")
    connection = client.connect(
        "åke",
        query={"room": "lobby", "tag": ["a", "b"]},
        claims={"role": "reader"},
        headers={"Origin": ["https://example.com"]},
        subprotocols=["chat", "json.webpubsub.azure.v1"],
        client_certificates=[certificate],
    )
    event = ear.heard[0]
    assert type(event) is ConnectEventRequest
    assert event.connection_context.user_id == "åke"
    assert event.claims == {"sub": ["åke"], "role": ["reader"]}
    assert event.query == {"room": ["lobby"], "tag": ["a", "b"]}
    assert event.headers == {"Origin": ["https://example.com"]}
    assert event.subprotocols == ["chat", "json.webpubsub.azure.v1"]
    assert event.client_certificates == [certificate]
    assert event.connection_context.connection_id == connection.connection_id
    assert event.connection_context.subprotocol is None


def test_events_are_numbered_from_0(client: WebPubSubTestClient, ear: Ear) -> None:
    connection = client.connect()
    connection.send_text("hi")
    connection.join("lobby")
    connection.disconnect()
    assert [context.event_id for context in ear.contexts] == ["0", "1", "2", "3", "4"]
    client.connect()
    assert ear.contexts[5].event_id == "0"


def test_connections_have_ids_of_their_own(client: WebPubSubTestClient, ear: Ear) -> None:
    first, second, third = client.connect(), client.connect(), client.connect(connection_id="mine")
    assert len({first.connection_id, second.connection_id, "mine"}) == 3
    assert ear.contexts[-1].connection_id == third.connection_id == "mine"


def test_an_event_has_the_headers_of_the_service(client: WebPubSubTestClient, ear: Ear) -> None:
    client.connect("alice", connection_id="c1")
    context = ear.contexts[1]
    assert (context.hub, context.origin, context.user_id) == ("chat", HOST, "alice")
    assert context.time.microsecond == 0
    headers = context.headers
    assert headers["ce-source"] == "/hubs/chat/client/c1"
    assert headers["ce-specversion"] == headers["ce-awpsversion"] == "1.0"
    assert headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("send", "name", "data", "data_type"),
    [
        (lambda c: c.send_text("é"), "message", "é", "text"),
        (lambda c: c.send_json({"a": 1}), "message", {"a": 1}, "json"),
        (lambda c: c.send_json("a"), "message", "a", "json"),
        (lambda c: c.send_bytes(b"\xff"), "message", b"\xff", "binary"),
        (lambda c: c.send_event("typing", "a"), "typing", "a", "text"),
        (lambda c: c.send_event("typing", b"a"), "typing", b"a", "binary"),
        (lambda c: c.send_event("typing", [1]), "typing", [1], "json"),
        (lambda c: c.send_event("typing", None), "typing", None, "json"),
        (lambda c: c.send_event("room.moved", "1", "json"), "room.moved", "1", "json"),
        (lambda c: c.send_event("typing", "a", "BINARY"), "typing", b"a", "binary"),
    ],
)
def test_a_message_is_heard_as_it_was_sent(
    send: Any, name: str, data: Any, data_type: str, client: WebPubSubTestClient, ear: Ear
) -> None:
    send(client.connect())
    event = ear.heard[-1]
    assert type(event) is UserEventRequest
    assert (event.connection_context.event_name, event.data, event.data_type) == (name, data, data_type)


def test_a_message_may_have_options(client: WebPubSubTestClient, ear: Ear) -> None:
    connection = client.connect()
    connection.send_text("a", metadata={"trace": "1"}, content_type="text/plain;charset=x")
    connection.send_bytes(b"a", content_type="application/x-protobuf")
    text, binary = ear.heard[-2:]
    assert (text.metadata, text.content_type) == ({"trace": "1"}, "text/plain;charset=x")
    assert (binary.data_type, binary.content_type) == ("binary", "application/x-protobuf")


def test_presence_events_say_their_group(client: WebPubSubTestClient, ear: Ear) -> None:
    connection = client.connect()
    assert connection.join("a") is None
    assert connection.leave("b") is None
    assert ear.names[-2:] == ["joined", "left"]
    assert [event.group for event in ear.heard[-2:]] == ["a", "b"]
    assert ear.contexts[-1].event_type == "presence"


@pytest.mark.parametrize("reason", [None, "bye", ""])
def test_a_disconnect_says_its_reason(reason: str | None, client: WebPubSubTestClient, ear: Ear) -> None:
    assert client.connect().disconnect(reason) is None
    assert ear.heard[-1].reason == reason


# Answers.


@pytest.mark.parametrize(
    ("result", "response"),
    [
        (None, None),
        ({}, None),
        ("a", UserEventResponse("a")),
        (b"a", UserEventResponse(b"a")),
        ({"data": [1]}, UserEventResponse([1])),
        (UserEventResponse(None), UserEventResponse(None)),
        ({"code": 429, "errorMessage": "Wait."}, EventErrorResponse(429, "Wait.")),
    ],
    ids=repr,
)
def test_an_answer_has_its_type(result: Any, response: Any, client: WebPubSubTestClient, ear: Ear) -> None:
    connection = client.connect()
    ear.answers = [result]
    assert connection.send_text("hi") == response


def test_an_empty_answer_is_none_even_with_states(client: WebPubSubTestClient, ear: Ear) -> None:
    connection = client.connect()
    ear.answers = [UserEventResponse(states={"a": 1})]
    assert connection.send_text("hi") is None
    assert connection.states == {"a": 1}


def test_the_last_answer_is_there_as_it_came(client: WebPubSubTestClient, ear: Ear) -> None:
    connection = client.connect()
    ear.answers = ["é"]
    connection.send_text("hi")
    answer = connection.answer
    assert (answer.status, answer.body) == (200, "é".encode())
    assert answer.header("content-type") == "text/plain; charset=utf-8"


def test_an_answer_that_the_service_could_not_read_is_an_error(app: Flask) -> None:
    @app.post("/runtime/webhooks/webpubsub")
    def page() -> str:
        return "<p>"

    client = WebPubSubTestClient(app, connection_string=CONNECTION_STRING, hub="chat", system_events=())
    connection = client.connect()
    with pytest.raises(InvalidAnswerError, match="text/html"):
        connection.send_text("hi")


def test_the_app_names_the_user_and_the_subprotocol(client: WebPubSubTestClient, ear: Ear) -> None:
    ear.answers = [ConnectEventResponse("bob", subprotocol="chat")]
    connection = client.connect("alice", subprotocols=["json.webpubsub.azure.v1", "chat"])
    connection.send_text("hi")
    assert (connection.user_id, connection.subprotocol) == ("bob", "chat")
    assert [context.user_id for context in ear.contexts] == ["alice", "bob", "bob"]
    assert [context.subprotocol for context in ear.contexts] == [None, "chat", "chat"]


def test_an_empty_user_id_makes_the_client_anonymous(client: WebPubSubTestClient, ear: Ear) -> None:
    ear.answers = [ConnectEventResponse("")]
    client.connect("alice")
    assert ear.names == ["connect", "connected"]
    assert ear.contexts[1].user_id is None


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        (["chat"], None),
        (["chat", "json.webpubsub.azure.v1", "protobuf.webpubsub.azure.v1"], "json.webpubsub.azure.v1"),
    ],
)
def test_the_service_picks_a_subprotocol_that_it_speaks(
    offered: list[str], chosen: str | None, client: WebPubSubTestClient, ear: Ear
) -> None:
    assert client.connect(subprotocols=offered).subprotocol == chosen
    assert ear.contexts[1].subprotocol == chosen


# States and cookies.


def test_each_connection_keeps_its_own_states(client: WebPubSubTestClient, ear: Ear) -> None:
    ear.answers = [ConnectEventResponse(states={"a": 1}), None, ConnectEventResponse(states={"b": 2}), None]
    first, second = client.connect(), client.connect()
    ear.answers = [UserEventResponse("ok", states={"c": 3})]
    first.send_text("hi")
    second.send_text("hi")
    first.disconnect()
    assert [dict(context.states) for context in ear.contexts] == [
        *({}, {"a": 1}, {}, {"b": 2}),
        *({"a": 1}, {"b": 2}, {"a": 1, "c": 3}),
    ]
    assert (first.states, second.states) == ({"a": 1, "c": 3}, {"b": 2})


@pytest.mark.parametrize("kind", ["error", pytest.param("unblocking", marks=pytest.mark.view_only("after_request"))])
def test_states_are_kept_of_successful_blocking_events_alone(kind: str, app: Flask, wps: WebPubSub) -> None:
    def answer() -> flask.Response:
        return flask.Response("No.", 400 if kind == "error" else 200, {"ce-connectionState": "eyJhIjoxfQ=="})

    wps.on_message(answer)
    app.after_request(lambda response: response.headers.set("ce-connectionState", "eyJhIjoxfQ==") or response)
    wps.on_group_joined(lambda: None)
    connection = wps.test_client(app).connect()
    if kind == "error":
        connection.send_text("hi")
    else:
        connection.join("a")
    assert connection.answer.header("ce-connectionState") == "eyJhIjoxfQ=="
    assert connection.states == {}


@pytest.mark.view_only("flask.session")
def test_each_connection_keeps_its_own_session(app: Flask, wps: WebPubSub) -> None:
    app.secret_key = "of the tests"

    @wps.on_message
    def message() -> str:
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    client = wps.test_client(app)
    first, second = client.connect(), client.connect()
    answers = [first.send_text("a"), first.send_text("b"), second.send_text("a"), first.send_text("c")]
    assert answers == [UserEventResponse(count) for count in ("1", "2", "1", "3")]


@pytest.mark.view_only("flask.request")
def test_cookies_are_kept_of_successful_answers_alone(app: Flask, wps: WebPubSub) -> None:
    cookies: list[dict[str, str]] = []

    @wps.on_message
    def message(data: str) -> Any:
        cookies.append(dict(request.cookies))
        response = flask.Response("ok", 400 if data == "fail" else 200, mimetype="text/plain")
        if data == "delete":
            response.delete_cookie("kept")
        else:
            response.set_cookie("kept" if data == "set" else "lost", data)
        return response

    connection = wps.test_client(app).connect()
    for data in ("set", "fail", "delete", "last"):
        connection.send_text(data)
    assert cookies == [{}, {"kept": "set"}, {"kept": "set"}, {}]
    assert connection.cookies == {"lost": "last"}


# Exceptions.


def test_an_exception_comes_out_of_the_client(client: WebPubSubTestClient, ear: Ear) -> None:
    ear.answers = [LookupError("of the app's own")]
    with pytest.raises(LookupError, match="of the app's own"):
        client.connect()


def test_an_exception_can_be_a_500(client: WebPubSubTestClient, ear: Ear) -> None:
    client.raise_exceptions = False
    ear.answers = [LookupError("hunter2")]
    refused = client.connect()
    assert (refused.accepted, refused.response) == (False, EventErrorResponse("serverError"))
    connection = client.connect()
    ear.answers = [LookupError("hunter2")]
    assert connection.send_text("hi") == EventErrorResponse("serverError")


# Knobs.


def test_a_wrong_key_is_refused(client: WebPubSubTestClient, ear: Ear) -> None:
    client.keys = ["wrong"]
    connection = client.connect()
    assert connection.response == EventErrorResponse("unauthorized", "Unauthorized")
    assert not ear.heard


def test_no_signature_is_refused(client: WebPubSubTestClient, ear: Ear) -> None:
    client.keys = []
    assert client.connect().answer.status == 401
    assert not ear.heard


def test_two_keys_make_two_signatures(client: WebPubSubTestClient, ear: Ear) -> None:
    client.keys = ["old", KEY]
    assert client.connect().accepted
    assert ear.contexts[0].signature.count("sha256=") == 2


@pytest.mark.parametrize(
    ("origins", "accepted"),
    [([HOST], True), (["other.example.com", HOST], True), (["other.example.com"], False), ([HOST.upper()], True)],
)
def test_the_service_may_have_other_origins(
    origins: list[str], accepted: bool, client: WebPubSubTestClient, ear: Ear
) -> None:
    client.origins = origins
    assert client.validate() is accepted
    assert client.connect().accepted is accepted
    assert bool(ear.heard) is accepted


def test_a_message_can_be_forged_in_the_middle_of_a_connection(client: WebPubSubTestClient, ear: Ear) -> None:
    connection = client.connect()
    client.keys = ["wrong"]
    assert connection.send_text("hi") == EventErrorResponse("unauthorized", "Unauthorized")
    client.keys = [KEY]
    assert connection.send_text("hi") is None


def test_a_retry_is_the_same_event_again(client: WebPubSubTestClient, ear: Ear) -> None:
    connection = client.connect()
    ear.answers = [EventErrorResponse(503), "ok"]
    assert connection.send_text("hi") == EventErrorResponse(503)
    assert connection.retry() == UserEventResponse("ok")
    connection.send_text("next")
    first, again, following = ear.heard[-3:]
    assert again == first
    assert following.connection_context.event_id == "3"


def test_a_client_may_be_let_in_by_a_retry(client: WebPubSubTestClient, ear: Ear) -> None:
    ear.answers = [EventErrorResponse(503), ConnectEventResponse("alice")]
    connection = client.connect()
    assert not connection.accepted
    assert connection.retry() == ConnectEventResponse("alice")
    assert (connection.accepted, connection.user_id) == (True, "alice")
    assert ear.names == ["connect", "connect", "connected"]
    assert [context.event_id for context in ear.contexts] == ["0", "0", "1"]


def test_a_retry_needs_an_event(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    with pytest.raises(RuntimeError, match="no event"):
        client.connect().retry()


def test_several_connection_strings_are_several_keys_and_origins(app: Flask) -> None:
    app.config["WEBPUBSUB_CONNECTION_STRING"] = [CONNECTION_STRING, OTHER]
    wps = WebPubSub(app)
    ear = Ear(wps)
    client = wps.test_client(app)
    assert client.validate()
    assert client.connect().accepted
    assert ear.contexts[0].origin == f"{HOST},other.webpubsub.azure.com"


def test_an_access_code_is_sent(app: Flask) -> None:
    app.config["WEBPUBSUB_ACCESS_CODE"] = ["first & best", "second"]
    wps = WebPubSub(app)
    Ear(wps)
    client = wps.test_client(app)
    assert client.validate()
    assert client.connect().accepted
    client.access_code = None
    assert not client.validate()
    assert client.connect().answer.status == 401


# What the service is set to send.


def test_an_app_without_a_connect_handler_lets_everybody_in(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    wps.on_message(lambda data: data)
    connection = client.connect("alice")
    assert (connection.accepted, connection.response, connection.answer.status) == (True, None, 204)
    assert connection.send_text("hi") == UserEventResponse("hi")
    assert connection.disconnect() is None


def test_a_service_may_be_set_to_send_less(app: Flask, wps: WebPubSub, ear: Ear) -> None:
    client = WebPubSubTestClient(app, connection_string=CONNECTION_STRING, hub="chat", system_events=["disconnected"])
    connection = client.connect()
    connection.disconnect()
    assert ear.names == ["disconnected"]


def test_an_event_without_a_handler_is_404(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    assert client.connect().send_event("nobody", "a") == EventErrorResponse(404, "Not Found")


def test_a_user_event_by_the_name_of_a_system_event_is_none(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    wps.on_user_event("connect")(lambda data: data)
    connection = client.connect()
    assert connection.accepted
    assert connection.send_event("connect", "a") == UserEventResponse("a")


def test_another_hub_can_be_named(app: Flask, wps: WebPubSub) -> None:
    wps.on_message(hub="other")(lambda hub: hub)
    assert wps.test_client(app, "other").connect().send_text("hi") == UserEventResponse("other")


def test_a_hub_with_a_connection_of_its_own_is_played_with_that(app: Flask) -> None:
    app.config["SUPPORT"] = [OTHER]
    wps = WebPubSub(app)
    wps.on_connect(hub="support", connection="SUPPORT")(lambda: None)
    wps.on_connect(lambda: None)
    assert wps.test_client(app, "Support").connect().accepted
    assert wps.test_client(app).connect().accepted
    assert wps.test_client(app, "support").origins == ["other.webpubsub.azure.com"]


@pytest.mark.parametrize("config", [{"SERVER_NAME": "chat.example.com"}, {}], ids=["server-name", "none"])
def test_an_app_is_asked_by_a_host_that_it_trusts(config: dict[str, str], app: Flask) -> None:
    app.config.update(config, TRUSTED_HOSTS=["chat.example.com"])
    wps = WebPubSub(app)
    wps.on_connect(lambda: None)
    client = wps.test_client(app)
    if not config:
        assert client.connect().answer.status == 400
        client.base_url = "https://chat.example.com"
    assert client.connect().accepted


@pytest.mark.view_only("flask.request")
def test_an_app_may_be_mounted_under_a_prefix(app: Flask, wps: WebPubSub) -> None:
    seen = []
    wps.on_connect(lambda: seen.append(request.script_root))
    client = wps.test_client(app)
    client.base_url = "http://localhost/chat"
    assert client.connect().accepted
    assert seen == ["/chat"]


def test_an_app_without_the_extension_has_no_client() -> None:
    with pytest.raises(RuntimeError, match="has no WebPubSub extension"):
        WebPubSub().test_client(Flask("app"))


def test_a_client_needs_a_hub(app: Flask) -> None:
    del app.config["WEBPUBSUB_HUB"]
    wps = WebPubSub(app)
    with pytest.raises(ConfigurationError, match="WEBPUBSUB_HUB"):
        wps.test_client(app)


def test_an_app_without_signatures_is_talked_to_without_them(app: Flask) -> None:
    app.config.update(WEBPUBSUB_CONNECTION_STRING=None, WEBPUBSUB_ALLOW_UNSIGNED=True)
    wps = WebPubSub(app)
    ear = Ear(wps)
    client = wps.test_client(app)
    assert client.validate()
    assert client.connect().accepted
    assert ear.contexts[0].signature is None


def test_a_request_can_be_sent_just_as_it_is_given(client: WebPubSubTestClient, ear: Ear) -> None:
    answer = client.call("PUT", Delivery([("X-A", "é")], b""))
    assert (answer.status, answer.header("Allow")) == (405, "GET, OPTIONS, POST")


# MQTT.


def test_an_mqtt_client_is_one_in_all_its_events(client: WebPubSubTestClient, ear: Ear) -> None:
    ear.answers = [MqttConnectEventResponse("alice")]
    connection = client.connect(mqtt=V500, connection_id="sensor")
    properties = [MqttUserProperty("unit", "°C")]
    connection.send_text("21", user_properties=properties)
    connection.send_bytes(b"\xff", content_type="image/png")
    connection.join("sensors")
    connection.disconnect()
    assert connection.response == MqttConnectEventResponse("alice")
    connect, _, text, image, _, disconnected = ear.heard
    assert type(connect) is MqttConnectEventRequest
    assert (connect.mqtt, connect.subprotocols) == (V500, ["mqtt"])
    assert (text.user_properties, image.content_type) == (properties, "image/png")
    assert disconnected.mqtt == MqttDisconnectedProperties(initiated_by_client=True)
    contexts = ear.contexts
    assert all(isinstance(context, MqttConnectionContext) for context in contexts)
    assert all(context.subprotocol == "mqtt" and context.connection_id == "sensor" for context in contexts)
    assert len({context.physical_connection_id for context in contexts}) == 1
    assert contexts[0].session_id is None
    assert len({context.session_id for context in contexts[1:]} - {None}) == 1
    physical = contexts[0].physical_connection_id
    assert contexts[1].headers["ce-source"] == f"/hubs/chat/client/sensor/{physical}"


@pytest.mark.parametrize(("mqtt", "code"), [(V311, 5), (V500, 135)])
def test_an_mqtt_client_is_refused_in_its_version(mqtt: Any, code: int, client: WebPubSubTestClient, ear: Ear) -> None:
    ear.answers = [EventErrorResponse("unauthorized", "No.")]
    connection = client.connect(mqtt=mqtt)
    assert connection.response == MqttConnectEventErrorResponse(code, "No.")
    assert not connection.accepted


def test_the_end_of_an_mqtt_session_is_what_the_test_says(client: WebPubSubTestClient, ear: Ear) -> None:
    ended = MqttDisconnectedProperties(initiated_by_client=False)
    client.connect(mqtt=V500).disconnect("gone", mqtt=ended)
    assert (ear.heard[-1].mqtt, ear.heard[-1].reason) == (ended, "gone")


# Any WSGI app.


def make_plain_app(allowed: str | None = "*", method: str = "OPTIONS") -> Flask:
    """A receiver written by hand, after Azure's own samples."""
    app = Flask("plain")

    @app.route("/eventhandler", methods=[method, "POST"], provide_automatic_options=False)
    def handle() -> Any:
        if request.method == method:
            response = flask.Response(status=200)
            if allowed is not None:
                response.headers["WebHook-Allowed-Origin"] = allowed
            return response
        if request.headers["ce-type"] == "azure.webpubsub.sys.connect":
            return {"groups": ["lobby"]}
        if request.headers["ce-type"] == "azure.webpubsub.user.message":
            headers = {"ce-connectionState": "e30="}
            return flask.Response(request.data.upper(), content_type="text/plain", headers=headers)
        return "", 204

    return app


def test_an_app_that_is_not_ours_is_talked_to() -> None:
    client = WebPubSubTestClient(
        make_plain_app(), connection_string=CONNECTION_STRING, hub="chat", path="/eventhandler"
    )
    assert client.validate()
    connection = client.connect("alice")
    assert connection.response == ConnectEventResponse(groups=["lobby"])
    assert connection.send_text("hi") == UserEventResponse("HI", states={})
    assert connection.send_event("other", "hi") is None
    assert connection.disconnect() is None


@pytest.mark.parametrize(
    ("allowed", "valid"),
    [
        ("*", True),
        (HOST, True),
        (HOST.upper(), True),
        (f"other.example.com, {HOST}", True),
        ("other.example.com", False),
        ("", False),
        (None, False),
    ],
)
def test_validation_is_judged_by_its_header(allowed: str | None, valid: bool) -> None:
    app = make_plain_app(allowed)
    client = WebPubSubTestClient(app, connection_string=CONNECTION_STRING, hub="chat", path="/eventhandler")
    assert client.validate() is valid


def test_validation_is_tried_with_get_where_options_is_not_found() -> None:
    methods = []

    def wsgi_app(environ: Any, start_response: Any) -> Any:
        methods.append(environ["REQUEST_METHOD"])
        status = "404 Not Found" if environ["REQUEST_METHOD"] == "OPTIONS" else "200 OK"
        start_response(status, [("WebHook-Allowed-Origin", "*")])
        return [b""]

    client = WebPubSubTestClient(wsgi_app, connection_string=CONNECTION_STRING, hub="chat")
    assert client.validate()
    assert methods == ["OPTIONS", "GET"]


def test_an_answer_of_flasks_own_to_options_is_not_valid() -> None:
    app = Flask("plain")
    app.add_url_rule("/runtime/webhooks/webpubsub", "handle", lambda: "", methods=["POST"])
    assert not WebPubSubTestClient(app, connection_string=CONNECTION_STRING, hub="chat").validate()


def test_a_plain_wsgi_app_may_crash() -> None:
    def wsgi_app(environ: Any, start_response: Any) -> Any:
        raise LookupError

    client = WebPubSubTestClient(wsgi_app, connection_string=CONNECTION_STRING, hub="chat")
    with pytest.raises(LookupError):
        client.connect()
    client.raise_exceptions = False
    assert client.connect().answer.status == 500


def test_a_body_is_closed_after_it_was_read() -> None:
    closed = []

    class Body:
        def __iter__(self) -> Any:
            return iter([b"a", b"b"])

        def close(self) -> None:
            closed.append(True)

    def wsgi_app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Body()

    client = WebPubSubTestClient(wsgi_app, connection_string=None, hub="chat", system_events=())
    assert client.connect().send_text("hi") == UserEventResponse("ab")
    assert closed == [True]
