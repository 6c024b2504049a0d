"""What tests with a real sshd share: keys, a machine's files, a token service, a TLS server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.guest import sshd as real

Starter = Callable[..., real.Server]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> real.Keys:
    """Key pairs for hosts and users."""
    if real.SSHD is None:
        pytest.skip("there is no sshd here: install openssh-server")
    return real.Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that is laid out like a machine with the agent."""
    folder = tmp_path / "root"
    folder.mkdir()
    real.lay_out(folder)
    return folder


@pytest.fixture
def environment(root: Path) -> Iterator[dict[str, str]]:
    """The environment of a guest whose files, names and services are the test's."""
    with real.imds() as origin, real.tls_server(root) as port:
        yield {
            "AMPLS_ROOT": str(root),
            "AMPLS_IMDS": origin,
            "AMPLS_PORT": str(port),
            "SSL_CERT_FILE": str(root / "ca.pem"),
            "PATH": f"{root}/bin:/usr/bin:/bin",
        }


@pytest.fixture
def start(tmp_path: Path, keys: real.Keys, environment: dict[str, str]) -> Iterator[Starter]:
    """Start an sshd, with further lines of configuration and variables of its sessions."""
    with ExitStack() as stack:

        def started(more: str = "", **variables: str) -> real.Server:
            server: AbstractContextManager[real.Server] = real.sshd(
                tmp_path / "sshd", keys, {**environment, **variables}, more=more
            )
            return stack.enter_context(server)

        yield started
