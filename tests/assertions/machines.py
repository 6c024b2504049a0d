"""Machines that every rule about associations, agents and identities holds on, and ways to spoil them."""

from __future__ import annotations

from typing import Any

from pytest_ampls.catalogue import Finding, NotApplicable, Rule
from pytest_ampls.model import (
    ArcMachine,
    Estate,
    Machine,
    ResourceId,
    VirtualMachine,
    VirtualMachineScaleSet,
)
from tests.builders import (
    ARC_EXTENSIONS,
    ARC_MACHINES,
    ASSOCIATIONS,
    DCES,
    DCRS,
    SCALE_SETS,
    VM_EXTENSIONS,
    VMS,
    VNETS,
    WORKSPACES,
    Document,
    resource_id,
)
from tests.private_estate import NetworkBlueprint, private_estate

RESERVED = "configurationAccessEndpoint"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
CLIENT_ID = "aaaaaaaa-0000-4000-8000-000000000001"
PRINCIPAL_ID = "bbbbbbbb-0000-4000-8000-000000000001"
UAMI = resource_id(IDENTITIES, "id-ama")
OTHER_UAMI = resource_id(IDENTITIES, "id-other")
DCR = resource_id(DCRS, "dcr-linux")
DCE = resource_id(DCES, "dce")


def named(name: object = "mi_res_id", value: object = UAMI) -> Document:
    """Return agent settings that name an identity."""
    return {"authentication": {"managedIdentity": {"identifier-name": name, "identifier-value": value}}}


def uami(*ids: str) -> Document:
    """Return the identity block of a machine with user-assigned identities, ids of theirs left out."""
    return {"type": "UserAssigned", "userAssignedIdentities": {each: {} for each in ids}}


def agent(settings: Document | None = None, **properties: Any) -> Document:
    """Return the properties of the Linux agent's extension."""
    return {
        "publisher": "Microsoft.Azure.Monitor",
        "type": "AzureMonitorLinuxAgent",
        "provisioningState": "Succeeded",
        "settings": named() if settings is None else settings,
        **properties,
    }


OMS_AGENT: Document = {
    "publisher": "Microsoft.EnterpriseCloud.Monitoring",
    "type": "OmsAgentForLinux",
    "provisioningState": "Succeeded",
}


class MonitoredBlueprint(NetworkBlueprint):
    """A blueprint that knows associations, extensions and scale sets."""

    def associate(self, machine: str, name: str, **properties: str) -> Document:
        """Associate a machine, by id, under a name; the blueprint calls it ``machine/name``."""
        document: Document = {
            "id": f"{machine}/providers/{ASSOCIATIONS}/{name}",
            "name": name,
            "type": ASSOCIATIONS,
            "properties": properties,
        }
        label = f"{ResourceId.parse(machine).name}/{name}".lower()
        self.documents.setdefault(ASSOCIATIONS, {})[label] = document
        return document

    def associate_both(self, machine: str) -> None:
        """Associate a machine with the rule and the endpoint, the ids in another case as ARM likes to."""
        self.associate(machine, "dcr", dataCollectionRuleId=DCR.replace("resourceGroups", "resourcegroups"))
        self.associate(machine, RESERVED, dataCollectionEndpointId=DCE.lower())

    def extend(self, machine: str, name: str, properties: Document) -> Document:
        """Add an extension to a VM or an Arc machine, by id."""
        kind = ARC_EXTENSIONS if ARC_MACHINES in machine else VM_EXTENSIONS
        return self.add(kind, f"{machine}/extensions/{name}", properties, location="westeurope")

    def scale_set(self, name: str, mode: str, extensions: dict[str, Document]) -> Document:
        """Add a scale set in ``spoke1`` with an extension profile."""
        place = {"id": f"{resource_id(VNETS, 'spoke1')}/subnets/vm"}
        interface = {"properties": {"ipConfigurations": [{"properties": {"subnet": place}}]}}
        profile = {
            "storageProfile": {"osDisk": {"osType": "Linux"}},
            "networkProfile": {"networkInterfaceConfigurations": [interface]},
            "extensionProfile": {
                "extensions": [{"name": part, "properties": of} for part, of in extensions.items()]
            },
        }
        return self.add(
            SCALE_SETS,
            resource_id(SCALE_SETS, name),
            {"orchestrationMode": mode, "virtualMachineProfile": profile},
            location="westeurope",
            identity=uami(UAMI),
        )


def monitored_estate() -> MonitoredBlueprint:
    """Return VMs, an Arc machine, a Uniform and a Flexible scale set, all monitored through ``ampls``."""
    plan = MonitoredBlueprint()
    plan.documents = private_estate().documents
    workspace = resource_id(WORKSPACES, "ws").lower()
    plan.add(
        DCRS,
        DCR,
        {"destinations": {"logAnalytics": [{"workspaceResourceId": workspace, "name": "ws"}]}},
        location="westeurope",
    )["kind"] = "Linux"
    ids = {"clientId": CLIENT_ID, "principalId": PRINCIPAL_ID}
    plan.add(IDENTITIES, UAMI, ids, location="westeurope")
    plan.scale_set("uniform", "Uniform", {"ama": agent(provisioningState=None)})
    plan.scale_set("flexible", "Flexible", {"ama": agent(provisioningState=None)})
    plan.vm("flexible_0", "spoke1/vm", "192.168.1.10")
    plan[VMS, "flexible_0"]["properties"]["virtualMachineScaleSet"] = {
        "id": resource_id(SCALE_SETS, "flexible").lower()
    }
    arc = resource_id(ARC_MACHINES, "arc")
    plan.add(
        ARC_MACHINES, arc, {"osType": "linux"}, location="westeurope", identity={"type": "SystemAssigned"}
    )
    plan.extend(arc, "AzureMonitorLinuxAgent", agent(settings={}))
    for name in ("vm1", "vm2", "flexible_0"):
        plan[VMS, name]["identity"] = uami(UAMI.lower())
        plan.extend(resource_id(VMS, name), "any-name", agent())
        plan.associate_both(resource_id(VMS, name))
    plan.associate_both(arc)
    plan.associate_both(resource_id(SCALE_SETS, "uniform"))
    return plan


def machine(estate: Estate, name: str = "vm1") -> Machine:
    """Return a machine by name, a scale set too."""
    classes: tuple[type[Machine], ...] = (VirtualMachine, ArcMachine, VirtualMachineScaleSet)
    return next(part for cls in classes for part in estate.known(cls) if part.label == name)


def unassociated(plan: MonitoredBlueprint, name: str, *associations: str) -> Machine:
    """Return a machine without some associations, all by default."""
    plan.remove(
        ASSOCIATIONS,
        lambda label: (
            label.startswith(f"{name}/")
            and (not associations or label.partition("/")[2] in {part.lower() for part in associations})
        ),
    )
    return machine(plan.build(), name)


def scale_set(estate: Estate, name: str = "flexible") -> VirtualMachineScaleSet:
    """Return a scale set by name."""
    return next(part for part in estate.known(VirtualMachineScaleSet) if part.label == name)


def findings(rule: Rule[Any], *subject: object, **expectations: object) -> tuple[Finding, ...]:
    """Return what a rule finds."""
    return tuple(rule.check(*subject, **expectations))


def observed(rule: Rule[Any], *subject: object, **expectations: object) -> str:
    """Return what the one finding of a rule says was observed."""
    (finding,) = findings(rule, *subject, **expectations)
    return finding.observed


def why_not_applicable(rule: Rule[Any], *subject: object) -> str:
    """Return the reason why a rule does not apply; one that applies is an error of the test."""
    try:
        found = findings(rule, *subject)
    except NotApplicable as reason:
        return str(reason)
    raise AssertionError(f"{rule.id} applies, and found {found}")


__all__ = [
    "CLIENT_ID",
    "DCE",
    "DCR",
    "IDENTITIES",
    "OMS_AGENT",
    "OTHER_UAMI",
    "PRINCIPAL_ID",
    "RESERVED",
    "UAMI",
    "MonitoredBlueprint",
    "agent",
    "findings",
    "machine",
    "monitored_estate",
    "named",
    "observed",
    "scale_set",
    "uami",
    "unassociated",
    "why_not_applicable",
]
