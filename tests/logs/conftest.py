"""A server in place of Log Analytics, and a client that asks it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.cloud import Cloud
from pytest_ampls.logs import ask_all
from pytest_ampls.model.log_rows import LogReading
from tests.arm.conftest import FakeClock, StaticCredential, authority, clock, credential, server
from tests.arm.server import Server
from tests.logs.answers import CUSTOMER, ID

WORKSPACE = "/subscriptions/s/resourcegroups/rg/providers/microsoft.operationalinsights/workspaces/ws"

Ask = Callable[..., tuple[LogReading, ...]]


__all__ = ["ask", "authority", "clock", "credential", "server"]


@pytest.fixture
def ask(server: Server, clock: FakeClock, credential: StaticCredential) -> Ask:
    """Ask the server for the heartbeats of vm1; keywords are the cloud's endpoint and those of ask_all."""

    def asking(
        *workspaces: tuple[str, str, str], endpoint: str = "", budget: float = 60.0, timeout: float = 5.0
    ) -> tuple[LogReading, ...]:
        cloud = Cloud(
            name="test",
            arm_endpoint="https://127.0.0.1:9",
            authority="https://127.0.0.1:9",
            audience="arm",
            logs_endpoint=endpoint or server.url,
        )
        bundle = server.authority.bundle
        with ArmClient(cloud, credential, ca_bundle=bundle, clock=clock, retry_budget=budget) as client:
            return ask_all(client, workspaces or ((WORKSPACE, "ws", CUSTOMER),), {ID}, timeout=timeout)

    return asking
