"""What the tests of the reader share: a server, a client, and a clock that does not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.cloud import Cloud
from tests.arm.estate import Estate
from tests.arm.server import Authority, Server

TOKEN = "secret-token-of-the-test"


class StaticCredential:
    """A credential that always has the same token."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.asked = 0

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        """Return the token; it lives for an hour of the fake clock and of the real one."""
        self.asked += 1
        return AccessToken(self.token, 4_000_000_000)


class FakeClock:
    """Time that passes only where somebody waits for it."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.waits: list[float] = []
        self._lock = threading.Lock()

    def time(self) -> float:
        """Return seconds since the epoch."""
        return self.now

    def monotonic(self) -> float:
        """Return the same seconds."""
        return self.now

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Let time pass."""
        with self._lock:
            self.waits.append(seconds)
            self.now += seconds


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The throw-away certificate authority of this run."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    """An HTTPS server on loopback."""
    with Server(authority) as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    """A clock that does not wait."""
    return FakeClock()


@pytest.fixture
def credential() -> StaticCredential:
    """A credential that always has a token."""
    return StaticCredential()


@pytest.fixture
def make_client(
    server: Server, clock: FakeClock, credential: StaticCredential
) -> Iterator[Callable[..., ArmClient]]:
    """Make clients of the server; keywords are the client's."""
    made: list[ArmClient] = []

    def make(**options: Any) -> ArmClient:
        cloud = options.pop("cloud", None) or cloud_of(server.url)
        holder = options.pop("credential", credential)
        options = {"ca_bundle": server.authority.bundle, "clock": clock, "concurrency": 4, **options}
        client = ArmClient(cloud, holder, **options)
        made.append(client)
        return client.__enter__()

    yield make
    for client in made:
        client.__exit__()


@pytest.fixture
def client(make_client: Callable[..., ArmClient]) -> ArmClient:
    """A client of the server."""
    return make_client()


def cloud_of(url: str) -> Cloud:
    """Return a cloud whose Resource Manager is at a URL."""
    return Cloud(name="test", arm_endpoint=url, authority="https://127.0.0.1:9", audience=url)


@pytest.fixture
def estate(server: Server) -> Estate:
    """An empty subscription."""
    return Estate(server)
