"""Several processes: workers that die, runs side by side, disks that are full."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.plugin.conftest import run_pytest

SUITE = ("--pyargs", "pytest_ampls.conformance", "-q")

DYING = """
import os, signal

def test_dies(vm):
    if vm.name == "spoke1":
        os.kill(os.getpid(), signal.SIGKILL)

def test_lives(vm):
    assert vm.config_endpoint
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_worker_that_is_killed_is_replaced_by_one_with_the_same_estate(tmp_path: Path) -> None:
    """What died is a failure, everything else is judged, and the estate is read no second time."""
    (tmp_path / "test_dying.py").write_text(DYING)
    result = run_pytest(tmp_path, "--ampls-lab=hub-and-spoke", "-n2", "-v")
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "crashed while running 'test_dying.py::test_dies[spoke1]'" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert "1 failed" in last
    machines = result.stdout.count("PASSED test_dying.py::test_lives")
    assert machines == 7
    assert "error" not in last


DYING_WHILE_IT_WAITS = """
import os, signal

def test_waits(vm):
    assert vm.config_endpoint, "not yet"

def test_dies(workspace):
    if os.environ["PYTEST_XDIST_WORKER"] == "gw0":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_worker_that_dies_while_a_test_waits_loses_no_verdict(tmp_path: Path) -> None:
    """A test that was to be judged again, and never was, is named, and the run is red."""
    (tmp_path / "test_dying.py").write_text(DYING_WHILE_IT_WAITS)
    options = ("--ampls-lab=hub-and-spoke+missing-config-endpoint", "--ampls-wait=20s", "-n1")
    result = run_pytest(tmp_path, *options)
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "not verified: test_dying.py::test_waits[spoke1] did not hold at first" in result.stdout


def test_two_runs_at_once(tmp_path: Path) -> None:
    """Each has its own lab and its own folder for workers, and leaves nothing behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def run(name: str) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / name
        folder.mkdir()
        return run_pytest(folder, *SUITE, "--ampls-lab=hub-and-spoke", "-n2", TMPDIR=str(scratch))

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, ["one", "other"]))
    assert [result.returncode for result in results] == [0, 0]
    assert [entry.name for entry in scratch.iterdir() if entry.name.startswith("ampls-")] == []


FULL = """
import resource, sys
from pathlib import Path
from pytest_ampls.arm.snapshot import load, save
from pytest_ampls.errors import SnapshotError
from pytest_ampls.model import Snapshot, Subscription

target = Path(sys.argv[1])
save(target, Snapshot(cloud="before"))
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
large = Snapshot(subscriptions=tuple(Subscription(id=f"{number * 7919:x}") for number in range(20_000)))
try:
    save(target, large)
except SnapshotError as error:
    print(error)
print(load(target).cloud, sorted(entry.name for entry in target.parent.iterdir()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_snapshot_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    """No room for the new file: the old one is whole, nothing else is left, and the message says so."""
    command = [sys.executable, "-c", FULL, str(tmp_path / "run.ampls")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    first, second = result.stdout.splitlines()
    assert "cannot be written" in first
    assert "too large" in first
    assert second == "before ['run.ampls']"


def test_a_snapshot_of_another_cloud_is_refused(tmp_path: Path, healthy: str) -> None:
    """Whoever names a cloud does not get the verdicts of another."""
    result = run_pytest(tmp_path, *SUITE, healthy, "--ampls-cloud=AzureUSGovernment")
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "is of the cloud 'AmplsLab'" in result.stderr
    assert "AzureUSGovernment (from --ampls-cloud)" in result.stderr
