"""The rules about scopes of endpoints and destinations, on bad estates."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions.data_collection import (
    assert_config_endpoint_in_scope,
    assert_destinations_in_scope,
)
from pytest_ampls.catalogue import Rule
from pytest_ampls.errors import DocumentError, EvidenceError
from pytest_ampls.model import Machine
from tests.assertions.machines import (
    DCE,
    DCR,
    MonitoredBlueprint,
    findings,
    machine,
    monitored_estate,
    observed,
    unassociated,
    why_not_applicable,
)
from tests.builders import (
    AMPLS,
    DCES,
    DCRS,
    MEMBERS,
    NICS,
    VMS,
    VNETS,
    WORKSPACES,
    ZONE_LINKS,
    denied,
    resource_id,
)

MachineRule = Rule[[Machine]]
VM1 = resource_id(VMS, "vm1")


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of an estate that every rule holds on."""
    return monitored_estate()


def test_an_endpoint_outside_of_the_scope_fails(plan: MonitoredBlueprint) -> None:
    """The scope is the one that the machine's DNS leads to; the evidence is its list of members."""
    del plan[MEMBERS, "ampls/dce"]
    (finding,) = findings(assert_config_endpoint_in_scope, machine(plan.build()))
    assert finding.observed == "'dce', which the scope 'ampls' does not list"
    assert finding.expected == (
        "an endpoint that is a member of 'ampls', the scope that the machine's DNS leads to"
    )
    assert "/privatelinkscopes/ampls/scopedResources?" in finding.evidence
    assert finding.tokens["linked-id"] == DCE


def test_a_workspace_outside_of_the_scope_fails(plan: MonitoredBlueprint) -> None:
    """Every destination of every rule counts, once."""
    elsewhere = resource_id(WORKSPACES, "elsewhere")
    second = f"{DCR}-2"
    plan.add(
        DCRS,
        second,
        {"destinations": {"logAnalytics": [{"workspaceResourceId": elsewhere}]}},
        location="westeurope",
    )
    plan.associate(VM1, "two", dataCollectionRuleId=second)
    plan.associate(VM1, "two-again", dataCollectionRuleId=second.upper())
    (finding,) = findings(assert_destinations_in_scope, machine(plan.build()))
    assert finding.property == "dataCollectionRules[dcr-linux-2].properties.destinations.logAnalytics"
    assert finding.observed == "'elsewhere', which the scope 'ampls' does not list"


@pytest.mark.parametrize(
    ("rule", "member"),
    [(assert_config_endpoint_in_scope, "dce"), (assert_destinations_in_scope, "ws")],
)
def test_arc_machines_need_one_scope(plan: MonitoredBlueprint, rule: MachineRule, member: str) -> None:
    """Where an Arc machine's DNS leads is not known: any scope is enough, none is a finding."""
    plan.scope("another", [resource_id(DCES, "dce"), resource_id(WORKSPACES, "ws")])
    del plan[MEMBERS, f"ampls/{member}"]
    assert findings(rule, machine(plan.build(), "arc")) == ()
    del plan[MEMBERS, f"another/{member}"]
    assert observed(rule, machine(plan.build(), "arc")) == (
        f"'{member}', which no private link scope lists (scopes that were read: 'ampls', 'another')"
    )
    plan.remove(AMPLS, lambda name: True)
    assert "no private link scope was read" in why_not_applicable(rule, machine(plan.build(), "arc"))


@pytest.mark.parametrize("rule", [assert_config_endpoint_in_scope, assert_destinations_in_scope])
def test_a_machine_that_resolves_publicly_is_another_rule(
    plan: MonitoredBlueprint, rule: MachineRule
) -> None:
    """Where DNS leads to no scope, membership decides nothing, and the reason names the network."""
    plan.remove(ZONE_LINKS, lambda name: True)
    assert why_not_applicable(rule, machine(plan.build())) == (
        "the DNS of 'spoke1' leads 'vm1' to no private link scope: the rules of name resolution (AMPLS3xx) "
        "judge that"
    )


@pytest.mark.parametrize("rule", [assert_config_endpoint_in_scope, assert_destinations_in_scope])
@pytest.mark.parametrize("kind", [MEMBERS, NICS, VNETS, ZONE_LINKS])
def test_what_tells_the_scope_must_be_read(plan: MonitoredBlueprint, rule: MachineRule, kind: str) -> None:
    """Members, interfaces, VNets or links that were refused leave the rule unverified."""
    plan.gaps[kind] = denied(kind)
    with pytest.raises(EvidenceError):
        rule(machine(plan.build()))


def test_a_vm_without_interfaces_is_no_verdict(plan: MonitoredBlueprint) -> None:
    """A VM is in a VNet; a document that does not say which does not make it an Arc machine."""
    del plan[VMS, "vm1"]["properties"]["networkProfile"]
    with pytest.raises(DocumentError, match="without a network interface"):
        assert_config_endpoint_in_scope(machine(plan.build()))


def test_destinations_need_a_rule_and_a_workspace(plan: MonitoredBlueprint) -> None:
    """No rule, or one without workspace, gives nothing to judge; one that hides its workspace is an error."""
    document = plan[DCRS, "dcr-linux"]["properties"]
    document["destinations"]["logAnalytics"][0].pop("workspaceResourceId")
    with pytest.raises(DocumentError, match=r"logAnalytics\[0\]\.workspaceResourceId"):
        assert_destinations_in_scope(machine(plan.build()))
    document["destinations"] = {"azureMonitorMetrics": {"name": "metrics"}}
    reason = why_not_applicable(assert_destinations_in_scope, machine(plan.build()))
    assert reason == "no data collection rule of 'vm1' sends to a workspace ('dcr-linux')"
    without = unassociated(plan, "vm1", "dcr")
    assert why_not_applicable(assert_destinations_in_scope, without).endswith("AMPLS401 judges that")
