"""A verdict that would fail on the index: the documents concerned are read again from the providers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.confirm import confirm
from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.arm.kinds import INDEXED
from pytest_ampls.arm.reader import Reader
from pytest_ampls.arm.refresh import refresh
from pytest_ampls.arm.subscriptions import find_subscriptions
from pytest_ampls.errors import AccessDeniedError
from pytest_ampls.lab import Lab
from pytest_ampls.model import Estate, PrivateLinkScope, Reading, Snapshot, VirtualMachine, VirtualNetwork
from pytest_ampls.model.evidence import GapKind, Subscription, VantagePoint
from pytest_ampls.model.needs import Needs
from pytest_ampls.model.resource import Resource
from pytest_ampls.requirements import Requirements
from pytest_ampls.suspicion import suspects
from tests.arm.discovered import client_of
from tests.arm.estate import NETWORKS, NICS, PRIVATE_ENDPOINTS, VMS
from tests.arm.names import ASSOCIATIONS

Readings = tuple[Reading, ...]


@contextmanager
def reading(spec: str) -> Iterator[tuple[ArmClient, Readings]]:
    """Open a lab, read it by the index, and leave the client open."""
    with Lab.from_spec(spec) as lab, client_of(lab) as client:
        yield client, read_estate(client, lab.subscriptions, discovery="graph")[1]


def estate_of(readings: Readings) -> Estate:
    """Return an estate of readings."""
    return Estate(Snapshot(readings=readings))


def machines(estate: Estate) -> dict[str, VirtualMachine]:
    """Return the VMs by name."""
    return {own.label: own for own in estate.known(VirtualMachine)}


def changed(readings: Readings, kind: str, change: Any) -> Readings:
    """Return readings with the index's documents of a type changed as a list."""
    found = []
    for own in readings:
        if own.type == kind and own.source == "graph":
            documents = change([msgspec.json.decode(raw) for raw in own.documents])
            raw = tuple(msgspec.Raw(msgspec.json.encode(document)) for document in documents)
            own = msgspec.structs.replace(own, documents=raw)
        found.append(own)
    return tuple(found)


def test_what_was_lost_is_found_again() -> None:
    """A machine whose associations the index lost has them all after the confirmation, from its own listing."""
    with reading("hub-and-spoke") as (client, readings):
        lost = changed(
            readings, ASSOCIATIONS, lambda rows: [row for row in rows if "/spoke2/" not in row["id"]]
        )
        before = machines(estate_of(lost))["spoke2"]
        assert (before.associations, before.estate.source(before)) == ((), "graph")
        after = machines(estate_of(confirm(client, lost, [before.id.upper()])))
    assert len(after["spoke2"].associations) == 2
    assert after["spoke2"].config_endpoint is not None
    assert after["spoke2"].estate.source(after["spoke2"]) == "arm"
    assert after["spoke3"].estate.source(after["spoke3"]) == "graph"


def test_a_machine_that_is_gone_disappears() -> None:
    """With its extensions and associations, and without a gap: there is nothing to judge."""

    def with_ghost(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ghosts = [
            {**row, "id": row["id"].replace("/spoke1", "/ghost")} for row in rows if "/spoke1" in row["id"]
        ]
        return [*rows, *ghosts]

    with reading("hub-and-spoke:page_size=3") as (client, readings):
        for kind in (VMS, f"{VMS}/extensions", ASSOCIATIONS):
            readings = changed(readings, kind, with_ghost)
        estate = estate_of(readings)
        (ghost,) = [own for own in estate.known(VirtualMachine) if own.id.endswith("/ghost")]
        assert ghost.associations
        confirmed = confirm(client, readings, [ghost.id])
    assert not [own for own in confirmed if own.gap is not None]
    assert not [raw for own in confirmed for raw in own.documents if b"/ghost" in bytes(raw)]
    assert len(estate_of(confirmed).known(VirtualMachine)) == 7


def test_anything_below_a_machine_means_the_machine() -> None:
    """The id of an extension, of an association or of the machine itself, each in any case, is one machine."""
    with reading("hub-and-spoke:page_size=3") as (client, readings):
        own = machines(estate_of(readings))["spoke1"]
        before = client.statistics().calls
        confirmed = confirm(client, readings, [own.extensions[0].id, own.associations[0].id.upper(), own.id])
        assert client.statistics().calls - before == 4  # machine, extensions, associations, interface
    assert sum(len(part.documents) for part in confirmed) == sum(len(part.documents) for part in readings)


def test_only_so_many_are_read_again() -> None:
    """Those beyond the bound stay as they are, which their source tells."""
    with reading("hub-and-spoke:page_size=3") as (client, readings):
        everyone = [own.id for own in estate_of(readings).known(VirtualMachine)]
        estate = estate_of(confirm(client, readings, everyone, most=2))
    sources = [estate.source(own) for own in machines(estate).values()]
    assert sorted(sources) == ["arm"] * 2 + ["graph"] * 5


@pytest.mark.parametrize("spec", ["hub-and-spoke", "hub-and-spoke+no-resource-graph"])
def test_what_did_not_come_from_the_index_is_left_alone(spec: str) -> None:
    """Nothing is asked where the providers were read, and the readings are the same."""
    with Lab.from_spec(spec) as lab, client_of(lab) as client:
        way = "auto" if "no-" in spec else "arm"
        _, readings = read_estate(client, lab.subscriptions, discovery=way)
        before = client.statistics().calls
        everything = [own.id for own in estate_of(readings).known(VirtualMachine)]
        assert (
            confirm(client, readings, [*everything, "", "/subscriptions/x", lab.subscriptions[0]]) == readings
        )
        assert confirm(client, readings, everything, most=0) == readings
        assert client.statistics().calls == before


def test_a_provider_that_refuses_leaves_it_unverified() -> None:
    """Neither the index's word stands, nor its contrary."""
    spec = f"hub-and-spoke+denied={ASSOCIATIONS}"
    with reading("hub-and-spoke") as (_, readings), Lab.from_spec(spec) as lab:
        own = machines(estate_of(readings))["spoke2"]
        with client_of(lab) as refused:
            estate = estate_of(confirm(refused, readings, [own.id]))
    with pytest.raises(AccessDeniedError):
        machines(estate)["spoke2"].associations  # noqa: B018  # reading it is the test
    assert len(machines(estate)["spoke3"].associations) == 2


def test_what_fresh_documents_name_is_read_too() -> None:
    """An association that the index lacked may lead to a rule that nobody read."""
    with reading("hub-and-spoke") as (client, readings):
        rules = "Microsoft.Insights/dataCollectionRules"
        unread = tuple(own for own in readings if own.type != rules)
        own = machines(estate_of(readings))["spoke2"]
        confirmed = confirm(client, unread, [own.id])
    assert [part.type for part in confirmed if part.single] == [VMS, NICS, rules]


def test_a_machine_that_may_not_be_read_again_is_missing() -> None:
    """It is not among the known ones, and the list of machines is not complete."""
    with reading("hub-and-spoke") as (_, readings), Lab.from_spec(f"hub-and-spoke+denied={VMS}") as lab:
        own = machines(estate_of(readings))["spoke2"]
        with client_of(lab) as refused:
            estate = estate_of(confirm(refused, readings, [own.id]))
    assert "spoke2" not in machines(estate)
    assert [gap.kind for gap in estate.missing(VirtualMachine).values()] == [GapKind.DENIED]


# ------------------------------------------------------------------- networks and the like


def without_servers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return networks without DNS servers of their own."""
    for row in rows:
        row["properties"].pop("dhcpOptions", None)
    return rows


def without_peerings(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return networks that reach no other."""
    for row in rows:
        row["properties"].pop("virtualNetworkPeerings", None)
    return rows


@contextmanager
def fleet() -> Iterator[tuple[ArmClient, Readings]]:
    """Open a fleet whose networks came from the index, which has forgotten their DNS servers."""
    spec = "fleet:vms=20,subscriptions=3,spoke_size=5"
    with Lab.from_spec(spec) as lab, client_of(lab) as client:
        _, readings = read_estate(client, lab.subscriptions, discovery="auto", fresh=0)
        yield client, changed(readings, NETWORKS, without_servers)


def servers(readings: Readings) -> int:
    """Return how many networks have DNS servers of their own."""
    return sum(bool(own.dns_servers) for own in estate_of(readings).known(VirtualNetwork))


@pytest.mark.parametrize("kind", ["a machine", "a network", "a scope"])
def test_any_suspicion_reads_networks_again(kind: str) -> None:
    """Whatever fails may rest on one: all that came from the index are listed by their provider."""
    with fleet() as (client, readings):
        estate = estate_of(readings)
        assert servers(readings) == 0
        known: dict[str, type[Resource]] = {
            "a machine": VirtualMachine,
            "a network": VirtualNetwork,
            "a scope": PrivateLinkScope,
        }
        before = client.statistics().calls_by_type
        confirmed = confirm(client, readings, [estate.known(known[kind])[0].id])
        after = client.statistics().calls_by_type
    assert servers(confirmed) == 4
    assert {own.source for own in confirmed if own.type in INDEXED} == {"arm"}
    networks = [own for own in confirmed if own.type == NETWORKS]
    assert len({own.scope for own in networks}) == len(networks) == 3
    assert after[NETWORKS] - before.get(NETWORKS, 0) == 3
    assert (
        after["Microsoft.Network/privateDnsZones/recordSets"] == 5
    )  # as before: links and records are fresh


def test_without_suspicion_networks_stay_as_they_are() -> None:
    """Nobody is asked, nor is where nothing may be read again."""
    with fleet() as (client, readings):
        before = client.statistics().calls
        assert confirm(client, readings, []) == readings
        assert confirm(client, readings, ["/subscriptions/x"], most=0) == readings
        assert client.statistics().calls == before


def test_a_rule_that_fails_on_a_network_of_the_index_is_suspicious() -> None:
    """And where networks were listed by their provider, only machines are."""
    with fleet() as (_, readings):
        network = next(own for own in estate_of(readings).known(VirtualNetwork) if own.name == "spoke1")
        broken = changed(readings, NETWORKS, without_peerings)
    named = set(suspects(estate_of(broken), Requirements()))
    assert network.id in named
    by_arm = tuple(msgspec.structs.replace(own, source="arm") for own in broken)
    assert network.id not in set(suspects(estate_of(by_arm), Requirements()))


def test_a_network_that_a_vantage_point_speaks_for_is_read_again() -> None:
    """What it answers is computed from the network's configuration later on."""
    with fleet() as (_, readings):
        network = estate_of(readings).known(VirtualNetwork)[0]
    point = VantagePoint(name="p", servers=(), virtual_network=network.id, computed=network.id)
    for points, expected in (((point,), True), ((), False)):
        estate = Estate(Snapshot(readings=readings, vantage_points=points))
        found = list(suspects(estate, Requirements()))
        assert (found[:1] == [network.id]) is expected


def test_what_was_read_by_itself_is_not_lost_while_waiting() -> None:
    """A machine that was confirmed is no row of the index any more: its interface is read again by itself."""
    with reading("hub-and-spoke") as (client, readings):
        own = machines(estate_of(readings))
        confirmed = confirm(client, readings, [own["spoke1"].id])
        needs = Needs.of([NICS, NETWORKS], [own["spoke2"].id])
        scopes = [Subscription(id=own["spoke1"].id.split("/")[2])]
        estate = estate_of(refresh(client, scopes, confirmed, needs, discovery="auto"))
    assert [len(vm.virtual_networks) for vm in estate.known(VirtualMachine)] == [1] * 7


@pytest.mark.parametrize("kind", [VMS, f"{VMS}/extensions", ASSOCIATIONS])
def test_what_could_not_be_confirmed_is_tried_again_while_waiting(kind: str) -> None:
    """Where the provider refused, the row of the index is gone, and the machine must not go with it."""
    with reading("hub-and-spoke") as (client, readings):
        own = machines(estate_of(readings))
        with Lab.from_spec(f"hub-and-spoke+denied={kind}") as lab, client_of(lab) as refused:
            confirmed = confirm(refused, readings, [own["spoke1"].id])
        assert [part.type for part in confirmed if part.gap is not None] == [kind]
        needs = Needs.of([NICS], [own["spoke2"].id])
        scopes = [Subscription(id=own["spoke1"].id.split("/")[2])]
        estate = estate_of(refresh(client, scopes, confirmed, needs, discovery="auto"))
    again = machines(estate)["spoke1"]
    assert (len(again.extensions), len(again.associations)) == (1, 2)


def test_waiting_for_a_network_reads_it_from_its_provider() -> None:
    """What somebody waits for does not come from the index a second time."""
    with fleet() as (client, readings), Reader(client) as reader:
        found = find_subscriptions(reader, sorted({own.scope.split("/")[2] for own in readings}), [])
        needs = Needs.of([NETWORKS, PRIVATE_ENDPOINTS], [machines(estate_of(readings))["vm00001"].id])
        fresh = refresh(client, found, readings, needs, discovery="auto")
    assert servers(fresh) == 4
    assert {own.source for own in fresh if own.type in (NETWORKS, PRIVATE_ENDPOINTS)} == {"arm"}
    assert {own.source for own in fresh if own.type == VMS} == {"graph"}
    kinds = [own.type for own in fresh if own.type == PRIVATE_ENDPOINTS]
    assert len(kinds) == 3
