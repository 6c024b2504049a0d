"""What the lab's tests share: the healthy estate, started once, and a client for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_ampls.lab import Lab
from tests.lab.arm_client import ArmClient
from tests.lab.log_client import LogClient


@pytest.fixture(scope="session")
def healthy() -> Iterator[Lab]:
    """The healthy hub-and-spoke estate, served."""
    with Lab.from_spec("hub-and-spoke") as lab:
        yield lab


@pytest.fixture(scope="session")
def arm(healthy: Lab) -> ArmClient:
    """A client of the healthy estate."""
    return ArmClient(healthy)


@pytest.fixture(scope="session")
def logs(healthy: Lab) -> LogClient:
    """A client of the healthy estate's Log Analytics."""
    return LogClient(healthy)
