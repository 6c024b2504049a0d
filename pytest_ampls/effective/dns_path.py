"""In which VNet Azure-provided DNS answers in the end: DNS servers, inbound endpoints and rulesets followed.

Azure-provided DNS of a VNet looks, in this order, at the private zones linked to the VNet, at the rulesets
linked to it (longest domain first), and at the public DNS.

Source: https://learn.microsoft.com/azure/dns/dns-private-resolver-overview.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, ip_address
from typing import Final, NamedTuple

from pytest_ampls.effective.zones import monitor_zones, public_suffix
from pytest_ampls.errors import NotReadError
from pytest_ampls.model.dns_resolver import DnsForwardingRuleset, DnsResolver, ForwardingRule, RulesetLink
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.network import VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone, VirtualNetworkLink
from pytest_ampls.model.resource import key, needed

__all__ = [
    "AZURE_PROVIDED_DNS",
    "LinkedZone",
    "behind",
    "deciding_networks",
    "first_asked",
    "forwarded_to",
    "is_complete",
    "linked_zone",
    "linked_zones",
    "resolving_networks",
    "rules_for",
    "rules_of",
]

AZURE_PROVIDED_DNS: Final = "168.63.129.16"
"""The address under which every VNet reaches Azure-provided DNS."""
_BY_NAME: Final = "azureprovideddns"
"""What an interface has as its only DNS server to use Azure-provided DNS in place of its VNet's servers (REST API
specification, ``NetworkInterfaceDnsSettings``)."""


class LinkedZone(NamedTuple):
    """A zone that Azure-provided DNS of a VNet answers from, with the link that lets it."""

    zone: PrivateDnsZone
    link: VirtualNetworkLink


# ------------------------------------------------------------------- servers


def first_asked(network: VirtualNetwork) -> tuple[VirtualNetwork, ...]:
    """Return the VNets whose Azure-provided DNS gets the questions of a network first.

    The network itself without DNS servers of its own. Otherwise, for each server, the VNet that holds its
    address: an inbound endpoint answers as that VNet's Azure-provided DNS, and any other server is taken to
    forward to it, or to the DNS servers that its VNet names.

    Raises:
        EvidenceError: a DNS server's address lies in no VNet that was read, or in several.
    """
    return network.estate.once(_first_asked, network)


def _first_asked(estate: Estate, network: VirtualNetwork) -> tuple[VirtualNetwork, ...]:
    servers = network.dns_servers
    return _distinct(_follow(estate, network, servers, frozenset())) if servers else (network,)


def behind(network: VirtualNetwork, servers: Iterable[str]) -> tuple[VirtualNetwork, ...]:
    """Return the VNets whose Azure-provided DNS gets the questions put to these servers from a network.

    Raises:
        EvidenceError: as :func:`first_asked`.
    """
    return _distinct(_follow(network.estate, network, servers, frozenset()))


def _distinct(networks: Iterable[VirtualNetwork]) -> tuple[VirtualNetwork, ...]:
    return tuple({network.key: network for network in networks}.values())


def _follow(
    estate: Estate, network: VirtualNetwork, servers: Iterable[str], seen: frozenset[str]
) -> Iterator[VirtualNetwork]:
    for server in servers:
        is_azure = server == AZURE_PROVIDED_DNS or server.lower() == _BY_NAME
        holder = network if is_azure else _holder(estate, network, server)
        # A server whose VNet names the server itself can only forward to Azure-provided DNS there, and so
        # can one in a circle of VNets that name each other's servers.
        ends = (
            holder.key == network.key
            or server in holder.dns_servers
            or holder.key in seen
            or not holder.dns_servers
            or server in estate.once(_inbound_addresses).get(holder.key, frozenset())
        )
        if ends:
            yield holder
        else:
            yield from _follow(estate, holder, holder.dns_servers, seen | {network.key})


def _inbound_addresses(estate: Estate) -> Mapping[str, frozenset[str]]:
    """Return VNet key to the addresses of inbound endpoints in it."""
    found: dict[str, frozenset[str]] = {}
    for resolver in estate.all(DnsResolver):
        own = {address for endpoint in resolver.inbound_endpoints for address in endpoint.addresses}
        place = key(resolver.virtual_network_id)
        found[place] = found.get(place, frozenset()) | own
    return found


def _holder(estate: Estate, network: VirtualNetwork, server: str) -> VirtualNetwork:
    """Return the VNet that a DNS server's address lies in: the own, a peer, or any other of the estate."""
    peers = {key(peer) for peer in network.peers}
    near = [other for other in estate.known(VirtualNetwork) if other.key in peers]
    # Peered VNets cannot overlap: the first that fits is the one.
    holders = [candidate for candidate in (network, *near) if candidate.holds(server)][:1]
    holders = holders or [other for other in estate.virtual_networks if other.holds(server)]
    if len(holders) == 1 and _has_room_for(holders[0], server):
        return holders[0]
    raise NotReadError(
        f"DNS server {server} of virtual network {network.resource_group}/{network.label} "
        f"{_why_nowhere(server, holders)}, so the zones it answers from cannot be computed. Read the subscription "
        "of the server's VNet too (--ampls-subscription), or let the server answer for itself "
        f"(--ampls-resolver={network.label}={server})"
    )


def _has_room_for(network: VirtualNetwork, server: str) -> bool:
    """Tell whether an address may be in use in a VNet: only what is in a subnet can be."""
    subnets = network.properties.subnets or ()
    return not subnets or any(
        not subnet.prefixes or any(IPv4Address(server) in prefix for prefix in subnet.prefixes)
        for subnet in subnets
    )


def _why_nowhere(server: str, holders: Sequence[VirtualNetwork]) -> str:
    names = ", ".join(network.label for network in holders)
    if len(holders) == 1:
        return f"lies in virtual network {names!r}, outside of all its subnets: nothing can have this address there"
    if names:
        return f"lies in several VNets that were read, of which none is peered ({names})"
    try:
        address = ip_address(server)
    except ValueError:
        return f"is {server!r}, which is no address"
    if address.version == 6:
        return "is an IPv6 address, which is not followed"
    if address.is_global:
        return (
            "is a public address: a public DNS server knows no private zone. It lies in no VNet that was read"
        )
    return "lies in no VNet that was read"


# ------------------------------------------------------------------- zones


def linked_zone(network: VirtualNetwork, name: str) -> LinkedZone | None:
    """Return the zone linked to a network that a name (lower case) lies in: the one with the longest origin.

    A link that is still being made does not count.

    Raises:
        EvidenceError: links or zones were not read completely.
    """
    zones = linked_zones(network)
    for zone in network.estate.once(_zones_without_links):
        if name == zone.origin or name.endswith("." + zone.origin):
            raise NotReadError(
                f"{name} lies in private DNS zone {zone.label!r} ({zone.id}), whose links were not read: it may "
                f"answer for virtual network {network.label!r}. Read the estate again"
            )
    fitting = [origin for origin in zones if name == origin or name.endswith("." + origin)]
    return zones[max(fitting, key=len)] if fitting else None


def linked_zones(network: VirtualNetwork) -> Mapping[str, LinkedZone]:
    """Return origin to zone for every zone that Azure-provided DNS of a network answers from.

    Raises:
        EvidenceError: as :func:`linked_zone`.
    """
    return network.estate.once(_linked_zones, network)


def _zones_without_links(estate: Estate) -> tuple[PrivateDnsZone, ...]:
    """Return the zones whose links nobody listed: those of other services, as a rule."""
    found = []
    for zone in estate.known(PrivateDnsZone):
        try:
            estate.children(VirtualNetworkLink, zone)
        except NotReadError:
            found.append(zone)
    return tuple(found)


def _linked_zones(estate: Estate, network: VirtualNetwork) -> dict[str, LinkedZone]:
    del estate
    found: dict[str, LinkedZone] = {}
    for link in network.zone_links:
        zone = link.zone
        if zone is not None and is_complete(link):
            found.setdefault(zone.origin, LinkedZone(zone, link))
    return found


def is_complete(link: VirtualNetworkLink) -> bool:
    """Tell whether a link works: its state is Completed.

    Raises:
        DocumentError: the document does not tell.
    """
    state = needed(link.properties.virtual_network_link_state, link, "properties.virtualNetworkLinkState")
    return state.lower() == "completed"


# ------------------------------------------------------------------- rulesets


def rules_of(network: VirtualNetwork) -> tuple[ForwardingRule, ...]:
    """Return the enabled rules of every ruleset that is linked to a network.

    Raises:
        EvidenceError: rulesets, their rules or links were not read completely, or a link is not provisioned.
    """
    for link in network.estate.once(_unsettled_links).get(network.key, ()):
        state = needed(link.properties.provisioning_state, link, "properties.provisioningState")
        raise NotReadError(
            f"ruleset link {link.label!r} ({link.id}) to virtual network {network.label!r} is in state {state}: "
            "whether its rules apply there cannot be told. Wait until it is Succeeded (--ampls-wait), or make it anew"
        )
    return network.estate.once(_rules).get(network.key, ())


def _unsettled_links(estate: Estate) -> dict[str, list[RulesetLink]]:
    """Return VNet key to the links of rulesets that are being made or removed, or failed to be."""
    found: dict[str, list[RulesetLink]] = {}
    for ruleset in estate.all(DnsForwardingRuleset):
        for link in ruleset.virtual_network_links:
            network = link.properties.virtual_network
            if network and network.id and (link.properties.provisioning_state or "").lower() != "succeeded":
                found.setdefault(key(network.id), []).append(link)
    return found


def _rules(estate: Estate) -> dict[str, tuple[ForwardingRule, ...]]:
    found: dict[str, tuple[ForwardingRule, ...]] = {}
    for ruleset in estate.all(DnsForwardingRuleset):
        for place in ruleset.network_keys:
            enabled = (rule for rule in ruleset.forwarding_rules if rule.is_enabled)
            found[place] = (*found.get(place, ()), *enabled)
    return found


def rules_for(network: VirtualNetwork, name: str) -> tuple[ForwardingRule, ...]:
    """Return the rules that a question of a network is forwarded by: those with the longest domain.

    More than one only where rulesets compete.

    Raises:
        EvidenceError: as :func:`rules_of`.
    """
    fitting = [rule for rule in rules_of(network) if rule.covers(name)]
    longest = max((len(rule.domain) for rule in fitting), default=0)
    return tuple(rule for rule in fitting if len(rule.domain) == longest)


def forwarded_to(network: VirtualNetwork, rules: Iterable[ForwardingRule]) -> tuple[VirtualNetwork, ...]:
    """Return the VNets whose Azure-provided DNS answers what a network forwards by rules.

    Raises:
        EvidenceError: a target lies in no VNet that was read, or is the address of Azure-provided DNS, which
            has no meaning as the target of a rule.
    """
    targets = {server: rule for rule in rules for server in rule.targets}
    for server, rule in targets.items():
        if server == AZURE_PROVIDED_DNS:
            raise NotReadError(
                f"forwarding rule {rule.label!r} ({rule.id}) sends {rule.domain or 'every name'} to "
                f"{AZURE_PROVIDED_DNS}: in which virtual network that is asked is not documented, so the answer "
                "cannot be computed. Let the rule name an inbound endpoint, or ask a machine's DNS server "
                f"(--ampls-resolver={network.label}=ADDRESS)"
            )
    return behind(network, targets)


# ------------------------------------------------------------------- all together


def resolving_networks(network: VirtualNetwork, domain: str | None = None) -> tuple[VirtualNetwork, ...]:
    """Return the VNets whose zone links decide what a network is answered for the names of a domain.

    ``domain`` is a public one, such as ``monitor.azure.com``; without it, the VNets that decide for any
    domain of Azure Monitor. A circle of rules decides nowhere, and gives no VNet.

    Raises:
        EvidenceError: a DNS server or a rule leads out of what was read; or zones, links or rulesets were
            not read completely.
    """
    if domain is not None:
        return deciding_networks(first_asked(network), domain)
    return network.estate.once(_resolving_networks, network)


def _resolving_networks(estate: Estate, network: VirtualNetwork) -> tuple[VirtualNetwork, ...]:
    first = first_asked(network)
    if not any(rules_of(asked) for asked in first):
        return first
    domains = dict.fromkeys(public_suffix(origin) for origin in sorted(monitor_zones(estate)))
    return _distinct(found for domain in domains for found in resolving_networks(network, domain))


def deciding_networks(
    asked: Iterable[VirtualNetwork], domain: str, seen: Iterable[str] = ()
) -> tuple[VirtualNetwork, ...]:
    """Return the VNets whose zone links decide what those that are asked answer for a domain.

    ``seen`` are the keys of VNets whose rules were followed already: a rule that leads back there is left out.

    Raises:
        EvidenceError: as :func:`resolving_networks`.
    """
    return _distinct(_deciding(asked, domain, frozenset(seen)))


def _deciding(asked: Iterable[VirtualNetwork], domain: str, seen: frozenset[str]) -> Iterator[VirtualNetwork]:
    for network in asked:
        rules = () if linked_zone(network, domain) else rules_for(network, domain)
        if not rules:
            yield network
        elif network.key not in seen:
            yield from _deciding(forwarded_to(network, rules), domain, seen | {network.key})
