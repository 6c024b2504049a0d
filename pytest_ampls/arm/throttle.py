"""How fast to ask, how long to wait, and how much of that was done.

ARM's limits are per subscription and principal: a bucket of 250 reads that refills by 25 a second.
The services behind it have limits of their own, which they tell by 429; each is paced for itself as well. Source: https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from threading import Lock
from typing import Final, NamedTuple

import msgspec

from pytest_ampls.arm.clock import Clock
from pytest_ampls.arm.concurrency import Gate, Gates
from pytest_ampls.model.evidence import Statistics

__all__ = ["ARM_RATE", "Ledger", "QueryQuota", "Rate", "Service", "Throttle", "TokenBucket"]

_LONGEST_HOLD: Final = 10.0
_GRAPH: Final = "microsoft.resourcegraph"
_SPAN: Final = re.compile(r"\s*(\d{1,4}):(\d\d):(\d\d)(?:\.\d+)?\s*")
_SUBSCRIPTION: Final = re.compile(r"(?i)/subscriptions/([^/]+)")
_PROVIDER: Final = re.compile(r"(?i)/providers/([^/]+)")


class Rate(msgspec.Struct, frozen=True):
    """A burst of requests, and how many a second are allowed after it."""

    burst: float = 250.0
    per_second: float = 25.0


ARM_RATE: Final = Rate()


class TokenBucket:
    """Paces the requests to one service of one subscription. Any thread may use it."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = Lock()
        self._tokens = rate.burst
        self._at = clock.monotonic()
        self._held_until = self._at

    def reserve(self) -> float:
        """Take a token and return the seconds to wait before using it.

        The bucket may go into debt: each caller then waits for its own place in the queue, and
        nobody has to ask twice.
        """
        with self._lock:
            now = self._clock.monotonic()
            self._tokens = min(self._rate.burst, self._tokens + (now - self._at) * self._rate.per_second)
            self._at = now
            self._tokens -= 1
            debt = max(0.0, -self._tokens) / self._rate.per_second
            return max(debt, self._held_until - now)

    def observe(self, headers: Mapping[str, str]) -> None:
        """Believe the service about what is left, where that is less than we thought."""
        remaining = headers.get("x-ms-ratelimit-remaining-subscription-reads") or ""
        if remaining.isdecimal():
            with self._lock:
                self._tokens = min(self._tokens, float(remaining))

    def hold(self, seconds: float) -> None:
        """Let nobody through for a while, because one request was throttled.

        Bounded, since the service may have meant only that one operation.
        """
        with self._lock:
            until = self._clock.monotonic() + min(seconds, _LONGEST_HOLD)
            self._held_until = max(self._held_until, until)


class QueryQuota(TokenBucket):
    """Paces queries of Resource Graph, by what its answers say is left of the user's quota.

    The quota is no fixed number, so the headers alone tell: how many queries are left, and when
    there will be more. A query on its way when an answer arrives may not be counted in it yet.
    Source: https://learn.microsoft.com/azure/governance/resource-graph/concepts/guidance-for-throttled-requests
    """

    def __init__(self, rate: Rate, clock: Clock) -> None:
        super().__init__(rate, clock)
        self._left: int | None = None
        self._renewed_at = 0.0
        self._under_way = 0

    def reserve(self) -> float:
        """Take one of the queries that are left, and return the seconds to wait before sending it."""
        with self._lock:
            now = self._clock.monotonic()
            self._under_way += 1
            if self._left is not None and now >= self._renewed_at:
                self._left = None
            wait = max(0.0, self._held_until - now)
            if self._left is None:
                return wait
            self._left -= 1
            return wait if self._left >= 0 else max(wait, self._renewed_at - now)

    def observe(self, headers: Mapping[str, str]) -> None:
        """Believe the service about what is left, and until when."""
        span = _SPAN.fullmatch(headers.get("x-ms-user-quota-resets-after") or "")
        remaining = headers.get("x-ms-user-quota-remaining") or ""
        with self._lock:
            self._under_way = max(0, self._under_way - 1)
            if span is None or not remaining.isdecimal():
                return
            seconds = int(span[1]) * 3600 + int(span[2]) * 60 + int(span[3])
            self._left = int(remaining) - self._under_way
            self._renewed_at = self._clock.monotonic() + min(seconds, _LONGEST_HOLD)


class Service(NamedTuple):
    """What paces the requests to one service of one subscription: how fast, and how many at once.

    ``whole`` is the bucket of the subscription, which its services share; the index has none, but a quota.
    """

    bucket: TokenBucket
    gate: Gate
    whole: TokenBucket | None

    def reserve(self) -> float:
        """Take a token, and return the seconds to wait before using it."""
        wait = self.bucket.reserve()
        return wait if self.whole is None else max(wait, self.whole.reserve())

    def observe(self, headers: Mapping[str, str]) -> None:
        """Believe the service about what is left, where that is less than we thought."""
        for bucket in (self.bucket, self.whole):
            if bucket is not None:
                bucket.observe(headers)


class Throttle:
    """The buckets and gates, one of each for each subscription and resource provider."""

    def __init__(self, rate: Rate, clock: Clock, gates: Gates) -> None:
        self.gates = gates
        self._rate = rate
        self._clock = clock
        self._lock = Lock()
        self._services: dict[tuple[str, str], Service] = {}
        self._whole: dict[str, TokenBucket] = {}

    def service(self, path: str) -> Service:
        """Return what paces a URL or path: the last provider in it serves the request."""
        subscription = _SUBSCRIPTION.search(path)
        providers = _PROVIDER.findall(path)
        name = (subscription[1].lower() if subscription else "", providers[-1].lower() if providers else "")
        with self._lock:
            if name not in self._services:
                self._services[name] = self._new(*name)
            return self._services[name]

    def _new(self, subscription: str, provider: str) -> Service:
        if provider == _GRAPH:
            return Service(QueryQuota(self._rate, self._clock), self.gates.gate(), None)
        whole = self._whole.setdefault(subscription, TokenBucket(self._rate, self._clock))
        return Service(TokenBucket(self._rate, self._clock), self.gates.gate(), whole)


class Ledger:
    """What reading cost so far, and when to stop trying. Any thread may use it.

    Waiting is counted by the wall: sixteen threads that wait for the same minute lost one.
    """

    def __init__(self, clock: Clock, *, longest_wait: float, failures: int) -> None:
        """``longest_wait``: seconds lost to throttling in all; ``failures``: unreachable in a row."""
        self._clock = clock
        self._lock = Lock()
        self._longest_wait = longest_wait
        self._failures_allowed = failures
        self._failures = 0
        self._calls: dict[str, int] = {}
        self._throttled = 0
        self._retries = 0
        self._pages = 0
        self._documents = 0
        self._reused = 0
        self._batched = 0
        self._waited = 0.0
        self._waited_until = clock.monotonic()
        self._began: float | None = None
        self._ended = 0.0
        self._notes: dict[str, None] = {}

    def note(self, text: str) -> None:
        """Keep a sentence for the statistics; the same one once."""
        with self._lock:
            self._notes.setdefault(text)

    def begin(self) -> None:
        """Note that a request is about to be sent."""
        with self._lock:
            if self._began is None:
                self._began = self._ended = self._clock.monotonic()

    def call(self, resource_type: str) -> None:
        """Count a request that was sent."""
        with self._lock:
            self._calls[resource_type] = self._calls.get(resource_type, 0) + 1
            self._ended = max(self._ended, self._clock.monotonic())

    def page(self, documents: int) -> str:
        """Count a page that arrived, and return what has arrived so far, ready to print."""
        with self._lock:
            self._pages += 1
            self._documents += documents
            return f"{self._documents:,} resources, {self._pages:,} pages"

    def reused(self, reads: int) -> None:
        """Count reads that were asked for again, and answered by what had been read."""
        with self._lock:
            self._reused += reads

    def batched(self, reads: int) -> None:
        """Count reads that were asked for in one call."""
        with self._lock:
            self._batched += reads

    def answered(self, status: int) -> None:
        """Count an answer, whatever it says."""
        with self._lock:
            self._failures = 0
            self._throttled += status == 429

    def unreachable(self) -> None:
        """Count a call that was given up without an answer."""
        with self._lock:
            self._failures += 1

    @property
    def given_up(self) -> bool:
        """Whether so many calls went unanswered in a row that more would only cost time."""
        return self._failures >= self._failures_allowed

    def lost(self, seconds: float) -> None:
        """Count seconds that a thread is about to wait."""
        with self._lock:
            now = self._clock.monotonic()
            self._waited += max(0.0, now + seconds - max(now, self._waited_until))
            self._waited_until = max(self._waited_until, now + seconds)

    def may_wait(self, seconds: float) -> bool:
        """Tell whether the whole run can afford to wait that long."""
        with self._lock:
            now = self._clock.monotonic()
            more = max(0.0, now + seconds - max(now, self._waited_until))
            return self._waited + more <= self._longest_wait

    def retried(self) -> None:
        """Count a request that is sent again."""
        with self._lock:
            self._retries += 1

    def statistics(self) -> Statistics:
        """Return the totals."""
        with self._lock:
            return Statistics(
                calls=sum(self._calls.values()),
                calls_by_type=dict(sorted(self._calls.items())),
                throttled=self._throttled,
                throttled_seconds=round(self._waited, 3),
                retries=self._retries,
                pages=self._pages,
                reused=self._reused,
                batched=self._batched,
                seconds=round(self._ended - self._began, 3) if self._began is not None else 0.0,
                notes=tuple(self._notes),
            )
