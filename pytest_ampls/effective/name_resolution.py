"""What the machines of a VNet are answered, and why: computed from zones, links, records and DNS servers.

Peering never shares zones. What counts is the VNet in which Azure-provided DNS is asked in the end
(:mod:`pytest_ampls.effective.dns_path`), and what is linked there.

Source: https://learn.microsoft.com/azure/private-link/private-endpoint-dns-integration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from pytest_ampls.effective.dns_path import (
    AZURE_PROVIDED_DNS,
    LinkedZone,
    behind,
    first_asked,
    forwarded_to,
    is_complete,
    linked_zone,
    resolving_networks,
    rules_for,
    rules_of,
)
from pytest_ampls.effective.zone_content import look_up, zone_addresses
from pytest_ampls.effective.zones import (
    SHARED_LABELS,
    monitor_zones,
    private_name,
    public_suffix,
    relative_name,
    zone_of,
)
from pytest_ampls.errors import NotReadError
from pytest_ampls.model.dns_resolver import ForwardingRule
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.monitor import PrivateLinkScope
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone, VirtualNetworkLink
from pytest_ampls.model.resource import key

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

_LONGEST: Final = 16
"""Aliases that are followed before a chain counts as a circle; real ones have a handful."""


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
    LOOP = "circle"
    """Forwarding rules or aliases lead back to where they began: no answer (SERVFAIL)."""


class ComputedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a network is answered for a name, by configuration.

    ``addresses`` are those of the private record; a public answer's are not known. ``zone`` is the linked
    zone that decides, None for a public answer. ``reason`` says why, as a phrase. ``chain`` holds the names from
    the asked one through every alias that is known; a public answer may go on from there.
    """

    status: AnswerStatus
    addresses: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    zone: PrivateDnsZone | None = None
    reason: str = ""


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


# ------------------------------------------------------------------- what a name is answered


def answers(network: VirtualNetwork, fqdn: str) -> ComputedAnswer:
    """Return what a network is answered for a public name, by configuration.

    The public name is taken to be an alias of its privatelink name. That holds for the shared names of
    Azure Monitor always, and for a resource's own names once the resource is in a private link scope.

    Raises:
        EvidenceError: what decides was not read completely, a DNS server leads elsewhere, or the answer
            depends on something that is not documented.
    """
    return _from_each(first_asked(network), fqdn)


def answers_by(network: VirtualNetwork, servers: Iterable[str], fqdn: str) -> ComputedAnswer:
    """Return what a machine of a network is answered that has DNS servers of its own.

    Raises:
        EvidenceError: as :func:`answers`.
    """
    return _from_each(behind(network, servers), fqdn)


def _from_each(asked: Iterable[VirtualNetwork], fqdn: str) -> ComputedAnswer:
    name = fqdn.rstrip(".").lower()
    found = [(via, answer) for via in asked for answer in _from_azure(via, name, frozenset())]
    first = found[0][1]
    if len({_meaning(answer) for _, answer in found}) == 1:
        return first
    reasons = dict.fromkeys(f"by {via.label}: {answer.status}, {answer.reason}" for via, answer in found)
    return ComputedAnswer(
        status=AnswerStatus.MIXED,
        addresses=tuple({address: None for _, answer in found for address in answer.addresses}),
        chain=(name,),
        reason="; ".join(reasons),
    )


def _meaning(answer: ComputedAnswer) -> tuple[AnswerStatus, frozenset[str]]:
    """Return what a client sees of an answer: it cannot tell by which way it became public."""
    public = answer.status is AnswerStatus.FALLBACK
    return AnswerStatus.PUBLIC if public else answer.status, frozenset(answer.addresses)


def _from_azure(via: VirtualNetwork, name: str, seen: frozenset[str]) -> list[ComputedAnswer]:
    """Return what Azure-provided DNS of one VNet answers: several, where rules name servers that disagree.

    Documented is that rules are held against the name that is asked for. Whether the names that it is an
    alias of are looked up in zones and rules again, once a rule has forwarded it or none has, is not: where
    that makes a difference there is no answer to rely on.
    """
    if via.key in seen:
        reason = f"the forwarding rules of virtual network {via.label!r} lead back to it"
        return [ComputedAnswer(status=AnswerStatus.LOOP, chain=(name,), reason=reason)]
    plain = _walk(via, (name,), seen, again=False)
    if not rules_of(via):
        return plain
    again = _walk(via, (name,), seen, again=True)
    if {_meaning(answer) for answer in plain} == {_meaning(answer) for answer in again}:
        return plain
    raise NotReadError(
        f"what virtual network {via.label!r} is answered for {name} depends on whether the rulesets linked to it "
        f"apply to the names that a name is an alias of, which is not documented: {plain[0].status} if not "
        f"({plain[0].reason}), {again[0].status} if so ({again[0].reason}). Ask a machine's DNS server instead "
        f"(--ampls-resolver={via.label}=ADDRESS)"
    )


def _walk(
    via: VirtualNetwork, chain: tuple[str, ...], seen: frozenset[str], *, again: bool
) -> list[ComputedAnswer]:
    """Follow the last name of a chain; ``again`` says whether rules apply to what a name is an alias of."""
    asked = chain[-1]
    if len(chain) > _LONGEST:
        names = dict.fromkeys(chain)
        reason = f"its aliases lead in a circle: {', '.join(names)}"
        return [ComputedAnswer(status=AnswerStatus.LOOP, chain=tuple(names), reason=reason)]
    zone = linked_zone(via, asked)
    if zone is not None:
        held = look_up(zone.zone, asked)
        found, alias = _from_zone(zone, via, asked), held.alias if held else None
    elif rules := rules_for(via, asked) if again or len(chain) == 1 else ():
        return _forwarded(via, rules, chain, seen, again=again)
    else:
        found, alias = _public(via, asked), _public_alias(via, asked)
    if alias is not None:
        return _walk(via, (*chain, alias), seen, again=again)
    return [msgspec.structs.replace(found, chain=chain)]


def _forwarded(
    via: VirtualNetwork,
    rules: Iterable[ForwardingRule],
    chain: tuple[str, ...],
    seen: frozenset[str],
    *,
    again: bool,
) -> list[ComputedAnswer]:
    """Return what the targets of rules answer for the last name of a chain."""
    found: list[ComputedAnswer] = []
    for target in forwarded_to(via, rules):
        for answer in _from_azure(target, chain[-1], seen | {via.key}):
            if again and len(answer.chain) > 1:
                found += _walk(via, (*chain, answer.chain[1]), seen, again=True)
            else:
                found.append(msgspec.structs.replace(answer, chain=(*chain[:-1], *answer.chain)))
    return found


def _public_alias(via: VirtualNetwork, name: str) -> str | None:
    """Return the privatelink name that a public name of Azure Monitor is an alias of."""
    origin = zone_of(name, via.estate.snapshot.cloud)
    if origin is None or name == origin or name.endswith("." + origin):
        return None
    return private_name(name, origin)


def _public(via: VirtualNetwork, name: str) -> ComputedAnswer:
    origin = zone_of(name, via.estate.snapshot.cloud)
    return ComputedAnswer(
        status=AnswerStatus.PUBLIC,
        chain=(name,),
        reason=f"no zone {origin or 'of this name'!r} is linked to virtual network {via.label!r}",
    )


def _from_zone(seen: LinkedZone, via: VirtualNetwork, name: str) -> ComputedAnswer:
    zone = seen.zone
    where = f"zone {zone.label!r}, linked to virtual network {via.label!r},"
    held = look_up(zone, name)
    label = relative_name(name, zone.origin)
    if held is not None and held.addresses:
        status, reason = AnswerStatus.RECORD, f"has the record {label!r}"
    elif held is not None:
        status, reason = AnswerStatus.NODATA, f"has {label!r} without an address"
    elif seen.link.falls_back_to_internet:
        fallback = f"the link {seen.link.label!r} falls back to the internet"
        status, reason = AnswerStatus.FALLBACK, f"has no record {label!r}, and {fallback}"
    else:
        status, reason = AnswerStatus.NXDOMAIN, f"has no record {label!r}"
    return ComputedAnswer(
        status=status,
        addresses=held.addresses if held else (),
        chain=(name,),
        zone=zone,
        reason=f"{where} {reason}",
    )


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
    places = (network, *resolving_networks(network))
    near = tuple(endpoint for endpoint in found if any(can_route(place, endpoint) for place in places))
    if not near:
        network.estate.all(PrivateEndpoint)  # one that could not be read may have the address
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
