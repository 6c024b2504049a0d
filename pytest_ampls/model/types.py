"""The ARM resource types that the product reads, and the api-version each is read with.

Versions are pinned: a property that a newer version renames must not change a verdict.
Sources: Azure REST API specifications; the versions that services advertise in
``api-supported-versions``. Private link scopes are read with 2021-09-01, the only stable
version that has access modes.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

__all__ = ["API_VERSIONS", "SUBSCRIPTIONS_API_VERSION", "api_version"]

SUBSCRIPTIONS_API_VERSION: Final = "2022-12-01"

_VERSIONS = {
    "Microsoft.Compute/virtualMachineScaleSets": "2024-11-01",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines": "2024-11-01",
    "Microsoft.Compute/virtualMachines": "2024-11-01",
    "Microsoft.Compute/virtualMachines/extensions": "2024-11-01",
    "Microsoft.Compute/virtualMachines/instanceView": "2024-11-01",
    "Microsoft.HybridCompute/machines": "2025-01-13",
    "Microsoft.HybridCompute/machines/extensions": "2025-01-13",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/dataCollectionEndpoints": "2023-03-11",
    "Microsoft.Insights/dataCollectionRuleAssociations": "2023-03-11",
    "Microsoft.Insights/dataCollectionRules": "2023-03-11",
    "Microsoft.Insights/privateLinkScopes": "2021-09-01",
    "Microsoft.Insights/privateLinkScopes/privateEndpointConnections": "2021-09-01",
    "Microsoft.Insights/privateLinkScopes/privateLinkResources": "2021-09-01",
    "Microsoft.Insights/privateLinkScopes/scopedResources": "2021-09-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2023-01-31",
    "Microsoft.Network/dnsForwardingRulesets": "2022-07-01",
    "Microsoft.Network/dnsForwardingRulesets/forwardingRules": "2022-07-01",
    "Microsoft.Network/dnsForwardingRulesets/virtualNetworkLinks": "2022-07-01",
    "Microsoft.Network/dnsResolvers": "2022-07-01",
    "Microsoft.Network/dnsResolvers/inboundEndpoints": "2022-07-01",
    "Microsoft.Network/networkInterfaces": "2024-05-01",
    "Microsoft.Network/networkSecurityGroups": "2024-05-01",
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/privateDnsZones/recordSets": "2024-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2024-06-01",
    "Microsoft.Network/privateEndpoints": "2024-05-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2024-05-01",
    "Microsoft.Network/virtualNetworks": "2024-05-01",
    "Microsoft.OperationalInsights/workspaces": "2023-09-01",
}

API_VERSIONS: Final = MappingProxyType(_VERSIONS)
"""Resource type, in ARM's own spelling, to the api-version it is read with."""

_FOLDED = {name.lower(): version for name, version in _VERSIONS.items()}


def api_version(resource_type: str) -> str:
    """Return the api-version a resource type is read with; the type's case does not matter.

    Raises:
        KeyError: the product does not read this type.
    """
    return _FOLDED[resource_type.lower()]
