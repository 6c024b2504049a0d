"""Running a local program with an end in sight: bounded in time, and in what is kept of its output."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO, Final

import msgspec

__all__ = ["Finished", "run"]

_PIECE: Final = 1 << 16
_MOST_ERRORS: Final = 1 << 16


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a program. ``status`` is None where it was ended because time or room was up."""

    status: int | None
    stdout: bytes
    stderr: bytes
    timed_out: bool = False
    overflowed: bool = False


def run(argv: Sequence[str], *, stdin: bytes = b"", timeout: float, most: int) -> Finished:
    """Run a program and return what it printed.

    The program has no terminal, so that nothing can ask for a password, and its group is ended with it.

    Args:
        argv: program and arguments; no shell is in between.
        stdin: what it reads.
        timeout: seconds after which it is ended.
        most: bytes of standard output after which it is ended.

    Raises:
        OSError: the program cannot be started.
    """
    environment = {**os.environ, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    process = subprocess.Popen(  # noqa: S603  # argv is built here, without a shell
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    with process:
        exchange = _Exchange(process, stdin, most)
        try:
            in_time = exchange.finish(time.monotonic() + timeout)
        finally:
            if process.poll() is None:
                _end(process)
    status = process.returncode if in_time and not exchange.overflowed else None
    return Finished(
        status=status,
        stdout=bytes(exchange.stdout),
        stderr=bytes(exchange.stderr),
        timed_out=not in_time,
        overflowed=exchange.overflowed,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Exchange:
    """Feeds a process and collects what it prints."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes, most: int) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.overflowed = False
        self._process = process
        self._left = memoryview(stdin)
        self._most = most
        self._open = 2  # outputs that may still bring something

    def finish(self, deadline: float) -> bool:
        """Exchange until both outputs are closed and the process is gone; False where time was up before."""
        process = self._process
        assert process.stdin is not None  # all three are pipes
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as selector:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            selector.register(process.stdout, selectors.EVENT_READ, self.stdout)
            selector.register(process.stderr, selectors.EVENT_READ, self.stderr)
            while self._open:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                for key, _ in selector.select(left):
                    self._move(selector, key)
                if self.overflowed:
                    return True
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _move(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        stream: IO[bytes] = key.fileobj  # type: ignore[assignment]  # only pipes are registered
        if key.data is None:
            self._feed(selector, stream)
            return
        piece = os.read(stream.fileno(), _PIECE)
        if not piece:
            selector.unregister(stream)
            self._open -= 1
        elif key.data is self.stderr:
            self.stderr += piece[: max(0, _MOST_ERRORS - len(self.stderr))]
        else:
            self.stdout += piece
            self.overflowed = len(self.stdout) > self._most

    def _feed(self, selector: selectors.BaseSelector, stream: IO[bytes]) -> None:
        try:
            self._left = self._left[os.write(stream.fileno(), self._left[:_PIECE]) :]
        except BrokenPipeError:  # it reads no more; its status and its output say why
            self._left = self._left[:0]
        if not self._left:
            selector.unregister(stream)
            with contextlib.suppress(BrokenPipeError):
                stream.close()
