"""Running a local program with an end in sight: bounded in time, and in what is kept of its output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO, Final

import msgspec

from pytest_ampls.severable import Interruption

__all__ = ["Finished", "run"]

_PIECE: Final = 1 << 16
_MOST_ERRORS: Final = 1 << 16
_GRACE: Final = 2.0
"""Seconds for the rest of the output to arrive once the program has ended."""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a program. ``status`` is None where it was ended because time or room was up."""

    status: int | None
    stdout: bytes
    stderr: bytes
    timed_out: bool = False
    overflowed: bool = False


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout: float,
    most: int,
    interruption: Interruption | None = None,
) -> Finished:
    """Run a program and return what it printed.

    The program has no terminal, so that nothing can ask for a password, and its group is ended with it.

    Args:
        argv: program and arguments; no shell is in between.
        stdin: what it reads.
        timeout: seconds after which it is ended.
        most: bytes of standard output after which it is ended.
        interruption: what ends it before its time.

    Raises:
        OSError: the program cannot be started.
    """
    process = subprocess.Popen(  # noqa: S603  # argv is built here, without a shell
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"},
        start_new_session=True,
    )
    stdin_pipe = process.stdin
    assert stdin_pipe is not None  # all three are pipes
    assert process.stdout is not None
    assert process.stderr is not None
    stdout = _Collector(process.stdout, most, full=lambda: _end(process))
    stderr = _Collector(process.stderr, _MOST_ERRORS)
    threads = [
        _started(stdout.collect),
        _started(stderr.collect),
        _started(lambda: _feed(stdin_pipe, stdin)),
    ]
    ended = _started(process.wait)  # a wait with a timeout would look again and again
    try:
        with (interruption or Interruption()).ending(lambda: _kill(process)):
            ended.join(timeout)
        timed_out = ended.is_alive()
    finally:
        _end(process)  # what the program left behind would keep its outputs open
    for thread in threads:
        thread.join(_GRACE)
    status = None if timed_out or stdout.is_full else process.returncode
    return Finished(
        status=status,
        stdout=bytes(stdout.kept),
        stderr=bytes(stderr.kept),
        timed_out=timed_out,
        overflowed=stdout.is_full,
    )


def _started(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def _end(process: subprocess.Popen[bytes]) -> None:
    _kill(process)
    process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _feed(stream: IO[bytes], text: bytes) -> None:
    # A program that reads no more says why by its status and its output. Closing tries to write the rest once more.
    with contextlib.suppress(OSError):
        stream.write(text)
    with contextlib.suppress(OSError):
        stream.close()


class _Collector:
    """Keeps the beginning of an output, and reads the rest so that the program can go on."""

    def __init__(self, stream: IO[bytes], most: int, *, full: Callable[[], None] | None = None) -> None:
        self.kept = bytearray()
        self.is_full = False
        self._stream = stream
        self._most = most
        self._full = full

    def collect(self) -> None:
        """Read until the output is closed, or full where that ends the program."""
        with contextlib.suppress(OSError, ValueError), self._stream:
            while piece := os.read(self._stream.fileno(), _PIECE):
                self.kept += piece[: max(0, self._most - len(self.kept))]
                if len(self.kept) >= self._most and self._full is not None:
                    self.is_full = True
                    self._full()
                    return
