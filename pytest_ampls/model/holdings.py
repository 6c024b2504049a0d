"""The collections of an estate: every resource of a kind, or an error where some could not be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from pytest_ampls.model.compute import ArcMachine, VirtualMachine, VirtualMachineScaleSet
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import (
    ApplicationInsights,
    DataCollectionEndpoint,
    DataCollectionRule,
    PrivateLinkScope,
    Workspace,
)
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone
from pytest_ampls.model.resource import Resource, needed

__all__ = ["Holdings"]

R = TypeVar("R", bound=Resource)


class Holdings(ABC):
    """What an estate holds. A collection that is not whole raises :class:`~pytest_ampls.errors.EvidenceError`."""

    @abstractmethod
    def all(self, cls: type[R]) -> tuple[R, ...]:
        """Return every resource of a class.

        Raises:
            EvidenceError: a listing of the class failed, so the answer would be incomplete.
        """

    @property
    def private_link_scopes(self) -> tuple[PrivateLinkScope, ...]:
        """Every private link scope."""
        return self.all(PrivateLinkScope)

    @property
    def workspaces(self) -> tuple[Workspace, ...]:
        """Every Log Analytics workspace."""
        return self.all(Workspace)

    @property
    def application_insights(self) -> tuple[ApplicationInsights, ...]:
        """Every Application Insights component."""
        return self.all(ApplicationInsights)

    @property
    def data_collection_endpoints(self) -> tuple[DataCollectionEndpoint, ...]:
        """Every data collection endpoint."""
        return self.all(DataCollectionEndpoint)

    @property
    def data_collection_rules(self) -> tuple[DataCollectionRule, ...]:
        """Every data collection rule."""
        return self.all(DataCollectionRule)

    @property
    def virtual_machines(self) -> tuple[VirtualMachine, ...]:
        """Every virtual machine, instances of Flexible scale sets included."""
        return self.all(VirtualMachine)

    @property
    def scale_sets(self) -> tuple[VirtualMachineScaleSet, ...]:
        """Every scale set."""
        return self.all(VirtualMachineScaleSet)

    @property
    def arc_machines(self) -> tuple[ArcMachine, ...]:
        """Every Arc machine."""
        return self.all(ArcMachine)

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Everything that carries associations: VMs, Arc machines, Uniform scale sets."""
        uniform = (scale_set for scale_set in self.scale_sets if not scale_set.is_flexible)
        return (*self.virtual_machines, *self.arc_machines, *uniform)

    @property
    def virtual_networks(self) -> tuple[VirtualNetwork, ...]:
        """Every VNet."""
        return self.all(VirtualNetwork)

    @property
    def private_endpoints(self) -> tuple[PrivateEndpoint, ...]:
        """Every private endpoint of an Azure Monitor private link scope.

        Raises:
            EvidenceError: endpoints were not read, or one of them does not tell what it connects to.
        """
        path = "any properties.privateLinkServiceConnections[].properties.privateLinkServiceId"
        found = []
        for endpoint in self.all(PrivateEndpoint):
            if endpoint.is_azure_monitor:
                found.append(endpoint)
            else:
                needed(endpoint.service_keys or None, endpoint, path)
        return tuple(found)

    @property
    def private_dns_zones(self) -> tuple[PrivateDnsZone, ...]:
        """Every private DNS zone."""
        return self.all(PrivateDnsZone)

    @property
    def client_networks(self) -> tuple[VirtualNetwork, ...]:
        """The VNets that machines are in."""
        found: dict[str, VirtualNetwork] = {}
        for machine in (*self.virtual_machines, *self.scale_sets):
            for network in machine.virtual_networks:
                found.setdefault(network.key, network)
        return tuple(found.values())
