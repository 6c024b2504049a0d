"""Who a record belongs to: the private endpoints that serve its name, and those that have its address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pytest_ampls.effective.name_resolution import scopes_of, zone_addresses, zones_seen
from pytest_ampls.effective.zones import monitor_zones, private_name, zone_among
from pytest_ampls.errors import DocumentError, EvidenceError
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

    Those of its zone group, and those linked to its VNet; without any, what the VNet's DNS leads to.

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
    return tuple(found.values())


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
    for group in endpoint.zone_groups:
        for config in group.zone_configs:
            origin = ResourceId.parse(config.properties.private_dns_zone_id or "").name.lower()
            for record in config.properties.record_sets or ():
                name = f"{record.record_set_name}.{origin}".lower()
                served[name] = record.ip_addresses or ()
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
