"""Log queries: a table and what happens to its rows, in the part of Kusto that the lab understands.

::

    Heartbeat | where … | summarize arg_max(TimeGenerated, ComputerIP) by _ResourceId
              | project … | distinct … | order by … | top N by … | take N | count

Names are case-sensitive, as in Kusto. Source: learn.microsoft.com, "Kusto Query Language overview".
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

from pytest_ampls.lab.logs.aggregates import Step, aliased, summarize
from pytest_ampls.lab.logs.expressions import Condition, Reader
from pytest_ampls.lab.logs.lexer import semantic, tokenize
from pytest_ampls.lab.logs.relation import TIME, Relation, Row, Series, TooLargeError

__all__ = ["SORTED_AT_MOST", "run_query"]

SORTED_AT_MOST: Final = 1_000_000
"""Rows that are put into an order or told apart at the same time; a query with more takes too long."""


def _where(reader: Reader) -> Step:
    condition = reader.condition()
    parts = condition.parts or (condition,)

    def step(relation: Relation) -> Relation:
        simple = all(part.bounds is not None or TIME not in part.columns for part in parts)
        if relation.plain is not None or not simple:
            return Relation(relation.columns, plain=lambda: filter(condition.holds, relation.rows()))
        return Relation(relation.columns, series=_filtered(relation, parts))

    return step


def _filtered(relation: Relation, parts: tuple[Condition, ...]) -> tuple[Series, ...]:
    return tuple(kept for kept in (_part(series, parts) for series in relation.series) if kept is not None)


def _part(series: Series | None, parts: tuple[Condition, ...]) -> Series | None:
    """Return the rows of a series that conditions let through, None when there are none."""
    for part in parts:
        if series is None:
            return None
        if part.bounds is not None:
            series = series.within(part.bounds)
        elif not part.holds(series.fields):
            return None
    return series


def _names(reader: Reader) -> list[str]:
    names = [reader.column()]
    while reader.accept(","):
        names.append(reader.column())
    return names


def _project(reader: Reader) -> Step:
    sources = aliased(reader)
    columns = {name: reader.columns[source] for name, source in sources.items()}
    reader.columns = columns

    def rows(relation: Relation) -> Iterator[Row]:
        return ({name: row[source] for name, source in sources.items()} for row in relation.rows())

    return lambda relation: Relation(columns, plain=lambda: rows(relation))


def _distinct(reader: Reader) -> Step:
    names = _names(reader)
    columns = {name: reader.columns[name] for name in names}
    reader.columns = columns

    def rows(relation: Relation) -> Iterator[Row]:
        seen: set[tuple[Any, ...]] = set()
        pairs = ((row, 1) for row in relation.rows()) if TIME in columns else relation.ends()
        for row, _ in pairs:
            key = tuple(row[name] for name in names)
            if key not in seen:
                seen.add(key)
                _check_size(seen)
                yield dict(zip(names, key, strict=True))

    return lambda relation: Relation(columns, plain=lambda: rows(relation))


def _check_size(kept: set[Any] | list[Any]) -> None:
    if len(kept) > SORTED_AT_MOST:
        raise TooLargeError


def _keys(reader: Reader) -> list[tuple[str, bool]]:
    """Read what to sort by: columns, and whether each is descending, as it is unless told otherwise."""
    keys = []
    while True:
        column = reader.column()
        descending = not reader.accept("asc")
        if descending:
            reader.accept("desc")
        keys.append((column, descending))
        if not reader.accept(","):
            return keys


def _order(reader: Reader) -> Step:
    reader.expect("by")
    keys = _keys(reader)

    def rows(relation: Relation) -> Iterator[Row]:
        kept = list(itertools.islice(relation.rows(), SORTED_AT_MOST + 1))
        _check_size(kept)
        for column, descending in reversed(keys):
            kept.sort(key=lambda row: row[column], reverse=descending)
        return iter(kept)

    return lambda relation: Relation(relation.columns, plain=lambda: rows(relation))


def _number(reader: Reader) -> int:
    if reader.token.kind != "number":
        reader.token.refuse()
    return int(reader.next().value)


def _top(reader: Reader) -> Step:
    number = _number(reader)
    reader.expect("by")
    ((column, descending), *others) = _keys(reader)
    if others:
        reader.token.refuse()
    pick = heapq.nlargest if descending else heapq.nsmallest

    def rows(relation: Relation) -> Iterator[Row]:
        if number > SORTED_AT_MOST:
            raise TooLargeError
        return iter(pick(number, relation.rows(), key=lambda row: row[column]))

    return lambda relation: Relation(relation.columns, plain=lambda: rows(relation))


def _take(reader: Reader) -> Step:
    number = _number(reader)
    return lambda relation: Relation(
        relation.columns, plain=lambda: itertools.islice(relation.rows(), number)
    )


def _count_rows(reader: Reader) -> Step:
    columns = {"Count": "long"}
    reader.columns = columns
    return lambda relation: Relation(columns, plain=lambda: iter([{"Count": len(relation)}]))


_OPERATORS: Final[dict[str, Callable[[Reader], Step]]] = {
    "where": _where,
    "project": _project,
    "distinct": _distinct,
    "order": _order,
    "sort": _order,
    "top": _top,
    "take": _take,
    "limit": _take,
    "count": _count_rows,
    "summarize": summarize,
}


def run_query(text: str, tables: dict[str, Relation], now: int) -> Relation:
    """Read a query and put the rows of its table through it; they are computed when they are asked for.

    ``now`` is the moment of the query, in ticks.

    Raises:
        QueryRefusedError: it is not in the part of the language, or names what there is not.
        TooLargeError: also later, from the rows: it would take too long.
    """
    tokens = tokenize(text)
    reader = Reader(tokens, {}, now)
    table = reader.name()
    if reader.token.text == "(":
        raise semantic(f"Unknown function: '{table}'.", "SEM0260")
    if table not in tables:
        stage = tokens[2].text if tokens[1].text == "|" else ""
        where = f"'{stage}' operator: " if stage else ""
        raise semantic(f"{where}Failed to resolve table or column expression named '{table}'")
    relation = tables[table]
    reader.columns = relation.columns
    steps = []
    while reader.accept("|"):
        verb = reader.token
        if verb.text not in _OPERATORS:
            verb.refuse()
        reader.stage = reader.next().text
        steps.append(_OPERATORS[verb.text](reader))
    if reader.token.kind != "end":
        reader.token.refuse()
    for step in steps:
        relation = step(relation)
    return relation
