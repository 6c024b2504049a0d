"""The rules about the agent's extension and identity, each on a good and on bad estates."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions.agent import (
    assert_agent_extension,
    assert_agent_identity,
    assert_agent_identity_explicit,
    assert_flexible_instances_use_uami,
    assert_no_legacy_agent,
)
from pytest_ampls.catalogue import Rule, Verdict, judgements
from pytest_ampls.errors import AccessDeniedError, DocumentError
from pytest_ampls.model import Machine
from tests.assertions.machines import (
    OMS_AGENT,
    OTHER_UAMI,
    MonitoredBlueprint,
    agent,
    findings,
    machine,
    monitored_estate,
    named,
    observed,
    scale_set,
    why_not_applicable,
)
from tests.builders import (
    ARC_MACHINES,
    SCALE_SETS,
    VM_EXTENSIONS,
    VMS,
    Document,
    denied,
    resource_id,
)

MachineRule = Rule[[Machine]]
ON_MACHINES: list[MachineRule] = [
    assert_agent_extension,
    assert_agent_identity,
    assert_agent_identity_explicit,
    assert_no_legacy_agent,
]
VM1 = resource_id(VMS, "vm1")
SYSTEM: Document = {"type": "SystemAssigned", "principalId": "cccccccc-0000-4000-8000-000000000001"}


@pytest.fixture
def plan() -> MonitoredBlueprint:
    """Documents of an estate that every rule holds on."""
    return monitored_estate()


@pytest.mark.parametrize("name", ["vm1", "flexible_0", "arc", "uniform"])
@pytest.mark.parametrize("rule", ON_MACHINES, ids=[rule.id for rule in ON_MACHINES])
def test_rules_hold_on_monitored_machines(plan: MonitoredBlueprint, rule: MachineRule, name: str) -> None:
    """VM, Flexible instance, Arc machine and Uniform set pass, and the judgement says that they were judged."""
    with judgements() as kept:
        rule(machine(plan.build(), name))
    assert [entry.verdict for entry in kept] == [Verdict.HELD]


@pytest.mark.parametrize("rule", ON_MACHINES, ids=[rule.id for rule in ON_MACHINES])
def test_flexible_sets_are_judged_through_their_instances(
    plan: MonitoredBlueprint, rule: MachineRule
) -> None:
    """A Flexible set runs no agent itself."""
    assert "its instances are virtual machines" in why_not_applicable(rule, scale_set(plan.build()))


@pytest.mark.parametrize("rule", ON_MACHINES, ids=[rule.id for rule in ON_MACHINES])
def test_denied_extensions_are_no_verdict(plan: MonitoredBlueprint, rule: MachineRule) -> None:
    """A machine whose extensions were refused neither passes nor fails, nor is it left out."""
    plan.gaps[VM_EXTENSIONS, VM1] = denied("the extensions of vm1")
    with pytest.raises(AccessDeniedError, match="the extensions of vm1"):
        rule(machine(plan.build()))


@pytest.mark.parametrize("rule", ON_MACHINES, ids=[rule.id for rule in ON_MACHINES])
@pytest.mark.parametrize("part", ["publisher", "type"])
def test_an_extension_that_cannot_be_told_is_an_error(
    plan: MonitoredBlueprint, rule: MachineRule, part: str
) -> None:
    """An extension without publisher or type may be the one that was looked for."""
    plan.extend(VM1, "odd", agent(**{part: None}))
    with pytest.raises(DocumentError, match=f"properties.{part} of its extension 'odd'"):
        rule(machine(plan.build()))


@pytest.mark.parametrize(
    "rule", [assert_agent_identity, assert_agent_identity_explicit, assert_no_legacy_agent]
)
def test_without_agent_its_own_rule_reports(plan: MonitoredBlueprint, rule: MachineRule) -> None:
    """A machine without agent breaks one rule, and the others point to it."""
    del plan[VM_EXTENSIONS, "vm1/any-name"]
    assert why_not_applicable(rule, machine(plan.build())).endswith("AMPLS501 judges that")


# ------------------------------------------------------------------- AMPLS501


def test_a_machine_without_agent_fails(plan: MonitoredBlueprint) -> None:
    """No extension at all, only others, or the agent of the other operating system."""
    del plan[VM_EXTENSIONS, "vm1/any-name"]
    (finding,) = findings(assert_agent_extension, machine(plan.build()))
    assert finding.observed == "no extension at all"
    assert finding.expected.endswith("type AzureMonitorLinuxAgent")
    assert "/virtualMachines/vm1/extensions?api-version=" in finding.evidence
    plan.extend(VM1, "AzureMonitorLinuxAgent", {"publisher": "Contoso", "type": "Other"})
    assert observed(assert_agent_extension, machine(plan.build())) == "only Other"
    plan.extend(VM1, "ama", agent(type="AzureMonitorWindowsAgent"))
    assert observed(assert_agent_extension, machine(plan.build())) == "only AzureMonitorWindowsAgent"
    plan[VMS, "vm1"]["properties"]["storageProfile"]["osDisk"]["osType"] = "Windows"
    assert findings(assert_agent_extension, machine(plan.build())) == ()


def test_publisher_and_type_compare_without_case(plan: MonitoredBlueprint) -> None:
    """ARM keeps the case in which an extension was created."""
    properties = plan[VM_EXTENSIONS, "vm1/any-name"]["properties"]
    properties.update(publisher="microsoft.azure.monitor", type="azuremonitorlinuxagent")
    assert findings(assert_agent_extension, machine(plan.build())) == ()


@pytest.mark.parametrize("state", ["Failed", "Updating", 3])
def test_an_agent_that_is_not_provisioned_fails(plan: MonitoredBlueprint, state: object) -> None:
    """Anything but Succeeded fails, numbers too; a state that is missing is an error."""
    properties = plan[VM_EXTENSIONS, "vm1/any-name"]["properties"]
    properties["provisioningState"] = state
    (finding,) = findings(assert_agent_extension, machine(plan.build()))
    assert (finding.property, finding.observed) == (
        "extensions[any-name].properties.provisioningState",
        str(state),
    )
    del properties["provisioningState"]
    with pytest.raises(DocumentError, match="provisioningState"):
        assert_agent_extension(machine(plan.build()))


def test_a_profile_has_its_own_path(plan: MonitoredBlueprint) -> None:
    """A Uniform set's agent is in its profile; the evidence is the set itself."""
    profile = plan[SCALE_SETS, "uniform"]["properties"]["virtualMachineProfile"]
    profile["extensionProfile"]["extensions"][0]["properties"]["provisioningState"] = "Failed"
    (finding,) = findings(assert_agent_extension, machine(plan.build(), "uniform"))
    where = "properties.virtualMachineProfile.extensionProfile.extensions[ama].properties"
    assert finding.property == f"{where}.provisioningState"
    assert "/virtualMachineScaleSets/uniform?api-version=" in finding.evidence
    del profile["extensionProfile"]
    assert observed(assert_agent_extension, machine(plan.build(), "uniform")) == "no extension at all"


@pytest.mark.parametrize(
    ("properties", "message"),
    [({}, "its operating system"), ({"osName": "Plan 9"}, "neither Linux nor Windows")],
)
def test_an_unknown_operating_system_is_an_error(
    plan: MonitoredBlueprint, properties: Document, message: str
) -> None:
    """Which agent is the right one must be known."""
    plan[ARC_MACHINES, "arc"]["properties"] = properties
    with pytest.raises(DocumentError, match=message):
        assert_agent_extension(machine(plan.build(), "arc"))


def test_an_operating_system_may_have_a_long_name(plan: MonitoredBlueprint) -> None:
    """Some Arc machines tell their operating system by product name only."""
    plan[ARC_MACHINES, "arc"]["properties"] = {"osName": "Windows Server 2022 Datacenter"}
    assert observed(assert_agent_extension, machine(plan.build(), "arc")) == "only AzureMonitorLinuxAgent"


# ------------------------------------------------------------------- AMPLS504


OTHER_EXTENSION: Document = {"publisher": "Contoso", "type": "Other", "provisioningState": "Succeeded"}


@pytest.mark.parametrize("rule", ON_MACHINES, ids=[rule.id for rule in ON_MACHINES])
def test_other_extensions_do_not_matter(plan: MonitoredBlueprint, rule: MachineRule) -> None:
    """An extension of somebody else has no identity to name, and is no agent."""
    plan.extend(VM1, "other", {**OTHER_EXTENSION, "provisioningState": "Failed"})
    assert findings(rule, machine(plan.build())) == ()


def flexible_profile(plan: MonitoredBlueprint) -> Document:
    """Return the extension profile of the Flexible set."""
    profile: Document = plan[SCALE_SETS, "flexible"]["properties"]["virtualMachineProfile"][
        "extensionProfile"
    ]
    return profile


def test_a_flexible_set_with_a_named_identity_passes(plan: MonitoredBlueprint) -> None:
    """Identity on the set, named by the agent of its profile or, without one there, by those of the instances."""
    flexible_profile(plan)["extensions"].append({"name": "other", "properties": OTHER_EXTENSION})
    assert findings(assert_flexible_instances_use_uami, scale_set(plan.build())) == ()
    flexible_profile(plan)["extensions"] = None
    assert findings(assert_flexible_instances_use_uami, scale_set(plan.build())) == ()


@pytest.mark.parametrize(
    ("identity", "said"),
    [(None, "no identity at all"), (SYSTEM, "none (identity.type is SystemAssigned)")],
)
def test_a_flexible_set_without_identity_fails(
    plan: MonitoredBlueprint, identity: Document | None, said: str
) -> None:
    """Flexible instances can have no other identity than the set's user-assigned ones."""
    plan[SCALE_SETS, "flexible"]["identity"] = identity
    assert observed(assert_flexible_instances_use_uami, scale_set(plan.build())) == said


def test_a_flexible_set_must_name_its_identity(plan: MonitoredBlueprint) -> None:
    """In the profile, and where the profile has no agent in each instance's extension."""
    flexible_profile(plan)["extensions"][0]["properties"]["settings"] = {}
    (finding,) = findings(assert_flexible_instances_use_uami, scale_set(plan.build()))
    assert finding.resource == "virtual machine scale set rg/flexible"
    assert "'id-ama' answers only while" in finding.observed
    flexible_profile(plan)["extensions"] = []
    plan.extend(resource_id(VMS, "flexible_0"), "any-name", agent(named(value=OTHER_UAMI)))
    (finding,) = findings(assert_flexible_instances_use_uami, scale_set(plan.build()))
    assert finding.resource == "virtual machine rg/flexible_0"
    assert finding.expected == "one of the set's user-assigned identities by name: 'id-ama'"


def test_the_rule_on_flexible_sets_has_its_limits(plan: MonitoredBlueprint) -> None:
    """Uniform sets and sets without any agent are other rules' business; unread extensions are no verdict."""
    flexible_profile(plan)["extensions"] = []
    estate = plan.build()
    assert "is Uniform" in why_not_applicable(
        assert_flexible_instances_use_uami, scale_set(estate, "uniform")
    )
    plan.gaps[VM_EXTENSIONS, resource_id(VMS, "flexible_0")] = denied("extensions")
    with pytest.raises(AccessDeniedError):
        assert_flexible_instances_use_uami(scale_set(plan.build()))
    plan.gaps.clear()
    del plan[VM_EXTENSIONS, "flexible_0/any-name"]
    reason = why_not_applicable(assert_flexible_instances_use_uami, scale_set(plan.build()))
    assert "AMPLS501 judges the instances" in reason


# ------------------------------------------------------------------- AMPLS507


@pytest.mark.parametrize("kind", ["OmsAgentForLinux", "MicrosoftMonitoringAgent", "omsagentforlinux"])
def test_a_legacy_agent_fails(plan: MonitoredBlueprint, kind: str) -> None:
    """Beside the new agent or in its place; the extension's name does not matter."""
    plan.extend(VM1, "legacy", {**OMS_AGENT, "type": kind})
    (finding,) = findings(assert_no_legacy_agent, machine(plan.build()))
    assert finding.property == "extensions[legacy].properties.type"
    assert finding.observed == f"{kind}, beside the Azure Monitor Agent"
    del plan[VM_EXTENSIONS, "vm1/any-name"]
    said = observed(assert_no_legacy_agent, machine(plan.build()))
    assert said == f"{kind}, without the Azure Monitor Agent"


def test_other_extensions_are_no_legacy_agent(plan: MonitoredBlueprint) -> None:
    """Publisher and type together tell."""
    plan.extend(VM1, "OmsAgentForLinux", {"publisher": "Contoso", "type": "OmsAgentForLinux"})
    assert findings(assert_no_legacy_agent, machine(plan.build())) == ()
