"""The little of KQL that the lab understands; anything else is refused, never guessed.

::

    TABLE | where COLUMN =~ 'x' [and …] | where COLUMN in~ ('x', 'y')
          | project COLUMN, ALIAS = COLUMN | order by COLUMN asc | limit N | count

A column may be a path (``properties.virtualMachineScaleSet.id``); projected without an alias it is
called ``properties_virtualMachineScaleSet_id``, as Kusto calls it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Query", "QueryRefusedError", "parse_query"]

Row = dict[str, Any]

_PATH = r"[A-Za-z_]\w*(?:\.\w+)*"
_LITERAL = r"'[^']*'|\"[^\"]*\""
_EQUALS: Final = re.compile(rf"({_PATH})\s*(=~|==)\s*({_LITERAL})")
_IN: Final = re.compile(rf"({_PATH})\s+(in~|in)\s*\(\s*((?:{_LITERAL})(?:\s*,\s*(?:{_LITERAL}))*)\s*\)")
_COLUMN: Final = re.compile(rf"(?:(\w+)\s*=\s*)?({_PATH})")
_ORDER: Final = re.compile(rf"(?:order|sort)\s+by\s+({_PATH})(?:\s+(asc|desc))?", re.IGNORECASE)
_LIMIT: Final = re.compile(r"(?:limit|take)\s+(\d+)", re.IGNORECASE)
_STAGES: Final = re.compile(rf"((?:{_LITERAL}|[^|'\"])+)(?:\||$)")


class QueryRefusedError(Exception):
    """A query that the lab does not understand; carries the offending text."""

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.token = token


@dataclass(frozen=True)
class Query:
    """A parsed query: a lower-cased table and what happens to its rows, in order.

    ``keeps_id`` says whether the result has the ``id`` column, which paging needs.
    """

    table: str
    steps: tuple[Callable[[list[Row]], list[Row]], ...]
    keeps_id: bool

    def run(self, rows: list[Row]) -> list[Row]:
        """Return the rows that come out when these rows of the table go in."""
        for step in self.steps:
            rows = step(rows)
        return rows


def _read(row: Row, path: str) -> Any:
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _texts(literals: str) -> list[str]:
    return [text[1:-1] for text in re.findall(_LITERAL, literals)]


def _condition(text: str) -> Callable[[Row], bool]:
    text = text.strip()
    match = _EQUALS.fullmatch(text) or _IN.fullmatch(text)
    if match is None:
        raise QueryRefusedError(text)
    path, operator, wanted = match[1], match[2], set(_texts(match[3]))
    if operator.endswith("~"):
        folded = {value.lower() for value in wanted}
        return lambda row: str(_read(row, path) or "").lower() in folded
    return lambda row: _read(row, path) in wanted


def _where(text: str) -> Callable[[list[Row]], list[Row]]:
    conditions = [_condition(part) for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE)]
    return lambda rows: [row for row in rows if all(condition(row) for condition in conditions)]


def _project(text: str) -> tuple[Callable[[list[Row]], list[Row]], bool]:
    columns: dict[str, str] = {}
    for part in text.split(","):
        match = _COLUMN.fullmatch(part.strip())
        if match is None:
            raise QueryRefusedError(part.strip())
        columns[match[1] or match[2].replace(".", "_")] = match[2]

    def project(rows: list[Row]) -> list[Row]:
        return [{name: _read(row, path) for name, path in columns.items()} for row in rows]

    return project, "id" in columns


def _order(text: str) -> Callable[[list[Row]], list[Row]]:
    match = _ORDER.fullmatch(text)
    if match is None:
        raise QueryRefusedError(text)
    # Kusto sorts descending unless told otherwise.
    descending = (match[2] or "desc").lower() == "desc"
    return lambda rows: sorted(rows, key=lambda row: str(_read(row, match[1]) or ""), reverse=descending)


def _limit(text: str) -> Callable[[list[Row]], list[Row]]:
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise QueryRefusedError(text)
    count = int(match[1])
    return lambda rows: rows[:count]


def parse_query(text: str) -> Query:
    """Parse a query.

    Raises:
        QueryRefusedError: it is not in the subset, or not KQL at all.
    """
    stages = [stage.strip() for stage in _STAGES.findall(text.strip())]
    if not stages or not re.fullmatch(r"[A-Za-z]\w*", stages[0]):
        raise QueryRefusedError(stages[0] if stages else "<EOF>")
    steps: list[Callable[[list[Row]], list[Row]]] = []
    keeps_id = True
    for stage in stages[1:]:
        verb, _, rest = stage.partition(" ")
        if verb.lower() == "where":
            steps.append(_where(rest))
        elif verb.lower() == "project":
            step, keeps_id = _project(rest)
            steps.append(step)
        elif verb.lower() in ("order", "sort"):
            steps.append(_order(stage))
        elif verb.lower() in ("limit", "take"):
            steps.append(_limit(stage))
        elif stage.lower() == "count":
            steps.append(lambda rows: [{"Count": len(rows)}])
            keeps_id = True
        else:
            raise QueryRefusedError(stage)
    return Query(stages[0].lower(), tuple(steps), keeps_id)
