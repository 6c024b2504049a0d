"""Who a record belongs to: the private endpoints that serve its name, and those that have its address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pytest_ampls.effective.name_resolution import endpoints_reached, scopes_of, zone_addresses, zones_seen
from pytest_ampls.effective.zones import monitor_zones, private_name, zone_among
from pytest_ampls.errors import DocumentError, EvidenceError, NotReadError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone
from pytest_ampls.model.resource import ResourceId, needed

__all__ = [
    "Claim",
    "addresses_for",
    "claims",
    "record_of",
    "require_endpoints_read",
    "require_place_read",
    "require_zone_known",
    "zone_for",
    "zones_holding",
]


class Claim(NamedTuple):
    """A private endpoint that serves a name, with the addresses it serves it at."""

    endpoint: PrivateEndpoint
    addresses: tuple[str, ...]


def zone_for(endpoint: PrivateEndpoint, fqdn: str) -> str:
    """Return the origin of the zone that one of the endpoint's public names is answered from.

    Raises:
        EvidenceError: the name fits no zone of Azure Monitor and none of the endpoint's zone group.
    """
    origins = {*monitor_zones(endpoint.estate), *_group_zone_ids(endpoint)}
    origin = zone_among(fqdn, origins)
    if origin is None:
        raise DocumentError(
            f"private endpoint {endpoint.label!r} serves {fqdn}, which belongs to no private DNS zone that is known: "
            f"{', '.join(sorted(origins))}"
        )
    return origin


def _group_zone_ids(endpoint: PrivateEndpoint) -> dict[str, str]:
    """Return origin to id of the zones that the endpoint's zone group names."""
    ids = (
        config.properties.private_dns_zone_id
        for group in endpoint.zone_groups
        for config in group.zone_configs
        if config.properties.private_dns_zone_id
    )
    return {ResourceId.parse(zone_id).name.lower(): zone_id for zone_id in ids}


def zones_holding(endpoint: PrivateEndpoint, origin: str) -> tuple[PrivateDnsZone, ...]:
    """Return the zones of an origin that have to hold the endpoint's records.

    Those of its zone group, those linked to its VNet (without any, what the VNet's DNS leads to), and those
    that answer the networks which the endpoint's other records lead to it: zones of one name may be there
    several times, each linked to other networks.

    Raises:
        EvidenceError: zones, links or the VNet were not read.
    """
    found: dict[str, PrivateDnsZone] = {}
    zone_id = _group_zone_ids(endpoint).get(origin)
    zone = endpoint.estate.get(PrivateDnsZone, zone_id) if zone_id else None
    if zone is not None:
        found[zone.key] = zone
    network_id = needed(endpoint.virtual_network_id, endpoint, "properties.subnet.id")
    network = endpoint.estate.get(VirtualNetwork, network_id)
    if network is not None:
        linked = (link.zone for link in network.zone_links)
        found.update({zone.key: zone for zone in linked if zone is not None and zone.origin == origin})
    if network is not None and not found:
        found = {seen.zone.key: seen.zone for seen in zones_seen(network).get(origin, ())}
    for zone in endpoint.estate.once(_zones_of_clients, endpoint).get(origin, ()):
        found.setdefault(zone.key, zone)
    return tuple(found.values())


def _zones_of_clients(estate: Estate, endpoint: PrivateEndpoint) -> Mapping[str, tuple[PrivateDnsZone, ...]]:
    """Return origin to the zones that answer the networks whose DNS leads to an endpoint.

    A zone without any record is AMPLS305's, unless a link falls back to the internet, where it is nobody's.
    """
    found: dict[str, dict[str, PrivateDnsZone]] = {}
    for network in estate.virtual_networks:
        try:
            reached = endpoints_reached(network)
        except NotReadError:
            continue  # its DNS server lies outside of what was read: AMPLS301 says so for that network
        if endpoint.key in {each.key for each in reached}:
            for origin, several in zones_seen(network).items():
                filled = (
                    seen.zone
                    for seen in several
                    if seen.link.falls_back_to_internet or any(seen.zone.address_records.values())
                )
                found.setdefault(origin, {}).update({zone.key: zone for zone in filled})
    return {origin: tuple(zones.values()) for origin, zones in found.items()}


def record_of(endpoint: PrivateEndpoint, fqdn: str) -> tuple[str, ...] | None:
    """Return the addresses that the endpoint's own zones give for one of its names, None where none has it.

    Raises:
        EvidenceError: as :func:`zones_holding`, or records were not read.
    """
    origin = zone_for(endpoint, fqdn)
    found = (zone_addresses(zone, private_name(fqdn, origin)) for zone in zones_holding(endpoint, origin))
    return next((addresses for addresses in found if addresses is not None), None)


def claims(estate: Estate) -> Mapping[str, tuple[Claim, ...]]:
    """Return who serves which name: full name inside its zone to every endpoint that serves it.

    A name is served by an endpoint that has it on an interface or in its DNS configs, or whose zone group
    wrote it.

    Raises:
        EvidenceError: private endpoints, interfaces or zone groups were not read completely.
    """
    return estate.once(_claims)


def _claims(estate: Estate) -> Mapping[str, tuple[Claim, ...]]:
    found: dict[str, tuple[Claim, ...]] = {}
    for endpoint in estate.private_endpoints:
        for name, addresses in _served(endpoint).items():
            found[name] = (*found.get(name, ()), Claim(endpoint, addresses))
    return found


def _served(endpoint: PrivateEndpoint) -> dict[str, tuple[str, ...]]:
    origins = {*monitor_zones(endpoint.estate), *_group_zone_ids(endpoint)}
    served: dict[str, tuple[str, ...]] = {}
    own = (
        endpoint.addresses
    )  # what a group wrote for an endpoint that has changed since is not the endpoint's
    for group in endpoint.zone_groups:
        for config in group.zone_configs:
            origin = ResourceId.parse(config.properties.private_dns_zone_id or "").name.lower()
            for record in config.properties.record_sets or ():
                name = f"{record.record_set_name}.{origin}".lower()
                served[name] = tuple(address for address in record.ip_addresses or () if address in own)
    for fqdn, addresses in endpoint.members.items():
        origin = zone_among(fqdn, origins) or ""
        if origin:  # the interface is the truth: what the group wrote may be from before
            served[private_name(fqdn, origin)] = addresses
    return served


def addresses_for(endpoint: PrivateEndpoint, fqdn: str) -> frozenset[str]:
    """Return the addresses that are right for a name: the endpoint's, or those of others of the same scope.

    Raises:
        EvidenceError: private endpoints, interfaces or scopes were not read completely.
    """
    own = set(endpoint.members.get(fqdn, ()))
    scopes = {scope.key for scope in scopes_of(endpoint)}
    for claim in claims(endpoint.estate).get(private_name(fqdn, zone_for(endpoint, fqdn)), ()):
        if scopes & {scope.key for scope in scopes_of(claim.endpoint)}:
            own.update(claim.addresses)
    return frozenset(own)


def require_endpoints_read(estate: Estate) -> None:
    """Make sure that every private endpoint that connects to a scope was read.

    An address may be called stale only then: it could be one of an endpoint in another subscription.

    Raises:
        EvidenceError: a scope's connections, or one of the endpoints behind them, were not read.
    """
    failure: EvidenceError | None = estate.once(_unread_endpoint)
    if failure is not None:
        raise failure


def require_place_read(estate: Estate, address: str) -> None:
    """Make sure that a private endpoint with an address would have been read.

    An endpoint is in the subscription of its VNet. VNets that links and peerings name are read wherever they
    are, the private endpoints in them only where their subscription is judged.

    Raises:
        NotReadError: the address lies in VNets of other subscriptions only; or in none, and no private link
            scope was read that would name its endpoints.
    """
    judged = {subscription.id.lower() for subscription in estate.subscriptions}
    places = [network for network in estate.known(VirtualNetwork) if network.holds(address)]
    if places and not any(network.subscription.lower() in judged for network in places):
        raise NotReadError(
            f"the address {address} lies in virtual network {places[0].label!r} ({places[0].id}), and the private "
            "endpoints of its subscription were not read. Add --ampls-subscription for it"
        )
    if not places and not estate.private_link_scopes:
        raise NotReadError(
            f"the address {address} lies in no virtual network that was read, and no private link scope was read "
            "either: whose it is cannot be told. Add --ampls-subscription for where the endpoints are"
        )


def require_zone_known(endpoint: PrivateEndpoint, origin: str) -> None:
    """Make sure that it is known which zone an endpoint's records are in.

    A zone group says which. The records of an endpoint without one were made by hand: where no such zone was read at
    all, it may be in another subscription, and linked to any network.

    Raises:
        EvidenceError: zones or zone groups were not read, or it is not known.
    """
    if endpoint.zone_groups or any(zone.origin == origin for zone in endpoint.estate.private_dns_zones):
        return
    raise NotReadError(
        f"no zone {origin} was read, and private endpoint {endpoint.label!r} has no DNS zone group that would say "
        "where its records are: that zone may be in a subscription that was not read. Add --ampls-subscription for it"
    )


def _unread_endpoint(estate: Estate) -> EvidenceError | None:
    try:
        for scope in estate.private_link_scopes:
            for connection in scope.private_endpoint_connections:
                reference = connection.properties.private_endpoint
                if reference is not None and reference.id:
                    estate.get(PrivateEndpoint, reference.id)
    except EvidenceError as error:
        return error
    return None
