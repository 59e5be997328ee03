"""Clients that speak ``json.reliable.webpubsub.azure.v1``: they may lose their network and miss nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from .app_events import AppEvents
from .clients import CloseCode, Frame, Socket
from .hub import Connection, Message
from .json_protocol import JsonClient, write_connected, write_message
from .options import Options

SUBPROTOCOL = "json.reliable.webpubsub.azure.v1"


class _Kept(NamedTuple):
    """A message that the client has not acknowledged."""

    sequence_id: int
    frame: str


class ReliableJsonClient(JsonClient):
    """A client whose messages are numbered, and kept until it has them.

    Without a socket it is away, for a while: the connection, its groups and its messages wait for it.

    :param make_token: makes the token that a connection is recovered with.
    """

    def __init__(
        self, connection: Connection, app: AppEvents, options: Options, make_token: Callable[[str], str]
    ) -> None:
        super().__init__(connection, app, options)
        self._make_token = make_token
        self._kept: deque[_Kept] = deque()
        self._kept_bytes = 0
        # Numbers go on after a recovery: a client drops what it thinks it has had.
        self._last_sequence_id = 0
        self._window: asyncio.TimerHandle | None = None

    def greeting(self) -> Frame | None:
        """Tell the client who it is, and how to come back."""
        return write_connected(self.connection, self._make_token(self.connection.connection_id))

    def send(self, message: Message) -> None:
        """Number a message and keep it; a client that is here gets it at once."""
        if not self.connection.hub.has(self.connection):
            return
        frame = write_message(message, self._last_sequence_id + 1)
        # Characters stand for bytes here: close enough for a limit that is there to save memory.
        if (
            len(self._kept) >= self.options.max_unacknowledged_messages
            or self._kept_bytes + len(frame) > self.options.max_unacknowledged_bytes
        ):
            self.drop(CloseCode.POLICY, "The client does not acknowledge its messages.", discard=True)
            return
        self._last_sequence_id += 1
        self._kept.append(_Kept(self._last_sequence_id, frame))
        self._kept_bytes += len(frame)
        self.write(frame)

    def acknowledge(self, sequence_id: int) -> None:
        """Forget the messages up to this one."""
        while self._kept and self._kept[0].sequence_id <= sequence_id:
            self._kept_bytes -= len(self._kept.popleft().frame)

    def recover(self, socket: Socket) -> None:
        """Go on with another socket: what the client may have missed comes before anything new."""
        self._close_window()
        old = self.socket
        self.start(socket)
        for kept in list(self._kept):
            self.write(kept.frame)
        if old is not None:
            old.abort()

    def away(self, reason: str | None, *, final: bool) -> None:
        """Wait for the client, unless it said goodbye."""
        if final:
            self.end(reason)
        elif self.connection.hub.has(self.connection):
            loop = asyncio.get_running_loop()
            self._window = loop.call_later(self.options.recovery_seconds, self.end, reason)

    def end(self, reason: str | None) -> None:
        """Forget what was kept; the client can not come back."""
        self._close_window()
        self._kept.clear()
        self._kept_bytes = 0
        super().end(reason)

    def _close_window(self) -> None:
        if self._window is not None:
            self._window.cancel()
            self._window = None
