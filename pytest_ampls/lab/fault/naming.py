"""Faults of private DNS: links, records, resolvers of VNets (rules 301 to 311)."""

from __future__ import annotations

from pytest_ampls.lab.estate import network
from pytest_ampls.lab.estate.endpoint import forget_members
from pytest_ampls.lab.estate.members import PUBLIC_ZONES, private_zone_name
from pytest_ampls.lab.estate.monitor import component_ingestion_host
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.fault.pick import first, record, zone
from pytest_ampls.lab.fault.pick import network as find_network
from pytest_ampls.lab.fault.registry import estate_fault
from pytest_ampls.lab.store import Estate

__all__: list[str] = []

_SCOPE = "Microsoft.Insights/privateLinkScopes"
_LINK = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"


def _unlink(estate: Estate, public_zone: str) -> None:
    for link in estate.children(zone(estate, public_zone)["id"], _LINK):
        estate.remove(link["id"])


@estate_fault("zone-unlinked", "the ods zone is not linked to the hub", breaks="301 309 310 311")
def zone_unlinked(estate: Estate) -> None:
    """Unlink the zone that the bulk of the data goes through."""
    _unlink(estate, "ods.opinsights.azure.com")


@estate_fault("monitor-zone-unlinked", "the monitor zone is not linked to the hub", breaks="301 309 310 311")
def monitor_zone_unlinked(estate: Estate) -> None:
    """Unlink the zone of the shared names."""
    _unlink(estate, "monitor.azure.com")


@estate_fault(
    "spoke-bypasses-hub-dns",
    "a spoke asks the platform's resolver, which knows no zone there",
    breaks="301 310 311",
)
def spoke_bypasses_hub_dns(estate: Estate) -> None:
    """Take the DNS servers off one spoke: peering alone shares no zones."""
    del find_network(estate, "spoke1")["properties"]["dhcpOptions"]


@estate_fault(
    "zones-linked-elsewhere",
    "the zones are linked to the hub and to one spoke, and another spoke asks the platform's resolver",
    breaks="301 310 311",
)
def zones_linked_elsewhere(estate: Estate) -> None:
    """Link every zone to the neighbour of the spoke that needs them."""
    spoke, neighbour = (find_network(estate, name) for name in ("spoke1", "spoke2"))
    del spoke["properties"]["dhcpOptions"]
    for name in PUBLIC_ZONES:
        estate.add(network.zone_link(zone(estate, name), neighbour))


@estate_fault("record-missing", "the record of one shared name is missing", breaks="302 310 311")
def record_missing(estate: Estate) -> None:
    """Delete the record of the query endpoint."""
    estate.remove(record(estate, "monitor.azure.com", "api")["id"])


@estate_fault("record-stale", "a record has the address of a deleted endpoint", breaks="303 310 311")
def record_stale(estate: Estate) -> None:
    """Point the record of the query endpoint to an address nothing has."""
    properties = record(estate, "monitor.azure.com", "api")["properties"]
    properties["aRecords"] = [{"ipv4Address": "192.168.0.99"}]


@estate_fault(
    "record-empty", "the record set of the agents' handler was made and never filled", breaks="302 310 311"
)
def record_empty(estate: Estate) -> None:
    """Take the address out of a record set, and the platform's note: the name exists, and has none (NODATA)."""
    properties = record(estate, "monitor.azure.com", "global.handler.control")["properties"]
    properties["aRecords"] = []
    del properties["metadata"]


@estate_fault(
    "empty-zone-linked",
    "a spoke has an empty monitor zone linked: NXDOMAIN for every shared name",
    breaks="305 310 311",
)
def empty_zone_linked(estate: Estate) -> None:
    """Let a landing zone bring its own, empty zone to a spoke that asks the platform's resolver."""
    spoke = find_network(estate, "spoke1")
    del spoke["properties"]["dhcpOptions"]
    for name in PUBLIC_ZONES:
        if name != "monitor.azure.com":
            estate.add(network.zone_link(zone(estate, name), spoke))
    subscription = spoke["id"].split("/")[2]
    landing = Site(
        estate, estate.add_group(subscription, "landing-zone", spoke["location"]), spoke["location"]
    )
    empty = network.private_dns_zone(landing, private_zone_name("monitor.azure.com"))
    landing.add(empty, network.start_of_authority(empty), network.zone_link(empty, spoke))


@estate_fault(
    "scopes-share-zones",
    "two scopes share their zones, and the component is only in one of them",
    breaks="304",
    estates="two-scopes",
)
def scopes_share_zones(estate: Estate) -> None:
    """Take the component out of the first scope; its record now serves the other scope only."""
    component = first(estate, "Microsoft.Insights/components")
    scope, endpoint = first(estate, _SCOPE), first(estate, "Microsoft.Network/privateEndpoints")
    for member in estate.children(scope["id"], f"{_SCOPE}/scopedResources"):
        if member["properties"]["linkedResourceId"].lower() == component["id"].lower():
            estate.remove(member["id"])
    references = component["properties"]["PrivateLinkScopedResources"]
    references[:] = [entry for entry in references if entry["ScopeId"] != scope["properties"]["scopeId"]]
    forget_members(estate, {component_ingestion_host(component["location"])}, [endpoint])
