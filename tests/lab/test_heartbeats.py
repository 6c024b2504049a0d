"""The rows of the lab's table: who sends them, what is in them, and what faults make of them."""

from __future__ import annotations

import ipaddress
import time

import pytest

from tests.lab.log_client import serving

LATEST = (
    "Heartbeat | where TimeGenerated > ago(1d)"
    " | summarize arg_max(TimeGenerated, ComputerIP, Computer) by _ResourceId"
)


def test_which_machines_send() -> None:
    """VMs, instances of both kinds of scale sets and Arc machines; ids in lower case, as the service has them."""
    with serving("hub-and-spoke") as logs:
        rows = logs.rows("Heartbeat | distinct _ResourceId, OSType, ComputerEnvironment")
    names = {row["_ResourceId"].partition("/providers/")[2]: row for row in rows}
    assert all(name == name.lower() for name in names)
    machines = "microsoft.compute/virtualmachines"
    sets = "microsoft.compute/virtualmachinescalesets/uniform/virtualmachines"
    assert set(names) == {
        *(f"{machines}/{name}" for name in ("hub", "spoke1", "spoke2", "spoke3", "spoke4")),
        *(f"{machines}/{name}" for name in ("flex_3f1a2b0c", "flex_8d9e0f1a")),
        *(f"{sets}/{number}" for number in (0, 1)),
        "microsoft.hybridcompute/machines/onprem1",
    }
    assert names[f"{machines}/spoke2"]["OSType"] == "Windows"
    assert names["microsoft.hybridcompute/machines/onprem1"]["ComputerEnvironment"] == "Non-Azure"


@pytest.mark.parametrize("fault", ["agent-missing", "missing-rule-association", "agent-stopped"])
def test_other_faults_leave_heartbeats_alone(fault: str) -> None:
    """What is wrong with a machine elsewhere shows there, and not in what was collected."""
    with serving(f"hub-and-spoke+{fault}") as logs:
        assert len(logs.rows(LATEST)) == 10


def test_faults_of_heartbeats() -> None:
    """One machine is missing, late, or public; the others are not."""
    own = "Heartbeat | where Computer == 'spoke1' | summarize count()"
    with serving("hub-and-spoke+heartbeat-missing") as logs:
        assert logs.rows(own)[0]["count_"] == 0
        assert len(logs.rows(LATEST)) == 9
    with serving("hub-and-spoke+heartbeat-stale") as logs:
        (row,) = logs.rows("Heartbeat | where TimeGenerated < ago(175m) | where Computer == 'spoke1' | count")
        assert row["Count"] == 1440 - 180
        assert not logs.rows("Heartbeat | where TimeGenerated > ago(179m) and Computer == 'spoke1'")
    with serving("hub-and-spoke+heartbeat-public") as logs:
        rows = {row["Computer"]: row["ComputerIP"] for row in logs.rows(LATEST)}
        assert ipaddress.ip_address(rows.pop("spoke1")).version == 4
        assert {ipaddress.ip_address(address).version for address in rows.values()} == {6}


def test_a_machine_that_went_silent_leaves_no_empty_workspace() -> None:
    """Where the only machine is silent the table has no rows: not the same as a workspace without any data."""
    with serving("fleet:vms=1+heartbeat-missing") as logs:
        assert logs.rows(LATEST) == []


def test_heartbeats_begin_when_the_lab_mends() -> None:
    """After the time that the specification gives the fault is gone."""
    with serving("hub-and-spoke:mends_after=1+heartbeat-missing") as logs:
        deadline = time.monotonic() + 20
        while len(logs.rows(LATEST)) == 9 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(logs.rows(LATEST)) == 10


def test_a_fleet_has_a_row_of_each_machine() -> None:
    """A day of a thousand machines is a million rows, and is counted without making them."""
    with serving("fleet:vms=1000") as logs:
        assert len(logs.rows(LATEST)) == 1000
        assert logs.rows("Heartbeat | count") == [{"Count": 1_440_000}]
