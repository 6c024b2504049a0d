"""Networks and private endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from pytest_ampls.model.monitor import ConnectionState, IdReference
from pytest_ampls.model.private_dns import PrivateDnsZoneGroup, VirtualNetworkLink
from pytest_ampls.model.resource import Part, Resource, key

if TYPE_CHECKING:
    from pytest_ampls.model.estate import Estate

_SUBNET: Final = re.compile(r"(.+)/subnets/[^/]*/?", re.IGNORECASE)

__all__ = [
    "NetworkInterface",
    "PrivateEndpoint",
    "Subnet",
    "VirtualNetwork",
    "virtual_network_id",
]


def virtual_network_id(subnet_id: str) -> str:
    """Return the id of the VNet that a subnet belongs to."""
    found = _SUBNET.fullmatch(subnet_id)
    return found[1] if found is not None else subnet_id


def _networks(prefixes: Iterable[str]) -> tuple[IPv4Network, ...]:
    found = []
    for prefix in prefixes:
        try:
            found.append(IPv4Network(prefix, strict=False))
        except (AddressValueError, NetmaskValueError, ValueError):
            continue  # IPv6 prefixes: private endpoints of Azure Monitor have IPv4 addresses
    return tuple(found)


class SubnetProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a subnet: one prefix, or several under the other key.

    ``ip_configurations`` are of everything that takes addresses in it: load balancers and scale sets included.
    """

    address_prefix: str | None = None
    address_prefixes: tuple[str, ...] | None = None
    ip_configurations: tuple[IdReference, ...] | None = None
    private_endpoint_network_policies: str | None = None
    network_security_group: IdReference | None = None


class Subnet(Part, frozen=True, kw_only=True):
    """A subnet inside a VNet's document."""

    properties: SubnetProperties
    id: str | None = None
    name: str | None = None

    @property
    def prefixes(self) -> tuple[IPv4Network, ...]:
        """The IPv4 prefixes of the subnet."""
        single = self.properties.address_prefix
        return _networks([single] if single else self.properties.address_prefixes or ())


class PeeringProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a peering, seen from one side."""

    remote_virtual_network: IdReference | None = None
    peering_state: str | None = None
    allow_virtual_network_access: bool | None = None


class Peering(Part, frozen=True, kw_only=True):
    """A peering inside a VNet's document."""

    properties: PeeringProperties
    name: str | None = None


class AddressSpace(Part, frozen=True, kw_only=True):
    """Address prefixes of a VNet."""

    address_prefixes: tuple[str, ...] | None = None


class DhcpOptions(Part, frozen=True, kw_only=True):
    """DNS servers that a VNet hands to its machines; none means Azure-provided DNS."""

    dns_servers: tuple[str, ...] | None = None


class VirtualNetworkProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a VNet."""

    address_space: AddressSpace | None = None
    dhcp_options: DhcpOptions | None = None
    subnets: tuple[Subnet, ...] | None = None
    virtual_network_peerings: tuple[Peering, ...] | None = None


class VirtualNetwork(Resource, frozen=True, kw_only=True):
    """A virtual network (VNet)."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/virtualNetworks"
    NOUN: ClassVar[str] = "virtual network"

    properties: VirtualNetworkProperties

    @property
    def dns_servers(self) -> tuple[str, ...]:
        """The custom DNS servers; empty where Azure-provided DNS is used."""
        options = self.properties.dhcp_options
        return (options.dns_servers or ()) if options else ()

    @property
    def prefixes(self) -> tuple[IPv4Network, ...]:
        """The IPv4 address space."""
        space = self.properties.address_space
        return _networks((space.address_prefixes or ()) if space else ())

    def holds(self, address: str) -> bool:
        """Tell whether an IPv4 address lies in the address space."""
        try:
            return any(IPv4Address(address) in prefix for prefix in self.prefixes)
        except AddressValueError:
            return False

    def subnet(self, subnet_id: str) -> Subnet | None:
        """Return a subnet by id, None where the VNet has none of that id."""
        return next(
            (part for part in self.properties.subnets or () if part.id and key(part.id) == key(subnet_id)),
            None,
        )

    @property
    def peers(self) -> tuple[str, ...]:
        """The ids of the VNets it is peered with in state Connected."""
        peerings = (part.properties for part in self.properties.virtual_network_peerings or ())
        return tuple(
            part.remote_virtual_network.id
            for part in peerings
            if (part.peering_state or "").lower() == "connected"
            and part.remote_virtual_network is not None
            and part.remote_virtual_network.id
        )

    @property
    def zone_links(self) -> tuple[VirtualNetworkLink, ...]:
        """The links, of the zones that were read, to this VNet."""
        return self.estate.zone_links(self)


class LinkServiceConnectionProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a connection as the private endpoint sees it."""

    private_link_service_id: str | None = None
    group_ids: tuple[str, ...] | None = None
    private_link_service_connection_state: ConnectionState | None = None
    provisioning_state: str | None = None


class LinkServiceConnection(Part, frozen=True, kw_only=True):
    """A connection as the private endpoint sees it."""

    properties: LinkServiceConnectionProperties
    name: str | None = None


class CustomDnsConfig(Part, frozen=True, kw_only=True):
    """A public name and the private addresses it should be answered with."""

    fqdn: str | None = None
    ip_addresses: tuple[str, ...] | None = None


class PrivateEndpointProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a private endpoint: its connection is in one of two arrays."""

    provisioning_state: str | None = None
    subnet: IdReference | None = None
    network_interfaces: tuple[IdReference, ...] | None = None
    private_link_service_connections: tuple[LinkServiceConnection, ...] | None = None
    manual_private_link_service_connections: tuple[LinkServiceConnection, ...] | None = None
    custom_dns_configs: tuple[CustomDnsConfig, ...] | None = None


class PrivateEndpoint(Resource, frozen=True, kw_only=True):
    """A private endpoint. Only those of Azure Monitor private link scopes are judged."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/privateEndpoints"
    NOUN: ClassVar[str] = "private endpoint"

    properties: PrivateEndpointProperties

    @property
    def connections(self) -> tuple[LinkServiceConnection, ...]:
        """Its connections, approved automatically or by hand."""
        parts = self.properties
        return (
            *(parts.private_link_service_connections or ()),
            *(parts.manual_private_link_service_connections or ()),
        )

    @property
    def service_keys(self) -> frozenset[str]:
        """The ids, in comparable form, of what it connects to."""
        ids = (connection.properties.private_link_service_id for connection in self.connections)
        return frozenset(key(service) for service in ids if service)

    @property
    def is_azure_monitor(self) -> bool:
        """Tell whether it connects to a private link scope."""
        return any(
            "/providers/microsoft.insights/privatelinkscopes/" in service for service in self.service_keys
        )

    @property
    def virtual_network_id(self) -> str | None:
        """The id of the VNet it is in."""
        subnet = self.properties.subnet
        return virtual_network_id(subnet.id) if subnet and subnet.id else None

    @property
    def zone_groups(self) -> tuple[PrivateDnsZoneGroup, ...]:
        """Its DNS zone groups (Azure allows one)."""
        return self.estate.children(PrivateDnsZoneGroup, self)

    @property
    def interfaces(self) -> tuple[NetworkInterface, ...]:
        """Its network interfaces that exist."""
        ids = (reference.id for reference in self.properties.network_interfaces or ())
        found = (self.estate.get(NetworkInterface, nic) for nic in ids if nic)
        return tuple(nic for nic in found if nic is not None)

    @property
    def members(self) -> dict[str, tuple[str, ...]]:
        """Every public name it serves with the private addresses, from its interfaces, then its DNS configs.

        Names are lower case, without a trailing dot. The interface is the first source because
        ``customDnsConfigs`` is empty while the endpoint is updated, and may be empty with a zone group.
        """
        return dict(self.estate.once(_members, self))

    @property
    def addresses(self) -> frozenset[str]:
        """Every private address it has."""
        return self.estate.once(_addresses, self)


def _members(_estate: Estate, endpoint: PrivateEndpoint) -> dict[str, tuple[str, ...]]:
    """Return what an endpoint serves; a scope may have thousands of members, and every rule asks."""
    found: dict[str, list[str]] = {}
    for nic in endpoint.interfaces:
        for name, address in nic.member_addresses:
            found.setdefault(name, []).append(address)
    for config in endpoint.properties.custom_dns_configs or ():
        name = (config.fqdn or "").rstrip(".").lower()
        if name and name not in found:
            found[name] = list(config.ip_addresses or ())
    return {name: tuple(dict.fromkeys(addresses)) for name, addresses in found.items()}


def _addresses(_estate: Estate, endpoint: PrivateEndpoint) -> frozenset[str]:
    own = {address for nic in endpoint.interfaces for address in nic.addresses}
    return frozenset(own.union(*endpoint.members.values()))


class LinkConnectionProperties(Part, frozen=True, kw_only=True):
    """What an address of a private endpoint's interface stands for."""

    group_id: str | None = None
    required_member_name: str | None = None
    fqdns: tuple[str, ...] | None = None


class IpConfigurationProperties(Part, frozen=True, kw_only=True):
    """``properties`` of an address of an interface."""

    private_ip_address: str | None = msgspec.field(default=None, name="privateIPAddress")
    subnet: IdReference | None = None
    private_link_connection_properties: LinkConnectionProperties | None = None


class IpConfiguration(Part, frozen=True, kw_only=True):
    """An address of an interface."""

    properties: IpConfigurationProperties
    name: str | None = None


class InterfaceDnsSettings(Part, frozen=True, kw_only=True):
    """DNS servers of one interface: they take the place of its VNet's; none means the VNet's."""

    dns_servers: tuple[str, ...] | None = None


class NetworkInterfaceProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a network interface."""

    dns_settings: InterfaceDnsSettings | None = None
    ip_configurations: tuple[IpConfiguration, ...] | None = None
    virtual_machine: IdReference | None = None
    private_endpoint: IdReference | None = None
    network_security_group: IdReference | None = None


class NetworkInterface(Resource, frozen=True, kw_only=True):
    """A network interface (NIC) of a machine or of a private endpoint."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Network/networkInterfaces"
    NOUN: ClassVar[str] = "network interface"

    properties: NetworkInterfaceProperties

    @property
    def dns_servers(self) -> tuple[str, ...]:
        """The DNS servers of its own, in place of the VNet's; empty where the VNet's are used."""
        settings = self.properties.dns_settings
        return (settings.dns_servers or ()) if settings else ()

    @property
    def subnet_ids(self) -> tuple[str, ...]:
        """The subnets its addresses are in, each once."""
        found: dict[str, str] = {}
        for part in self.properties.ip_configurations or ():
            subnet = part.properties.subnet
            if subnet is not None and subnet.id:
                found.setdefault(key(subnet.id), subnet.id)
        return tuple(found.values())

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its private addresses."""
        found = (part.properties.private_ip_address for part in self.properties.ip_configurations or ())
        return tuple(address for address in found if address)

    @property
    def member_addresses(self) -> tuple[tuple[str, str], ...]:
        """Pairs of public name and private address, for a private endpoint's interface."""
        return tuple(
            (name.rstrip(".").lower(), part.properties.private_ip_address)
            for part in self.properties.ip_configurations or ()
            if part.properties.private_link_connection_properties is not None
            and part.properties.private_ip_address
            for name in part.properties.private_link_connection_properties.fqdns or ()
        )
