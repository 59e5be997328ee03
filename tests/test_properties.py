"""Message metadata and MQTT user properties as headers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from flask_webpubsub import (
    EventErrorResponse,
    MqttConnectProperties,
    MqttProtocolVersion,
    MqttUserProperty,
    UserEventResponse,
    WebPubSub,
)
from flask_webpubsub.messages import environ_name, to_wsgi
from flask_webpubsub.properties import (
    decode_metadata,
    decode_user_properties,
    encode_metadata,
    encode_user_properties,
    find_user_properties,
)
from flask_webpubsub.testing import WebPubSubTestClient
from tests import strategies

V500 = MqttConnectProperties(protocol_version=MqttProtocolVersion.V500)


@given(strategies.metadata)
def test_metadata_is_read_as_it_was_written(metadata: dict[str, str]) -> None:
    assert decode_metadata(encode_metadata(metadata)) == metadata


@given(strategies.header_user_properties)
def test_user_properties_are_read_as_they_were_written(properties: list[MqttUserProperty]) -> None:
    assert decode_user_properties(encode_user_properties(properties)) == properties


@given(strategies.header_user_properties)
def test_user_properties_are_found_in_a_request_as_they_were_sent(properties: list[MqttUserProperty]) -> None:
    headers = encode_user_properties(properties)
    environ = {environ_name(name): to_wsgi(value) for name, value in headers}
    assert find_user_properties({"HTTP_COOKIE": "mqtt-a=b", **environ}) == properties


def test_the_headers_have_their_prefixes() -> None:
    assert encode_metadata({"Trace": "1"}) == [("x-webpubsub-metadata-Trace", "1")]
    assert encode_user_properties([MqttUserProperty("unit", "°C")]) == [("mqtt-unit", "°C")]


def test_other_headers_are_left_alone() -> None:
    headers = [("X-WebPubSub-Metadata-A", "1"), ("x-webpubsub-other", "2"), ("MQTT-b", "3"), ("mqtt", "4")]
    assert decode_metadata(headers) == {"a": "1"}
    assert decode_user_properties(headers) == [MqttUserProperty("b", "3")]


ILLEGAL_NAMES: list[Any] = ["", "a b", "a:b", "a\r\nb", "é", "a/b", "a,b", "a\x00", '"', 1, None]
ILLEGAL_VALUES: list[Any] = [
    "a\r\nSet-Cookie: b=c",
    "a\n",
    "\x00",
    "\x7f",
    " a",
    "a ",
    "\t",
    "\u2028",
    "\ud800",
    1,
    None,
    b"a",
]


@pytest.mark.parametrize("name", ILLEGAL_NAMES, ids=repr)
def test_a_name_that_is_no_header_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is no name of a header"):
        encode_metadata({name: "value"})
    with pytest.raises(ValueError, match="is no name of a header"):
        encode_user_properties([MqttUserProperty(name, "value")])


@pytest.mark.parametrize("value", ILLEGAL_VALUES, ids=ascii)
def test_a_value_that_is_no_header_text_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"header|ASCII"):
        encode_metadata({"name": value})
    with pytest.raises(ValueError, match="is no text of a header"):
        encode_user_properties([MqttUserProperty("name", value)])


def test_metadata_is_ascii() -> None:
    with pytest.raises(ValueError, match="not ASCII"):
        encode_metadata({"name": "é"})


# Through an app: nothing illegal is sent.


@pytest.mark.parametrize("name", ILLEGAL_NAMES, ids=repr)
@pytest.mark.parametrize("kind", ["metadata", "user_properties"])
def test_an_answer_with_an_illegal_name_is_500(
    name: Any, kind: str, wps: WebPubSub, client: WebPubSubTestClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert_not_sent(
        {"metadata": {name: "x"}, "user_properties": [MqttUserProperty(name, "x")]}, kind, wps, client, caplog
    )


@pytest.mark.parametrize("value", ILLEGAL_VALUES, ids=ascii)
@pytest.mark.parametrize("kind", ["metadata", "user_properties"])
def test_an_answer_with_an_illegal_value_is_500(
    value: Any, kind: str, wps: WebPubSub, client: WebPubSubTestClient, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {"metadata": {"x": value}, "user_properties": [MqttUserProperty("x", value)]}
    assert_not_sent(fields, kind, wps, client, caplog)


def assert_not_sent(
    fields: dict[str, Any], kind: str, wps: WebPubSub, client: WebPubSubTestClient, caplog: pytest.LogCaptureFixture
) -> None:
    @wps.on_message
    def message() -> UserEventResponse:
        return UserEventResponse("hi", **{kind: fields[kind]})

    connection = client.connect(mqtt=V500)
    assert connection.send_text("hi") == EventErrorResponse("serverError", "Internal Server Error")
    assert not [name for name, _ in connection.answer.headers if name.lower().startswith(("mqtt-", "x-webpubsub"))]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


WRONG_SHAPES: list[dict[str, Any]] = [
    *({"metadata": value} for value in (1, "a", ["a"])),
    *({"user_properties": value} for value in (1, "a", ["a"])),
]


@pytest.mark.parametrize("fields", WRONG_SHAPES, ids=repr)
def test_an_answer_with_properties_of_another_shape_is_500(
    fields: Any, wps: WebPubSub, client: WebPubSubTestClient, caplog: pytest.LogCaptureFixture
) -> None:
    [kind] = fields
    assert_not_sent(fields, kind, wps, client, caplog)


@pytest.mark.parametrize(
    "mapping",
    [
        {"data": "hi", "metadata": {"a": "1"}, "userProperties": [{"name": "b", "value": "é"}]},
        {"data": "hi", "metadata": {"a": "1"}, "user_properties": [{"name": "b", "value": "é"}]},
    ],
    ids=["camelCase", "snake_case"],
)
def test_a_mapping_may_have_properties(mapping: Any, wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message() -> Any:
        return mapping

    answer = client.connect(mqtt=V500).send_text("hi")
    assert answer == UserEventResponse("hi", metadata={"a": "1"}, user_properties=[MqttUserProperty("b", "é")])


@pytest.mark.parametrize(
    "mapping",
    [
        {"data": "hi", "metadata": {"a": 1}},
        {"data": "hi", "metadata": [("a", "1")]},
        {"data": "hi", "metadata": None},
        {"data": "hi", "userProperties": {"a": "1"}},
        {"data": "hi", "userProperties": [{"name": "a"}]},
        {"data": "hi", "userProperties": [["a", "1"]]},
    ],
    ids=repr,
)
def test_a_mapping_with_wrong_properties_is_500(mapping: Any, wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message() -> Any:
        return mapping

    assert client.connect().send_text("hi") == EventErrorResponse("serverError", "Internal Server Error")


def test_metadata_without_data_is_an_empty_text(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message() -> UserEventResponse:
        return UserEventResponse(metadata={"a": "1"})

    connection = client.connect()
    connection.send_text("hi")
    answer = connection.answer
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("Content-Type") == "text/plain; charset=utf-8"
    assert answer.header("x-webpubsub-metadata-a") == "1"


def test_user_properties_without_data_are_sent(wps: WebPubSub, client: WebPubSubTestClient) -> None:
    @wps.on_message
    def message() -> UserEventResponse:
        return UserEventResponse(user_properties=[MqttUserProperty("a", "1")])

    connection = client.connect(mqtt=V500)
    connection.send_text("hi")
    assert (connection.answer.status, connection.answer.header("mqtt-a")) == (204, "1")
