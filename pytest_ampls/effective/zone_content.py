"""What one private zone says about a name: its records, as RFC 1034 §4.3.2 and RFC 4592 read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from pytest_ampls.model.estate import Estate
from pytest_ampls.model.private_dns import PrivateDnsZone, RecordSet

__all__ = ["Held", "look_up", "zone_addresses"]

_LONGEST: Final = 16
"""Aliases that are followed before a chain counts as a circle; real ones have a handful."""


class Held(NamedTuple):
    """What a zone has for a name that exists: addresses, or the name that it is an alias of.

    Neither means NODATA: a record of another type, a record set without an address, or a name that exists
    only because something lies below it.
    """

    addresses: tuple[str, ...] = ()
    alias: str | None = None


class _Content(NamedTuple):
    records: Mapping[str, list[RecordSet]]
    names: frozenset[str]
    """Every name that exists: those of records, and all between them and the zone."""


def look_up(zone: PrivateDnsZone, name: str) -> Held | None:
    """Return what a zone has for a name, None where the name does not exist (NXDOMAIN).

    ``name`` is the full name inside the zone, lower case, without a final dot.

    Raises:
        EvidenceError: the zone's records were not read.
    """
    content = zone.estate.once(_content, zone)
    found = content.records.get(name, [])
    if not found and name not in content.names:
        wildcard = f"*.{_closest(content.names, name, zone.origin)}"
        if wildcard not in content.records:
            return None
        found = content.records[wildcard]
    for part in found:
        alias = part.properties.cname_record
        if alias is not None and alias.cname:
            return Held(alias=alias.cname.rstrip(".").lower())
    return Held(tuple(address for part in found if part.is_address for address in part.addresses))


def _closest(names: frozenset[str], name: str, origin: str) -> str:
    """Return the closest ancestor that exists: only a wildcard right below it can answer (RFC 4592 §3.3.1)."""
    while name != origin and name not in names:
        name = name.partition(".")[2]
    return name


def _content(estate: Estate, zone: PrivateDnsZone) -> _Content:
    del estate
    records: dict[str, list[RecordSet]] = {}
    names = {zone.origin}
    for record in zone.record_sets:
        name = record.fqdn(zone.origin)
        records.setdefault(name, []).append(record)
        while name not in names:
            names.add(name)
            name = name.partition(".")[2]
    return _Content(records, frozenset(names))


def zone_addresses(zone: PrivateDnsZone, name: str) -> tuple[str, ...] | None:
    """Return the addresses that a zone itself gives for a name: empty for NODATA, None for NXDOMAIN.

    ``name`` is the full name inside the zone. Aliases are followed inside the zone; one that leads out of
    it gives no address here.

    Raises:
        EvidenceError: the zone's records were not read.
    """
    asked = name.rstrip(".").lower()
    for _ in range(_LONGEST):
        held = look_up(zone, asked)
        if held is None:
            return None
        if held.alias is None:
            return held.addresses
        if not held.alias.endswith("." + zone.origin):
            return ()
        asked = held.alias
    return ()
