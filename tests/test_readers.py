"""The fast readers leave to marshmallow every schema that they do not understand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import pytest
from marshmallow import (
    INCLUDE,
    RAISE,
    Schema,
    ValidationError,
    fields,
    post_dump,
    post_load,
    pre_load,
    validate,
    validates,
    validates_schema,
)

from flask_webpubsub import ConnectEventResponse
from flask_webpubsub.fields import HeaderText, SingleHeader, Text, TextList
from flask_webpubsub.messages import environ_name
from flask_webpubsub.readers import make_answer_reader, make_answer_writer, make_body_reader, make_header_reader
from flask_webpubsub.schemas import AnswerSchema, ConnectAnswerSchema, ServiceSchema, load
from tests.test_schemas import result_of

PLAIN = {"name": "a"}


class Before(Schema):
    @pre_load
    def change(self, data: Any, **kwargs: Any) -> Any:
        return dict(data) | {"name": "changed"}


class After(Schema):
    @post_load
    def change(self, data: Any, **kwargs: Any) -> Any:
        return data | {"name": "changed"}


class OneField(Schema):
    @validates("name")
    def refuse(self, value: str, **kwargs: Any) -> None:
        raise ValidationError("Refused by a method.")


class All(Schema):
    @validates_schema
    def refuse(self, data: Any, **kwargs: Any) -> None:
        raise ValidationError("Refused by a schema.")


#: What a schema may do besides reading fields.
HOOKS = [Before, After, OneField, All]
RENAMED = {"attribute": {"attribute": "another"}}
#: What a field may do besides reading its value. None of them takes ``{"name": "a"}`` for what it is.
OPTIONS: dict[str, dict[str, Any]] = {
    "validator": {"validate": validate.Length(min=2, error="Refused by a validator.")},
}
if "pre_load" in signature(fields.Field).parameters:  # which marshmallow 4.0 does not have
    OPTIONS["pre_load"] = {"pre_load": lambda value: "changed"}
    OPTIONS["post_load"] = {"post_load": lambda value: "changed"}


def unusual(base: type[Schema], text: type[Any], options: Mapping[str, Any] = OPTIONS) -> list[Any]:
    """A schema for each of these, with a field ``name``; and for a field of another kind."""
    made = {hook.__name__: type(hook.__name__, (hook, base), {"name": text()})() for hook in HOOKS}
    made |= {name: base.from_dict({"name": text(**kwargs)})() for name, kwargs in options.items()}
    made["foreign"] = base.from_dict({"name": fields.Function(deserialize=lambda value: "changed")})()
    return [pytest.param(schema, id=name) for name, schema in made.items()]


def verify_agreement(read: Callable[[Any], Any], schema: Schema, data: Any = PLAIN) -> Any:
    """Check that a reader says what the schema says; gives what that is."""
    expected = result_of(lambda found: load(schema, found), data)
    assert result_of(read, data) == expected
    return expected


@pytest.mark.parametrize("schema", unusual(ServiceSchema, Text, OPTIONS | RENAMED))
def test_a_body_of_a_schema_that_does_more_is_read_by_the_schema(schema: ServiceSchema) -> None:
    assert verify_agreement(make_body_reader(schema), schema) != PLAIN


@pytest.mark.parametrize("schema", unusual(AnswerSchema, Text, OPTIONS | RENAMED))
def test_a_mapping_of_a_schema_that_does_more_is_read_by_the_schema(schema: AnswerSchema) -> None:
    assert verify_agreement(make_answer_reader(schema), schema) != PLAIN


@pytest.mark.parametrize(
    "schema",
    [*unusual(Schema, HeaderText), *unusual(Schema, SingleHeader)],
)
def test_headers_of_a_schema_that_does_more_are_read_by_the_schema(schema: Schema) -> None:
    def read(data: dict[str, str]) -> dict[str, Any]:
        environ = {environ_name(name): value for name, value in data.items()}
        return {"name": make_header_reader(schema, ["name"])(environ)[0]}

    assert verify_agreement(read, schema) != PLAIN


class Strict(ServiceSchema):
    name = Text()

    class Meta:
        unknown = RAISE


class Open(ServiceSchema):
    name = Text()

    class Meta:
        unknown = INCLUDE


class OpenAnswer(AnswerSchema):
    name = Text()

    class Meta:
        unknown = INCLUDE


def test_what_a_schema_says_of_unknown_keys_holds() -> None:
    data = PLAIN | {"other": "b"}
    assert verify_agreement(make_body_reader(Strict()), Strict(), data) == "other: Unknown field."
    assert verify_agreement(make_body_reader(Open()), Open(), data) == data
    assert verify_agreement(make_answer_reader(OpenAnswer()), OpenAnswer(), data) == data


class Written(ConnectAnswerSchema):
    @post_dump
    def change(self, data: Any, **kwargs: Any) -> Any:
        return data | {"userId": "changed"}


class Shout(Text):
    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value.upper()


class Shouting(ConnectAnswerSchema):
    user_id = Shout(data_key="userId")


class Secret(ConnectAnswerSchema):
    user_id = Text(data_key="userId", load_only=True)


class Named(ConnectAnswerSchema):
    user_id = Text(data_key="userId", attribute="nick")


class Defaulted(ConnectAnswerSchema):
    groups = TextList(dump_default=["lobby"])


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (Written(), {"userId": "changed", "subprotocol": "chat"}),
        (Shouting(), {"userId": "ALICE", "subprotocol": "chat"}),
        (Secret(), {"subprotocol": "chat"}),
        (Named(), {"userId": "al", "subprotocol": "chat"}),
        (Defaulted(), {"userId": "alice", "groups": ["lobby"], "subprotocol": "chat"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Schema) else "",
)
def test_an_answer_is_written_as_its_schema_writes_it(schema: ConnectAnswerSchema, written: Any) -> None:
    response: Any = ConnectEventResponse("alice", subprotocol="chat")
    response.nick = "al"
    assert schema.dump(response) == written
    assert make_answer_writer(schema)(response) == written
