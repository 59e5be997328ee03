"""Tells the app what happens to connections, as typed events.

Messages and ``connect`` wait for the app's answer. The others do not, but those of one connection go out in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from ..enums import WebPubSubDataType, WebPubSubEventType
from ..events import (
    ConnectedEventRequest,
    ConnectEventRequest,
    DisconnectedEventRequest,
    GroupJoinedEventRequest,
    GroupLeftEventRequest,
    UserEventRequest,
    WebPubSubConnectionContext,
    WebPubSubEventRequest,
)
from .delivery import Outcome
from .hub import Connection

Values = Mapping[str, list[str]]

_GIVEN_UP = Outcome(failed=True, status=503)


class Sender(Protocol):
    """Delivers one event to the app, with all its retries."""

    async def send(self, connection: Connection, request: WebPubSubEventRequest) -> Outcome:
        """Send it, and keep the states and cookies of the answer with the connection.

        What became of the event. An app that fails or is not there is an outcome, and never an exception.
        """


class AppEvents:
    """What the client protocols and the sockets have to tell the app.

    :param sender: delivers the events, which it signs, with the connection's states of that moment.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        # Those under way that are waited for, and the last of each connection that is not.
        self._asked: set[asyncio.Future[Outcome]] = set()
        self._last: dict[Connection, asyncio.Task[None]] = {}
        self._stopped = False

    async def connect(
        self, connection: Connection, *, claims: Values, query: Values, headers: Values, subprotocols: list[str]
    ) -> Outcome:
        """Ask the app whether a client may connect."""
        return await self._ask(
            connection,
            ConnectEventRequest(
                connection_context=_context(connection, WebPubSubEventType.SYSTEM, "connect"),
                claims=claims,
                query=query,
                headers=headers,
                subprotocols=subprotocols,
            ),
        )

    async def message(
        self,
        connection: Connection,
        event: str,
        data: Any,
        data_type: WebPubSubDataType,
        metadata: Mapping[str, str],
    ) -> Outcome:
        """Give the app a message of a client, and wait for the answer."""
        return await self._ask(
            connection,
            UserEventRequest(
                connection_context=_context(connection, WebPubSubEventType.USER, event),
                data=data,
                data_type=data_type,
                metadata=metadata,
            ),
        )

    def connected(self, connection: Connection) -> None:
        """Tell the app that a client is connected."""
        context = _context(connection, WebPubSubEventType.SYSTEM, "connected")
        self._tell(connection, ConnectedEventRequest(connection_context=context))

    def disconnected(self, connection: Connection, reason: str | None) -> None:
        """Tell the app that a client is gone for good."""
        context = _context(connection, WebPubSubEventType.SYSTEM, "disconnected")
        self._tell(connection, DisconnectedEventRequest(connection_context=context, reason=reason))

    def group_changed(self, connection: Connection, group: str, joined: bool) -> None:
        """Tell the app that a connection joined or left a group."""
        context = _context(connection, WebPubSubEventType.PRESENCE, "joined" if joined else "left")
        request = GroupJoinedEventRequest if joined else GroupLeftEventRequest
        self._tell(connection, request(connection_context=context, group=group))

    def silence(self) -> None:
        """Send nothing new any more."""
        self._stopped = True

    async def stop(self) -> None:
        """Send nothing any more, and give up what is under way."""
        self.silence()
        tasks: list[asyncio.Future[Any]] = [*self._asked, *self._last.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, connection: Connection, request: WebPubSubEventRequest) -> Outcome:
        if self._stopped:
            return _GIVEN_UP
        task = asyncio.ensure_future(self._sender.send(connection, request))
        self._asked.add(task)
        try:
            await asyncio.wait([task])
        finally:
            self._asked.discard(task)
            task.cancel()
        return _GIVEN_UP if task.cancelled() else task.result()

    def _tell(self, connection: Connection, request: WebPubSubEventRequest) -> None:
        if self._stopped:
            return
        task = asyncio.ensure_future(self._send_after(self._last.get(connection), connection, request))
        self._last[connection] = task
        task.add_done_callback(lambda done: self._forget(connection, done))

    async def _send_after(
        self, earlier: asyncio.Task[None] | None, connection: Connection, request: WebPubSubEventRequest
    ) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        await self._sender.send(connection, request)

    def _forget(self, connection: Connection, done: asyncio.Task[None]) -> None:
        if self._last.get(connection) is done:
            del self._last[connection]


def _context(connection: Connection, event_type: WebPubSubEventType, name: str) -> WebPubSubConnectionContext:
    return WebPubSubConnectionContext(
        event_type=event_type,
        event_name=name,
        hub=connection.hub_name,
        connection_id=connection.connection_id,
        user_id=connection.user_id,
        subprotocol=connection.subprotocol,
        states=connection.states,
        event_id=connection.next_event_id(),
        time=datetime.now(UTC).replace(microsecond=0),
    )
