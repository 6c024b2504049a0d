"""The command line, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_ampls.lab import estates, faults
from pytest_ampls.lab.command import main

_COMMAND = [sys.executable, "-m", "pytest_ampls.lab"]


def test_estates_and_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """The listings name everything that is on offer."""
    assert main(["estates"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in estates())
    assert main(["faults"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in faults())
    assert main(["faults", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(faults())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["serve", "hub-and-spok"], "did you mean 'hub-and-spoke'?"),
        (["serve", "empty", "--latency-ms=-1"], "--latency-ms=-1 is negative"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake is one line on the error stream, without a traceback, and exit code 2."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert text in captured.err
    assert "Traceback" not in captured.err
    assert captured.err.count("\n") == 1


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A lab in a process of its own, and the file that it writes when it is ready."""
    ready = tmp_path / "ready.json"
    process = subprocess.Popen(
        [*_COMMAND, "serve", "hub-and-spoke+query-open", "--ready-file", str(ready)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process, ready
    finally:
        process.kill()
        process.communicate()


def _wait_for(path: Path) -> None:
    for _ in range(400):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} was never written")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without a signal")
def test_serve(served: tuple[subprocess.Popen[str], Path]) -> None:
    """Serving prints how to point clients at it, writes the ready file, and ends cleanly on SIGTERM."""
    process, ready = served
    _wait_for(ready)
    connection = json.loads(ready.read_text(encoding="utf-8"))
    bundle = Path(connection["ca_bundle"])
    assert bundle.is_file()
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert f"export AZURE_AUTHORITY_HOST={connection['authority']}" in output
    assert f"export AZURE_CLIENT_SECRET={connection['client_secret']}" in output
    assert "throw-away" in output
    assert '--password="$AZURE_CLIENT_SECRET"' in output  # the secret may begin with a dash
    assert f"--ampls-subscription={connection['subscriptions'][0]}" in output
    assert f"--url {connection['log_analytics_endpoint']}/v1/workspaces/" in output
    for view in connection["views"]:
        assert f"dig @127.0.0.1 -p {view['port']} " in output
        assert f"--ampls-resolver={view['name']}=127.0.0.1:{view['port']}" in output
    assert output.rstrip().endswith("stopped")
    assert not bundle.exists()
