"""Programs that Ctrl-C is pressed for while something in them does not end by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["LONG", "PATIENCE", "interrupted", "is_gone"]

LONG = 600
"""Seconds that the work under way would take."""
PATIENCE = 120.0
"""Seconds after which a program hangs: far more than one takes to stop, far less than the work."""

# A program that was started in the background is born deaf to SIGINT, and so are those that it starts.
_HEARING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def interrupted(
    code: str, folder: Path, is_under_way: Callable[[], bool], **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a folder, interrupt it once the work is under way, and return how it ended.

    Raises:
        TimeoutExpired: it went on.
    """
    with subprocess.Popen(
        [sys.executable, "-c", _HEARING + code],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not is_under_way():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline, "the work did not begin"
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def is_gone(pid: int) -> bool:
    """Tell whether a process ends soon."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
