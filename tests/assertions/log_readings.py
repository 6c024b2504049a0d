"""Readings of a workspace's heartbeats, and the estates whose workspaces were asked for them."""

from __future__ import annotations

from typing import Any

import msgspec

from pytest_ampls.model import Estate, Gap, GapKind, Machine, Workspace
from pytest_ampls.model.log_rows import Heartbeat, LogReading
from tests.assertions.machines import MonitoredBlueprint, machine, monitored_estate
from tests.builders import DCRS, VMS, WORKSPACES, resource_id
from tests.private_estate import workspace

NOW = 1_790_000_000.0
WS = resource_id(WORKSPACES, "ws")
OTHER = resource_id(WORKSPACES, "other")
VM1 = resource_id(VMS, "vm1").lower()
PRIVATE = "fd40:1085:12:6d79:7712:100:c0a8:"
REFUSED = Gap(kind=GapKind.DENIED, message="queries are refused", status=403)


def beat(minutes: float = 1.0, sender: str = "203.0.113.9", own: str = VM1, **more: Any) -> Heartbeat:
    """Return a row of vm1 that is some minutes old."""
    more = {"category": "Azure Monitor Agent", **more}
    return Heartbeat(machine=own, time_generated=NOW - minutes * 60, computer_ip=sender, **more)


def read(*rows: Heartbeat, workspace_id: str = WS, **more: Any) -> LogReading:
    """Return the reading of a workspace that was answered at NOW."""
    more = {"answered": "gap" not in more, "answered_at": NOW, **more}
    return LogReading(
        workspace=workspace_id.lower(),
        customer_id="36b87820-3c7e-41fe-851a-86d2a26e7cc2",
        endpoint="https://api.loganalytics.io",
        read_at=NOW - 86_400,
        heartbeats=rows,
        **more,
    )


def logged(*readings: LogReading, plan: MonitoredBlueprint | None = None) -> Estate:
    """Return an estate whose workspaces were asked."""
    estate = (plan or monitored_estate()).build()
    return Estate(msgspec.structs.replace(estate.snapshot, logged=True, logs=readings))


def vm1(*readings: LogReading, plan: MonitoredBlueprint | None = None) -> Machine:
    """Return vm1 of such an estate."""
    return machine(logged(*readings, plan=plan))


def two_workspaces() -> MonitoredBlueprint:
    """Return an estate whose rule sends to two workspaces."""
    plan = monitored_estate()
    destinations = plan[DCRS, "dcr-linux"]["properties"]["destinations"]["logAnalytics"]
    destinations.append({"workspaceResourceId": OTHER, "name": "other"})
    return plan


def asked(*readings: LogReading) -> Workspace:
    """Return the workspace of an estate whose workspaces were asked."""
    return workspace(logged(*readings))
