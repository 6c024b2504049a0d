"""The rule about network security groups between machines and the private endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.assertions import assert_nsg_allows_endpoint
from pytest_ampls.catalogue import ConformanceError
from pytest_ampls.errors import AccessDeniedError, DocumentError, NotReadError
from tests.assertions.machines import findings, observed, why_not_applicable
from tests.builders import ENDPOINTS, NICS, NSGS, SCALE_SETS, VMS, VNETS, Document, denied, resource_id
from tests.private_estate import NetworkBlueprint, endpoint, private_estate
from tests.security_groups import group, security_rule

ALL_EIGHT = "denies it to 8 of 8 addresses: 192.168.0.68, 192.168.0.69, 192.168.0.70 …"


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate, to be broken."""
    return private_estate()


def subnet(plan: NetworkBlueprint, network: str, name: str) -> Document:
    """Return the properties of a subnet."""
    (found,) = [part for part in plan[VNETS, network]["properties"]["subnets"] if part["name"] == name]
    properties: Document = found["properties"]
    return properties


def filtered(plan: NetworkBlueprint, network: str, name: str, *rules: Document) -> None:
    """Let a group with these rules filter a subnet."""
    label = f"nsg-{network}"
    group(plan, label, rules)
    subnet(plan, network, name)["networkSecurityGroup"] = {"id": resource_id(NSGS, label)}


def deny(name: str = "deny", **properties: Any) -> Document:
    """Return a rule that denies what it is about."""
    return security_rule(name, access="Deny", **properties)


def test_no_group_lets_everything_through(plan: NetworkBlueprint) -> None:
    """A subnet without a group is not filtered."""
    assert not findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_a_group_with_default_rules_lets_peers_through(plan: NetworkBlueprint) -> None:
    """Every group allows traffic between peers until a rule of its own says otherwise."""
    filtered(plan, "spoke1", "vm", deny(destinationAddressPrefix="Internet"))
    assert not findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_a_group_of_the_clients_subnet_denies(plan: NetworkBlueprint) -> None:
    """What may not leave the clients' subnet is named with the rule, and how to put one before it."""
    filtered(plan, "spoke1", "vm", deny("lockdown", priority=300))
    (finding,) = findings(assert_nsg_allows_endpoint, endpoint(plan.build()))
    assert finding.resource == "network security group rg/nsg-spoke1"
    assert finding.property == "securityRules[lockdown] (outbound)"
    assert finding.expected == "TCP 443 from subnet spoke1/vm to private endpoint 'pe' is allowed"
    assert finding.observed == f"rule 'lockdown' (priority 300) {ALL_EIGHT}"
    assert (finding.tokens["priority"], finding.tokens["direction"]) == ("299", "Outbound")
    assert (finding.tokens["source"], finding.tokens["destination"]) == ("VirtualNetwork", "192.168.0.64/26")
    assert "networkSecurityGroups/nsg-spoke1" in finding.evidence


def test_a_free_priority_is_proposed(plan: NetworkBlueprint) -> None:
    """The fix does not take a number that another rule of the direction has."""
    taken = [security_rule(f"allow{number}", priority=number, protocol="Udp") for number in (298, 299)]
    filtered(plan, "spoke1", "vm", deny(priority=300), *taken)
    (finding,) = findings(assert_nsg_allows_endpoint, endpoint(plan.build()))
    assert finding.tokens["priority"] == "297"


def test_a_rule_about_some_addresses_of_the_endpoint(plan: NetworkBlueprint) -> None:
    """Each address of the endpoint is judged."""
    filtered(plan, "spoke2", "vm", deny(destinationAddressPrefix="192.168.0.70"))
    assert observed(assert_nsg_allows_endpoint, endpoint(plan.build())) == (
        "rule 'deny' (priority 200) denies it to 1 of 8 addresses: 192.168.0.70"
    )


def test_a_rule_about_some_machines_of_a_subnet(plan: NetworkBlueprint) -> None:
    """Where a rule is about a part of the subnet, each machine's address decides."""
    filtered(plan, "spoke1", "vm", deny(sourceAddressPrefix="192.168.1.4"))
    assert ALL_EIGHT in observed(assert_nsg_allows_endpoint, endpoint(plan.build()))
    filtered(plan, "spoke1", "vm", deny(sourceAddressPrefix="192.168.1.5"))
    assert not findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_a_group_of_an_interface_denies(plan: NetworkBlueprint) -> None:
    """A machine's own interface may have a group; both have to let it through."""
    group(plan, "nsg-nic", [deny()])
    plan[NICS, "vm1-nic"]["properties"]["networkSecurityGroup"] = {"id": resource_id(NSGS, "nsg-nic")}
    filtered(plan, "spoke1", "vm", security_rule("allow"))
    (finding,) = findings(assert_nsg_allows_endpoint, endpoint(plan.build()))
    assert finding.resource == "network security group rg/nsg-nic"


@pytest.mark.parametrize("policies", ["Enabled", "NetworkSecurityGroupEnabled"])
def test_a_group_of_the_endpoints_subnet_denies(plan: NetworkBlueprint, policies: str) -> None:
    """What enters the endpoint's subnet is filtered where network policies cover groups."""
    filtered(plan, "hub", "endpoints", deny(direction="Inbound", sourceAddressPrefix="192.168.2.0/24"))
    subnet(plan, "hub", "endpoints")["privateEndpointNetworkPolicies"] = policies
    (finding,) = findings(assert_nsg_allows_endpoint, endpoint(plan.build()))
    assert finding.property == "securityRules[deny] (inbound)"
    assert "from subnet spoke2/vm" in finding.expected
    assert finding.tokens["source"] == "192.168.2.0/26"


@pytest.mark.parametrize("policies", ["Disabled", "RouteTableEnabled"])
def test_without_policies_the_endpoint_is_not_filtered(plan: NetworkBlueprint, policies: str) -> None:
    """A group of the endpoint's subnet is about other resources there."""
    filtered(plan, "hub", "endpoints", deny(direction="Inbound"))
    subnet(plan, "hub", "endpoints")["privateEndpointNetworkPolicies"] = policies
    assert not findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


@pytest.mark.parametrize("policies", [None, "Sometimes"])
def test_policies_are_not_assumed(plan: NetworkBlueprint, policies: str | None) -> None:
    """Whether the group is for the endpoint must be known."""
    filtered(plan, "hub", "endpoints", deny(direction="Inbound"))
    subnet(plan, "hub", "endpoints")["privateEndpointNetworkPolicies"] = policies
    with pytest.raises(
        DocumentError, match=r"subnets\[endpoints\].properties.privateEndpointNetworkPolicies"
    ):
        findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def uniform_set(plan: NetworkBlueprint, **interface: object) -> None:
    """Add a Uniform scale set in spoke1's subnet."""
    place = {"properties": {"subnet": {"id": f"{resource_id(VNETS, 'spoke1')}/subnets/vm"}}}
    configuration = {"properties": {"ipConfigurations": [place], **interface}}
    profile = {"networkProfile": {"networkInterfaceConfigurations": [configuration]}}
    properties = {"orchestrationMode": "Uniform", "virtualMachineProfile": profile}
    plan.add(SCALE_SETS, resource_id(SCALE_SETS, "set"), properties, location="westeurope")


def test_a_uniform_scale_set_is_judged_by_its_profile(plan: NetworkBlueprint) -> None:
    """Interfaces of its instances are in no listing: group and subnet are those of the profile."""
    group(plan, "nsg-set", [deny()])
    uniform_set(plan, networkSecurityGroup={"id": resource_id(NSGS, "nsg-set")})
    (finding,) = findings(assert_nsg_allows_endpoint, endpoint(plan.build()))
    assert finding.resource == "network security group rg/nsg-set"


def test_a_uniform_set_alone_needs_its_network(plan: NetworkBlueprint) -> None:
    """A scale set in a network that was not read is not taken for none."""
    plan.remove(VMS, lambda _: True)
    uniform_set(plan)
    plan.gaps[VNETS] = denied()
    with pytest.raises(AccessDeniedError):
        findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_some_instances_of_a_uniform_set_cannot_be_told(plan: NetworkBlueprint) -> None:
    """A rule about a part of the subnet may be about an instance, or not."""
    uniform_set(plan)
    filtered(plan, "spoke1", "vm", deny(sourceAddressPrefix="192.168.1.32/27"))
    with pytest.raises(DocumentError, match="rule 'deny'"):
        findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_a_finding_is_told_beside_what_is_unverified(plan: NetworkBlueprint) -> None:
    """What cannot be judged in one subnet hides nothing of another."""
    asg = {"sourceAddressPrefix": None, "sourceApplicationSecurityGroups": [{"id": "/x"}]}
    filtered(plan, "spoke1", "vm", deny("odd", **asg))
    filtered(plan, "spoke2", "vm", deny("plain"))
    with pytest.raises(ConformanceError) as raised:
        assert_nsg_allows_endpoint(endpoint(plan.build()))
    (finding,) = raised.value.findings
    assert finding.property == "securityRules[plain] (outbound)"
    assert "rule 'odd'" in str(raised.value.unverified)


@pytest.mark.parametrize("kind", [NICS, NSGS, VNETS, SCALE_SETS])
def test_denied_evidence_is_unverified(plan: NetworkBlueprint, kind: str) -> None:
    """Without interfaces, groups, networks or scale sets nothing passes."""
    filtered(plan, "spoke1", "vm")
    plan.gaps[kind] = denied()
    with pytest.raises(AccessDeniedError):
        findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_a_group_that_is_gone_is_unverified(plan: NetworkBlueprint) -> None:
    """A subnet that names a group which does not exist contradicts itself."""
    filtered(plan, "spoke1", "vm")
    del plan[NSGS, "nsg-spoke1"]
    with pytest.raises(DocumentError, match="nsg-spoke1 is named by a subnet, and does not exist"):
        findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_an_endpoint_without_addresses_is_unverified(plan: NetworkBlueprint) -> None:
    """Nothing is let through to no address."""
    plan[ENDPOINTS, "pe"]["properties"]["customDnsConfigs"] = []
    plan[NICS, "pe.nic"]["properties"]["ipConfigurations"] = []
    with pytest.raises(NotReadError, match="has no address: AMPLS205"):
        findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_networks_that_do_not_reach_the_endpoint_are_not_judged(plan: NetworkBlueprint) -> None:
    """A group of a network without a peering is judged by nobody's endpoint; AMPLS207 judges the way."""
    filtered(plan, "spoke1", "vm", deny())
    plan[VNETS, "spoke1"]["properties"]["virtualNetworkPeerings"] = []
    assert not findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_an_interface_tells_of_its_machine(plan: NetworkBlueprint) -> None:
    """Where machines were not read, their interfaces still say that they are in use."""
    filtered(plan, "spoke1", "vm", deny())
    plan[NICS, "vm1-nic"]["properties"]["virtualMachine"] = {"id": resource_id(VMS, "vm1")}
    plan.gaps[VMS] = denied()
    plan.remove(VMS, lambda _: True)
    assert ALL_EIGHT in observed(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_no_machine_no_verdict(plan: NetworkBlueprint) -> None:
    """Where no machine could connect there is nothing to let through."""
    plan.remove(VMS, lambda _: True)
    assert "no machine is in a virtual network" in why_not_applicable(
        assert_nsg_allows_endpoint, endpoint(plan.build())
    )
