"""Resolvers, rulesets and interfaces with DNS servers, added to the documents of an estate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.builders import (
    DNS_RESOLVERS,
    FORWARDING_RULES,
    INBOUND_ENDPOINTS,
    NICS,
    RULESET_LINKS,
    RULESETS,
    VNETS,
    Blueprint,
    resource_id,
)

__all__ = ["add_inbound", "add_rules", "set_interface_dns", "set_network_dns"]


def add_inbound(plan: Blueprint, network: str, *addresses: str) -> None:
    """Put a resolver with an inbound endpoint into a VNet."""
    resolver = resource_id(DNS_RESOLVERS, network)
    plan.add(DNS_RESOLVERS, resolver, {"virtualNetwork": {"id": resource_id(VNETS, network)}})
    parts = [{"privateIpAddress": address} for address in addresses]
    plan.add(INBOUND_ENDPOINTS, f"{resolver}/inboundEndpoints/in", {"ipConfigurations": parts})


def add_rules(
    plan: Blueprint, network: str, rules: Mapping[str, Sequence[str]], *, state: str = "Enabled"
) -> None:
    """Link a ruleset to a VNet: domains without the final dot, to addresses."""
    ruleset = resource_id(RULESETS, f"{network}-rules")
    plan.add(RULESETS, ruleset, {})
    place = {"virtualNetwork": {"id": resource_id(VNETS, network)}, "provisioningState": "Succeeded"}
    plan.add(RULESET_LINKS, f"{ruleset}/virtualNetworkLinks/{network}", place)
    for number, (domain, targets) in enumerate(rules.items()):
        properties = {
            "domainName": f"{domain}.",
            "forwardingRuleState": state,
            "targetDnsServers": [{"ipAddress": target, "port": 53} for target in targets],
        }
        plan.add(FORWARDING_RULES, f"{ruleset}/forwardingRules/rule{number}", properties)


def set_network_dns(plan: Blueprint, network: str, *servers: str) -> None:
    """Give a VNet DNS servers, or none."""
    plan[VNETS, network]["properties"]["dhcpOptions"]["dnsServers"] = list(servers)


def set_interface_dns(plan: Blueprint, interface: str, *servers: str) -> None:
    """Give a network interface DNS servers of its own."""
    plan[NICS, interface]["properties"]["dnsSettings"] = {"dnsServers": list(servers)}
