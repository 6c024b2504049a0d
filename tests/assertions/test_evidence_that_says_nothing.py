"""Documents that leave out what a verdict rests on: unverified, where each was once green, red or passed over."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.assertions import (
    assert_app_insights_in_scope,
    assert_config_endpoint_in_scope,
    assert_connection_approved,
    assert_dce_in_scope,
    assert_endpoint_addresses,
    assert_not_unreachable,
    assert_nsg_allows_endpoint,
    assert_records_current,
    assert_route_to_endpoint,
    assert_single_scope_per_vnet,
    assert_workspace_in_scope,
    assert_zone_reaches_vnet,
)
from pytest_ampls.catalogue import Rule
from pytest_ampls.errors import DocumentError, NotReadError
from pytest_ampls.model import Estate
from pytest_ampls.model.monitor import ApplicationInsights, DataCollectionEndpoint, ScopableResource
from tests.assertions.machines import MonitoredBlueprint, findings, machine, monitored_estate, observed
from tests.builders import (
    AMPLS,
    COMPONENTS,
    DCES,
    ENDPOINTS,
    MEMBERS,
    NICS,
    SCALE_SETS,
    VMS,
    VNETS,
    WORKSPACES,
    ZONE_LINKS,
    Document,
    resource_id,
)
from tests.private_estate import MONITOR, NetworkBlueprint, ampls, endpoint, private_estate, vnet, zone
from tests.private_estate import workspace as workspace_of

OTHER_SUBSCRIPTION = "00000000-0000-0000-0000-000000000002"
THERE = resource_id(AMPLS, "there", "scopedResources", "it", subscription=OTHER_SUBSCRIPTION)
COMPONENT = resource_id(COMPONENTS, "appi")


@pytest.fixture
def plan() -> NetworkBlueprint:
    """Return the healthy estate, to be changed."""
    return private_estate()


# ------------------------------------------------------------------- where a machine is


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        (VMS, "vm1", "networkProfile"),
        (NICS, "vm1-nic", "ipConfigurations"),
    ],
)
def test_a_machine_that_names_no_network_is_not_passed_over(
    plan: NetworkBlueprint, kind: str, name: str, path: str
) -> None:
    """Its network was called one without machines, and was not judged although its zones are not linked."""
    plan[VNETS, "spoke1"]["properties"]["dhcpOptions"] = None
    assert findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
    plan[kind, name]["properties"][path] = None
    with pytest.raises(
        DocumentError, match=rf"'vm1' .* without {'a network interface' if kind == VMS else ''}"
    ):
        findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))


def test_a_uniform_set_that_names_no_network_is_not_passed_over() -> None:
    """The profile of a Uniform set says where its instances are; a Flexible one need not have any."""
    plan = monitored_estate()
    for kind in (VMS, NICS):
        plan.remove(kind, lambda name: name.startswith(("vm1", "flexible")))
    assert not findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
    plan[SCALE_SETS, "flexible"]["properties"]["virtualMachineProfile"] = None
    assert not findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
    plan[SCALE_SETS, "uniform"]["properties"]["virtualMachineProfile"]["networkProfile"] = None
    with pytest.raises(DocumentError, match=r"'uniform' .* without a subnet"):
        findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))


# ------------------------------------------------------------------- where an endpoint is, and what it is for


def test_an_endpoint_without_a_place_is_not_out_of_reach(plan: NetworkBlueprint) -> None:
    """Security groups were not judged, as if no machine could reach it."""
    plan[ENDPOINTS, "pe"]["properties"]["subnet"] = {}
    with pytest.raises(DocumentError, match=r"properties\.subnet\.id"):
        findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_a_subnet_without_a_prefix_holds_no_address_nor_lacks_it(plan: NetworkBlueprint) -> None:
    """Every address was called a foreign one where the subnet does not say which are its own."""
    for subnet in plan[VNETS, "hub"]["properties"]["subnets"]:
        subnet["properties"] = {}
    with pytest.raises(DocumentError, match="an IPv4 prefix of subnet"):
        findings(assert_endpoint_addresses, endpoint(plan.build()))


def test_an_endpoint_that_connects_to_nothing_that_is_told_may_be_any(plan: NetworkBlueprint) -> None:
    """Its records were called stale, and its network one without endpoints."""
    connection = plan[ENDPOINTS, "pe"]["properties"]["privateLinkServiceConnections"][0]
    connection["properties"]["privateLinkServiceId"] = None
    estate = plan.build()
    with pytest.raises(DocumentError, match=r"'pe' .* without .*privateLinkServiceId"):
        findings(assert_records_current, zone(estate, MONITOR))
    with pytest.raises(DocumentError, match=r"'pe' .* without .*privateLinkServiceId"):
        findings(assert_single_scope_per_vnet, vnet(estate, "hub"))


def test_a_connection_without_a_status_does_not_disagree(plan: NetworkBlueprint) -> None:
    """The endpoint's side was called another one than the scope's although it says nothing."""
    connection = plan[ENDPOINTS, "pe"]["properties"]["privateLinkServiceConnections"][0]["properties"]
    states: tuple[Document | None, ...] = ({}, None)
    for state in states:
        connection["privateLinkServiceConnectionState"] = state
        with pytest.raises(DocumentError, match=r"privateLinkServiceConnectionState\.status"):
            findings(assert_connection_approved, ampls(plan.build()))


# ------------------------------------------------------------------- what is linked with what


def test_a_membership_of_nobody_may_be_anybodys(plan: NetworkBlueprint) -> None:
    """A workspace was called no member where the scope's list does not tell whose membership one is."""
    plan[MEMBERS, "ampls/ws"]["properties"]["linkedResourceId"] = None
    with pytest.raises(DocumentError, match=r"properties\.linkedResourceId"):
        findings(assert_workspace_in_scope, workspace_of(plan.build()))


def test_a_link_to_no_network_may_be_to_any(plan: NetworkBlueprint) -> None:
    """A network was called not linked where a link does not tell which network it links."""
    link = plan[ZONE_LINKS, f"{MONITOR}/hub"]["properties"]
    references: tuple[Document | None, ...] = (None, {})
    for reference in references:
        link["virtualNetwork"] = reference
        with pytest.raises(DocumentError, match=r"properties\.virtualNetwork\.id"):
            findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))


def test_a_peering_with_nobody_may_be_with_anybody(plan: NetworkBlueprint) -> None:
    """Networks were called not peered where a peering does not tell with whom it is."""
    (peering,) = plan[VNETS, "spoke1"]["properties"]["virtualNetworkPeerings"]
    peering["properties"]["remoteVirtualNetwork"] = None
    with pytest.raises(DocumentError, match=r"remoteVirtualNetwork\.id"):
        findings(assert_route_to_endpoint, vnet(plan.build(), "spoke1"))


def test_an_empty_text_is_no_value(plan: NetworkBlueprint) -> None:
    """An empty workspace id gave names such as ``.ods.opinsights.azure.com``, which nobody serves."""
    plan[WORKSPACES, "ws"]["properties"]["customerId"] = ""
    with pytest.raises(DocumentError, match=r"properties\.customerId"):
        findings(assert_endpoint_addresses, endpoint(plan.build()))


# ------------------------------------------------------------------- members of scopes that were not read


def _stranger(kind: str, name: str, **references: Any) -> tuple[MonitoredBlueprint, Estate]:
    """Return an estate with a closed resource that is in no scope that was read, and says it is in one."""
    plan = monitored_estate()
    closed: Document = {
        "publicNetworkAccessForIngestion": "Disabled",
        "publicNetworkAccessForQuery": "Disabled",
        "networkAcls": {"publicNetworkAccess": "Disabled"},
    }
    plan.add(COMPONENTS, COMPONENT, {}, location="westeurope")
    plan[kind, name]["properties"].update(closed, **references)
    plan.remove(MEMBERS, lambda label: label.endswith(f"/{name}") or name == "appi")
    return plan, plan.build()


STRANGERS: list[tuple[Rule[Any], str, str, Document]] = [
    (assert_workspace_in_scope, WORKSPACES, "ws", {"resourceId": THERE, "scopeId": "a"}),
    (assert_workspace_in_scope, WORKSPACES, "ws", {"scopeId": "a"}),
    (assert_dce_in_scope, DCES, "dce", {"resourceId": THERE.lower()}),
    (assert_app_insights_in_scope, COMPONENTS, "appi", {"ResourceId": THERE}),
]


def _subject(estate: Estate, kind: str) -> ScopableResource:
    if kind == WORKSPACES:
        return workspace_of(estate)
    found: tuple[ScopableResource, ...] = estate.known(
        DataCollectionEndpoint if kind == DCES else ApplicationInsights
    )
    return found[0]


@pytest.mark.parametrize(("rule", "kind", "name", "reference"), STRANGERS)
def test_a_member_of_a_scope_that_was_not_read(
    rule: Rule[Any], kind: str, name: str, reference: Document
) -> None:
    """A resource of another team's scope was called unreachable from everywhere, and in no scope."""
    spelling = "PrivateLinkScopedResources" if kind == COMPONENTS else "privateLinkScopedResources"
    _, estate = _stranger(kind, name, **{spelling: [reference]})
    for each in (rule, assert_not_unreachable):
        # The clients of the workspace use the scope that was read, which does not list it: that is known.
        if each is assert_workspace_in_scope:
            assert (
                "a scoped resource of the scope 'ampls'" in findings(each, _subject(estate, kind))[0].expected
            )
            continue
        with pytest.raises(NotReadError, match=r"reports a membership|was not read"):
            findings(each, _subject(estate, kind))


def test_a_workspace_without_clients_of_a_scope_that_was_not_read() -> None:
    """Nobody's DNS demands a scope of it, and it says which one it is in."""
    plan, _ = _stranger(WORKSPACES, "ws", privateLinkScopedResources=[{"resourceId": THERE}])
    plan.documents["Microsoft.Insights/dataCollectionRuleAssociations"] = {}
    with pytest.raises(NotReadError, match="was not read"):
        findings(assert_workspace_in_scope, workspace_of(plan.build()))


def test_a_membership_in_a_scope_that_is_gone_is_none() -> None:
    """What names a scope of a subscription that was read, and is not there, is a member of nothing."""
    gone = resource_id(AMPLS, "gone", "scopedResources", "dce")
    _, estate = _stranger(DCES, "dce", privateLinkScopedResources=[{"resourceId": gone}])
    assert "unreachable from everywhere" in observed(assert_not_unreachable, _subject(estate, DCES))
    assert findings(assert_dce_in_scope, _subject(estate, DCES))


def test_an_arc_machine_may_use_a_scope_that_was_not_read() -> None:
    """Any scope will do for it: that no one lists its endpoint is known only where all were read."""
    _, estate = _stranger(DCES, "dce", privateLinkScopedResources=[{"resourceId": THERE}])
    with pytest.raises(NotReadError, match="was not read"):
        findings(assert_config_endpoint_in_scope, machine(estate, "arc"))
    assert findings(assert_config_endpoint_in_scope, machine(estate, "vm1"))
    assert estate.known(DataCollectionEndpoint)[0].scopes == ()


def test_an_endpoint_that_connects_to_nothing_that_is_told_hides_no_scope() -> None:
    """A machine's DNS was said to lead to no scope, where the endpoint that has the address does not tell its own."""
    plan = monitored_estate()
    plan[ENDPOINTS, "pe"]["properties"]["privateLinkServiceConnections"] = None
    with pytest.raises(DocumentError, match=r"'pe' .* without .*privateLinkServiceId"):
        findings(assert_config_endpoint_in_scope, machine(plan.build(), "vm1"))
