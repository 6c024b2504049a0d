"""Conditions of a log query: read, checked against the columns' types, and made into functions of a row.

The grammar is a part of Kusto's; what is not in it is refused, never guessed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pytest_ampls.lab.logs.lexer import QueryRefusedError, Token, semantic
from pytest_ampls.lab.logs.relation import TIME, Bounds, Row

__all__ = ["Condition", "Reader"]

_DEPTH: Final = 60
"""Parentheses within one another; Kusto has a limit too, and Python's own would end the server's thread."""

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part in text,
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
}


@dataclass(frozen=True)
class Value:
    """A scalar expression: its type, its value in a row, and the columns it reads."""

    type: str
    read: Callable[[Row], Any]
    columns: frozenset[str] = frozenset()
    column: str = ""


@dataclass(frozen=True)
class Condition:
    """A condition on a row; ``bounds`` where it says nothing but when the row was made."""

    holds: Callable[[Row], bool]
    columns: frozenset[str]
    bounds: Bounds | None = None
    parts: tuple[Condition, ...] = ()


class Reader:
    """Reads the words of a query one after the other; ``columns`` are those that there are at this point.

    ``now`` is the moment of the query, in ticks.
    """

    def __init__(self, tokens: list[Token], columns: dict[str, str], now: int) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._now = now
        self.columns = columns
        self.stage = ""

    # -- words -------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        """The next word."""
        return self._tokens[self._at]

    def next(self) -> Token:
        """Take a word."""
        token = self.token
        self._at += token.kind != "end"
        return token

    def accept(self, *texts: str) -> bool:
        """Take the next word if it is one of these."""
        found = self.token.kind in ("name", "mark", "word") and self.token.text in texts
        if found:
            self.next()
        return found

    def expect(self, text: str) -> None:
        """Take a certain word; QueryRefusedError for any other."""
        if not self.accept(text):
            self.token.refuse()

    def name(self) -> str:
        """Take a name."""
        if self.token.kind != "name":
            self.token.refuse()
        return self.next().text

    def column(self) -> str:
        """Take the name of a column that exists."""
        name = self.name()
        if self.token.text == "(":
            raise semantic(f"Unknown function: '{name}'.", "SEM0260")
        if name not in self.columns:
            raise self.unresolved(name)
        return name

    def unresolved(self, name: str) -> QueryRefusedError:
        """Return the refusal of a name that stands for nothing."""
        return semantic(
            f"'{self.stage}' operator: Failed to resolve column or scalar expression named '{name}'"
        )

    # -- conditions --------------------------------------------------------------------------

    def condition(self) -> Condition:
        """Read a condition: alternatives of conjunctions."""
        found = [self._conjunction()]
        while self.accept("or"):
            found.append(self._conjunction())
        if len(found) == 1:
            return found[0]
        return Condition(lambda row: any(part.holds(row) for part in found), _columns(found))

    def _conjunction(self) -> Condition:
        found = [self._single()]
        while self.accept("and"):
            found.append(self._single())
        if len(found) == 1:
            return found[0]
        parts = tuple(deeper for part in found for deeper in (part.parts or (part,)))
        return Condition(lambda row: all(part.holds(row) for part in parts), _columns(found), parts=parts)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEPTH:
            self.token.refuse()

    def _single(self) -> Condition:
        if self.token.text == "not":
            self.next()
            self.expect("(")
            self._deeper()
            inner = self.condition()
            self._close()
            return Condition(lambda row: not inner.holds(row), inner.columns)
        if self.token.text == "(" and self.token.kind == "mark":
            self.next()
            self._deeper()
            inner = self.condition()
            self._close()
            return inner
        if self.token.text in ("isempty", "isnotempty"):
            return self._emptiness()
        return self._comparison(self.value())

    def _close(self) -> None:
        self.expect(")")
        self._depth -= 1

    def _emptiness(self) -> Condition:
        wanted = self.next().text == "isempty"
        self.expect("(")
        value = self.value()
        self.expect(")")
        return Condition(lambda row: (value.read(row) in (None, "")) is wanted, value.columns)

    def _comparison(self, left: Value) -> Condition:
        token = self.next()
        if token.kind == "mark" and token.text in _COMPARISONS:
            return self._ordering(left, token)
        if token.text in ("=~", "!~"):
            right = self._text(self.value(), token)
            self._text(left, token)
            negated = token.text == "!~"
            return Condition(
                lambda row: (str(left.read(row)).lower() == str(right.read(row)).lower()) is not negated,
                left.columns | right.columns,
            )
        bare = token.text.removeprefix("!")
        if bare in ("in", "in~"):
            return self._membership(left, token)
        if bare in (*_TEXT_TESTS, "has"):
            return self._part_of(left, token)
        return token.refuse()

    def _text(self, value: Value, token: Token) -> Value:
        if value.type not in ("string", "dynamic"):
            raise semantic(f"Operator '{token.text}' is not defined for the type {value.type}", "SEM0064")
        return value

    def _ordering(self, left: Value, token: Token) -> Condition:
        right = self.value()
        ordered = token.text in ("==", "!=") or left.type not in ("string", "dynamic", "bool")
        if left.type != right.type or not ordered:
            raise semantic(
                f"Cannot compare values of types {left.type} and {right.type} by '{token.text}'", "SEM0064"
            )
        compare = _COMPARISONS[token.text]
        return Condition(
            lambda row: compare(left.read(row), right.read(row)),
            left.columns | right.columns,
            _bounds(left, token.text, right),
        )

    def _membership(self, left: Value, token: Token) -> Condition:
        self._text(left, token)
        self.expect("(")
        wanted = {self._literal(token)}
        while self.accept(","):
            wanted.add(self._literal(token))
        self.expect(")")
        negated = token.text.startswith("!")
        if token.text.endswith("~"):
            folded = {text.lower() for text in wanted}
            return Condition(lambda row: (left.read(row).lower() in folded) is not negated, left.columns)
        return Condition(lambda row: (left.read(row) in wanted) is not negated, left.columns)

    def _literal(self, token: Token) -> str:
        value = self._text(self.value(), token)
        if value.columns:
            self.token.refuse()
        return str(value.read({}))

    def _part_of(self, left: Value, token: Token) -> Condition:
        right = self._text(self.value(), token)
        self._text(left, token)
        negated, bare = token.text.startswith("!"), token.text.removeprefix("!")
        # Kusto's "has" looks for whole terms; among what the lab holds, ids and names, that is stricter.
        test = _TEXT_TESTS.get(bare, _has)
        return Condition(
            lambda row: test(str(left.read(row)).lower(), str(right.read(row)).lower()) is not negated,
            left.columns | right.columns,
        )

    # -- values ------------------------------------------------------------------------------

    def value(self) -> Value:
        """Read a scalar expression: terms that are added or subtracted."""
        left = self._term()
        while self.token.kind == "mark" and self.token.text in ("+", "-"):
            sign = self.next()
            left = _sum(left, sign, self._term())
        return left

    def _term(self) -> Value:
        token = self.token
        literal = {
            "string": "string",
            "verbatim": "string",
            "number": "long",
            "timespan": "timespan",
            "datetime": "datetime",
        }.get(token.kind)
        if literal is not None:
            value = self.next().value
            return Value(literal, lambda _row: value)
        if token.text in ("ago", "now", "tolower", "toupper", "tostring"):
            return self._call()
        name = self.column()
        return Value(self.columns[name], lambda row: row[name], frozenset({name}), name)

    def _call(self) -> Value:
        token = self.next()
        self.expect("(")
        self._deeper()
        if token.text == "now":
            self._close()
            return Value("datetime", lambda _row: self._now)
        argument = self.value()
        self._close()
        if token.text == "ago":
            if argument.type != "timespan":
                raise semantic(f"ago(): argument #1 is not a timespan but {argument.type}", "SEM0064")
            return Value("datetime", lambda row: self._now - argument.read(row), argument.columns)
        self._text(argument, token)
        change = {"tolower": str.lower, "toupper": str.upper}.get(token.text, str)
        return Value("string", lambda row: change(argument.read(row)), argument.columns)


def _columns(conditions: list[Condition]) -> frozenset[str]:
    return frozenset().union(*(condition.columns for condition in conditions))


def _has(text: str, term: str) -> bool:
    before, found, after = text.partition(term)
    edges = (before[-1:], after[:1])
    return bool(found) and not any(edge.isalnum() or edge == "_" for edge in edges)


def _sum(left: Value, sign: Token, right: Value) -> Value:
    types = {
        ("datetime", "+", "timespan"): "datetime",
        ("datetime", "-", "timespan"): "datetime",
        ("datetime", "-", "datetime"): "timespan",
        ("timespan", "+", "timespan"): "timespan",
        ("timespan", "-", "timespan"): "timespan",
        ("long", "+", "long"): "long",
        ("long", "-", "long"): "long",
    }
    found = types.get((left.type, sign.text, right.type))
    if found is None:
        raise semantic(
            f"Operator '{sign.text}' is not defined for the types {left.type} and {right.type}", "SEM0064"
        )
    combine = operator.add if sign.text == "+" else operator.sub
    return Value(found, lambda row: combine(left.read(row), right.read(row)), left.columns | right.columns)


def _bounds(left: Value, mark: str, right: Value) -> Bounds | None:
    """Return the moments that a comparison lets through, None when it is not of a row's time with a moment."""
    if left.column != TIME or left.type != "datetime" or right.columns:
        return None
    moment = int(right.read({}))
    return {
        "==": Bounds(moment, moment),
        "<": Bounds(None, moment - 1),
        "<=": Bounds(None, moment),
        ">": Bounds(moment + 1, None),
        ">=": Bounds(moment, None),
    }.get(mark)
