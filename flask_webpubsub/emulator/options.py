"""What can be set about the emulator, with the service's own values as defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

KIB = 1024
MIB = 1024 * KIB

#: The system and presence events that an event handler can be set to get.
SYSTEM_EVENTS = ("connect", "connected", "disconnected", "joined", "left")


@dataclass(frozen=True, kw_only=True)
class EventHandler:
    """One event handler of a hub, as it is set in the service.

    :param url_template: where events go; ``{hub}`` and ``{event}`` are replaced, in any case, except in the host.
    :param user_events: ``"*"``, or names with commas between, in any case; empty for none.
    :param system_events: those of ``connect``, ``connected``, ``disconnected``, ``joined`` and ``left`` that it gets.
    """

    url_template: str
    user_events: str = "*"
    system_events: Collection[str] = SYSTEM_EVENTS


@dataclass(frozen=True, kw_only=True)
class HubSettings:
    """The settings of one hub.

    :param event_handlers: in order: the first one that takes an event gets it.
    :param allow_anonymous: whether clients without a token may connect.
    """

    event_handlers: Sequence[EventHandler] = ()
    allow_anonymous: bool = False


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything that can be set, in seconds and bytes. The defaults are what the service does.

    :param hubs: the settings of single hubs, by name, in any case.
    :param default_hub: the settings of every other hub.
    :param max_message_bytes: of a client's frame, and of the body of a REST send.
    :param max_answer_bytes: of the answer to an event.
    :param event_seconds: for one event, from the first try to the headers of the answer, retries included.
    :param retry_delays: the pauses before an event is sent again; empty for one try only.
    :param validation_seconds: for one validation of an event handler's URL.
    :param validation_cache_seconds: how long a successful validation holds.
    :param validation_retry_seconds: the first and the longest pause after a failed validation; it doubles in between.
    :param recovery_seconds: how long a reliable client may be away.
    :param max_unacknowledged_messages: of a reliable client, before it is closed.
    :param max_unacknowledged_bytes: of a reliable client, before it is closed.
    :param max_waiting_bytes: frames for a client that does not read them, before it is closed.
    :param ping_seconds: how often a client is pinged; one that does not answer within half of it is gone.
    :param closing_seconds: how long a client may take to answer a close frame.
    :param reconnection_token_seconds: how long the token of a reliable client is good for.
    """

    hubs: Mapping[str, HubSettings] = field(default_factory=dict)
    default_hub: HubSettings = field(default_factory=HubSettings)
    max_message_bytes: int = MIB
    max_answer_bytes: int = 16 * MIB
    event_seconds: float = 100.0
    retry_delays: Sequence[float] = (1.0, 3.0, 5.0)
    validation_seconds: float = 10.0
    validation_cache_seconds: float = 60.0
    validation_retry_seconds: tuple[float, float] = (1.0, 60.0)
    recovery_seconds: float = 30.0
    max_unacknowledged_messages: int = 1000
    max_unacknowledged_bytes: int = 16 * MIB
    max_waiting_bytes: int = 32 * MIB
    ping_seconds: float = 20.0
    closing_seconds: float = 5.0
    reconnection_token_seconds: float = 7 * 24 * 3600.0

    def hub(self, name: str) -> HubSettings:
        """The settings of a hub, whatever the case of its name."""
        folded = name.lower()
        return next((found for key, found in self.hubs.items() if key.lower() == folded), self.default_hub)

    @classmethod
    def fast(cls, **changes: Any) -> Self:
        """Options for tests: short limits, no retries.

        :param changes: what is to be otherwise.
        """
        return cls(**{**_FAST, **changes})


# A handler on the same machine answers at once; a limit is only there so that a broken test ends.
_FAST: Mapping[str, Any] = {
    "event_seconds": 10.0,
    "retry_delays": (),
    "validation_seconds": 5.0,
    "validation_retry_seconds": (0.05, 0.5),
    "recovery_seconds": 2.0,
    "closing_seconds": 1.0,
}
