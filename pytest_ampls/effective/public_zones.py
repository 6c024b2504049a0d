"""Private zones of public names: linked to a network, they answer before any alias to a privatelink name is seen.

Source: https://learn.microsoft.com/azure/dns/private-dns-overview; the zone with the longest name answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pytest_ampls.effective.computed_answer import ComputedAnswer, answers_by
from pytest_ampls.effective.dns_path import AZURE_PROVIDED_DNS, linked_zone, linked_zones
from pytest_ampls.effective.records import addresses_for, zone_for
from pytest_ampls.effective.zones import public_suffix
from pytest_ampls.model.monitor import PrivateLinkScope
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone

__all__ = ["Taken", "names_taken"]


class Taken(NamedTuple):
    """A private zone that answers public names in its own way: the names, and what the first one is answered."""

    zone: PrivateDnsZone
    names: tuple[str, ...]
    answer: ComputedAnswer


def names_taken(via: VirtualNetwork, origin: str, scopes: Iterable[PrivateLinkScope]) -> Iterator[Taken]:
    """Yield what Azure-provided DNS of a VNet answers from zones of public names, and endpoints have otherwise.

    Names are those of the scopes' endpoints whose privatelink zone is ``origin``. A zone that has the endpoints' own
    addresses for them takes nothing.

    Raises:
        EvidenceError: zones, links, records, endpoints or interfaces were not read completely.
    """
    if not any(_is_of(suffix, origin) for suffix in linked_zones(via)):
        return  # as a rule; and a scope may have thousands of names
    found: dict[str, tuple[PrivateDnsZone, dict[str, ComputedAnswer]]] = {}
    for endpoint, fqdn in _names(origin, scopes):
        linked = linked_zone(via, fqdn)
        if linked is None:
            continue
        answer = answers_by(via, (AZURE_PROVIDED_DNS,), fqdn)
        if not answer.addresses or not addresses_for(endpoint, fqdn).issuperset(answer.addresses):
            found.setdefault(linked.zone.key, (linked.zone, {}))[1].setdefault(fqdn, answer)
    for zone, wrong in found.values():
        yield Taken(zone, tuple(wrong), next(iter(wrong.values())))


def _is_of(zone: str, origin: str) -> bool:
    """Tell whether a linked zone is one of public names of a privatelink zone's domain."""
    suffix = public_suffix(origin)
    nested = suffix == zone or suffix.endswith("." + zone) or zone.endswith("." + suffix)
    return nested and not zone.startswith("privatelink.")


def _names(origin: str, scopes: Iterable[PrivateLinkScope]) -> Iterator[tuple[PrivateEndpoint, str]]:
    for scope in scopes:
        for endpoint in scope.private_endpoints:
            for fqdn in endpoint.members:
                if zone_for(endpoint, fqdn) == origin:
                    yield endpoint, fqdn
