"""Roles, patterns, and what is granted and revoked at run time."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_webpubsub.emulator.permissions import Pattern, Permission, Permissions

JOIN, SEND = "webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"


def test_without_roles_nothing_is_allowed() -> None:
    permissions = Permissions.from_roles([])
    assert not permissions.can_join("a")
    assert not permissions.can_send("a")


@pytest.mark.parametrize(
    ("roles", "join", "send"),
    [
        ([JOIN], ["a", "b", "a.b"], []),
        ([SEND], [], ["a", "b", "a.b"]),
        ([JOIN, SEND], ["a", "b", "a.b"], ["a", "b", "a.b"]),
        ([f"{JOIN}.a", f"{SEND}.b"], ["a"], ["b"]),
        ([f"{JOIN}.a.b"], ["a.b"], []),
        ([f"{JOIN}s.a*"], ["a"], []),
        ([f"{SEND}s.a**", f"{SEND}.b"], [], ["a", "b", "a.b"]),
        ([f"{JOIN}s.**"], ["a", "b", "a.b"], []),
        (["admin", "webpubsub", JOIN.upper(), f"{JOIN}x", f" {JOIN}"], [], []),
        ([f"{JOIN}.", f"{JOIN}. ", f"{JOIN}s.", f"{JOIN}." + "a" * 1025], [], []),
    ],
)
def test_roles_allow_these_groups(roles: Sequence[str], join: Sequence[str], send: Sequence[str]) -> None:
    permissions = Permissions.from_roles(roles)
    groups = ["a", "b", "a.b"]
    assert [group for group in groups if permissions.can_join(group)] == list(join)
    assert [group for group in groups if permissions.can_send(group)] == list(send)


def test_names_of_groups_keep_their_case() -> None:
    permissions = Permissions.from_roles([f"{JOIN}.Room", f"{SEND}s.Room*"])
    assert permissions.can_join("Room")
    assert not permissions.can_join("room")
    assert permissions.can_send("Room1")
    assert not permissions.can_send("room1")


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        ("room", ["room"], ["rooms", "Room", ""]),
        ("?", ["a", "ä", " "], ["", ".", "ab"]),
        ("*", ["", "a", "abc"], ["a.b", "."]),
        ("**", ["", "a", "a.b", "\n"], []),
        ("***", ["", "a", "a.b"], []),
        ("a.*", ["a.", "a.b"], ["a", "a.b.c", "aXb"]),
        ("a.**", ["a.", "a.b", "a.b.c"], ["a"]),
        ("*.b", ["a.b", ".b"], ["a.a.b", "ab"]),
        ("**.b", ["a.b", "a.a.b"], ["b"]),
        ("a?c", ["abc"], ["ac", "a.c", "abbc"]),
        ("a*c", ["ac", "abc", "acc"], ["a.c", "acb"]),
        ("*a*b*", ["ab", "xaxbx"], ["ba", "a.b"]),
        (r"\*", ["*"], ["a", ""]),
        (r"\?\\", ["?\\"], ["a\\"]),
        (r"a\**", ["a*", "a*b"], ["a", "ab"]),
        ("[a]+", ["[a]+"], ["a", "aa"]),
    ],
)
def test_a_pattern_fits_these_names(pattern: str, fits: Sequence[str], fails: Sequence[str]) -> None:
    matches = Pattern(pattern).matches
    assert [name for name in fits if not matches(name)] == []
    assert [name for name in fails if matches(name)] == []


@pytest.mark.parametrize(
    "pattern", ["", "\\", r"a\b", "a\\", "a" * 1025, "******", "a*b*c*d*e*f*", "**a**b**"], ids=lambda text: text[:12]
)
def test_what_is_no_pattern_grants_nothing(pattern: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match=r"pattern|stands before"):
        Pattern(pattern)
    assert not Permissions.from_roles([f"{JOIN}s.{pattern}"]).can_join("abcdef")
    assert "grants nothing" in caplog.text


def test_five_asterisks_are_a_pattern() -> None:
    assert Pattern("*a*b*c*d*").matches("1a2b3c4d5")
    assert Pattern(r"**a**b*\*").matches("1.a2.b3*")


def test_no_pattern_takes_long() -> None:
    begin = time.perf_counter()
    assert not Pattern("*a*a*a*a*b").matches("a" * 1024)
    assert time.perf_counter() - begin < 1


@given(st.text("a.b*?\\", min_size=1, max_size=8), st.text("a.b*?\\", max_size=8))
def test_a_pattern_without_wildcards_fits_itself_alone(text: str, other: str) -> None:
    escaped = "".join(f"\\{character}" if character in "*?\\" else character for character in text)
    pattern = Pattern(escaped)
    assert pattern.matches(text)
    assert pattern.matches(other) is (other == text)


@given(st.text(max_size=30), st.text(max_size=10))
def test_any_text_is_a_pattern_or_a_value_error(text: str, name: str) -> None:
    try:
        pattern = Pattern(text)
    except ValueError:
        return
    pattern.matches(name)


def test_what_is_granted_is_there_and_what_is_revoked_is_gone() -> None:
    permissions = Permissions()
    permissions.grant("joinLeaveGroup", "a")
    assert permissions.can_join("a")
    assert not permissions.can_join("b")
    assert not permissions.can_send("a")
    permissions.revoke("joinLeaveGroup", "a")
    assert not permissions.can_join("a")


@pytest.mark.parametrize("roles", [[SEND], [f"{SEND}s.*"], [f"{SEND}.a"]])
def test_a_group_can_be_taken_out_of_what_a_role_allows(roles: Sequence[str]) -> None:
    permissions = Permissions.from_roles(roles)
    permissions.revoke("sendToGroup", "a")
    assert not permissions.can_send("a")
    permissions.grant("sendToGroup", "a")
    assert permissions.can_send("a")


def test_the_newest_rule_wins() -> None:
    permissions = Permissions.from_roles([f"{SEND}s.a*"])
    permissions.revoke("sendToGroup", None)
    assert not permissions.can_send("a1")
    permissions.grant("sendToGroup", "b")
    assert permissions.can_send("b")
    permissions.grant("sendToGroup", None)
    permissions.revoke("sendToGroup", "b")
    assert permissions.can_send("anything")
    assert not permissions.can_send("b")
    permissions.grant("sendToGroup", None)
    assert permissions.can_send("b")


def test_all_is_only_there_without_exception() -> None:
    permissions = Permissions.from_roles([SEND, f"{JOIN}s.**"])
    assert permissions.has("sendToGroup", None)
    assert permissions.has("joinLeaveGroup", None)
    permissions.grant("sendToGroup", "a")
    assert permissions.has("sendToGroup", None)
    permissions.revoke("sendToGroup", "a")
    assert not permissions.has("sendToGroup", None)
    assert permissions.has("sendToGroup", "b")
    assert not Permissions.from_roles([f"{SEND}.a"]).has("sendToGroup", None)


def test_new_roles_replace_all_that_was() -> None:
    permissions = Permissions.from_roles([SEND])
    permissions.grant("joinLeaveGroup", "a")
    permissions.replace_roles([f"{SEND}.b"])
    assert permissions.can_send("b")
    assert not permissions.can_send("a")
    assert not permissions.can_join("a")


@pytest.mark.parametrize("name", ["", "send", "SendToGroup", "webpubsub.sendToGroup"])
def test_other_permissions_do_not_exist(name: str) -> None:
    permissions = Permissions()
    with pytest.raises(ValueError, match="is not a valid Permission"):
        permissions.grant(name, "a")
    with pytest.raises(ValueError, match="is not a valid Permission"):
        permissions.revoke(name, "a")
    with pytest.raises(ValueError, match="is not a valid Permission"):
        permissions.has(name, "a")


_CHANGES = st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", None])), max_size=12)


@given(_CHANGES)
def test_a_group_is_allowed_as_the_last_rule_about_it_says(changes: list[tuple[bool, str | None]]) -> None:
    permissions = Permissions()
    for allowed, group in changes:
        (permissions.grant if allowed else permissions.revoke)(Permission.SEND_TO_GROUP, group)
    expected = [allowed for allowed, group in changes if group in ("a", None)]
    assert permissions.can_send("a") is (expected[-1] if expected else False)
