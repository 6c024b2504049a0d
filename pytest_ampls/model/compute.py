"""The kinds of machines, their instances, and user-assigned identities."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pytest_ampls.errors import DocumentError
from pytest_ampls.model.machine import (
    ArcMachineExtension,
    Extension,
    Machine,
    StorageProfile,
    VirtualMachineExtension,
    networks_of,
    os_type_of,
)
from pytest_ampls.model.monitor import IdReference
from pytest_ampls.model.network import NetworkInterface
from pytest_ampls.model.power import RUNNING
from pytest_ampls.model.resource import Part, Resource, key, needed

if TYPE_CHECKING:
    from pytest_ampls.model.estate import Estate

__all__ = [
    "ArcMachine",
    "ScaleSetInstance",
    "UserAssignedIdentity",
    "VirtualMachine",
    "VirtualMachineScaleSet",
]


class NetworkProfile(Part, frozen=True, kw_only=True):
    """Interfaces of a VM."""

    network_interfaces: tuple[IdReference, ...] | None = None


class VirtualMachineProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a VM. ``virtual_machine_scale_set`` is set on a Flexible set's instances."""

    storage_profile: StorageProfile | None = None
    network_profile: NetworkProfile | None = None
    virtual_machine_scale_set: IdReference | None = None
    provisioning_state: str | int | None = None


class VirtualMachine(Machine, frozen=True, kw_only=True):
    """A virtual machine; the instances of a Flexible scale set are virtual machines too."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Compute/virtualMachines"
    NOUN: ClassVar[str] = "virtual machine"

    properties: VirtualMachineProperties

    @property
    def os_type(self) -> str | None:
        """``linux`` or ``windows``, None where the document does not say."""
        return os_type_of(self.properties.storage_profile)

    @property
    def extensions(self) -> tuple[VirtualMachineExtension, ...]:
        """Its extensions."""
        return self.estate.children(VirtualMachineExtension, self)

    @property
    def power_state(self) -> str:
        """``running``, ``deallocated``, ``stopped``, ``starting`` … in lower case, as far as it was looked at.

        A machine whose guest answered, or that has a fresh heartbeat, is ``running``: its provider is asked
        for those only that show no life.

        Raises:
            EvidenceError: nobody looked whether it runs, or its state could not be read.
        """
        reading, guest = self.estate.power.of(self), self.estate.observations.guest(self)
        if reading is not None:
            return reading.told()
        if (guest is not None and guest.gap is None) or self.estate.logs.shows_life(self):
            return RUNNING
        raise self.estate.power.unread(self)

    @property
    def scale_set(self) -> VirtualMachineScaleSet | None:
        """The Flexible scale set it is an instance of, None for a machine on its own."""
        reference = self.properties.virtual_machine_scale_set
        if reference is None or not reference.id:
            return None
        return self.estate.get(VirtualMachineScaleSet, reference.id)

    @property
    def virtual_network_ids(self) -> tuple[str, ...]:
        """The ids of the VNets its interfaces are in: one at least, every VM has an interface.

        Raises:
            EvidenceError: an interface was not read or does not exist, or it is not told where the machine is.
        """
        profile = self.properties.network_profile
        ids = [part.id for part in (profile.network_interfaces or () if profile else ()) if part.id]
        subnets: list[str] = []
        for nic_id in ids:
            nic = self.estate.get(NetworkInterface, nic_id)
            if nic is None:
                raise DocumentError(
                    f"virtual machine {self.label!r} ({self.id}) has the interface {nic_id}, which does not exist"
                )
            subnets.extend(nic.subnet_ids)
        what = "a subnet that its interfaces are in" if ids else "a network interface"
        return networks_of(needed(subnets or None, self, what))


class ArcMachineProperties(Part, frozen=True, kw_only=True):
    """``properties`` of an Arc machine."""

    os_type: str | None = None
    os_name: str | None = None
    status: str | None = None


class ArcMachine(Machine, frozen=True, kw_only=True):
    """A machine outside of Azure that Azure Arc manages; it has no VNet."""

    ARM_TYPE: ClassVar[str] = "Microsoft.HybridCompute/machines"
    NOUN: ClassVar[str] = "Arc machine"

    properties: ArcMachineProperties

    @property
    def os_type(self) -> str | None:
        """``linux`` or ``windows``, None where the document does not say."""
        named = self.properties.os_type or self.properties.os_name
        return named.lower() if named else None

    @property
    def extensions(self) -> tuple[VirtualMachineExtension, ...]:
        """Its extensions."""
        return self.estate.children(ArcMachineExtension, self)


class ProfileIpProperties(Part, frozen=True, kw_only=True):
    """Subnet of an address in a scale set's network profile."""

    subnet: IdReference | None = None


class ProfileIpConfiguration(Part, frozen=True, kw_only=True):
    """An address in a scale set's network profile."""

    properties: ProfileIpProperties = ProfileIpProperties()


class ProfileInterfaceProperties(Part, frozen=True, kw_only=True):
    """Addresses of an interface in a scale set's network profile."""

    network_security_group: IdReference | None = None
    ip_configurations: tuple[ProfileIpConfiguration, ...] | None = None


class ProfileInterface(Part, frozen=True, kw_only=True):
    """An interface in a scale set's network profile."""

    properties: ProfileInterfaceProperties = ProfileInterfaceProperties()


class SetNetworkProfile(Part, frozen=True, kw_only=True):
    """Interfaces that instances of a scale set get."""

    network_interface_configurations: tuple[ProfileInterface, ...] | None = None


class ExtensionProfile(Part, frozen=True, kw_only=True):
    """Extensions that instances of a scale set get."""

    extensions: tuple[Extension, ...] | None = None


class VirtualMachineProfile(Part, frozen=True, kw_only=True):
    """What a scale set makes its instances from."""

    storage_profile: StorageProfile | None = None
    network_profile: SetNetworkProfile | None = None
    extension_profile: ExtensionProfile | None = None


class VirtualMachineScaleSetProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a scale set. A set without ``orchestrationMode`` is Uniform."""

    orchestration_mode: str | None = None
    virtual_machine_profile: VirtualMachineProfile | None = None
    provisioning_state: str | int | None = None


class VirtualMachineScaleSet(Machine, frozen=True, kw_only=True):
    """A scale set: Uniform, which carries associations itself, or Flexible, whose instances do."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Compute/virtualMachineScaleSets"
    NOUN: ClassVar[str] = "virtual machine scale set"

    properties: VirtualMachineScaleSetProperties

    @property
    def is_flexible(self) -> bool:
        """Tell whether its orchestration is Flexible."""
        return (self.properties.orchestration_mode or "uniform").lower() == "flexible"

    @property
    def _profile(self) -> VirtualMachineProfile:
        return self.properties.virtual_machine_profile or VirtualMachineProfile()

    @property
    def os_type(self) -> str | None:
        """``linux`` or ``windows``, None where the profile does not say."""
        return os_type_of(self._profile.storage_profile)

    @property
    def extensions(self) -> tuple[Extension, ...]:
        """The extensions of its profile, which new instances get."""
        profile = self._profile.extension_profile
        return (profile.extensions or ()) if profile else ()

    @property
    def virtual_network_ids(self) -> tuple[str, ...]:
        """The ids of the VNets that its profile puts instances in: one at least for a Uniform set.

        Raises:
            DocumentError: it is not told where the instances are.
        """
        network = self._profile.network_profile
        interfaces = (network.network_interface_configurations or ()) if network else ()
        subnets = [
            part.properties.subnet.id
            for interface in interfaces
            for part in interface.properties.ip_configurations or ()
            if part.properties.subnet is not None and part.properties.subnet.id
        ]
        if not self.is_flexible:  # instances of a Flexible one have interfaces of their own
            needed(subnets or None, self, "a subnet in properties.virtualMachineProfile.networkProfile")
        return networks_of(subnets)

    @property
    def instances(self) -> tuple[VirtualMachine, ...] | tuple[ScaleSetInstance, ...]:
        """Its instances: virtual machines of their own for Flexible, children of the set for Uniform."""
        if self.is_flexible:
            return self.estate.once(_instances_by_set).get(self.key, ())
        return self.estate.children(ScaleSetInstance, self)


def _instances_by_set(estate: Estate) -> dict[str, tuple[VirtualMachine, ...]]:
    found: dict[str, list[VirtualMachine]] = {}
    for machine in estate.virtual_machines:
        reference = machine.properties.virtual_machine_scale_set
        if reference is not None and reference.id:
            found.setdefault(key(reference.id), []).append(machine)
    return {scale_set: tuple(machines) for scale_set, machines in found.items()}


class ScaleSetInstanceProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a Uniform scale set's instance; the state is a number in some answers."""

    latest_model_applied: bool | None = None
    provisioning_state: str | int | None = None


class ScaleSetInstance(Resource, frozen=True, kw_only=True):
    """An instance of a Uniform scale set."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"
    NOUN: ClassVar[str] = "scale set instance"

    instance_id: str | None = None
    properties: ScaleSetInstanceProperties = ScaleSetInstanceProperties()


class UserAssignedIdentityProperties(Part, frozen=True, kw_only=True):
    """``properties`` of a user-assigned identity; all three are GUIDs."""

    client_id: str | None = None
    principal_id: str | None = None
    tenant_id: str | None = None


class UserAssignedIdentity(Resource, frozen=True, kw_only=True):
    """A user-assigned managed identity."""

    ARM_TYPE: ClassVar[str] = "Microsoft.ManagedIdentity/userAssignedIdentities"
    NOUN: ClassVar[str] = "user-assigned identity"

    properties: UserAssignedIdentityProperties
