"""What the machines of a VNet are answered, and why: computed from zones, links, records and DNS servers.

Peering never shares zones. What counts is the VNet in which Azure-provided DNS is asked in the end: the
network itself, or the one that holds its custom DNS server.

Source: https://learn.microsoft.com/azure/private-link/private-endpoint-dns-integration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from pytest_ampls.effective.zones import (
    SHARED_LABELS,
    monitor_zones,
    private_name,
    relative_name,
    zone_of,
)
from pytest_ampls.errors import NotReadError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.monitor import PrivateLinkScope
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone, RecordSet, VirtualNetworkLink
from pytest_ampls.model.resource import key, needed

__all__ = [
    "AZURE_PROVIDED_DNS",
    "AnswerStatus",
    "ComputedAnswer",
    "SeenZone",
    "answers",
    "can_route",
    "endpoints_at",
    "endpoints_by_address",
    "endpoints_reached",
    "resolving_networks",
    "scopes_of",
    "scopes_reached",
    "zone_addresses",
    "zones_seen",
]

AZURE_PROVIDED_DNS: Final = "168.63.129.16"
"""The address under which every VNet reaches Azure-provided DNS."""


class AnswerStatus(StrEnum):
    """What kind of answer a name gets."""

    RECORD = "private record"
    """A record of a linked private zone."""
    NXDOMAIN = "NXDOMAIN"
    """A linked zone is responsible and has no such record."""
    NODATA = "no data"
    """A linked zone has the name, without an address."""
    PUBLIC = "public"
    """No linked zone is responsible: the public answer."""
    FALLBACK = "public by fallback"
    """A linked zone has no such record, and the link falls back to the internet."""
    MIXED = "mixed"
    """The DNS servers of the network lead to different answers."""


class ComputedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a network is answered for a name, by configuration.

    ``addresses`` are those of the private record; a public answer's are not known. ``zone`` is the linked
    zone that decides, None for a public answer. ``reason`` says why, as a phrase.
    """

    status: AnswerStatus
    addresses: tuple[str, ...] = ()
    zone: PrivateDnsZone | None = None
    reason: str = ""


class SeenZone(NamedTuple):
    """A zone that a network sees: by which link, of which VNet."""

    zone: PrivateDnsZone
    link: VirtualNetworkLink
    via: VirtualNetwork


# ------------------------------------------------------------------- which DNS decides


def resolving_networks(network: VirtualNetwork) -> tuple[VirtualNetwork, ...]:
    """Return the VNets whose zone links decide what a network is answered.

    The network itself with Azure-provided DNS; otherwise, for each custom DNS server, the VNet that holds
    its address, because a server there forwards to the Azure-provided DNS of that VNet. Where that VNet has
    custom servers of its own, they are followed too.

    Raises:
        EvidenceError: a DNS server's address lies in no VNet that was read, or in several.
    """
    return network.estate.once(_resolving_networks, network)


def _resolving_networks(estate: Estate, network: VirtualNetwork) -> tuple[VirtualNetwork, ...]:
    return tuple({found.key: found for found in _follow(estate, network, frozenset())}.values())


def _follow(estate: Estate, network: VirtualNetwork, seen: frozenset[str]) -> Iterator[VirtualNetwork]:
    if not network.dns_servers:
        yield network
    for server in network.dns_servers:
        holder = network if server == AZURE_PROVIDED_DNS else _holder(estate, network, server)
        # A server whose VNet names the server itself can only forward to Azure-provided DNS there, and so
        # can one in a circle of VNets that name each other's servers.
        if holder.key == network.key or server in holder.dns_servers or holder.key in seen:
            yield holder
        else:
            yield from _follow(estate, holder, seen | {network.key})


def _holder(estate: Estate, network: VirtualNetwork, server: str) -> VirtualNetwork:
    """Return the VNet that a DNS server's address lies in: the own, a peer, or any other of the estate."""
    peers = {key(peer) for peer in network.peers}
    near = [other for other in estate.known(VirtualNetwork) if other.key in peers]
    for candidate in (network, *near):  # peered VNets cannot overlap: the first that fits is the one
        if candidate.holds(server):
            return candidate
    holders = [other for other in estate.virtual_networks if other.holds(server)]
    if len(holders) == 1:
        return holders[0]
    where = (
        f"lies in several VNets that were read, of which none is peered ({_names(holders)})"
        if holders
        else "lies in no VNet that was read"
    )
    raise NotReadError(
        f"DNS server {server} of virtual network {network.resource_group}/{network.label} {where}, so the "
        "zones it answers from cannot be computed. Read the subscription of the server's VNet too "
        "(--ampls-subscription), or let the server answer for itself "
        f"(--ampls-resolver={network.label}={server})"
    )


def _names(networks: Iterable[VirtualNetwork]) -> str:
    return ", ".join(network.label for network in networks)


# ------------------------------------------------------------------- which zones are seen


def zones_seen(network: VirtualNetwork) -> Mapping[str, tuple[SeenZone, ...]]:
    """Return the zones that a network is answered from: origin to every (zone, link, VNet of the link).

    A link that is still being made does not count.

    Raises:
        EvidenceError: links, zones or VNets were not read completely, or a DNS server leads elsewhere.
    """
    return network.estate.once(_zones_seen, network)


def _zones_seen(estate: Estate, network: VirtualNetwork) -> Mapping[str, tuple[SeenZone, ...]]:
    del estate
    found: dict[str, list[SeenZone]] = {}
    for via in resolving_networks(network):
        for link in via.zone_links:
            zone = link.zone
            if zone is not None and is_complete(link):
                found.setdefault(zone.origin, []).append(SeenZone(zone, link, via))
    return {origin: tuple(seen) for origin, seen in found.items()}


def is_complete(link: VirtualNetworkLink) -> bool:
    """Tell whether a link works: its state is Completed.

    Raises:
        DocumentError: the document does not tell.
    """
    state = needed(link.properties.virtual_network_link_state, link, "properties.virtualNetworkLinkState")
    return state.lower() == "completed"


# ------------------------------------------------------------------- what a name is answered


def zone_addresses(zone: PrivateDnsZone, name: str) -> tuple[str, ...] | None:
    """Return the addresses that a zone gives for a name: none (empty) for NODATA, None for NXDOMAIN.

    ``name`` is the full name inside the zone. Wildcard records and aliases inside the zone are followed.

    Raises:
        EvidenceError: the zone's records were not read.
    """
    records = zone.estate.once(_records, zone)
    asked = name.rstrip(".").lower()
    for _ in range(len(records) + 1):
        matching = _matching(records, asked, zone.origin)
        if matching is None:
            return None
        aliases = [part.properties.cname_record for part in matching if part.properties.cname_record]
        if not aliases or not aliases[0].cname:
            return tuple(address for part in matching if part.is_address for address in part.addresses)
        asked = aliases[0].cname.rstrip(".").lower()
    return ()  # aliases in a circle


def _records(estate: Estate, zone: PrivateDnsZone) -> dict[str, list[RecordSet]]:
    del estate
    found: dict[str, list[RecordSet]] = {}
    for record in zone.record_sets:
        found.setdefault(record.fqdn(zone.origin), []).append(record)
    return found


def _matching(records: Mapping[str, list[RecordSet]], name: str, origin: str) -> list[RecordSet] | None:
    """Return the record sets of a name, else of the closest wildcard (RFC 4592)."""
    found = records.get(name)
    while found is None and name.endswith("." + origin):
        name = name.partition(".")[2]
        found = records.get(f"*.{name}")
    return found


def answers(network: VirtualNetwork, fqdn: str) -> ComputedAnswer:
    """Return what a network is answered for a public name, by configuration.

    The public name is taken to be an alias of its privatelink name. That holds for the shared names of
    Azure Monitor always, and for a resource's own names once the resource is in a private link scope.

    Raises:
        EvidenceError: what decides was not read completely, or a DNS server leads elsewhere.
    """
    found = {via.label: _answer_via(network, via, fqdn) for via in resolving_networks(network)}
    first, *others = found.values()
    if all((other.status, set(other.addresses)) == (first.status, set(first.addresses)) for other in others):
        return first
    return ComputedAnswer(
        status=AnswerStatus.MIXED,
        addresses=tuple({address: None for answer in found.values() for address in answer.addresses}),
        reason="; ".join(f"by {via}: {answer.status}, {answer.reason}" for via, answer in found.items()),
    )


def _answer_via(network: VirtualNetwork, via: VirtualNetwork, fqdn: str) -> ComputedAnswer:
    name = fqdn.rstrip(".").lower()
    origin = zone_of(name, network.estate.snapshot.cloud)
    # A private zone of the public domain itself answers before the public alias is ever followed.
    for asked in (name, private_name(name, origin)) if origin else (name,):
        seen = _responsible(network, via, asked)
        if seen is not None:
            return _answer_from(seen, asked)
    return ComputedAnswer(
        status=AnswerStatus.PUBLIC,
        reason=f"no zone {origin or 'of this name'!r} is linked to virtual network {via.label!r}",
    )


def _responsible(network: VirtualNetwork, via: VirtualNetwork, name: str) -> SeenZone | None:
    fitting = [
        seen
        for origin, several in zones_seen(network).items()
        if name == origin or name.endswith("." + origin)
        for seen in several
        if seen.via.key == via.key
    ]
    return max(fitting, key=lambda seen: len(seen.zone.origin), default=None)


def _answer_from(seen: SeenZone, name: str) -> ComputedAnswer:
    zone = seen.zone
    where = f"zone {zone.label!r}, linked to virtual network {seen.via.label!r},"
    addresses = zone_addresses(zone, name)
    label = relative_name(name, zone.origin)
    if addresses:
        status, reason = AnswerStatus.RECORD, f"has the record {label!r}"
    elif addresses is not None:
        status, reason = AnswerStatus.NODATA, f"has {label!r} without an address"
    elif seen.link.falls_back_to_internet:
        fallback = f"the link {seen.link.label!r} falls back to the internet"
        status, reason = AnswerStatus.FALLBACK, f"has no record {label!r}, and {fallback}"
    else:
        status, reason = AnswerStatus.NXDOMAIN, f"has no record {label!r}"
    return ComputedAnswer(status=status, addresses=addresses or (), zone=zone, reason=f"{where} {reason}")


# ------------------------------------------------------------------- where it leads


def can_route(network: VirtualNetwork, endpoint: PrivateEndpoint) -> bool:
    """Tell whether a network reaches an endpoint by itself: it is in this VNet, or in a connected peer."""
    place = key(endpoint.virtual_network_id or "")
    return place == network.key or place in {key(peer) for peer in network.peers}


def endpoints_at(network: VirtualNetwork, address: str) -> tuple[PrivateEndpoint, ...]:
    """Return the private endpoints that an address belongs to, as a network sees it.

    Address ranges of separate environments may overlap: endpoints that the network, or the one that its
    DNS is asked in, can route to go before the others.

    Raises:
        EvidenceError: private endpoints or their interfaces were not read completely.
    """
    found = endpoints_by_address(network.estate).get(address, ())
    if len(found) < 2:
        return found
    places = (network, *resolving_networks(network))
    near = tuple(endpoint for endpoint in found if any(can_route(place, endpoint) for place in places))
    return near or found


def endpoints_by_address(estate: Estate) -> Mapping[str, tuple[PrivateEndpoint, ...]]:
    """Return every address of an Azure Monitor private endpoint, to the endpoints that have it.

    Raises:
        EvidenceError: private endpoints or their interfaces were not read completely.
    """
    return estate.once(_endpoints_by_address)


def _endpoints_by_address(estate: Estate) -> dict[str, tuple[PrivateEndpoint, ...]]:
    found: dict[str, tuple[PrivateEndpoint, ...]] = {}
    for endpoint in estate.private_endpoints:
        for address in endpoint.addresses:
            found[address] = (*found.get(address, ()), endpoint)
    return found


def endpoints_reached(network: VirtualNetwork) -> tuple[PrivateEndpoint, ...]:
    """Return the private endpoints that the records seen by a network point to.

    Those of the shared names (query API, agent configuration) come first. Empty where the network's DNS
    leads to none that was read.

    Raises:
        EvidenceError: zones, records, endpoints or VNets were not read completely, or a DNS server of the
            network leads elsewhere.
    """
    return network.estate.once(_endpoints_reached, network)


def _endpoints_reached(estate: Estate, network: VirtualNetwork) -> tuple[PrivateEndpoint, ...]:
    found: dict[str, PrivateEndpoint] = {}
    zones = zones_seen(network)
    monitor = [(origin, zones[origin]) for origin in zones if origin in monitor_zones(estate)]
    shared = [
        zone_addresses(seen.zone, f"{label}.{origin}") or ()
        for label in SHARED_LABELS
        for origin, several in monitor
        for seen in several
    ]
    others = [
        addresses
        for _, several in monitor
        for seen in several
        for addresses in seen.zone.address_records.values()
    ]
    for addresses in (*shared, *others):
        for address in addresses:
            found.update({endpoint.key: endpoint for endpoint in endpoints_at(network, address)})
    return tuple(found.values())


def scopes_of(endpoint: PrivateEndpoint) -> tuple[PrivateLinkScope, ...]:
    """Return the private link scopes that an endpoint connects to and that exist.

    Raises:
        EvidenceError: a scope was not read.
    """
    marker = f"/providers/{PrivateLinkScope.ARM_TYPE.lower()}/"
    found = (
        endpoint.estate.get(PrivateLinkScope, service)
        for service in sorted(endpoint.service_keys)
        if marker in service
    )
    return tuple(scope for scope in found if scope is not None)


def scopes_reached(network: VirtualNetwork) -> tuple[PrivateLinkScope, ...]:
    """Return the private link scopes that a network's DNS leads to, that of the shared names first.

    Raises:
        EvidenceError: as :func:`endpoints_reached`, or a scope was not read.
    """
    found = (scope for endpoint in endpoints_reached(network) for scope in scopes_of(endpoint))
    return tuple({scope.key: scope for scope in found}.values())
