"""Answers of a vantage point of unknown place, where another scope's endpoint wrote into the zones of this one."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions.name_resolution import (
    assert_answer_matches_configuration,
    assert_private_resolution,
)
from pytest_ampls.errors import AccessDeniedError
from pytest_ampls.model import Gap, GapKind
from tests.assertions.asked_estate import API, answer, asked, asked_of
from tests.assertions.machines import findings, why_not_applicable
from tests.builders import DCES, RECORDS, VNETS, WORKSPACES, resource_id
from tests.private_estate import PLACES, NetworkBlueprint, member_addresses, member_name, private_estate

WORKSPACE, DCE = resource_id(WORKSPACES, "ws"), resource_id(DCES, "dce")


def overwritten(*members: str, peered: bool = False) -> NetworkBlueprint:
    """Return the estate with a second scope, whose endpoint in another VNet has taken every record, and is answered."""
    plan = asked(private_estate(), network=None)
    plan.vnet("other", "10.1.0.0/24", endpoints="10.1.0.0/26", peers=["hub"] if peered else [])
    if peered:
        way = {"remoteVirtualNetwork": {"id": resource_id(VNETS, "other")}, "peeringState": "Connected"}
        peerings = plan[VNETS, "hub"]["properties"]["virtualNetworkPeerings"]
        peerings.append({"name": "to-other", "properties": way})
    plan.scope("second", members)
    addresses = member_addresses(10, "10.1.0")
    served = {member: (member_name(member), address) for member, address in addresses.items()}
    plan.endpoint("pe2", "second", "other/endpoints", served)
    written: dict[str, dict[str, str]] = {}
    for member, (origin, label) in PLACES.items():
        plan.record(origin, label, addresses[member])
        written.setdefault(origin, {})[label] = addresses[member]
        answer(plan, member_name(member), addresses[member])
    plan.zone_group("pe2", written)
    return plan


@pytest.mark.parametrize(
    "plan",
    [overwritten(WORKSPACE, DCE), overwritten(WORKSPACE, peered=True)],
    ids=["out of reach", "without the endpoint of collection"],
)
def test_every_record_is_another_scopes(plan: NetworkBlueprint) -> None:
    """An endpoint that does not stand in for this one is foreign, for each name; this one is the odd one out."""
    foreign = findings(assert_private_resolution, *asked_of(plan.build()))
    assert len(foreign) == len(PLACES)
    assert foreign[0].observed == "private, but foreign: 10.1.0.10, an address of private endpoint 'pe2'"
    (first, *_) = findings(assert_answer_matches_configuration, *asked_of(plan.build()))
    assert first.observed.endswith("the endpoint is the odd one out: zone and answer agree")


def test_an_endpoint_that_stands_in_is_no_breach() -> None:
    """Another scope with all members, in a peered VNet, is what two scopes in one DNS boundary are like."""
    estate = overwritten(WORKSPACE, DCE, peered=True).build()
    assert why_not_applicable(assert_private_resolution, *asked_of(estate)) == (
        "vantage point 'there' answers with addresses of private endpoint 'pe2', with none of 'pe'"
    )


def test_an_answer_that_the_zones_do_not_explain_is_not_attributed() -> None:
    """Where the endpoint's own zones have its own addresses, the vantage point belongs to the other network."""
    plan = overwritten(WORKSPACE, DCE)
    for member, address in member_addresses().items():
        plan.record(*PLACES[member], address)
    assert "with none of 'pe'" in why_not_applicable(assert_private_resolution, *asked_of(plan.build()))


def test_without_records_nothing_is_said() -> None:
    """Records that could not be read decide neither that the answers are foreign nor that they are no matter."""
    plan = overwritten(WORKSPACE, DCE)
    plan.gaps[RECORDS] = Gap(kind=GapKind.DENIED, message="denied")
    with pytest.raises(AccessDeniedError):
        assert_private_resolution(*asked_of(plan.build()))


def test_one_name_is_enough() -> None:
    """A vantage point that gave the shared name only is judged by that name."""
    plan = overwritten(WORKSPACE, DCE)
    plan.answers = [each for each in plan.answers if each.name == API]
    with pytest.raises(AssertionError, match=r"foreign: 10\.1\.0\.10"):
        assert_private_resolution(*asked_of(plan.build()))
