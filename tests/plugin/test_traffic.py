"""In lab mode nothing leaves loopback, and nobody is asked who did not start for this run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import run_pytest
from tests.traffic import elsewhere, watch


@pytest.mark.parametrize("workers", ["0", "2"])
def test_nothing_leaves_loopback(tmp_path: Path, workers: str) -> None:
    """Every address that a socket is given, and every name that is looked up, is loopback's."""
    log, environment = watch(tmp_path)
    result = run_pytest(
        tmp_path,
        "--pyargs",
        "pytest_ampls.conformance",
        "--ampls-lab=hub-and-spoke",
        f"-n{workers}",
        **environment,
    )
    assert result.returncode == 0, result.stdout
    lines = log.read_text().splitlines()
    assert any(line.startswith("socket.connect") for line in lines)
    assert not elsewhere(lines)


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("unshare") is None or shutil.which("ip") is None,
    reason="needs Linux with unshare and ip (packages util-linux and iproute2)",
)
def test_it_runs_where_there_is_no_other_network(tmp_path: Path) -> None:
    """In a network namespace with nothing but loopback the suite gives the same green."""
    suite = f"{sys.executable} -m pytest --pyargs pytest_ampls.conformance --ampls-lab=hub-and-spoke -q"
    inside = f"ip link set lo up && exec {suite}"
    run = subprocess.run(
        ["unshare", "--net", "--map-root-user", "sh", "-c", inside],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "Operation not permitted" in run.stderr or "unshare failed" in run.stderr:
        pytest.skip(f"no right to make a network namespace here: {run.stderr.strip()}")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken, 0 unverified" in run.stdout
