"""Network security groups (NSGs) and their rules."""

from __future__ import annotations

from typing import ClassVar

from pytest_ampls.model.monitor import IdReference
from pytest_ampls.model.resource import Part, Resource, needed

__all__ = ["NetworkSecurityGroup", "SecurityRule", "SecurityRuleProperties"]


class SecurityRuleProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a rule: each of ports and addresses is one text, or several under the plural key."""

    access: str | None = None
    direction: str | None = None
    priority: int | None = None
    protocol: str | None = None
    source_address_prefix: str | None = None
    source_address_prefixes: tuple[str, ...] | None = None
    source_application_security_groups: tuple[IdReference, ...] | None = None
    source_port_range: str | None = None
    source_port_ranges: tuple[str, ...] | None = None
    destination_address_prefix: str | None = None
    destination_address_prefixes: tuple[str, ...] | None = None
    destination_application_security_groups: tuple[IdReference, ...] | None = None
    destination_port_range: str | None = None
    destination_port_ranges: tuple[str, ...] | None = None


class SecurityRule(Part, frozen=True, kw_only=True):
    """A rule of a network security group."""

    properties: SecurityRuleProperties
    name: str | None = None


class NetworkSecurityGroupProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a network security group. The default rules are part of every document."""

    security_rules: tuple[SecurityRule, ...] | None = None
    default_security_rules: tuple[SecurityRule, ...] | None = None


class NetworkSecurityGroup(Resource, frozen=True, kw_only=True):
    """A network security group (NSG)."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/networkSecurityGroups"
    NOUN: ClassVar[str] = "network security group"

    properties: NetworkSecurityGroupProperties

    def rules(self, direction: str) -> tuple[SecurityRule, ...]:
        """Return the rules of a direction (``Inbound``, ``Outbound``) in the order in which they are tried.

        Raises:
            DocumentError: the default rules are missing, or a rule does not say direction or priority.
        """
        defaults = needed(self.properties.default_security_rules, self, "properties.defaultSecurityRules")
        found = []
        for rule in (*(self.properties.security_rules or ()), *defaults):
            path = f"properties.securityRules[{rule.name}].properties"
            way = needed(rule.properties.direction, self, f"{path}.direction")
            if way.lower() == direction.lower():
                found.append((needed(rule.properties.priority, self, f"{path}.priority"), rule))
        return tuple(rule for _, rule in sorted(found, key=lambda entry: entry[0]))
