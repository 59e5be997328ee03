"""What is written is read back as it was, and nothing that is read ends in anything but an error of ours."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from flask_webpubsub import (
    NOT_GIVEN,
    ConnectEventResponse,
    EventErrorResponse,
    InvalidEventError,
    InvalidSignatureError,
    MqttProtocolVersion,
    UserEventResponse,
    WebPubSub,
    WebPubSubEventRequest,
    WebPubSubEventResponse,
)
from flask_webpubsub.codec import (
    Response,
    decode_context,
    decode_event,
    decode_response,
    encode_event,
    encode_response,
)
from flask_webpubsub.messages import Message, environ_name, to_wsgi
from flask_webpubsub.readers import make_header_reader
from flask_webpubsub.schemas import ContextSchema, load
from flask_webpubsub.signature import verify_signature
from tests import strategies
from tests.conftest import CONNECTION_STRING, KEY
from tests.test_schemas import result_of
from tests.wire import replay

pytestmark = pytest.mark.both_doors

thorough = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def pass_over_the_wire(request: WebPubSubEventRequest) -> WebPubSubEventRequest:
    delivery = encode_event(request)
    headers = [(name, to_wsgi(value)) for name, value in delivery.headers]
    environ = EnvironBuilder("/", method="POST", headers=headers, data=delivery.body).get_environ()
    message = Message(environ)
    return decode_event(decode_context(message), message)


def pass_back(response: Response, request: WebPubSubEventRequest) -> Response | None:
    return decode_response(encode_response(response, request, max_state_bytes=1_000_000), request)


@pytest.mark.parametrize("request_class", strategies.EVENTS, ids=lambda request_class: request_class.__name__)
@thorough
@given(data=st.data())
def test_every_event_is_read_as_it_was_written(request_class: type[WebPubSubEventRequest], data: st.DataObject) -> None:
    event = data.draw(strategies.EVENTS[request_class])
    read = pass_over_the_wire(event)
    assert type(read) is request_class
    assert read == event


@thorough
@given(strategies.user_requests | strategies.mqtt_user_requests)
def test_a_message_keeps_its_bytes(event: Any) -> None:
    read: Any = pass_over_the_wire(event)
    assert read.get_data() == encode_event(event).body


def test_there_is_a_strategy_for_every_class_of_events() -> None:
    def below(cls: type[WebPubSubEventRequest]) -> set[type[WebPubSubEventRequest]]:
        return {cls}.union(*map(below, cls.__subclasses__()))

    assert strategies.EVENTS.keys() == below(WebPubSubEventRequest)


def in_normal_form(response: WebPubSubEventResponse, request: WebPubSubEventRequest) -> WebPubSubEventResponse:
    """A decoded answer carries all the states that the connection has from now on."""
    if response.states is NOT_GIVEN:
        return response
    return replace(response, states={**request.connection_context.states, **response.states})


@thorough
@given(strategies.connect_responses, strategies.connect_requests)
def test_an_accepted_connect_is_read_as_it_was_written(response: Any, request: Any) -> None:
    assert pass_back(response, request) == in_normal_form(response, request)


@thorough
@given(strategies.mqtt_connect_responses, strategies.mqtt_connect_requests)
def test_an_accepted_mqtt_connect_is_read_as_it_was_written(response: Any, request: Any) -> None:
    assert pass_back(response, request) == in_normal_form(response, request)


@thorough
@given(strategies.user_responses, strategies.user_requests | strategies.mqtt_user_requests)
def test_an_answer_to_a_message_is_read_as_it_was_written(response: Any, request: Any) -> None:
    assert pass_back(response, request) == in_normal_form(response, request)


@thorough
@given(strategies.states, strategies.user_requests)
def test_states_without_data_are_read_as_they_were_written(states: dict[str, Any], request: Any) -> None:
    response = UserEventResponse(states=states)
    assert pass_back(response, request) == in_normal_form(response, request)


@thorough
@given(strategies.states, strategies.user_requests)
def test_cleared_states_leave_nothing_of_the_old_ones(states: dict[str, Any], request: Any) -> None:
    response = UserEventResponse("done")
    response.clear_states()
    for name, value in states.items():
        response.set_state(name, value)
    assert pass_back(response, request) == UserEventResponse("done", states=states)


@thorough
@given(strategies.error_responses, strategies.connect_requests | strategies.user_requests)
def test_an_error_is_read_as_it_was_written(response: EventErrorResponse, request: Any) -> None:
    assert pass_back(response, request) == response


@pytest.mark.parametrize("version", MqttProtocolVersion, ids=lambda version: version.name)
@thorough
@given(data=st.data())
def test_a_refusal_in_mqtt_is_read_as_it_was_written(version: MqttProtocolVersion, data: st.DataObject) -> None:
    request = data.draw(strategies.mqtt_connect_requests)
    request = replace(request, mqtt=replace(request.mqtt, protocol_version=version))
    response = data.draw(strategies.MQTT_ERRORS[version])
    assert pass_back(response, request) == response


# Through a whole app, and back.


class Echo:
    """An app whose handlers answer what they are told to, and keep the last event that they were given."""

    def __init__(self) -> None:
        self.app = Flask("app")
        self.app.config.update(
            TESTING=True,
            WEBPUBSUB_CONNECTION_STRING=CONNECTION_STRING,
            WEBPUBSUB_HUB="chat",
            WEBPUBSUB_MAX_STATE_BYTES=1_000_000,
        )
        self.connect_answer: Any = None
        self.message_answer: Any = None
        self.heard: Any = None
        wps = WebPubSub(self.app)
        wps.on_connect(self.answer_connect)
        wps.on_user_event("*")(self.answer_message)
        for decorator in (wps.on_connected, wps.on_disconnected, wps.on_group_joined, wps.on_group_left):
            decorator(self.hear)
        self.client = wps.test_client(self.app)

    def hear(self, request: WebPubSubEventRequest) -> None:
        self.heard = request

    def answer_connect(self, request: WebPubSubEventRequest) -> Any:
        self.heard = request
        return self.connect_answer

    def answer_message(self, request: WebPubSubEventRequest) -> Any:
        self.heard = request
        return self.message_answer


@pytest.fixture(scope="module")
def echo(door: str) -> Echo:
    return Echo()


def names_what_headers_can_hold(response: ConnectEventResponse) -> bool:
    names = [name for name in (response.user_id, response.subprotocol) if isinstance(name, str)]
    return all(name.isprintable() for name in names)


@thorough
@given(response=strategies.connect_responses.filter(names_what_headers_can_hold))
def test_an_app_lets_a_client_in_with_just_what_its_handler_says(echo: Echo, response: Any) -> None:
    echo.connect_answer = response
    assert echo.client.connect("alice").response == response


@thorough
@given(response=strategies.user_responses)
def test_an_app_answers_a_message_with_just_what_its_handler_says(echo: Echo, response: Any) -> None:
    echo.connect_answer = None
    connection = echo.client.connect("alice")
    echo.message_answer = response
    assert connection.send_text("hi") == response


@thorough
@given(event=strategies.user_requests)
def test_an_app_hears_a_message_just_as_it_was_sent(echo: Echo, event: Any) -> None:
    echo.connect_answer = echo.message_answer = None
    connection = echo.client.connect(event.connection_context.user_id)
    connection.send_event(
        event.connection_context.event_name,
        event.data,
        event.data_type,
        metadata=event.metadata,
        content_type=event.content_type,
    )
    assert replace(echo.heard, connection_context=event.connection_context) == event
    assert echo.heard.connection_context.user_id == event.connection_context.user_id


# Whatever comes, it is at most a refusal.

any_text = st.text(max_size=30) | st.text(st.characters(max_codepoint=255), max_size=30)
header_names = st.sampled_from(
    [
        "WebHook-Request-Origin",
        "Content-Type",
        "Content-Length",
        "ce-type",
        "ce-eventName",
        "ce-hub",
        "ce-connectionId",
        "ce-signature",
        "ce-userId",
        "ce-subprotocol",
        "ce-connectionState",
        "ce-id",
        "ce-time",
        "ce-source",
        "ce-specversion",
        "ce-physicalConnectionId",
        "ce-sessionId",
        "mqtt-name",
        "x-webpubsub-metadata-name",
        "x-ms-client-request-id",
        "Cookie",
    ]
)
any_changes = st.dictionaries(
    header_names, st.none() | any_text | st.lists(any_text, min_size=2, max_size=2), max_size=4
)
any_body = (
    st.binary(max_size=100)
    | any_text.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | strategies.json_values.map(lambda value: repr(value).replace("'", '"').encode())
)
wire_requests = st.builds(
    lambda name, changes, body: replay.read(name).changed(changes, body=body),
    st.sampled_from(replay.EVENTS),
    any_changes,
    st.none() | any_body,
)


@settings(thorough, max_examples=300)
@given(wire_requests)
def test_whatever_comes_is_an_event_or_an_error_of_ours(request: replay.WireRequest) -> None:
    message = Message(request.environ())
    with suppress(InvalidEventError, InvalidSignatureError):
        context = decode_context(message)
        verify_signature(context.signature, context.connection_id, [KEY.encode()])
        assert isinstance(decode_event(context, message), WebPubSubEventRequest)


@settings(thorough, max_examples=300)
@given(wire_requests)
def test_the_fast_reader_of_headers_agrees_with_its_schema(request: replay.WireRequest) -> None:
    environ, schema = request.environ(), ContextSchema()
    names = [field.data_key or name for name, field in schema.load_fields.items()]
    headers = {name: environ[environ_name(name)] for name in names if environ_name(name) in environ}
    expected = result_of(lambda data: tuple(map(load(schema, data).get, schema.load_fields)), headers)
    assert result_of(make_header_reader(schema, list(schema.load_fields)), environ) == expected


@settings(thorough, max_examples=300)
@given(request_=wire_requests)
def test_whatever_comes_to_an_app_is_never_a_500(echo: Echo, request_: replay.WireRequest) -> None:
    echo.connect_answer = echo.message_answer = None
    assert request_.send(echo.app).status in {204, 400, 401, 404, 413}
