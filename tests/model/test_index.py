"""Listings of a whole subscription, which only the index has, answer for what is below each resource."""

from __future__ import annotations

import msgspec
import pytest

from pytest_ampls.errors import AccessDeniedError, DocumentError, NotReadError
from pytest_ampls.model import Estate, Reading
from pytest_ampls.model.machine import VirtualMachineExtension
from pytest_ampls.model.resource import key
from tests.assertions.machines import MonitoredBlueprint, machine, monitored_estate
from tests.builders import ASSOCIATIONS, RECORDS, SUBSCRIPTION, VM_EXTENSIONS, denied

WHOLE = f"/subscriptions/{SUBSCRIPTION}"


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of a complete estate."""
    return monitored_estate()


def indexed(plan: MonitoredBlueprint, *kinds: str, refused: bool = False) -> Estate:
    """Return the estate as the index tells it: one listing of each of these types for the subscription."""
    snapshot = plan.build().snapshot
    kept = [own for own in snapshot.readings if own.type not in kinds]
    for kind in kinds:
        documents = tuple(raw for own in snapshot.readings if own.type == kind for raw in own.documents)
        kept.append(
            Reading(
                type=kind,
                scope=WHOLE.upper().replace("/SUBSCRIPTIONS", "/subscriptions"),
                request="POST graph",
                read_at=0,
                documents=() if refused else documents,
                gap=denied(kind) if refused else None,
                source="graph",
            )
        )
    return Estate(msgspec.structs.replace(snapshot, readings=tuple(kept)))


def test_children_are_told_apart_by_their_parent(plan: MonitoredBlueprint) -> None:
    """Extensions, associations and records of a subscription are those of each parent, as if listed there."""
    plain, whole = plan.build(), indexed(plan, VM_EXTENSIONS, ASSOCIATIONS, RECORDS)
    for own in plain.virtual_machines:
        twin = machine(whole, own.label)
        assert [part.name for part in twin.extensions] == [part.name for part in own.extensions]
        assert {part.key for part in twin.associations} == {part.key for part in own.associations}
    assert any(own.associations for own in whole.virtual_machines)


def test_a_machine_without_any_has_none(plan: MonitoredBlueprint) -> None:
    """The listing of the subscription is complete, so what is not in it is not there."""
    plan.remove(ASSOCIATIONS, lambda name: name.startswith("vm1/"))
    assert machine(indexed(plan, ASSOCIATIONS)).associations == ()
    assert machine(indexed(plan, ASSOCIATIONS)).config_endpoint is None


def test_names_keep_their_spelling(plan: MonitoredBlueprint) -> None:
    """A name in lower case is spelt so: unlike the listings of rules, the index does not fold it."""
    plan.associate(machine(plan.build()).id, "lower", dataCollectionRuleId="")
    (own,) = [part for part in machine(indexed(plan, ASSOCIATIONS)).associations if part.label == "lower"]
    assert own.spelling_is_known


def test_a_refused_listing_is_no_empty_one(plan: MonitoredBlueprint) -> None:
    """Whatever is below any resource of the subscription is then unverified."""
    whole = indexed(plan, VM_EXTENSIONS, ASSOCIATIONS, refused=True)
    with pytest.raises(AccessDeniedError, match=VM_EXTENSIONS):
        machine(whole).extensions  # noqa: B018  # reading it is the test
    with pytest.raises(AccessDeniedError, match=ASSOCIATIONS):
        machine(whole).associations  # noqa: B018  # reading it is the test


def test_the_listing_of_another_subscription_does_not_count(plan: MonitoredBlueprint) -> None:
    """It says nothing about this one."""
    snapshot = indexed(plan, VM_EXTENSIONS).snapshot
    moved = tuple(
        msgspec.structs.replace(own, scope="/subscriptions/another") if own.type == VM_EXTENSIONS else own
        for own in snapshot.readings
    )
    with pytest.raises(NotReadError, match="were not read"):
        machine(Estate(msgspec.structs.replace(snapshot, readings=moved))).extensions  # noqa: B018  # as above


def test_the_own_listing_goes_first(plan: MonitoredBlueprint) -> None:
    """What the provider says of one machine replaces what the index says; a refusal does so too."""
    snapshot = indexed(plan, ASSOCIATIONS).snapshot
    own = Reading(type=ASSOCIATIONS, scope=machine(plan.build()).id, request="GET", read_at=1)
    fresh = Estate(msgspec.structs.replace(snapshot, readings=(*snapshot.readings, own)))
    assert machine(fresh).associations == ()
    assert len(machine(fresh, "vm2").associations) == 2
    refused = msgspec.structs.replace(own, gap=denied("its own listing"))
    spoilt = Estate(msgspec.structs.replace(snapshot, readings=(*snapshot.readings, refused)))
    with pytest.raises(AccessDeniedError, match="its own listing"):
        machine(spoilt).associations  # noqa: B018  # reading it is the test


def test_a_malformed_row_spoils_its_machine_alone(plan: MonitoredBlueprint) -> None:
    """A row that cannot be understood leaves its machine unverified, and not its neighbour."""
    plan[ASSOCIATIONS, "vm1/dcr"]["properties"]["dataCollectionRuleId"] = 7
    whole = indexed(plan, ASSOCIATIONS)
    with pytest.raises(DocumentError, match="dataCollectionRuleId"):
        machine(whole).associations  # noqa: B018  # reading it is the test
    assert len(machine(whole, "vm2").associations) == 2


def test_the_source_is_told(plan: MonitoredBlueprint) -> None:
    """A machine rests on the index where its document does, or anything below it."""
    assert plan.build().source(machine(plan.build())) == "arm"
    whole = indexed(plan, ASSOCIATIONS)
    assert whole.source(machine(whole)) == "graph"
    assert {whole.source(part) for part in machine(whole).associations} == {"graph"}
    assert {whole.source(part) for part in whole.known(VirtualMachineExtension)} == {"arm"}
    assert key(machine(whole).associations[0].target_id) == machine(whole).key
