"""One schema for each shape: written and read back, unknown keys, and the spellings of a handler's keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema

from flask_webpubsub import (
    ConnectEventResponse,
    MqttConnectEventErrorResponse,
    MqttDisconnectReasonCode,
    MqttUserProperty,
    WebPubSubDataType,
    WebPubSubErrorCode,
    schemas,
)
from flask_webpubsub.readers import make_answer_reader, make_body_reader
from flask_webpubsub.schemas import dump, load
from tests import strategies


@given(strategies.connect_requests)
def test_the_body_of_connect_is_read_as_it_was_written(request: Any) -> None:
    values = load(schemas.ConnectSchema(), dump(schemas.ConnectSchema(), request))
    assert values == {name: getattr(request, name) for name in values}
    assert len(values) == 5


@given(strategies.mqtt_connect_requests)
def test_the_body_of_an_mqtt_connect_is_read_as_it_was_written(request: Any) -> None:
    values = load(schemas.MqttConnectSchema(), dump(schemas.MqttConnectSchema(), request))
    assert values == {name: getattr(request, name) for name in values}
    assert len(values) == 6


@given(strategies.mqtt_disconnected_properties)
def test_the_end_of_an_mqtt_session_is_read_as_it_was_written(properties: Any) -> None:
    schema = schemas.MqttDisconnectedPropertiesSchema()
    assert load(schema, dump(schema, properties)) == properties


@given(strategies.connect_responses)
def test_an_answer_to_connect_is_read_as_it_was_written(response: ConnectEventResponse) -> None:
    schema = schemas.ConnectAnswerSchema()
    response.states = ConnectEventResponse().states  # they travel as a header
    assert ConnectEventResponse(**load(schema, dump(schema, response))) == response


def test_keys_on_the_wire_are_camel_case() -> None:
    assert set(dump(schemas.ConnectSchema(), {"client_certificates": [], "claims": {}})) == {
        "clientCertificates",
        "claims",
    }
    assert dump(schemas.ConnectAnswerSchema(), ConnectEventResponse("alice")) == {"userId": "alice"}


@pytest.mark.parametrize(
    ("schema", "body", "field"),
    [
        (schemas.ConnectSchema(), {"claims": 1}, "claims"),
        (schemas.GroupSchema(), {}, "group"),
        (schemas.MqttConnectSchema(), {"mqtt": {"protocolVersion": 3}}, "mqtt: protocolVersion"),
        (schemas.DisconnectedSchema(), [], "_schema"),
    ],
)
def test_a_message_names_the_field_on_the_wire(schema: Schema, body: Any, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        load(schema, body)


def test_a_message_holds_no_value() -> None:
    for body in ({"claims": "hunter2"}, {"clientCertificates": ["hunter2"]}, {"subprotocols": {"hunter2": 1}}):
        with pytest.raises(ValueError, match=r".") as caught:
            load(schemas.ConnectSchema(), body)
        assert "hunter2" not in str(caught.value)


def test_a_message_shows_a_key_with_a_line_break_as_python_writes_it() -> None:
    for mapping in ({"a\nForged": 1}, {"mqtt": {"a\nForged": 1}}):
        with pytest.raises(ValueError, match=r"'a\\nForged': Unknown field\.$") as caught:
            load(schemas.MqttConnectAnswerSchema(), mapping)
        assert "\n" not in str(caught.value)


def test_a_value_of_the_wrong_type_is_not_written() -> None:
    with pytest.raises(ValueError, match="groups"):
        dump(schemas.ConnectAnswerSchema(), ConnectEventResponse(groups="lobby"))
    with pytest.raises(ValueError, match="reason"):
        dump(schemas.MqttErrorAnswerSchema(), {"mqtt": MqttConnectEventErrorResponse(5, 5)})  # type: ignore[arg-type]


# Keys of a handler's mapping.

ANSWERS: dict[str, tuple[Schema, Any, Any]] = {
    "camelCase": (schemas.ConnectAnswerSchema(), {"userId": "a"}, {"user_id": "a"}),
    "snake_case": (schemas.ConnectAnswerSchema(), {"user_id": "a"}, {"user_id": "a"}),
    "PascalCase": (schemas.ConnectAnswerSchema(), {"UserId": "a", "Groups": []}, {"user_id": "a", "groups": []}),
    "UPPER_CASE": (schemas.ConnectAnswerSchema(), {"USER_ID": "a", "ROLES": None}, {"user_id": "a", "roles": None}),
    "lowercase": (schemas.UserAnswerSchema(), {"datatype": "JSON"}, {"data_type": WebPubSubDataType.JSON}),
    "tuple": (schemas.ConnectAnswerSchema(), {"groups": ("a", "b")}, {"groups": ["a", "b"]}),
    "error": (
        schemas.ErrorAnswerSchema(),
        {"Code": "userERROR", "ERRORMESSAGE": "No.", "data": 1},
        {"code": WebPubSubErrorCode.USER_ERROR, "error_message": "No."},
    ),
    "mqtt": (
        schemas.MqttConnectAnswerSchema(),
        {"MQTT": {"UserProperties": [{"name": "a", "value": "b"}]}},
        {"mqtt": {"user_properties": [MqttUserProperty("a", "b")]}},
    ),
}


@pytest.mark.parametrize(("schema", "mapping", "values"), ANSWERS.values(), ids=ANSWERS)
def test_the_keys_of_an_answer_may_be_spelt_in_many_ways(schema: Schema, mapping: Any, values: Any) -> None:
    assert load(schema, mapping) == values


@pytest.mark.parametrize(
    "mapping",
    [
        {"userId": "a", "user_id": "b"},
        {"userId": "a", "USERID": "a"},
        {"user_id": "a", "User_Id": "a"},
        {"groups": [], "Groups": []},
    ],
    ids=repr,
)
def test_one_key_in_two_spellings_is_refused(mapping: Any) -> None:
    with pytest.raises(ValueError, match="different spellings"):
        load(schemas.ConnectAnswerSchema(), mapping)


@pytest.mark.parametrize(
    ("schema", "mapping"),
    [
        (schemas.ConnectAnswerSchema(), {"role": []}),
        (schemas.ConnectAnswerSchema(), {"mqtt": {}}),
        (schemas.ConnectAnswerSchema(), {1: "a"}),
        (schemas.ConnectAnswerSchema(), {None: "a"}),
        (schemas.UserAnswerSchema(), {"userId": "a"}),
        (schemas.MqttConnectAnswerSchema(), {"mqtt": {"reason": "a"}}),
        (schemas.MqttErrorAnswerSchema(), {"mqtt": {"code": 5}, "userId": "a"}),
    ],
    ids=repr,
)
def test_an_unknown_key_of_an_answer_is_refused(schema: Schema, mapping: Any) -> None:
    with pytest.raises(ValueError, match="Unknown field"):
        load(schema, mapping)


def test_unknown_keys_of_an_error_do_not_matter() -> None:
    values = load(schemas.ErrorAnswerSchema(), {"code": 403, "later": 1, 5: 6})
    assert values == {"code": 403, "error_message": ""}


@pytest.mark.parametrize("code", [*MqttDisconnectReasonCode, 1, 200])
def test_the_code_of_a_disconnect_keeps_its_number(code: int) -> None:
    schema = schemas.MqttDisconnectPacketSchema()
    packet: Any = load(schema, {"code": int(code)})
    assert packet.code == code


# The fast readers say what the schemas say.

SERVICE = [
    schemas.ConnectSchema(),
    schemas.MqttConnectSchema(),
    schemas.DisconnectedSchema(),
    schemas.MqttDisconnectedSchema(),
    schemas.GroupSchema(),
]
HANDLER = [
    schemas.ConnectAnswerSchema(),
    schemas.MqttConnectAnswerSchema(),
    schemas.UserAnswerSchema(),
    schemas.ErrorAnswerSchema(),
    schemas.MqttErrorAnswerSchema(),
]

values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["a", "", "json", "userError", "c2Vj", [], {}, ["a"], [1], {"a": ["b"]}, {"a": "b"}, {"code": 5}])
    | st.sampled_from([403, [{"name": "a", "value": "b"}], [{"thumbprint": "a"}], {"protocolVersion": 5}])
    | strategies.json_values
)


def result_of(read: Callable[[Any], Any], data: Any) -> Any:
    try:
        return read(data)
    except ValueError as error:
        return str(error)


def spellings(schema: Schema) -> list[Any]:
    keys = [spelt for name, field in schema.fields.items() for spelt in (name, field.data_key or name)]
    return [*keys, *(key.upper() for key in keys), "later", 1]


@pytest.mark.parametrize("schema", SERVICE, ids=lambda schema: type(schema).__name__)
@given(data=st.data())
def test_a_fast_reader_of_bodies_agrees_with_its_schema(schema: schemas.ServiceSchema, data: st.DataObject) -> None:
    body = data.draw(st.dictionaries(st.sampled_from(spellings(schema)), values, max_size=5) | values)
    assert result_of(make_body_reader(schema), body) == result_of(schema_reader(schema), body)


@pytest.mark.parametrize("schema", HANDLER, ids=lambda schema: type(schema).__name__)
@given(data=st.data())
def test_a_fast_reader_of_answers_agrees_with_its_schema(schema: schemas.AnswerSchema, data: st.DataObject) -> None:
    mapping = data.draw(st.dictionaries(st.sampled_from(spellings(schema)), values, max_size=4))
    assert result_of(make_answer_reader(schema), mapping) == result_of(schema_reader(schema), mapping)


def schema_reader(schema: Schema) -> Callable[[Any], Any]:
    return lambda data: load(schema, data)


@pytest.mark.parametrize("key", ["a\nERROR all is lost", "a\x1b[2K", "a\u2028", "a" * 1000])
def test_a_key_that_no_field_has_is_shown_on_one_line(key: str) -> None:
    with pytest.raises(ValueError, match="Unknown field") as caught:
        load(schemas.UserAnswerSchema(), {key: "a secret"})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200
    assert "secret" not in str(caught.value)
