"""What the tests of refusals share: how a gap is taken, and ARM's usual error body."""

from __future__ import annotations

from typing import Any

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.model.evidence import Gap
from tests.arm.names import RULES, SUBSCRIPTION
from tests.arm.server import Reply

DENIED = (
    "The client 'c' with object id 'o' does not have authorization to perform action "
    "'Microsoft.Insights/DataCollectionRules/Read' over scope '/subscriptions/1' or the scope is invalid."
)


def gap_of(client: ArmClient, kind: str = RULES) -> Gap:
    """Return the gap of a listing that must have one."""
    gap = client.list(kind, SUBSCRIPTION).gap
    assert gap is not None
    return gap


def error(code: str, message: str) -> dict[str, Any]:
    """Return ARM's usual error body."""
    return {"error": {"code": code, "message": message}}


def throttled(headers: dict[str, str], status: int = 429) -> Reply:
    """Return an answer that says: later."""
    return Reply({"error": {"code": "TooManyRequests", "message": "slow"}}, status=status, headers=headers)
