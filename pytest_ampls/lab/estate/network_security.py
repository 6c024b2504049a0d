"""Documents of network security groups as their provider sends them.

Source: the example ``NetworkSecurityGroupGet`` of the REST API specification, version 2024-05-01.
"""

from __future__ import annotations

from typing import Any, Final

from pytest_ampls.lab.estate.site import Site, weak_entity_tag
from pytest_ampls.lab.store import Document, guid

__all__ = ["attach_group", "network_security_group", "security_rule"]

_TYPE: Final = "Microsoft.Network/networkSecurityGroups"
_DEFAULTS: Final = (
    # name, description, direction, priority, access, source, destination
    (
        "AllowVnetInBound",
        "Allow inbound traffic from all VMs in VNET",
        "Inbound",
        65000,
        "Allow",
        *("VirtualNetwork",) * 2,
    ),
    (
        "AllowAzureLoadBalancerInBound",
        "Allow inbound traffic from azure load balancer",
        "Inbound",
        65001,
        "Allow",
        "AzureLoadBalancer",
        "*",
    ),
    ("DenyAllInBound", "Deny all inbound traffic", "Inbound", 65500, "Deny", "*", "*"),
    (
        "AllowVnetOutBound",
        "Allow outbound traffic from all VMs to all VMs in VNET",
        "Outbound",
        65000,
        "Allow",
        *("VirtualNetwork",) * 2,
    ),
    (
        "AllowInternetOutBound",
        "Allow outbound traffic from all VMs to Internet",
        "Outbound",
        65001,
        "Allow",
        "*",
        "Internet",
    ),
    ("DenyAllOutBound", "Deny all outbound traffic", "Outbound", 65500, "Deny", "*", "*"),
)


def _rule(group_id: str, kind: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "id": f"{group_id}/{kind}/{name}",
        "etag": weak_entity_tag(group_id),
        "type": f"{_TYPE}/{kind}",
        "properties": {"provisioningState": "Succeeded", **properties},
    }


def security_rule(
    group_id: str,
    name: str,
    *,
    priority: int,
    access: str,
    direction: str = "Outbound",
    source: str = "*",
    destination: str = "*",
    port: str = "*",
    protocol: str = "*",
) -> dict[str, Any]:
    """Return a rule; the plural keys are there and empty, as the provider sends them."""
    properties = {
        "protocol": protocol,
        "sourcePortRange": "*",
        "destinationPortRange": port,
        "sourceAddressPrefix": source,
        "destinationAddressPrefix": destination,
        "access": access,
        "priority": priority,
        "direction": direction,
        "sourcePortRanges": [],
        "destinationPortRanges": [],
        "sourceAddressPrefixes": [],
        "destinationAddressPrefixes": [],
    }
    return _rule(group_id, "securityRules", name, properties)


def network_security_group(site: Site, name: str) -> Document:
    """Return a group with the default rules that every group has."""
    group_id = site.id(_TYPE, name)
    defaults = [
        _rule(
            group_id,
            "defaultSecurityRules",
            rule,
            {
                "description": description,
                "protocol": "*",
                "sourcePortRange": "*",
                "destinationPortRange": "*",
                "sourceAddressPrefix": source,
                "destinationAddressPrefix": destination,
                "access": access,
                "priority": priority,
                "direction": direction,
                "sourcePortRanges": [],
                "destinationPortRanges": [],
                "sourceAddressPrefixes": [],
                "destinationAddressPrefixes": [],
            },
        )
        for rule, description, direction, priority, access, source, destination in _DEFAULTS
    ]
    return {
        "name": name,
        "id": group_id,
        "etag": weak_entity_tag(group_id),
        "type": _TYPE,
        "location": site.location,
        "tags": {},
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": guid("nsg", group_id),
            "securityRules": [],
            "defaultSecurityRules": defaults,
        },
    }


def attach_group(group: Document, virtual_network: Document, subnet: str) -> None:
    """Let a group filter a subnet; both documents name the other."""
    for part in virtual_network["properties"]["subnets"]:
        if part["name"] == subnet:
            part["properties"]["networkSecurityGroup"] = {"id": group["id"]}
            group["properties"].setdefault("subnets", []).append({"id": part["id"]})
