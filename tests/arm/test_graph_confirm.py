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
from pytest_ampls.errors import AccessDeniedError
from pytest_ampls.lab import Lab
from pytest_ampls.model import Estate, Reading, Snapshot, VirtualMachine
from tests.arm.discovered import client_of
from tests.arm.estate import VMS
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
    with reading("hub-and-spoke") as (_, readings), Lab.from_spec("hub-and-spoke+denied") as lab:
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
    assert [part.type for part in confirmed if part.single] == [rules]
