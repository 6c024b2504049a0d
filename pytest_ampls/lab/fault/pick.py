"""Finding the document that a fault changes."""

from __future__ import annotations

from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.store import Document, Estate

__all__ = [
    "CONFIG_ENDPOINT",
    "association",
    "client",
    "extension",
    "first",
    "network",
    "record",
    "rule_association_of",
    "scope_connection",
    "site_of",
    "zone",
]

CONFIG_ENDPOINT = "configurationAccessEndpoint"
_ASSOCIATIONS = "Microsoft.Insights/dataCollectionRuleAssociations"
_MACHINES = "Microsoft.Compute/virtualMachines"


def first(estate: Estate, resource_type: str) -> Document:
    """Return the first document of a type."""
    return estate.of_type(resource_type)[0]


def site_of(estate: Estate, location: str = "") -> Site:
    """Return the estate's first resource group as a place to build in."""
    group = next(iter(estate.groups.values()))
    return Site(estate, group["id"], location or group["location"])


def client(estate: Estate) -> Document:
    """Return the machine that machine faults hit: ``spoke1``, or the first VM of no scale set."""
    machines = [
        machine
        for machine in estate.of_type(_MACHINES)
        if "virtualMachineScaleSet" not in machine["properties"]
    ]
    return next((machine for machine in machines if machine["name"] == "spoke1"), machines[0])


def extension(estate: Estate, machine: Document) -> Document:
    """Return the agent's extension of a VM."""
    return estate.children(machine["id"], f"{_MACHINES}/extensions")[0]


def association(estate: Estate, machine: Document, name: str) -> Document:
    """Return a machine's association of a name."""
    return estate.get(f"{machine['id']}/providers/{_ASSOCIATIONS}/{name}")


def rule_association_of(estate: Estate, machine: Document) -> Document:
    """Return a machine's first association with a rule."""
    return next(
        found
        for found in estate.children(machine["id"], _ASSOCIATIONS)
        if "dataCollectionRuleId" in found["properties"]
    )


def scope_connection(estate: Estate) -> Document:
    """Return the first connection as the scope sees it."""
    return first(estate, "Microsoft.Insights/privateLinkScopes/privateEndpointConnections")


def zone(estate: Estate, public_zone: str) -> Document:
    """Return the private counterpart of a public zone."""
    name = f"privatelink.{public_zone}"
    zones = estate.of_type("Microsoft.Network/privateDnsZones")
    return next(found for found in zones if found["name"] == name)


def record(estate: Estate, public_zone: str, name: str) -> Document:
    """Return an A record set of a private zone."""
    return estate.get(f"{zone(estate, public_zone)['id']}/A/{name}")


def network(estate: Estate, name: str) -> Document:
    """Return a VNet by name."""
    networks = estate.of_type("Microsoft.Network/virtualNetworks")
    return next(found for found in networks if found["name"] == name)
