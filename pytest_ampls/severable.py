"""Work on connections that another thread can put an end to, whatever is being read from them.

A timeout of a socket is for its silence: who sends a byte now and then is never silent.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Protocol

__all__ = ["Severable"]


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

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it is closed by now
                # Not the TLS socket's own: that takes the session away under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
