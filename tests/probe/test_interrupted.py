"""Ctrl-C while addresses are connected to: nobody waits for them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.interrupting import LONG, interrupted

PROBE = f"""
import os
from pytest_ampls.probe import probe_all

targets = [(f"name{{number}}.example", "192.0.2.1") for number in range(8)]
place = {{"192.0.2.1": f"127.0.0.1:{{os.environ['PORT']}}"}}
probe_all(targets, concurrency=2, timeout={LONG}, address_map=place)
"""


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is SIGINT here")
@pytest.mark.parametrize("backlog", [64, 0])
def test_probes_are_cut_off(tmp_path: Path, backlog: int) -> None:
    """In the middle of a handshake that is not answered, and of a connection that is not taken; no others begin."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as silent:
        silent.settimeout(0.0)
        port = silent.getsockname()[1]
        full = [_connecting(port) for _ in range(4)] if backlog == 0 else []
        done = interrupted(PROBE, tmp_path, lambda: _clients(port) >= 2 + len(full), PORT=str(port))
        assert done.stderr.endswith("KeyboardInterrupt\n")
        assert "Exception in thread" not in done.stderr
        for each in full:
            each.close()


def _connecting(port: int) -> socket.socket:
    """Begin a connection to a port; a few of them fill its queue."""
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", port))
    return client


def _clients(port: int) -> int:
    """Return how many sockets connect, or are connected, to a port of loopback."""
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(row.split()[2] == f"0100007F:{port:04X}" for row in rows)
