"""Answers that come through a proxy, which is spoken to by TLS itself."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import requests
from azure.core.exceptions import ServiceResponseTimeoutError
from azure.core.rest import HttpRequest

from pytest_ampls.arm.transport import BoundedAdapter, BoundedTransport
from tests.arm.dribbling import Dribbling
from tests.arm.server import Authority


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def _tunnel(client: socket.socket) -> None:
    with suppress(OSError), client:
        head = client.recv(65_536).split()
        host, _, port = head[1].decode().rpartition(":")
        with socket.create_connection((host, int(port))) as target:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=_copy, args=(target, client), daemon=True).start()
            _copy(client, target)


@contextmanager
def proxy(authority: Authority, serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a proxy on loopback that is spoken to over TLS; yields its URL."""
    context = authority.context()
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                tls = context.wrap_socket(connection, server_side=True)
                threading.Thread(target=serve, args=(tls,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):  # whoever waits in accept is woken
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@contextmanager
def through(authority: Authority, url: str) -> Iterator[BoundedTransport]:
    """Make a transport whose answers have half a second, through a proxy."""
    session = requests.Session()
    session.trust_env = False
    session.proxies = {"https": url}
    session.mount("https://", BoundedAdapter())
    with BoundedTransport(seconds=0.5, session=session, connection_verify=str(authority.bundle)) as transport:
        yield transport


def test_an_answer_that_drips_through_a_proxy_is_ended(authority: Authority) -> None:
    """The connection inside of the proxy's is cut as every other, and the next one is as well."""
    with (
        Dribbling(authority, "body") as drip,
        proxy(authority, _tunnel) as url,
        through(authority, url) as transport,
    ):
        for _ in range(2):
            with pytest.raises(ServiceResponseTimeoutError, match="not whole after"):
                transport.send(HttpRequest("GET", drip.url))


def test_a_proxy_that_drips_itself_is_hung_up_on(authority: Authority) -> None:
    """Its answer to CONNECT, a header without end, is no way to hold a run either."""
    ended: queue.Queue[str] = queue.Queue()

    def drip(client: socket.socket) -> None:
        how = "hung up on"
        with suppress(OSError), client:
            client.recv(65_536)
            client.sendall(b"HTTP/1.1 200 Connection established\r\nX-Padding: ")
            for _ in range(100):
                client.sendall(b"x")
                threading.Event().wait(0.05)
            how = "at the end of its patience"
        ended.put(how)

    with (
        proxy(authority, drip) as url,
        through(authority, url) as transport,
        pytest.raises(ServiceResponseTimeoutError, match="not whole after"),
    ):
        transport.send(HttpRequest("GET", "https://127.0.0.1:9"))
    assert ended.get(timeout=30) == "hung up on"
