"""A record of where Python processes send something: every address, every name that is looked up."""

from __future__ import annotations

from pathlib import Path

__all__ = ["elsewhere", "watch"]

_WATCHER = """
import os, sys

seen = open(os.environ["AMPLS_TEST_TRAFFIC"], "a", buffering=1)

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"):
        print(event, arguments[1], file=seen)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        print(event, arguments[0], file=seen)

sys.addaudithook(watch)
"""


def watch(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return a file, and the environment in which Python processes write into it what they send to.

    The hook is a ``sitecustomize`` module in the folder, so child processes write there as well. A Python
    in isolated mode (``-I``) does not load it, and the file stays empty.
    """
    log = folder / "traffic"
    log.touch()
    (folder / "sitecustomize.py").write_text(_WATCHER, encoding="utf-8")
    return log, {"AMPLS_TEST_TRAFFIC": str(log), "PYTHONPATH": str(folder), "PYTHONSAFEPATH": ""}


def elsewhere(lines: list[str]) -> list[str]:
    """Return the lines of a record that name anything but loopback."""
    return [line for line in lines if not _is_loopback(line)]


def _is_loopback(line: str) -> bool:
    return "('127." in line or "('::1'" in line or line.split()[1].startswith("127.") or "None" in line
