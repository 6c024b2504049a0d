"""Servers on loopback ports that answer a TCP connection in one particular way."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator

import trustme

__all__ = ["TlsSide", "deaf", "listening"]

Answer = Callable[[socket.socket], None]


@contextlib.contextmanager
def listening(answer: Answer, host: str = "127.0.0.1") -> Iterator[str]:
    """Answer every connection inside the ``with`` block; gives ``address:port``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((host, 0))
        server.listen(64)
        server.settimeout(0.02)
        over = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, answer, over))
        thread.start()
        place = f"[{host}]" if ":" in host else host
        try:
            yield f"{place}:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def _serve(server: socket.socket, answer: Answer, over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            connection, _ = server.accept()
            connection.settimeout(5)
            with connection, contextlib.suppress(OSError):
                answer(connection)


@contextlib.contextmanager
def deaf() -> Iterator[str]:
    """Hold a port on which nothing listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{holder.getsockname()[1]}"


class TlsSide:
    """Answers with TLS: with a certificate for names, of an authority, in a range of versions."""

    def __init__(
        self,
        authority: trustme.CA,
        *names: str,
        oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        certificate: trustme.LeafCert | None = None,
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._context.set_ciphers("ALL:@SECLEVEL=0")
            self._context.minimum_version, self._context.maximum_version = oldest, newest
        (certificate or authority.issue_cert(*names)).configure_cert(self._context)

    def __call__(self, connection: socket.socket) -> None:
        """Agree on TLS, and wait for the client to hang up."""
        with self._context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1)
