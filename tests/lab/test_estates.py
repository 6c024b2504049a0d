"""The estates: specification, reproducibility, scale."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pytest_ampls.lab import Lab, LabError, estates, faults
from tests.lab.arm_client import ArmClient


@pytest.mark.parametrize("name", list(estates()))
def test_estates_are_reproducible(name: str) -> None:
    """The same specification gives the same documents, ids included."""
    assert Lab.from_spec(name).documents() == Lab.from_spec(name).documents()


def test_labs_share_nothing() -> None:
    """A fault in one lab leaves no trace in the next one."""
    before = Lab.from_spec("hub-and-spoke").documents()
    for fault in ("identity-ambiguous", "zone-group-without-records", "uniform-set-unassociated"):
        Lab.from_spec(f"hub-and-spoke+{fault}")
    assert Lab.from_spec("hub-and-spoke").documents() == before


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("hub-and-spok", ["no estate 'hub-and-spok'", "two-scopes", "did you mean 'hub-and-spoke'?"]),
        ("", ["no estate ''"]),
        ("empty+missing-config", ["no fault 'missing-config'", "did you mean 'missing-config-endpoint'?"]),
        ("empty+agent-missing", ["'agent-missing' does not apply to empty", "hub-and-spoke"]),
        ("hub-and-spoke:pagesize=3", ["no parameter 'pagesize'", "did you mean 'page_size'?"]),
        ("hub-and-spoke:page_size", ["'page_size' is not key=value"]),
        ("hub-and-spoke:page_size=0", ["page_size=0 is not a number of at least 1"]),
        ("hub-and-spoke:latency_ms=fast", ["latency_ms=fast is not a number"]),
        ("hub-and-spoke:throttle=maybe", ["throttle=maybe is neither on nor off"]),
        ("hub-and-spoke:page_size=1,page_size=2", ["'page_size' is given twice"]),
        ("hub-and-spoke+", ["no fault's name behind a '+'"]),
        ("hub-and-spoke+query-open+query-open", ["'query-open' is given twice"]),
        ("hub-and-spoke+query-open:page_size=2", ["'query-open:page_size=2'", "stand behind the estate"]),
        ("hub-and-spoke+query-open=x", ["'query-open' takes no argument"]),
        ("hub-and-spoke+denied=workspace", ["no resource type 'workspace'", "did you mean 'workspaces'?"]),
        ("hub-and-spoke+denied=extensions", ["'extensions' is ambiguous", "hybridcompute"]),
        ("hub-and-spoke+throttled=many", ["throttled=many is not a whole number"]),
        ("hub-and-spoke+dns-servfail=spoke9", ["no VNet 'spoke9'", "did you mean 'spoke"]),
        ("fleet:vms=none", ["vms=none is not a whole number"]),
        ("fleet:vms=5,subscriptions=0", ["subscriptions=0 is not a whole number from 1"]),
    ],
)
def test_bad_specifications(spec: str, parts: list[str]) -> None:
    """A bad specification says what was seen, what is on offer, and what was probably meant."""
    with pytest.raises(LabError) as caught:
        Lab.from_spec(spec)
    for part in parts:
        assert part in str(caught.value)


def test_fleet_has_what_was_asked_for() -> None:
    """A fleet has its number of VMs, dealt out over its subscriptions, each with all its parts."""
    lab = Lab.from_spec("fleet:vms=1203,subscriptions=3")
    assert len(lab.subscriptions) == 3
    machines = lab.estate.of_type("Microsoft.Compute/virtualMachines")
    assert len(machines) == 1203
    assert len({machine["name"] for machine in machines}) == 1203
    assert len({machine["id"].split("/")[2] for machine in machines}) == 3
    assert len(lab.estate.of_type("Microsoft.Insights/dataCollectionRuleAssociations")) == 2406
    assert len(lab.estate.of_type("Microsoft.Compute/virtualMachines/extensions")) == 1203


def test_fleet_is_served_in_pages() -> None:
    """All VMs of a fleet arrive, page by page."""
    with Lab.from_spec("fleet:vms=230,page_size=100") as lab:
        arm = ArmClient(lab)
        rows = arm.list(f"{arm.subscription}/providers/Microsoft.Compute/virtualMachines", "2024-11-01")
        assert len({row["id"] for row in rows}) == 230
        assert len([asked for asked in lab.requests if asked.path.endswith("/virtualMachines")]) == 3


def test_two_scopes_share_records() -> None:
    """With two scopes in one boundary the shared records are those of the endpoint that wrote last."""
    lab = Lab.from_spec("two-scopes")
    records = lab.estate.of_type("Microsoft.Network/privateDnsZones/A")
    assert {record["properties"]["aRecords"][0]["ipv4Address"][:7] for record in records} == {"10.2.0."}
    members = lab.estate.of_type("Microsoft.Insights/privateLinkScopes/scopedResources")
    assert len(members) == 6


def test_empty_estate() -> None:
    """An empty subscription can be read, and holds nothing."""
    with Lab.from_spec("empty") as lab:
        arm = ArmClient(lab)
        assert arm.get(f"{arm.subscription}?api-version=2022-12-01").status == 200
        assert arm.list(f"{arm.subscription}/providers/Microsoft.Compute/virtualMachines", "2024-11-01") == []
        assert lab.documents() == []
        assert lab.views == ()


def test_a_lab_leaves_nothing_behind() -> None:
    """After stop there is no thread, no file, no port; stopping twice is fine."""
    before = set(threading.enumerate())
    lab = Lab.from_spec("hub-and-spoke").start()
    bundle = Path(lab.ca_bundle)
    arm = ArmClient(lab)
    assert arm.get(f"{arm.subscription}?api-version=2022-12-01").status == 200
    assert bundle.is_file()
    lab.stop()
    lab.stop()
    assert not bundle.parent.exists()
    assert set(threading.enumerate()) <= before
    with pytest.raises(LabError, match="not started"):
        _ = lab.arm_endpoint


def test_latency_adds_up() -> None:
    """Latency comes from the argument and from the specification."""
    assert Lab.from_spec("empty:latency_ms=60", latency=0.04).latency == pytest.approx(0.1)


def test_a_taken_port_is_an_error(healthy: Lab) -> None:
    """A port that is in use is refused, and nothing is left open."""
    port = int(healthy.arm_endpoint.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Lab.from_spec("empty", arm_port=port).start()


def test_every_fault_is_described() -> None:
    """Every fault has a kind, a title without a full stop, and estates that exist."""
    for name, fault in faults().items():
        assert fault.name == name
        assert fault.kind in ("estate", "power", "guest", "probe", "logs", "wire", "dns")
        assert fault.title
        assert not fault.title.endswith(".")
        assert set(fault.estates) <= set(estates())
        assert all(rule.startswith("AMPLS") for rule in fault.breaks)
        assert fault.kind != "estate" or fault.breaks
