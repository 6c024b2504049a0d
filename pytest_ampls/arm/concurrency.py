"""How many requests are under way at once: as many as are allowed, fewer where a service throttles.

Additive increase, multiplicative decrease, as TCP does it (RFC 5681, section 3.1): each answer lets a
little more through, each round of refusals halves what is let through. One service that refuses does
not slow down the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Condition, Event
from typing import Final

__all__ = ["Gate", "Gates"]

_LOOK: Final = 0.5
"""Seconds after which a thread that waits looks whether the run was stopped."""


class Gate:
    """Lets a number of requests to one service through at once. Any thread may use it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._under_way = 0
        self._round = 0
        self._changed = Condition()

    @property
    def limit(self) -> int:
        """How many requests may be under way now; at least one."""
        return max(1, int(self._limit))

    def enter(self, stop: Event) -> int:
        """Wait for a place, and return the round that the request belongs to."""
        with self._changed:
            while self._under_way >= self.limit and not stop.is_set():
                self._changed.wait(_LOOK)
            self._under_way += 1
            return self._round

    def leave(self, entered: int, *, throttled: bool) -> None:
        """Give the place back. Refusals of one round, which were sent together, count once."""
        with self._changed:
            self._under_way -= 1
            if not throttled:
                self._limit = min(float(self._most), self._limit + 1 / max(1.0, self._limit))
            elif entered == self._round:
                self._limit = max(1.0, self._limit / 2)
                self._round += 1
            self._changed.notify_all()


class Gates:
    """One limit for all requests, and within it the gates of the services."""

    def __init__(self, most: int, stop: Event) -> None:
        self._most = most
        self._stop = stop
        self._all = BoundedSemaphore(most)

    def gate(self) -> Gate:
        """Return the gate of one more service."""
        return Gate(self._most)

    @contextmanager
    def through(self, gate: Gate) -> Iterator[list[bool]]:
        """Let one request through; append True to what is yielded where it was throttled."""
        verdict: list[bool] = []
        entered = gate.enter(self._stop)
        try:
            with self._all:
                yield verdict
        finally:
            gate.leave(entered, throttled=any(verdict))
