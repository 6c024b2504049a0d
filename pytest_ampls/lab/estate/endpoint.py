"""A private endpoint of a scope with all that hangs on it, kept consistent.

One endpoint is seen in many documents: the endpoint, its interface, its zone group, the records
in the zones, and, on the scope's side, the connection and the members the scope requires.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pytest_ampls.lab.estate.monitor import component_ingestion_host
from pytest_ampls.lab.estate.network import RECORD_TTL, address_record
from pytest_ampls.lab.estate.site import Site, entity_tag, weak_entity_tag
from pytest_ampls.lab.store import Document, Estate, guid

__all__ = [
    "GROUP_ID",
    "PUBLIC_ZONES",
    "Member",
    "add_private_endpoint",
    "forget_members",
    "members_of",
    "private_name",
    "private_zone_name",
    "split_name",
    "write_records",
]

GROUP_ID = "azuremonitor"

PUBLIC_ZONES = (
    "agentsvc.azure-automation.net",
    "blob.core.windows.net",
    "monitor.azure.com",
    "ods.opinsights.azure.com",
    "oms.opinsights.azure.com",
)
"""The public names that have a private counterpart behind a scope, in the public cloud."""

SHARED_NAMES = (
    ("api", "api.monitor.azure.com"),
    ("global.in.ai", "global.in.ai.monitor.azure.com"),
    ("profiler", "profiler.monitor.azure.com"),
    ("live", "live.monitor.azure.com"),
    ("diagservicesquery", "diagservices-query.monitor.azure.com"),
    ("snapshot", "snapshot.monitor.azure.com"),
    ("agentsolutionpackstore", "scadvisorcontentpl.blob.core.windows.net"),
    ("dce-global", "global.handler.control.monitor.azure.com"),
)
"""Member and name of every endpoint that all customers share, in the order of their addresses."""


@dataclass(frozen=True)
class Member:
    """One member of the endpoint: one address, and the public names that lead to it."""

    name: str
    fqdns: tuple[str, ...]


def split_name(fqdn: str) -> tuple[str, str]:
    """Return (relative name, public zone) of a public name; KeyError when no zone holds it."""
    for zone in PUBLIC_ZONES:
        if fqdn.endswith("." + zone):
            return fqdn[: -len(zone) - 1], zone
    raise KeyError(fqdn)


def private_zone_name(public_zone: str) -> str:
    """Return the private counterpart of a public zone."""
    return f"privatelink.{public_zone}"


def private_name(fqdn: str) -> str:
    """Return the privatelink name that a public name leads to."""
    relative, zone = split_name(fqdn)
    return f"{relative}.{private_zone_name(zone)}"


def _workspace_members(workspaces: list[Document]) -> Iterator[Member]:
    """Yield the workspaces' members: since 2021-12 one address per region and zone serves them all."""
    by_region: dict[str, list[str]] = {}
    for workspace in workspaces:
        by_region.setdefault(workspace["location"], []).append(workspace["properties"]["customerId"])
    for kind, zone in (
        ("oms", "oms.opinsights.azure.com"),
        ("ods", "ods.opinsights.azure.com"),
        ("agent", "agentsvc.azure-automation.net"),
    ):
        for region, customers in by_region.items():
            yield Member(f"{kind}-{region}", tuple(f"{customer}.{zone}" for customer in customers))


def _endpoint_members(endpoints: list[Document]) -> Iterator[Member]:
    for endpoint in endpoints:
        properties = endpoint["properties"]
        for key in ("configurationAccess", "logsIngestion", "metricsIngestion"):
            host = properties[key]["endpoint"].removeprefix("https://")
            yield Member(split_name(host)[0], (host,))


def members_of(resources: Iterable[Document]) -> list[Member]:
    """Return the members of an endpoint to a scope that holds these resources.

    The order is that of the addresses: workspaces, shared names, collection endpoints, the
    regional Application Insights entries.
    """
    kinds: dict[str, list[Document]] = {}
    for resource in resources:
        kinds.setdefault(resource["type"].rpartition("/")[2].lower(), []).append(resource)
    members = [*_workspace_members(kinds.get("workspaces", []))]
    members += [Member(name, (fqdn,)) for name, fqdn in SHARED_NAMES]
    members += _endpoint_members(kinds.get("datacollectionendpoints", []))
    for region in dict.fromkeys(component["location"] for component in kinds.get("components", [])):
        host = component_ingestion_host(region)
        members.append(Member(split_name(host)[0], (host,)))
    return members


def _interface(
    site: Site, endpoint_id: str, name: str, subnet_id: str, members: list[tuple[Member, str]]
) -> Document:
    nic_id = site.id("Microsoft.Network/networkInterfaces", f"{name}.nic.{guid('nic', endpoint_id)}")
    tag = weak_entity_tag(nic_id)
    return {
        "name": nic_id.rpartition("/")[2],
        "id": nic_id,
        "etag": tag,
        "type": "Microsoft.Network/networkInterfaces",
        "location": site.location,
        "kind": "Regular",
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": guid("nic-guid", endpoint_id),
            "ipConfigurations": [
                {
                    "name": f"privateEndpointIpConfig.{guid('ip', endpoint_id, member.name)}",
                    "id": f"{nic_id}/ipConfigurations/privateEndpointIpConfig.{guid('ip', endpoint_id, member.name)}",
                    "etag": tag,
                    "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
                    "properties": {
                        "provisioningState": "Succeeded",
                        "privateIPAddress": address,
                        "privateIPAllocationMethod": "Dynamic",
                        "subnet": {"id": subnet_id},
                        "primary": number == 0,
                        "privateIPAddressVersion": "IPv4",
                        "privateLinkConnectionProperties": {
                            "groupId": GROUP_ID,
                            "requiredMemberName": member.name,
                            "fqdns": list(member.fqdns),
                        },
                    },
                }
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
    scope_id = scope["id"].replace("/microsoft.insights/privatelinkscopes/", "/Microsoft.Insights/privateLinkScopes/")
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
                {"fqdn": fqdn, "ipAddresses": [address]} for member, address in members for fqdn in member.fqdns
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
            "privateDnsZoneConfigs": [_zone_config(group_id, zone, names.get(zone["name"], [])) for zone in zones],
        },
    }


def write_records(estate: Estate, endpoint: Document) -> None:
    """Write the zone group's records into its zones; a record that is there is overwritten."""
    creator = f"created by private endpoint {endpoint['name']} with resource guid {guid('pe', endpoint['id'])}"
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


def forget_members(estate: Estate, names: set[str]) -> None:
    """Take public names out of every endpoint, interface, zone group, zone and scope.

    This is what the platform does when a resource leaves a scope.
    """
    gone = {private_name(name) for name in names}
    for endpoint in estate.of_type("Microsoft.Network/privateEndpoints"):
        properties = endpoint["properties"]
        properties["customDnsConfigs"] = [
            entry for entry in properties["customDnsConfigs"] if entry["fqdn"] not in names
        ]
    members = _forget_addresses(estate, names)
    for required in estate.of_type("Microsoft.Insights/privateLinkScopes/privateLinkResources"):
        properties = required["properties"]
        properties["requiredMembers"] = [
            member for member in properties["requiredMembers"] if member not in members
        ]
    for group in estate.of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups"):
        for config in group["properties"]["privateDnsZoneConfigs"]:
            properties = config["properties"]
            properties["recordSets"] = [
                entry for entry in properties["recordSets"] if entry["fqdn"] not in gone
            ]
    for record in estate.of_type("Microsoft.Network/privateDnsZones/A"):
        if record["properties"]["fqdn"].rstrip(".") in gone:
            estate.remove(record["id"])


def _forget_addresses(estate: Estate, names: set[str]) -> set[str]:
    """Take names out of the interfaces; return the members that have none left."""
    members: set[str] = set()
    for nic in estate.of_type("Microsoft.Network/networkInterfaces"):
        kept = []
        for configuration in nic["properties"]["ipConfigurations"]:
            link = configuration["properties"].get("privateLinkConnectionProperties")
            if link is not None and names & set(link["fqdns"]):
                link["fqdns"] = [fqdn for fqdn in link["fqdns"] if fqdn not in names]
                if not link["fqdns"]:
                    members.add(link["requiredMemberName"])
                    continue
            kept.append(configuration)
        nic["properties"]["ipConfigurations"] = kept
    return members
