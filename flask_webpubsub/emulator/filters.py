"""The filter language, which picks connections for a REST call.

It is the part of OData that the service documents. A filter is read and its types are checked before anything is sent::

    'room' in groups and not (userId eq 'alice' or length(userId) gt 20)

``not`` binds tightest, then the comparisons, ``and``, ``or``. Names of properties are read in any case; operators and
functions are not, and values are compared as they stand. Lengths and positions count characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from enum import Enum
from operator import ge, gt, le, lt
from typing import Any, NamedTuple

#: How many clauses ``and`` and ``or`` may join, and items a list may have.
MAX_CLAUSES = 100
#: How deep parentheses, ``not`` and functions may be nested.
MAX_DEPTH = 50


class FilterError(ValueError):
    """Raised when a filter can not be read.

    :param position: of the fault, in characters from the filter's start.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"The filter is wrong at character {position + 1}: {message}")
        self.position = position


class Filter:
    """A filter that was read; :func:`parse` makes it."""

    def __init__(self, text: str, test: Callable[[_Subject], Any]) -> None:
        self.text = text
        self._test = test

    def matches(
        self, user_id: str | None, connection_id: str, groups: Collection[str], protocol: str | None = None
    ) -> bool:
        """Whether a connection is one of those that the filter picks.

        :param protocol: the subprotocol of the connection.
        """
        return bool(self._test(_Subject(user_id, connection_id, groups, protocol)))

    def __repr__(self) -> str:
        return f"<Filter {self.text!r}>"


def parse(text: str) -> Filter:
    """Read a filter.

    :raises FilterError: if it is no filter, asks for something impossible, or is too large.
    """
    return Filter(text, _Parser(text).parse())


class _Subject(NamedTuple):
    """What filters ask about."""

    user_id: str | None
    connection_id: str
    groups: Collection[str]
    protocol: str | None


class _Kind(Enum):
    """The type of a value. Any but a Boolean may turn out to be null."""

    BOOL = "a Boolean"
    INT = "an integer"
    STRING = "a string"
    NULL = "null"
    COLLECTION = "a collection"


class _Expression(NamedTuple):
    """Something that has a value for each connection."""

    kind: _Kind
    position: int
    value: Callable[[_Subject], Any]


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


_TOKENS = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^']|'')*')
        | (?P<integer>[+-]?[0-9]+)(?![0-9A-Za-z_.])
        | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
        | (?P<sign>[(),])
        | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_LITERALS = {
    "true": (_Kind.BOOL, True),
    "false": (_Kind.BOOL, False),
    "null": (_Kind.NULL, None),
}
_PROPERTIES: dict[str, tuple[_Kind, Callable[[_Subject], Any]]] = {
    "userid": (_Kind.STRING, lambda subject: subject.user_id),
    "connectionid": (_Kind.STRING, lambda subject: subject.connection_id),
    "groups": (_Kind.COLLECTION, lambda subject: subject.groups),
    "protocol": (_Kind.STRING, lambda subject: subject.protocol),
}
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"gt": gt, "ge": ge, "lt": lt, "le": le}
_COMPARISONS = {"eq", "ne", "in", *_ORDERS}
_OPERATORS = {"and", "or", "not", *_COMPARISONS}


class _Parser:
    """Reads one filter by recursive descent: a method for each level of precedence."""

    def __init__(self, text: str) -> None:
        self._tokens = _split(text)
        self._next = next(self._tokens)
        self._clauses = 0
        self._depth = 0

    def parse(self) -> Callable[[_Subject], Any]:
        expression = self._read_or()
        if self._next.kind != "end":
            raise self._unexpected("an operator or the end")
        _verify(expression, _Kind.BOOL)
        return expression.value

    def _read_or(self) -> _Expression:
        return self._read_joined("or", self._read_and, any)

    def _read_and(self) -> _Expression:
        return self._read_joined("and", self._read_comparison, all)

    def _read_joined(
        self, operator: str, read: Callable[[], _Expression], join: Callable[[Iterator[bool]], bool]
    ) -> _Expression:
        first = read()
        if not self._is_word(operator):
            return first
        clauses = [_verify(first, _Kind.BOOL).value]
        while self._is_word(operator):
            self._count(self._take())
            clauses.append(_verify(read(), _Kind.BOOL).value)
        return _Expression(_Kind.BOOL, first.position, lambda subject: join(clause(subject) for clause in clauses))

    def _read_comparison(self) -> _Expression:
        left = self._read_not()
        operator = self._next
        if operator.kind != "word" or operator.text not in _COMPARISONS:
            return left
        self._take()
        if operator.text == "in":
            return self._read_in(left)
        right = self._read_not()
        if operator.text in _ORDERS:
            return _compare_order(left, right, _ORDERS[operator.text])
        return _compare_equal(left, right, operator.text == "eq")

    def _read_in(self, left: _Expression) -> _Expression:
        _verify(left, *_SINGLE)
        value = left.value
        right = self._read_collection()
        if isinstance(right, _Expression):
            groups = right.value
            return _Expression(_Kind.BOOL, left.position, lambda subject: value(subject) in groups(subject))
        items = [item.value for item in right]
        return _Expression(
            _Kind.BOOL, left.position, lambda subject: any(_equal(value(subject), item(subject)) for item in items)
        )

    def _read_collection(self) -> _Expression | list[_Expression]:
        """What stands after ``in``: a collection, or the items of a list."""
        if self._next.text != "(":
            return _verify(self._read_operand(), _Kind.COLLECTION)
        items = self._read_arguments()
        if len(items) == 1 and items[0].kind is _Kind.COLLECTION:
            return items[0]
        return [_verify(item, *_SINGLE) for item in items]

    def _read_not(self) -> _Expression:
        if not self._is_word("not"):
            return self._read_operand()
        operator = self._take()
        negated = _verify(self._read_nested(self._read_not), _Kind.BOOL).value
        return _Expression(_Kind.BOOL, operator.position, lambda subject: not negated(subject))

    def _read_operand(self) -> _Expression:
        token = self._next
        match token.kind:
            case "string":
                self._take()
                return _constant(_Kind.STRING, token, token.text[1:-1].replace("''", "'"))
            case "integer":
                self._take()
                return _constant(_Kind.INT, token, _read_integer(token))
            case "word" if token.text not in _OPERATORS:
                self._take()
                return self._read_call(token) if self._next.text == "(" else _read_word(token)
            case "sign" if token.text == "(":
                self._take()
                inner = self._read_nested(self._read_or)
                self._expect(")")
                return inner
        raise self._unexpected("a value")

    def _read_call(self, name: _Token) -> _Expression:
        function = _FUNCTIONS.get(name.text)
        if function is None:
            raise FilterError(f"there is no function {name.text!r}.", name.position)
        arguments = self._read_arguments()
        if not function.least <= len(arguments) <= len(function.parameters):
            raise FilterError(f"{name.text} does not take {len(arguments)} arguments.", name.position)
        for argument, kinds in zip(arguments, function.parameters, strict=False):
            _verify(argument, *kinds, _Kind.NULL)
        values, call = [argument.value for argument in arguments], function.call
        return _Expression(function.kind, name.position, lambda subject: call(*(value(subject) for value in values)))

    def _read_arguments(self) -> list[_Expression]:
        self._expect("(")
        arguments = [self._read_nested(self._read_or)]
        while self._next.text == ",":
            self._count(self._take(), len(arguments))
            arguments.append(self._read_nested(self._read_or))
        self._expect(")")
        return arguments

    def _read_nested(self, read: Callable[[], _Expression]) -> _Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(f"it is nested deeper than {MAX_DEPTH}.", self._next.position)
        expression = read()
        self._depth -= 1
        return expression

    def _count(self, token: _Token, items: int | None = None) -> None:
        if items is None:
            items = self._clauses = self._clauses + 1
        if items >= MAX_CLAUSES:
            raise FilterError(f"it has more than {MAX_CLAUSES} clauses.", token.position)

    def _is_word(self, text: str) -> bool:
        return self._next.kind == "word" and self._next.text == text

    def _expect(self, sign: str) -> None:
        if self._next.kind != "sign" or self._next.text != sign:
            raise self._unexpected(repr(sign))
        self._take()

    def _take(self) -> _Token:
        token = self._next
        self._next = next(self._tokens)
        return token

    def _unexpected(self, wanted: str) -> FilterError:
        found = "the end" if self._next.kind == "end" else repr(self._next.text)
        return FilterError(f"{found} stands where {wanted} is due.", self._next.position)


_SINGLE = (_Kind.BOOL, _Kind.INT, _Kind.STRING, _Kind.NULL)


def _split(text: str) -> Iterator[_Token]:
    position = 0
    while True:
        match = _TOKENS.match(text, position)
        if match is None:
            position += len(text[position:]) - len(text[position:].lstrip())
            raise FilterError(f"{text[position : position + 10]!r} can not be read.", position)
        kind = match.lastgroup or ""
        yield _Token(kind, match.group(kind), match.start(kind))
        # There is always one more end.
        position = match.end()


def _verify(expression: _Expression, *kinds: _Kind) -> _Expression:
    if expression.kind not in kinds:
        wanted = "a single value" if kinds == _SINGLE else kinds[0].value
        raise FilterError(f"{expression.kind.value} stands where {wanted} is due.", expression.position)
    return expression


def _constant(kind: _Kind, token: _Token, value: Any) -> _Expression:
    return _Expression(kind, token.position, lambda subject: value)


def _read_integer(token: _Token) -> int:
    # Integers have 32 bits. The check of the length keeps very long ones from being read at all.
    if len(token.text) > 11 or not -(2**31) <= int(token.text) < 2**31:
        raise FilterError("the integer is too large.", token.position)
    return int(token.text)


def _read_word(token: _Token) -> _Expression:
    if token.text in _LITERALS:
        kind, value = _LITERALS[token.text]
        return _constant(kind, token, value)
    found = _PROPERTIES.get(token.text.lower())
    if found is None:
        raise FilterError(f"a connection has no {token.text!r}.", token.position)
    return _Expression(found[0], token.position, found[1])


def _compare_equal(left: _Expression, right: _Expression, wanted: bool) -> _Expression:
    one, other = _verify(left, *_SINGLE).value, _verify(right, *_SINGLE).value
    return _Expression(_Kind.BOOL, left.position, lambda subject: _equal(one(subject), other(subject)) is wanted)


def _compare_order(left: _Expression, right: _Expression, order: Callable[[Any, Any], bool]) -> _Expression:
    one, other = (_verify(side, _Kind.INT, _Kind.NULL).value for side in (left, right))

    def compare(subject: _Subject) -> bool:
        values = one(subject), other(subject)
        return None not in values and order(*values)

    return _Expression(_Kind.BOOL, left.position, compare)


def _equal(one: Any, other: Any) -> bool:
    # For Python alone, True is 1.
    return type(one) is type(other) and bool(one == other)


class _Function(NamedTuple):
    """A function: its type, the types that each of its arguments may have, and how many of them it needs."""

    kind: _Kind
    parameters: Sequence[tuple[_Kind, ...]]
    least: int
    call: Callable[..., Any]


def _of_strings(kind: _Kind, call: Callable[..., Any], null: Any = None, count: int = 2) -> _Function:
    """A function of strings that is ``null`` where one of them is null."""

    def guarded(*arguments: str | None) -> Any:
        return null if None in arguments else call(*arguments)

    return _Function(kind, [(_Kind.STRING,)] * count, count, guarded)


def _concat(left: str | None, right: str | None) -> str | None:
    return None if left is None and right is None else (left or "") + (right or "")


def _substring(text: str | None, start: int | None, *length: int | None) -> str | None:
    """A part of a string; null where it would reach beyond."""
    if text is None or start is None or None in length:
        return None
    end = start + (length[0] or 0) if length else len(text)
    return text[start:end] if 0 <= start <= end <= len(text) else None


_FUNCTIONS = {
    "length": _Function(
        _Kind.INT, [(_Kind.STRING, _Kind.COLLECTION)], 1, lambda value: None if value is None else len(value)
    ),
    "tolower": _of_strings(_Kind.STRING, str.lower, count=1),
    "toupper": _of_strings(_Kind.STRING, str.upper, count=1),
    "trim": _of_strings(_Kind.STRING, str.strip, count=1),
    "startswith": _of_strings(_Kind.BOOL, str.startswith, False),
    "endswith": _of_strings(_Kind.BOOL, str.endswith, False),
    "contains": _of_strings(_Kind.BOOL, str.__contains__, False),
    "indexof": _of_strings(_Kind.INT, str.find, -1),
    "concat": _Function(_Kind.STRING, [(_Kind.STRING,)] * 2, 2, _concat),
    "substring": _Function(_Kind.STRING, [(_Kind.STRING,), (_Kind.INT,), (_Kind.INT,)], 2, _substring),
}
