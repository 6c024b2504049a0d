"""Faults of the agent: extension and identity (rules 501 to 507)."""

from __future__ import annotations

from pytest_ampls.lab.estate import compute
from pytest_ampls.lab.fault.pick import client, extension, first, site_of, zone
from pytest_ampls.lab.fault.registry import estate_fault
from pytest_ampls.lab.store import Document, Estate

__all__: list[str] = []

_EVERYWHERE = "hub-and-spoke two-scopes fleet"
_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"


@estate_fault("agent-missing", "a machine has no agent", breaks="501", estates=_EVERYWHERE)
def agent_missing(estate: Estate) -> None:
    """Delete the agent's extension of a machine."""
    estate.remove(extension(estate, client(estate))["id"])


@estate_fault("agent-failed", "a machine's agent could not be installed", breaks="501", estates=_EVERYWHERE)
def agent_failed(estate: Estate) -> None:
    """Let the provisioning of a machine's agent fail."""
    extension(estate, client(estate))["properties"]["provisioningState"] = "Failed"


@estate_fault(
    "identity-detached",
    "the identity that a machine's agent asks for is not attached",
    breaks="502",
    estates=_EVERYWHERE,
)
def identity_detached(estate: Estate) -> None:
    """Detach the identity from a machine; the agent's settings go on naming it."""
    del client(estate)["identity"]


@estate_fault(
    "identity-ambiguous",
    "a machine has two user-assigned identities, and its agent names none",
    breaks="503",
    estates=_EVERYWHERE,
)
def identity_ambiguous(estate: Estate) -> None:
    """Attach a second identity, as a policy does, and take the name out of the agent's settings."""
    site, machine = site_of(estate), client(estate)
    other = compute.user_assigned_identity(site, "id-policy")
    site.add(other)
    machine["identity"] = compute.user_assigned(estate.of_type(_IDENTITY)[0], other)
    extension(estate, machine)["properties"]["settings"] = {}


@estate_fault(
    "identity-implicit",
    "a machine's agent relies on the machine having only one identity",
    breaks="503",
    estates=_EVERYWHERE,
)
def identity_implicit(estate: Estate) -> None:
    """Take the identity's name out of the agent's settings; it works until there is a second one."""
    extension(estate, client(estate))["properties"]["settings"] = {}


def _flexible_set(estate: Estate) -> Document:
    sets = estate.of_type("Microsoft.Compute/virtualMachineScaleSets")
    return next(found for found in sets if found["properties"]["orchestrationMode"] == "Flexible")


@estate_fault(
    "flexible-set-without-identity", "the Flexible scale set has no user-assigned identity", breaks="504"
)
def flexible_set_without_identity(estate: Estate) -> None:
    """Take the identity off the Flexible scale set."""
    del _flexible_set(estate)["identity"]


def _legacy_agent(estate: Estate, workspace_id: str, state: str) -> None:
    """Put the Log Analytics agent's extension on a machine."""
    machine = client(estate)
    estate.add(
        {
            "name": "OmsAgentForLinux",
            "id": f"{machine['id']}/extensions/OmsAgentForLinux",
            "type": "Microsoft.Compute/virtualMachines/extensions",
            "location": machine["location"],
            "properties": {
                "autoUpgradeMinorVersion": True,
                "provisioningState": state,
                "publisher": "Microsoft.EnterpriseCloud.Monitoring",
                "type": "OmsAgentForLinux",
                "typeHandlerVersion": "1.13",
                "settings": {"workspaceId": workspace_id},
            },
        }
    )


@estate_fault("legacy-agent", "a machine still has the retired agent", breaks="507", estates=_EVERYWHERE)
def legacy_agent(estate: Estate) -> None:
    """Leave the Log Analytics agent's extension on a machine."""
    _legacy_agent(estate, "00000000-0000-0000-0000-000000000000", "Succeeded")


@estate_fault(
    "legacy-agent-refused",
    "the retired agent could not be onboarded: the oms zone is not linked, the workspace takes nothing publicly",
    breaks="301 309 310 311 507",
)
def legacy_agent_refused(estate: Estate) -> None:
    """Leave the retired agent only the public way to the workspace, which refuses it (exit code 5)."""
    oms = zone(estate, "oms.opinsights.azure.com")
    for link in estate.children(oms["id"], "Microsoft.Network/privateDnsZones/virtualNetworkLinks"):
        estate.remove(link["id"])
    workspace = first(estate, "Microsoft.OperationalInsights/workspaces")
    _legacy_agent(estate, workspace["properties"]["customerId"], "Failed")
