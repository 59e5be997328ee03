"""Handles each event once: a repeated delivery is given the answer of the first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import sha256
from uuid import uuid4

from werkzeug.wrappers import Response as HTTPResponse

from ..access import split_origins
from ..errors import EventStillRunningError, OnceStoreError
from ..events import MqttConnectionContext, WebPubSubConnectionContext
from ..messages import Answer
from ..wire_json import write_json
from .answers import copy_answer, decode_answer, encode_answer, encode_mark
from .leases import LEASE_SECONDS, Leases
from .store import Store, make_store

__all__ = ["Once", "Turn", "make_once"]

logger = logging.getLogger("flask_webpubsub")

#: Where an app keeps its :class:`Once`, in ``app.extensions``.
ONCE_KEY = "webpubsub.once"

# Changes when the form of what is stored does, so that two versions can share a store.
_PREFIX = "webpubsub:once:1:"

Answered = Answer | HTTPResponse


def make_once(where: object, seconds: int) -> Once:
    """What the settings of an app ask for.

    :param where: the value of ``WEBPUBSUB_ONCE_STORE``.
    :param seconds: how long answers are kept.
    :raises ConfigurationError: if there can be no store of this kind.
    :raises ImportError: if the extra ``once`` is not installed, and the store needs it.
    """
    return Once(make_store(where), seconds)


class Once:
    """Remembers the answers to the events of one app.

    :param seconds: how long an answer is kept.
    :param lease_seconds: how long an event counts as running when its worker is not heard of any more.
    """

    def __init__(self, store: Store, seconds: float, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self.store = store
        self.seconds = seconds
        self.leases = Leases(store, lease_seconds)

    def begin(self, context: WebPubSubConnectionContext) -> Turn | None:
        """Find out whether an event is to be handled, and mark it as running if it is.

        Called when the signature has been checked, so that nobody else comes near the store.

        :return: ``None`` for an event without an id, which can not be told from others.
        :raises EventStillRunningError: if an earlier delivery of the event is still handled.
        :raises OnceStoreError: if the store can not be asked: to handle the event now might be to handle it twice, and
            the service, which is told to try again, still has it.
        """
        if not context.event_id:
            return None
        name = self.store.name(_PREFIX + _digest(context))
        mark = encode_mark(uuid4().hex)
        held = self.store.begin(name, mark, self.leases.seconds)
        if held is None:
            self.leases.add(name, mark)
            return Turn(self, name, mark)
        stored = decode_answer(held)
        if stored is None:
            raise EventStillRunningError(
                f"The {context.event_type.value} event {context.event_name!r} with the id {context.event_id!r} came "
                "again while it is handled."
            )
        logger.info(
            "The %s event %r with the id %r came again, and is given the answer %d of the first time.",
            context.event_type.value,
            context.event_name,
            context.event_id,
            stored.status,
        )
        return Turn(self, name, mark, stored)


class Turn:
    """One delivery of an event: the first, or a later one for which there is an answer already."""

    def __init__(self, once: Once, name: str, mark: bytes, stored: Answer | None = None) -> None:
        self._once = once
        self._name = name
        self._mark = mark
        self._stored = stored

    def answer(self, handle: Callable[[], Answered]) -> Answered:
        """The answer to the event, for which it is handled where that has not been done.

        An answer after which the service tries again, and whatever is raised, is not remembered.
        """
        if self._stored is not None:
            return self._stored
        try:
            answer = handle()
            copy = copy_answer(answer)
        except BaseException:  # a worker that is told to stop too: the event is to be handled elsewhere
            self._forget()
            raise
        if _is_repeated(copy.status):
            self._forget()
        else:
            self._keep(copy)
        return answer

    def _keep(self, answer: Answer) -> None:
        once = self._once
        try:
            once.store.keep(self._name, encode_answer(answer), once.seconds)
        except OnceStoreError as error:
            # The event was handled, and an error would only have it handled again.
            logger.error("The answer to an event is sent, but not remembered: %s", error)
        finally:
            once.leases.remove(self._mark)

    def _forget(self) -> None:
        once = self._once
        once.leases.remove(self._mark)
        try:
            once.store.forget(self._name, self._mark)
        except OnceStoreError as error:
            logger.error("An event counts as running for %g s after it failed: %s", once.leases.seconds, error)


def _is_repeated(status: int) -> bool:
    """Whether the service tries again after this status."""
    return status == 408 or status >= 500


def _digest(context: WebPubSubConnectionContext) -> str:
    """What tells an event from every other, and nothing of it."""
    # An MQTT client chooses its connection id, and each of its connections begins to count anew.
    physical = context.physical_connection_id if isinstance(context, MqttConnectionContext) else None
    parts = [
        sorted(split_origins(context.origin)),
        context.hub.lower(),
        context.event_type.value,
        context.event_name.lower(),
        context.connection_id,
        physical,
        context.event_id,
    ]
    return sha256(write_json(parts)).hexdigest()
