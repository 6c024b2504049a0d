"""A machine's associations: from either side, and only where what was read tells."""

from __future__ import annotations

import msgspec
import pytest

from pytest_ampls.errors import AccessDeniedError, DocumentError, NotReadError
from pytest_ampls.model import (
    DataCollectionRuleAssociation,
    Estate,
)
from tests.assertions.machines import DCE, DCR, MonitoredBlueprint, machine, monitored_estate
from tests.builders import (
    ASSOCIATIONS,
    DCES,
    DCRS,
    VMS,
    build_estate,
    denied,
    resource_id,
)
from tests.model.readings import estate_of, reading

VM1 = resource_id(VMS, "vm1")


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of a complete estate."""
    return monitored_estate()


def by_container(plan: MonitoredBlueprint, *left_out: str) -> Estate:
    """Return the estate with associations as rules and endpoints list them, but for some listings."""
    documents = {kind: list(named.values()) for kind, named in plan.documents.items()}
    held = {DCR: "dataCollectionRuleId", DCE: "dataCollectionEndpointId"}
    children = {
        (ASSOCIATIONS, container): [part for part in documents[ASSOCIATIONS] if name in part["properties"]]
        for container, name in held.items()
        if container not in left_out
    }
    del documents[ASSOCIATIONS]
    whole = build_estate(documents, children=children, gaps=plan.gaps)
    kept = tuple(
        part
        for part in whole.snapshot.readings
        if part.type != ASSOCIATIONS or "/microsoft.insights/" in part.scope.lower() or part.gap
    )
    return Estate(msgspec.structs.replace(whole.snapshot, readings=kept))


def test_associations_come_from_either_side(plan: MonitoredBlueprint) -> None:
    """The listings of rules and endpoints tell the same as the machine's own."""
    for estate in (plan.build(), by_container(plan)):
        assert {part.label for part in machine(estate).associations} == {"dcr", "configurationAccessEndpoint"}


def test_the_machines_own_listing_goes_first(plan: MonitoredBlueprint) -> None:
    """It keeps the spelling, and it is enough where rules and endpoints could not be listed."""
    plan.gaps[ASSOCIATIONS, DCR] = denied("the rule's associations")
    assert len(machine(plan.build()).associations) == 2


@pytest.mark.parametrize("container", [DCR, DCE])
def test_every_rule_and_endpoint_must_tell(plan: MonitoredBlueprint, container: str) -> None:
    """A listing that was refused, or never made, may hold an association of any machine."""
    with pytest.raises(NotReadError, match="the associations of data collection"):
        machine(by_container(plan, container)).associations  # noqa: B018  # reading it is the test
    plan.gaps[ASSOCIATIONS, container] = denied("associations of a container")
    with pytest.raises(AccessDeniedError, match="associations of a container"):
        machine(by_container(plan)).associations  # noqa: B018  # reading it is the test


@pytest.mark.parametrize("kind", [DCRS, DCES])
def test_rules_and_endpoints_must_be_read(plan: MonitoredBlueprint, kind: str) -> None:
    """A rule or an endpoint that nobody read may be associated."""
    plan.gaps[kind] = denied(kind)
    with pytest.raises(AccessDeniedError, match=kind):
        machine(by_container(plan)).associations  # noqa: B018  # reading it is the test


def test_the_gap_of_another_machine_does_not_count(plan: MonitoredBlueprint) -> None:
    """A machine's own listing that was refused leaves it unverified, and no other, not even vm1 beside vm10."""
    plan.vm("vm10", "spoke1/vm", "192.168.1.20")
    plan.gaps[ASSOCIATIONS, resource_id(VMS, "vm10")] = denied("associations of vm10")
    estate = by_container(plan)
    assert len(machine(estate).associations) == 2
    with pytest.raises(AccessDeniedError, match="associations of vm10"):
        machine(estate, "vm10").associations  # noqa: B018  # reading it is the test
    plan.gaps.clear()
    plan[ASSOCIATIONS, "vm1/dcr"]["properties"] = {"dataCollectionRuleId": 7}
    spoilt = by_container(plan)
    assert machine(spoilt, "vm10").associations == ()


def test_a_malformed_association_spoils_its_machine(plan: MonitoredBlueprint) -> None:
    """One association that cannot be understood leaves the machine unverified, and not its neighbour."""
    plan[ASSOCIATIONS, "vm1/dcr"]["properties"]["dataCollectionRuleId"] = 7
    estate = plan.build()
    with pytest.raises(DocumentError, match="dataCollectionRuleId"):
        machine(estate).associations  # noqa: B018  # reading it is the test
    assert len(machine(estate, "vm2").associations) == 2


def test_the_spelling_of_a_name_is_known_by_its_source(plan: MonitoredBlueprint) -> None:
    """The machine's own listing keeps it; another listing proves it only by a capital letter."""
    plan.associate(VM1, "lower", dataCollectionRuleId=DCR)
    known = {part.label: part.spelling_is_known for part in machine(plan.build()).associations}
    assert known == {"dcr": True, "configurationAccessEndpoint": True, "lower": True}
    known = {part.label: part.spelling_is_known for part in machine(by_container(plan)).associations}
    assert known == {"dcr": False, "configurationAccessEndpoint": True, "lower": False}
    document = plan[ASSOCIATIONS, "vm1/lower"]
    alone = estate_of(reading(ASSOCIATIONS, document["id"].upper(), document, single=True))
    (association,) = alone.known(DataCollectionRuleAssociation)
    assert association.spelling_is_known
