"""From an action to a call of the SDK's client: every shape is checked here, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError

from .actions import (
    Action,
    AddConnectionToGroupAction,
    AddUserToGroupAction,
    CloseAllConnectionsAction,
    CloseClientConnectionAction,
    CloseGroupConnectionsAction,
    GrantPermissionAction,
    RemoveConnectionFromGroupAction,
    RemoveUserFromAllGroupsAction,
    RemoveUserFromGroupAction,
    RevokePermissionAction,
    SendToAllAction,
    SendToConnectionAction,
    SendToGroupAction,
    SendToUserAction,
    WebPubSubAction,
)
from .enums import WebPubSubDataType, WebPubSubPermission
from .fields import Anything, Code, DataType, Text, TextList
from .message_data import encode_data
from .responses import guess_data_type
from .schemas import AnswerSchema, load
from .wire_json import read_json


@dataclass(frozen=True)
class Operation:
    """A call of the SDK's client that an action comes to.

    :param place: which action it is of, for messages: ``"actions[0], sendToAll"``.
    :param method: the name of the client's method.
    """

    place: str
    method: str
    arguments: Mapping[str, Any] = field(repr=False)


def make_operations(actions: Action | Iterable[Action], write_json: Callable[[Any], bytes]) -> list[Operation]:
    """Check one action or several, and say what to call for them.

    :param write_json: writes JSON data.
    :raises ValueError: if an action is unknown, lacks something, or holds what can not be right.
    :raises TypeError: if something is no action at all.
    """
    given = [actions] if isinstance(actions, WebPubSubAction | Mapping) else list(actions)
    return [_make_operation(action, f"actions[{index}]", write_json) for index, action in enumerate(given)]


def _make_operation(action: object, place: str, write_json: Callable[[Any], bytes]) -> Operation:
    match action:
        case WebPubSubAction():
            kind = _BY_CLASS.get(type(action))
            values = {name: value for name, value in vars(action).items() if value is not None}
        case Mapping():
            name, values = _split(action, place)
            kind = _BY_NAME.get(name.lower())
            if kind is None:
                known = ", ".join(kind.name for kind in _KINDS)
                raise ValueError(f"{place} has the actionName {name!r}. There are {known}.")
        case _:
            kind = None
    if kind is None:
        raise TypeError(f"{place} is a {type(action).__name__}, which is no action.")
    place = f"{place}, {kind.name}"
    try:
        arguments = load(kind.schema, values)
        _verify_text(arguments)
        if "data" in arguments:
            arguments |= _make_message(arguments, write_json, as_mapping=isinstance(action, Mapping))
    except ValueError as error:
        keys = ", ".join(key.data_key or name for name, key in kind.schema.fields.items())
        raise ValueError(f"{place}: {error} It may have these keys: {keys}.") from error
    return Operation(place, kind.method, arguments)


def _split(action: Mapping[Any, Any], place: str) -> tuple[str, dict[Any, Any]]:
    """The name of an action, and what else its mapping holds."""
    names = [key for key in action if isinstance(key, str) and key.lower() in {"actionname", "action_name"}]
    if len(names) != 1 or not isinstance(action[names[0]], str):
        raise ValueError(f"{place} needs one actionName, which is a string.")
    return action[names[0]], {key: value for key, value in action.items() if key != names[0]}


def _verify_text(arguments: Mapping[str, Any]) -> None:
    """Check that the SDK can write what stands in the URL of a call."""
    for name, value in arguments.items():
        texts = [] if name == "data" else value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and not _is_text(text) for text in texts):
            raise ValueError(f"{name}: Not text that UTF-8 can hold.")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _make_message(arguments: dict[str, Any], write_json: Callable[[Any], bytes], *, as_mapping: bool) -> dict[str, Any]:
    """The arguments of a message, instead of its data and data type."""
    data = arguments.pop("data")
    data_type = arguments.pop("data_type", None) or guess_data_type(data)
    if as_mapping:
        data = _read_mapped(data, data_type)
    message: Any = encode_data(data, data_type, write_json)
    if data_type is WebPubSubDataType.JSON:
        message = read_json(message)  # of which the SDK writes JSON again
        if message is None:
            raise ValueError("data: The service takes no null.")
    return {"message": message, "content_type": _CONTENT_TYPES[data_type]}


def _read_mapped(data: Any, data_type: WebPubSubDataType) -> Any:
    """Azure's rules for data in mappings: JSON text is JSON already, and binary data is a list of numbers."""
    if data_type is WebPubSubDataType.JSON and isinstance(data, str):
        try:
            read_json(data)
        except ValueError:
            return data
        return data.encode()
    if data_type is WebPubSubDataType.BINARY and isinstance(data, Mapping):
        if data.keys() != {"type", "data"} or data["type"] != "Buffer":
            raise ValueError('data: Binary data is bytes, or {"type": "Buffer", "data": […]}.')
        try:
            return bytes(list(data["data"]))
        except (TypeError, ValueError) as error:
            raise ValueError("data: A Buffer holds a list of numbers from 0 to 255.") from error
    return data


# The shapes. Names in Python are those of the SDK's arguments. Of several bases, the last one's keys come first.


class _Name(Text):
    """What stands in the path of a call."""

    def check(self, value: Any) -> str:
        name = super().check(value)
        if not name.strip():
            raise ValidationError("Empty.")
        # The HTTP client of the SDK takes these for steps in the path, which then is that of another call.
        if name in {".", ".."}:
            raise ValidationError("Can not be '.' or '..'.")
        return name


class _Group(_Name):
    """The name of a group."""

    def check(self, value: Any) -> str:
        name = super().check(value)
        if len(name) > 1024:
            raise ValidationError("Longer than 1024 characters.")
        return name


class _UserSchema(AnswerSchema):
    user_id = _Name(data_key="userId", required=True)


class _ConnectionSchema(AnswerSchema):
    connection_id = _Name(data_key="connectionId", required=True)


class _GroupSchema(AnswerSchema):
    group = _Group(required=True)


class _MessageSchema(AnswerSchema):
    data = Anything(required=True)
    data_type = DataType(data_key="dataType", allow_none=True)


class _FilteredSchema(_MessageSchema):
    filter = Text(allow_none=True)


class _SendToAllSchema(_FilteredSchema):
    excluded = TextList(allow_none=True)


class _SendToGroupSchema(_SendToAllSchema, _GroupSchema):
    pass


class _SendToUserSchema(_FilteredSchema, _UserSchema):
    pass


class _SendToConnectionSchema(_MessageSchema, _ConnectionSchema):
    pass


class _UserInGroupSchema(_GroupSchema, _UserSchema):
    pass


class _ConnectionInGroupSchema(_GroupSchema, _ConnectionSchema):
    pass


class _CloseAllSchema(AnswerSchema):
    excluded = TextList(allow_none=True)
    reason = Text(allow_none=True)


class _CloseConnectionSchema(_ConnectionSchema):
    reason = Text(allow_none=True)


class _CloseGroupSchema(_CloseAllSchema, _GroupSchema):
    pass


class _PermissionSchema(_ConnectionSchema):
    permission = Code(WebPubSubPermission, required=True)
    target_name = Text(data_key="targetName", allow_none=True)


@dataclass(frozen=True)
class _Kind:
    """One of the actions: its class, its shape, and the method of the SDK that does it."""

    action: type[WebPubSubAction]
    schema: AnswerSchema
    method: str

    @property
    def name(self) -> str:
        """The ``actionName``."""
        name = self.action.__name__.removesuffix("Action")
        return name[0].lower() + name[1:]


_KINDS = [
    _Kind(SendToAllAction, _SendToAllSchema(), "send_to_all"),
    _Kind(SendToGroupAction, _SendToGroupSchema(), "send_to_group"),
    _Kind(SendToUserAction, _SendToUserSchema(), "send_to_user"),
    _Kind(SendToConnectionAction, _SendToConnectionSchema(), "send_to_connection"),
    _Kind(AddUserToGroupAction, _UserInGroupSchema(), "add_user_to_group"),
    _Kind(RemoveUserFromGroupAction, _UserInGroupSchema(), "remove_user_from_group"),
    _Kind(RemoveUserFromAllGroupsAction, _UserSchema(), "remove_user_from_all_groups"),
    _Kind(AddConnectionToGroupAction, _ConnectionInGroupSchema(), "add_connection_to_group"),
    _Kind(RemoveConnectionFromGroupAction, _ConnectionInGroupSchema(), "remove_connection_from_group"),
    _Kind(CloseAllConnectionsAction, _CloseAllSchema(), "close_all_connections"),
    _Kind(CloseClientConnectionAction, _CloseConnectionSchema(), "close_connection"),
    _Kind(CloseGroupConnectionsAction, _CloseGroupSchema(), "close_group_connections"),
    _Kind(GrantPermissionAction, _PermissionSchema(), "grant_permission"),
    _Kind(RevokePermissionAction, _PermissionSchema(), "revoke_permission"),
]
_BY_CLASS = {kind.action: kind for kind in _KINDS}
_BY_NAME = {kind.name.lower(): kind for kind in _KINDS}

_CONTENT_TYPES = {
    WebPubSubDataType.TEXT: "text/plain",
    WebPubSubDataType.JSON: "application/json",
    WebPubSubDataType.BINARY: "application/octet-stream",
}
