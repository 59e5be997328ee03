"""One call of the REST interface: its parameters and its body, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from ..enums import WebPubSubDataType
from ..messages import media_type
from ..properties import decode_metadata
from ..wire_json import read_json
from .filters import Filter, FilterError, parse
from .hub import Connection, Hub
from .names import InvalidNameError, verify_group, verify_metadata
from .permissions import Permission

#: How long a message may wait for its client, in seconds.
MAX_TTL = 300

_MAX_INTEGER = 2**31 - 1
_DATA_TYPES = {
    "text/plain": WebPubSubDataType.TEXT,
    "application/json": WebPubSubDataType.JSON,
    "application/octet-stream": WebPubSubDataType.BINARY,
    "": WebPubSubDataType.BINARY,
}

#: Picks those of some connections that a call is about.
Pick = Callable[[Iterable[Connection]], list[Connection]]


class RestError(Exception):
    """Raised when a call is answered with an error.

    :param code: a name for programs, in the body and in the header ``x-ms-error-code``.
    :param message: a sentence for people.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Call:
    """A call of an operation on a hub. Its token and the names of the hub and of a group in its path were checked.

    :param max_body_bytes: how large its body may be.
    """

    def __init__(self, request: web.Request, hub: Hub, max_body_bytes: int) -> None:
        self.request = request
        self.hub = hub
        self._max_body_bytes = max_body_bytes

    # What the path names. aiohttp has undone the percent-encoding, once.

    @property
    def group(self) -> str:
        """The group; it may have no connections."""
        return self.request.match_info["group"]

    @property
    def user_id(self) -> str:
        """The user."""
        return self.request.match_info["user"]

    @property
    def connection_id(self) -> str:
        """The id of a connection, which may not exist."""
        return self.request.match_info["connection"]

    def find_connection(self) -> Connection:
        """The connection.

        :raises RestError: if it does not exist.
        """
        connection = self.hub.connections.get(self.connection_id)
        if connection is None:
            raise RestError(404, "NotFound", f"There is no connection {self.connection_id!r}.")
        return connection

    @property
    def permission(self) -> Permission:
        """The permission.

        :raises RestError: if there is none of that name.
        """
        name = self.request.match_info["permission"]
        try:
            return Permission(name)
        except ValueError:
            raise bad_request(f"There is no permission {name!r}, but {_listed(Permission)}.") from None

    # What the query says.

    @property
    def target(self) -> str | None:
        """The group that a permission is for; ``None`` means all."""
        name = self.query("targetName")
        return None if name is None else _verify_group(name)

    @property
    def reason(self) -> str | None:
        """Why connections are closed."""
        return self.query("reason")

    def query(self, name: str) -> str | None:
        """A parameter of the query; ``None`` if it is absent or empty."""
        return self.request.query.get(name) or None

    def query_list(self, name: str) -> list[str]:
        """A parameter that may come several times."""
        return list(self.request.query.getall(name, []))

    def query_groups(self, name: str) -> list[str]:
        """Names of groups.

        :raises RestError: if no group can have one of the names.
        """
        return [_verify_group(group) for group in self.query_list(name)]

    def query_integer(self, name: str, least: int, most: int = _MAX_INTEGER) -> int | None:
        """A number; ``None`` if it is absent.

        :raises RestError: if it is no integer in the range.
        """
        text = self.request.query.get(name)
        if text is None:
            return None
        if not text.isascii() or not text.isdigit() or not least <= int(text[:11]) <= most:
            raise bad_request(f"{name} is {text[:32]!r}, no integer from {least} to {most}.")
        return int(text)

    def read_pick(self) -> Pick:
        """Which connections the call is about, by ``excluded`` and ``filter``.

        :raises RestError: if the filter can not be read.
        """
        return make_pick(self.query("filter"), self.query_list("excluded"))

    # What the body says.

    async def read_data(self) -> tuple[Any, WebPubSubDataType, dict[str, str]]:
        """The data of a message, its type, and its metadata.

        :raises RestError: if there is no message in the call.
        """
        self.query_integer("messageTtlSeconds", 0, MAX_TTL)
        data_type = _DATA_TYPES.get(media_type(self.request.headers.get("Content-Type")))
        if data_type is None:
            raise self._unsupported(_listed(filter(None, _DATA_TYPES)))
        metadata = decode_metadata(self.request.headers.items())
        try:
            verify_metadata(metadata)
        except InvalidNameError as error:
            raise bad_request(str(error)) from error
        body = await self._read_body()
        if data_type is WebPubSubDataType.BINARY:
            return body, data_type, metadata
        text = self._decode(body)
        return (text if data_type is WebPubSubDataType.TEXT else _read_json(text)), data_type, metadata

    async def read_groups(self) -> tuple[list[str], Pick]:
        """The groups of a change of many connections at once, and the connections it is about.

        :raises RestError: if the call does not say so.
        """
        if media_type(self.request.headers.get("Content-Type")) != "application/json":
            raise self._unsupported("'application/json'")
        value = _read_json(self._decode(await self._read_body()))
        groups, text = (value.get("groups"), value.get("filter")) if isinstance(value, dict) else (None, None)
        if not isinstance(groups, list) or not groups:
            raise bad_request('The body is no JSON object {"groups": ["…"], "filter": "…"} with at least one group.')
        if not isinstance(text, str | None):
            raise bad_request("The filter is no string.")
        return [_verify_group(group) for group in groups], make_pick(text or None)

    async def _read_body(self) -> bytes:
        if self.request.content_length is None:
            raise bad_request("The call has no Content-Length.")
        body, size, limit = bytearray(), 0, self._max_body_bytes
        try:
            # Read to its end even if it is too large: many clients only then look at the answer.
            async for chunk in self.request.content.iter_any():
                size += len(chunk)
                if size <= limit:
                    body += chunk
        except web.RequestPayloadError as error:
            raise bad_request("The body ended too early.") from error
        if size > limit:
            raise bad_request(f"The body has more than {limit} bytes.")
        return bytes(body)

    def _decode(self, body: bytes) -> str:
        charset = self.request.charset or "utf-8"
        try:
            return body.decode(charset)
        except LookupError as error:
            raise RestError(415, "UnsupportedMediaType", f"There is no charset {charset!r}.") from error
        except ValueError as error:
            raise bad_request(f"The body is no text in {charset!r}.") from error

    def _unsupported(self, supported: str) -> RestError:
        found = self.request.headers.get("Content-Type")
        return RestError(415, "UnsupportedMediaType", f"The Content-Type is {found!r}: use {supported}.")


def bad_request(message: str) -> RestError:
    """The error for a call that can not be right."""
    return RestError(400, "BadRequest", message)


def make_pick(text: str | None, excluded: Iterable[str] = ()) -> Pick:
    """A function that picks connections.

    :param text: a filter.
    :param excluded: ids of connections that are not picked.
    :raises RestError: if the filter can not be read.
    """
    try:
        wanted: Filter | None = None if text is None else parse(text)
    except FilterError as error:
        raise bad_request(str(error)) from error
    unwanted = set(excluded)

    def pick(connections: Iterable[Connection]) -> list[Connection]:
        return [
            connection
            for connection in connections
            if connection.connection_id not in unwanted and (wanted is None or _matches(wanted, connection))
        ]

    return pick


def _matches(wanted: Filter, connection: Connection) -> bool:
    return wanted.matches(connection.user_id, connection.connection_id, connection.groups, connection.subprotocol)


def _verify_group(name: Any) -> str:
    try:
        verify_group(name)
    except InvalidNameError as error:
        raise bad_request(str(error)) from error
    return str(name)


def _read_json(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise bad_request("The body is no JSON.") from error


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(str(name)) for name in names)
