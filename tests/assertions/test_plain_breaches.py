"""Estates that break a demand in a way that is easily overlooked: each was once green, or told too little."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions import (
    assert_connection_approved,
    assert_endpoint_addresses,
    assert_ingestion_access_mode,
    assert_query_access_mode,
    assert_records_current,
    assert_records_present,
    assert_scoped_resources_resolve,
    assert_single_scope_per_vnet,
    assert_zone_group_complete,
    assert_zone_reaches_vnet,
)
from pytest_ampls.errors import DocumentError, NotReadError
from pytest_ampls.model import Estate, Workspace
from tests.assertions.machines import (
    findings,
    observed,
    why_not_applicable,
)
from tests.builders import (
    AMPLS,
    CUSTOMER,
    DCES,
    ENDPOINTS,
    LINK_RESOURCES,
    MEMBERS,
    NICS,
    PRIVATE_ZONES,
    RECORDS,
    VNETS,
    WORKSPACES,
    ZONE_GROUPS,
    ZONE_LINKS,
    Blueprint,
    build_estate,
    resource_id,
)
from tests.private_estate import AGENTSVC, MONITOR, ODS, ampls, endpoint, private_estate, vnet, zone

OTHER_SUBSCRIPTION = "00000000-0000-0000-0000-000000000002"


# ------------------------------------------------------------------- the scope


@pytest.mark.parametrize("rule", [assert_ingestion_access_mode, assert_query_access_mode])
def test_an_exclusion_without_a_mode_is_unverified(rule: object) -> None:
    """What an exclusion does not say is not known: it replaces both modes."""
    plan = private_estate()
    settings = plan[AMPLS, "ampls"]["properties"]["accessModeSettings"]
    settings["exclusions"] = [{"privateEndpointConnectionName": "pe.connection"}]
    with pytest.raises(DocumentError, match=r"exclusions\[0\]"):
        findings(rule, ampls(plan.build()))  # type: ignore[arg-type]  # parametrized with rules


def test_a_fix_for_an_exclusion_changes_the_exclusion() -> None:
    """The command names the exclusion's own property: the scope's mode is right already."""
    plan = private_estate()
    settings = plan[AMPLS, "ampls"]["properties"]["accessModeSettings"]
    settings["exclusions"] = [{"queryAccessMode": "Open", "ingestionAccessMode": "PrivateOnly"}]
    with pytest.raises(AssertionError) as raised:
        assert_query_access_mode(ampls(plan.build()))
    assert "--set 'properties.accessModeSettings.exclusions[0].queryAccessMode'=PrivateOnly" in str(
        raised.value
    )


def _reporting(plan: Blueprint, **reference: str) -> Estate:
    plan[WORKSPACES, "ws"]["properties"]["privateLinkScopedResources"] = [reference]
    return plan.build()


@pytest.mark.parametrize("by", ["resourceId", "scopeId"])
def test_a_membership_that_only_the_member_knows_fails(by: str) -> None:
    """A workspace that calls itself a member, in a scope that does not list it, has no private path."""
    plan = private_estate()
    plan[AMPLS, "ampls"]["properties"]["scopeId"] = CUSTOMER
    plan.remove(MEMBERS, lambda name: name.endswith("/ws"))
    value = CUSTOMER.upper() if by == "scopeId" else resource_id(AMPLS, "AMPLS", "scopedResources", "ws")
    estate = _reporting(plan, **{by: value})
    assert estate.known(Workspace)
    assert observed(assert_scoped_resources_resolve, ampls(estate)) == (
        "the scope lists 1 members, and not this one"
    )


def test_a_scope_without_members_is_not_held() -> None:
    """Nothing was looked at where there is no member."""
    plan = private_estate()
    plan.remove(MEMBERS, lambda _: True)
    assert "has no member" in why_not_applicable(assert_scoped_resources_resolve, ampls(plan.build()))


@pytest.mark.parametrize(
    "linked", ["nonsense", resource_id(WORKSPACES, "ws").removesuffix("/ws"), "/subscriptions", "/"]
)
def test_a_member_that_links_no_resource_fails(linked: str) -> None:
    """Only a whole subscription may stand in the place of a resource."""
    plan = private_estate()
    plan[MEMBERS, "ampls/ws"]["properties"]["linkedResourceId"] = linked
    assert observed(assert_scoped_resources_resolve, ampls(plan.build())) == repr(linked)


def test_a_member_without_a_state_is_unverified() -> None:
    """That a membership was provisioned is not assumed."""
    plan = private_estate()
    plan[MEMBERS, "ampls/ws"]["properties"]["provisioningState"] = None
    with pytest.raises(DocumentError, match="provisioningState"):
        findings(assert_scoped_resources_resolve, ampls(plan.build()))


def test_a_member_that_was_not_read_hides_no_other() -> None:
    """A member in a subscription that is not judged leaves the finding on the next one."""
    plan = private_estate()
    there = resource_id(WORKSPACES, "there", subscription=OTHER_SUBSCRIPTION)
    plan[MEMBERS, "ampls/ws"]["properties"]["linkedResourceId"] = there
    plan[MEMBERS, "ampls/dce"]["properties"]["provisioningState"] = "Failed"
    with pytest.raises(AssertionError) as raised:
        assert_scoped_resources_resolve(ampls(plan.build()))
    assert "observed  Failed" in str(raised.value)
    assert "unverified besides" in str(raised.value)


# ------------------------------------------------------------------- the endpoint


def test_an_endpoint_that_failed_is_not_approved() -> None:
    """The connection may be approved and the endpoint itself not provisioned."""
    plan = private_estate()
    plan[ENDPOINTS, "pe"]["properties"]["provisioningState"] = "Failed"
    assert observed(assert_connection_approved, ampls(plan.build())) == "Failed"


def test_an_endpoint_without_a_subnet_is_in_no_vnet_that_can_be_told() -> None:
    """An endpoint whose place is not known could be in the VNet that is judged."""
    plan = private_estate()
    plan[ENDPOINTS, "pe"]["properties"]["subnet"] = None
    with pytest.raises(DocumentError, match=r"properties\.subnet\.id"):
        findings(assert_single_scope_per_vnet, vnet(plan.build(), "hub"))


def test_an_endpoint_of_a_deleted_scope_fails() -> None:
    """Nothing is required of it any more, and it answers nobody all the same."""
    plan = private_estate()
    for kind in (AMPLS, MEMBERS, LINK_RESOURCES, f"{AMPLS}/privateEndpointConnections"):
        plan.remove(kind, lambda _: True)
    pe = endpoint(plan.build())
    assert "which does not" in observed(assert_endpoint_addresses, pe)
    assert "AMPLS205" in why_not_applicable(assert_zone_group_complete, pe)


def test_an_interface_that_is_gone_fails() -> None:
    """The names are still in customDnsConfigs, which outlive the interface."""
    plan = private_estate()
    del plan[NICS, "pe.nic"]
    with pytest.raises(AssertionError, match=r"pe\.nic, which does not"):
        assert_endpoint_addresses(endpoint(plan.build()))


def test_a_scope_that_requires_nothing_is_unverified() -> None:
    """A listing of private link resources without members cannot tell what must be there."""
    plan = private_estate()
    plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]["requiredMembers"] = None
    with pytest.raises(DocumentError, match="names no member of group azuremonitor"):
        findings(assert_endpoint_addresses, endpoint(plan.build()))


def test_a_member_without_an_address_is_missing() -> None:
    """An interface may name a member and have no address for it."""
    plan = private_estate()
    plan[ENDPOINTS, "pe"]["properties"]["customDnsConfigs"] = []
    for configuration in plan[NICS, "pe.nic"]["properties"]["ipConfigurations"]:
        if configuration["name"] == "api":
            configuration["properties"]["privateIPAddress"] = None
    assert [each.property for each in findings(assert_endpoint_addresses, endpoint(plan.build()))] == [
        "member api"
    ]


def test_a_zone_is_called_what_its_id_says() -> None:
    """References to a zone are ids: a document with another name is still that zone."""
    plan = private_estate()
    plan[PRIVATE_ZONES, ODS]["name"] = "something else"
    assert not findings(assert_records_present, endpoint(plan.build()))


@pytest.mark.parametrize("url", [None, "", "https://[broken", "dce-ab12.westeurope-1"])
def test_an_endpoint_without_host_names_is_unverified(url: str | None) -> None:
    """A data collection endpoint whose names cannot be told may lack an address for each of them."""
    plan = private_estate()
    plan[DCES, "dce"]["properties"]["configurationAccess"] = {"endpoint": url}
    with pytest.raises(DocumentError, match=r"configurationAccess\.endpoint"):
        findings(assert_endpoint_addresses, endpoint(plan.build()))


def test_a_group_full_of_other_zones_is_not_complete() -> None:
    """Zones that the scope does not require take the place of those it does."""
    plan = private_estate()
    required = plan[LINK_RESOURCES, "ampls/azuremonitor"]["properties"]["requiredZoneNames"]
    required.append("privatelink.adx.monitor.azure.com")
    configs = plan[ZONE_GROUPS, "pe/default"]["properties"]["privateDnsZoneConfigs"]
    for config in configs[1:]:
        name = config["properties"]["privateDnsZoneId"].rpartition("/")[2]
        config["properties"]["privateDnsZoneId"] = resource_id(PRIVATE_ZONES, f"other.{name}")
    missing = [finding.expected for finding in findings(assert_zone_group_complete, endpoint(plan.build()))]
    assert len(missing) == 5


def test_the_fix_for_a_missing_group_creates_it() -> None:
    """A zone cannot be added to a group that does not exist."""
    plan = private_estate()
    plan.remove(ZONE_GROUPS, lambda _: True)
    with pytest.raises(AssertionError, match="dns-zone-group create --endpoint-name pe"):
        assert_zone_group_complete(endpoint(plan.build()))


# ------------------------------------------------------------------- zones and records


def _second_copy(plan: Blueprint, origin: str, records: dict[str, str]) -> None:
    """Link a zone of the same name in another resource group to spoke1, which uses Azure-provided DNS."""
    root = resource_id(PRIVATE_ZONES, origin, group="copies")
    plan.documents[PRIVATE_ZONES][f"copy of {origin}"] = {"id": root, "name": origin, "properties": {}}
    link = {"virtualNetwork": {"id": resource_id(VNETS, "spoke1")}, "virtualNetworkLinkState": "Completed"}
    plan.documents[ZONE_LINKS][f"copy of {origin}"] = {
        "id": f"{root}/virtualNetworkLinks/spoke1",
        "name": "spoke1",
        "properties": link,
    }
    for label, address in records.items():
        plan.documents[RECORDS][f"copy of {label}.{origin}"] = {
            "id": f"{root}/A/{label}",
            "name": label,
            "type": "Microsoft.Network/privateDnsZones/A",
            "properties": {"aRecords": [{"ipv4Address": address}]},
        }


def _with_copies(ods: dict[str, str]) -> Estate:
    """Return an estate whose spoke1 has linked copies of all zones; the copy of ods has these records."""
    plan = private_estate()
    plan[VNETS, "spoke1"]["properties"]["dhcpOptions"] = {"dnsServers": []}
    records = list(plan.documents[RECORDS].values())
    for origin in (ODS, MONITOR, AGENTSVC):
        mine = {
            part["name"]: part["properties"]["aRecords"][0]["ipv4Address"]
            for part in records
            if f"/{origin}/" in part["id"]
        }
        _second_copy(plan, origin, ods if origin == ODS else mine)
    return plan.build()


def test_a_copy_of_a_zone_that_lacks_a_record_fails() -> None:
    """A zone of the same name, linked to another network, must have the records too."""
    estate = _with_copies({f"0{CUSTOMER[1:]}": "192.168.0.73"})
    (finding,) = findings(assert_records_present, endpoint(estate))
    assert (finding.resource, finding.observed) == (f"private DNS zone copies/{ODS}", "no such record")


def test_a_complete_copy_of_a_zone_holds() -> None:
    """Zones per network, each with all records, are as good as one zone for all."""
    assert not findings(assert_records_present, endpoint(_with_copies({CUSTOMER: "192.168.0.73"})))


def test_a_link_without_a_state_is_unverified() -> None:
    """That a link was completed is not assumed."""
    plan = private_estate()
    plan[ZONE_LINKS, f"{ODS}/hub"]["properties"]["virtualNetworkLinkState"] = None
    with pytest.raises(DocumentError, match="virtualNetworkLinkState"):
        findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))


def test_what_a_group_wrote_for_an_endpoint_that_changed_is_stale() -> None:
    """A zone group's list of records may be older than the endpoint's addresses."""
    plan = private_estate()
    (config,) = (
        part
        for part in plan[ZONE_GROUPS, "pe/default"]["properties"]["privateDnsZoneConfigs"]
        if part["properties"]["privateDnsZoneId"].endswith(ODS)
    )
    written = {"recordType": "A", "recordSetName": "left", "ipAddresses": ["192.168.0.99"]}
    config["properties"]["recordSets"].append(written)
    plan.record(ODS, "left", "192.168.0.99")
    assert "stale" in observed(assert_records_current, zone(plan.build(), ODS))


def test_a_record_set_without_a_type_is_told_by_its_id() -> None:
    """A record set that does not say its type is not left out of judgement."""
    plan = private_estate()
    record = plan.record(ODS, CUSTOMER, "192.168.0.9")
    del record["type"]
    assert "stale" in observed(assert_records_current, zone(plan.build(), ODS))


def test_an_address_of_a_subscription_that_is_not_judged_is_not_stale() -> None:
    """Zones are often read without the subscription that has the endpoints: that is no finding."""
    plan = private_estate()
    there = resource_id(VNETS, "there", subscription=OTHER_SUBSCRIPTION)
    properties = {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}}
    network = {"id": there, "name": "there", "properties": properties}
    plan.record(ODS, CUSTOMER, "10.9.0.4")
    plan.record(ODS, "left-behind", "192.168.0.9")
    documents = {kind: list(named.values()) for kind, named in plan.documents.items()}
    estate = build_estate({**documents, VNETS: [*documents[VNETS], network]})
    with pytest.raises(AssertionError) as raised:
        assert_records_current(zone(estate, ODS))
    assert "A record left-behind" in str(raised.value)
    assert "A record " + CUSTOMER not in str(raised.value)
    assert "unverified besides: the address 10.9.0.4 lies in virtual network 'there'" in str(raised.value)


def test_zones_without_any_scope_are_not_stale() -> None:
    """A subscription that only holds zones cannot tell whose the addresses are."""
    plan = Blueprint()
    plan.documents = {kind: private_estate().documents[kind] for kind in (PRIVATE_ZONES, ZONE_LINKS, RECORDS)}
    with pytest.raises(NotReadError, match="whose it is cannot be told"):
        findings(assert_records_current, zone(plan.build(), ODS))
