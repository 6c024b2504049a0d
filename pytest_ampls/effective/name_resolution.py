"""What the machines of a VNet are answered, and why: computed from zones, links, records and DNS servers.

Peering never shares zones. What counts is the VNet in which Azure-provided DNS is asked in the end
(:mod:`pytest_ampls.effective.dns_path`), and what is linked there.

Source: https://learn.microsoft.com/azure/private-link/private-endpoint-dns-integration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pytest_ampls.effective.computed_answer import AnswerStatus, ComputedAnswer, answers, answers_by
from pytest_ampls.effective.dns_path import AZURE_PROVIDED_DNS, is_complete, resolving_networks
from pytest_ampls.effective.zone_content import zone_addresses
from pytest_ampls.effective.zones import SHARED_LABELS, monitor_zones, public_suffix
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.monitor import PrivateLinkScope
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone, VirtualNetworkLink
from pytest_ampls.model.resource import key, needed

__all__ = [
    "AZURE_PROVIDED_DNS",
    "AnswerStatus",
    "ComputedAnswer",
    "SeenZone",
    "answers",
    "answers_by",
    "can_route",
    "endpoints_at",
    "endpoints_by_address",
    "endpoints_reached",
    "is_complete",
    "resolving_networks",
    "scopes_of",
    "scopes_reached",
    "zone_addresses",
    "zones_seen",
]


class SeenZone(NamedTuple):
    """A zone that a network sees: by which link, of which VNet."""

    zone: PrivateDnsZone
    link: VirtualNetworkLink
    via: VirtualNetwork


# ------------------------------------------------------------------- which zones are seen


def zones_seen(network: VirtualNetwork) -> Mapping[str, tuple[SeenZone, ...]]:
    """Return the zones that a network is answered from: origin to every (zone, link, VNet of the link).

    A link that is still being made does not count, and neither does a zone in a VNet that is not asked for
    the names of this zone.

    Raises:
        EvidenceError: links, zones, rulesets or VNets were not read completely, or a DNS server leads elsewhere.
    """
    return network.estate.once(_zones_seen, network)


def _zones_seen(estate: Estate, network: VirtualNetwork) -> Mapping[str, tuple[SeenZone, ...]]:
    del estate
    found: dict[str, list[SeenZone]] = {}
    for via in resolving_networks(network):
        for link in via.zone_links:
            zone = link.zone
            if zone is not None and is_complete(link) and _decides(via, network, zone):
                found.setdefault(zone.origin, []).append(SeenZone(zone, link, via))
    return {origin: tuple(seen) for origin, seen in found.items()}


def _decides(via: VirtualNetwork, network: VirtualNetwork, zone: PrivateDnsZone) -> bool:
    return any(via.key == other.key for other in resolving_networks(network, public_suffix(zone.origin)))


# ------------------------------------------------------------------- where it leads


def can_route(network: VirtualNetwork, endpoint: PrivateEndpoint) -> bool:
    """Tell whether a network reaches an endpoint by itself: it is in this VNet, or in a connected peer.

    Raises:
        DocumentError: the endpoint does not tell where it is, or a peering with whom it is or whether it is connected.
    """
    place = key(needed(endpoint.virtual_network_id, endpoint, "properties.subnet.id"))
    if place == network.key or place in {key(peer) for peer in network.peers}:
        return True
    for peering in network.properties.virtual_network_peerings or ():
        remote = peering.properties.remote_virtual_network
        path = f"properties.virtualNetworkPeerings[{peering.name}].properties"
        if key(needed(remote.id if remote else None, network, f"{path}.remoteVirtualNetwork.id")) == place:
            needed(peering.properties.peering_state, network, f"{path}.peeringState")
    return False


def endpoints_at(network: VirtualNetwork, address: str) -> tuple[PrivateEndpoint, ...]:
    """Return the private endpoints that an address belongs to, as a network sees it.

    Address ranges of separate environments may overlap: endpoints that the network, or the one that its
    DNS is asked in, can route to go before the others.

    Raises:
        EvidenceError: private endpoints or their interfaces were not read completely.
    """
    found = endpoints_by_address(network.estate).get(address, ())
    places = (network, *resolving_networks(network))
    near = tuple(endpoint for endpoint in found if any(can_route(place, endpoint) for place in places))
    if not near:
        _ = network.estate.private_endpoints  # raises: one that could not be read may have the address
    return near or found


def endpoints_by_address(estate: Estate) -> Mapping[str, tuple[PrivateEndpoint, ...]]:
    """Return every address of an Azure Monitor private endpoint, to the endpoints that have it.

    Raises:
        EvidenceError: private endpoints or their interfaces were not read completely.
    """
    return estate.once(_endpoints_by_address)


def _endpoints_by_address(estate: Estate) -> dict[str, tuple[PrivateEndpoint, ...]]:
    found: dict[str, tuple[PrivateEndpoint, ...]] = {}
    for endpoint in estate.known(PrivateEndpoint):
        for address in endpoint.addresses if endpoint.is_azure_monitor else ():
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
    return network.estate.once(_scopes_reached, network)  # asked for each machine of the network


def _scopes_reached(_: Estate, network: VirtualNetwork) -> tuple[PrivateLinkScope, ...]:
    found = (scope for endpoint in endpoints_reached(network) for scope in scopes_of(endpoint))
    return tuple({scope.key: scope for scope in found}.values())
