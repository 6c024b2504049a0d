"""A server that never falls silent, and never ends its answer either."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import Final, Self

from tests.arm.server import Authority

__all__ = ["Dribbling"]

_PIECES: Final = 600
_PAUSE: Final = 0.05
_EMPTY_LIST: Final = b'{"value": []}'


class Dribbling:
    """Answers every request with an empty list, one byte of padding at a time, for half a minute at least.

    ``part`` is what is padded: ``head``, ``body``, or ``body of no known length``, which is whole from the start.
    """

    def __init__(self, authority: Authority, part: str) -> None:
        self._part = part
        self._context = authority.context()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        with suppress(OSError):  # whoever waits in accept is woken
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), self._context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(65_536)
            self._answer(tls)

    def _answer(self, tls: ssl.SSLSocket) -> None:
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        if self._part == "head":
            tls.sendall(b"X-Padding: ")
            self._pad(tls, b"x")
            tls.sendall(b"\r\nContent-Length: %d\r\n\r\n%s" % (len(_EMPTY_LIST), _EMPTY_LIST))
        elif self._part == "body":
            tls.sendall(b"Content-Length: %d\r\n\r\n" % (len(_EMPTY_LIST) + _PIECES))
            self._pad(tls, b" ")
            tls.sendall(_EMPTY_LIST)
        else:
            tls.sendall(b"Connection: close\r\n\r\n" + _EMPTY_LIST)
            self._pad(tls, b" ")

    def _pad(self, tls: ssl.SSLSocket, piece: bytes) -> None:
        for _ in range(_PIECES):
            if self._stop.wait(_PAUSE):
                return
            tls.sendall(piece)
