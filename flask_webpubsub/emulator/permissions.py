"""What a connection may do in groups: its roles, and what REST calls grant and revoke."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from enum import Enum, StrEnum

from .names import verify_group

logger = logging.getLogger("flask_webpubsub.emulator")

#: How many asterisks a pattern may hold; one with more grants nothing.
MAX_ASTERISKS = 5
#: How long a pattern may be.
MAX_PATTERN_LENGTH = 1024


class Permission(StrEnum):
    """What can be granted, by the names of the REST interface."""

    JOIN_LEAVE_GROUP = "joinLeaveGroup"
    SEND_TO_GROUP = "sendToGroup"


class Permissions:
    """The permissions of one connection. Without any, it may send events and nothing else.

    The newest rule for a group wins: a group may be taken out of "all", and all may be granted again.
    """

    def __init__(self) -> None:
        self._rules = {permission: _Rules() for permission in Permission}

    @classmethod
    def from_roles(cls, roles: Iterable[str]) -> Permissions:
        """The permissions that roles give. An unknown role gives none, which is no error: an app may have its own."""
        permissions = cls()
        permissions.replace_roles(roles)
        return permissions

    def replace_roles(self, roles: Iterable[str]) -> None:
        """Forget all that was granted, and take what these roles give."""
        self._rules = {permission: _Rules() for permission in Permission}
        for role in roles:
            for permission, rules in self._rules.items():
                rules.add_role(role, f"webpubsub.{permission.value}")

    def can_join(self, group: str) -> bool:
        """Whether the connection may join and leave a group by itself."""
        return self._rules[Permission.JOIN_LEAVE_GROUP].allow(group)

    def can_send(self, group: str) -> bool:
        """Whether the connection may send to a group."""
        return self._rules[Permission.SEND_TO_GROUP].allow(group)

    def grant(self, permission: str, target: str | None) -> None:
        """Allow something in one group, or with ``None`` in all.

        :raises ValueError: if there is no such permission.
        """
        self._rules[Permission(permission)].set(target, True)

    def revoke(self, permission: str, target: str | None) -> None:
        """Forbid something in one group, or with ``None`` in all.

        :raises ValueError: if there is no such permission.
        """
        self._rules[Permission(permission)].set(target, False)

    def has(self, permission: str, target: str | None) -> bool:
        """Whether something is allowed in one group, or with ``None`` in all without exception.

        :raises ValueError: if there is no such permission.
        """
        rules = self._rules[Permission(permission)]
        return rules.allow_all if target is None else rules.allow(target)


class _Wildcard(Enum):
    ONE = "?"
    RUN = "*"
    ANY = "**"


_ONE, _RUN, _ANY = _Wildcard.ONE, _Wildcard.RUN, _Wildcard.ANY


class Pattern:
    """Names of groups: ``?`` is one character but a dot, ``*`` any number of these, ``**`` any characters.

    ``\\`` takes the meaning from the ``*``, ``?`` or ``\\`` after it.

    :raises ValueError: if the text is no pattern.
    """

    def __init__(self, text: str) -> None:
        if not text or len(text) > MAX_PATTERN_LENGTH:
            raise ValueError(f"a pattern has 1 to {MAX_PATTERN_LENGTH} characters.")
        self._tokens = _read_pattern(text)

    @property
    def is_all(self) -> bool:
        """Whether every name matches."""
        return self._tokens == [_ANY]

    def matches(self, name: str) -> bool:
        """Whether a name fits. The time it takes grows with the lengths alone, whatever the pattern."""
        states = self._after_runs({0})
        for character in name:
            states = self._after_runs({state for old in states for state in self._step(old, character)})
            if not states:
                return False
        return len(self._tokens) in states

    def _after_runs(self, states: set[int]) -> set[int]:
        """With each state, those that an empty run leads to."""
        for state in sorted(states):
            while state < len(self._tokens) and self._tokens[state] in (_ANY, _RUN):
                state += 1
                states.add(state)
        return states

    def _step(self, state: int, character: str) -> Iterable[int]:
        if state == len(self._tokens):
            return ()
        token = self._tokens[state]
        if token is _ANY or (token is _RUN and character != "."):
            return (state,)
        if token == character or (token is _ONE and character != "."):
            return (state + 1,)
        return ()


class _Rules:
    """The rules of one permission. Patterns come from roles alone, before all grants."""

    def __init__(self) -> None:
        self._default = False
        self._patterns: list[Pattern] = []
        self._groups: dict[str, bool] = {}

    @property
    def allow_all(self) -> bool:
        return self._default and all(self._groups.values())

    def allow(self, group: str) -> bool:
        if group in self._groups:
            return self._groups[group]
        return self._default or any(pattern.matches(group) for pattern in self._patterns)

    def set(self, group: str | None, allowed: bool) -> None:
        if group is None:
            self._default = allowed
            self._patterns.clear()
            self._groups.clear()
        else:
            self._groups[group] = allowed

    def add_role(self, role: str, name: str) -> None:
        try:
            if role == name:
                self._default = True
            elif role.startswith(f"{name}."):
                group = role[len(name) + 1 :]
                verify_group(group)
                self._groups[group] = True
            elif role.startswith(f"{name}s."):
                pattern = Pattern(role[len(name) + 2 :])
                self._default |= pattern.is_all
                self._patterns.append(pattern)
        except ValueError as error:
            logger.warning("The role %r grants nothing: %s", role, error)


def _read_pattern(text: str) -> list[str | _Wildcard]:
    tokens: list[str | _Wildcard] = []
    asterisks = 0
    characters = iter(text)
    for character in characters:
        match character:
            case "\\":
                escaped = next(characters, "")
                if escaped not in ("*", "?", "\\"):
                    raise ValueError(f"a \\ stands before {escaped!r}.")
                tokens.append(escaped)
            case "*":
                asterisks += 1
                if tokens and tokens[-1] is _RUN:
                    tokens[-1] = _ANY
                elif not tokens or tokens[-1] is not _ANY:
                    tokens.append(_RUN)
            case "?":
                tokens.append(_ONE)
            case _:
                tokens.append(character)
    if asterisks > MAX_ASTERISKS:
        raise ValueError(f"the pattern has more than {MAX_ASTERISKS} asterisks.")
    return tokens
