"""Documents of networks and private DNS as their providers send them."""

from __future__ import annotations

from typing import Any

from pytest_ampls.lab.estate.site import Site, entity_tag, weak_entity_tag
from pytest_ampls.lab.ids import name_of
from pytest_ampls.lab.store import Document, guid

__all__ = [
    "RECORD_TTL",
    "address_record",
    "peer",
    "private_dns_zone",
    "start_of_authority",
    "virtual_network",
    "zone_link",
]

RECORD_TTL = 10
"""Seconds; what the platform writes for a private endpoint's records."""


def virtual_network(
    site: Site, name: str, prefix: str, subnets: dict[str, str], dns_servers: tuple[str, ...] = ()
) -> Document:
    """Return a VNet; ``subnets`` maps names to prefixes.

    Without DNS servers of its own a VNet has no ``dhcpOptions`` at all.
    """
    network_id = site.id("Microsoft.Network/virtualNetworks", name)
    tag = weak_entity_tag(network_id)
    properties: dict[str, Any] = {
        "provisioningState": "Succeeded",
        "resourceGuid": guid("vnet", network_id),
        "addressSpace": {"addressPrefixes": [prefix]},
    }
    if dns_servers:
        properties["dhcpOptions"] = {"dnsServers": list(dns_servers)}
    properties["subnets"] = [
        {
            "name": subnet,
            "id": f"{network_id}/subnets/{subnet}",
            "etag": tag,
            "properties": {
                "provisioningState": "Succeeded",
                "addressPrefix": subnet_prefix,
                "delegations": [],
                "privateEndpointNetworkPolicies": "Disabled",
                "privateLinkServiceNetworkPolicies": "Enabled",
            },
            "type": "Microsoft.Network/virtualNetworks/subnets",
        }
        for subnet, subnet_prefix in subnets.items()
    ]
    properties["virtualNetworkPeerings"] = []
    properties["enableDdosProtection"] = False
    return {
        "name": name,
        "id": network_id,
        "etag": tag,
        "type": "Microsoft.Network/virtualNetworks",
        "location": site.location,
        "tags": {},
        "properties": properties,
    }


def _peering(local: Document, remote: Document, name: str) -> dict[str, Any]:
    space = remote["properties"]["addressSpace"]
    peering_id = f"{local['id']}/virtualNetworkPeerings/{name}"
    return {
        "name": name,
        "id": peering_id,
        "etag": weak_entity_tag(peering_id),
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": guid("peering", *sorted((local["id"], remote["id"]))),
            "peeringState": "Connected",
            "peeringSyncLevel": "FullyInSync",
            "remoteVirtualNetwork": {"id": remote["id"]},
            "allowVirtualNetworkAccess": True,
            "allowForwardedTraffic": True,
            "allowGatewayTransit": False,
            "useRemoteGateways": False,
            "doNotVerifyRemoteGateways": False,
            "peerCompleteVnets": True,
            "remoteAddressSpace": {"addressPrefixes": list(space["addressPrefixes"])},
            "remoteVirtualNetworkAddressSpace": {"addressPrefixes": list(space["addressPrefixes"])},
        },
        "type": "Microsoft.Network/virtualNetworks/virtualNetworkPeerings",
    }


def peer(one: Document, other: Document) -> None:
    """Peer two VNets in both directions."""
    for local, remote in ((one, other), (other, one)):
        name = f"{local['name']}to{remote['name']}"
        local["properties"]["virtualNetworkPeerings"].append(_peering(local, remote, name))


def private_dns_zone(site: Site, name: str) -> Document:
    """Return a private zone; the counters are filled in when the estate is finished."""
    zone_id = site.id("Microsoft.Network/privateDnsZones", name)
    return {
        "id": zone_id,
        "name": name,
        "type": "Microsoft.Network/privateDnsZones",
        "etag": guid("etag", zone_id),
        "location": "global",
        "tags": {},
        "properties": {
            "internalId": "SW1tdXRhYmxlWm9uZUlkZW50aXR5OzA7MA==",
            "maxNumberOfRecordSets": 25000,
            "maxNumberOfVirtualNetworkLinks": 1000,
            "maxNumberOfVirtualNetworkLinksWithRegistration": 100,
            "numberOfRecordSets": 1,
            "numberOfVirtualNetworkLinks": 0,
            "numberOfVirtualNetworkLinksWithRegistration": 0,
            "provisioningState": "Succeeded",
        },
    }


def start_of_authority(zone: Document) -> Document:
    """Return the record set that every zone has from the start."""
    record_id = f"{zone['id']}/SOA/@"
    return {
        "id": record_id,
        "name": "@",
        "type": "Microsoft.Network/privateDnsZones/SOA",
        "etag": guid("etag", record_id),
        "properties": {
            "fqdn": f"{zone['name']}.",
            "ttl": 3600,
            "soaRecord": {
                "email": "azureprivatedns-host.microsoft.com",
                "expireTime": 2419200,
                "host": "azureprivatedns.net",
                "minimumTtl": 10,
                "refreshTime": 3600,
                "retryTime": 300,
                "serialNumber": 1,
            },
            "isAutoRegistered": False,
        },
    }


def zone_link(zone: Document, network: Document, name: str | None = None) -> Document:
    """Return the link of a zone to a VNet."""
    name = name or network["name"]
    link_id = f"{zone['id']}/virtualNetworkLinks/{name}"
    return {
        "id": link_id,
        "name": name_of(link_id),
        "type": "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
        "etag": entity_tag(link_id),
        "location": "global",
        "tags": {},
        "properties": {
            "provisioningState": "Succeeded",
            "registrationEnabled": False,
            "resolutionPolicy": "Default",
            "virtualNetwork": {"id": network["id"]},
            "virtualNetworkLinkState": "Completed",
        },
    }


def address_record(zone: Document, name: str, addresses: list[str], *, creator: str = "") -> Document:
    """Return an A record set; ``creator`` is the note the platform leaves on records of its own."""
    record_id = f"{zone['id']}/A/{name}"
    properties: dict[str, Any] = {
        "fqdn": f"{name}.{zone['name']}.",
        "ttl": RECORD_TTL,
        "aRecords": [{"ipv4Address": address} for address in addresses],
        "isAutoRegistered": False,
    }
    if creator:
        properties = {"metadata": {"creator": creator}, **properties}
    return {
        "id": record_id,
        "name": name,
        "type": "Microsoft.Network/privateDnsZones/A",
        "etag": guid("etag", record_id),
        "properties": properties,
    }
