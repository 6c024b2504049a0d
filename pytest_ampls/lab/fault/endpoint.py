"""Faults of the private endpoint: connection, zone group, addresses (rules 201 to 205)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from pytest_ampls.lab.estate import monitor, network
from pytest_ampls.lab.estate.endpoint import add_private_endpoint, admit_members
from pytest_ampls.lab.estate.members import PUBLIC_ZONES, private_zone_name
from pytest_ampls.lab.estate.monitor import add_to_scope, private_link_scope
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.fault.pick import client, first, record, scope_connection, site_of, zone
from pytest_ampls.lab.fault.registry import estate_fault
from pytest_ampls.lab.store import Document, Estate, guid

__all__: list[str] = []

_ENDPOINT = "Microsoft.Network/privateEndpoints"
_GROUP = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
_STATE = "privateLinkServiceConnectionState"


def _endpoint_state(estate: Estate) -> dict[str, Any]:
    """Return the state of the connection as the endpoint sees it."""
    endpoint = first(estate, _ENDPOINT)
    state: dict[str, Any] = endpoint["properties"]["privateLinkServiceConnections"][0]["properties"][_STATE]
    return state


def _set_status(estate: Estate, status: str, description: str) -> None:
    for state in (_endpoint_state(estate), scope_connection(estate)["properties"][_STATE]):
        state.update(status=status, description=description)


@estate_fault("connection-pending", "the connection waits for approval", breaks="201")
def connection_pending(estate: Estate) -> None:
    """Leave the connection unapproved, as seen from both sides."""
    _set_status(estate, "Pending", "Awaiting approval")


@estate_fault("connection-rejected", "the connection was rejected", breaks="201")
def connection_rejected(estate: Estate) -> None:
    """Reject the connection; the description keeps its old text, as it does in Azure."""
    _set_status(estate, "Rejected", "Auto-Approved")


@estate_fault("connection-disconnected", "the connection was deleted on the scope's side", breaks="201")
def connection_disconnected(estate: Estate) -> None:
    """Delete the connection on the scope; the endpoint says Disconnected from then on."""
    _endpoint_state(estate).update(status="Disconnected", description="Deleted state")
    estate.remove(scope_connection(estate)["id"])


@estate_fault(
    "connection-seen-differently",
    "the scope rejected the connection, the endpoint still believes in it",
    breaks="201",
)
def connection_seen_differently(estate: Estate) -> None:
    """Reject the connection on the scope's side only."""
    scope_connection(estate)["properties"][_STATE].update(status="Rejected", description="Rejected by owner")


def _configs(estate: Estate) -> list[dict[str, Any]]:
    configs: list[dict[str, Any]] = first(estate, _GROUP)["properties"]["privateDnsZoneConfigs"]
    return configs


@estate_fault(
    "zone-group-incomplete",
    "the zone group does not name the ods zone; its record is hand-made",
    breaks="203",
)
def zone_group_incomplete(estate: Estate) -> None:
    """Take the ods zone out of the group; the record stays, without the platform's note on it."""
    configs = _configs(estate)
    configs[:] = [config for config in configs if "ods-opinsights" not in config["name"]]
    customer = first(estate, "Microsoft.OperationalInsights/workspaces")["properties"]["customerId"]
    del record(estate, "ods.opinsights.azure.com", customer)["properties"]["metadata"]


@estate_fault(
    "zone-group-without-records", "the zone group says Succeeded and wrote no records", breaks="203"
)
def zone_group_without_records(estate: Estate) -> None:
    """Empty the group's record sets; the records themselves are hand-made."""
    for config in _configs(estate):
        config["properties"]["recordSets"] = []
    for made in estate.of_type("Microsoft.Network/privateDnsZones/A"):
        del made["properties"]["metadata"]


@estate_fault(
    "zone-group-lacks-blob",
    "nobody made the blob zone: the zone group lacks it, and the solution packs' name is public",
    breaks="203 301 302 309 310 311",
)
def zone_group_lacks_blob(estate: Estate) -> None:
    """Take the blob zone out of the group, and the zone itself out of the estate."""
    configs = _configs(estate)
    configs[:] = [config for config in configs if "blob" not in config["name"]]
    gone = zone(estate, "blob.core.windows.net")["id"].lower()
    for key in [key for key, _ in estate.items() if key == gone or key.startswith(f"{gone}/")]:
        estate.remove(key)


@estate_fault(
    "later-workspace-unrecorded",
    "a workspace joined the scope later, and the zone group does not name the ods zone",
    breaks="203 302 310 311",
)
def later_workspace_unrecorded(estate: Estate) -> None:
    """Add a workspace and a rule that sends to it; the first workspace's ods record was made by hand."""
    zone_group_incomplete(estate)
    site, machine = site_of(estate), client(estate)
    workspace = monitor.workspace(site, "later", guid("customer", "later"))
    rule = monitor.collection_rule(site, "dcr-later", "Linux", workspace)
    site.add(workspace, rule, monitor.rule_association(machine["id"], "dcr-later-association", rule["id"]))
    monitor.add_to_scope(site, first(estate, "Microsoft.Insights/privateLinkScopes"), workspace)
    admit_members(estate, first(estate, _ENDPOINT), [workspace])


@estate_fault(
    "endpoint-made-anew",
    "the endpoint was deleted and made anew without a zone group: all records have its old addresses",
    breaks="203 303 310 311",
)
def endpoint_made_anew(estate: Estate) -> None:
    """Give the endpoint other addresses; the records are hand-made, and nobody followed."""
    endpoint = first(estate, _ENDPOINT)
    nic = estate.get(endpoint["properties"]["networkInterfaces"][0]["id"])
    for configuration in nic["properties"]["ipConfigurations"]:
        properties = configuration["properties"]
        properties["privateIPAddress"] = _newer(properties["privateIPAddress"])
    for entry in endpoint["properties"]["customDnsConfigs"]:
        entry["ipAddresses"] = [_newer(address) for address in entry["ipAddresses"]]
    estate.remove(first(estate, _GROUP)["id"])
    for made in estate.of_type("Microsoft.Network/privateDnsZones/A"):
        made["properties"].pop("metadata", None)


def _newer(address: str) -> str:
    return str(ip_address(address) + 32)


@estate_fault(
    "zone-group-dangling-zone", "the zone group names a zone that does not exist any more", breaks="204"
)
def zone_group_dangling_zone(estate: Estate) -> None:
    """Let the group name the oms zone of a resource group that is gone."""
    config = next(config for config in _configs(estate) if "oms-opinsights" in config["name"])
    properties = config["properties"]
    group = site_of(estate).group
    properties["privateDnsZoneId"] = properties["privateDnsZoneId"].replace(group, f"{group}-former")


@estate_fault(
    "endpoint-address-outside-subnet", "one member's address lies outside the endpoint's subnet", breaks="205"
)
def endpoint_address_outside_subnet(estate: Estate) -> None:
    """Move one member's address, everywhere it is written, out of the subnet."""
    name, address = "profiler", "192.168.0.200"
    fqdn = f"{name}.monitor.azure.com"
    for entry in first(estate, _ENDPOINT)["properties"]["customDnsConfigs"]:
        if entry["fqdn"] == fqdn:
            entry["ipAddresses"] = [address]
    for nic in estate.of_type("Microsoft.Network/networkInterfaces"):
        for configuration in nic["properties"]["ipConfigurations"]:
            link = configuration["properties"].get("privateLinkConnectionProperties")
            if link is not None and fqdn in link["fqdns"]:
                configuration["properties"]["privateIPAddress"] = address
    for config in _configs(estate):
        for entry in config["properties"]["recordSets"]:
            if entry["recordSetName"] == name:
                entry["ipAddresses"] = [address]
    record(estate, "monitor.azure.com", name)["properties"]["aRecords"] = [{"ipv4Address": address}]


def _zones_of_their_own(site: Site) -> list[Document]:
    """Add five zones that are linked to nothing."""
    zones = [network.private_dns_zone(site, private_zone_name(name)) for name in PUBLIC_ZONES]
    for made in zones:
        site.add(made, network.start_of_authority(made))
    return zones


@estate_fault("second-scope-in-vnet", "the hub has private endpoints of two scopes", breaks="202")
def second_scope_in_vnet(estate: Estate) -> None:
    """Add a second scope with everything in it and an endpoint in the hub, with unlinked zones."""
    site = site_of(estate)
    other = Site(
        estate, estate.add_group(site.group.split("/")[2], "other-team", site.location), site.location
    )
    scope = private_link_scope(other, "ampls-other", query="PrivateOnly", ingestion="PrivateOnly")
    other.add(scope)
    resources = [
        first(estate, "Microsoft.OperationalInsights/workspaces"),
        first(estate, "Microsoft.Insights/dataCollectionEndpoints"),
        first(estate, "Microsoft.Insights/components"),
    ]
    for resource in resources:
        add_to_scope(other, scope, resource)
    add_private_endpoint(
        other,
        "ampls-other",
        scope=scope,
        subnet_id=first(estate, _ENDPOINT)["properties"]["subnet"]["id"],
        addresses=(f"192.168.0.{number}" for number in range(100, 127)),
        resources=resources,
        zones=_zones_of_their_own(other),
    )
