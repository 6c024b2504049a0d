"""What a name is answered in a VNet: by which zone, rule or public alias, with the reason as a phrase.

Source: https://learn.microsoft.com/azure/dns/dns-private-resolver-overview.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from pytest_ampls.effective.dns_path import (
    LinkedZone,
    behind,
    first_asked,
    forwarded_to,
    linked_zone,
    rules_for,
    rules_of,
)
from pytest_ampls.effective.zone_content import look_up
from pytest_ampls.effective.zones import private_name, relative_name, zone_in
from pytest_ampls.errors import NotReadError
from pytest_ampls.model.dns_resolver import ForwardingRule
from pytest_ampls.model.network import VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone

__all__ = ["AnswerStatus", "ComputedAnswer", "answers", "answers_by", "meaning"]

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
    if len({meaning(answer) for _, answer in found}) == 1:
        return first
    reasons = dict.fromkeys(f"by {via.label}: {answer.status}, {answer.reason}" for via, answer in found)
    return ComputedAnswer(
        status=AnswerStatus.MIXED,
        addresses=tuple({address: None for _, answer in found for address in answer.addresses}),
        chain=(name,),
        reason="; ".join(reasons),
    )


def meaning(answer: ComputedAnswer) -> tuple[AnswerStatus, frozenset[str]]:
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
    if {meaning(answer) for answer in plain} == {meaning(answer) for answer in again}:
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
    origin = zone_in(via.estate, name)
    if origin is None or name == origin or name.endswith("." + origin):
        return None
    return private_name(name, origin)


def _public(via: VirtualNetwork, name: str) -> ComputedAnswer:
    origin = zone_in(via.estate, name)
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
