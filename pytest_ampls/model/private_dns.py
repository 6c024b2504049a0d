"""Private DNS: zones, their links and records, and the zone groups that write records."""

from __future__ import annotations

from typing import ClassVar

from pytest_ampls.model.monitor import IdReference
from pytest_ampls.model.resource import Part, Resource, ResourceId

__all__ = [
    "PrivateDnsZone",
    "PrivateDnsZoneGroup",
    "RecordSet",
    "VirtualNetworkLink",
    "ZoneConfig",
]


class GroupRecordSet(Part, frozen=True, kw_only=True):
    """A record that a zone group wrote."""

    record_type: str | None = None
    record_set_name: str | None = None
    fqdn: str | None = None
    ip_addresses: tuple[str, ...] | None = None


class ZoneConfigProperties(Part, frozen=True, kw_only=True):
    """``properties`` of one zone of a zone group: ``Succeeded`` with no records is possible."""

    private_dns_zone_id: str | None = None
    record_sets: tuple[GroupRecordSet, ...] | None = None


class ZoneConfig(Part, frozen=True, kw_only=True):
    """One zone of a zone group."""

    properties: ZoneConfigProperties
    name: str | None = None


class PrivateDnsZoneGroupProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a zone group."""

    provisioning_state: str | None = None
    private_dns_zone_configs: tuple[ZoneConfig, ...] | None = None


class PrivateDnsZoneGroup(Resource, frozen=True, kw_only=True):
    """The zones that a private endpoint keeps its records in."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
    NOUN: ClassVar[str] = "private DNS zone group"

    properties: PrivateDnsZoneGroupProperties

    @property
    def zone_configs(self) -> tuple[ZoneConfig, ...]:
        """Its zones."""
        return self.properties.private_dns_zone_configs or ()


class PrivateDnsZoneProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a private DNS zone."""

    number_of_record_sets: int | float | None = None
    provisioning_state: str | None = None


class PrivateDnsZone(Resource, frozen=True, kw_only=True):
    """A private DNS zone. Its name, in lower case, is the zone's origin."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/privateDnsZones"
    NOUN: ClassVar[str] = "private DNS zone"

    properties: PrivateDnsZoneProperties = PrivateDnsZoneProperties()

    @property
    def origin(self) -> str:
        """The zone's name in lower case, without a trailing dot: as the id has it, which others refer to."""
        return ResourceId.parse(self.id).name.rstrip(".").lower()

    @property
    def virtual_network_links(self) -> tuple[VirtualNetworkLink, ...]:
        """The VNets that see the zone."""
        return self.estate.children(VirtualNetworkLink, self)

    @property
    def record_sets(self) -> tuple[RecordSet, ...]:
        """All record sets, SOA included."""
        return self.estate.children(RecordSet, self)

    @property
    def address_records(self) -> dict[str, tuple[str, ...]]:
        """Full record name (lower case, no trailing dot) to its IPv4 addresses, for every A record set."""
        return {
            record.fqdn(self.origin): record.addresses for record in self.record_sets if record.is_address
        }


class VirtualNetworkLinkProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a link."""

    virtual_network: IdReference | None = None
    virtual_network_link_state: str | None = None
    registration_enabled: bool | None = None
    resolution_policy: str | None = None
    provisioning_state: str | None = None


class VirtualNetworkLink(Resource, frozen=True, kw_only=True):
    """The link that lets a VNet see a private DNS zone."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
    NOUN: ClassVar[str] = "virtual network link"

    properties: VirtualNetworkLinkProperties

    @property
    def zone(self) -> PrivateDnsZone | None:
        """The zone of the link."""
        parent = ResourceId.parse(self.id).parent
        return self.estate.get(PrivateDnsZone, parent) if parent else None

    @property
    def falls_back_to_internet(self) -> bool:
        """Tell whether a name that the zone lacks is looked up publicly instead of not existing.

        The policy works for privatelink zones only.
        Source: https://learn.microsoft.com/azure/dns/private-dns-fallback.
        """
        parent = ResourceId.parse(self.id).parent or ""
        policy = (self.properties.resolution_policy or "").lower()
        return policy == "nxdomainredirect" and parent.rpartition("/")[2].lower().startswith("privatelink.")


class ARecord(Part, frozen=True, kw_only=True):
    """One address of an A record set."""

    ipv4_address: str | None = None


class CnameRecord(Part, frozen=True, kw_only=True):
    """The target of a CNAME record set."""

    cname: str | None = None


class RecordSetProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a record set; ``ttl`` is in seconds."""

    fqdn: str | None = None
    ttl: int | float | None = None
    a_records: tuple[ARecord, ...] | None = None
    cname_record: CnameRecord | None = None


class RecordSet(Resource, frozen=True, kw_only=True):
    """A record set of a private DNS zone."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/privateDnsZones/recordSets"
    NOUN: ClassVar[str] = "record set"

    type: str = ""
    properties: RecordSetProperties = RecordSetProperties()

    @property
    def is_address(self) -> bool:
        """Tell whether it is an A record set."""
        return (self.type or ResourceId.parse(self.id).type).lower().endswith("/a")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its IPv4 addresses; empty for a record set that was created and never filled."""
        return tuple(record.ipv4_address for record in self.properties.a_records or () if record.ipv4_address)

    def fqdn(self, origin: str) -> str:
        """Return its full name in a zone, lower case, without a trailing dot."""
        return origin if self.label == "@" else f"{self.label}.{origin}".lower()
