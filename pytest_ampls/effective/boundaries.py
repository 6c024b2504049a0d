"""Which private link scopes a VNet has to do with: by its DNS, by its neighbours, by what its machines send to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_ampls.effective.name_resolution import (
    can_route,
    endpoints_reached,
    resolving_networks,
    scopes_of,
    zones_seen,
)
from pytest_ampls.errors import DocumentError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.monitor import PrivateLinkScope
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.resource import ResourceId, key

__all__ = [
    "has_machines",
    "lacking",
    "lacking_members",
    "scopes_concerning",
    "scopes_in_boundary",
    "zones_written",
]


def has_machines(network: VirtualNetwork) -> bool:
    """Tell whether a machine that was read is in the VNet.

    Raises:
        EvidenceError: machines or their interfaces were not read completely.
    """
    return network.key in network.estate.once(_client_keys)


def _client_keys(estate: Estate) -> frozenset[str]:
    return frozenset(network.key for network in estate.client_networks)


def scopes_concerning(network: VirtualNetwork) -> tuple[PrivateLinkScope, ...]:
    """Return the scopes whose zones a VNet needs.

    They are the scopes that its DNS leads to, and those with a private endpoint in it, in a peered VNet, or
    beside the VNet that its DNS is asked in. Where that gives none: the scopes of what its machines send to.

    Raises:
        EvidenceError: what decides was not read completely.
    """
    return network.estate.once(_scopes_concerning, network)


def _scopes_concerning(estate: Estate, network: VirtualNetwork) -> tuple[PrivateLinkScope, ...]:
    places = (network, *resolving_networks(network))
    near = (
        endpoint
        for endpoint in estate.private_endpoints
        if any(can_route(place, endpoint) for place in places)
    )
    endpoints = (*endpoints_reached(network), *near)
    found = {scope.key: scope for endpoint in endpoints for scope in scopes_of(endpoint)}
    if not found:
        found = {scope.key: scope for scope in _scopes_of_destinations(estate, network)}
    return tuple(found.values())


def _scopes_of_destinations(estate: Estate, network: VirtualNetwork) -> Iterator[PrivateLinkScope]:
    used: dict[str, None] = {}
    for machine in estate.machines:
        if network.key in map(key, machine.virtual_network_ids):
            used.update(
                {
                    key(workspace): None
                    for rule in machine.data_collection_rules
                    for workspace in rule.workspace_ids
                }
            )
            if machine.config_endpoint is not None:
                used[machine.config_endpoint.key] = None
    for scope in estate.private_link_scopes if used else ():
        if any(scope.contains(resource) for resource in used):
            yield scope


def scopes_in_boundary(
    network: VirtualNetwork,
) -> Mapping[str, tuple[PrivateLinkScope, tuple[PrivateEndpoint, ...]]]:
    """Return the scopes that meet in a VNet's DNS: scope key to the scope and its endpoints there.

    An endpoint is there if its zone group writes to a zone that the network sees, or if a record that the
    network sees points to it.

    Raises:
        EvidenceError: what decides was not read completely.
    """
    seen = {each.zone.key for several in zones_seen(network).values() for each in several}
    writers = (endpoint for endpoint in network.estate.private_endpoints if seen & zones_written(endpoint))
    endpoints = {endpoint.key: endpoint for endpoint in (*endpoints_reached(network), *writers)}
    found: dict[str, tuple[PrivateLinkScope, tuple[PrivateEndpoint, ...]]] = {}
    for endpoint in endpoints.values():
        for scope in scopes_of(endpoint):
            found[scope.key] = (scope, (*found.get(scope.key, (scope, ()))[1], endpoint))
    return found


def zones_written(endpoint: PrivateEndpoint) -> frozenset[str]:
    """Return the zones that an endpoint keeps its records in, by their ids in comparable form.

    Raises:
        EvidenceError: its zone group was not read.
    """
    return frozenset(
        key(config.properties.private_dns_zone_id)
        for group in endpoint.zone_groups
        for config in group.zone_configs
        if config.properties.private_dns_zone_id
    )


def lacking(scope: PrivateLinkScope, other: PrivateLinkScope) -> tuple[str, ...]:
    """Return the ids of what is a member of ``other`` and not of ``scope``.

    Subscriptions, which memberships of kind metrics link, have no names in DNS and are left out.

    Raises:
        EvidenceError: the members of a scope were not read.
    """
    own = {key(member) for member in _linked(scope)}
    return tuple(member for member in _linked(other) if key(member) not in own)


def lacking_members(
    scopes: tuple[PrivateLinkScope, PrivateLinkScope],
) -> Iterator[tuple[PrivateLinkScope, PrivateLinkScope, str]]:
    """Yield what the second of two scopes has and the first has not: both scopes, and the id of the member.

    Raises:
        EvidenceError: as :func:`lacking`.
    """
    for member in lacking(*scopes):
        yield *scopes, member


def _linked(scope: PrivateLinkScope) -> Iterator[str]:
    for member in scope.scoped_resources:
        linked = member.properties.linked_resource_id or ""
        try:
            ResourceId.parse(linked)
        except DocumentError:
            continue
        yield linked
