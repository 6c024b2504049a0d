"""Estates that were judged wrongly: red where nothing is broken or known, or passed over where something is told."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.assertions import (
    assert_agent_log_clean,
    assert_association_limit,
    assert_config_endpoint_association,
    assert_destinations_in_scope,
    assert_forwarders,
    assert_ingestion_access_mode,
    assert_instances_associated,
    assert_nsg_allows_endpoint,
    assert_public_resolution,
    assert_records_current,
    assert_records_present,
    assert_reserved_name_used_well,
    assert_rule_association,
    assert_single_scope_per_dns_boundary,
    assert_zone_reaches_vnet,
)
from pytest_ampls.catalogue import Rule
from pytest_ampls.effective.guest_servers import foreign_servers
from pytest_ampls.errors import DocumentError, NotReadError
from pytest_ampls.model import Machine
from tests.assertions.asked_estate import OTHER_SUBSCRIPTION, answer, asked, second_scope
from tests.assertions.machines import (
    DCR,
    MonitoredBlueprint,
    findings,
    machine,
    monitored_estate,
    observed,
    scale_set,
    unassociated,
    why_not_applicable,
)
from tests.builders import (
    AMPLS,
    ASSOCIATIONS,
    CONNECTIONS,
    DCRS,
    ENDPOINTS,
    NICS,
    PRIVATE_ZONES,
    RECORDS,
    RULESET_LINKS,
    SCALE_SETS,
    VMS,
    VNETS,
    WORKSPACES,
    ZONE_GROUPS,
    ZONE_LINKS,
    Document,
    denied,
    resource_id,
)
from tests.private_estate import MONITOR, ODS, ampls, endpoint, vnet, zone
from tests.rulesets import add_inbound, add_rules, set_interface_dns, set_network_dns

VM1 = resource_id(VMS, "vm1")


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Return an estate that every rule holds on, to be broken."""
    return monitored_estate()


# ------------------------------------------------------------------- associations that name nothing


@pytest.mark.parametrize(
    "rule",
    [
        assert_reserved_name_used_well,
        assert_destinations_in_scope,
    ],
)
def test_an_association_of_nothing_may_be_of_anything(
    plan: MonitoredBlueprint, rule: Rule[[Machine]]
) -> None:
    """AMPLS403 and AMPLS407: it may hold an endpoint under a wrong name, or a rule that sends elsewhere."""
    plan.associate(VM1, "silent")
    with pytest.raises(DocumentError, match=r"'silent' .* without .*dataCollectionRuleId"):
        findings(rule, machine(plan.build()))


def test_an_association_of_nothing_may_be_the_rule(plan: MonitoredBlueprint) -> None:
    """AMPLS401: a machine with such an association and no rule was called one without a rule."""
    plan.associate(VM1, "silent")
    assert not findings(assert_rule_association, machine(plan.build()))
    with pytest.raises(DocumentError, match="'silent'"):
        findings(assert_rule_association, unassociated(plan, "vm1", "dcr"))


def test_an_association_of_nothing_may_be_one_too_many(plan: MonitoredBlueprint) -> None:
    """AMPLS410: it was not counted; it need not be where there is room for it."""
    plan.associate(VM1, "silent")
    vm = machine(plan.build())
    assert not findings(assert_association_limit, vm, limit=2)
    with pytest.raises(DocumentError, match="'silent'"):
        findings(assert_association_limit, vm, limit=1)
    assert findings(assert_association_limit, vm, limit=0)
    with pytest.raises(DocumentError, match="'silent'"):
        findings(assert_association_limit, unassociated(plan, "vm1", "dcr"), limit=0)


# ------------------------------------------------------------------- machines without any private link


def _apart(plan: MonitoredBlueprint) -> MonitoredBlueprint:
    """Add a machine in a network of its own, that sends to a workspace in no scope."""
    plan.vnet("apart", "10.7.0.0/24", vm="10.7.0.0/26")
    plan.vm("public", "apart/vm", "10.7.0.4")
    own = resource_id(DCRS, "own")
    workspace = resource_id(WORKSPACES, "own")
    plan.add(WORKSPACES, workspace, {"customerId": "b"}, location="westeurope")
    plan.add(DCRS, own, {"destinations": {"logAnalytics": [{"workspaceResourceId": workspace}]}})
    plan.associate(resource_id(VMS, "public"), "dcr", dataCollectionRuleId=own)
    return plan


def test_a_machine_without_private_link_needs_no_endpoint(plan: MonitoredBlueprint) -> None:
    """AMPLS402: the public service configures agents without an endpoint."""
    why = why_not_applicable(assert_config_endpoint_association, machine(_apart(plan).build(), "public"))
    assert why.startswith("'public' uses no private link")


@pytest.mark.parametrize(
    "case", ["linked", "sends into a scope", "peered", "says so", "unknown DNS", "misnamed"]
)
def test_whatever_has_to_do_with_a_scope_needs_an_endpoint(plan: MonitoredBlueprint, case: str) -> None:
    """AMPLS402: the neighbour of a private link, or what cannot be told to be none, is judged as before."""
    _apart(plan)
    if case == "linked":
        plan.link(MONITOR, "apart")
    elif case == "sends into a scope":
        plan.associate(resource_id(VMS, "public"), "more", dataCollectionRuleId=DCR)
    elif case == "peered":
        plan[VNETS, "apart"]["properties"]["virtualNetworkPeerings"] = plan[VNETS, "spoke1"]["properties"][
            "virtualNetworkPeerings"
        ]
    elif case == "says so":
        there = resource_id(AMPLS, "there", subscription=OTHER_SUBSCRIPTION)
        plan[WORKSPACES, "own"]["properties"]["privateLinkScopedResources"] = [{"resourceId": there}]
    elif case == "unknown DNS":
        set_network_dns(plan, "apart", "10.99.0.4")
    else:
        plan.associate(
            resource_id(VMS, "public"), "dce", dataCollectionEndpointId=resource_id(ENDPOINTS, "x")
        )
    assert findings(assert_config_endpoint_association, machine(plan.build(), "public"))


def test_arc_machines_need_an_endpoint_where_there_is_a_scope(plan: MonitoredBlueprint) -> None:
    """AMPLS402: which scope the DNS of an Arc machine leads to is not known to Azure; without any it is to none."""
    assert findings(assert_config_endpoint_association, unassociated(plan, "arc"))
    for kind in [kind for kind in plan.documents if "privateLinkScopes" in kind]:
        plan.documents[kind] = {}
    assert "no private link" in why_not_applicable(
        assert_config_endpoint_association, machine(plan.build(), "arc")
    )


def test_instances_without_private_link_need_a_rule_all_the_same(plan: MonitoredBlueprint) -> None:
    """AMPLS413: only the endpoint is left out."""
    _apart(plan)
    plan.remove(VMS, lambda name: name == "flexible_0")
    plan[VMS, "public"]["properties"]["virtualMachineScaleSet"] = {"id": resource_id(SCALE_SETS, "flexible")}
    assert not findings(assert_instances_associated, scale_set(plan.build()))
    plan.remove(ASSOCIATIONS, lambda name: name.startswith("public/"))
    (finding,) = findings(assert_instances_associated, scale_set(plan.build()))
    assert finding.observed == "no association with a data collection rule"


# ------------------------------------------------------------------- networks


@pytest.mark.parametrize("where", ["client subnet", "endpoint subnet", "interface", "scale set"])
def test_a_group_without_an_id_filters(plan: MonitoredBlueprint, where: str) -> None:
    """AMPLS208: a reference that does not say which group it is counted as none."""
    group: Document = {"networkSecurityGroup": {}}
    if where == "interface":
        plan[NICS, "vm1-nic"]["properties"].update(group)
        plan[NICS, "vm1-nic"]["properties"]["virtualMachine"] = {"id": VM1}
    elif where == "scale set":
        profile = plan[SCALE_SETS, "uniform"]["properties"]["virtualMachineProfile"]
        profile["networkProfile"]["networkInterfaceConfigurations"][0]["properties"].update(group)
    else:
        network, position = ("spoke1", 0) if where == "client subnet" else ("hub", 1)
        plan[VNETS, network]["properties"]["subnets"][position]["properties"].update(group)
    with pytest.raises(DocumentError, match=r"properties\.networkSecurityGroup\.id"):
        findings(assert_nsg_allows_endpoint, endpoint(plan.build()))


def test_records_by_hand_may_be_in_a_zone_elsewhere(plan: MonitoredBlueprint) -> None:
    """AMPLS301 and AMPLS302: no zone was read, and no zone group says where it is."""
    for kind in (PRIVATE_ZONES, ZONE_LINKS, RECORDS):
        plan.remove(kind, lambda name: name.startswith(ODS))
    assert "no zone of this name was read" in observed(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
    assert findings(assert_records_present, endpoint(plan.build()))
    plan.documents[ZONE_GROUPS].clear()
    with pytest.raises(NotReadError, match="'pe' has no DNS zone group"):
        findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke1"))
    with pytest.raises(NotReadError, match="'pe' has no DNS zone group"):
        findings(assert_records_present, endpoint(plan.build()))


@pytest.mark.parametrize("state", ["Creating", "Deleting", "Failed", None])
def test_rules_of_a_link_that_is_not_provisioned_may_not_apply(
    plan: MonitoredBlueprint, state: str | None
) -> None:
    """AMPLS308: forwarding that is being removed was judged as if it worked."""
    set_network_dns(plan, "spoke1")
    add_inbound(plan, "hub", "192.168.0.10")
    add_rules(plan, "spoke1", {"monitor.azure.com": ["192.168.0.10"], "azure.com": ["192.168.0.10"]})
    (name,) = plan.documents[RULESET_LINKS]
    assert findings(assert_forwarders, vnet(plan.build(), "spoke1"))
    plan[RULESET_LINKS, name]["properties"]["provisioningState"] = state
    with pytest.raises((NotReadError, DocumentError), match=state or "provisioningState"):
        findings(assert_forwarders, vnet(plan.build(), "spoke1"))
    assert not findings(assert_zone_reaches_vnet, vnet(plan.build(), "spoke2"))


# ------------------------------------------------------------------- scopes


@pytest.mark.parametrize(("name", "counts"), [("gone.1", False), ("PE.connection", True), ("pe", True)])
def test_an_exclusion_of_a_connection_that_is_gone_weakens_nothing(
    plan: MonitoredBlueprint, name: str, *, counts: bool
) -> None:
    """AMPLS101: no client comes by a connection that the scope does not list any more."""
    plan[AMPLS, "ampls"]["properties"]["accessModeSettings"]["exclusions"] = [
        {"privateEndpointConnectionName": name, "ingestionAccessMode": "Open", "queryAccessMode": "Open"}
    ]
    assert bool(findings(assert_ingestion_access_mode, ampls(plan.build()))) is counts


def test_an_exclusion_counts_where_connections_are_not_known(plan: MonitoredBlueprint) -> None:
    """AMPLS101: the exclusion stands in the scope's own document."""
    plan.gaps[CONNECTIONS] = denied("connections")
    plan[AMPLS, "ampls"]["properties"]["accessModeSettings"]["exclusions"] = [
        {"privateEndpointConnectionName": "gone", "ingestionAccessMode": "Open"}
    ]
    assert (
        observed(assert_ingestion_access_mode, ampls(plan.build())) == "Open for clients of connection gone"
    )


def test_a_record_of_two_scopes_is_mended_in_the_scope(plan: MonitoredBlueprint) -> None:
    """AMPLS303: a record set right lasts until the other endpoint writes it again."""
    second_scope(plan, members=[])
    estate = plan.build()
    (finding,) = findings(assert_records_current, zone(estate, MONITOR))
    assert finding.fix == assert_single_scope_per_dns_boundary.fix
    assert finding.tokens["scope"] == "second"
    assert finding.tokens["member"] in {"ws", "dce"}
    plan.record(MONITOR, "api", "192.168.0.99")
    (finding,) = findings(assert_records_current, zone(plan.build(), MONITOR))
    assert finding.fix is None


# ------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {
            "publicNetworkAccessForIngestion": "Enabled",
            "privateLinkScopedResources": [
                {"resourceId": resource_id(AMPLS, "x", subscription=OTHER_SUBSCRIPTION)}
            ],
        },
    ],
    ids=["no flag", "a scope that was not read"],
)
def test_whether_a_workspace_stays_public_may_not_be_told(
    plan: MonitoredBlueprint, properties: dict[str, Any]
) -> None:
    """AMPLS314: its private answer was called wrong."""
    owner = "11111111-1111-4111-8111-111111111111"
    plan.add(WORKSPACES, resource_id(WORKSPACES, "other"), {"customerId": owner, **properties})
    asked(plan)
    answer(plan, f"{owner}.ods.opinsights.azure.com", "10.1.1.1")
    with pytest.raises((DocumentError, NotReadError)):
        findings(assert_public_resolution, vnet(plan.build(), "spoke1"))


def test_a_guest_that_asks_somebody_else(plan: MonitoredBlueprint) -> None:
    """AMPLS522 says so, unless the guest has a resolver of its own or it cannot be told."""
    vm = machine(plan.build())
    assert "hands out 192.168.0.4: restart" in foreign_servers(vm, ["8.8.8.8"])
    for servers in ([], ["192.168.0.4"], ["127.0.0.53"], ["?"], ["8.8.8.8", "192.168.0.4"]):
        assert not foreign_servers(vm, servers)
    set_interface_dns(plan, "vm1-nic", "8.8.8.8")
    assert not foreign_servers(machine(plan.build()), ["8.8.8.8"])
    set_network_dns(plan, "spoke1")
    assert not foreign_servers(machine(plan.build()), ["168.63.129.16"])
    assert not foreign_servers(machine(plan.build(), "arc"), ["8.8.8.8"])


def test_the_log_is_not_read_from_its_beginning() -> None:
    """AMPLS524: the title promises no more than what is read."""
    assert assert_agent_log_clean.title.startswith("The end of the agent's log")
