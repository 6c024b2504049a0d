"""How many requests run at once: fewer where a service throttles, and only there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.concurrency import Gate, Gates
from tests.arm.server import Reply, Server

NEVER = Event()


def test_a_round_of_refusals_halves_the_limit_once() -> None:
    """Requests that were under way together and were all refused count as one sign."""
    gate = Gate(16)
    rounds = [gate.enter(NEVER) for _ in range(8)]
    for entered in rounds:
        gate.leave(entered, throttled=True)
    assert gate.limit == 8
    gate.leave(gate.enter(NEVER), throttled=True)
    assert gate.limit == 4


def test_the_limit_never_falls_below_one_and_never_grows_beyond_what_is_allowed() -> None:
    """However often a service refuses, one request at a time is still tried."""
    gate = Gate(4)
    for _ in range(20):
        gate.leave(gate.enter(NEVER), throttled=True)
    assert gate.limit == 1
    for _ in range(100):
        gate.leave(gate.enter(NEVER), throttled=False)
    assert gate.limit == 4


def test_a_full_gate_lets_nobody_through_until_one_leaves() -> None:
    """Whoever comes too many waits for a place, and gets it."""
    gate = Gate(1)
    first = gate.enter(NEVER)
    came = Event()

    def enter() -> None:
        gate.enter(NEVER)
        came.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not came.wait(0.2)
    gate.leave(first, throttled=False)
    assert came.wait(10)
    thread.join()


def test_a_stopped_run_waits_for_no_place() -> None:
    """After Ctrl-C no thread stays before a gate."""
    gate, stop = Gate(1), Event()
    gate.enter(stop)
    stop.set()
    assert gate.enter(stop) == 0


def test_all_services_together_keep_to_one_limit() -> None:
    """However many services there are, no more requests are under way than were allowed."""
    gates = Gates(3, NEVER)
    lock = threading.Lock()
    running = peak = 0

    def work(gate: Gate) -> None:
        nonlocal running, peak
        for _ in range(20):
            with gates.through(gate):
                with lock:
                    running += 1
                    peak = max(peak, running)
                Event().wait(0.001)
                with lock:
                    running -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, [gates.gate() for _ in range(12)]))
    assert 1 < peak <= 3


@pytest.mark.parametrize("workers", [1, 8])
def test_a_storm_of_one_provider_leaves_the_others_alone(
    make_client: Callable[..., ArmClient], server: Server, workers: int
) -> None:
    """While one service answers 429 for ever, what another is asked is all read."""
    scope = "/subscriptions/11111111-2222-3333-4444-555555555555"

    storm = Reply({"error": {"code": "TooManyRequests"}}, status=429, headers={"Retry-After": "1"})
    server.on(f"{scope}/providers/Microsoft.Insights/components", storm)
    server.on(f"{scope}/providers/Microsoft.Network/virtualNetworks", Reply({"value": [{"id": "1"}]}))
    client = make_client(concurrency=2, retry_budget=3)
    kinds = ["Microsoft.Insights/components"] * 8 + ["Microsoft.Network/virtualNetworks"] * 8
    with ThreadPoolExecutor(workers) as pool:
        readings = list(pool.map(lambda kind: client.list(kind, scope), kinds))
    stormed, calm = readings[:8], readings[8:]
    assert all(reading.gap is not None and reading.gap.kind == "throttled" for reading in stormed)
    assert all(reading.gap is None and len(reading.documents) == 1 for reading in calm)
