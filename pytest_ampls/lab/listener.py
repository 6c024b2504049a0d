"""HTTPS on a loopback port: HTTP/1.1 with keep-alive, one thread for each connection."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from pytest_ampls.lab.messages import Request, Response

__all__ = ["Listener"]

Answer = Callable[[Request], Response]

_IDLE_SECONDS = 30.0


class _Handler(http.server.BaseHTTPRequestHandler):
    """Reads requests off one connection and writes what the lab answers."""

    protocol_version = "HTTP/1.1"
    server_version = "ampls-lab"
    sys_version = ""
    timeout: ClassVar[float] = _IDLE_SECONDS
    # Head and body go out in one packet; otherwise every answer waits for a delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        # The handshake happens here, in the connection's own thread: a client that does not
        # speak TLS must not hold up the others.
        self.request.settimeout(_IDLE_SECONDS)
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.server.track(self.request)
        super().setup()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        self.server.forget(self.request)
        with contextlib.suppress(OSError):
            self.request.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the lab keeps its own log."""

    def _respond(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        request = Request(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length) if length else b"",
        )
        self._send(self.server.answer(request))

    def _send(self, response: Response) -> None:
        if response.reset:
            # Lingering for zero seconds makes close() send a reset instead of a farewell.
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            socket.close(self.request.detach())
            return
        declared = len(response.body) if response.declared_length is None else response.declared_length
        reason = HTTPStatus(response.status).phrase
        self.send_response(response.status, reason)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(declared))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()
        if declared != len(response.body):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _respond  # noqa: N815 - http.server spells them so


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, port: int, context: ssl.SSLContext, answer: Answer) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.context = context
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._workers: list[threading.Thread] = []

    def server_bind(self) -> None:
        # HTTPServer would look its own name up in DNS here; nobody needs it.
        socket_address = self.server_address
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(socket_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

    def track(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
            self._workers = [worker for worker in self._workers if worker.is_alive()]
            self._workers.append(threading.current_thread())

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that hang up or fail the handshake: tests do both."""

    def close_connections(self) -> None:
        """Cut every open connection and wait for its thread."""
        with self._lock:
            connections, workers = list(self._open), list(self._workers)
        for connection in connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for worker in workers:
            worker.join(timeout=2.0)


class Listener:
    """The HTTPS server: listens from construction on, answers between start and stop."""

    def __init__(self, context: ssl.SSLContext, answer: Answer, *, port: int = 0) -> None:
        self._server = _Server(port, context, answer)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="ampls-lab-arm",
            daemon=True,
        )

    def start(self) -> None:
        """Answer requests from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, cut open connections, and wait for the threads."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(timeout=5.0)
        self._server.server_close()
        self._server.close_connections()
