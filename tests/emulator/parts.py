"""Parts of the emulator to test it with: an app whose answers are set, and a socket that is looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any

from flask_webpubsub.codec import Response
from flask_webpubsub.emulator.app_events import AppEvents
from flask_webpubsub.emulator.clients import Frame
from flask_webpubsub.emulator.delivery import Outcome
from flask_webpubsub.emulator.hub import Connection, Hub
from flask_webpubsub.emulator.options import Options
from flask_webpubsub.emulator.permissions import Permissions
from flask_webpubsub.events import UserEventRequest, WebPubSubEventRequest

#: Roles that allow everything.
ALL = ("webpubsub.joinLeaveGroup", "webpubsub.sendToGroup")

UNHANDLED = Outcome(unhandled=True)
FAILED = Outcome(failed=True, status=500)

Answer = Callable[[WebPubSubEventRequest], Outcome | Awaitable[Outcome]]


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own; one that hangs fails."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def limited() -> None:
            async with asyncio.timeout(20):
                await test(*args, **kwargs)

        asyncio.run(limited())

    return run


class App:
    """An app: what it was told, and what it answers. It is told of events as the delivery would tell it."""

    def __init__(self) -> None:
        self.requests: list[WebPubSubEventRequest] = []
        self.answers: dict[str, Answer] = {}
        self._told = asyncio.Condition()

    async def send(self, connection: Connection, request: WebPubSubEventRequest) -> Outcome:
        """Take an event, and answer as was set, or that nobody handles it."""
        async with self._told:
            self.requests.append(request)
            self._told.notify_all()
        answer = self.answers.get(request.connection_context.event_name)
        outcome = UNHANDLED if answer is None else answer(request)
        return outcome if isinstance(outcome, Outcome) else await outcome

    def answer(self, event: str, response: Response | None) -> None:
        """Answer an event with this from now on."""
        self.answers[event] = lambda request: Outcome(response)

    def fail(self, event: str) -> None:
        """Let an event fail from now on."""
        self.answers[event] = lambda request: FAILED

    def hold(self, event: str, response: Response | None = None) -> asyncio.Event:
        """Answer an event only once the flag is set."""
        flag = asyncio.Event()

        async def wait() -> Outcome:
            await flag.wait()
            return Outcome(response)

        self.answers[event] = lambda request: wait()
        return flag

    @property
    def names(self) -> list[str]:
        """The names of the events so far."""
        return [request.connection_context.event_name for request in self.requests]

    @property
    def messages(self) -> list[Any]:
        """The data of the user events so far."""
        return [request.data for request in self.requests if isinstance(request, UserEventRequest)]

    async def wait_for(self, event: str, count: int = 1) -> WebPubSubEventRequest:
        """Wait for the event that makes so many of this name."""
        async with self._told:
            await self._told.wait_for(lambda: self.names.count(event) >= count)
        found = [request for request in self.requests if request.connection_context.event_name == event]
        return found[count - 1]


class WatchedSocket:
    """A socket whose frames are looked at.

    :param room: how many frames fit in before the client counts as slow.
    """

    def __init__(self, room: int = 1_000_000) -> None:
        self.frames: list[Frame] = []
        self.closed: tuple[int, str] | None = None
        self.aborted = False
        self.room = room

    def write(self, frame: Frame) -> bool:
        if len(self.frames) >= self.room:
            return False
        self.frames.append(frame)
        return True

    def close(self, code: int, reason: str, *, discard: bool = False) -> None:
        if discard:
            self.frames.clear()
        self.closed = (code, reason)

    def abort(self) -> None:
        self.aborted = True

    def clear(self) -> None:
        """Forget the frames so far."""
        self.frames.clear()

    @property
    def read(self) -> list[Any]:
        """The frames so far, as JSON; they are forgotten."""
        frames, self.frames = self.frames, []
        return [json.loads(frame) for frame in frames]


class Scene:
    """A hub and an app, and what is needed to put clients between them."""

    def __init__(self, **options: Any) -> None:
        self.app = App()
        self.events = AppEvents(self.app)
        self.hub = Hub("chat", self.events.group_changed)
        self.options = Options.fast(**options)

    def connect(
        self,
        make_client: Callable[..., Any],
        connection_id: str = "c1",
        *,
        user_id: str | None = None,
        roles: tuple[str, ...] = ALL,
        room: int = 1_000_000,
        **arguments: Any,
    ) -> tuple[Any, WatchedSocket]:
        """Put a client on a socket, as the endpoint does."""
        permissions = Permissions.from_roles(roles)
        connection = Connection(self.hub, connection_id, user_id=user_id, permissions=permissions)
        client = make_client(connection, self.events, self.options, **arguments)
        socket = WatchedSocket(room)
        connection.client = client
        client.start(socket)
        self.hub.add(connection)
        return client, socket


def frame(kind: str, **fields: Any) -> str:
    """A frame of a JSON client."""
    return json.dumps({"type": kind, **fields})
