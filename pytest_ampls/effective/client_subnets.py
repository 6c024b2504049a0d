"""Where machines connect from: subnets, the addresses in use there, and the filters on the way out."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import NamedTuple

import msgspec

from pytest_ampls.errors import DocumentError
from pytest_ampls.model.compute import VirtualMachine, VirtualMachineScaleSet
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import IdReference
from pytest_ampls.model.network import NetworkInterface, Subnet, VirtualNetwork, virtual_network_id
from pytest_ampls.model.resource import Resource, ResourceId, key, needed

__all__ = ["ClientSubnet", "Place", "client_subnets", "group_id", "places_of"]


def group_id(reference: IdReference | None, holder: Resource, where: str) -> str | None:
    """Return the id of the network security group that a part of a document names, None where it names none.

    Raises:
        DocumentError: there is one, and the document does not say which.
    """
    if reference is None:
        return None
    return needed(reference.id, holder, f"{where}.properties.networkSecurityGroup.id".removeprefix("."))


class ClientSubnet(msgspec.Struct, frozen=True, kw_only=True):
    """Machines of one subnet whose interfaces have the same network security group, or none.

    ``addresses`` are their IPv4 addresses. Those of a Uniform scale set's instances are not read: for them it is
    the whole of the subnet. ``interface_group`` is the id of the interfaces' own network security group.
    """

    subnet_id: str
    interface_group: str | None
    addresses: tuple[IPv4Network, ...]

    @property
    def network_id(self) -> str:
        """The id of the VNet."""
        return virtual_network_id(self.subnet_id)

    @property
    def label(self) -> str:
        """How people call it: VNet and subnet."""
        network, subnet = (
            ResourceId.parse(self.network_id).name,
            self.subnet_id.rstrip("/").rpartition("/")[2],
        )
        return f"{network}/{subnet}"

    def place(self, network: VirtualNetwork) -> Subnet:
        """Return the subnet inside its VNet's document.

        Raises:
            DocumentError: the VNet has no such subnet.
        """
        return needed(network.subnet(self.subnet_id), network, f"the subnet {self.subnet_id}")


def client_subnets(estate: Estate) -> tuple[ClientSubnet, ...]:
    """Return the subnets that machines are in.

    Raises:
        EvidenceError: interfaces, scale sets or VNets were not read completely.
    """
    return estate.once(_client_subnets)


def _client_subnets(estate: Estate) -> tuple[ClientSubnet, ...]:
    found: dict[tuple[str, str], list[IPv4Network]] = {}
    names: dict[str, str] = {}
    for subnet, group, address in (*_of_interfaces(estate), *_of_scale_sets(estate)):
        names.setdefault(key(subnet), subnet)
        found.setdefault((key(subnet), key(group or "")), []).append(address)
    return tuple(
        ClientSubnet(
            subnet_id=names[subnet],
            interface_group=group or None,
            addresses=tuple(dict.fromkeys(addresses)),
        )
        for (subnet, group), addresses in found.items()
    )


def _of_interfaces(estate: Estate) -> Iterator[tuple[str, str | None, IPv4Network]]:
    named = {  # by the machines that were read; the others are told by the interface itself
        key(reference.id)
        for machine in estate.known(VirtualMachine)
        for reference in _references(machine)
        if reference.id
    }
    for nic in estate.all(NetworkInterface):
        holder = nic.properties.virtual_machine
        if (holder is None or not holder.id) and nic.key not in named:
            continue
        own = group_id(nic.properties.network_security_group, nic, "")
        for part in nic.properties.ip_configurations or ():
            subnet, address = part.properties.subnet, part.properties.private_ip_address
            if subnet is None or not subnet.id:
                raise DocumentError(f"{nic.NOUN} {nic.label!r} ({nic.id}) has an address without a subnet")
            if address and ":" not in address:
                yield subnet.id, own, _address(nic, address)


def _references(machine: VirtualMachine) -> tuple[IdReference, ...]:
    profile = machine.properties.network_profile
    return (profile.network_interfaces or ()) if profile else ()


def _address(nic: NetworkInterface, address: str) -> IPv4Network:
    try:
        return IPv4Network(address)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise DocumentError(
            f"{nic.NOUN} {nic.label!r} ({nic.id}) has an address that is none: {address!r}"
        ) from None


def _of_scale_sets(estate: Estate) -> Iterator[tuple[str, str | None, IPv4Network]]:
    """Yield the subnets of Uniform sets; instances of Flexible ones have interfaces of their own."""
    for scale_set in estate.all(VirtualMachineScaleSet):
        profile = None if scale_set.is_flexible else scale_set.properties.virtual_machine_profile
        network_profile = profile.network_profile if profile else None
        interfaces = (network_profile.network_interface_configurations or ()) if network_profile else ()
        for interface in interfaces:
            own = group_id(
                interface.properties.network_security_group, scale_set, "networkInterfaceConfigurations[]"
            )
            for part in interface.properties.ip_configurations or ():
                place = part.properties.subnet
                if place is None or not place.id:
                    continue
                network = estate.get(VirtualNetwork, virtual_network_id(place.id))
                if network is None:
                    continue
                subnet = needed(network.subnet(place.id), network, f"the subnet {place.id}")
                for prefix in subnet.prefixes:
                    yield place.id, own, prefix


class Place(NamedTuple):
    """Where a machine connects from: subnet and the interface's own group in comparable form, ``""`` for none.

    ``address`` is None for a Uniform scale set, whose instances may have any of the subnet's.
    """

    subnet: str
    interface_group: str
    address: IPv4Network | None


def places_of(machine: Machine) -> tuple[Place, ...]:
    """Return where a machine connects from, nothing for an Arc machine.

    Raises:
        EvidenceError: its interfaces were not read.
    """
    if isinstance(machine, VirtualMachine):
        nics = (machine.estate.get(NetworkInterface, part.id) for part in _references(machine) if part.id)
        return tuple(place for nic in nics if nic is not None for place in _places_of_interface(nic))
    profile = (
        machine.properties.virtual_machine_profile if isinstance(machine, VirtualMachineScaleSet) else None
    )
    network_profile = profile.network_profile if profile else None
    return tuple(
        Place(key(part.properties.subnet.id), key(own or ""), None)
        for interface in (network_profile.network_interface_configurations or () if network_profile else ())
        for own in (
            group_id(
                interface.properties.network_security_group, machine, "networkInterfaceConfigurations[]"
            ),
        )
        for part in interface.properties.ip_configurations or ()
        if part.properties.subnet is not None and part.properties.subnet.id
    )


def _places_of_interface(nic: NetworkInterface) -> Iterator[Place]:
    own = group_id(nic.properties.network_security_group, nic, "")
    for part in nic.properties.ip_configurations or ():
        subnet, address = part.properties.subnet, part.properties.private_ip_address
        if subnet is not None and subnet.id and address and ":" not in address:
            yield Place(key(subnet.id), key(own or ""), _address(nic, address))
