"""What an app can ask the service to do: the actions of the Azure Functions output binding, by the same names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from .enums import WebPubSubDataType, WebPubSubPermission

__all__ = [
    "Action",
    "AddConnectionToGroupAction",
    "AddUserToGroupAction",
    "CloseAllConnectionsAction",
    "CloseClientConnectionAction",
    "CloseGroupConnectionsAction",
    "GrantPermissionAction",
    "RemoveConnectionFromGroupAction",
    "RemoveUserFromAllGroupsAction",
    "RemoveUserFromGroupAction",
    "RevokePermissionAction",
    "SendToAllAction",
    "SendToConnectionAction",
    "SendToGroupAction",
    "SendToUserAction",
    "WebPubSubAction",
    "WebPubSubPermission",
]


class WebPubSubAction:
    """The base of all actions. What they hold is checked when they are sent."""


#: An action, or the mapping that Azure Functions has for it: ``{"actionName": "sendToAll", "data": "hi", …}``.
Action = WebPubSubAction | Mapping[str, Any]


# Messages. Without a data type, a str is text, bytes are binary, and anything else is JSON.


@dataclass
class SendToAllAction(WebPubSubAction):
    """Sends a message to all clients of the hub, but those excluded and those that a filter leaves out.

    :param data_type: without it, a ``str`` is text, ``bytes`` are binary, and anything else is JSON. So it is for all
        messages.
    :param excluded: the ids of connections that do not get it.
    :param filter: an expression over ``userId``, ``connectionId`` and ``groups``, in OData's syntax.
    """

    data: Any
    data_type: WebPubSubDataType | str | None = None
    excluded: Collection[str] = field(default=(), kw_only=True)
    filter: str | None = field(default=None, kw_only=True)


@dataclass
class SendToGroupAction(WebPubSubAction):
    """Sends a message to the clients in a group; for the rest see :class:`SendToAllAction`."""

    group: str
    data: Any
    data_type: WebPubSubDataType | str | None = None
    excluded: Collection[str] = field(default=(), kw_only=True)
    filter: str | None = field(default=None, kw_only=True)


@dataclass
class SendToUserAction(WebPubSubAction):
    """Sends a message to all connections of a user, but those that a filter leaves out."""

    user_id: str
    data: Any
    data_type: WebPubSubDataType | str | None = None
    filter: str | None = field(default=None, kw_only=True)


@dataclass
class SendToConnectionAction(WebPubSubAction):
    """Sends a message to one client."""

    connection_id: str
    data: Any
    data_type: WebPubSubDataType | str | None = None


# Groups.


@dataclass
class AddUserToGroupAction(WebPubSubAction):
    """Puts all connections of a user into a group, those that come later as well."""

    user_id: str
    group: str


@dataclass
class RemoveUserFromGroupAction(WebPubSubAction):
    """Takes all connections of a user out of a group."""

    user_id: str
    group: str


@dataclass
class RemoveUserFromAllGroupsAction(WebPubSubAction):
    """Takes all connections of a user out of all their groups."""

    user_id: str


@dataclass
class AddConnectionToGroupAction(WebPubSubAction):
    """Puts a connection into a group."""

    connection_id: str
    group: str


@dataclass
class RemoveConnectionFromGroupAction(WebPubSubAction):
    """Takes a connection out of a group."""

    connection_id: str
    group: str


# Ends.


@dataclass
class CloseAllConnectionsAction(WebPubSubAction):
    """Closes all connections of the hub, but those excluded.

    :param reason: what the clients are told.
    """

    excluded: Collection[str] = field(default=(), kw_only=True)
    reason: str | None = field(default=None, kw_only=True)


@dataclass
class CloseClientConnectionAction(WebPubSubAction):
    """Closes a connection."""

    connection_id: str
    reason: str | None = None


@dataclass
class CloseGroupConnectionsAction(WebPubSubAction):
    """Closes the connections in a group, but those excluded."""

    group: str
    excluded: Collection[str] = field(default=(), kw_only=True)
    reason: str | None = field(default=None, kw_only=True)


# Permissions.


@dataclass
class GrantPermissionAction(WebPubSubAction):
    """Allows a connection to do something by itself.

    :param permission: ``"sendToGroup"`` or ``"joinLeaveGroup"``.
    :param target_name: the group that it is for; without it, all groups.
    """

    connection_id: str
    permission: WebPubSubPermission | str
    target_name: str | None = None


@dataclass
class RevokePermissionAction(WebPubSubAction):
    """Takes a permission from a connection."""

    connection_id: str
    permission: WebPubSubPermission | str
    target_name: str | None = None
