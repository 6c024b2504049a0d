"""What the plugin's own tests share: evidence of lab estates, recorded once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pytest_ampls.arm.client
import pytest_ampls.arm.credential
import pytest_ampls.assertions
import pytest_ampls.lab
import pytest_ampls.run
from pytest_ampls.arm.snapshot import save
from pytest_ampls.reading import read_snapshot
from pytest_ampls.settings import Settings

# A pytest run inside this process forgets the modules that it imported, and compiled ones cannot be
# imported twice: what the runs need is imported here, before the first of them.
assert pytest_ampls.arm.client
assert pytest_ampls.arm.credential
assert pytest_ampls.assertions
assert pytest_ampls.lab
assert pytest_ampls.run

Recorder = Callable[[str], Path]


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    """Record a lab estate in a snapshot file, once for each name."""
    folder = tmp_path_factory.mktemp("evidence")
    done: dict[str, Path] = {}

    def record(spec: str) -> Path:
        if spec not in done:
            path = folder / f"{len(done)}.ampls"
            save(path, read_snapshot(Settings(lab=spec, origins={"lab": "--ampls-lab"})))
            done[spec] = path
        return done[spec]

    return record


def run_pytest(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, in a process with these variables added to its environment."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def healthy(recorded: Recorder) -> str:
    """The option that replays the healthy hub-and-spoke estate."""
    return f"--ampls-snapshot={recorded('hub-and-spoke')}"


@pytest.fixture
def broken(recorded: Recorder) -> str:
    """The option that replays the estate where one machine lacks its configuration endpoint."""
    return f"--ampls-snapshot={recorded('hub-and-spoke+missing-config-endpoint')}"
