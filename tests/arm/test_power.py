"""Power states: read from instance views, one call each; whatever goes wrong is a gap and no state."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.power import INSTANCE_VIEW, read_power
from pytest_ampls.model import GapKind
from pytest_ampls.model.power import PowerReading
from pytest_ampls.model.types import API_VERSIONS
from tests.arm.server import Reply, Server
from tests.lab.recorded import needs_data, recorded_lines

VM = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines"
PROVISIONED = {"code": "ProvisioningState/succeeded", "level": "Info"}


def view(*codes: object) -> dict[str, Any]:
    """Return an instance view with these codes behind the one of provisioning."""
    return {"statuses": [PROVISIONED, *({"code": code, "level": "Info"} for code in codes)]}


def read(client: ArmClient, server: Server, reply: Reply) -> PowerReading:
    """Return what is made of one answer."""
    server.on(f"{VM}/vm1/instanceView", reply)
    (reading,) = read_power(client, [f"{VM}/vm1"])
    return reading


@pytest.mark.parametrize(
    "state", ["running", "deallocated", "stopped", "starting", "stopping", "deallocating", "unknown"]
)
def test_a_state_is_read_from_the_provider(client: ArmClient, server: Server, state: str) -> None:
    """One GET of the instance view, with the api-version of the machine's type."""
    reading = read(client, server, Reply(view(f"PowerState/{state}")))
    assert (reading.machine, reading.state, reading.gap) == (f"{VM}/vm1", state, None)
    assert reading.read_at > 0
    assert reading.is_off is (state in ("deallocated", "stopped"))
    assert reading.is_changing is (state in ("starting", "stopping", "deallocating"))
    (asked,) = server.asked
    assert asked.path == f"{VM}/vm1/instanceView"
    assert asked.query["api-version"] == API_VERSIONS["Microsoft.Compute/virtualMachines"]
    assert client.statistics().calls_by_type == {INSTANCE_VIEW: 1}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"statuses": None},
        {"statuses": []},
        {"statuses": ["PowerState/deallocated"]},
        view(),
        view("PowerState/"),
        view("PowerState/\x1b[2J"),
        view("PowerState/deallocated", "PowerState/running"),
        view("PowerState/deallocated", "PowerState/de/allocated"),
        view("DisplayState/PowerState/deallocated"),
        view(["PowerState/deallocated"], None, 7),
        {"instanceView": view("PowerState/deallocated")},
    ],
)
def test_what_does_not_tell_one_state_is_malformed(client: ArmClient, server: Server, body: Any) -> None:
    """No state, several, or something else: nothing is known then, so nobody is taken for switched off."""
    reading = read(client, server, Reply(body))
    assert reading.gap is not None
    assert reading.gap.kind is GapKind.MALFORMED
    assert "\x1b" not in reading.gap.message
    assert (reading.state, reading.is_off, reading.is_changing) == ("", False, False)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, GapKind.DENIED), (404, GapKind.ABSENT), (400, GapKind.UNREACHABLE)]
)
def test_a_refusal_is_no_state(client: ArmClient, server: Server, status: int, kind: GapKind) -> None:
    """Denied, gone or refused: a gap that says so, and names the action where it is one of rights."""
    reading = read(client, server, Reply({"error": {"code": "Refused", "message": "no"}}, status=status))
    assert reading.gap is not None
    assert (reading.gap.kind, reading.is_off) == (kind, False)
    assert "vm1" in reading.gap.message
    if kind is GapKind.DENIED:
        assert reading.gap.permission == "Microsoft.Compute/virtualMachines/instanceView/read"


def test_no_more_than_so_many_are_asked_for(client: ArmClient, server: Server) -> None:
    """The others have a gap that says so, and the run tells it."""
    for number in range(2):
        server.on(f"{VM}/vm{number}/instanceView", Reply(view("PowerState/deallocated")))
    found = read_power(client, [f"{VM}/vm{number}" for number in range(5)], most=2)
    assert [reading.is_off for reading in found] == [True, True, False, False, False]
    assert all(each.gap is not None and each.gap.kind is GapKind.NOT_READ for each in found[2:])
    assert len(server.asked) == 2
    (note,) = client.statistics().notes
    assert "of 5 virtual machines" in note
    assert "first 2" in note


def test_nobody_to_ask_for_costs_nothing(client: ArmClient, server: Server) -> None:
    """Without machines there is no call, and nothing to tell."""
    assert read_power(client, []) == ()
    assert not server.asked
    assert not client.statistics().notes


@needs_data
def test_recorded_views_are_understood(client: ArmClient, server: Server) -> None:
    """Every instance view that was recorded of a machine tells its state."""
    found = set()
    for pattern in ("by_type/vm.jsonl", "by_type/vmssVm.jsonl", "timelines/compute_vm_*.jsonl"):
        for line in recorded_lines(pattern):
            body = line.get("response_body")
            if line.get("status") != 200 or not isinstance(body, dict):
                continue
            if "/instanceView?" in str(line.get("url")):
                recorded = body
            else:
                recorded = body.get("properties", {}).get("instanceView", {})
            if "PowerState/" not in str(recorded):
                continue
            found.add(read(client, server, Reply(recorded)).told())
    assert found == {"running", "deallocated"}
