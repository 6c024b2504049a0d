"""Links and records of private DNS zones: what is missing, stale, overwritten or empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pytest_ampls.assertions.dns_answer import on_zone
from pytest_ampls.catalogue import Finding, NotApplicable, az_rest
from pytest_ampls.effective.boundaries import lacking, zones_written
from pytest_ampls.effective.dns_path import first_asked, rules_of
from pytest_ampls.effective.name_resolution import (
    endpoints_by_address,
    is_complete,
    resolving_networks,
    scopes_of,
    zones_seen,
)
from pytest_ampls.effective.records import Claim, claims, require_endpoints_read, require_place_read
from pytest_ampls.effective.zones import public_suffix
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.monitor import PrivateLinkScope, Workspace
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone, RecordSet, VirtualNetworkLink
from pytest_ampls.model.resource import ResourceId

__all__ = ["empty_zone_findings", "record_findings", "zone_link_findings"]

_SOLUTION_PACKS: Final = "scadvisorcontentpl"
"""The only name of Azure Monitor in the blob zone, which storage accounts share."""


# ------------------------------------------------------------------- AMPLS301


def zone_link_findings(
    network: VirtualNetwork, origin: str, scopes: Iterable[PrivateLinkScope]
) -> Iterator[Finding]:
    """Report each VNet that resolves for a network and does not see the zone."""
    seen = {each.via.key for each in zones_seen(network).get(origin, ())}
    deciding = resolving_networks(network, public_suffix(origin))
    if not deciding:
        yield Finding.on(
            network,
            f"zone {origin}",
            expected=f"forwarding rules that lead to a network with the zone {origin}",
            observed="forwarding rules that lead in a circle: no answer at all",
            tokens={"zone": origin},
        )
    for via in deciding:
        if via.key not in seen:
            _require_named_zones_read(origin, scopes)
            zones = [zone for zone in network.estate.private_dns_zones if zone.origin == origin]
            tokens = {"zone": origin, "network": via.label, "network-id": via.id}
            if zones:
                tokens |= {"zone-resource-group": zones[0].resource_group, "zone-id": zones[0].id}
            yield Finding.on(
                network,
                f"zone {origin}",
                expected=f"linked to {_role(network, via)}",
                observed=_link_state(via, origin, zones),
                evidence=az_rest(zones[0], VirtualNetworkLink.ARM_TYPE) if zones else None,
                tokens=tokens,
            )


def _role(network: VirtualNetwork, via: VirtualNetwork) -> str:
    """Return what a VNet has to do with the answers of a network, as a phrase."""
    role = f"virtual network {via.label!r}"
    if via.key == network.key:
        return role
    servers = ", ".join(server for server in network.dns_servers if via.holds(server))
    if servers:
        return f"{role}, which holds the DNS server {servers} of {network.label!r}"
    if any(rules_of(asked) for asked in first_asked(network)):
        return f"{role}, which forwarding rules send the questions of {network.label!r} to"
    return f"{role}, which holds the DNS server {network.dns_servers[0]} of {network.label!r}"


def _require_named_zones_read(origin: str, scopes: Iterable[PrivateLinkScope]) -> None:
    """Make sure that a zone which an endpoint keeps its records in was read: it may be the linked one."""
    for scope in scopes:
        for endpoint in scope.private_endpoints:
            for group in endpoint.zone_groups:
                for config in group.zone_configs:
                    zone_id = config.properties.private_dns_zone_id
                    if zone_id and ResourceId.parse(zone_id).name.lower() == origin:
                        scope.estate.get(PrivateDnsZone, zone_id)


def _link_state(via: VirtualNetwork, origin: str, zones: list[PrivateDnsZone]) -> str:
    pending = [
        link
        for link in via.zone_links
        if not is_complete(link) and link.zone is not None and link.zone.origin == origin
    ]
    if pending:
        return f"link {pending[0].label!r} is in state {pending[0].properties.virtual_network_link_state}"
    if not zones:
        return "no zone of this name was read"
    return "; ".join(f"the zone in {zone.resource_group!r} is linked to {_linked(zone)}" for zone in zones)


def _linked(zone: PrivateDnsZone) -> str:
    ids = (link.properties.virtual_network for link in zone.virtual_network_links)
    names = [repr(ResourceId.parse(part.id).name) for part in ids if part is not None and part.id]
    return "only " + ", ".join(names) if names else "no network"


# ------------------------------------------------------------------- AMPLS303


def record_findings(zone: PrivateDnsZone) -> Iterator[Finding]:
    """Report each A record whose address is not that of a live private endpoint that serves the name."""
    records = [
        record for record in zone.record_sets if record.is_address and _is_monitor_record(zone, record)
    ]
    if not any(record.addresses for record in records):
        raise NotApplicable(
            f"zone {zone.label!r} holds no address record of Azure Monitor; AMPLS302 and AMPLS305 judge that"
        )
    unread: list[EvidenceError] = []
    for record in records:
        claimed = claims(zone.estate).get(record.fqdn(zone.origin), ())
        for address in record.addresses:
            try:
                observed = _wrong(zone, claimed, address)
            except EvidenceError as error:
                unread.append(error)
                continue
            if observed is not None:
                yield _on_record(zone, record, _right(claimed), f"{address}, {observed}")
    if unread:
        raise unread[0]


def _is_monitor_record(zone: PrivateDnsZone, record: RecordSet) -> bool:
    if not public_suffix(zone.origin).startswith("blob."):
        return True
    owners = endpoints_by_address(zone.estate)
    return (
        record.label.lower() == _SOLUTION_PACKS
        or record.fqdn(zone.origin) in claims(zone.estate)
        or any(address in owners for address in record.addresses)
    )


def _wrong(zone: PrivateDnsZone, claimed: tuple[Claim, ...], address: str) -> str | None:
    """Return what is wrong with a record's address, None where it is right."""
    holders = [claim.endpoint for claim in claimed if address in claim.addresses]
    if holders:
        return _overwritten(zone, claimed, holders)
    owners = endpoints_by_address(zone.estate).get(address, ())
    if owners:
        names = ", ".join(f"private endpoint {_named(owner)}" for owner in owners)
        return f"overwritten or made by hand: the address of {names}, which does not serve this name there"
    require_endpoints_read(zone.estate)
    require_place_read(zone.estate, address)
    return "stale: the address of no private endpoint that was read"


def _overwritten(
    zone: PrivateDnsZone, claimed: tuple[Claim, ...], holders: list[PrivateEndpoint]
) -> str | None:
    """Return what a record does to another endpoint that keeps its records in the same zone.

    Nothing, if the scope it leads to has all members of the other endpoint's scope.
    """
    reached = [scope for holder in holders for scope in scopes_of(holder)]
    for claim in claimed:
        if claim.endpoint in holders or zone.key not in zones_written(claim.endpoint):
            continue
        for other in scopes_of(claim.endpoint):
            if all(lacking(scope, other) for scope in reached):
                return (
                    f"overwritten by private endpoint {_named(holders[0])}, which lacks members of scope "
                    f"{other.label!r} of private endpoint {claim.endpoint.label!r}"
                )
    return None


def _named(endpoint: PrivateEndpoint) -> str:
    scopes = ", ".join(repr(scope.label) for scope in scopes_of(endpoint))
    return f"{endpoint.label!r} (scope {scopes or 'unknown'})"


def _right(claimed: tuple[Claim, ...]) -> str:
    if not claimed:
        return "no such record: no private endpoint that was read serves this name"
    return " or ".join(
        f"{', '.join(claim.addresses) or 'an address'} of private endpoint {_named(claim.endpoint)}"
        for claim in claimed
    )


def _on_record(zone: PrivateDnsZone, record: RecordSet, expected: str, observed: str) -> Finding:
    return on_zone(
        zone,
        f"A record {record.label}",
        expected=expected,
        observed=observed,
        evidence=az_rest(record),
        tokens={"record": record.label},
    )


# ------------------------------------------------------------------- AMPLS305


def empty_zone_findings(zone: PrivateDnsZone) -> Iterator[Finding]:
    """Report a zone that has links and no address record, where clients ask for its names."""
    links = zone.virtual_network_links
    if not links:
        raise NotApplicable(f"zone {zone.label!r} is linked to no network")
    if any(zone.address_records.values()):
        return
    strict = [link for link in links if not link.falls_back_to_internet]
    if not strict:
        raise NotApplicable(
            f"every link of zone {zone.label!r} falls back to the internet; AMPLS302 judges records"
        )
    asked = _asked_for(zone)
    if asked is None:
        raise NotApplicable(f"zone {zone.label!r} is empty, and nothing that was read has a name in it")
    yield on_zone(
        zone,
        "A records",
        expected=f"records for {asked}, or no link",
        observed=f"no address record, and links to {_networks(strict)}: NXDOMAIN for every name there",
        tokens={"link": strict[0].label},
    )


def _networks(links: list[VirtualNetworkLink]) -> str:
    ids = (link.properties.virtual_network for link in links)
    return ", ".join(repr(ResourceId.parse(part.id).name) for part in ids if part is not None and part.id)


def _asked_for(zone: PrivateDnsZone) -> str | None:
    """Return what clients ask the zone for, None where nothing is known that they would.

    The shared names are aliases of privatelink names for everybody; a workspace's own names only once it is in
    a scope.
    """
    suffix = public_suffix(zone.origin)
    if suffix.startswith("monitor."):
        return f"the names that all clients share (api.{suffix}, global.handler.control.{suffix} …)"
    served = sorted(name for name in claims(zone.estate) if name.endswith("." + zone.origin))
    if served:
        return f"{len(served)} names of private endpoints, such as {served[0]}"
    if suffix.startswith("blob."):
        return None
    members = [space.label for space in zone.estate.all(Workspace) if space.scopes]
    return f"the workspaces in private link scopes ({', '.join(members)})" if members else None
