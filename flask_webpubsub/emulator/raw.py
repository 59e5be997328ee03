"""Raw clients: bare frames, without a protocol of their own."""

from __future__ import annotations

from dataclasses import dataclass

from ..enums import WebPubSubDataType
from ..wire_json import write_json
from .app_events import AppEvents
from .clients import CloseCode, ClosingError, Frame, SocketClient
from .hub import NO_METADATA, Connection, Message
from .options import Options

#: The event that a raw client's frames are.
EVENT = "message"


@dataclass(frozen=True)
class GroupTarget:
    """The group that a client's frames go to, as its URL says; ``echo`` sends them back to itself too."""

    group: str
    echo: bool = True


class RawClient(SocketClient):
    """A raw client. Each frame is an event, or goes to one group.

    :param target: the group; without it, frames are events.
    """

    def __init__(
        self, connection: Connection, app: AppEvents, options: Options, target: GroupTarget | None = None
    ) -> None:
        super().__init__(connection, app, options)
        self.target = target

    async def handle(self, frame: Frame) -> None:
        """Take a frame as text or as bytes, whichever it is."""
        data_type = WebPubSubDataType.TEXT if isinstance(frame, str) else WebPubSubDataType.BINARY
        if self.target is not None:
            self._publish(self.target, frame, data_type)
            return
        outcome = await self.raise_event(EVENT, frame, data_type)
        if outcome.failed or outcome.unhandled:
            # There is no other way to tell a raw client, and why is nothing for it to know.
            raise ClosingError(CloseCode.FAILED, "The message could not be handled.")

    def encode(self, message: Message) -> Frame:
        """The bare data: text and JSON as text, binary as bytes."""
        data: Frame = message.data
        return write_json(message.data).decode() if message.data_type is WebPubSubDataType.JSON else data

    def _publish(self, target: GroupTarget, frame: Frame, data_type: WebPubSubDataType) -> None:
        if not self.connection.permissions.can_send(target.group):
            raise ClosingError(CloseCode.POLICY, "The client may not send to the group.")
        self.publish(target.group, frame, data_type, echo=target.echo, metadata=NO_METADATA)
