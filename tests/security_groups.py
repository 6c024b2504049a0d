"""Network security groups for estates of tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.builders import NSGS, Document, resource_id
from tests.private_estate import NetworkBlueprint


def security_rule(
    name: str, *, priority: int | None = 200, direction: str | None = "Outbound", **properties: Any
) -> Document:
    """Return a rule about everything that leaves; properties narrow it, None takes one away."""
    whole = {
        "access": "Allow",
        "direction": direction,
        "priority": priority,
        "protocol": "*",
        "sourcePortRange": "*",
        "destinationPortRange": "*",
        "sourceAddressPrefix": "*",
        "destinationAddressPrefix": "*",
        **properties,
    }
    return {"name": name, "properties": {key: value for key, value in whole.items() if value is not None}}


def _between(source: str, destination: str) -> Document:
    return {"sourceAddressPrefix": source, "destinationAddressPrefix": destination}


DEFAULTS = [
    security_rule(
        "AllowVnetInBound", priority=65000, direction="Inbound", **_between(*("VirtualNetwork",) * 2)
    ),
    security_rule("DenyAllInBound", priority=65500, direction="Inbound", access="Deny"),
    security_rule("AllowVnetOutBound", priority=65000, **_between(*("VirtualNetwork",) * 2)),
    security_rule("AllowInternetOutBound", priority=65001, **_between("*", "Internet")),
    security_rule("DenyAllOutBound", priority=65500, access="Deny"),
]
"""The default rules of every group; the one for load balancers is about nothing here."""


def group(plan: NetworkBlueprint, name: str, rules: Iterable[Document]) -> Document:
    """Add a group with rules of its own beside the default ones."""
    properties = {"securityRules": list(rules), "defaultSecurityRules": list(DEFAULTS)}
    return plan.add(NSGS, resource_id(NSGS, name), properties, location="westeurope")
