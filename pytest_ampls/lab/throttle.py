"""ARM's rate limit: a token bucket of reads for each subscription.

Source: learn.microsoft.com, "Understand how Azure Resource Manager throttles requests": a bucket
of 250 reads per subscription and principal, refilled by 25 a second.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Final

__all__ = ["Buckets"]

BURST: Final = 250
REFILL: Final = 25.0


class Buckets:
    """Token buckets; thread-safe. Unlimited ones are always one short of full."""

    def __init__(self, *, limited: bool) -> None:
        self.rate = (BURST, REFILL) if limited else None
        self._levels: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, subscription: str) -> tuple[int, int]:
        """Take a token: return (what is left, 0), or (0, whole seconds to wait)."""
        if self.rate is None:
            return BURST - 1, 0
        now = time.monotonic()
        with self._lock:
            level, since = self._levels.get(subscription, (float(BURST), now))
            level = min(float(BURST), level + (now - since) * REFILL)
            if level < 1:
                self._levels[subscription] = (level, now)
                return 0, max(1, math.ceil((1 - level) / REFILL))
            self._levels[subscription] = (level - 1, now)
            return int(level - 1), 0
