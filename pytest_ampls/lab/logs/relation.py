"""Rows on their way through a query: kept as series for as long as possible.

A machine that sends a row each minute is one series, not 1,440 rows; a fleet's day would be millions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from pytest_ampls.lab.logs.lexer import TICKS

__all__ = ["STEP", "TIME", "Bounds", "Relation", "Row", "Series", "TooLargeError"]

Row = dict[str, Any]

TIME: Final = "TimeGenerated"
STEP: Final = 60 * TICKS
"""Ticks between two rows of a series."""

EXPANDED_AT_MOST: Final = 2_000_000
"""Rows of series that a query may look at one by one."""


class TooLargeError(Exception):
    """A query that would need more time than the service gives it."""


@dataclass(frozen=True)
class Bounds:
    """The moments that a condition lets through, in ticks, both ends included; None where it is open."""

    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class Series:
    """Rows that differ in their time only: ``count`` of them, a step apart, the last at ``newest``."""

    fields: Row
    newest: int
    count: int

    @property
    def oldest(self) -> int:
        """The time of the first row."""
        return self.newest - (self.count - 1) * STEP

    def at(self, moment: int) -> Row:
        """Return the row of a moment."""
        return {**self.fields, TIME: moment}

    def within(self, bounds: Bounds) -> Series | None:
        """Return the part between two moments, None when there is nothing."""
        newest, oldest = self.newest, self.oldest
        if bounds.last is not None and newest > bounds.last:
            newest -= -(-(newest - bounds.last) // STEP) * STEP
        if bounds.first is not None and oldest < bounds.first:
            oldest += -(-(bounds.first - oldest) // STEP) * STEP
        count = (newest - oldest) // STEP + 1
        return replace(self, newest=newest, count=count) if count > 0 else None


@dataclass(frozen=True)
class Relation:
    """Columns with their types, and rows: of series, or one by one."""

    columns: dict[str, str]
    series: tuple[Series, ...] = ()
    plain: Callable[[], Iterator[Row]] | None = None

    def rows(self) -> Iterator[Row]:
        """Iterate over the rows, newest first within a series.

        Raises:
            TooLargeError: there are too many.
        """
        if self.plain is not None:
            yield from self.plain()
            return
        left = EXPANDED_AT_MOST
        for series in self.series:
            left -= series.count
            if left < 0:
                raise TooLargeError
            for number in range(series.count):
                yield series.at(series.newest - number * STEP)

    def ends(self) -> Iterator[tuple[Row, int]]:
        """Iterate over (row, how many it stands for): of a series its newest for all, and its oldest for none.

        Enough for whatever looks at the least and the greatest only.
        """
        if self.plain is not None:
            yield from ((row, 1) for row in self.plain())
            return
        for series in self.series:
            yield series.at(series.newest), series.count
            if series.count > 1:
                yield series.at(series.oldest), 0

    def __len__(self) -> int:
        return sum(weight for _, weight in self.ends())
