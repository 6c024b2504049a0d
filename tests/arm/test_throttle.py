"""Buckets and the ledger: pacing, holding back, and what waiting costs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from pytest_ampls.arm.clock import SystemClock
from pytest_ampls.arm.concurrency import Gates
from pytest_ampls.arm.throttle import Ledger, Rate, Throttle, TokenBucket
from tests.arm.conftest import FakeClock

ONE = "https://arm/subscriptions/1"


def test_a_bucket_pays_back_what_time_gives(clock: FakeClock) -> None:
    """The burst is free, then each caller waits for its own place in the queue."""
    bucket = TokenBucket(Rate(burst=2, per_second=2), clock)
    assert [bucket.reserve() for _ in range(4)] == [0, 0, 0.5, 1.0]
    clock.now += 2
    assert [bucket.reserve() for _ in range(3)] == [0, 0, 0.5]
    clock.now += 3600
    assert [bucket.reserve() for _ in range(3)] == [0, 0, 0.5]


def test_many_threads_get_each_token_once(clock: FakeClock) -> None:
    """No two callers are told to use the same token."""
    bucket = TokenBucket(Rate(burst=100, per_second=1), clock)
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: bucket.reserve(), range(200)))
    assert sorted(waits) == [0.0] * 100 + [float(n) for n in range(1, 101)]


def test_a_hold_keeps_everybody_back_but_not_for_long(clock: FakeClock) -> None:
    """One throttled request slows the others of its provider, for ten seconds at most."""
    bucket = TokenBucket(Rate(), clock)
    bucket.hold(4)
    assert bucket.reserve() == 4
    bucket.hold(600)
    bucket.hold(1)
    assert bucket.reserve() == 10
    clock.now += 11
    assert bucket.reserve() == 0


def test_buckets_are_per_subscription_and_last_provider(clock: FakeClock) -> None:
    """A listing below a VM belongs to the provider that serves it, and case does not matter."""
    throttle = Throttle(Rate(), clock, Gates(16, Event()))
    compute = throttle.service(f"{ONE}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v").bucket
    assert (
        compute is throttle.service(f"{ONE}/providers/MICROSOFT.COMPUTE/virtualMachines?api-version=1").bucket
    )
    below = (
        f"{ONE}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v/providers/Microsoft.Insights/x"
    )
    assert (
        throttle.service(below).bucket
        is throttle.service(f"{ONE}/providers/microsoft.insights/components").bucket
    )
    assert throttle.service(below).bucket is not compute
    assert throttle.service("https://arm/subscriptions/2/providers/Microsoft.Compute/x").bucket is not compute
    assert throttle.service("https://arm/subscriptions").bucket is not throttle.service(ONE).bucket


def test_waiting_is_counted_by_the_wall(clock: FakeClock) -> None:
    """Threads that wait for the same minute lost one minute together."""
    ledger = Ledger(clock, longest_wait=90, failures=3)
    for _ in range(16):
        assert ledger.may_wait(60)
        ledger.lost(60)
    assert ledger.statistics().throttled_seconds == 60
    assert ledger.may_wait(90)
    assert not ledger.may_wait(91)
    clock.now += 60
    assert not ledger.may_wait(31)
    assert ledger.may_wait(30)


def test_gives_up_after_failures_in_a_row_only() -> None:
    """An answer, whatever it says, shows that somebody is there."""
    ledger = Ledger(FakeClock(), longest_wait=1, failures=2)
    ledger.unreachable()
    ledger.answered(500)
    ledger.unreachable()
    assert not ledger.given_up
    ledger.unreachable()
    assert ledger.given_up


def test_statistics_tell_the_time_from_first_to_last(clock: FakeClock) -> None:
    """Nothing read is no time; otherwise it runs from the first request on."""
    ledger = Ledger(clock, longest_wait=1, failures=2)
    assert ledger.statistics().seconds == 0
    clock.now += 100
    ledger.begin()
    clock.now += 5
    ledger.call("T")
    assert (ledger.statistics().seconds, ledger.statistics().calls_by_type) == (5, {"T": 1})


@pytest.mark.parametrize("stopped", [True, False])
def test_the_real_clock_waits_unless_stopped(stopped: bool) -> None:
    """A set stop ends a wait of an hour at once; a short wait passes real time."""
    clock, stop = SystemClock(), threading.Event()
    before = clock.monotonic()
    if stopped:
        stop.set()
    clock.wait(3600 if stopped else 0.01, stop)
    assert clock.monotonic() > before
    assert clock.time() > 1_700_000_000


def test_the_services_of_a_subscription_share_its_bucket(clock: FakeClock) -> None:
    """ARM counts a subscription's reads together, whichever service they are for; the index has a quota instead."""
    throttle = Throttle(Rate(burst=2, per_second=2), clock, Gates(16, Event()))
    compute = throttle.service(f"{ONE}/providers/Microsoft.Compute/virtualMachines")
    insights = throttle.service(f"{ONE}/providers/Microsoft.Insights/components")
    other = throttle.service("https://arm/subscriptions/2/providers/Microsoft.Compute/virtualMachines")
    assert [compute.reserve(), insights.reserve(), compute.reserve(), insights.reserve()] == [0, 0, 0.5, 1.0]
    assert other.reserve() == 0
    graph = throttle.service("https://arm/providers/Microsoft.ResourceGraph/resources")
    assert [graph.reserve() for _ in range(5)] == [0] * 5
