"""Actions: their forms, and what is wrong with them, which is said before anything is sent."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from flask import Flask

from flask_webpubsub import ConfigurationError, WebPubSub, actions
from flask_webpubsub.actions import (
    AddUserToGroupAction,
    CloseAllConnectionsAction,
    GrantPermissionAction,
    SendToAllAction,
    SendToConnectionAction,
    SendToUserAction,
    WebPubSubAction,
    WebPubSubPermission,
)
from flask_webpubsub.operations import Operation, make_operations
from flask_webpubsub.wire_json import write_json

TEXT = {"data": "hi", "dataType": "text"}
USER, CONNECTION, GROUP = {"userId": "u"}, {"connectionId": "c"}, {"group": "g"}
PERMISSION = {**CONNECTION, "permission": "sendToGroup"}

#: Every action of the binding: what it must have, and what it may have.
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sendToAll": ({"data": "hi"}, {"dataType": "text", "excluded": ["c"], "filter": "userId ne null"}),
    "sendToGroup": ({**GROUP, "data": "hi"}, {"dataType": "text", "excluded": ["c"], "filter": "userId ne null"}),
    "sendToUser": ({**USER, "data": "hi"}, {"dataType": "text", "filter": "userId ne null"}),
    "sendToConnection": ({**CONNECTION, "data": "hi"}, {"dataType": "text"}),
    "addUserToGroup": ({**USER, **GROUP}, {}),
    "removeUserFromGroup": ({**USER, **GROUP}, {}),
    "removeUserFromAllGroups": (USER, {}),
    "addConnectionToGroup": ({**CONNECTION, **GROUP}, {}),
    "removeConnectionFromGroup": ({**CONNECTION, **GROUP}, {}),
    "closeAllConnections": ({}, {"excluded": ["c"], "reason": "r"}),
    "closeClientConnection": (CONNECTION, {"reason": "r"}),
    "closeGroupConnections": (GROUP, {"excluded": ["c"], "reason": "r"}),
    "grantPermission": (PERMISSION, {"targetName": "g"}),
    "revokePermission": (PERMISSION, {"targetName": "g"}),
}
FULL = {name: {**required, **optional} for name, (required, optional) in SHAPES.items()}


def make(*given: Any) -> list[Operation]:
    """What is called for a list of actions."""
    return make_operations(given, write_json)


def snake(key: str) -> str:
    return re.sub("[A-Z]", lambda match: f"_{match[0].lower()}", key)


def action_class(name: str) -> type[WebPubSubAction]:
    found: type[WebPubSubAction] = getattr(actions, f"{name[0].upper()}{name[1:]}Action")
    return found


def test_the_actions_are_the_fourteen_of_azure() -> None:
    classes = {name for name in actions.__all__ if name.endswith("Action")} - {"Action", "WebPubSubAction"}
    assert len(SHAPES) == 14
    assert classes == {action_class(name).__name__ for name in SHAPES}


# Forms.


@pytest.mark.parametrize("name", SHAPES)
def test_a_class_and_a_mapping_come_to_the_same_call(name: str) -> None:
    required, optional = SHAPES[name]
    for keys in (required, {**required, **optional}):
        typed: Any = action_class(name)(**{snake(key): value for key, value in keys.items()})
        (from_class,), (from_mapping,) = make(typed), make({"actionName": name, **keys})
        given = {key: value for key, value in from_class.arguments.items() if value != []}
        assert given == from_mapping.arguments
        assert from_class.method == from_mapping.method


@pytest.mark.parametrize("spell", [str, str.lower, str.upper, snake, lambda key: snake(key).upper()])
@pytest.mark.parametrize("name", SHAPES)
def test_names_and_keys_may_be_spelt_in_any_case_and_with_underscores(name: str, spell: Any) -> None:
    keys = {spell(key): value for key, value in FULL[name].items()}
    spelt = {spell("actionName"): name.upper(), **keys}
    assert make(spelt) == make({"actionName": name, **FULL[name]})


@pytest.mark.parametrize("name", SHAPES)
def test_the_sdk_has_the_method_and_takes_the_arguments(name: str) -> None:
    from azure.messaging.webpubsubservice import WebPubSubServiceClient

    class Sent(Exception):  # noqa: N818
        """Raised instead of sending."""

    def stop(*args: Any, **kwargs: Any) -> None:
        raise Sent

    client: Any = WebPubSubServiceClient.from_connection_string(
        "Endpoint=http://localhost;AccessKey=a-key-of-32-bytes-and-then-some-more;", "chat"
    )
    with client:
        client._client._pipeline.run = stop
        (operation,) = make({"actionName": name, **FULL[name]})
        with pytest.raises(Sent):
            getattr(client, operation.method)(**operation.arguments)


def test_one_action_may_be_given_alone_and_several_in_any_iterable() -> None:
    one = SendToAllAction("hi")
    for given in (one, {"actionName": "sendToAll", "data": "hi"}, [one], (one,), iter([one])):
        assert [operation.arguments["message"] for operation in make_operations(given, write_json)] == [b"hi"]
    assert make_operations([], write_json) == []


def test_positions_are_those_of_azures_own_functions() -> None:
    assert make(SendToUserAction("u", {"a": 1}, "json"))[0].arguments == {
        "user_id": "u",
        "message": {"a": 1},
        "content_type": "application/json",
    }
    assert make(AddUserToGroupAction("u", "g"))[0].arguments == {"user_id": "u", "group": "g"}
    assert make(GrantPermissionAction("c", WebPubSubPermission.JOIN_LEAVE_GROUP, "g"))[0].arguments == {
        "connection_id": "c",
        "permission": "joinLeaveGroup",
        "target_name": "g",
    }


# What is wrong.


@pytest.mark.parametrize("form", ["class", "mapping"])
@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, (required, _) in SHAPES.items() for key in required], ids=str
)
def test_what_is_missing_is_named(name: str, key: str, form: str) -> None:
    keys = dict(FULL[name])
    del keys[key]
    if form == "class":
        typed: Any = action_class(name)(**{snake(other): value for other, value in FULL[name].items()})
        setattr(typed, snake(key), None)
        wrong = typed
    else:
        wrong = {"actionName": name, **keys}
    with pytest.raises(ValueError, match=rf"^actions\[1\], {name}: {key}: Missing data.* may have these keys: .*{key}"):
        make(CloseAllConnectionsAction(), wrong)


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_unknown_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^actions\[0\], {name}: messageTtl: Unknown field"):
        make({"actionName": name, **FULL[name], "messageTtl": 3})


@pytest.mark.parametrize(
    ("name", "key"),
    [(name, key) for name, keys in FULL.items() for key in keys if key not in {"data"}],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_named(name: str, key: str) -> None:
    with pytest.raises(ValueError, match=rf"^actions\[0\], {name}: {key}: "):
        make({"actionName": name, **FULL[name], key: 5})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"group": ""}, "group: Empty."),
        ({"group": " \t"}, "group: Empty."),
        ({"group": "g" * 1025}, "group: Longer than 1024 characters."),
        ({"group": ".."}, "group: Can not be '.' or '..'."),
        ({"group": "a\ud800"}, "group: Not text that UTF-8 can hold."),
        ({"excluded": ["c", "\ud800"]}, "excluded: Not text that UTF-8 can hold."),
        ({"filter": "\ud800"}, "filter: Not text that UTF-8 can hold."),
        ({"group": None}, "group: Field may not be null."),
        ({"Group": "h"}, "group: Given twice, in different spellings."),
        ({"excluded": "c"}, "excluded: Not a list of strings."),
        ({"excluded": [1]}, "excluded: Not a list of strings."),
        ({"dataType": "xml"}, "dataType: Neither 'text', 'json' nor 'binary'."),
        ({"data": None}, "data: Field may not be null."),
        ({"data": {"a": 1}, "dataType": "text"}, "a dict is no text data."),
        ({"data": 5, "dataType": "binary"}, "a int is no binary data."),
        ({"data": "\ud800", "dataType": "text"}, "surrogates not allowed"),
        ({"data": float("nan"), "dataType": "json"}, "A value has no JSON form."),
        ({"data": object(), "dataType": "json"}, "Object of type object is not JSON serializable."),
        ({"data": b"{", "dataType": "json"}, "Expecting property name"),
        ({"data": "null", "dataType": "json"}, "data: The service takes no null."),
        ({"data": {"type": "Buffer"}, "dataType": "binary"}, 'data: Binary data is bytes, or {"type": "Buffer"'),
        ({"data": {"type": "buffer", "data": []}, "dataType": "binary"}, "data: Binary data is bytes"),
        ({"data": {"type": "Buffer", "data": [256]}, "dataType": "binary"}, "data: A Buffer holds a list of numbers"),
        ({"data": {"type": "Buffer", "data": "hi"}, "dataType": "binary"}, "data: A Buffer holds a list of numbers"),
        ({"data": {"type": "Buffer", "data": 3}, "dataType": "binary"}, "data: A Buffer holds a list of numbers"),
    ],
    ids=lambda value: ascii(value)[:50] if isinstance(value, dict) else None,
)
def test_a_value_that_can_not_be_is_an_error_that_says_why(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape('actions[0], sendToGroup: ')}.*{re.escape(message)}"):
        make({"actionName": "sendToGroup", "group": "g", "data": "hi", **keys})


@pytest.mark.parametrize("name", ["closeUserConnections", "", "send to all", "sendToAllAction"])
def test_an_unknown_action_is_named_beside_those_that_there_are(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^actions\[0\] has the actionName '{name}'. There are sendToAll, .*grant"):
        make({"actionName": name, **TEXT})


@pytest.mark.parametrize(
    "wrong",
    [
        TEXT,
        {"actionName": None},
        {"actionName": 1},
        {"actionName": "sendToAll", "action_name": "sendToAll"},
        {},
        {1: 2},
    ],
    ids=repr,
)
def test_a_mapping_needs_one_action_name(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^actions\[0\] needs one actionName, which is a string.$"):
        make(wrong)


@dataclasses.dataclass
class OwnAction(WebPubSubAction):
    """An action that the service does not have."""


@pytest.mark.parametrize("wrong", ["sendToAll", b"hi", 5, None, SendToAllAction, OwnAction()], ids=repr)
def test_what_is_no_action_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match=rf"^actions\[1\] is a {type(wrong).__name__}, which is no action.$"):
        make(SendToAllAction("hi"), wrong)


# From the extension.


def test_what_is_wrong_is_said_before_the_service_is_looked_for(app: Flask) -> None:
    app.config["WEBPUBSUB_HUB"] = None
    wps = WebPubSub(app)
    with pytest.raises(ValueError, match=r"^actions\[0\], sendToConnection: connectionId: Empty"):
        wps.send_actions(SendToConnectionAction("", "hi"))
    with pytest.raises(ConfigurationError, match="needs a hub"):
        wps.send_actions(SendToConnectionAction("c", "hi"))


def test_no_actions_need_no_service(app: Flask) -> None:
    app.config["WEBPUBSUB_HUB"] = None
    wps = WebPubSub(app)
    nothing: Iterable[WebPubSubAction] = []
    wps.send_actions(nothing)


def test_without_the_extra_the_error_says_what_to_install(wps: WebPubSub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "flask_webpubsub.service", raising=False)
    monkeypatch.setitem(sys.modules, "azure.messaging.webpubsubservice", None)
    with pytest.raises(ImportError, match=r"pip install 'flask-webpubsub\[service\]'"):
        wps.send_actions(SendToAllAction("hi"))


def test_an_app_that_sends_nothing_does_not_import_the_actions() -> None:
    program = "import sys, flask_webpubsub; print('flask_webpubsub.actions' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
