"""Work that another thread can put an end to: on connections, whatever is being read from them, and side by side.

A timeout of a socket is for its silence: who sends a byte now and then is never silent.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from typing import Protocol, TypeVar

__all__ = ["Interruption", "Severable", "side_by_side", "tenths"]

K = TypeVar("K")
T = TypeVar("T")


class _Wrapped(Protocol):
    """TLS inside of another TLS, which is no socket and has one (urllib3's ``SSLTransport``)."""

    socket: socket.socket


class Severable:
    """The connection that some work reads from at the moment, if any."""

    def __init__(self) -> None:
        self.is_severed = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def hold(self, connected: socket.socket | _Wrapped | None) -> None:
        """Take the connection that what follows comes from; work that was severed gets nothing from it."""
        plain = connected if isinstance(connected, socket.socket | None) else connected.socket
        with self._lock:
            self._socket = plain
            if self.is_severed:
                self._cut()

    def let_go(self) -> bool:
        """Leave the connection to others, and tell whether it is fit for them: from here on it is not cut."""
        with self._lock:
            self._socket = None
            return not self.is_severed

    def sever(self) -> None:
        """Cut the connection, and each that is held later: whoever reads gets no more."""
        with self._lock:
            self.is_severed = True
            self._cut()

    def cut(self) -> None:
        """Cut the connection that is held now, and none that is held later."""
        with self._lock:
            self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it is closed by now
                # Not the TLS socket's own: that takes the session away under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Interruption:
    """What is under way in other threads, and how each of it is ended where the run is interrupted."""

    def __init__(self) -> None:
        self.is_over = False
        self._lock = threading.Lock()
        self._ends: dict[object, Callable[[], None]] = {}

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """Have ``end`` called where the interruption comes within the block, at once where it was before it.

        It is never called after the block, and must not wait.
        """
        own = object()
        with self._lock:
            self._ends[own] = end
            if self.is_over:
                end()
        try:
            yield
        finally:
            with self._lock:
                del self._ends[own]

    def end(self) -> None:
        """End what is under way, and what begins later."""
        with self._lock:
            self.is_over = True
            for end in self._ends.values():
                end()


def side_by_side(
    jobs: Mapping[K, Callable[[], T]],
    interrupt: Callable[[], None],
    *,
    at_once: int,
    on_done: Callable[[int], None] | None = None,
) -> dict[K, T]:
    """Carry out jobs in threads, some at once, and return what came of each.

    Where that is left by an error, Ctrl-C above all, the others are not waited for: those that wait do not begin.

    Args:
        jobs: what to do, by what it is for.
        interrupt: called in that case; ends those that are under way.
        at_once: threads, at most.
        on_done: gets the number of jobs that are done.
    """
    at_once = max(1, min(at_once, len(jobs)))
    pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="ampls-side-by-side")
    found: dict[K, T] = {}
    is_done = False
    try:
        futures = {pool.submit(job): which for which, job in jobs.items()}
        for number, future in enumerate(as_completed(futures), start=1):
            found[futures[future]] = future.result()
            if on_done is not None:
                on_done(number)
        is_done = True
    finally:
        pool.shutdown(wait=is_done, cancel_futures=True)
        if not is_done:
            interrupt()
    return found


def tenths(total: int, text: str, say: Callable[[str], None] | None) -> Callable[[int], None]:
    """Return what takes a number of things done, and says so about ten times until all are.

    Args:
        total: how many there are.
        text: what is said, with ``{}`` for the number and again for the total.
        say: gets the text; None is told nothing.
    """
    step = max(1, total // 10)

    def done(number: int) -> None:
        if say is not None and (number % step == 0 or number == total):
            say(text.format(number, total))

    return done
