"""What a long read says meanwhile: now and then a line, in a terminal and in the log of a pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

__all__ = ["Progress"]

_FIRST: Final = 2.0
_EVERY: Final = 10.0


class Progress:
    """Passes on a line of text now and then, and holds back the others. Any thread may call it.

    A read that ends within ``first`` seconds says nothing; afterwards there is at most one line in
    ``every`` seconds. ``say`` gets the line. ``clock`` returns monotonic seconds.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        first: float = _FIRST,
        every: float = _EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._every = every
        self._clock = clock
        self._lock = Lock()
        self._began = clock()
        self._next = self._began + first

    def __call__(self, text: str) -> None:
        """Take a line, and pass it on with the seconds since the beginning where it is time for one."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                return
            self._next = now + self._every
        self._say(f"ampls: {text} ({now - self._began:.0f} s)")
