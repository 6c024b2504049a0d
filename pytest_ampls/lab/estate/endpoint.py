"""A private endpoint of a scope with all that hangs on it, kept consistent.

One endpoint is seen in many documents: the endpoint, its interface, its zone group, the records
in the zones, and, on the scope's side, the connection and the members the scope requires.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from pytest_ampls.lab.estate.members import (
    PUBLIC_ZONES,
    SHARED_NAMES,
    Member,
    members_of,
    private_name,
    private_zone_name,
    split_name,
)
from pytest_ampls.lab.estate.network import RECORD_TTL, address_record
from pytest_ampls.lab.estate.site import Site, entity_tag, weak_entity_tag
from pytest_ampls.lab.ids import name_of
from pytest_ampls.lab.store import Document, Estate, guid

__all__ = [
    "GROUP_ID",
    "add_private_endpoint",
    "admit_members",
    "foreign_endpoint",
    "forget_members",
    "write_records",
]

GROUP_ID = "azuremonitor"


def _configuration(
    nic_id: str, subnet_id: str, member: Member, address: str, *, primary: bool = False
) -> dict[str, Any]:
    name = f"privateEndpointIpConfig.{guid('ip', nic_id, member.name)}"
    return {
        "name": name,
        "id": f"{nic_id}/ipConfigurations/{name}",
        "etag": weak_entity_tag(nic_id),
        "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
        "properties": {
            "provisioningState": "Succeeded",
            "privateIPAddress": address,
            "privateIPAllocationMethod": "Dynamic",
            "subnet": {"id": subnet_id},
            "primary": primary,
            "privateIPAddressVersion": "IPv4",
            "privateLinkConnectionProperties": {
                "groupId": GROUP_ID,
                "requiredMemberName": member.name,
                "fqdns": list(member.fqdns),
            },
        },
    }


def _interface(
    site: Site, endpoint_id: str, name: str, subnet_id: str, members: list[tuple[Member, str]]
) -> Document:
    nic_id = site.id("Microsoft.Network/networkInterfaces", f"{name}.nic.{guid('nic', endpoint_id)}")
    tag = weak_entity_tag(nic_id)
    return {
        "name": name_of(nic_id),
        "id": nic_id,
        "etag": tag,
        "type": "Microsoft.Network/networkInterfaces",
        "location": site.location,
        "kind": "Regular",
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": guid("nic-guid", endpoint_id),
            "ipConfigurations": [
                _configuration(nic_id, subnet_id, member, address, primary=number == 0)
                for number, (member, address) in enumerate(members)
            ],
            "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
            "enableAcceleratedNetworking": False,
            "enableIPForwarding": False,
            "disableTcpStateTracking": False,
            "privateEndpoint": {"id": endpoint_id},
            "hostedWorkloads": [],
            "tapConfigurations": [],
            "nicType": "Standard",
        },
    }


def _connection_state() -> dict[str, str]:
    return {"status": "Approved", "description": "Auto-Approved", "actionsRequired": "None"}


def _endpoint(
    site: Site, name: str, subnet_id: str, scope: Document, nic_id: str, members: list[tuple[Member, str]]
) -> Document:
    endpoint_id = site.id("Microsoft.Network/privateEndpoints", name)
    tag = weak_entity_tag(endpoint_id)
    scope_id = scope["id"].replace(
        "/microsoft.insights/privatelinkscopes/", "/Microsoft.Insights/privateLinkScopes/"
    )
    return {
        "name": name,
        "id": endpoint_id,
        "etag": tag,
        "type": "Microsoft.Network/privateEndpoints",
        "location": site.location,
        "tags": {},
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": guid("pe", endpoint_id),
            "privateLinkServiceConnections": [
                {
                    "name": name,
                    "id": f"{endpoint_id}/privateLinkServiceConnections/{name}",
                    "etag": tag,
                    "properties": {
                        "provisioningState": "Succeeded",
                        "privateLinkServiceId": scope_id,
                        "groupIds": [GROUP_ID],
                        "privateLinkServiceConnectionState": _connection_state(),
                    },
                    "type": "Microsoft.Network/privateEndpoints/privateLinkServiceConnections",
                }
            ],
            "manualPrivateLinkServiceConnections": [],
            "customNetworkInterfaceName": "",
            "subnet": {"id": subnet_id},
            "ipConfigurations": [],
            "networkInterfaces": [{"id": nic_id}],
            "customDnsConfigs": [
                {"fqdn": fqdn, "ipAddresses": [address]}
                for member, address in members
                for fqdn in member.fqdns
            ],
        },
    }


def _zone_config(group_id: str, zone: Document, names: list[tuple[str, str]]) -> dict[str, Any]:
    """Return one zone's part of a zone group; ``names`` are (relative name, address)."""
    config = zone["name"].replace(".", "-")
    return {
        "name": config,
        "id": f"{group_id}/privateDnsZoneConfigs/{config}",
        "etag": weak_entity_tag(group_id),
        "type": "Microsoft.Network/privateEndpoints/privateDnsZoneGroups/privateDnsZoneConfigs",
        "properties": {
            "provisioningState": "Succeeded",
            "privateDnsZoneId": zone["id"],
            "recordSets": [
                {
                    "recordType": "A",
                    "recordSetName": relative,
                    "fqdn": f"{relative}.{zone['name']}",
                    "ttl": RECORD_TTL,
                    "provisioningState": "Succeeded",
                    "ipAddresses": [address],
                }
                for relative, address in names
            ],
        },
    }


def _zone_group(endpoint: Document, zones: list[Document]) -> Document:
    group_id = f"{endpoint['id']}/privateDnsZoneGroups/default"
    names: dict[str, list[tuple[str, str]]] = {}
    for entry in endpoint["properties"]["customDnsConfigs"]:
        relative, public_zone = split_name(entry["fqdn"])
        names.setdefault(private_zone_name(public_zone), []).append((relative, entry["ipAddresses"][0]))
    return {
        "name": "default",
        "id": group_id,
        "etag": weak_entity_tag(group_id),
        "type": "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
        "properties": {
            "provisioningState": "Succeeded",
            "privateDnsZoneConfigs": [
                _zone_config(group_id, zone, names.get(zone["name"], [])) for zone in zones
            ],
        },
    }


def write_records(estate: Estate, endpoint: Document) -> None:
    """Write the zone group's records into its zones; a record that is there is overwritten."""
    creator = (
        f"created by private endpoint {endpoint['name']} with resource guid {guid('pe', endpoint['id'])}"
    )
    for group in estate.children(endpoint["id"], "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"):
        for config in group["properties"]["privateDnsZoneConfigs"]:
            zone = estate.get(config["properties"]["privateDnsZoneId"])
            for entry in config["properties"]["recordSets"]:
                record = address_record(zone, entry["recordSetName"], entry["ipAddresses"], creator=creator)
                if estate.find(record["id"]) is not None:
                    estate.remove(record["id"])
                estate.add(record)


def _connection(scope: Document, endpoint: Document) -> Document:
    name = f"{endpoint['name']}.{guid('connection', endpoint['id'])}"
    connection_id = f"{scope['id']}/privateendpointconnections/{name}"
    before, _, _ = endpoint["id"].partition("/providers/")
    return {
        "id": connection_id,
        "name": name,
        "type": "microsoft.insights/privatelinkscopes/privateendpointconnections",
        "etag": entity_tag(connection_id),
        "properties": {
            "groupIds": [GROUP_ID],
            "provisioningState": "Succeeded",
            "privateEndpoint": {
                "id": f"{before}/providers/microsoft.network/privateendpoints/{endpoint['name']}"
            },
            "privateLinkServiceConnectionState": _connection_state(),
        },
    }


def _required(scope: Document, members: list[Member]) -> Document:
    resource_id = f"{scope['id']}/privatelinkresources/{GROUP_ID}"
    return {
        "id": resource_id,
        "name": GROUP_ID,
        "type": "microsoft.insights/privatelinkscopes/privatelinkresources",
        "properties": {
            "groupId": GROUP_ID,
            "requiredMembers": [member.name for member in members],
            "requiredZoneNames": [private_zone_name(zone) for zone in reversed(PUBLIC_ZONES)],
        },
    }


def add_private_endpoint(
    site: Site,
    name: str,
    *,
    scope: Document,
    subnet_id: str,
    addresses: Iterable[str],
    resources: Iterable[Document],
    zones: list[Document],
) -> Document:
    """Add an approved endpoint to a scope that holds ``resources``, and return it.

    ``addresses`` are taken in order, one for each member. The zone group ``default`` names
    ``zones`` and its records are written into them.
    """
    members = members_of(resources)
    placed = list(zip(members, addresses, strict=False))
    if len(placed) != len(members):
        raise ValueError(f"the subnet of {name} has too few addresses for {len(members)} members")
    endpoint_id = site.id("Microsoft.Network/privateEndpoints", name)
    nic = _interface(site, endpoint_id, name, subnet_id, placed)
    endpoint = _endpoint(site, name, subnet_id, scope, nic["id"], placed)
    site.add(endpoint, nic, _zone_group(endpoint, zones), _connection(scope, endpoint))
    required = _required(scope, members)
    if site.estate.find(required["id"]) is None:
        site.add(required)
    write_records(site.estate, endpoint)
    return endpoint


def foreign_endpoint(
    site: Site, name: str, *, service: str, group: str, fqdn: str, subnet_id: str, address: str
) -> None:
    """Add the endpoint of another service in the same group, without a zone group.

    ``service`` is the resource below ``/providers/``; it is nobody's document.
    """
    endpoint_id = site.id("Microsoft.Network/privateEndpoints", name)
    target = {"id": site.id(*service.rsplit("/", 1))}
    nic = _interface(site, endpoint_id, name, subnet_id, [(Member(group, (fqdn,)), address)])
    endpoint = _endpoint(site, name, subnet_id, target, nic["id"], [(Member(group, (fqdn,)), address)])
    for configuration in nic["properties"]["ipConfigurations"]:
        configuration["properties"]["privateLinkConnectionProperties"]["groupId"] = group
    for connection in endpoint["properties"]["privateLinkServiceConnections"]:
        connection["properties"]["groupIds"] = [group]
    site.add(endpoint, nic)


def admit_members(estate: Estate, endpoint: Document, resources: Iterable[Document]) -> None:
    """Give an endpoint the members of further resources of its scope, with addresses and records.

    The shared members are left alone; the addresses are those behind the endpoint's highest.
    """
    shared = {member for member, _ in SHARED_NAMES}
    members = [member for member in members_of(resources) if member.name not in shared]
    properties = endpoint["properties"]
    nic = estate.get(properties["networkInterfaces"][0]["id"])
    configurations = nic["properties"]["ipConfigurations"]
    highest = max(ipaddress.ip_address(entry["properties"]["privateIPAddress"]) for entry in configurations)
    placed = {_member_name(entry): entry["properties"] for entry in configurations}
    added: list[str] = []
    for member in members:
        address = str(highest + len(added) + 1)
        if member.name in placed:  # one address serves the workspaces of a region
            address = placed[member.name]["privateIPAddress"]
            placed[member.name]["privateLinkConnectionProperties"]["fqdns"] += member.fqdns
        else:
            added.append(member.name)
            configurations.append(_configuration(nic["id"], properties["subnet"]["id"], member, address))
        properties["customDnsConfigs"] += [{"fqdn": fqdn, "ipAddresses": [address]} for fqdn in member.fqdns]
    groups = estate.children(endpoint["id"], "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    for group in groups:
        zones = [
            estate.get(config["properties"]["privateDnsZoneId"])
            for config in group["properties"]["privateDnsZoneConfigs"]
        ]
        group["properties"] = _zone_group(endpoint, zones)["properties"]
    scope_id = properties["privateLinkServiceConnections"][0]["properties"]["privateLinkServiceId"]
    required = estate.get(f"{scope_id}/privateLinkResources/{GROUP_ID}")
    required["properties"]["requiredMembers"] += added
    write_records(estate, endpoint)


def _member_name(configuration: dict[str, Any]) -> str:
    name: str = configuration["properties"]["privateLinkConnectionProperties"]["requiredMemberName"]
    return name


def forget_members(estate: Estate, names: set[str], endpoints: Iterable[Document] | None = None) -> None:
    """Take public names out of endpoints (of all, when none are given), as the platform does.

    Their interfaces, zone groups and scopes' required members follow; a record goes when no
    endpoint has its name any more.
    """
    everywhere = estate.of_type("Microsoft.Network/privateEndpoints")
    for endpoint in everywhere if endpoints is None else endpoints:
        _forget(estate, endpoint, names)
    left = {entry["fqdn"] for endpoint in everywhere for entry in endpoint["properties"]["customDnsConfigs"]}
    gone = {private_name(name) for name in names - left}
    for record in estate.of_type("Microsoft.Network/privateDnsZones/A"):
        if record["properties"]["fqdn"].rstrip(".") in gone:
            estate.remove(record["id"])


def _forget(estate: Estate, endpoint: Document, names: set[str]) -> None:
    properties = endpoint["properties"]
    properties["customDnsConfigs"] = [
        entry for entry in properties["customDnsConfigs"] if entry["fqdn"] not in names
    ]
    members = _forget_addresses(estate.get(properties["networkInterfaces"][0]["id"]), names)
    scope_id = properties["privateLinkServiceConnections"][0]["properties"]["privateLinkServiceId"]
    required = estate.get(f"{scope_id}/privateLinkResources/{GROUP_ID}")["properties"]
    required["requiredMembers"] = [name for name in required["requiredMembers"] if name not in members]
    gone = {private_name(name) for name in names}
    for group in estate.children(endpoint["id"], "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"):
        for config in group["properties"]["privateDnsZoneConfigs"]:
            records = config["properties"]["recordSets"]
            config["properties"]["recordSets"] = [entry for entry in records if entry["fqdn"] not in gone]


def _forget_addresses(nic: Document, names: set[str]) -> set[str]:
    """Take names out of an endpoint's interface; return the members that have none left."""
    members: set[str] = set()
    kept = []
    for configuration in nic["properties"]["ipConfigurations"]:
        link = configuration["properties"]["privateLinkConnectionProperties"]
        link["fqdns"] = [fqdn for fqdn in link["fqdns"] if fqdn not in names]
        if link["fqdns"]:
            kept.append(configuration)
        else:
            members.add(link["requiredMemberName"])
    nic["properties"]["ipConfigurations"] = kept
    return members
