"""What answers on TCP 443 of private endpoints: TLS on loopback ports, sound or flawed.

Addresses that answer alike share a port; nothing is said after the handshake.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
import warnings
from collections.abc import Iterable, Mapping
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
            self.server.context.wrap_socket(self.request, server_side=True) as secure,
        ):
            secure.recv(1)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
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

    ``flaws`` maps addresses to one of :data:`FLAWS`; ``authority`` issues the certificates that are sound.
    """

    def __init__(self, index: Index, flaws: Mapping[str, str], authority: trustme.CA) -> None:
        self._servers: dict[str, _Server] = {}
        self._closed: list[socket.socket] = []
        self.address_map: dict[str, str] = {}
        names = _served(index)
        hosts = sorted({_wildcard(name) for found in names.values() for name in found})
        for address in names:
            flaw = flaws.get(address, "")
            port = self._deaf_port() if flaw == "port-443-dropped" else self._port(flaw, hosts, authority)
            self.address_map[address] = f"127.0.0.1:{port}"

    def _port(self, flaw: str, hosts: Iterable[str], authority: trustme.CA) -> int:
        if flaw not in self._servers:
            self._servers[flaw] = _Server(_context(flaw, hosts, authority))
        port: int = self._servers[flaw].server_address[1]
        return port

    def _deaf_port(self) -> int:
        """Return a port that is taken and does not listen: every connection to it is refused."""
        deaf = socket.socket()
        deaf.bind(("127.0.0.1", 0))
        self._closed.append(deaf)
        port: int = deaf.getsockname()[1]
        return port

    def stop(self) -> None:
        """Close the ports and wait for the threads that listen."""
        for server in self._servers.values():
            server.shutdown()
            server.thread.join(timeout=5.0)
            server.server_close()
        for deaf in self._closed:
            deaf.close()
        self._servers.clear()
        self._closed.clear()


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
