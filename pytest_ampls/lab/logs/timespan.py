"""The ``timespan`` of a request: ISO 8601, a duration or an interval, beside what the query itself says."""

from __future__ import annotations

import re
from typing import Final

from pytest_ampls.lab.logs.lexer import TICKS, semantic, ticks_of
from pytest_ampls.lab.logs.relation import Bounds, Relation

__all__ = ["within"]

_DURATION: Final = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_SECONDS: Final = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}


def _duration(text: str) -> int | None:
    match = _DURATION.fullmatch(text)
    if match is None or text.endswith(("P", "T")):
        return None
    parts = match.groupdict(default="0")
    return round(sum(float(parts[unit]) * seconds for unit, seconds in _SECONDS.items()) * TICKS)


def _interval(text: str, now: int) -> Bounds:
    """Return the moments of a timespan; ValueError when it is none."""
    first, slash, last = text.partition("/")
    length = _duration(first)
    if not slash:
        if length is None:
            raise ValueError(text)
        return Bounds(now - length, None)
    if length is not None:
        end = ticks_of(last)
        return Bounds(end - length, end)
    start, length = ticks_of(first), _duration(last)
    return Bounds(start, ticks_of(last) if length is None else start + length)


def within(table: Relation, timespan: str, now: int) -> Relation:
    """Return the rows of a table within a timespan, seen from a moment in ticks; all of them for ``""``.

    Raises:
        QueryRefusedError: it is no timespan.
    """
    if not timespan:
        return table
    try:
        bounds = _interval(timespan, now)
    except (ValueError, OverflowError):
        raise semantic(f"Invalid timespan: '{timespan}'") from None
    parts = (series.within(bounds) for series in table.series)
    return Relation(table.columns, series=tuple(part for part in parts if part is not None))
