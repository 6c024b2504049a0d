"""415: the whole way of a machine's data, judged by the rules of its stages."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_ampls.assertions.machine import flexible_instances_apart
from pytest_ampls.assertions.tracing import stages_of
from pytest_ampls.catalogue import CATALOGUE, Evidence, Finding, Fix, NotApplicable, Severity, rule
from pytest_ampls.effective.data_path import Check, Stage, StageVerdict
from pytest_ampls.errors import NotReadError
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.text import filled

__all__ = ["assert_data_path"]


@rule(
    "AMPLS415",
    "The data of a machine gets from its agent to its workspaces",
    severity=Severity.HIGH,
    why="""Ten stages follow one another between an agent and its workspace, and a break in one of them shows in the
    later ones. Where to begin is the first that is broken.""",
    fix=Fix(
        az="az resource show --ids <id>  # <rule> is broken: --ampls-diagnose=<name> prints the command that mends it",
        terraform="<terraform>  # as <rule> has it",
        bicep="<bicep>  # as <rule> has it",
    ),
    learn="https://learn.microsoft.com/azure/azure-monitor/agents/azure-monitor-agent-troubleshoot-linux-vm",
    permissions=(
        "Microsoft.Compute/virtualMachines/read",
        "Microsoft.Compute/virtualMachines/extensions/read",
        "Microsoft.Compute/virtualMachines/instanceView/read",
        "Microsoft.Compute/virtualMachineScaleSets/read",
        "Microsoft.HybridCompute/machines/read",
        "Microsoft.HybridCompute/machines/extensions/read",
        "Microsoft.Insights/dataCollectionEndpoints/read",
        "Microsoft.Insights/dataCollectionRuleAssociations/read",
        "Microsoft.Insights/dataCollectionRules/read",
        "Microsoft.Insights/privateLinkScopes/read",
        "Microsoft.Insights/privateLinkScopes/privateEndpointConnections/read",
        "Microsoft.Insights/privateLinkScopes/privateLinkResources/read",
        "Microsoft.Insights/privateLinkScopes/scopedResources/read",
        "Microsoft.ManagedIdentity/userAssignedIdentities/read",
        "Microsoft.Network/networkInterfaces/read",
        "Microsoft.Network/networkSecurityGroups/read",
        "Microsoft.Network/privateDnsZones/ALL/read",
        "Microsoft.Network/privateDnsZones/read",
        "Microsoft.Network/privateDnsZones/virtualNetworkLinks/read",
        "Microsoft.Network/privateEndpoints/privateDnsZoneGroups/read",
        "Microsoft.Network/privateEndpoints/read",
        "Microsoft.Network/virtualNetworks/read",
        "Microsoft.OperationalInsights/workspaces/query/Heartbeat/read",
        "Microsoft.OperationalInsights/workspaces/query/read",
        "Microsoft.OperationalInsights/workspaces/read",
    ),
    controls=("LT-3",),
    evidence=(Evidence.CONFIGURATION, Evidence.DNS, Evidence.GUEST, Evidence.LOGS),
    derived=True,
)
def assert_data_path(machine: Machine, *, unseen: tuple[int, ...] = ()) -> Iterator[Finding]:
    """Assert that every stage of the machine's data path holds; the finding names the first that is broken.

    Breaks that only follow from the first are not reported again. A stage that nobody looked at is unverified, unless
    ``unseen`` names it: ``(10,)`` judges without log rows, and ``(2, 5, 6, 7, 8, 9, 10)`` by configuration and DNS
    answers alone. Of a virtual machine that was seen switched off, the stages that only a running one can prove do
    not apply.

    Args:
        machine: a virtual machine, an Arc machine, or a Uniform scale set.
        unseen: numbers of the stages that need not have been looked at.
    """
    flexible_instances_apart(machine)
    stages = stages_of(machine)
    which = "the first broken link"
    for stage in stages:
        if stage.cause is not None and stage.follows_from is None:
            yield _finding(machine, stage, stage.cause, which)
            which = "broken as well"
    for stage in stages:
        if stage.verdict is StageVerdict.UNVERIFIED:
            raise NotReadError(f"stage {stage.number} of {machine.label!r} ({stage.title}): {stage.problem}")
        if stage.verdict is StageVerdict.NOT_LOOKED_AT and stage.number not in unseen:
            raise NotReadError(
                f"stage {stage.number} of {machine.label!r} ({stage.title}) was not looked at: {stage.missing}"
            )
    for stage in stages:
        if stage.verdict is StageVerdict.NOT_APPLICABLE and stage.number not in unseen:
            raise NotApplicable(f"stage {stage.number} of {machine.label!r} ({stage.title}): {stage.missing}")


def _finding(machine: Machine, stage: Stage, cause: Check, which: str) -> Finding:
    finding = cause.findings[0]
    fix = CATALOGUE[cause.rule].fix_of(finding)
    return Finding.on(
        machine,
        f"stage {stage.number}, {which}: {finding.resource}, {finding.property}",
        expected=f"{stage.title}: {finding.expected}",
        observed=f"{finding.observed} ({cause.rule})",
        evidence=finding.evidence,
        tokens={
            "rule": cause.rule,
            "terraform": filled(fix.terraform.strip(), finding.tokens, shell=False),
            "bicep": filled(fix.bicep.strip(), finding.tokens, shell=False),
        },
    )
