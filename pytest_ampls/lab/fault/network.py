"""Faults of the network around private endpoints, and of what answers at their addresses (2xx, 9xx)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pytest_ampls.lab.estate.network import zone_link
from pytest_ampls.lab.estate.routes import attach_table, route, route_table
from pytest_ampls.lab.fault.pick import first, network, site_of
from pytest_ampls.lab.fault.registry import Meddling, estate_fault, guest_fault, probe_fault
from pytest_ampls.lab.store import Document, Estate

__all__: list[str] = []

_ENDPOINT: Final = "Microsoft.Network/privateEndpoints"


def _endpoint_subnet(estate: Estate) -> dict[str, Any]:
    """Return the subnet of the first endpoint."""
    subnet_id = first(estate, _ENDPOINT)["properties"]["subnet"]["id"]
    holder = estate.get(subnet_id.partition("/subnets/")[0])
    found: dict[str, Any] = next(
        part for part in holder["properties"]["subnets"] if part["id"].lower() == subnet_id.lower()
    )
    return found


def _peerings(of: Document, remote: Document) -> list[dict[str, Any]]:
    """Return what a VNet has of its peering with another."""
    return [
        part
        for part in of["properties"]["virtualNetworkPeerings"]
        if part["properties"]["remoteVirtualNetwork"]["id"].lower() == remote["id"].lower()
    ]


@estate_fault("endpoint-subnet-full", "the endpoint's subnet has one address left", breaks="206")
def endpoint_subnet_full(estate: Estate) -> None:
    """Shrink the subnet to a /27 and give all addresses but one to load balancers, which no interface shows."""
    subnet = _endpoint_subnet(estate)
    base = subnet["id"].partition("/virtualNetworks/")[0]
    subnet["properties"]["addressPrefix"] = subnet["properties"]["addressPrefix"].replace("/26", "/27")
    used = len(first(estate, _ENDPOINT)["properties"]["customDnsConfigs"])
    subnet["properties"]["ipConfigurations"] = [
        {"id": f"{base}/loadBalancers/lb{number}/frontendIPConfigurations/front"}
        for number in range(32 - 5 - used - 1)
    ]


@estate_fault(
    "spoke-not-peered", "a spoke's zones are linked to it, and it has no route to the endpoint", breaks="207"
)
def spoke_not_peered(estate: Estate) -> None:
    """Cut the peering of a spoke, whose names are answered by zones that are linked to itself."""
    hub, spoke = network(estate, "hub"), network(estate, "spoke1")
    for one, other in ((hub, spoke), (spoke, hub)):
        for part in _peerings(one, other):
            one["properties"]["virtualNetworkPeerings"].remove(part)
    spoke["properties"].pop("dhcpOptions", None)
    for found in estate.of_type("Microsoft.Network/privateDnsZones"):
        estate.add(zone_link(found, spoke))


@estate_fault(
    "peering-access-blocked", "the hub's side of a spoke's peering blocks its traffic", breaks="207"
)
def peering_access_blocked(estate: Estate) -> None:
    """Leave the peering connected, and let nothing through."""
    for part in _peerings(network(estate, "hub"), network(estate, "spoke1")):
        part["properties"]["allowVirtualNetworkAccess"] = False


@estate_fault(
    "endpoint-policies-enabled", "network policies are enabled in the endpoint's subnet", breaks="209"
)
def endpoint_policies_enabled(estate: Estate) -> None:
    """Enable network security groups and routes for private endpoints."""
    _endpoint_subnet(estate)["properties"]["privateEndpointNetworkPolicies"] = "Enabled"


def _table(estate: Estate) -> Document:
    """Give the machines of a spoke a route table."""
    table = route_table(site_of(estate), "rt-spoke1")
    attach_table(table, network(estate, "spoke1"), "vm")
    return estate.add(table)


@estate_fault(
    "firewall-bypassed",
    "a spoke's routes lead to the hub's firewall, and the endpoint's own routes go around it",
    breaks="209",
    expects="209 expected Enabled",
)
def firewall_bypassed(estate: Estate) -> None:
    """Route the hub's addresses to an appliance: without network policies each /32 of the endpoint is more specific."""
    table = _table(estate)
    for name, prefix in (("hub", "192.168.0.0/24"), ("everything", "0.0.0.0/0")):
        hop = route(table["id"], f"{name}-by-firewall", prefix, "VirtualAppliance", "192.168.0.62")
        table["properties"]["routes"].append(hop)


@guest_fault(
    "route-blackholed",
    "a spoke's routes drop what goes to the endpoint's addresses",
    breaks="523",
    estates="hub-and-spoke",
)
def route_blackholed(estate: Estate, _meddling: Meddling, _argument: str | None) -> None:
    """Route each address of the endpoint to nowhere: as specific as the endpoint's own routes, and these lose."""
    table = _table(estate)
    entries = first(estate, _ENDPOINT)["properties"]["customDnsConfigs"]
    for address in dict.fromkeys(entry["ipAddresses"][0] for entry in entries):
        table["properties"]["routes"].append(route(table["id"], f"drop-{address}", f"{address}/32", "None"))


_PROBE_FAULTS: Final[Mapping[str, tuple[str, str, str]]] = {
    "tls-1.0-only": ("an address of the endpoint speaks no TLS newer than 1.0", "901", ""),
    "tls-old-accepted": ("an address of the endpoint still accepts TLS 1.0 and 1.1", "901", ""),
    "resigned-chain": ("a proxy breaks TLS to an address of the endpoint open and signs it anew", "902", ""),
    "certificate-of-other-name": (
        "an address of the endpoint has the certificate of another name",
        "902",
        "",
    ),
    "port-443-dropped": ("an address of the endpoint accepts no connection", "903", "901 902"),
}


def _declare(name: str, title: str, breaks: str, blinds: str) -> None:
    @probe_fault(name, title, breaks=breaks, blinds=blinds, estates="hub-and-spoke two-scopes fleet")
    def flaw(estate: Estate, meddling: Meddling, _argument: str | None) -> None:
        """Put the flaw into the address that the first endpoint has for the ingestion of its workspace."""
        for entry in first(estate, _ENDPOINT)["properties"]["customDnsConfigs"]:
            if ".ods.opinsights." in entry["fqdn"]:
                meddling.endpoint_flaws[entry["ipAddresses"][0]] = name


for _name, (_title, _breaks, _blinds) in _PROBE_FAULTS.items():
    _declare(_name, _title, _breaks, _blinds)
