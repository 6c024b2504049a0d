"""Links and records of private DNS zones: what is missing, stale, overwritten or empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from pytest_ampls.assertions.dns_answer import on_zone
from pytest_ampls.catalogue import Finding, Fix, NotApplicable, az_rest
from pytest_ampls.effective.boundaries import lacking, zones_written
from pytest_ampls.effective.dns_path import first_asked, rules_of
from pytest_ampls.effective.name_resolution import (
    endpoints_by_address,
    is_complete,
    resolving_networks,
    scopes_of,
    zone_addresses,
    zones_seen,
)
from pytest_ampls.effective.public_zones import Taken, names_taken
from pytest_ampls.effective.records import (
    Claim,
    claims,
    require_endpoints_read,
    require_place_read,
    require_zone_known,
    zones_holding,
)
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.effective.zones import SHARED_LABELS, public_suffix
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.monitor import PrivateLinkScope, Workspace
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone, RecordSet, VirtualNetworkLink
from pytest_ampls.model.resource import ResourceId, needed

__all__ = ["SAME_MEMBERS", "empty_zone_findings", "member_tokens", "record_findings", "zone_link_findings"]

_SOLUTION_PACKS: Final = "scadvisorcontentpl"
"""The only name of Azure Monitor in the blob zone, which storage accounts share."""

SAME_MEMBERS: Final = Fix(
    az="az monitor private-link-scope scoped-resource create --name <member> --scope-name <scope> "
    "--resource-group <scope-resource-group> --linked-resource <member-id>  # or keep one scope",
    terraform='azurerm_monitor_private_link_scoped_service { scope_name = "<scope>", '
    'linked_resource_id = "<member-id>" }',
    bicep="Microsoft.Insights/privateLinkScopes/scopedResources '<scope>/<member>': "
    "properties.linkedResourceId: '<member-id>'",
)
"""Mends two scopes whose endpoints write to the same zone: a record set right lasts until the other writes again."""


def member_tokens(scope: PrivateLinkScope, member: str) -> dict[str, str]:
    """Return what :data:`SAME_MEMBERS` needs to know: the scope, and the id of what it lacks."""
    return {
        "scope": scope.label,
        "scope-resource-group": scope.resource_group,
        "member": ResourceId.parse(member).name,
        "member-id": member,
    }


# ------------------------------------------------------------------- AMPLS301


def zone_link_findings(
    network: VirtualNetwork, origin: str, scopes: Iterable[PrivateLinkScope]
) -> Iterator[Finding]:
    """Report each VNet that resolves for a network and does not see the zone."""
    deciding = resolving_networks(network, public_suffix(origin))
    if not deciding:
        yield Finding.on(
            network,
            f"zone {origin}",
            expected=f"forwarding rules that lead to a network with the zone {origin}",
            observed="forwarding rules that lead in a circle: no answer at all",
            tokens={"zone": origin},
        )
    yield from each(deciding, lambda via: _missing_in(network, via, origin, scopes))


def _missing_in(
    network: VirtualNetwork, via: VirtualNetwork, origin: str, scopes: Iterable[PrivateLinkScope]
) -> Iterator[Finding]:
    if all(via.key != seen.via.key for seen in zones_seen(network).get(origin, ())):
        _require_zones_read(origin, scopes)
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
    for taken in names_taken(via, origin, scopes):
        yield _on_taken(network, via, origin, taken)


def _on_taken(network: VirtualNetwork, via: VirtualNetwork, origin: str, taken: Taken) -> Finding:
    """Report a private zone of a public name: it answers, and nobody comes to the privatelink zone."""
    answer, more = taken.answer, len(taken.names) - 1
    seen = ", ".join(answer.addresses) or answer.status
    return Finding.on(
        network,
        f"zone {origin}",
        expected=f"names in {public_suffix(origin)} answered from the zone {origin}",
        observed=f"private DNS zone {taken.zone.label!r}, linked to {_role(network, via)}, takes them: {seen} for "
        f"{taken.names[0]}{f' (and {more} more like this)' if more else ''}",
        evidence=az_rest(taken.zone, VirtualNetworkLink.ARM_TYPE),
        tokens={"zone": origin, "network": via.label, "network-id": via.id},
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


def _require_zones_read(origin: str, scopes: Iterable[PrivateLinkScope]) -> None:
    """Make sure that a zone which an endpoint keeps its records in was read: it may be the linked one."""
    for scope in scopes:
        for endpoint in scope.private_endpoints:
            require_zone_known(endpoint, origin)
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
                yield _on_record(zone, record, _right(claimed, address), address, observed)
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


class _Wrong(NamedTuple):
    """What is wrong with an address, as a phrase; and which scope lacks which member, where that is what to mend."""

    phrase: str
    scope: PrivateLinkScope | None = None
    member: str = ""


def _wrong(zone: PrivateDnsZone, claimed: tuple[Claim, ...], address: str) -> _Wrong | None:
    """Return what is wrong with a record's address, None where it is right."""
    holders = [claim.endpoint for claim in claimed if address in claim.addresses]
    if holders:
        return _left_behind(zone, claimed, holders) or _overwritten(zone, claimed, holders)
    owners = endpoints_by_address(zone.estate).get(address, ())
    if owners:
        names = ", ".join(f"private endpoint {_named(owner)}" for owner in owners)
        return _Wrong(
            f"overwritten or made by hand: the address of {names}, which does not serve this name there"
        )
    require_endpoints_read(zone.estate)
    require_place_read(zone.estate, address)
    return _Wrong("stale: the address of no private endpoint that was read")


def _left_behind(
    zone: PrivateDnsZone, claimed: tuple[Claim, ...], holders: list[PrivateEndpoint]
) -> _Wrong | None:
    """Return that a record leads to an endpoint without an approved connection, where another one took its place.

    Of an endpoint that is alone the record is right: the connection is to be approved, and AMPLS201 says so.
    """
    if any(_cut_off(holder) is None for holder in holders):
        return None
    scopes = {scope.key for holder in holders for scope in scopes_of(holder)}
    for other in (claim.endpoint for claim in claimed):
        concerned = scopes & {scope.key for scope in scopes_of(other)} or zone.key in zones_written(other)
        if concerned and _cut_off(other) is None:
            return _Wrong(
                f"left behind: the address of private endpoint {_named(holders[0])}, whose connection is "
                f"{_cut_off(holders[0])}, while that of private endpoint {other.label!r} is approved"
            )
    return None


def _cut_off(endpoint: PrivateEndpoint) -> str | None:
    """Return the status of an endpoint's connection, as the endpoint has it, None where it is Approved."""
    path = "properties.privateLinkServiceConnections[].properties.privateLinkServiceConnectionState.status"
    states = (part.properties.private_link_service_connection_state for part in endpoint.connections)
    found = [needed(state.status if state else None, endpoint, path) for state in states]
    return None if any(status.lower() == "approved" for status in found) else ", ".join(found)


def _overwritten(
    zone: PrivateDnsZone, claimed: tuple[Claim, ...], holders: list[PrivateEndpoint]
) -> _Wrong | None:
    """Return what a record does to another endpoint that keeps its records in the same zone.

    Nothing, if the scope it leads to has all members of the other endpoint's scope.
    """
    reached = [scope for holder in holders for scope in scopes_of(holder)]
    for claim in claimed:
        if claim.endpoint in holders or zone.key not in zones_written(claim.endpoint):
            continue
        for other in scopes_of(claim.endpoint):
            missing = [(scope, lacking(scope, other)) for scope in reached]
            if all(members for _, members in missing):
                scope, members = missing[0] if missing else (None, ("",))
                return _Wrong(
                    f"overwritten by private endpoint {_named(holders[0])}, which lacks members of scope "
                    f"{other.label!r} of private endpoint {claim.endpoint.label!r}",
                    scope,
                    members[0],
                )
    return None


def _named(endpoint: PrivateEndpoint) -> str:
    scopes = ", ".join(repr(scope.label) for scope in scopes_of(endpoint))
    return f"{endpoint.label!r} (scope {scopes or 'unknown'})"


def _right(claimed: tuple[Claim, ...], wrong: str) -> str:
    """Return what a record should hold instead of a wrong address, which an endpoint may have all the same."""
    if not claimed:
        return "no such record: no private endpoint that was read serves this name"
    return " or ".join(
        f"{', '.join(claim.addresses) or 'an address'} of private endpoint {_named(claim.endpoint)}"
        for claim in [each for each in claimed if wrong not in each.addresses] or claimed
    )


def _on_record(
    zone: PrivateDnsZone, record: RecordSet, expected: str, address: str, wrong: _Wrong
) -> Finding:
    lacks = member_tokens(wrong.scope, wrong.member) if wrong.scope is not None else {}
    return on_zone(
        zone,
        f"A record {record.label}",
        expected=expected,
        observed=f"{address}, {wrong.phrase}",
        evidence=az_rest(record),
        tokens={"record": record.label, **lacks},
        fix=SAME_MEMBERS if lacks else None,
    )


# ------------------------------------------------------------------- AMPLS305


def empty_zone_findings(zone: PrivateDnsZone) -> Iterator[Finding]:
    """Report a zone that has links and no address record that helps, where clients ask for its names."""
    links = zone.virtual_network_links
    if not links:
        raise NotApplicable(f"zone {zone.label!r} is linked to no network")
    if _has_records(zone):
        return
    strict = [link for link in links if not link.falls_back_to_internet]
    if not strict:
        raise NotApplicable(
            f"every link of zone {zone.label!r} falls back to the internet; AMPLS302 judges records"
        )
    asked = _asked_for(zone)
    if asked is None:
        raise NotApplicable(f"zone {zone.label!r} is empty, and nothing that was read has a name in it")
    others = sum(1 for addresses in zone.address_records.values() if addresses)
    held = f"{others} address records, none of a shared name" if others else "no address record"
    yield on_zone(
        zone,
        "A records",
        expected=f"records for {asked}, or no link",
        observed=f"{held}, and links to {_networks(strict)}: NXDOMAIN for every {'other ' if others else ''}name there",
        tokens={"link": strict[0].label},
    )


def _has_records(zone: PrivateDnsZone) -> bool:
    """Tell whether a zone has addresses for what clients ask it for: the monitor zone for a shared name at least.

    Every client asks for the shared names, whoever has a private endpoint. Where an endpoint keeps its records in the
    zone, those that are missing are told one by one, by AMPLS302.
    """
    has_some = any(zone.address_records.values())
    if not has_some or not public_suffix(zone.origin).startswith("monitor."):
        return has_some
    return any(zone_addresses(zone, f"{label}.{zone.origin}") for label in SHARED_LABELS) or any(
        zone.key == own.key
        for endpoint in zone.estate.private_endpoints
        for own in zones_holding(endpoint, zone.origin)
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
