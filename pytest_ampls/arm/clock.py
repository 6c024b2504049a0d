"""The seam to time: what the reader waits for can be watched, and skipped, by a test."""

from __future__ import annotations

import time
from threading import Event
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What tells the time and waits."""

    def time(self) -> float:
        """Return seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def wait(self, seconds: float, stop: Event) -> None:
        """Return after some seconds, or as soon as ``stop`` is set."""


class SystemClock:
    """The machine's own clock."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def wait(self, seconds: float, stop: Event) -> None:
        """Sleep; an interrupted run must not sleep to the end of a Retry-After."""
        stop.wait(seconds)
