"""How fast the shipped suite judges a fleet, and against what: every number of the page "How fast".

``python benchmarks/fleet.py`` measures all parts; ``python benchmarks/fleet.py growth --sizes 1000 10000`` one of
them. Everything runs on this machine, one process after another, against the lab in a process of its own.
What was measured is kept in ``--results``, part by part, and table and chart are drawn from all of it. Absolute
times depend on the machine; the ratios are what is meant.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, its folder is there instead

from benchmarks import page  # noqa: E402  # after the path
from benchmarks.processes import Lab, Measured, count, empty, measure, served, suite  # noqa: E402
from pytest_ampls.arm.throttle import ARM_RATE  # noqa: E402

PAGE = ROOT / "docs" / "explanation"
_PLAIN_CLIENTS = ("one-by-one", "threads", "containers")
_LARGEST_ONE_BY_ONE = 1000
"""One response after another: ten thousand machines would only take ten times as long, ten minutes."""
_START = """
import json, sys, time
import pytest_ampls.run
from pytest_ampls.arm.snapshot import load
from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.model.estate import Estate
from pytest_ampls.subjects import subjects
started = time.perf_counter()
snapshot = load(sys.argv[1])
loaded = time.perf_counter()
machines = subjects(Estate(snapshot), "machine")
decoded = time.perf_counter()
CATALOGUE["AMPLS402"](machines[0].resource)
judged = time.perf_counter()
print(json.dumps({"load": loaded - started, "machines": decoded - loaded, "first verdict": judged - decoded,
                  "together": judged - started}))
"""


def _row(measured: Measured, vms: int, **more: Any) -> dict[str, Any]:
    """Return what is kept of a run of the suite."""
    measured.checked()
    return {
        "vms": vms,
        "items": count(r"(\d+) passed", measured) + count(r"(\d+) skipped", measured),
        "calls": count(r"(\d+) ARM calls", measured),
        "refused": count(r"ARM calls, (\d+) throttled", measured),
        "reading": _seconds(measured),
        "wall": measured.wall,
        "peak": measured.peak,
        **more,
    }


def _seconds(measured: Measured) -> float:
    return float(measured.output.rpartition("Z in ")[2].partition(" s")[0])


def ratios(given: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Measure the suite against plain client code, and against an empty pytest run with as many items."""
    found, one_by_one = [], {}
    with served(given.vms, given.latency_ms) as lab:
        for number in range(given.runs):
            row = _row(suite(lab, folder), given.vms)
            row["empty"] = empty(row["items"], folder).checked().wall
            row["clients"] = {way: _client(lab, way, folder) for way in _PLAIN_CLIENTS[1:]}
            # Mostly waiting, for a minute: once tells.
            if number == 0 and given.vms <= _LARGEST_ONE_BY_ONE:
                one_by_one = {_PLAIN_CLIENTS[0]: _client(lab, _PLAIN_CLIENTS[0], folder)}
            found.append(row)
            print(f"  {row}", flush=True)
    middle = sorted(found, key=lambda row: row["wall"] / row["empty"])[len(found) // 2]
    middle["clients"] |= one_by_one
    return {**middle, "latency_ms": given.latency_ms, "runs": given.runs}


def _client(lab: Lab, way: str, folder: str) -> dict[str, Any]:
    ready = Path(folder, "lab.json")
    ready.write_text(json.dumps(lab))
    measured = measure([str(ROOT / "benchmarks" / "clients.py"), way, str(ready)], folder).checked()
    told: dict[str, Any] = json.loads(measured.output.partition("\n")[0])
    return told


def workers(given: argparse.Namespace, folder: str) -> list[dict[str, Any]]:
    """Measure the suite in one process, and in two and four workers."""
    with served(given.vms, given.latency_ms) as lab:
        return [
            _row(suite(lab, folder, "-n", str(number)), given.vms, workers=number) for number in (0, 2, 4)
        ]


def growth(given: argparse.Namespace, folder: str) -> list[dict[str, Any]]:
    """Measure fleets of several sizes, without latency, one test per rule."""
    found = []
    for vms in given.sizes:
        with served(vms, 0) as lab:
            found.append(_row(suite(lab, folder, "--ampls-group-by=rule"), vms))
        print(f"  {found[-1]}", flush=True)
    return found


def subscriptions(given: argparse.Namespace, folder: str) -> list[dict[str, Any]]:
    """Measure one fleet, spread over more and more subscriptions, with latency and one test per rule."""
    found = []
    for number in given.subscriptions:
        with served(given.spread_vms, given.latency_ms, number) as lab:
            row = _row(suite(lab, folder, "--ampls-group-by=rule"), given.spread_vms, subscriptions=number)
        found.append({**row, "latency_ms": given.latency_ms})
        print(f"  {found[-1]}", flush=True)
    return found


def throttled(given: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Measure a run that needs more reads than ARM's limit lets through at once: from the providers alone."""
    burst, per_second = ARM_RATE.burst, ARM_RATE.per_second
    with served(given.throttled_vms, 0, throttle=True) as lab:
        row = _row(suite(lab, folder, "--ampls-discovery=arm", "--ampls-group-by=rule"), given.throttled_vms)
    dictated = max(0.0, (row["calls"] - burst) / per_second)
    return {**row, "burst": burst, "per_second": per_second, "dictated": dictated}


def start(given: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Measure how long a worker takes from the evidence in a file to its first verdict."""
    evidence = str(Path(folder, "evidence.ampls"))
    with served(given.start_vms, 0) as lab:
        suite(lab, folder, "--ampls-group-by=rule", f"--ampls-snapshot-out={evidence}", "-k", "everything")
    runs = [
        json.loads(measure(["-c", _START, evidence], folder).checked().output.partition("\n")[0])
        for _ in range(max(given.runs, 3))
    ]
    return {
        "vms": given.start_vms,
        **{name: statistics.median(run[name] for run in runs) for name in runs[0]},
    }


def unused(given: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Measure what the plugin costs a project that has it installed and does not use it."""
    Path(folder, "test_one.py").write_text("def test_one(): pass\n")
    command = ["-m", "pytest", "test_one.py", "-q", "-p", "no:cacheprovider"]
    pairs = [
        (measure(command, folder).wall, measure([*command, "-p", "no:ampls"], folder).wall)
        for _ in range(max(given.runs * 3, 7))
    ]
    # The quickest of each: what else the machine did can only have added to the others.
    return {"with": min(pair[0] for pair in pairs), "without": min(pair[1] for pair in pairs)}


PARTS: dict[str, Callable[[argparse.Namespace, str], Any]] = {
    "ratios": ratios,
    "workers": workers,
    "growth": growth,
    "subscriptions": subscriptions,
    "throttled": throttled,
    "start": start,
    "unused": unused,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)} (all of them)")
    parser.add_argument("--vms", type=int, default=1000, help="machines for ratios and workers (1000)")
    parser.add_argument(
        "--latency-ms", type=float, default=60, help="added to each ARM response for ratios and workers (60)"
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of which the middle one counts (3)")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[100, 1000, 10_000, 100_000], help="machines for growth"
    )
    parser.add_argument(
        "--subscriptions", type=int, nargs="+", default=[1, 10, 100], help="how many a fleet is spread over"
    )
    parser.add_argument("--spread-vms", type=int, default=10_000, help="machines for subscriptions (10000)")
    parser.add_argument("--throttled-vms", type=int, default=500, help="machines for throttled (500)")
    parser.add_argument("--start-vms", type=int, default=10_000, help="machines for start (10000)")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.json")
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw what was measured")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return given


def _compile(folder: str) -> None:
    """Let every module be compiled before the first run that is measured."""
    with served(1, 0) as lab:
        suite(lab, folder, "--ampls-group-by=rule", "-n", "1")
    empty(1, folder)


def main() -> None:
    """Measure the parts that are asked for, keep them, and draw table and chart."""
    given = _options()
    results = json.loads(given.results.read_text()) if given.results.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        _compile(folder)
        for name in () if given.draw else given.parts or PARTS:
            print(name, flush=True)
            results[name] = PARTS[name](given, folder)
            results["where"] = {"python": platform.python_version(), "cores": os.cpu_count()}
            given.results.write_text(json.dumps(results, indent=1) + "\n")
    lines = list(page.lines(results))
    print("\n".join(lines))
    (PAGE / "how-fast-measured.txt").write_text("\n".join(lines) + "\n")
    (PAGE / "how-fast.svg").write_text(page.chart(results.get("growth", [])))


if __name__ == "__main__":
    main()
