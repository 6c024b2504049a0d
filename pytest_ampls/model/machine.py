"""What every machine has: an identity, extensions, associations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pytest_ampls.model.associations import config_endpoint_association, require_object, rule_of
from pytest_ampls.model.monitor import (
    DataCollectionEndpoint,
    DataCollectionRule,
    DataCollectionRuleAssociation,
)
from pytest_ampls.model.network import VirtualNetwork, virtual_network_id
from pytest_ampls.model.resource import Part, Resource, key

__all__ = [
    "AGENT_TYPES",
    "ArcMachineExtension",
    "Extension",
    "ExtensionProperties",
    "Identity",
    "Machine",
    "StorageProfile",
    "VirtualMachineExtension",
    "networks_of",
    "os_type_of",
]

_AGENT_PUBLISHER = "microsoft.azure.monitor"
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
        return (self.properties.publisher or "").lower() == _AGENT_PUBLISHER and (
            self.properties.type or ""
        ).lower() in {kind.lower() for kind in AGENT_TYPES.values()}


class OsDisk(Part, frozen=True, kw_only=True):
    """The disk that tells the operating system."""

    os_type: str | None = None


class StorageProfile(Part, frozen=True, kw_only=True):
    """Disks of a machine."""

    os_disk: OsDisk | None = None


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
        """The data collection endpoint that the agent fetches its configuration from, None where it has none.

        Raises:
            EvidenceError: associations or endpoints were not read, or the association does not say what it holds.
        """
        association = self.config_endpoint_association
        if association is None:
            return None
        require_object(association)
        return association.endpoint

    @property
    def data_collection_rules(self) -> tuple[DataCollectionRule, ...]:
        """The rules it is associated with that exist, each once.

        Raises:
            EvidenceError: associations or rules were not read, or an association does not say what it holds.
        """
        found: dict[str, DataCollectionRule] = {}
        for association in self.associations:
            rule = rule_of(association)
            if rule is not None:
                found.setdefault(rule.key, rule)
        return tuple(found.values())


def os_type_of(profile: StorageProfile | None) -> str | None:
    """Return ``linux`` or ``windows``, None where the disks do not say."""
    disk = profile.os_disk if profile else None
    return disk.os_type.lower() if disk and disk.os_type else None


def networks_of(subnet_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of the VNets that subnets belong to, each once."""
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
