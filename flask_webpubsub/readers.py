"""Faster readers and writers of the good path, derived from the schemas.

The schemas stay the one declaration of what is on the wire. A reader reads what nearly every event looks like. Whatever
it does not expect goes through the schema itself, whose result and whose messages are the answer; and a schema that it
does not understand is left to marshmallow altogether.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from types import FunctionType
from typing import Any, TypeGuard

from marshmallow import EXCLUDE, Schema, ValidationError, missing
from marshmallow.fields import Field

from .fields import AnyHeader, Checked, HeaderText, SingleHeader
from .messages import environ_name
from .responses import NOT_GIVEN
from .schemas import AnswerSchema, ServiceSchema, dump, load

Reader = Callable[[Any], dict[str, Any]]
HeaderReader = Callable[[Mapping[str, Any]], Sequence[Any]]

# Printable ASCII without the comma.
_PLAIN = bytes(code for code in range(0x20, 0x7F) if code != ord(","))


def make_body_reader(schema: ServiceSchema) -> Reader:
    """A function that reads bodies as :func:`load` does with the schema.

    :raises ValueError: (the function) if a body does not fit.
    """
    if schema.unknown != EXCLUDE or not _is_plain(schema, ServiceSchema):
        return lambda data: load(schema, data)
    fields = [
        (name, field.data_key or name, _read_value(field), field.load_default, field.required)
        for name, field in schema.load_fields.items()
    ]

    def read(data: Any) -> dict[str, Any]:
        if type(data) is not dict:
            return load(schema, data)
        values = {}
        try:
            for name, key, read_value, default, required in fields:
                value = data.get(key)
                if value is not None:  # null counts as absent
                    values[name] = read_value(value)
                elif required:
                    return load(schema, data)
                elif default is not missing:
                    values[name] = default() if callable(default) else default
        except ValidationError:
            return load(schema, data)
        return values

    return read


def make_answer_reader(schema: AnswerSchema) -> Reader:
    """A function that reads mappings as :func:`load` does with the schema.

    :raises ValueError: (the function) if a mapping does not fit.
    """
    if not _is_plain(schema, AnswerSchema):
        return lambda data: load(schema, data)
    fields = {
        field.data_key or name: (name, _read_value(field), field.allow_none)
        for name, field in schema.load_fields.items()
    }
    spellings = {spelling: fields[key] for spelling, key in schema.spellings.items() if key in fields}
    always = {name for name, field in schema.load_fields.items() if field.required or field.load_default is not missing}

    def read(data: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        try:
            for key, value in data.items():
                name, read_value, allow_none = spellings[key.lower()]
                if name in values or (value is None and not allow_none):
                    return load(schema, data)
                values[name] = None if value is None else read_value(value)
        except (AttributeError, KeyError, ValidationError):
            return load(schema, data)
        return values if always <= values.keys() else load(schema, data)

    return read


def make_header_reader(schema: Schema, names: Sequence[str]) -> HeaderReader:
    """A function that reads the headers of a WSGI environ as :func:`load` does with the schema.

    It gives the values of the fields that are named, in their order, and ``None`` for absent ones.

    :raises ValueError: (the function) if a header does not fit, be it named or not.
    """
    fields = schema.load_fields
    keys = {name: environ_name(field.data_key or name) for name, field in fields.items()}

    def read_all(environ: Mapping[str, Any]) -> tuple[Any, ...]:
        headers = {fields[name].data_key or name: environ[key] for name, key in keys.items() if key in environ}
        return tuple(map(load(schema, headers).get, names))

    texts = [name for name, field in fields.items() if _verifies_as(field, HeaderText, SingleHeader)]
    raws = [name for name, field in fields.items() if _verifies_as(field, AnyHeader)]
    if not _is_plain(schema, Schema) or {*texts, *raws} != fields.keys():
        return read_all

    # Texts come first, and among them and the raw ones, those that are required stand side by side.
    order = sorted(texts + raws, key=lambda name: (name in raws, (name in raws) != fields[name].required))
    get_keys = [keys[name] for name in order]
    text_count = len(texts)
    required = [position for position, name in enumerate(order) if fields[name].required]
    needed = slice(required[0], required[-1] + 1) if required else slice(0)
    conversions = [
        (position, field.convert)
        for position, name in enumerate(order)
        if isinstance(field := fields[name], HeaderText) and type(field).convert is not HeaderText.convert
    ]
    select: Callable[[list[Any]], Sequence[Any]] = itemgetter(*map(order.index, names))

    def read(environ: Mapping[str, Any]) -> Sequence[Any]:
        found = list(map(environ.get, get_keys))
        # What is true of all these headers is asked once, of all together. Those that may hold a comma seldom do.
        text = "".join(filter(None, found[:text_count])).encode("utf-8", "surrogatepass")
        if text.translate(None, _PLAIN) or "" in found or None in found[needed]:
            return read_all(environ)
        try:
            for position, convert in conversions:
                if (value := found[position]) is not None:
                    found[position] = convert(value)
        except ValidationError:
            return read_all(environ)
        return select(found)

    return read


def make_answer_writer(schema: AnswerSchema) -> Callable[[Any], dict[str, Any]]:
    """A function that writes answers as :func:`dump` does with the schema.

    :raises ValueError: (the function) if a value is not of its field's type.
    """
    fields = [
        (name, field.data_key or name, field.check)
        for name, field in schema.dump_fields.items()
        if _writes_what_it_checks(field)
    ]
    if not _is_plain(schema, AnswerSchema) or len(fields) != len(schema.dump_fields):
        return lambda obj: dump(schema, obj)

    def write(obj: Any) -> dict[str, Any]:
        try:
            return {
                key: None if value is None else check(value)
                for name, key, check in fields
                if (value := getattr(obj, name)) is not NOT_GIVEN
            }
        except (AttributeError, ValidationError):
            return dump(schema, obj)

    return write


def _read_value(field: Field[Any]) -> Callable[[Any], Any]:
    """The function of a field that reads one value, or the field's own reading where there is more to it."""
    return field.check if isinstance(field, Checked) and not _does_more(field) else field.deserialize


def _writes_what_it_checks(field: Field[Any]) -> TypeGuard[Checked]:
    """Whether a field writes a value in the form in which it reads it."""
    cls = type(field)
    return isinstance(field, Checked) and (cls.serialize, cls._serialize) == (Checked.serialize, Checked._serialize)


def _does_more(field: Field[Any]) -> bool:
    """Whether a field looks at a value, or changes it, in another way than its class does."""
    return any((field.validators, getattr(field, "pre_load", None), getattr(field, "post_load", None)))


def _verifies_as(field: Field[Any], *classes: type[HeaderText]) -> bool:
    """Whether a field verifies its text just as one of these classes does, and nothing else."""
    same = isinstance(field, HeaderText) and type(field).verify in [cls.verify for cls in classes]
    return same and not _does_more(field)


def _is_plain(schema: Schema, base: type[Schema]) -> bool:
    """Whether a schema adds nothing but fields to a class that the readers know, each with the name of its value."""
    own = type(schema).__mro__[: type(schema).__mro__.index(base)]
    if any(field.attribute is not None or field.dump_default is not missing for field in schema.fields.values()):
        return False
    return not any(isinstance(value, FunctionType) for cls in own for value in vars(cls).values())
