"""What all clients on a WebSocket have in common, whatever they speak."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Protocol

from ..enums import WebPubSubDataType
from ..responses import NOT_GIVEN, UserEventResponse
from .app_events import AppEvents
from .delivery import Outcome
from .hub import NO_METADATA, Connection, Message
from .options import Options

#: What goes over a WebSocket: text or bytes.
Frame = str | bytes

#: What a client is told when it is closed over REST without a reason.
DEFAULT_REASON = "Closed by REST API."


class CloseCode(IntEnum):
    """The codes that the service closes a WebSocket with."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    WRONG_KIND = 1003
    INVALID_MESSAGE = 1007
    POLICY = 1008
    TOO_BIG = 1009
    FAILED = 1011


class ClosingError(Exception):
    """Raised while a frame is handled, when its client is to be closed for it.

    :param reason: shown to the client.
    """

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Socket(Protocol):
    """One WebSocket, as the client protocols use it. Nothing here waits."""

    def write(self, frame: Frame) -> bool:
        """Send a frame after those before it; ``False`` if the client has left too many unread."""

    def close(self, code: int, reason: str, *, discard: bool = False) -> None:
        """Close after what is written, or at once without it."""

    def abort(self) -> None:
        """Break the network connection."""


class SocketClient(ABC):
    """A client on a WebSocket: the hub's way to it, and its way to the hub.

    Its frames are handled one at a time, while other clients and REST go on.

    :param app: is told what happens.
    """

    def __init__(self, connection: Connection, app: AppEvents, options: Options) -> None:
        self.connection = connection
        self.app = app
        self.options = options
        #: The socket it is on; ``None`` before the start, while it is away, and after the end.
        self.socket: Socket | None = None
        self._turn = asyncio.Lock()

    # What each client protocol says for itself.

    @abstractmethod
    async def handle(self, frame: Frame) -> None:
        """Do what a frame of the client asks for.

        :raises ClosingError: if the client is to be closed for it.
        """

    @abstractmethod
    def encode(self, message: Message) -> Frame:
        """Write a message as the client reads it."""

    def greeting(self) -> Frame | None:
        """What the client is told as soon as it is on a socket."""
        return None

    def farewell(self, reason: str) -> Frame | None:
        """What the client is told before the service closes its socket."""
        return None

    # Towards the socket.

    def start(self, socket: Socket) -> None:
        """Begin on a socket: the greeting comes before everything else."""
        self.socket = socket
        self.write(self.greeting())

    async def receive(self, socket: Socket, frame: Frame) -> None:
        """Handle a frame that came on a socket; one of a socket that the client has left is dropped."""
        async with self._turn:
            if self.socket is not socket:
                return
            try:
                await self.handle(frame)
            except ClosingError as error:
                self.drop(error.code, error.reason)

    def write(self, frame: Frame | None) -> None:
        """Send a frame, if there is one and the client is here to get it."""
        if frame is not None and self.socket is not None and not self.socket.write(frame):
            self.drop(CloseCode.POLICY, "The client does not read its messages.", discard=True)

    def detached(self, socket: Socket, reason: str | None, *, final: bool) -> None:
        """The socket is gone.

        :param final: whether the client said goodbye, or broke the rules: it will not come back.
        """
        if self.socket is socket:
            self.socket = None
            self.away(reason, final=final)

    def away(self, reason: str | None, *, final: bool) -> None:
        """The client has no socket any more."""
        self.end(reason)

    def drop(self, code: CloseCode, reason: str, *, discard: bool = False) -> None:
        """Close the client for what it did; the connection ends.

        :param discard: whether what is written and unread is thrown away.
        """
        socket, self.socket = self.socket, None
        if socket is not None:
            if not discard and (frame := self.farewell(reason)) is not None:
                socket.write(frame)
            socket.close(code, reason, discard=discard)
        self.end(reason)

    def end(self, reason: str | None) -> None:
        """The connection is over, for good."""
        hub = self.connection.hub
        if hub.has(self.connection):
            hub.remove(self.connection)
            self.app.disconnected(self.connection, reason)

    # Towards the hub.

    def send(self, message: Message) -> None:
        """Give the client a message."""
        self.write(self.encode(message))

    def close(self, reason: str | None) -> None:
        """End the connection from the service's side."""
        self.drop(CloseCode.NORMAL, reason or DEFAULT_REASON)

    def cut(self) -> None:
        """Break the network connection under the client."""
        if self.socket is not None:
            self.socket.abort()

    async def raise_event(
        self, event: str, data: Any, data_type: WebPubSubDataType, metadata: Mapping[str, str] = NO_METADATA
    ) -> Outcome:
        """Send a message of the client to the app, and its answer to the client."""
        outcome = await self.app.message(self.connection, event, data, data_type, metadata)
        response = outcome.response
        if isinstance(response, UserEventResponse) and not _is_empty(response):
            data_type = WebPubSubDataType(str(response.data_type))
            self.send(Message(response.data, data_type, "server", metadata=response.metadata))
        return outcome

    def publish(
        self, group: str, data: Any, data_type: WebPubSubDataType, *, echo: bool, metadata: Mapping[str, str]
    ) -> None:
        """Send a message of the client to a group."""
        members = self.connection.hub.in_group(group)
        if not echo:
            members = [member for member in members if member is not self.connection]
        message = Message(data, data_type, "group", group, self.connection.user_id, metadata)
        self.connection.hub.send(members, message)


def _is_empty(response: UserEventResponse) -> bool:
    """Whether an answer brings the client nothing. Without data, metadata alone make a message."""
    if response.data is NOT_GIVEN:
        return True
    return response.data_type is not WebPubSubDataType.JSON and not response.data and not response.metadata
