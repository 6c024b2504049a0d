"""Azure DNS Private Resolver: addresses that answer as Azure-provided DNS, and rules that forward.

Source: https://learn.microsoft.com/azure/dns/dns-private-resolver-overview; properties as in the REST API
specification of api-version 2022-07-01.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from pytest_ampls.model.monitor import IdReference
from pytest_ampls.model.resource import Part, Resource, key, needed

__all__ = [
    "DnsForwardingRuleset",
    "DnsResolver",
    "ForwardingRule",
    "InboundEndpoint",
    "RulesetLink",
    "TargetDnsServer",
]


class DnsResolverProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a resolver."""

    virtual_network: IdReference | None = None
    dns_resolver_state: str | None = None


class DnsResolver(Resource, frozen=True, kw_only=True):
    """An Azure DNS Private Resolver, which stands in one VNet."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/dnsResolvers"
    NOUN: ClassVar[str] = "DNS private resolver"

    properties: DnsResolverProperties

    @property
    def virtual_network_id(self) -> str:
        """The id of the VNet it stands in.

        Raises:
            DocumentError: the document does not tell.
        """
        network = self.properties.virtual_network
        return needed(network.id if network else None, self, "properties.virtualNetwork.id")

    @property
    def inbound_endpoints(self) -> tuple[InboundEndpoint, ...]:
        """The addresses at which it answers.

        Raises:
            EvidenceError: they were not read.
        """
        return self.estate.children(InboundEndpoint, self)


class InboundIpConfigurationProperties(Part, frozen=True, kw_only=True):
    """One address of an inbound endpoint. Its spelling differs from that of a network interface."""

    private_ip_address: str | None = msgspec.field(default=None, name="privateIpAddress")


class InboundEndpointProperties(Part, frozen=True, kw_only=True):
    """``properties`` of an inbound endpoint."""

    ip_configurations: tuple[InboundIpConfigurationProperties, ...] | None = None
    provisioning_state: str | None = None


class InboundEndpoint(Resource, frozen=True, kw_only=True):
    """Addresses in a VNet that answer as the Azure-provided DNS of this VNet, its rulesets included."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/dnsResolvers/inboundEndpoints"
    NOUN: ClassVar[str] = "inbound endpoint"

    properties: InboundEndpointProperties

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its IPv4 addresses."""
        found = (part.private_ip_address for part in self.properties.ip_configurations or ())
        return tuple(address for address in found if address)


class DnsForwardingRulesetProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a ruleset."""

    dns_resolver_outbound_endpoints: tuple[IdReference, ...] | None = None
    provisioning_state: str | None = None


class DnsForwardingRuleset(Resource, frozen=True, kw_only=True):
    """Rules that send the questions of linked VNets to DNS servers, by the name that is asked for."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/dnsForwardingRulesets"
    NOUN: ClassVar[str] = "DNS forwarding ruleset"

    properties: DnsForwardingRulesetProperties = DnsForwardingRulesetProperties()

    @property
    def forwarding_rules(self) -> tuple[ForwardingRule, ...]:
        """Its rules, disabled ones included.

        Raises:
            EvidenceError: they were not read.
        """
        return self.estate.children(ForwardingRule, self)

    @property
    def virtual_network_links(self) -> tuple[RulesetLink, ...]:
        """The VNets that it applies to.

        Raises:
            EvidenceError: they were not read.
        """
        return self.estate.children(RulesetLink, self)

    @property
    def network_keys(self) -> frozenset[str]:
        """The ids, in comparable form, of the VNets that it applies to.

        Raises:
            EvidenceError: its links were not read, or one does not tell which VNet it links.
        """
        linked = ((link, link.properties.virtual_network) for link in self.virtual_network_links)
        path = "properties.virtualNetwork.id"
        return frozenset(key(needed(network.id if network else None, link, path)) for link, network in linked)


class TargetDnsServer(Part, frozen=True, kw_only=True):
    """A DNS server that a rule sends questions to."""

    ip_address: str | None = None
    port: int | None = None


class ForwardingRuleProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a rule. The domain ends with a dot; a dot alone stands for every name."""

    domain_name: str | None = None
    target_dns_servers: tuple[TargetDnsServer, ...] | None = None
    forwarding_rule_state: str | None = None


class ForwardingRule(Resource, frozen=True, kw_only=True):
    """Which names go to which DNS servers."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/dnsForwardingRulesets/forwardingRules"
    NOUN: ClassVar[str] = "forwarding rule"

    properties: ForwardingRuleProperties

    @property
    def domain(self) -> str:
        """The domain in lower case, without the final dot: empty for the rule of every name.

        Raises:
            DocumentError: the document does not tell.
        """
        return needed(self.properties.domain_name, self, "properties.domainName").rstrip(".").lower()

    @property
    def is_enabled(self) -> bool:
        """Tell whether the rule counts: without a state it does, as the specification's default says."""
        return (self.properties.forwarding_rule_state or "Enabled").lower() == "enabled"

    @property
    def targets(self) -> tuple[str, ...]:
        """The addresses of its DNS servers, in order.

        Raises:
            DocumentError: the document names none.
        """
        servers = needed(self.properties.target_dns_servers or None, self, "properties.targetDnsServers")
        return tuple(
            needed(server.ip_address, self, "properties.targetDnsServers[].ipAddress") for server in servers
        )

    def covers(self, name: str) -> bool:
        """Tell whether a name (lower case, without a final dot) lies in the rule's domain."""
        return not self.domain or name == self.domain or name.endswith("." + self.domain)


class RulesetLinkProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a link."""

    virtual_network: IdReference | None = None
    provisioning_state: str | None = None


class RulesetLink(Resource, frozen=True, kw_only=True):
    """The link that makes a ruleset apply to a VNet."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/dnsForwardingRulesets/virtualNetworkLinks"
    NOUN: ClassVar[str] = "ruleset link"

    properties: RulesetLinkProperties
