"""The resource types the lab serves: spelling, api-versions, how their listings page.

Sources: the Azure REST API specifications, and the versions that services advertise in the
``api-supported-versions`` header. A version that is not here is refused as Azure refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["RESOURCE_TYPES", "ResourceType", "find_type", "versions"]


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One ARM resource type.

    ``null_next_link`` says whether the last page carries ``"nextLink": null`` (else the key is
    absent); ``page_size`` is a page size of the type's own; ``announces`` whether answers carry
    ``api-supported-versions``; ``extension`` whether resources of other types have it as a child.
    """

    name: str
    versions: tuple[str, ...]
    null_next_link: bool = False
    page_size: int | None = None
    announces: bool = False
    extension: bool = False


_COMPUTE = (
    "2016-04-30-preview 2017-03-30 2017-12-01 2018-04-01 2018-06-01 2018-10-01 2019-03-01 2019-07-01"
    " 2019-12-01 2020-06-01 2020-12-01 2021-03-01 2021-04-01 2021-07-01 2021-11-01 2022-03-01 2022-08-01"
    " 2022-11-01 2023-03-01 2023-07-01 2023-09-01 2024-03-01 2024-07-01 2024-11-01 2025-04-01 2025-11-01"
    " 2026-03-01 2026-04-01"
)
_NETWORK = (
    "2018-10-01 2018-11-01 2018-12-01 2019-02-01 2019-04-01 2019-06-01 2019-07-01 2019-08-01 2019-09-01"
    " 2019-11-01 2019-12-01 2020-01-01 2020-03-01 2020-04-01 2020-05-01 2020-06-01 2020-07-01 2020-08-01"
    " 2020-11-01 2021-02-01 2021-03-01 2021-05-01 2021-08-01 2022-01-01 2022-05-01 2022-07-01 2022-09-01"
    " 2022-11-01 2023-02-01 2023-04-01 2023-05-01 2023-06-01 2023-09-01 2023-11-01 2024-01-01 2024-03-01"
    " 2024-05-01 2024-07-01 2024-10-01 2025-01-01 2025-03-01 2025-05-01 2025-07-01 2025-09-01 2026-01-01"
)
_HYBRID = (
    "2020-08-02 2021-05-20 2022-03-10 2022-11-10 2022-12-27 2024-07-10 2025-01-13 2025-06-01 2026-07-15"
    " 2026-02-12-preview 2026-06-04-preview 2026-06-16-preview"
)
_PRIVATE_DNS = "2018-09-01 2020-01-01 2020-06-01 2024-06-01"
_RESOLVERS = "2020-04-01-preview 2022-07-01 2023-07-01-preview 2025-05-01 2025-10-01-preview"
_SCOPES = "2019-10-17-preview 2021-07-01-preview 2021-09-01 2023-06-01-preview"
_ENDPOINTS = "2021-04-01 2021-09-01-preview 2022-06-01 2023-03-11 2024-03-11 2025-05-11"
_RULES = "2019-11-01-preview " + _ENDPOINTS
_WORKSPACES = (
    "2015-11-01-preview 2020-03-01-preview 2020-08-01 2020-10-01 2021-06-01 2021-12-01-preview 2022-10-01"
    " 2023-09-01 2025-02-01 2025-07-01 2026-03-01"
)


def versions(dates: str) -> tuple[str, ...]:
    """Return api-versions written with blanks in between, in order."""
    return tuple(sorted(dates.split()))


def _type(
    name: str,
    dates: str,
    *,
    null_next_link: bool = False,
    page_size: int | None = None,
    announces: bool = False,
    extension: bool = False,
) -> ResourceType:
    return ResourceType(
        name=name,
        versions=versions(dates),
        null_next_link=null_next_link,
        page_size=page_size,
        announces=announces,
        extension=extension,
    )


_RECORD_TYPES = ("A", "AAAA", "CNAME", "MX", "PTR", "SOA", "SRV", "TXT")

_TYPES = (
    _type("Microsoft.Compute/virtualMachines", _COMPUTE),
    _type("Microsoft.Compute/virtualMachines/extensions", _COMPUTE),
    _type("Microsoft.Compute/virtualMachines/instanceView", _COMPUTE),
    _type("Microsoft.Compute/virtualMachineScaleSets", _COMPUTE),
    _type("Microsoft.Compute/virtualMachineScaleSets/virtualMachines", _COMPUTE),
    _type("Microsoft.Compute/virtualMachineScaleSets/extensions", _COMPUTE),
    _type("Microsoft.HybridCompute/machines", _HYBRID),
    _type("Microsoft.HybridCompute/machines/extensions", _HYBRID),
    _type("Microsoft.Insights/components", "2015-05-01 2018-05-01-preview 2020-02-02 2020-02-02-preview"),
    _type("Microsoft.Insights/dataCollectionEndpoints", _ENDPOINTS, null_next_link=True, announces=True),
    _type("Microsoft.Insights/dataCollectionRules", _RULES, announces=True),
    _type(
        "Microsoft.Insights/dataCollectionRuleAssociations",
        _RULES,
        null_next_link=True,
        announces=True,
        extension=True,
    ),
    _type("Microsoft.Insights/privateLinkScopes", _SCOPES, null_next_link=True),
    _type("Microsoft.Insights/privateLinkScopes/scopedResources", _SCOPES, null_next_link=True),
    _type(
        "Microsoft.Insights/privateLinkScopes/privateEndpointConnections",
        _SCOPES,
        null_next_link=True,
    ),
    _type(
        "Microsoft.Insights/privateLinkScopes/privateLinkResources",
        _SCOPES,
        null_next_link=True,
    ),
    _type(
        "Microsoft.ManagedIdentity/userAssignedIdentities",
        "2018-11-30 2023-01-31 2024-11-30 2023-07-31-preview 2025-01-31-preview 2025-05-31-preview",
    ),
    _type("Microsoft.Network/networkInterfaces", "2015-05-01-preview " + _NETWORK),
    _type("Microsoft.Network/networkSecurityGroups", _NETWORK),
    _type("Microsoft.Network/routeTables", _NETWORK),
    _type("Microsoft.Network/virtualNetworks", _NETWORK),
    _type("Microsoft.Network/virtualNetworks/subnets", _NETWORK),
    _type("Microsoft.Network/virtualNetworks/virtualNetworkPeerings", _NETWORK),
    _type("Microsoft.Network/privateEndpoints", _NETWORK),
    _type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups", _NETWORK),
    _type("Microsoft.Network/privateDnsZones", _PRIVATE_DNS),
    _type("Microsoft.Network/privateDnsZones/virtualNetworkLinks", _PRIVATE_DNS),
    _type("Microsoft.Network/privateDnsZones/ALL", _PRIVATE_DNS, page_size=100),
    *(
        _type(f"Microsoft.Network/privateDnsZones/{kind}", _PRIVATE_DNS, page_size=100)
        for kind in _RECORD_TYPES
    ),
    *(
        _type(f"Microsoft.Network/{name}", _RESOLVERS)
        for name in (
            "dnsResolvers",
            "dnsResolvers/inboundEndpoints",
            "dnsForwardingRulesets",
            "dnsForwardingRulesets/forwardingRules",
            "dnsForwardingRulesets/virtualNetworkLinks",
        )
    ),
    _type("Microsoft.OperationalInsights/workspaces", _WORKSPACES),
)

RESOURCE_TYPES: Final = MappingProxyType({entry.name.lower(): entry for entry in _TYPES})
"""Lower-cased type name to what the lab knows of it."""


def find_type(name: str) -> ResourceType | None:
    """Return the type of a name in any case, or None when the lab has no such type."""
    return RESOURCE_TYPES.get(name.lower())
