"""The words of a log query, and what is said of a query that is refused.

Source of the refusals' shape: the troubleshooting page of Azure.Monitor.Query (``SYN0002``), and issue 3002 of
Azure/azure-cli-extensions (``SEM0100``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

__all__ = ["TICKS", "QueryRefusedError", "Token", "semantic", "ticks_of", "tokenize"]

TICKS: Final = 10_000_000
"""Kusto counts time in units of 100 nanoseconds: so many make a second."""

_DIGITS: Final = 18
"""Digits of a number: what is longer may not fit into 64 bits."""

_SECONDS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n]+|//[^\n]*)
  | (?P<verbatim>@"[^"]*"|@'[^']*')
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
  | (?P<datetime>datetime\([^)]*\))
  | (?P<timespan>[0-9]+(?:\.[0-9]+)?(?:ms|[dhms])\b)
  | (?P<number>[0-9]+\b)
  | (?P<word>!?in~|!(?:in|has|contains|startswith|endswith)\b)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<mark>==|=~|!=|!~|<=|>=|[|(),=<>*+-])
    """,
    re.VERBOSE,
)


class QueryRefusedError(Exception):
    """A query that is not answered; ``error`` is the inner error that says why."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["innererror"]["message"])
        self.error = error


@dataclass(frozen=True)
class Token:
    """One word: its kind, its text, the value of a literal (times in ticks), where it stands."""

    kind: str
    text: str
    value: Any
    line: int
    position: int

    def refuse(self) -> NoReturn:
        """Refuse the query at this word."""
        shown = self.text or "<EOF>"
        raise QueryRefusedError(
            {
                "code": "SyntaxError",
                "message": "A recognition error occurred in the query.",
                "innererror": {
                    "code": "SYN0002",
                    "message": f"Query could not be parsed at '{shown}' on line [{self.line},{self.position}]",
                    "line": self.line,
                    "pos": self.position,
                    "token": shown,
                },
            }
        )


def semantic(message: str, code: str = "SEM0100") -> QueryRefusedError:
    """Return the refusal of a query that can be read, but means nothing."""
    return QueryRefusedError(
        {
            "code": "SemanticError",
            "message": "A semantic error occurred.",
            "innererror": {"code": code, "message": message},
        }
    )


def ticks_of(text: str) -> int:
    """Return a moment of ISO 8601 in ticks since 1970; without an offset it is UTC.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * TICKS + since.microseconds * 10


def _unescaped(token: Token) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            token.refuse()
        return _ESCAPES[match[1]]

    return re.sub(r"\\(.)", replace, token.text[1:-1])


def _value(token: Token) -> Any:
    """Return the value of a literal, None for any other word."""
    if token.kind == "verbatim":
        return token.text[2:-1]
    if token.kind == "string":
        return _unescaped(token)
    if token.kind == "number":
        return int(token.text) if len(token.text) <= _DIGITS else token.refuse()
    if token.kind == "timespan":
        unit = token.text.lstrip("0123456789.")
        number = token.text.removesuffix(unit)
        return round(float(number) * _SECONDS[unit] * TICKS) if len(number) <= _DIGITS else token.refuse()
    if token.kind == "datetime":
        try:
            return ticks_of(token.text[len("datetime(") : -1])
        except (ValueError, OverflowError):
            token.refuse()
    return None


def tokenize(text: str) -> list[Token]:
    """Take a query apart; the last word is the empty one at its end.

    Raises:
        QueryRefusedError: something in it is no word of the language.
    """
    tokens: list[Token] = []
    at, line, line_start = 0, 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            Token("", text[at], None, line, at - line_start).refuse()
        token = Token(str(match.lastgroup), match[0], None, line, at - line_start)
        if token.kind != "space":
            tokens.append(replace(token, value=_value(token)))
        at = match.end()
        breaks = match[0].count("\n")
        if breaks:
            line, line_start = line + breaks, match.start() + match[0].rindex("\n") + 1
    tokens.append(Token("end", "", None, line, at - line_start))
    return tokens
