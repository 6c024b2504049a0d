"""The rules about the endpoint's subnet and the way to it, each on a good and on bad estates."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.assertions import (
    assert_endpoint_network_policies,
    assert_route_to_endpoint,
    assert_subnet_capacity,
)
from pytest_ampls.errors import AccessDeniedError, ConfigurationError, DocumentError, EvidenceError
from tests.assertions.machines import findings, observed, why_not_applicable
from tests.builders import ENDPOINTS, NICS, VNETS, Document, denied, resource_id
from tests.private_estate import NetworkBlueprint, endpoint, private_estate, vnet

SUBNET = f"{resource_id(VNETS, 'hub')}/subnets/endpoints"


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate, to be broken."""
    return private_estate()


def subnet(plan: NetworkBlueprint) -> Document:
    """Return the properties of the endpoint's subnet."""
    (found,) = [part for part in plan[VNETS, "hub"]["properties"]["subnets"] if part["id"] == SUBNET]
    properties: Document = found["properties"]
    return properties


def peering(plan: NetworkBlueprint, network: str, remote: str) -> Document:
    """Return the properties of one side of a peering."""
    parts = plan[VNETS, network]["properties"]["virtualNetworkPeerings"]
    (found,) = [part for part in parts if part["name"] == f"to-{remote}"]
    properties: Document = found["properties"]
    return properties


# ------------------------------------------------------------------- AMPLS206


def test_a_subnet_with_room_holds(plan: NetworkBlueprint) -> None:
    """A /26 with eight addresses taken has room."""
    assert not findings(assert_subnet_capacity, endpoint(plan.build()))


def test_a_small_subnet(plan: NetworkBlueprint) -> None:
    """A /28 is too small whatever is in it."""
    subnet(plan)["addressPrefix"] = "192.168.0.64/28"
    size, left = findings(assert_subnet_capacity, endpoint(plan.build()), free=4)
    assert size.observed == "192.168.0.64/28, 16 addresses"
    assert left.observed == "3 of 16 in 192.168.0.64/28: 8 are taken, 5 are kept by Azure"


@pytest.mark.parametrize(("others", "left"), [(16, None), (17, 2), (19, 0), (40, 0)])
def test_a_full_subnet(plan: NetworkBlueprint, others: int, left: int | None) -> None:
    """What load balancers and scale sets take counts: a /27 has 27, the endpoint eight, three are to be left."""
    parts = subnet(plan)
    parts["addressPrefix"] = "192.168.0.64/27"
    parts["ipConfigurations"] = [{"id": f"/somewhere/lb{number}"} for number in range(others)]
    found = [each.observed for each in findings(assert_subnet_capacity, endpoint(plan.build()))]
    taken = f"{8 + others} are taken, 5 are kept by Azure"
    assert found == ([] if left is None else [f"{left} of 32 in 192.168.0.64/27: {taken}"])


def test_an_address_that_both_documents_name_counts_once(plan: NetworkBlueprint) -> None:
    """The subnet's own list repeats the interfaces, in another case."""
    nic = resource_id(NICS, "pe.nic")
    names = [part["name"] for part in plan[NICS, "pe.nic"]["properties"]["ipConfigurations"]]
    subnet(plan)["ipConfigurations"] = [{"id": f"{nic}/ipConfigurations/{name}".upper()} for name in names]
    subject = endpoint(plan.build())
    assert not list(assert_subnet_capacity.check(subject, free=64 - 5 - 8))
    (found,) = assert_subnet_capacity.check(subject, free=64 - 5 - 8 + 1)
    assert found.observed.startswith("51 of 64")


def test_several_prefixes_count_together(plan: NetworkBlueprint) -> None:
    """Azure keeps five addresses of each prefix, and the sizes add up."""
    parts = subnet(plan)
    del parts["addressPrefix"]
    parts["addressPrefixes"] = ["192.168.0.64/28", "192.168.0.80/28", "fd00::/64"]
    subject = endpoint(plan.build())
    assert not findings(assert_subnet_capacity, subject)
    (found,) = assert_subnet_capacity.check(subject, free=15)
    assert found.observed == "14 of 32 in 192.168.0.64/28, 192.168.0.80/28: 8 are taken, 10 are kept by Azure"


def test_a_subnet_without_a_prefix_is_unverified(plan: NetworkBlueprint) -> None:
    """Nothing is known of the size of a subnet whose document names none."""
    del subnet(plan)["addressPrefix"]
    with pytest.raises(DocumentError, match="an IPv4 prefix of subnet endpoints"):
        assert_subnet_capacity(endpoint(plan.build()))


@pytest.mark.parametrize("kind", [NICS, VNETS])
def test_capacity_needs_all_of_its_evidence(plan: NetworkBlueprint, kind: str) -> None:
    """Where interfaces or networks were denied, nobody knows what is free."""
    plan.gaps[kind] = denied(kind)
    with pytest.raises(AccessDeniedError):
        assert_subnet_capacity(endpoint(plan.build()))


@pytest.mark.parametrize(
    "rule", [assert_subnet_capacity, assert_endpoint_network_policies], ids=["AMPLS206", "AMPLS209"]
)
def test_a_subnet_that_is_gone_is_unverified(plan: NetworkBlueprint, rule: Any) -> None:
    """An endpoint in a subnet that its network does not have contradicts itself."""
    plan[ENDPOINTS, "pe"]["properties"]["subnet"]["id"] = SUBNET.replace("/endpoints", "/gone")
    with pytest.raises(DocumentError, match="a subnet that exists"):
        rule(endpoint(plan.build()))


# ------------------------------------------------------------------- AMPLS207


@pytest.mark.parametrize("name", ["hub", "spoke1"])
def test_inside_or_peered_holds(plan: NetworkBlueprint, name: str) -> None:
    """The endpoint's own network has a route to it, and so has one that is peered with it."""
    assert not findings(assert_route_to_endpoint, vnet(plan.build(), name))


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"allowVirtualNetworkAccess": False}, "has allowVirtualNetworkAccess false"),
        ({"peeringState": "Disconnected"}, "is Disconnected"),
        ({"peeringState": "Initiated"}, "is Initiated"),
        (None, "has no peering with 'spoke1'"),
    ],
    ids=["blocked", "disconnected", "initiated", "one-sided"],
)
def test_the_other_side_of_a_peering(
    plan: NetworkBlueprint, changes: dict[str, object] | None, seen: str
) -> None:
    """What is wrong with the endpoint's side is found on the client's network; declared routes take its place."""
    if changes is None:
        plan[VNETS, "hub"]["properties"]["virtualNetworkPeerings"] = []
    else:
        peering(plan, "hub", "spoke1").update(changes)
    subject = vnet(plan.build(), "spoke1")
    (found,) = findings(assert_route_to_endpoint, subject)
    assert seen in found.observed
    assert "'hub'" in found.observed
    assert found.tokens["remote-id"] == resource_id(VNETS, "hub")
    assert not list(assert_route_to_endpoint.check(subject, routed=True))


def test_its_own_side_of_a_peering(plan: NetworkBlueprint) -> None:
    """A network whose own side lets nothing through is told as well."""
    peering(plan, "spoke1", "hub")["allowVirtualNetworkAccess"] = False
    seen = observed(assert_route_to_endpoint, vnet(plan.build(), "spoke1"))
    assert seen == "the peering of 'spoke1' with 'hub' has allowVirtualNetworkAccess false"


def test_a_network_whose_dns_leads_nowhere_is_not_concerned(plan: NetworkBlueprint) -> None:
    """Without private answers there is nothing to have a route to."""
    plan.vnet("lonely", "10.50.0.0/24", vm="10.50.0.0/26")
    assert "leads to no private endpoint" in why_not_applicable(
        assert_route_to_endpoint, vnet(plan.build(), "lonely")
    )


def test_a_peering_without_a_state_is_unverified(plan: NetworkBlueprint) -> None:
    """A peering whose state is not told is neither connected nor cut."""
    del peering(plan, "hub", "spoke1")["peeringState"]
    with pytest.raises(DocumentError, match="peeringState"):
        assert_route_to_endpoint(vnet(plan.build(), "spoke1"))


def test_routes_need_the_endpoints(plan: NetworkBlueprint) -> None:
    """Where private endpoints were denied, nobody knows what DNS leads to."""
    plan.gaps[ENDPOINTS] = denied(ENDPOINTS)
    with pytest.raises(EvidenceError):
        assert_route_to_endpoint(vnet(plan.build(), "spoke1"))


# ------------------------------------------------------------------- AMPLS209


@pytest.mark.parametrize("value", ["Disabled", "disabled"])
def test_expected_policies_hold(plan: NetworkBlueprint, value: str) -> None:
    """Azure's default is expected, in whatever case it is written."""
    subnet(plan)["privateEndpointNetworkPolicies"] = value
    assert not findings(assert_endpoint_network_policies, endpoint(plan.build()))


@pytest.mark.parametrize("value", ["Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled", "New"])
def test_other_policies(plan: NetworkBlueprint, value: str) -> None:
    """Any other value is a finding, and holds where it is the expected one."""
    subnet(plan)["privateEndpointNetworkPolicies"] = value
    subject = endpoint(plan.build())
    (found,) = findings(assert_endpoint_network_policies, subject)
    assert (found.expected, found.observed) == ("Disabled", value)
    assert found.tokens["subnet-id"] == SUBNET
    assert found.tokens["expected"] == "Disabled"
    if value != "New":
        assert not list(assert_endpoint_network_policies.check(subject, expected=value))


def test_policies_that_are_not_told_are_unverified(plan: NetworkBlueprint) -> None:
    """A missing property is never taken for the default: older api-versions have another one."""
    with pytest.raises(DocumentError, match="privateEndpointNetworkPolicies of subnet endpoints"):
        assert_endpoint_network_policies(endpoint(plan.build()))


def test_policies_that_do_not_exist(plan: NetworkBlueprint) -> None:
    """An expectation that no subnet can meet is a mistake of the test."""
    with pytest.raises(ConfigurationError, match="expected='off' is none of Disabled"):
        list(assert_endpoint_network_policies.check(endpoint(plan.build()), expected="off"))
