"""Faults of network security groups: connections to the private endpoint are dropped (rule 208)."""

from __future__ import annotations

from pytest_ampls.lab.estate.network_security import attach_group, network_security_group, security_rule
from pytest_ampls.lab.fault.pick import client, first, network, site_of
from pytest_ampls.lab.fault.registry import estate_fault
from pytest_ampls.lab.store import Estate

__all__: list[str] = []

_GROUPS = "Microsoft.Network/networkSecurityGroups"


@estate_fault(
    "nsg-denies-outbound", "a spoke's network security group denies all that leaves it", breaks="208"
)
def nsg_denies_outbound(estate: Estate) -> None:
    """Add a rule before the default ones that let traffic through to peers."""
    group = first(estate, _GROUPS)
    denial = security_rule(group["id"], "DenyEverything", priority=4096, access="Deny")
    group["properties"]["securityRules"].append(denial)


@estate_fault(
    "nsg-of-interface-denies",
    "the network security group of a machine's interface denies HTTPS",
    breaks="208",
)
def nsg_of_interface_denies(estate: Estate) -> None:
    """Give one machine's interface a group of its own."""
    group = network_security_group(site_of(estate), "nsg-nic")
    denial = security_rule(
        group["id"], "DenyHttps", priority=100, access="Deny", port="400-500", protocol="Tcp"
    )
    group["properties"]["securityRules"].append(denial)
    nic = estate.get(client(estate)["properties"]["networkProfile"]["networkInterfaces"][0]["id"])
    nic["properties"]["networkSecurityGroup"] = {"id": group["id"]}
    group["properties"]["networkInterfaces"] = [{"id": nic["id"]}]
    estate.add(group)


@estate_fault(
    "nsg-denies-inbound",
    "the network security group of the endpoint's subnet denies a spoke, and covers endpoints",
    breaks="208 209",
)
def nsg_denies_inbound(estate: Estate) -> None:
    """Let network policies cover groups in the endpoint's subnet, and deny one spoke there."""
    hub = network(estate, "hub")
    group = network_security_group(site_of(estate), "nsg-endpoints")
    denial = security_rule(
        group["id"],
        "DenySpoke2",
        priority=200,
        access="Deny",
        direction="Inbound",
        source="192.168.2.0/24",
        port="443",
    )
    group["properties"]["securityRules"].append(denial)
    attach_group(group, hub, "endpoints")
    for subnet in hub["properties"]["subnets"]:
        if subnet["name"] == "endpoints":
            subnet["properties"]["privateEndpointNetworkPolicies"] = "NetworkSecurityGroupEnabled"
    estate.add(group)
