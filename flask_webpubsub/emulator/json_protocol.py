"""Clients that speak ``json.webpubsub.azure.v1``."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..enums import WebPubSubDataType
from ..wire_json import read_json, write_json
from .app_events import AppEvents
from .clients import CloseCode, ClosingError, Frame, SocketClient
from .hub import NO_METADATA, Connection, Message
from .names import verify_event, verify_group, verify_metadata
from .options import Options

logger = logging.getLogger("flask_webpubsub.emulator")

SUBPROTOCOL = "json.webpubsub.azure.v1"

MAX_TTL_SECONDS = 300
#: How deep a client's JSON may be nested, which leaves room for what is put around it.
MAX_DEPTH = 64
_MAX_ID = 2**64 - 1


# What a client may ask for.


class Join(NamedTuple):
    """To join a group."""

    group: str
    ack_id: int | None = None


class Leave(NamedTuple):
    """To leave a group."""

    group: str
    ack_id: int | None = None


class Publish(NamedTuple):
    """To send a message to a group, itself included unless ``no_echo``."""

    group: str
    data: Any
    data_type: WebPubSubDataType
    metadata: Mapping[str, str] = NO_METADATA
    no_echo: bool = False
    ack_id: int | None = None


class Event(NamedTuple):
    """To send an event to the app."""

    event: str
    data: Any
    data_type: WebPubSubDataType
    metadata: Mapping[str, str] = NO_METADATA
    ack_id: int | None = None


class SequenceAck(NamedTuple):
    """To be held to have all messages up to this one."""

    sequence_id: int


class Ping(NamedTuple):
    """To hear something."""


Request = Join | Leave | Publish | Event | SequenceAck | Ping


class JsonClient(SocketClient):
    """A client that speaks JSON: it asks for things, and is told what became of them if it wants to know."""

    def __init__(self, connection: Connection, app: AppEvents, options: Options) -> None:
        super().__init__(connection, app, options)
        # What was done is not done again, and a client that comes back may ask again.
        self._done: set[int] = set()

    def greeting(self) -> Frame | None:
        """Tell the client who it is."""
        return write_connected(self.connection)

    def farewell(self, reason: str) -> Frame | None:
        """Tell the client why it is closed."""
        return _write({"type": "system", "event": "disconnected", "message": reason})

    def encode(self, message: Message) -> Frame:
        """Write a message with all that is known about it."""
        return write_message(message)

    async def handle(self, frame: Frame) -> None:
        """Do what the client asks for, and acknowledge it."""
        if not isinstance(frame, str):
            raise ClosingError(CloseCode.WRONG_KIND, "The JSON subprotocol has text frames only.")
        try:
            request = read_request(frame)
        except ValueError as error:
            logger.warning("Connection %r sent %r: %s", self.connection.connection_id, frame[:200], error)
            raise ClosingError(CloseCode.INVALID_MESSAGE, f"No message of the JSON subprotocol: {error}") from error
        match request:
            case Ping():
                self.write(_write({"type": "pong"}))
            case SequenceAck():
                self.acknowledge(request.sequence_id)
            case _:
                await self._serve(request)

    def acknowledge(self, sequence_id: int) -> None:
        """The client has all messages up to this one, which only a reliable one says."""

    async def _serve(self, request: Join | Leave | Publish | Event) -> None:
        ack_id = request.ack_id
        if ack_id in self._done:
            self._refuse(ack_id, "Duplicate", f"Message with ack-id: {ack_id} has been processed")
            return
        match request:
            case Join() | Leave():
                accepted = self._change_group(request)
            case Publish():
                accepted = self._publish(request)
            case Event():
                accepted = await self._raise(request)
        if accepted and ack_id is not None:
            self._done.add(ack_id)
            self.write(_write({"type": "ack", "ackId": ack_id, "success": True}))

    def _change_group(self, request: Join | Leave) -> bool:
        connection = self.connection
        if not connection.permissions.can_join(request.group):
            action = "join" if isinstance(request, Join) else "leave"
            self._refuse(request.ack_id, "Forbidden", f"The client may not {action} group {request.group!r}.")
            return False
        if isinstance(request, Join):
            connection.hub.join(connection, request.group)
        else:
            connection.hub.leave(connection, request.group)
        return True

    def _publish(self, request: Publish) -> bool:
        if not self.connection.permissions.can_send(request.group):
            self._refuse(request.ack_id, "Forbidden", f"The client may not send to group {request.group!r}.")
            return False
        self.publish(
            request.group, request.data, request.data_type, echo=not request.no_echo, metadata=request.metadata
        )
        return True

    async def _raise(self, request: Event) -> bool:
        # The answer goes to the client before the acknowledgement.
        outcome = await self.raise_event(request.event, request.data, request.data_type, request.metadata)
        if outcome.failed or outcome.unhandled:
            # Why is in the log: it is nothing for the client to know.
            self._refuse(request.ack_id, "InternalServerError", "Internal server error")
            return False
        return True

    def _refuse(self, ack_id: int | None, name: str, message: str) -> None:
        logger.info("Connection %r was answered %s: %s", self.connection.connection_id, name, message)
        if ack_id is not None:
            error = {"name": name, "message": message}
            self.write(_write({"type": "ack", "ackId": ack_id, "success": False, "error": error}))


# What the service writes.


def write_connected(connection: Connection, reconnection_token: str | None = None) -> str:
    """The first frame that a client gets; with a token, it may come back."""
    frame = {
        "type": "system",
        "event": "connected",
        "userId": connection.user_id,
        "connectionId": connection.connection_id,
    }
    return _write(frame if reconnection_token is None else {**frame, "reconnectionToken": reconnection_token})


def write_message(message: Message, sequence_id: int | None = None) -> str:
    """A message from a group or from the app; those of a reliable client are numbered."""
    frame: dict[str, Any] = {"type": "message", "from": message.source}
    if sequence_id is not None:
        frame["sequenceId"] = sequence_id
    if message.source == "group":
        frame |= {"group": message.group, "fromUserId": message.from_user}
    is_binary = message.data_type is WebPubSubDataType.BINARY
    frame["dataType"] = message.data_type.value
    frame["data"] = base64.b64encode(message.data).decode("ascii") if is_binary else message.data
    if message.metadata:
        frame["metadata"] = dict(message.metadata)
    return _write(frame)


def _write(frame: Mapping[str, Any]) -> str:
    return write_json(frame).decode()


# What a client writes.


def read_request(text: str) -> Request:
    """Read a frame of a client.

    :raises ValueError: if it is none of this protocol.
    """
    frame = read_json(text)
    if not isinstance(frame, dict):
        raise ValueError("it is no JSON object.")
    _verify_depth(frame)
    kind = _read_text(frame, "type")
    read = _READERS.get(kind.lower())
    if read is None:
        raise ValueError(f"its type {kind[:100]!r} is not known here.")
    return read(frame)


def _read_join(frame: Mapping[str, Any]) -> Join:
    return Join(_read_group(frame), _read_id(frame, "ackId"))


def _read_leave(frame: Mapping[str, Any]) -> Leave:
    return Leave(_read_group(frame), _read_id(frame, "ackId"))


def _read_publish(frame: Mapping[str, Any]) -> Publish:
    no_echo = frame.get("noEcho") or False
    if not isinstance(no_echo, bool):
        raise ValueError("its noEcho is no boolean.")
    _verify_ttl(frame.get("ttlSeconds"))
    return Publish(_read_group(frame), *_read_data(frame), no_echo, _read_id(frame, "ackId"))


def _read_event(frame: Mapping[str, Any]) -> Event:
    event = _read_text(frame, "event")
    verify_event(event)
    return Event(event, *_read_data(frame), _read_id(frame, "ackId"))


def _read_sequence_ack(frame: Mapping[str, Any]) -> SequenceAck:
    sequence_id = _read_id(frame, "sequenceId")
    if sequence_id is None:
        raise ValueError("it has no sequenceId.")
    return SequenceAck(sequence_id)


# Previews of the service (invoke, streams, states of groups) are not built, and so not known.
_READERS: Mapping[str, Callable[[Mapping[str, Any]], Request]] = {
    "joingroup": _read_join,
    "leavegroup": _read_leave,
    "sendtogroup": _read_publish,
    "event": _read_event,
    "sequenceack": _read_sequence_ack,
    "ping": lambda frame: Ping(),
}


def _verify_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        items = (item for parent in level for item in (parent.values() if isinstance(parent, dict) else parent))
        level = [item for item in items if isinstance(item, dict | list)]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep.")


def _read_text(frame: Mapping[str, Any], name: str) -> str:
    value = frame.get(name)
    if not isinstance(value, str):
        raise ValueError(f"its {name} is no string, or not there.")
    return value


def _read_group(frame: Mapping[str, Any]) -> str:
    group = _read_text(frame, "group")
    verify_group(group)
    return group


def _read_id(frame: Mapping[str, Any], name: str) -> int | None:
    value = frame.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_ID:
        raise ValueError(f"its {name} is no integer from 0 to {_MAX_ID}.")
    return value


def _verify_ttl(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_TTL_SECONDS:
        raise ValueError(f"its ttlSeconds is no integer from 0 to {MAX_TTL_SECONDS}.")


def _read_data(frame: Mapping[str, Any]) -> tuple[Any, WebPubSubDataType, Mapping[str, str]]:
    metadata = _read_metadata(frame.get("metadata"))
    if "data" not in frame and metadata:
        return "", WebPubSubDataType.TEXT, metadata
    data = frame.get("data")
    if data is None:
        raise ValueError("it has no data.")
    data_type = WebPubSubDataType(_read_text({"dataType": "json", **frame}, "dataType"))
    if data_type is not WebPubSubDataType.JSON and not isinstance(data, str):
        raise ValueError(f"its data is no string, as {data_type.value} needs.")
    if data_type is WebPubSubDataType.BINARY:
        data = base64.b64decode(data, validate=True)
    return data, data_type, metadata


def _read_metadata(value: Any) -> Mapping[str, str]:
    if value is None:
        return NO_METADATA
    if not isinstance(value, dict):
        raise ValueError("its metadata is no object.")
    verify_metadata(value)
    return value
