"""What answers on TCP 443 of private endpoints: TLS on loopback ports, sound or flawed.

Addresses that answer alike share a port; nothing is said after the handshake.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import trustme

from pytest_ampls.lab.store import Index

__all__ = ["FLAWS", "Endpoints"]

FLAWS: Final = (
    "tls-1.0-only",
    "tls-old-accepted",
    "resigned-chain",
    "certificate-of-other-name",
    "port-443-dropped",
)
"""What can be wrong with what answers at an address."""

_NICS: Final = "microsoft.network/networkinterfaces"
_EVERY_CIPHER: Final = "ALL:@SECLEVEL=0"  # OpenSSL 3 has no TLS 1.0 above that level
_SECONDS: Final = 10.0


class _Handler(socketserver.BaseRequestHandler):
    """Agrees on TLS and waits for the client to hang up."""

    server: _Server

    def handle(self) -> None:
        self.request.settimeout(_SECONDS)
        with (
            contextlib.suppress(OSError),  # clients refuse certificates and versions: that is what they test
            self.server.context().wrap_socket(self.request, server_side=True) as secure,
        ):
            secure.recv(1)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, context: Callable[[], ssl.SSLContext], bound: socket.socket | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=bound is None)
        if bound is not None:
            self.socket.close()
            self.socket = bound
            self.server_activate()
        self.context = context
        self.thread = threading.Thread(
            target=self.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="ampls-lab-endpoint",
            daemon=True,
        )
        self.thread.start()


class Endpoints:
    """The listeners. ``address_map`` leads from each address of a private endpoint to ``127.0.0.1:PORT``.

    ``flaws`` maps addresses to one of :data:`FLAWS`; ``authority`` issues the certificates that are sound. Served are
    the endpoints of all ``indexes``. From ``mends_at`` on, on the clock of :func:`time.monotonic`, all is sound.
    """

    def __init__(
        self,
        indexes: Sequence[Index],
        flaws: Mapping[str, str],
        authority: trustme.CA,
        *,
        mends_at: float = float("inf"),
    ) -> None:
        self._servers: dict[str, _Server] = {}
        self._deaf: list[socket.socket] = []
        self._mends_at = mends_at
        self._opening: threading.Timer | None = None
        self.address_map: dict[str, str] = {}
        names: dict[str, tuple[str, ...]] = {}
        for index in indexes:
            for address, found in _served(index).items():
                names[address] = (*names.get(address, ()), *found)
        self._hosts = sorted({_wildcard(name) for found in names.values() for name in found})
        self._sound = _context("", self._hosts, authority)
        for address in names:
            flaw = flaws.get(address, "")
            port = self._deaf_port() if flaw == "port-443-dropped" else self._port(flaw, authority)
            self.address_map[address] = f"127.0.0.1:{port}"
        if self._deaf and mends_at != float("inf"):
            self._opening = threading.Timer(max(0.0, mends_at - time.monotonic()), self._open)
            self._opening.daemon = True
            self._opening.start()

    def _port(self, flaw: str, authority: trustme.CA) -> int:
        if flaw not in self._servers:
            flawed = _context(flaw, self._hosts, authority) if flaw else self._sound
            self._servers[flaw] = _Server(
                lambda: self._sound if time.monotonic() >= self._mends_at else flawed
            )
        port: int = self._servers[flaw].server_address[1]
        return port

    def _deaf_port(self) -> int:
        """Return a port that is taken and does not listen: every connection to it is refused."""
        deaf = socket.socket()
        deaf.bind(("127.0.0.1", 0))
        self._deaf.append(deaf)
        port: int = deaf.getsockname()[1]
        return port

    def _open(self) -> None:
        """Listen where nothing did."""
        while self._deaf:
            deaf = self._deaf.pop()
            self._servers[f"port {deaf.getsockname()[1]}"] = _Server(lambda: self._sound, deaf)

    def stop(self) -> None:
        """Close the ports and wait for the threads that listen."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening.join(timeout=5.0)
        for server in self._servers.values():
            server.shutdown()
            server.thread.join(timeout=5.0)
            server.server_close()
        for deaf in self._deaf:
            deaf.close()
        self._servers.clear()
        self._deaf.clear()


def _served(index: Index) -> dict[str, tuple[str, ...]]:
    """Return the addresses of private endpoints with the names they stand for."""
    found: dict[str, tuple[str, ...]] = {}
    for nic in index.by_type.get(_NICS, []):
        for part in nic["properties"]["ipConfigurations"]:
            link = part["properties"].get("privateLinkConnectionProperties")
            if link is not None:
                address = part["properties"]["privateIPAddress"]
                found[address] = (*found.get(address, ()), *link["fqdns"])
    return found


def _wildcard(name: str) -> str:
    """Return the name that a certificate has for a host: Azure's are for all hosts of a domain."""
    return f"*.{name.partition('.')[2]}"


def _context(flaw: str, hosts: Iterable[str], authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if flaw in {"tls-1.0-only", "tls-old-accepted"}:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old is what it is to be
            context.set_ciphers(_EVERY_CIPHER)
            context.minimum_version = ssl.TLSVersion.TLSv1
            if flaw == "tls-1.0-only":
                context.maximum_version = ssl.TLSVersion.TLSv1
    if flaw == "resigned-chain":
        authority = trustme.CA(organization_name="TLS inspection (throw-away)")
    if flaw == "certificate-of-other-name":
        hosts = ("service.example.com",)
    authority.issue_cert(*hosts).configure_cert(context)
    return context
