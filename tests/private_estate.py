"""A hub with a private endpoint and two spokes: the estate that every networking rule holds on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_ampls.model import (
    Estate,
    PrivateDnsZone,
    PrivateEndpoint,
    PrivateLinkScope,
    ResourceId,
    VirtualMachine,
    VirtualNetwork,
    Workspace,
)

from .builders import (
    AMPLS,
    CONNECTIONS,
    CUSTOMER,
    DCES,
    ENDPOINTS,
    LINK_RESOURCES,
    MEMBERS,
    NICS,
    PRIVATE_ZONES,
    RECORDS,
    VMS,
    VNETS,
    WORKSPACES,
    ZONE_GROUPS,
    ZONE_LINKS,
    Blueprint,
    Document,
    resource_id,
)


class NetworkBlueprint(Blueprint):
    """A blueprint that knows the parts of a private network."""

    def vnet(
        self,
        name: str,
        prefix: str,
        *,
        dns: Iterable[str] = (),
        peers: Iterable[str] = (),
        **subnets: str,
    ) -> Document:
        """Add a VNet with subnets by name, peered (Connected) with others."""
        identifier = resource_id(VNETS, name)
        return self.add(
            VNETS,
            identifier,
            {
                "addressSpace": {"addressPrefixes": [prefix]},
                "dhcpOptions": {"dnsServers": list(dns)},
                "subnets": [
                    {
                        "id": f"{identifier}/subnets/{part}",
                        "name": part,
                        "properties": {"addressPrefix": addresses},
                    }
                    for part, addresses in subnets.items()
                ],
                "virtualNetworkPeerings": [
                    {
                        "name": f"to-{peer}",
                        "properties": {
                            "remoteVirtualNetwork": {"id": resource_id(VNETS, peer)},
                            "peeringState": "Connected",
                        },
                    }
                    for peer in peers
                ],
            },
            location="westeurope",
        )

    def zone(
        self, origin: str, *, links: Iterable[str] = (), records: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        """Add a private DNS zone with links to VNets and A records by relative name."""
        identifier = resource_id(PRIVATE_ZONES, origin)
        self.add(PRIVATE_ZONES, identifier, {"provisioningState": "Succeeded"}, location="global")
        for network in links:
            self.link(origin, network)
        for label, addresses in (records or {}).items():
            self.record(origin, label, *addresses)

    def link(self, origin: str, network: str, **properties: Any) -> Document:
        """Add a link of a zone to a VNet."""
        return self.add(
            ZONE_LINKS,
            resource_id(PRIVATE_ZONES, origin, "virtualNetworkLinks", network),
            {
                "virtualNetwork": {"id": resource_id(VNETS, network)},
                "virtualNetworkLinkState": "Completed",
                "registrationEnabled": False,
                **properties,
            },
            location="global",
        )

    def record(self, origin: str, label: str, *addresses: str) -> Document:
        """Add an A record set, or replace it."""
        return self.add(
            RECORDS,
            resource_id(PRIVATE_ZONES, origin, "A", label),
            {
                "fqdn": f"{label}.{origin}.",
                "ttl": 10,
                "aRecords": [{"ipv4Address": address} for address in addresses],
            },
        )

    def endpoint(self, name: str, scope: str, subnet: str, members: Mapping[str, tuple[str, str]]) -> None:
        """Add an approved private endpoint of a scope, with its interface and the scope's side of it.

        ``subnet`` is ``vnet/subnet``; ``members`` is required member name to public name and address.
        """
        network, _, part = subnet.partition("/")
        place = {"id": f"{resource_id(VNETS, network)}/subnets/{part}"}
        state = {"status": "Approved", "description": "Auto-Approved", "actionsRequired": "None"}
        nic = resource_id(NICS, f"{name}.nic")
        self.add(
            ENDPOINTS,
            resource_id(ENDPOINTS, name),
            {
                "provisioningState": "Succeeded",
                "subnet": place,
                "networkInterfaces": [{"id": nic}],
                "privateLinkServiceConnections": [
                    {
                        "name": name,
                        "properties": {
                            "provisioningState": "Succeeded",
                            "privateLinkServiceId": resource_id(AMPLS, scope),
                            "groupIds": ["azuremonitor"],
                            "privateLinkServiceConnectionState": dict(state),
                        },
                    }
                ],
                "manualPrivateLinkServiceConnections": [],
                "customDnsConfigs": [
                    {"fqdn": fqdn, "ipAddresses": [address]} for fqdn, address in members.values()
                ],
            },
            location="westeurope",
        )
        self._interface(name, place, members)
        self.add(
            CONNECTIONS,
            resource_id(AMPLS, scope, "privateEndpointConnections", f"{name}.connection").lower(),
            {
                "provisioningState": "Succeeded",
                "privateEndpoint": {"id": resource_id(ENDPOINTS, name).lower()},
                "privateLinkServiceConnectionState": dict(state),
            },
        )

    def _interface(self, name: str, place: Document, members: Mapping[str, tuple[str, str]]) -> None:
        """Add the interface of a private endpoint."""
        nic = resource_id(NICS, f"{name}.nic")
        self.add(
            NICS,
            nic,
            {
                "privateEndpoint": {"id": resource_id(ENDPOINTS, name)},
                "ipConfigurations": [
                    {
                        "name": member,
                        "properties": {
                            "privateIPAddress": address,
                            "subnet": place,
                            "privateLinkConnectionProperties": {
                                "groupId": "azuremonitor",
                                "requiredMemberName": member,
                                "fqdns": [fqdn],
                            },
                        },
                    }
                    for member, (fqdn, address) in members.items()
                ],
            },
            location="westeurope",
        )

    def zone_group(self, endpoint: str, records: Mapping[str, Mapping[str, str]]) -> Document:
        """Add the zone group of an endpoint: zone to relative record name to address, as it wrote them."""
        return self.add(
            ZONE_GROUPS,
            resource_id(ENDPOINTS, endpoint, "privateDnsZoneGroups", "default"),
            {
                "provisioningState": "Succeeded",
                "privateDnsZoneConfigs": [
                    {
                        "name": origin.replace(".", "-"),
                        "properties": {
                            "privateDnsZoneId": resource_id(PRIVATE_ZONES, origin),
                            "recordSets": [
                                {
                                    "recordType": "A",
                                    "recordSetName": label,
                                    "fqdn": f"{label}.{origin}",
                                    "ipAddresses": [address],
                                }
                                for label, address in written.items()
                            ],
                        },
                    }
                    for origin, written in records.items()
                ],
            },
        )

    def scope(
        self,
        name: str,
        members: Iterable[str] = (),
        *,
        required: Iterable[str] = (),
        zones: Iterable[str] = (),
    ) -> None:
        """Add a private link scope with scoped resources (ids), required members and required zones."""
        self.add(
            AMPLS,
            resource_id(AMPLS, name).lower().replace("resourcegroups", "resourceGroups"),
            {
                "provisioningState": "Succeeded",
                "accessModeSettings": {
                    "queryAccessMode": "PrivateOnly",
                    "ingestionAccessMode": "PrivateOnly",
                },
            },
            location="global",
        )
        for member in members:
            label = ResourceId.parse(member).name
            self.add(
                MEMBERS,
                resource_id(AMPLS, name, "scopedResources", label),
                {"linkedResourceId": member.lower(), "provisioningState": "Succeeded"},
            )
        self.add(
            LINK_RESOURCES,
            resource_id(AMPLS, name, "privateLinkResources", "azuremonitor").lower(),
            {"groupId": "azuremonitor", "requiredMembers": list(required), "requiredZoneNames": list(zones)},
        )

    def vm(self, name: str, subnet: str, address: str) -> None:
        """Add a Linux virtual machine with one interface in ``vnet/subnet``."""
        network, _, part = subnet.partition("/")
        nic = resource_id(NICS, f"{name}-nic")
        place = {"id": f"{resource_id(VNETS, network)}/subnets/{part}"}
        self.add(
            NICS,
            nic,
            {
                "ipConfigurations": [
                    {"name": "ipconfig1", "properties": {"privateIPAddress": address, "subnet": place}}
                ]
            },
        )
        self.add(
            VMS,
            resource_id(VMS, name),
            {
                "storageProfile": {"osDisk": {"osType": "Linux"}},
                "networkProfile": {"networkInterfaces": [{"id": nic}]},
            },
            location="westeurope",
        )


MONITOR = "privatelink.monitor.azure.com"
OMS = "privatelink.oms.opinsights.azure.com"
ODS = "privatelink.ods.opinsights.azure.com"
AGENTSVC = "privatelink.agentsvc.azure-automation.net"
BLOB = "privatelink.blob.core.windows.net"
DCE_HOST = "dce-ab12.westeurope-1"

PLACES: Mapping[str, tuple[str, str]] = {
    "api": (MONITOR, "api"),
    "dce-global": (MONITOR, "global.handler.control"),
    "dce-config": (MONITOR, f"{DCE_HOST}.handler.control"),
    "dce-logs": (MONITOR, f"{DCE_HOST}.ingest"),
    f"oms-{CUSTOMER}": (OMS, CUSTOMER),
    f"ods-{CUSTOMER}": (ODS, CUSTOMER),
    f"agent-{CUSTOMER}": (AGENTSVC, CUSTOMER),
    "agentsolutionpackstore": (BLOB, "scadvisorcontentpl"),
}
"""Required member name to the zone and the relative name of its record, in :func:`private_estate`."""


def member_name(member: str) -> str:
    """Return the public name of a member of :func:`private_estate`."""
    zone, label = PLACES[member]
    return f"{label}.{zone.removeprefix('privatelink.')}"


def member_addresses(first: int = 68, network: str = "192.168.0") -> dict[str, str]:
    """Return member to address, in sequence."""
    return {member: f"{network}.{first + number}" for number, member in enumerate(PLACES)}


def private_estate() -> NetworkBlueprint:
    """Return a hub with the private endpoint of scope ``ampls``, and two spokes with a machine each.

    The five zones are linked to the hub only; the spokes' DNS server, 192.168.0.4, is in the hub. Members:
    workspace ``ws`` and data collection endpoint ``dce``.
    """
    plan = NetworkBlueprint()
    subnets = {"vm": "192.168.0.0/26", "endpoints": "192.168.0.64/26"}
    plan.vnet("hub", "192.168.0.0/24", peers=["spoke1", "spoke2"], **subnets)
    for number in (1, 2):
        plan.vnet(
            f"spoke{number}",
            f"192.168.{number}.0/24",
            dns=["192.168.0.4"],
            peers=["hub"],
            vm=f"192.168.{number}.0/26",
        )
        plan.vm(f"vm{number}", f"spoke{number}/vm", f"192.168.{number}.4")
    workspace, dce = resource_id(WORKSPACES, "ws"), resource_id(DCES, "dce")
    plan.add(WORKSPACES, workspace, {"customerId": CUSTOMER}, location="westeurope")
    plan.add(
        DCES,
        dce,
        {
            "configurationAccess": {"endpoint": f"https://{DCE_HOST}.handler.control.monitor.azure.com"},
            "logsIngestion": {"endpoint": f"https://{DCE_HOST}.ingest.monitor.azure.com"},
        },
        location="westeurope",
    )
    addresses = member_addresses()
    written: dict[str, dict[str, str]] = {}
    for member, (zone, label) in PLACES.items():
        written.setdefault(zone, {})[label] = addresses[member]
    plan.scope("ampls", [workspace, dce], required=PLACES, zones=written)
    plan.endpoint(
        "pe", "ampls", "hub/endpoints", {part: (member_name(part), addresses[part]) for part in PLACES}
    )
    plan.zone_group("pe", written)
    for zone, records in written.items():
        plan.zone(zone, links=["hub"], records={label: [address] for label, address in records.items()})
    return plan


# ------------------------------------------------------------------- resources of an estate, by name


def vnet(estate: Estate, name: str) -> VirtualNetwork:
    """Return a VNet by name."""
    return next(part for part in estate.known(VirtualNetwork) if part.label == name)


def ampls(estate: Estate, name: str = "ampls") -> PrivateLinkScope:
    """Return a private link scope by name."""
    return next(part for part in estate.known(PrivateLinkScope) if part.label == name)


def endpoint(estate: Estate, name: str = "pe") -> PrivateEndpoint:
    """Return a private endpoint by name."""
    return next(part for part in estate.known(PrivateEndpoint) if part.label == name)


def zone(estate: Estate, origin: str) -> PrivateDnsZone:
    """Return a private DNS zone by origin."""
    return next(part for part in estate.known(PrivateDnsZone) if part.origin == origin)


def workspace(estate: Estate, name: str = "ws") -> Workspace:
    """Return a workspace by name."""
    return next(part for part in estate.known(Workspace) if part.label == name)


def vm(estate: Estate, name: str = "vm1") -> VirtualMachine:
    """Return a virtual machine by name."""
    return next(part for part in estate.known(VirtualMachine) if part.label == name)
