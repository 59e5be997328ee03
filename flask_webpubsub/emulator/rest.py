"""The REST interface: the operations by which an app's SDK reaches the clients of a hub.

Success has one exact status for each operation: the SDKs take any other for an error.
"""

from __future__ import annotations

import logging
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler

from .hub import Connection, Hubs, Message
from .names import InvalidNameError, verify_group, verify_hub
from .options import Options
from .rest_call import Call, Pick, RestError, bad_request
from .tokens import CLIENT_PATH, MQTT_PATH, TokenError, make_client_token, verify_rest_token

logger = logging.getLogger("flask_webpubsub.emulator")

#: The path of the interface.
PREFIX = "/api"
#: Below it, whether the service runs. Anybody may ask.
HEALTH = "/health"
#: How many connections one page of a list holds at most.
MAX_PAGE = 200

Operation = Callable[[Call], Awaitable[web.Response]]


def add_rest_routes(application: web.Application, hubs: Hubs, options: Options, keys: Sequence[str]) -> None:
    """Add the interface to an application, under :data:`PREFIX`.

    :param keys: the AccessKeys that may sign calls. The first signs the tokens of clients.
    """
    rest = Rest(hubs, options, keys)
    # An application of its own, so that all its errors are written in its own way.
    inner = web.Application(middlewares=[_Gate(keys).answer])
    inner.router.add_route("HEAD", HEALTH, _answer_health)
    for method, path, operation in rest.operations:
        inner.router.add_route(method, path, rest.make_handler(operation))
    application.add_subapp(PREFIX, inner)


class Rest:
    """The operations on hubs."""

    def __init__(self, hubs: Hubs, options: Options, keys: Sequence[str]) -> None:
        self._hubs = hubs
        self._options = options
        self._keys = keys

    @property
    def operations(self) -> list[tuple[str, str, Operation]]:
        """The method, the path and the function of each operation."""
        hub = "/hubs/{hub:[^/]+}"
        group, user = f"{hub}/groups/{{group:[^/]+}}", f"{hub}/users/{{user:[^/]+}}"
        connection = "connections/{connection:[^/]+}"
        permission = f"{hub}/permissions/{{permission:[^/]+}}/{connection}"
        return [
            ("POST", f"{hub}/:generateToken", self.generate_token),
            ("POST", f"{hub}/:send", self.send_to_all),
            ("POST", f"{hub}/:closeConnections", self.close_all),
            ("POST", f"{hub}/:addToGroups", self.add_to_groups),
            ("POST", f"{hub}/:removeFromGroups", self.remove_from_groups),
            ("HEAD", f"{hub}/{connection}", self.connection_exists),
            ("DELETE", f"{hub}/{connection}", self.close_connection),
            ("POST", f"{hub}/{connection}/:send", self.send_to_connection),
            ("DELETE", f"{hub}/{connection}/groups", self.remove_connection_from_all_groups),
            ("HEAD", group, self.group_exists),
            ("POST", f"{group}/:send", self.send_to_group),
            ("POST", f"{group}/:closeConnections", self.close_group),
            ("GET", f"{group}/connections", self.list_connections),
            ("PUT", f"{group}/{connection}", self.add_connection_to_group),
            ("DELETE", f"{group}/{connection}", self.remove_connection_from_group),
            ("HEAD", permission, self.has_permission),
            ("PUT", permission, self.grant_permission),
            ("DELETE", permission, self.revoke_permission),
            ("HEAD", user, self.user_exists),
            ("POST", f"{user}/:send", self.send_to_user),
            ("POST", f"{user}/:closeConnections", self.close_user),
            ("PUT", f"{user}/groups/{{group:[^/]+}}", self.add_user_to_group),
            ("DELETE", f"{user}/groups/{{group:[^/]+}}", self.remove_user_from_group),
            ("DELETE", f"{user}/groups", self.remove_user_from_all_groups),
        ]

    def make_handler(self, operation: Operation) -> Handler:
        """A function that answers requests with an operation."""

        async def handle(request: web.Request) -> web.Response:
            names = request.match_info
            try:
                verify_hub(names["hub"])
                if "group" in names:
                    verify_group(names["group"])
            except InvalidNameError as error:
                raise bad_request(str(error)) from error
            return await operation(Call(request, self._hubs.get(names["hub"]), self._options.max_message_bytes))

        return handle

    # The hub.

    async def generate_token(self, call: Call) -> web.Response:
        """A token for a client: 200."""
        client_type = (call.query("clientType") or "Default").lower()
        if client_type not in _CLIENT_PATHS:
            raise bad_request(f"There is no clientType {client_type!r}, but 'Default' and 'MQTT'.")
        minutes = call.query_integer("minutesToExpire", 1)
        token = make_client_token(
            self._keys[0],
            endpoint=f"{call.request.scheme}://{call.request.host}",
            hub=call.request.match_info["hub"],
            path=_CLIENT_PATHS[client_type],
            user_id=call.query("userId"),
            roles=call.query_list("role"),
            groups=call.query_groups("group"),
            minutes_to_expire=60 if minutes is None else minutes,
        )
        return web.json_response({"token": token})

    async def send_to_all(self, call: Call) -> web.Response:
        """A message for all connections: 202."""
        return await _send(call, "server", lambda: call.hub.connections.values())

    async def close_all(self, call: Call) -> web.Response:
        """Close all connections: 204."""
        return _close(call, call.hub.connections.values())

    async def add_to_groups(self, call: Call) -> web.Response:
        """Put the connections that a filter picks into groups: 200."""
        groups, pick = await call.read_groups()
        for connection in pick(call.hub.connections.values()):
            for group in groups:
                call.hub.join(connection, group)
        return web.Response()

    async def remove_from_groups(self, call: Call) -> web.Response:
        """Take the connections that a filter picks out of groups: 200."""
        groups, pick = await call.read_groups()
        for connection in pick(call.hub.connections.values()):
            for group in groups:
                call.hub.leave(connection, group)
        return web.Response()

    # A connection.

    async def connection_exists(self, call: Call) -> web.Response:
        """Whether a connection exists: 200 or 404."""
        call.find_connection()
        return web.Response()

    async def close_connection(self, call: Call) -> web.Response:
        """Close a connection, whether it exists or not: 204."""
        return _close(call, _existing(call))

    async def send_to_connection(self, call: Call) -> web.Response:
        """A message for a connection, whether it exists or not: 202."""
        return await _send(call, "server", lambda: _existing(call), filtered=False)

    async def remove_connection_from_all_groups(self, call: Call) -> web.Response:
        """Take a connection, whether it exists or not, out of its groups: 204."""
        for connection in _existing(call):
            call.hub.leave_all(connection)
        return web.Response(status=204)

    # A group.

    async def group_exists(self, call: Call) -> web.Response:
        """Whether a group has connections: 200 or 404."""
        return _found(call.hub.in_group(call.group), f"The group {call.group!r} has no connections.")

    async def send_to_group(self, call: Call) -> web.Response:
        """A message for a group, whether it exists or not: 202."""
        group = call.group
        return await _send(call, "group", lambda: call.hub.in_group(group), group)

    async def close_group(self, call: Call) -> web.Response:
        """Close the connections of a group: 204."""
        return _close(call, call.hub.in_group(call.group))

    async def list_connections(self, call: Call) -> web.Response:
        """The connections of a group, by pages: 200."""
        size = call.query_integer("maxpagesize", 1, MAX_PAGE) or MAX_PAGE
        top = call.query_integer("top", 1)
        after = _read_continuation(call.query("continuationToken"))
        members = sorted(call.hub.in_group(call.group), key=lambda member: member.connection_id)
        rest = [member for member in members if member.connection_id > after]
        page = rest[: size if top is None else min(size, top)]
        answer: dict[str, object] = {"value": [_describe(member) for member in page]}
        left = None if top is None else top - len(page)
        if len(rest) > len(page) and left != 0:
            query = {"maxpagesize": size, "continuationToken": _make_continuation(page[-1])}
            answer["nextLink"] = _link(call.request, query if left is None else {**query, "top": left})
        return web.json_response(answer)

    async def add_connection_to_group(self, call: Call) -> web.Response:
        """Put a connection into a group: 200, or 404 if it does not exist."""
        call.hub.join(call.find_connection(), call.group)
        return web.Response()

    async def remove_connection_from_group(self, call: Call) -> web.Response:
        """Take a connection, whether it exists or not, out of a group: 204."""
        for connection in _existing(call):
            call.hub.leave(connection, call.group)
        return web.Response(status=204)

    # The permissions of a connection.

    async def has_permission(self, call: Call) -> web.Response:
        """Whether a connection has a permission: 200 or 404."""
        permission, target = call.permission, call.target
        return _found(call.find_connection().permissions.has(permission, target), "The connection lacks it.")

    async def grant_permission(self, call: Call) -> web.Response:
        """Give a connection a permission: 200, or 404 if it does not exist."""
        permission, target = call.permission, call.target
        call.find_connection().permissions.grant(permission, target)
        return web.Response()

    async def revoke_permission(self, call: Call) -> web.Response:
        """Take a permission from a connection: 204, or 404 if it does not exist."""
        permission, target = call.permission, call.target
        call.find_connection().permissions.revoke(permission, target)
        return web.Response(status=204)

    # A user.

    async def user_exists(self, call: Call) -> web.Response:
        """Whether a user has connections: 200 or 404."""
        return _found(call.hub.of_user(call.user_id), f"The user {call.user_id!r} has no connections.")

    async def send_to_user(self, call: Call) -> web.Response:
        """A message for a user, whether connected or not: 202."""
        return await _send(call, "server", lambda: call.hub.of_user(call.user_id))

    async def close_user(self, call: Call) -> web.Response:
        """Close the connections of a user: 204."""
        return _close(call, call.hub.of_user(call.user_id))

    async def add_user_to_group(self, call: Call) -> web.Response:
        """Put the connections of a user into a group: 200, or 404 if there are none."""
        group, connections = call.group, call.hub.of_user(call.user_id)
        for connection in connections:
            call.hub.join(connection, group)
        return _found(connections, f"The user {call.user_id!r} has no connections.")

    async def remove_user_from_group(self, call: Call) -> web.Response:
        """Take the connections of a user out of a group: 204."""
        group = call.group
        for connection in call.hub.of_user(call.user_id):
            call.hub.leave(connection, group)
        return web.Response(status=204)

    async def remove_user_from_all_groups(self, call: Call) -> web.Response:
        """Take the connections of a user out of all groups: 204."""
        for connection in call.hub.of_user(call.user_id):
            call.hub.leave_all(connection)
        return web.Response(status=204)


class _Gate:
    """Lets in whoever brings a token for the call, and writes errors as the service does."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.match_info.http_exception is None and request.path != PREFIX + HEALTH:
                self._verify_token(request)
            return await handler(request)
        except RestError as error:
            return _answer_error(request, error)
        except web.HTTPException as error:
            phrase = HTTPStatus(error.status).phrase
            return _answer_error(request, RestError(error.status, phrase.replace(" ", ""), f"{phrase}."))

    def _verify_token(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise TokenError("The call has no header 'Authorization: Bearer …'.")
            verify_rest_token(token.strip(), keys=self._keys, url=request.path_qs)
        except TokenError as error:
            raise RestError(401, "Unauthorized", str(error)) from error


_CLIENT_PATHS = {"default": CLIENT_PATH, "mqtt": MQTT_PATH}


async def _answer_health(request: web.Request) -> web.Response:
    return web.Response()


def _answer_error(request: web.Request, error: RestError) -> web.Response:
    if error.status != HTTPStatus.NOT_FOUND:
        logger.warning("REST: %s %r is refused with %d: %s", request.method, request.path, error.status, error)
    headers = {"x-ms-error-code": error.code}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response({"code": error.code, "message": error.message}, status=error.status, headers=headers)


async def _send(
    call: Call,
    source: Literal["group", "server"],
    find: Callable[[], Iterable[Connection]],
    group: str | None = None,
    *,
    filtered: bool = True,
) -> web.Response:
    pick: Pick = call.read_pick() if filtered else list
    data, data_type, metadata = await call.read_data()
    # Only now: while the body came in, connections may have come and gone.
    call.hub.send(pick(find()), Message(data, data_type, source, group, metadata=metadata))
    return web.Response(status=202)


def _close(call: Call, connections: Iterable[Connection]) -> web.Response:
    unwanted = set(call.query_list("excluded"))
    for connection in list(connections):
        if connection.connection_id not in unwanted:
            connection.close(call.reason)
    return web.Response(status=204)


def _existing(call: Call) -> list[Connection]:
    connection = call.hub.connections.get(call.connection_id)
    return [] if connection is None else [connection]


def _found(there: object, message: str) -> web.Response:
    if not there:
        raise RestError(404, "NotFound", message)
    return web.Response()


def _describe(connection: Connection) -> dict[str, str]:
    user = {} if connection.user_id is None else {"userId": connection.user_id}
    return {"connectionId": connection.connection_id, **user}


def _make_continuation(last: Connection) -> str:
    return urlsafe_b64encode(last.connection_id.encode()).decode()


def _read_continuation(token: str | None) -> str:
    try:
        return b64decode(token or "", altchars="-_", validate=True).decode()
    except ValueError as error:
        raise bad_request("The continuationToken is none that this service made.") from error


def _link(request: web.Request, query: dict[str, object]) -> str:
    return f"{request.scheme}://{request.host}{request.rel_url.raw_path}?{urlencode(query)}"
