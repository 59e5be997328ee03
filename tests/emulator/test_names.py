"""What hubs, groups, events and connections may be called."""

from __future__ import annotations

import pytest

from flask_webpubsub.emulator.names import (
    InvalidNameError,
    make_connection_id,
    verify_event,
    verify_group,
    verify_hub,
    verify_metadata,
)


@pytest.mark.parametrize("name", ["a", "chat", "Chat_9", "a`,.[]", "a" * 128])
def test_a_hub_can_have_this_name(name: str) -> None:
    verify_hub(name)


@pytest.mark.parametrize("name", ["", "9a", "_a", "a-b", "a b", "a/b", "ä", "a\n", "a" * 129, None, 7])
def test_a_hub_can_not_have_this_name(name: object) -> None:
    with pytest.raises(InvalidNameError, match="name of a hub"):
        verify_hub(name)


@pytest.mark.parametrize("name", ["a", "room 1", " a ", "a/b?c#d%", "räume", "🏠", "a" * 1024])
def test_a_group_can_have_this_name(name: str) -> None:
    verify_group(name)


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u3000", "a" * 1025, None, 7, ["a"]])
def test_a_group_can_not_have_this_name(name: object) -> None:
    with pytest.raises(InvalidNameError, match="name of a group"):
        verify_group(name)


def test_a_very_long_name_is_not_shown_whole() -> None:
    with pytest.raises(InvalidNameError) as caught:
        verify_group("a" * 1_000_000)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("name", ["message", "a", "Room.moved", "a-b_c9", "a" * 128])
def test_an_event_can_have_this_name(name: str) -> None:
    verify_event(name)


@pytest.mark.parametrize("name", ["", "9", ".a", "a b", "a/b", "a*", "ä", "a\n", "a" * 129, None, 7])
def test_an_event_can_not_have_this_name(name: object) -> None:
    with pytest.raises(InvalidNameError, match="name of an event"):
        verify_event(name)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"trace-id": "1 2 3"},
        {"a" * 256: "b" * 1024},
        {"!#$%&'*+.^_`|~-": ""},
        {f"k{n}": "v" * 1021 for n in range(8)},
    ],
    ids=["none", "plain", "longest", "marks", "8 KiB"],
)
def test_a_message_can_have_this_metadata(metadata: dict[str, str]) -> None:
    verify_metadata(metadata)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"": "a"}, "can not be a key"),
        ({"a b": "a"}, "can not be a key"),
        ({"ä": "a"}, "can not be a key"),
        ({"a" * 257: "a"}, "can not be a key"),
        ({"a": "ä"}, "no ASCII text"),
        ({"a": "b" * 1025}, "no ASCII text"),
        ({"a": 7}, "no ASCII text"),
        ({f"k{n}": "v" * 1023 for n in range(8)}, "more than 8192 bytes"),
    ],
)
def test_a_message_can_not_have_this_metadata(metadata: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidNameError, match=reason):
        verify_metadata(metadata)


def test_connection_ids_are_fresh_and_plain() -> None:
    ids = {make_connection_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(text) == 32 and set(text) <= set("0123456789abcdef") for text in ids)
