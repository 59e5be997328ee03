"""The filter language: what each part means, what is an error and where, and that nothing else ever happens."""

from __future__ import annotations

import random
from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_webpubsub.emulator.filters import MAX_CLAUSES, MAX_DEPTH, FilterError, parse


def matches(
    text: str,
    user_id: str | None = "user-ab-de",
    connection_id: str = "c1",
    groups: Collection[str] = ("room", "Lobby"),
    protocol: str | None = "json.webpubsub.azure.v1",
) -> bool:
    return parse(text).matches(user_id, connection_id, groups, protocol)


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "userId eq 'user-ab-de'",
        "userId ne 'other'",
        "userId ne 'User-ab-de'",
        "USERID eq 'user-ab-de' and userid ne null and UserId ne ''",
        "connectionId eq 'c1'",
        "CONNECTIONID ne 'C1'",
        "protocol eq 'json.webpubsub.azure.v1'",
        "'room' in groups",
        "'Lobby' in GROUPS",
        "'room' in (groups)",
        "not ('lobby' in groups)",
        "userId in ('other', 'user-ab-de')",
        "'x' in (userId, 'x')",
        "not (null in ('a', 'b'))",
        "null in ('a', null)",
        "3 in (1, 2, 3)",
        "length(groups) eq 2",
        "length(userId) gt 9",
        "length(userId) ge 10",
        "length(userId) lt 11",
        "length(userId) le 10",
        "10 le length(userId)",
        "length('') eq 0",
        "-1 lt +1",
        "2147483647 gt -2147483648",
        "tolower('ÄB') eq 'äb'",
        "toupper(userId) eq 'USER-AB-DE'",
        "trim('  a b ') eq 'a b'",
        "startswith(userId, 'user')",
        "endswith(userId, 'de')",
        "contains(userId, '-ab-')",
        "contains(userId, '')",
        "indexof(userId, '-ab-') eq 4",
        "indexof(userId, 'x') eq -1",
        "concat(userId, '!') eq 'user-ab-de!'",
        "substring(userId, 5) eq 'ab-de'",
        "substring(userId, 5, 2) eq 'ab'",
        "substring(userId, 10) eq ''",
        "substring(userId, indexof(userId, '-')) eq '-ab-de'",
        "not startswith(userId, 'x')",
        "not false and not not true",
        "not true eq false",
        "(userId eq 'user-ab-de') eq true",
        "startswith(userId, 'user') ne false",
        "userId eq 'it''s' or 'it''s' eq concat('it', '''s')",
        "concat('a', concat('b', tolower('C'))) eq 'abc'",
        "true or false and false",
        "(true or false) and not (false and false)",
        "false and false or true",
        "length(userId) gt 0 and length(userId) lt 3 or length(userId) gt 7 and length(userId) lt 11",
        "\t( ( true ) )\n",
        "contains(userId,'-')and(true)",
        "'and' eq 'and' and '(' ne ')'",
        "null eq null",
        "'räume' eq 'räume'",
    ],
)
def test_this_filter_picks_the_connection(text: str) -> None:
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "false",
        "userId eq 'User-ab-de'",
        "userId eq null",
        "connectionId ne 'c1'",
        "'lobby' in groups",
        "'roo' in groups",
        "userId in ('a', 'b')",
        "5 in groups",
        "length(userId) gt 10",
        "length(userId) ge 11",
        "length(userId) lt 10",
        "length(userId) le 9",
        "startswith('user', userId)",
        "endswith(userId, 'DE')",
        "contains(userId, 'AB')",
        "not true",
        "true and false",
        "false or not true",
        "true eq 1",
        "1 eq true",
        "1 in (true, '1')",
        "'1' eq 1",
        "0 eq false",
        "'' eq null",
        "false and true or false",
        "true and (false or false)",
    ],
)
def test_this_filter_does_not_pick_the_connection(text: str) -> None:
    assert not matches(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("userId eq null", True),
        ("userId ne null", False),
        ("userId eq ''", False),
        ("userId ne 'a'", True),
        ("userId in ('a', 'b')", False),
        ("userId in ('a', null)", True),
        ("userId in groups", False),
        ("length(userId) gt 0", False),
        ("length(userId) le 0", False),
        ("not (length(userId) gt 5)", True),
        ("length(userId) eq null", True),
        ("null gt null", False),
        ("1 lt null", False),
        ("tolower(userId) eq null", True),
        ("toupper(userId) eq null", True),
        ("trim(userId) eq null", True),
        ("substring(userId, 0) eq null", True),
        ("substring(userId, 0, 1) eq null", True),
        ("startswith(userId, 'a')", False),
        ("endswith('a', userId)", False),
        ("contains(userId, '')", False),
        ("contains(null, null)", False),
        ("indexof(userId, '') eq -1", True),
        ("concat(userId, 'a') eq 'a'", True),
        ("concat('a', userId) eq 'a'", True),
        ("concat(userId, null) eq null", True),
        ("length(null) eq null", True),
    ],
)
def test_without_a_user_things_are_null(text: str, expected: bool) -> None:
    assert matches(text, user_id=None) is expected


@pytest.mark.parametrize(
    "text", ["substring('abc', 4)", "substring('abc', -1)", "substring('abc', 0, 4)", "substring('abc', 2, -1)"]
)
def test_a_part_that_reaches_beyond_the_string_is_null(text: str) -> None:
    assert matches(f"{text} eq null")
    assert matches(f"substring('abc', length(null)) eq null and {text} ne ''")


@pytest.mark.parametrize(
    "text",
    [
        "'group1' in groups or 'group2' in groups or 'group3' in groups",
        "userId in ('user1', 'user2', 'user3') and 'group1' in groups",
        "userId eq 'user1' and connectionId ne '123'",
        "userId eq 'user1' and (not ('group1' in groups))",
        "userId eq 'user''1'",
        "length(userId) le 10 and length(userId) gt 3",
        "length(userId) gt 10 or length(userId) le 3",
        "not endswith(userId, 'milk')",
        "userId eq 'user1' or (not (startswith(userId,'user2')))",
        "substring(userId,5,2) eq 'ab'",
        "not (length(userId) gt 5)",
    ],
)
def test_the_examples_of_the_documentation_are_filters(text: str) -> None:
    parse(text)


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("not length(userId) gt 5", 4, "an integer stands where a Boolean is due"),
        ("not 'a' in groups", 4, "a string stands where a Boolean is due"),
        ("userId", 0, "a string stands where a Boolean is due"),
        ("5", 0, "an integer stands where a Boolean is due"),
        ("null", 0, "null stands where a Boolean is due"),
        ("groups", 0, "a collection stands where a Boolean is due"),
        ("true and userId", 9, "a string stands where a Boolean is due"),
        ("length(userId) or true", 0, "an integer stands where a Boolean is due"),
        ("true or null", 8, "null stands where a Boolean is due"),
        ("userId gt 'a'", 0, "a string stands where an integer is due"),
        ("5 le true", 5, "a Boolean stands where an integer is due"),
        ("groups eq 'a'", 0, "a collection stands where a single value is due"),
        ("'a' ne groups", 7, "a collection stands where a single value is due"),
        ("groups in ('a')", 0, "a collection stands where a single value is due"),
        ("'a' in ('b', groups)", 13, "a collection stands where a single value is due"),
        ("'a' in userId", 7, "a string stands where a collection is due"),
        ("'a' in length(userId)", 7, "an integer stands where a collection is due"),
        ("length(5) eq 1", 7, "an integer stands where a string is due"),
        ("tolower(groups) eq 'a'", 8, "a collection stands where a string is due"),
        ("startswith(userId, 1)", 19, "an integer stands where a string is due"),
        ("concat('a', true) eq 'a'", 12, "a Boolean stands where a string is due"),
        ("substring(userId, 'a') eq 'a'", 18, "a string stands where an integer is due"),
        ("substring(userId, 0, 'a') eq 'a'", 21, "a string stands where an integer is due"),
        ("length() eq 1", 7, "')' stands where a value is due"),
        ("length('a', 'b') eq 1", 0, "length does not take 2 arguments"),
        ("contains('a')", 0, "contains does not take 1 arguments"),
        ("substring('a') eq 'a'", 0, "substring does not take 1 arguments"),
        ("substring('a', 1, 2, 3) eq 'a'", 0, "substring does not take 4 arguments"),
        ("round(1) eq 1", 0, "there is no function 'round'"),
        ("LENGTH(userId) eq 1", 0, "there is no function 'LENGTH'"),
        ("groups('a')", 0, "there is no function 'groups'"),
        ("user eq 'a'", 0, "a connection has no 'user'"),
        ("True", 0, "a connection has no 'True'"),
        ("userId EQ 'a'", 7, "'EQ' stands where an operator or the end is due"),
        ("true AND true", 5, "'AND' stands where an operator or the end is due"),
        ("1 eq 1 eq 1", 7, "'eq' stands where an operator or the end is due"),
        ("true true", 5, "'true' stands where an operator or the end is due"),
        ("true)", 4, "')' stands where an operator or the end is due"),
        ("true,", 4, "',' stands where an operator or the end is due"),
        ("", 0, "the end stands where a value is due"),
        ("  ", 2, "the end stands where a value is due"),
        ("true and", 8, "the end stands where a value is due"),
        ("and true", 0, "'and' stands where a value is due"),
        ("not", 3, "the end stands where a value is due"),
        ("eq eq eq", 0, "'eq' stands where a value is due"),
        ("(true", 5, "the end stands where ')' is due"),
        ("()", 1, "')' stands where a value is due"),
        ("userId in ()", 11, "')' stands where a value is due"),
        ("userId in ('a',)", 15, "')' stands where a value is due"),
        ("userId in ('a' 'b')", 15, "\"'b'\" stands where ')' is due"),
        ("userId in", 9, "the end stands where a value is due"),
        ("userId eq 'a", 10, "can not be read"),
        ('userId eq "a"', 10, "can not be read"),
        ("userId = 'a'", 7, "can not be read"),
        ("1.5 gt 1", 0, "can not be read"),
        ("5x eq 1", 0, "can not be read"),
        ("- 5 eq 1", 0, "can not be read"),
        ("userId eq 'a'; true", 13, "can not be read"),
        ("ä eq 'a'", 0, "can not be read"),
        ("true \x00", 5, "can not be read"),
        ("1 eq 2147483648", 5, "the integer is too large"),
        ("1 eq -2147483649", 5, "the integer is too large"),
        ("1 eq " + "9" * 10_000, 5, "the integer is too large"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_this_is_an_error_there(text: str, position: int, reason: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert reason in str(caught.value)
    assert caught.value.position == position
    assert f"at character {position + 1}:" in str(caught.value)


def test_both_sides_are_checked_before_anything_is_sent() -> None:
    with pytest.raises(FilterError):
        parse("false and userId gt 5")
    with pytest.raises(FilterError):
        parse("true or length(5) eq 1")


@pytest.mark.parametrize("operator", ["and", "or"])
def test_a_hundred_clauses_are_enough(operator: str) -> None:
    clauses = ["userId ne 'a'"] * MAX_CLAUSES
    assert matches(f" {operator} ".join(clauses))
    with pytest.raises(FilterError, match="more than 100 clauses"):
        parse(f" {operator} ".join([*clauses, "true"]))
    with pytest.raises(FilterError, match="more than 100 clauses"):
        parse(" and ".join(f"(userId eq '{n}' or userId eq '{n}')" for n in range(51)))


def test_a_list_has_at_most_a_hundred_items() -> None:
    users = [f"'user{n}'" for n in range(MAX_CLAUSES)]
    assert matches(f"userId in ({', '.join(users)})", user_id="user99")
    with pytest.raises(FilterError, match="more than 100 clauses"):
        parse(f"userId in ({', '.join(users)}, 'more')")


@pytest.mark.parametrize(
    ("begin", "inner", "end"),
    [("(", "true", ")"), ("not ", "true", ""), ("tolower(", "userId", ")"), ("'a' in (", "'a'", ")")],
)
def test_nothing_is_nested_deeper_than_fifty(begin: str, inner: str, end: str) -> None:
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(FilterError, match="nested deeper"):
            parse(begin * depth + inner + end * depth)


def test_what_is_nested_fifty_times_can_be_read() -> None:
    assert matches("(" * MAX_DEPTH + "true" + ")" * MAX_DEPTH)
    assert matches("not " * MAX_DEPTH + "true")


# Words that filters are made of, some of them wrong.
_PIECES = [
    *("userId", "connectionId", "groups", "protocol", "'a'", "''", "'it''s'", "'", "0", "-1", "99999999999"),
    *("true", "false", "null", "and", "or", "not", "in", "eq", "ne", "gt", "ge", "lt", "le", "(", ")", ",", "(", ")"),
    *("length(", "tolower(", "toupper(", "trim(", "startswith(", "endswith(", "contains(", "indexof(", "concat("),
    *("substring(", "nothing(", "x", "ä", "\n", "\x00", "\ud800", "%", "1.5"),
]


def _try(text: str) -> bool:
    """Whether a text is a filter. Anything but a :exc:`FilterError` comes out."""
    try:
        wanted = parse(text)
    except FilterError:
        return False
    for user_id in (None, "", "a"):
        assert isinstance(wanted.matches(user_id, "c1", ("a", "b"), None), bool)
    return True


def test_ten_thousand_random_inputs_end_in_nothing_but_a_filter_or_its_error() -> None:
    chance = random.Random(20)
    filters = sum(_try(" ".join(chance.choices(_PIECES, k=chance.randint(0, 8)))) for _ in range(10_000))
    assert filters > 10


@given(st.text(max_size=60))
def test_any_text_ends_in_nothing_but_a_filter_or_its_error(text: str) -> None:
    _try(text)


_STRINGS = st.recursive(
    st.sampled_from(["userId", "connectionId", "protocol", "'a'", "''", "'it''s'", "null"]),
    lambda inner: (
        st.builds("{}({})".format, st.sampled_from(["tolower", "toupper", "trim"]), inner)
        | st.builds("concat({}, {})".format, inner, inner)
        | st.builds("substring({}, {}, 1)".format, inner, st.integers(-1, 3))
    ),
    max_leaves=4,
)
_INTEGERS = (
    st.integers(-(2**31), 2**31 - 1).map(str)
    | st.builds("length({})".format, _STRINGS)
    | st.builds("indexof({}, {})".format, _STRINGS, _STRINGS)
    | st.just("length(groups)")
)
_FILTERS = st.recursive(
    st.sampled_from(["true", "false"])
    | st.builds("{} in groups".format, _STRINGS)
    | st.builds("{} in ({}, {})".format, _STRINGS, _STRINGS, _INTEGERS)
    | st.builds("{} {} {}".format, _STRINGS, st.sampled_from(["eq", "ne"]), _STRINGS)
    | st.builds("{} {} {}".format, _INTEGERS, st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]), _INTEGERS)
    | st.builds("{}({}, {})".format, st.sampled_from(["startswith", "endswith", "contains"]), _STRINGS, _STRINGS),
    lambda inner: (
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=8,
)


@given(_FILTERS, st.none() | st.text(max_size=4), st.sets(st.sampled_from(["a", "b"])))
def test_what_is_made_by_the_grammar_is_a_filter(text: str, user_id: str | None, groups: set[str]) -> None:
    result = matches(text, user_id, groups=groups)
    assert matches(f"not ({text})", user_id, groups=groups) is not result


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["and", "or"])), min_size=1, max_size=12))
@settings(max_examples=200)
def test_and_binds_tighter_than_or_as_it_does_in_python(clauses: list[tuple[bool, str]]) -> None:
    words = [word for value, operator in clauses for word in (str(value), operator)][:-1]
    assert matches(" ".join(words).lower()) is eval(" ".join(words))


@given(st.text(max_size=20))
def test_any_user_can_be_named(user_id: str) -> None:
    quoted = "'" + user_id.replace("'", "''") + "'"
    assert matches(f"userId eq {quoted} and userId in ('x', {quoted})", user_id=user_id)
    assert matches(f"length(userId) eq {len(user_id)}", user_id=user_id)
