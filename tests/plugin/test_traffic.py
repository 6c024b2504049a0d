"""In lab mode nothing leaves loopback, and nobody is asked who did not start for this run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import run_pytest

WATCHER = """
import ipaddress, os, sys

seen = open(os.environ["AMPLS_TEST_TRAFFIC"], "a", buffering=1)

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"):
        print(event, arguments[1], file=seen)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        print(event, arguments[0], file=seen)

sys.addaudithook(watch)
"""


def _is_loopback(line: str) -> bool:
    return "('127." in line or "('::1'" in line or line.split()[1].startswith("127.") or "None" in line


@pytest.mark.parametrize("workers", ["0", "2"])
def test_nothing_leaves_loopback(tmp_path: Path, workers: str) -> None:
    """Every address that a socket is given, and every name that is looked up, is loopback's."""
    log = tmp_path / "traffic"
    (tmp_path / "sitecustomize.py").write_text(WATCHER)
    result = run_pytest(
        tmp_path,
        "--pyargs",
        "pytest_ampls.conformance",
        "--ampls-lab=hub-and-spoke",
        f"-n{workers}",
        AMPLS_TEST_TRAFFIC=str(log),
        PYTHONPATH=str(tmp_path),
        PYTHONSAFEPATH="",
    )
    assert result.returncode == 0, result.stdout
    lines = log.read_text().splitlines()
    assert any(line.startswith("socket.connect") for line in lines)
    assert not [line for line in lines if not _is_loopback(line)]


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
