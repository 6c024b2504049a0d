"""Names that lead elsewhere although zones, links and records are all there: each was once green."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions import (
    assert_no_empty_zone,
    assert_records_current,
    assert_records_present,
    assert_resolvers_agree,
    assert_zone_reaches_vnet,
)
from pytest_ampls.errors import NotReadError
from tests.assertions.machines import findings, observed, why_not_applicable
from tests.builders import (
    AMPLS,
    CONNECTIONS,
    ENDPOINTS,
    MEMBERS,
    NICS,
    RECORDS,
    VNETS,
    ZONE_GROUPS,
    ZONE_LINKS,
)
from tests.private_estate import (
    DCE_HOST,
    MONITOR,
    ODS,
    NetworkBlueprint,
    endpoint,
    member_addresses,
    member_name,
    private_estate,
    vnet,
    zone,
)

ADDRESSES = member_addresses()


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate, to be broken."""
    return private_estate()


# ------------------------------------------------------------------- a zone of the public name


@pytest.mark.parametrize(
    ("origin", "lost"), [("monitor.azure.com", 1), ("azure.com", 3), ("handler.control.monitor.azure.com", 1)]
)
def test_a_private_zone_of_a_public_name_takes_the_names_away(
    plan: NetworkBlueprint, origin: str, lost: int
) -> None:
    """Clients ask for the public name: a zone of it answers, and the alias to the privatelink zone is never seen."""
    plan.zone(origin, links=["hub"])
    found = findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
    assert len(found) == lost
    assert f"private DNS zone '{origin}'" in found[-1].observed
    assert "NXDOMAIN" in found[-1].observed


def test_a_private_zone_of_a_public_name_with_the_right_records_is_sound(plan: NetworkBlueprint) -> None:
    """Records of the endpoint's addresses in a zone of the public name lead to the endpoint just the same."""
    records = {
        label: [ADDRESSES[member]]
        for member, label in (
            ("api", "api"),
            ("dce-global", "global.handler.control"),
            ("dce-config", f"{DCE_HOST}.handler.control"),
            ("dce-logs", f"{DCE_HOST}.ingest"),
        )
    }
    plan.zone("monitor.azure.com", links=["hub"], records=records)
    assert not findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
    plan.record("monitor.azure.com", "api", "192.168.0.99")
    found = observed(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
    assert "api.monitor.azure.com" in found
    assert "192.168.0.99" in found


def test_a_zone_of_the_public_name_that_is_linked_elsewhere_takes_nothing(plan: NetworkBlueprint) -> None:
    """Only what is linked to the network that is asked can answer."""
    plan.zone("monitor.azure.com", links=["spoke2"])
    assert not findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))


# ------------------------------------------------------------------- a zone with the wrong records only


def _nothing_but(plan: NetworkBlueprint, label: str, *addresses: str) -> None:
    """Leave one record in the monitor zone, and no scope or endpoint that could lack the others."""
    for kind in (AMPLS, MEMBERS, CONNECTIONS, ENDPOINTS, ZONE_GROUPS):
        plan.documents[kind] = {}
    plan.remove(RECORDS, lambda name: name.startswith(MONITOR))
    plan.record(MONITOR, label, *addresses)


def test_a_stray_record_makes_no_zone_complete(plan: NetworkBlueprint) -> None:
    """All clients ask the monitor zone for the shared names: a record of another name helps none of them."""
    _nothing_but(plan, "left-behind", "192.168.0.9")
    assert "links to 'hub': NXDOMAIN" in observed(assert_no_empty_zone, zone(plan.build(), MONITOR))
    plan.link(MONITOR, "hub", resolutionPolicy="NxDomainRedirect")
    assert "falls back" in why_not_applicable(assert_no_empty_zone, zone(plan.build(), MONITOR))


def test_records_that_an_endpoint_lacks_are_told_one_by_one(plan: NetworkBlueprint) -> None:
    """Where an endpoint keeps its records in the zone, AMPLS302 says which are missing, and with what address."""
    plan.remove(RECORDS, lambda name: name.endswith(("/api", "/global.handler.control")))
    estate = plan.build()
    assert not findings(assert_no_empty_zone, zone(estate, MONITOR))
    assert len(findings(assert_records_present, endpoint(estate))) == 2


@pytest.mark.parametrize("label", ["api", "global.handler.control", "*"])
def test_a_zone_that_answers_a_shared_name_is_not_empty(plan: NetworkBlueprint, label: str) -> None:
    """Single missing records are told one by one, by the endpoint that has the addresses."""
    _nothing_but(plan, label, "192.168.0.9")
    assert not findings(assert_no_empty_zone, zone(plan.build(), MONITOR))


# ------------------------------------------------------------------- a record of an endpoint that is cut off


def _status(plan: NetworkBlueprint, status: str) -> None:
    state = "privateLinkServiceConnectionState"
    connection = plan[ENDPOINTS, "pe"]["properties"]["privateLinkServiceConnections"][0]
    connection["properties"][state]["status"] = status
    plan[CONNECTIONS, "ampls/pe.connection"]["properties"][state]["status"] = status


def _replaced(plan: NetworkBlueprint, first: int) -> None:
    """Add a second endpoint of the scope, with addresses of its own, that writes no records."""
    members = {member: (member_name(member), address) for member, address in member_addresses(first).items()}
    plan.endpoint("pe2", "ampls", "hub/endpoints", members)


@pytest.mark.parametrize("status", ["Rejected", "Pending", "Disconnected"])
def test_a_record_of_an_endpoint_that_was_replaced_is_left_behind(
    plan: NetworkBlueprint, status: str
) -> None:
    """Both endpoints have their addresses, and nobody answers at those of the old one."""
    _replaced(plan, 100)
    assert not findings(assert_records_current, zone(plan.build(), ODS))
    _status(plan, status)
    found = observed(assert_records_current, zone(plan.build(), ODS))
    assert (
        f"left behind: the address of private endpoint 'pe' (scope 'ampls'), whose connection is {status}"
        in found
    )


@pytest.mark.parametrize("status", ["Rejected", "Pending", "Disconnected"])
def test_a_record_of_the_only_endpoint_is_right(plan: NetworkBlueprint, status: str) -> None:
    """It is the connection that is to mend, and AMPLS201 says so; with one address in two places, likewise."""
    _status(plan, status)
    assert not findings(assert_records_current, zone(plan.build(), ODS))
    _replaced(plan, 68)
    assert not findings(assert_records_current, zone(plan.build(), ODS))


# ------------------------------------------------------------------- DNS servers


def test_an_interface_that_uses_azure_provided_dns_by_name(plan: NetworkBlueprint) -> None:
    """The word stands for Azure-provided DNS of the interface's own network, in place of its DNS servers."""
    plan[NICS, "vm1-nic"]["properties"]["dnsSettings"] = {"dnsServers": ["AzureProvidedDNS"]}
    found = findings(assert_resolvers_agree, vnet(plan.build(), "spoke1"))
    assert found
    assert all("public" in each.observed for each in found)
    for origin in {label.partition("/")[0] for label in plan.documents[ZONE_LINKS]}:
        plan.link(origin, "spoke1")
    assert not findings(assert_resolvers_agree, vnet(plan.build(), "spoke1"))


def test_a_dns_server_outside_of_all_subnets_answers_nobody(plan: NetworkBlueprint) -> None:
    """Nothing can have an address that belongs to no subnet: that it forwards is not to be assumed."""
    plan[VNETS, "spoke1"]["properties"]["dhcpOptions"] = {"dnsServers": ["192.168.0.130"]}
    with pytest.raises(NotReadError, match=r"192\.168\.0\.130 .* 'hub', outside of all its subnets"):
        findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))


def test_a_public_dns_server_is_called_one(plan: NetworkBlueprint) -> None:
    """That it lies in no network that was read is true, and not what is wrong with it."""
    plan[VNETS, "spoke1"]["properties"]["dhcpOptions"] = {"dnsServers": ["8.8.8.8"]}
    with pytest.raises(NotReadError, match=r"8\.8\.8\.8 .* is a public address: .* knows no private zone"):
        findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
