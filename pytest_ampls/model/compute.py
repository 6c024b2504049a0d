"""Machines, their agents and their identities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_ampls.errors import DocumentError
from pytest_ampls.model.associations import config_endpoint_association
from pytest_ampls.model.monitor import (
    DataCollectionEndpoint,
    DataCollectionRule,
    DataCollectionRuleAssociation,
    IdReference,
)
from pytest_ampls.model.network import NetworkInterface, VirtualNetwork, virtual_network_id
from pytest_ampls.model.resource import Part, Resource, key

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AGENT_TYPES",
    "ArcMachine",
    "Extension",
    "Identity",
    "Machine",
    "ScaleSetInstance",
    "UserAssignedIdentity",
    "VirtualMachine",
    "VirtualMachineExtension",
    "VirtualMachineScaleSet",
]

AGENT_PUBLISHER = "microsoft.azure.monitor"
AGENT_TYPES: Mapping[str, str] = {"linux": "AzureMonitorLinuxAgent", "windows": "AzureMonitorWindowsAgent"}
"""Operating system to the type of the Azure Monitor Agent's extension; its name varies and proves nothing."""


class Identity(Part, frozen=True, kw_only=True):
    """The managed identities of a machine. ARM writes ``SystemAssigned, UserAssigned`` for both."""

    type: str | None = None
    principal_id: str | None = None
    user_assigned_identities: Mapping[str, Any] | None = None

    @property
    def has_system_assigned(self) -> bool:
        """Tell whether the system-assigned identity is on."""
        return "systemassigned" in (self.type or "").replace(" ", "").lower().split(",")

    @property
    def user_assigned_ids(self) -> tuple[str, ...]:
        """The resource ids of the user-assigned identities."""
        return tuple(self.user_assigned_identities or ())


class ExtensionProperties(Part, frozen=True, kw_only=True):
    """``properties`` of an extension. Protected settings never leave Azure and are not read."""

    publisher: str | None = None
    type: str | None = None
    type_handler_version: str | None = None
    enable_automatic_upgrade: bool | None = None
    provisioning_state: str | int | None = None
    settings: Mapping[str, Any] | None = None


class Extension(Part, frozen=True, kw_only=True):
    """An extension, of a machine or in a scale set's profile."""

    name: str | None = None
    properties: ExtensionProperties = ExtensionProperties()

    @property
    def is_agent(self) -> bool:
        """Tell whether it is the Azure Monitor Agent, by publisher and type."""
        return (self.properties.publisher or "").lower() == AGENT_PUBLISHER and (
            self.properties.type or ""
        ).lower() in {kind.lower() for kind in AGENT_TYPES.values()}


class OsDisk(Part, frozen=True, kw_only=True):
    """The disk that tells the operating system."""

    os_type: str | None = None


class StorageProfile(Part, frozen=True, kw_only=True):
    """Disks of a machine."""

    os_disk: OsDisk | None = None


class NetworkProfile(Part, frozen=True, kw_only=True):
    """Interfaces of a VM."""

    network_interfaces: tuple[IdReference, ...] | None = None


class Machine(Resource, frozen=True, kw_only=True, eq=False):
    """A machine that the agent runs on: a VM, an Arc machine, or a Uniform scale set as a whole."""

    identity: Identity | None = None

    @property
    def os_type(self) -> str | None:
        """``linux`` or ``windows``, None where the document does not say."""
        return None

    @property
    def extensions(self) -> tuple[Extension | VirtualMachineExtension, ...]:
        """Its extensions."""
        return ()

    @property
    def virtual_network_ids(self) -> tuple[str, ...]:
        """The ids of the VNets it is in, each once; empty for a machine outside of Azure."""
        return ()

    @property
    def virtual_networks(self) -> tuple[VirtualNetwork, ...]:
        """The VNets it is in that exist."""
        found = (self.estate.get(VirtualNetwork, network) for network in self.virtual_network_ids)
        return tuple(network for network in found if network is not None)

    @property
    def agents(self) -> tuple[Extension | VirtualMachineExtension, ...]:
        """The Azure Monitor Agent's extensions, of whichever operating system."""
        return tuple(extension for extension in self.extensions if extension.is_agent)

    @property
    def associations(self) -> tuple[DataCollectionRuleAssociation, ...]:
        """Its associations with data collection rules and endpoints."""
        return self.estate.associations_of(self)

    @property
    def config_endpoint_association(self) -> DataCollectionRuleAssociation | None:
        """The association with exactly the reserved name, whatever it holds."""
        return config_endpoint_association(self.associations)

    @property
    def config_endpoint(self) -> DataCollectionEndpoint | None:
        """The data collection endpoint that the agent fetches its configuration from."""
        association = self.config_endpoint_association
        return association.endpoint if association is not None else None

    @property
    def data_collection_rules(self) -> tuple[DataCollectionRule, ...]:
        """The rules it is associated with that exist, each once."""
        found: dict[str, DataCollectionRule] = {}
        for association in self.associations:
            rule = association.rule
            if rule is not None:
                found.setdefault(rule.key, rule)
        return tuple(found.values())


def _os_type(profile: StorageProfile | None) -> str | None:
    disk = profile.os_disk if profile else None
    return disk.os_type.lower() if disk and disk.os_type else None


def _networks_of(subnet_ids: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for subnet in subnet_ids:
        network = virtual_network_id(subnet)
        found.setdefault(key(network), network)
    return tuple(found.values())


class VirtualMachineExtension(Resource, frozen=True, kw_only=True):
    """An extension of a VM or an Arc machine."""

    ARM_TYPE: ClassVar[str] = "Microsoft.Compute/virtualMachines/extensions"
    NOUN: ClassVar[str] = "VM extension"

    properties: ExtensionProperties

    @property
    def is_agent(self) -> bool:
        """Tell whether it is the Azure Monitor Agent, by publisher and type."""
        return Extension(name=self.name, properties=self.properties).is_agent


class ArcMachineExtension(VirtualMachineExtension, frozen=True, kw_only=True):
    """An extension of an Arc machine."""

    ARM_TYPE: ClassVar[str] = "Microsoft.HybridCompute/machines/extensions"


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
        return _os_type(self.properties.storage_profile)

    @property
    def extensions(self) -> tuple[VirtualMachineExtension, ...]:
        """Its extensions."""
        return self.estate.children(VirtualMachineExtension, self)

    @property
    def scale_set(self) -> VirtualMachineScaleSet | None:
        """The Flexible scale set it is an instance of, None for a machine on its own."""
        reference = self.properties.virtual_machine_scale_set
        if reference is None or not reference.id:
            return None
        return self.estate.get(VirtualMachineScaleSet, reference.id)

    @property
    def virtual_network_ids(self) -> tuple[str, ...]:
        """The ids of the VNets its interfaces are in."""
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
        return _networks_of(subnets)


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
        return _os_type(self._profile.storage_profile)

    @property
    def extensions(self) -> tuple[Extension, ...]:
        """The extensions of its profile, which new instances get."""
        profile = self._profile.extension_profile
        return (profile.extensions or ()) if profile else ()

    @property
    def virtual_network_ids(self) -> tuple[str, ...]:
        """The ids of the VNets that its profile puts instances in."""
        network = self._profile.network_profile
        interfaces = (network.network_interface_configurations or ()) if network else ()
        subnets = [
            part.properties.subnet.id
            for interface in interfaces
            for part in interface.properties.ip_configurations or ()
            if part.properties.subnet is not None and part.properties.subnet.id
        ]
        return _networks_of(subnets)

    @property
    def instances(self) -> tuple[VirtualMachine, ...] | tuple[ScaleSetInstance, ...]:
        """Its instances: virtual machines of their own for Flexible, children of the set for Uniform."""
        if self.is_flexible:
            return tuple(
                vm
                for vm in self.estate.virtual_machines
                if vm.properties.virtual_machine_scale_set is not None
                and key(vm.properties.virtual_machine_scale_set.id or "") == self.key
            )
        return self.estate.children(ScaleSetInstance, self)


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
