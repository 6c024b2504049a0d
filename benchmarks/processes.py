"""Whole processes, measured: the lab in one of its own, and pytest against it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Lab", "Measured", "count", "empty", "measure", "served", "suite"]

Lab = dict[str, Any]
"""What the lab says of itself in its ready file."""

_RUNNER = """
import os, resource, sys, time
started = time.perf_counter()
code = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, *sys.argv[1:]])
wall = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"\\nmeasured {code} {wall:.3f} {peak:.0f}")
"""
_EMPTY = """
import pytest

@pytest.mark.parametrize("number", range({items}))
def test_nothing(number):
    pass
"""


class Measured(NamedTuple):
    """One process: exit code, seconds of wall time, MiB of its largest process, and what it printed."""

    code: int
    wall: float
    peak: float
    output: str

    def checked(self) -> Measured:
        """Return itself where the process succeeded; a run that failed measures nothing."""
        if self.code != 0:
            raise SystemExit(f"a run ended with {self.code}:\n{self.output[-3000:]}")
        return self


@contextmanager
def served(vms: int, latency_ms: float, subscriptions: int = 1, *, throttle: bool = False) -> Iterator[Lab]:
    """Serve a fleet from a process of its own, with ARM's limit of reads where it is wanted."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder, "lab.json")
        command = [sys.executable, "-m", "pytest_ampls.lab", "serve"]
        limit = "on" if throttle else "off"
        command.append(f"fleet:vms={vms},subscriptions={subscriptions},throttle={limit}")
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
    """Run python with these arguments in a folder, and measure the whole process."""
    settings = {**os.environ, **(environment or {}), "PYTHONPYCACHEPREFIX": str(Path(folder, "compiled"))}
    # Every run finds its modules compiled, as an installed package does; the checkout stays clean.
    settings.pop("PYTHONDONTWRITEBYTECODE", None)
    run = subprocess.run(
        [sys.executable, "-c", _RUNNER, *arguments],
        cwd=folder,
        env=settings,
        capture_output=True,
        text=True,
        check=True,
    )
    code, wall, peak = run.stdout.rpartition("measured ")[2].split()
    return Measured(int(code), float(wall), float(peak), run.stdout + run.stderr)


def suite(lab: Lab, folder: str, *options: str) -> Measured:
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
    arguments += [f"--ampls-resolver={view['name']}={view['address']}:{view['port']}" for view in _one(lab)]
    return measure([*arguments, *options], folder, environment)


def _one(lab: Lab) -> list[dict[str, Any]]:
    """Return one view: what is measured is machines, not vantage points."""
    views: list[dict[str, Any]] = lab["views"]
    return views[:1]


def empty(items: int, folder: str) -> Measured:
    """Run pytest over as many tests that do nothing, without the plugin."""
    Path(folder, "test_empty.py").write_text(_EMPTY.format(items=items))
    arguments = ["-m", "pytest", "test_empty.py", "-q", "-p", "no:cacheprovider", "-p", "no:ampls"]
    return measure(arguments, folder)


def count(pattern: str, measured: Measured) -> int:
    """Return the number that a pattern's group finds in the output, 0 where it finds none."""
    match = re.search(pattern, measured.output)
    return int(match.group(1)) if match else 0
