"""The operator ``summarize`` of log queries: rows into groups, groups into a row each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_ampls.lab.logs.expressions import Reader
from pytest_ampls.lab.logs.lexer import semantic
from pytest_ampls.lab.logs.relation import TIME, Relation, Row

__all__ = ["Step", "aliased", "summarize"]

Step = Callable[[Relation], Relation]


@dataclass
class Group:
    """What an aggregate has seen of one group: how many rows, and the best or the different ones."""

    count: int = 0
    best: Row | None = None
    seen: set[Any] = field(default_factory=set)


@dataclass(frozen=True)
class Aggregate:
    """A part of ``summarize``: the columns that come out, how a row goes in, and how the values come out."""

    columns: dict[str, str]
    add: Callable[[Group, Row, int], None]
    values: Callable[[Group], tuple[Any, ...]]
    every_row: bool = False


Maker = Callable[[Iterable[str]], Aggregate]
"""Makes an aggregate, once it is known which columns the groups are made by."""


def _count(alias: str) -> Aggregate:
    def add(group: Group, _row: Row, weight: int) -> None:
        group.count += weight

    return Aggregate({alias or "count_": "long"}, add, lambda group: (group.count,))


def _distinct_count(alias: str, column: str) -> Aggregate:
    def add(group: Group, row: Row, _weight: int) -> None:
        group.seen.add(row[column])

    name = alias or f"dcount_{column}"
    return Aggregate({name: "long"}, add, lambda group: (len(group.seen),), every_row=column == TIME)


def _extreme(best: str, columns: dict[str, str], sources: tuple[str, ...], *, greatest: bool) -> Aggregate:
    """Return the aggregate that takes columns from the row with the greatest, or the least, value of one."""

    def add(group: Group, row: Row, _weight: int) -> None:
        current = group.best
        if current is None or (row[best] > current[best] if greatest else row[best] < current[best]):
            group.best = row

    def values(group: Group) -> tuple[Any, ...]:
        row = group.best
        return tuple(None if row is None else row[source] for source in sources)

    return Aggregate(columns, add, values)


def aliased(reader: Reader) -> dict[str, str]:
    """Read ``NAME = COLUMN`` or ``COLUMN``, separated by commas: new names to columns."""
    found: dict[str, str] = {}
    while True:
        start = reader.name()
        if reader.accept("="):
            source = reader.column()
        elif reader.token.text == "(":
            raise semantic(f"Unknown function: '{start}'.", "SEM0260")
        elif start not in reader.columns:
            raise reader.unresolved(start)
        else:
            source = start
        _claim(reader, found, start)
        found[start] = source
        if not reader.accept(","):
            return found


def _claim(reader: Reader, found: dict[str, Any], name: str) -> None:
    if name in found:
        raise semantic(f"'{reader.stage}' operator: a column named '{name}' already exists")


def _arguments(reader: Reader, name: str) -> list[str]:
    """Read the columns of an aggregate; a star, where it may be, stands alone as the last."""
    found: list[str] = []
    while reader.token.text != ")":
        star = bool(found) and name.startswith("arg_") and reader.accept("*")
        found.append("*" if star else reader.column())
        if star or not reader.accept(","):
            break
    reader.expect(")")
    return found


def _extreme_of(reader: Reader, name: str, alias: str, columns: list[str]) -> Maker:
    best, greatest, given = columns[0], name.endswith("max"), reader.columns
    if given[best] == "dynamic":
        raise semantic(f"{name}(): argument #1 cannot be dynamic", "SEM0064")
    if name in ("max", "min"):
        single = _extreme(best, {alias or f"{name}_{best}": given[best]}, (best,), greatest=greatest)
        return lambda _grouped: single
    if alias:
        raise semantic(f"{name}(): a name for its first column only is not supported")

    def make(grouped: Iterable[str]) -> Aggregate:
        """Put every column but those that the groups are made by where a star stands."""
        named = [column for column in columns if column != "*"]
        rest = [column for column in given if column not in (*named, *grouped)] if "*" in columns else []
        if len(set(named)) < len(named):
            raise semantic(f"{name}(): a column is named twice")
        sources = (*named, *rest)
        return _extreme(best, {column: given[column] for column in sources}, sources, greatest=greatest)

    return make


_ARITY: Final = {"count": (0, 0), "dcount": (1, 1), "max": (1, 1), "min": (1, 1)}
_AGGREGATES: Final = (*_ARITY, "arg_max", "arg_min")


def _aggregate(reader: Reader) -> Maker:
    name, alias = reader.name(), ""
    if reader.accept("="):
        alias, name = name, reader.name()
    token = reader.token
    if token.text != "(":
        token.refuse()
    if name not in _AGGREGATES:
        raise semantic(f"Unknown function: '{name}'.", "SEM0260")
    reader.next()
    columns = _arguments(reader, name)
    least, most = _ARITY.get(name, (1, 1_000))
    if not least <= len(columns) <= most:
        raise semantic(f"{name}(): the function has another number of arguments", "SEM0219")
    if name in ("count", "dcount"):
        made = _count(alias) if name == "count" else _distinct_count(alias, columns[0])
        return lambda _grouped: made
    return _extreme_of(reader, name, alias, columns)


def summarize(reader: Reader) -> Step:
    """Read the rest of ``summarize``, and return what it does."""
    makers: list[Maker] = []
    if reader.token.text != "by":
        makers.append(_aggregate(reader))
        while reader.accept(","):
            makers.append(_aggregate(reader))
    groups: dict[str, str] = {}
    if reader.accept("by"):
        groups = aliased(reader)
    elif not makers:
        reader.token.refuse()
    given = reader.columns
    columns = {name: given[source] for name, source in groups.items()}
    aggregates = [make(groups.values()) for make in makers]
    for aggregate in aggregates:
        for name, kind in aggregate.columns.items():
            _claim(reader, columns, name)
            columns[name] = kind
    reader.columns = columns
    sources = tuple(groups.values())
    return lambda relation: Relation(
        columns, plain=lambda: _summarized(relation, columns, sources, aggregates)
    )


def _summarized(
    relation: Relation, columns: dict[str, str], sources: tuple[str, ...], aggregates: list[Aggregate]
) -> Iterator[Row]:
    every_row = TIME in sources or any(aggregate.every_row for aggregate in aggregates)
    pairs = ((row, 1) for row in relation.rows()) if every_row else relation.ends()
    groups: dict[tuple[Any, ...], list[Group]] = {}
    if not sources:
        groups[()] = [Group() for _ in aggregates]
    for row, weight in pairs:
        key = tuple(row[source] for source in sources)
        if key not in groups:
            groups[key] = [Group() for _ in aggregates]
        for aggregate, group in zip(aggregates, groups[key], strict=True):
            aggregate.add(group, row, weight)
    for key, found in groups.items():
        values = [value for a, group in zip(aggregates, found, strict=True) for value in a.values(group)]
        yield dict(zip(columns, (*key, *values), strict=True))
