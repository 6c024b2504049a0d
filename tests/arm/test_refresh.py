"""Reading a part again: what is waited for is fresh, and nothing else is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.arm.refresh import refresh
from pytest_ampls.lab import Lab
from pytest_ampls.model import Estate, Reading, Snapshot, Subscription
from pytest_ampls.model.needs import Needs
from tests.arm.discovered import client_of
from tests.guards.suite import judge_all, lab_snapshot

VMS = "Microsoft.Compute/virtualMachines"
EXTENSIONS = f"{VMS}/extensions"
ASSOCIATIONS = "Microsoft.Insights/dataCollectionRuleAssociations"
ZONES = "Microsoft.Network/privateDnsZones"
LINKS = f"{ZONES}/virtualNetworkLinks"
FLEET = "fleet:vms=40,spoke_size=20,page_size=10"


def _first(client: ArmClient, lab: Lab, discovery: str) -> tuple[Sequence[Subscription], Sequence[Reading]]:
    return read_estate(client, lab.subscriptions, discovery=discovery)


def _calls(spec: str, needs: Needs, discovery: str) -> dict[str, int]:
    """Return the calls by type of reading again, after a first read of a healthy estate."""
    with Lab.from_spec(spec) as lab:
        with client_of(lab) as client:
            subscriptions, before = _first(client, lab, discovery)
        with client_of(lab) as client:
            refresh(client, subscriptions, before, needs, discovery=discovery)
            return client.statistics().calls_by_type


def _machine(number: int, spec: str = FLEET) -> str:
    estate = Estate(lab_snapshot(spec))
    return next(vm.id for vm in estate.virtual_machines if vm.name == f"vm{number:05d}")


@pytest.mark.parametrize("discovery", ["arm", "graph"])
def test_one_type_is_read_and_what_is_below_it(discovery: str) -> None:
    """Whoever waits for links reads links and records, and no machine."""
    calls = _calls(FLEET, Needs.of([ZONES, LINKS], ()), discovery)
    assert calls.keys() == {ZONES, LINKS, f"{ZONES}/recordSets"}
    assert calls[ZONES] == 1


def test_one_machine_of_the_index_is_read_from_its_provider() -> None:
    """Of forty machines one is asked, and the index is left alone."""
    calls = _calls(FLEET, Needs.of([VMS, EXTENSIONS, ASSOCIATIONS], [_machine(7)]), "graph")
    assert calls[VMS] == calls[EXTENSIONS] == calls[ASSOCIATIONS] == 1
    assert "Microsoft.ResourceGraph/resources" not in calls
    assert ZONES not in calls


def test_one_machine_of_the_providers_is_read() -> None:
    """Without the index, listings of machines are read again, and what is below one machine."""
    calls = _calls("hub-and-spoke", Needs.of([EXTENSIONS], [_own_machine("spoke1")]), "arm")
    assert calls == {EXTENSIONS: 1}


def _own_machine(name: str) -> str:
    estate = Estate(lab_snapshot("hub-and-spoke"))
    return next(vm.id for vm in estate.virtual_machines if vm.name == name)


def test_all_machines_are_read_where_it_is_not_known_which() -> None:
    """A rule about all machines has them all read again, by the index."""
    calls = _calls(FLEET, Needs.of([VMS, ASSOCIATIONS], ()), "graph")
    assert calls["Microsoft.ResourceGraph/resources"] > 1


def test_nothing_needed_is_nothing_read() -> None:
    """A test that looked at nothing but DNS has no provider asked."""
    assert _calls(FLEET, Needs.of(["dns answers"], ()), "graph") == {}


@pytest.mark.parametrize(
    ("fault", "types", "machine"),
    [
        ("missing-config-endpoint", [VMS, ASSOCIATIONS], "spoke1"),
        ("agent-missing", [VMS, EXTENSIONS], "spoke1"),
        ("zone-unlinked", [ZONES, LINKS], ""),
        (f"denied={ZONES}", [ZONES], ""),
        (f"denied={EXTENSIONS}", [EXTENSIONS], ""),
    ],
)
@pytest.mark.parametrize("estate", ["hub-and-spoke", "hub-and-spoke:page_size=3"])
def test_what_was_mended_is_seen(estate: str, fault: str, types: list[str], machine: str) -> None:
    """After a fault is gone, reading again what was looked at makes every verdict that of the healthy estate."""
    with Lab.from_spec(f"{estate}+{fault}") as lab, client_of(lab) as client:
        _, before = _first(client, lab, "auto")
    needs = Needs.of(types, [_own_machine(machine)] if machine else ())
    healthy = lab_snapshot("hub-and-spoke")
    with Lab.from_spec(estate) as lab, client_of(lab) as client:
        subscriptions = [Subscription(id=own) for own in lab.subscriptions]
        after = refresh(client, subscriptions, before, needs, discovery="auto")
    assert judge_all(Estate(_with(healthy, before))) != judge_all(Estate(healthy))
    assert judge_all(Estate(_with(healthy, after))) == judge_all(Estate(healthy))


def _with(base: Snapshot, readings: Sequence[Reading]) -> Snapshot:
    return msgspec.structs.replace(base, readings=tuple(readings))
