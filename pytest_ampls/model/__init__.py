"""Plain frozen data: one class per ARM type, what was observed, and the estate that joins them."""

from __future__ import annotations

from pytest_ampls.model.compute import (
    ArcMachine,
    ScaleSetInstance,
    UserAssignedIdentity,
    VirtualMachine,
    VirtualMachineScaleSet,
)
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import Answer, Gap, GapKind, Reading, Snapshot, Subscription, VantagePoint
from pytest_ampls.model.machine import Machine, VirtualMachineExtension
from pytest_ampls.model.monitor import (
    ApplicationInsights,
    DataCollectionEndpoint,
    DataCollectionRule,
    DataCollectionRuleAssociation,
    PrivateEndpointConnection,
    PrivateLinkResource,
    PrivateLinkScope,
    ScopedResource,
    Workspace,
)
from pytest_ampls.model.network import NetworkInterface, PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone, PrivateDnsZoneGroup, RecordSet, VirtualNetworkLink
from pytest_ampls.model.resource import Resource, ResourceId
from pytest_ampls.model.vantage import Resolver

__all__ = [
    "Answer",
    "ApplicationInsights",
    "ArcMachine",
    "DataCollectionEndpoint",
    "DataCollectionRule",
    "DataCollectionRuleAssociation",
    "Estate",
    "Gap",
    "GapKind",
    "Machine",
    "NetworkInterface",
    "PrivateDnsZone",
    "PrivateDnsZoneGroup",
    "PrivateEndpoint",
    "PrivateEndpointConnection",
    "PrivateLinkResource",
    "PrivateLinkScope",
    "Reading",
    "RecordSet",
    "Resolver",
    "Resource",
    "ResourceId",
    "ScaleSetInstance",
    "ScopedResource",
    "Snapshot",
    "Subscription",
    "UserAssignedIdentity",
    "VantagePoint",
    "VirtualMachine",
    "VirtualMachineExtension",
    "VirtualMachineScaleSet",
    "VirtualNetwork",
    "VirtualNetworkLink",
    "Workspace",
]
