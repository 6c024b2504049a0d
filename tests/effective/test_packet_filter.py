"""What a network security group does with a connection, rule by rule."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from pytest_ampls.effective.packet_filter import Flow, Side, decide
from pytest_ampls.errors import DocumentError
from pytest_ampls.model import Estate
from pytest_ampls.model.network_security import NetworkSecurityGroup
from tests.builders import NSGS, VNETS, Document
from tests.private_estate import NetworkBlueprint, private_estate, vnet
from tests.security_groups import DEFAULTS, group, security_rule


def decision(rules: list[Document], *, direction: str = "Outbound", **changes: Any) -> tuple[bool, str]:
    """Return what a group of these rules does with HTTPS from spoke1 to the endpoint, and by which rule."""
    plan = private_estate()
    group(plan, "nsg", rules)
    return decided(plan, direction=direction, **changes)


def decided(
    plan: NetworkBlueprint,
    *,
    direction: str = "Outbound",
    source: str = "192.168.1.4/32",
    destination: str = "192.168.0.68/32",
) -> tuple[bool, str]:
    """Return what the group of an estate does with HTTPS from spoke1 to the endpoint."""
    estate: Estate = plan.build()
    flow = Flow(
        source=Side(network=vnet(estate, "spoke1"), addresses=IPv4Network(source)),
        destination=Side(network=vnet(estate, "hub"), addresses=IPv4Network(destination)),
        direction=direction,
    )
    (found,) = estate.known(NetworkSecurityGroup)
    allowed, rule = decide(found, flow)
    return allowed, rule.name or ""


def test_the_default_rules_let_peers_through() -> None:
    """A group without rules of its own allows what stays in the virtual network and its peers."""
    assert decision([]) == (True, "AllowVnetOutBound")
    assert decision([], direction="Inbound") == (True, "AllowVnetInBound")


def test_the_lowest_priority_decides_whatever_the_order() -> None:
    """Rules are tried by priority, not in the order in which they are listed."""
    late = security_rule("late", priority=300, access="Deny")
    early = security_rule("early", priority=200, access="Allow")
    assert decision([late, early]) == (True, "early")
    assert decision([early, late | {"properties": late["properties"] | {"priority": 150}}]) == (False, "late")


def test_rules_of_the_other_direction_are_not_tried() -> None:
    """What is denied on the way in does not concern the way out."""
    assert decision([security_rule("in", access="Deny", direction="Inbound")])[0]


@pytest.mark.parametrize(
    "narrow",
    [
        {"protocol": "Udp"},
        {"destinationPortRange": "80"},
        {"destinationPortRange": "444-65535"},
        {"destinationPortRange": None, "destinationPortRanges": ["80", "8000-9000"]},
        {"sourcePortRange": "1-1023"},
        {"destinationAddressPrefix": "Internet"},
        {"destinationAddressPrefix": "AzureMonitor"},
        {"destinationAddressPrefix": "Storage.WestEurope"},
        {"destinationAddressPrefix": "10.0.0.0/8"},
        {"destinationAddressPrefix": "192.168.0.69"},
        {"destinationAddressPrefix": "::/0"},
        {"sourceAddressPrefix": "AzureLoadBalancer"},
        {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["192.168.2.0/24", "10.0.0.1"]},
    ],
)
def test_a_denial_of_something_else_does_not_matter(narrow: Document) -> None:
    """A rule about other protocols, ports or addresses decides nothing."""
    assert decision([security_rule("deny", access="Deny", **narrow)]) == (True, "AllowVnetOutBound")


@pytest.mark.parametrize(
    "wide",
    [
        {},
        {"protocol": "tcp", "destinationPortRange": "443"},
        {"destinationPortRange": "400-500"},
        {"destinationPortRange": None, "destinationPortRanges": ["80", "443"]},
        {"sourcePortRange": "1024-65535"},
        {"destinationAddressPrefix": "VirtualNetwork", "sourceAddressPrefix": "VirtualNetwork"},
        {"destinationAddressPrefix": "192.168.0.64/26"},
        {"destinationAddressPrefix": "192.168.0.60-192.168.0.70"},
        {"destinationAddressPrefix": "0.0.0.0/0"},
        {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["10.0.0.1", "192.168.1.0/24"]},
    ],
)
def test_a_denial_of_this_decides(wide: Document) -> None:
    """A rule whose five conditions all hold decides."""
    assert decision([security_rule("deny", access="Deny", **wide)]) == (False, "deny")


_DOUBTFUL: list[Document] = [
    {"protocol": "Sctp"},
    {"destinationPortRange": "https"},
    {"destinationPortRange": None},
    {"sourcePortRange": "1-50000"},
    {"destinationAddressPrefix": "192.168.0.0/33"},
    {"sourceAddressPrefix": None},
    {"sourceAddressPrefix": None, "sourceApplicationSecurityGroups": [{"id": "/x"}]},
    {"destinationAddressPrefix": None, "destinationApplicationSecurityGroups": [{"id": "/x"}]},
]


@pytest.mark.parametrize("doubtful", _DOUBTFUL)
def test_what_is_not_understood_is_unverified(doubtful: Document) -> None:
    """A rule that may be about the connection, and would turn the decision, is no reason to pass or to fail."""
    with pytest.raises(
        DocumentError, match=r"whether its rule 'odd' is about connections from 192\.168\.1\.4/32"
    ):
        decision([security_rule("odd", access="Deny", **doubtful)])


@pytest.mark.parametrize("doubtful", _DOUBTFUL)
def test_what_is_not_understood_may_not_matter(doubtful: Document) -> None:
    """Where the rule behind it says the same, a rule that is not understood changes nothing."""
    assert decision([security_rule("odd", access="Allow", **doubtful)]) == (True, "AllowVnetOutBound")


def test_a_doubtful_rule_that_is_surely_about_something_else() -> None:
    """One condition that does not hold is enough, whatever the others are."""
    asg: Document = {"sourceAddressPrefix": None, "sourceApplicationSecurityGroups": [{"id": "/x"}]}
    assert decision([security_rule("odd", access="Deny", destinationPortRange="22", **asg)])[0]


def test_a_tag_on_public_addresses_is_not_understood() -> None:
    """A network may use public addresses inside: whether a tag has them is not known here."""
    tag = security_rule("tag", access="Deny", destinationAddressPrefix="AzureMonitor")
    with pytest.raises(DocumentError, match="rule 'tag'"):
        decision([tag], destination="20.1.2.3/32")


def test_a_part_of_a_network_is_not_understood() -> None:
    """A rule about some of the addresses says nothing about all of them."""
    part = security_rule("part", access="Deny", sourceAddressPrefix="192.168.1.0/28")
    assert decision([part]) == (False, "part")
    with pytest.raises(DocumentError, match="rule 'part'"):
        decision([part], source="192.168.1.0/26")


def peering(plan: NetworkBlueprint, network: str) -> Document:
    """Return the properties of the first peering of a VNet."""
    properties: Document = plan[VNETS, network]["properties"]["virtualNetworkPeerings"][0]["properties"]
    return properties


def test_a_peer_whose_traffic_is_not_let_in_is_not_in_the_tag() -> None:
    """Without access, the tag VirtualNetwork does not stand for the peer."""
    plan = private_estate()
    group(plan, "nsg", [])
    peering(plan, "spoke1")["allowVirtualNetworkAccess"] = False
    assert decided(plan) == (False, "DenyAllOutBound")
    assert decided(plan, direction="Inbound") == (True, "AllowVnetInBound")


def test_a_network_that_is_no_peer_may_be_in_the_tag() -> None:
    """Gateways make networks part of the tag: without a peering it cannot be told."""
    plan = private_estate()
    group(plan, "nsg", [])
    peering(plan, "spoke1")["peeringState"] = "Disconnected"
    with pytest.raises(DocumentError, match="AllowVnetOutBound"):
        decided(plan)


@pytest.mark.parametrize("missing", ["access", "direction", "priority"])
def test_a_rule_that_does_not_say_is_unverified(missing: str) -> None:
    """Nothing about a rule is assumed."""
    with pytest.raises(DocumentError, match=rf"securityRules\[odd\].properties.{missing}"):
        decision([security_rule("odd", **{missing: None})])


def test_an_unknown_access_is_unverified() -> None:
    """A rule neither allows nor denies."""
    with pytest.raises(DocumentError, match="access is 'Audit'"):
        decision([security_rule("odd", access="Audit")])


def test_default_rules_are_not_assumed() -> None:
    """A document without default rules, or with none that decides, is not understood."""
    plan = private_estate()
    group(plan, "nsg", [])["properties"].pop("defaultSecurityRules")
    with pytest.raises(DocumentError, match="defaultSecurityRules"):
        decided(plan)
    plan[NSGS, "nsg"]["properties"]["defaultSecurityRules"] = DEFAULTS[:1]
    with pytest.raises(DocumentError, match="not even a default one"):
        decided(plan)
