"""The shipped suite over a fleet, against an empty pytest run with as many items.

One command, no arguments needed: ``python benchmarks/conformance.py``. Everything runs on this machine,
one process after another: the lab in a process of its own, then in turn the suite and the empty run.
Absolute times depend on the machine; the ratios are what is meant.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

RUNNER = """
import os, resource, sys, time
started = time.perf_counter()
code = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, *sys.argv[1:]])
wall = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"\\nmeasured {code} {wall:.3f} {peak:.0f}")
"""
EMPTY = """
import pytest

@pytest.mark.parametrize("number", range({items}))
def test_nothing(number):
    pass
"""


class Measured(NamedTuple):
    """One process: exit code, seconds of wall time, peak resident memory in MiB, and what it printed."""

    code: int
    wall: float
    peak: float
    output: str


@contextmanager
def served(spec: str, latency_ms: float) -> Iterator[dict[str, Any]]:
    """Serve a lab estate from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder, "lab.json")
        command = [sys.executable, "-m", "pytest_ampls.lab", "serve", spec]
        command += ["--latency-ms", str(latency_ms), "--ready-file", str(ready)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                while not ready.exists():
                    if process.poll() is not None:
                        raise SystemExit(f"the lab did not start: exit code {process.returncode}")
                    time.sleep(0.05)
                yield json.loads(ready.read_text())
            finally:
                process.terminate()


def measure(arguments: Sequence[str], folder: str, environment: dict[str, str] | None = None) -> Measured:
    """Run python with these arguments, and measure the whole process."""
    run = subprocess.run(
        [sys.executable, "-c", RUNNER, *arguments],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=True,
    )
    code, wall, peak = run.stdout.rpartition("measured ")[2].split()
    return Measured(int(code), float(wall), float(peak), run.stdout + run.stderr)


def suite(lab: dict[str, Any], folder: str, *options: str) -> Measured:
    """Run the shipped suite on a served lab, as on a subscription."""
    environment = {
        "AZURE_TENANT_ID": lab["tenant_id"],
        "AZURE_CLIENT_ID": lab["client_id"],
        "AZURE_CLIENT_SECRET": lab["client_secret"],
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
    }
    arguments = ["-m", "pytest", "--pyargs", "pytest_ampls.conformance", "-q", "-p", "no:cacheprovider"]
    arguments += [f"--ampls-subscription={subscription}" for subscription in lab["subscriptions"]]
    arguments += [f"--ampls-arm-endpoint={lab['arm_endpoint']}", f"--ampls-ca-bundle={lab['ca_bundle']}"]
    view = lab["views"][0]
    arguments += [f"--ampls-resolver={view['name']}={view['address']}:{view['port']}", *options]
    return measure(arguments, folder, environment)


def empty(items: int, folder: str) -> Measured:
    """Run pytest over as many tests that do nothing, without the plugin."""
    Path(folder, "test_empty.py").write_text(EMPTY.format(items=items))
    return measure(
        ["-m", "pytest", "test_empty.py", "-q", "-p", "no:cacheprovider", "-p", "no:ampls"], folder
    )


def unused_plugin(folder: str, runs: int) -> tuple[float, float]:
    """Return the median wall time of a pytest run of one test with and without the plugin, in seconds."""
    Path(folder, "test_one.py").write_text("def test_one(): pass\n")
    command = ["-m", "pytest", "test_one.py", "-q", "-p", "no:cacheprovider", "-p", "no:testinfra"]
    pairs = [
        (measure(command, folder).wall, measure([*command, "-p", "no:ampls"], folder).wall)
        for _ in range(runs)
    ]
    return statistics.median(with_it for with_it, _ in pairs), statistics.median(
        without for _, without in pairs
    )


def _count(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    return int(match.group(1)) if match else 0


def report(vms: int, latency_ms: float, runs: int, options: Sequence[str]) -> Iterator[str]:
    """Measure, and yield the lines of a Markdown table."""
    with served(f"fleet:vms={vms}", latency_ms) as lab, tempfile.TemporaryDirectory() as folder:
        pairs = []
        for _ in range(runs):
            judged = suite(lab, folder, *options)
            items = _count(r"(\d+) passed", judged.output) + _count(r"(\d+) skipped", judged.output)
            if judged.code != 0 or not items:
                raise SystemExit(f"the suite did not pass:\n{judged.output[-3000:]}")
            pairs.append((judged, empty(items, folder)))
        with_it, without = unused_plugin(folder, max(runs, 5))
    calls = _count(r"(\d+) ARM calls", pairs[-1][0].output)
    ratio = statistics.median(one.wall / other.wall for one, other in pairs)
    yield f"| {vms} VMs, {latency_ms:g} ms added to each ARM response | |"
    yield "|---|---|"
    yield f"| test items | {items} |"
    yield f"| ARM calls | {calls} |"
    yield f"| whole process, against an empty pytest run with as many items | {ratio:.2f} |"
    yield f"| wall time of the suite (s, median) | {_median(pairs, 0):.1f} |"
    yield f"| wall time of the empty run (s, median) | {_median(pairs, 1):.1f} |"
    yield f"| peak memory of the suite (MiB) | {max(one.peak for one, _ in pairs):.0f} |"
    yield f"| pytest of one test, plugin installed and unused, against without | {with_it / without:.3f} |"
    yield f"| difference of the two (ms) | {(with_it - without) * 1000:.0f} |"


def _median(pairs: list[tuple[Measured, Measured]], which: int) -> float:
    return statistics.median(pair[which].wall for pair in pairs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vms", type=int, default=1000, help="virtual machines of the fleet (1000)")
    parser.add_argument("--latency-ms", type=float, default=60, help="added to each ARM response (60)")
    parser.add_argument("--runs", type=int, default=3, help="pairs of runs (3)")
    parser.add_argument("options", nargs="*", help="further pytest options for the suite, after --")
    given = parser.parse_args()
    print("\n".join(report(given.vms, given.latency_ms, given.runs, given.options)))


if __name__ == "__main__":
    main()
