"""One WebSocket: the frames of a client in, one after the other, and those for it out, without waiting for it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import NamedTuple

from aiohttp import WebSocketError, WSMsgType, web

from .clients import CloseCode, Frame, SocketClient
from .options import Options

logger = logging.getLogger("flask_webpubsub.emulator")

#: How many frames of a client are read ahead while one of them is handled.
READ_AHEAD = 16
#: How long the reason of a close frame may be, in bytes.
MAX_REASON_BYTES = 123

_LOST = "The connection was lost."
_SILENT = "The client did not answer a ping."


class Ending(NamedTuple):
    """How a socket ended.

    :param final: whether the client will not come back: it said goodbye, or broke the rules.
    """

    reason: str | None
    final: bool


class WebSocket:
    """A client's socket, from its opening on.

    :param request: the handshake.
    :param subprotocol: the one that was chosen; the client hears its name.
    """

    def __init__(self, request: web.Request, subprotocol: str | None, options: Options) -> None:
        self._request = request
        self._options = options
        self._response = web.WebSocketResponse(
            timeout=options.closing_seconds,
            heartbeat=options.ping_seconds,
            protocols=(subprotocol,) if subprotocol else (),
            compress=False,
            # A frame of just this size is refused there.
            max_msg_size=options.max_message_bytes + 1,
        )
        if subprotocol:
            # A client may offer in several headers, of which only the first is looked at there.
            self._response.headers["Sec-WebSocket-Protocol"] = subprotocol
        self._waiting: deque[Frame] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._closing: tuple[int, bytes] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Answer the handshake.

        :raises ConnectionError: if the client has gone.
        """
        await self._response.prepare(self._request)

    async def refuse(self, code: int, reason: str) -> web.StreamResponse:
        """Close a socket that was only opened to say so."""
        await self._response.close(code=code, message=_trim(reason))
        return self._response

    def write(self, frame: Frame) -> bool:
        """Send a frame after those before it; ``False`` if the client has left too many unread."""
        if self._closing is not None:
            return True
        if self._waiting_bytes + len(frame) > self._options.max_waiting_bytes:
            return False
        self._waiting.append(frame)
        self._waiting_bytes += len(frame)
        self._changed.set()
        return True

    def close(self, code: int, reason: str, *, discard: bool = False) -> None:
        """Close after what is written, or at once without it. A client that does not read it is cut off."""
        if self._closing is not None:
            return
        if discard:
            self._waiting.clear()
        self._closing = (code, _trim(reason))
        self._changed.set()
        self._deadline = asyncio.get_running_loop().call_later(self._options.closing_seconds, self.abort)

    def abort(self) -> None:
        """Break the network connection."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def serve(self, client: SocketClient) -> web.StreamResponse:
        """Carry frames between the client and its protocol until the socket has ended."""
        frames: asyncio.Queue[Frame | None] = asyncio.Queue(READ_AHEAD)
        worker = asyncio.create_task(self._handle_all(client, frames))
        writer = asyncio.create_task(self._write_all())
        ending = Ending(_LOST, False)
        try:
            ending = await self._read_all(frames)
            # What came before the end is handled before it.
            await frames.put(None)
            await worker
            if self._closing is not None:
                await writer
        finally:
            client.detached(self, ending.reason, final=ending.final)
            worker.cancel()
            writer.cancel()
            if self._deadline is not None:
                self._deadline.cancel()
        return self._response

    async def _read_all(self, frames: asyncio.Queue[Frame | None]) -> Ending:
        while True:
            message = await self._response.receive()
            match message.type:
                case WSMsgType.TEXT:
                    await frames.put(message.data)
                case WSMsgType.BINARY:
                    await frames.put(bytes(message.data))
                case WSMsgType.CLOSE:
                    return Ending(message.extra or None, message.data == CloseCode.NORMAL)
                case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
                    return Ending(f"The client broke the WebSocket protocol: {message.data}", True)
                case _:
                    silent = isinstance(self._response.exception(), TimeoutError)
                    return Ending(_SILENT if silent else _LOST, False)

    async def _handle_all(self, client: SocketClient, frames: asyncio.Queue[Frame | None]) -> None:
        while (frame := await frames.get()) is not None:
            try:
                await client.receive(self, frame)
            except Exception:
                # A fault of the emulator itself ends the connection that met it, and no other.
                logger.exception("A frame of connection %r could not be handled.", client.connection.connection_id)
                client.drop(CloseCode.FAILED, "Internal server error")

    async def _write_all(self) -> None:
        try:
            while True:
                while self._waiting:
                    frame = self._waiting.popleft()
                    if isinstance(frame, str):
                        await self._response.send_str(frame)
                    else:
                        await self._response.send_bytes(frame)
                    self._waiting_bytes -= len(frame)
                if self._closing is not None:
                    code, reason = self._closing
                    await self._response.close(code=code, message=reason)
                    return
                self._changed.clear()
                await self._changed.wait()
        except ConnectionError:
            # The reader sees the end too, and says what it means.
            self.abort()


def _trim(reason: str) -> bytes:
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore").encode()
