"""Servers that end with the test that started them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .dns_server import DnsServer, Handler, Serve


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that are stopped after the test."""
    servers: list[DnsServer] = []

    def start(handler: Handler) -> DnsServer:
        servers.append(DnsServer(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
