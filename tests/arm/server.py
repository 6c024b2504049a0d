"""A small HTTPS server whose every answer a test writes: it answers as badly as it is told to."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import trustme

__all__ = ["Asked", "Authority", "Reply", "Server"]


class Authority:
    """A throw-away certificate authority, and the file that trusts it."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.bundle = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.bundle))

    def context(self) -> ssl.SSLContext:
        """Return a server's TLS context for the loopback addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert("127.0.0.1", "127.0.0.2", "localhost").configure_cert(context)
        return context


@dataclass
class Reply:
    """An answer. ``cut`` sends only half of the promised body; ``reset`` closes without a word."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    reset: bool = False

    def content(self) -> bytes:
        """Return the body as bytes; anything but bytes is sent as JSON."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


Handler = Callable[[Asked], Reply]


class Server:
    """Serves what ``answers`` holds for a path (in lower case): replies in turn, the last for ever."""

    def __init__(self, authority: Authority, host: str = "127.0.0.1") -> None:
        self.authority = authority
        self.asked: list[Asked] = []
        self.answers: dict[str, list[Reply | Handler]] = {}
        self._lock = threading.Lock()
        self._http = _Http((host, 0), _handler(self))
        self._http.socket = authority.context().wrap_socket(
            self._http.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port: int = self._http.server_address[1]
        self.url = f"https://{host}:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def on(self, path: str, *replies: Reply | Handler) -> None:
        """Answer a path with these replies, one after the other."""
        self.answers[path.lower()] = list(replies)

    def paths(self) -> list[str]:
        """Return the paths that were asked, in order."""
        return [request.path for request in self.asked]

    def reply(self, request: Asked) -> Reply:
        """Return what to answer, and remember the request."""
        with self._lock:
            self.asked.append(request)
            replies = self.answers.get(request.path.lower())
            if not replies:
                return _not_found(request.path)
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return reply(request) if callable(reply) else reply


def _not_found(path: str) -> Reply:
    return Reply({"error": {"code": "ResourceNotFound", "message": f"{path} was not found."}}, status=404)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up, and handshakes that fail, are what tests are about."""


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handling(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send(server.reply(Asked(self.command, parts.path, query, dict(self.headers), body)))

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = handle_any  # noqa: N815  # http.server's names

        def send(self, reply: Reply) -> None:
            body = reply.content()
            if reply.reset:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if reply.cut else body)
            self.close_connection = self.close_connection or reply.cut

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet."""

    return Handling
