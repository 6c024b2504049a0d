"""The types that are listed for every subscription, and how each is found where the index may be used."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ARC",
    "ASSOCIATIONS",
    "BELOW",
    "CONTAINERS",
    "INDEXED",
    "INSTANCES",
    "INTERFACES",
    "LISTED",
    "PRIVATE_ENDPOINTS",
    "SCALE_SETS",
    "VMS",
    "WIDE",
]

VMS: Final = "Microsoft.Compute/virtualMachines"
ARC: Final = "Microsoft.HybridCompute/machines"
SCALE_SETS: Final = "Microsoft.Compute/virtualMachineScaleSets"
INSTANCES: Final = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"
INTERFACES: Final = "Microsoft.Network/networkInterfaces"
ASSOCIATIONS: Final = "Microsoft.Insights/dataCollectionRuleAssociations"
PRIVATE_ENDPOINTS: Final = "Microsoft.Network/privateEndpoints"

BELOW: Final = {VMS: f"{VMS}/extensions", ARC: f"{ARC}/extensions"}
"""Machines to the type of their extensions."""

LISTED: Final = (
    "Microsoft.Insights/privateLinkScopes",
    "Microsoft.OperationalInsights/workspaces",
    "Microsoft.Insights/components",
    "Microsoft.Insights/dataCollectionEndpoints",
    "Microsoft.Insights/dataCollectionRules",
    VMS,
    SCALE_SETS,
    ARC,
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.Network/virtualNetworks",
    PRIVATE_ENDPOINTS,
    INTERFACES,
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/privateDnsZones",
    "Microsoft.Network/dnsResolvers",
    "Microsoft.Network/dnsForwardingRulesets",
)
"""What is listed for every subscription."""

WIDE: Final = (VMS, ARC, INTERFACES)
"""Types of a subscription that are as many as its machines."""

CONTAINERS: Final = tuple(kind for kind in LISTED if kind not in WIDE)
"""The others: few in a subscription, and none at all in most."""

INDEXED: Final = (
    "Microsoft.Network/virtualNetworks",
    PRIVATE_ENDPOINTS,
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/privateDnsZones",
)
"""Containers that every spoke of a large estate has, and whose rows hold all that the model decodes.

Private link scopes are not among them: the index answers with the newest stable api-version, which has no
access modes. Resolvers and forwarding rulesets are few, and DNS rests on them.
Source: https://learn.microsoft.com/azure/governance/resource-graph/reference/supported-tables-resources
"""
