"""Faults of two scopes that meet in the same zones: the second private endpoint takes the shared records (303, 304).

Sources: learn.microsoft.com, "Design your Azure Monitor private link setup" (the last endpoint to write a shared name
wins) and "Azure Private Endpoint private DNS zone values" (one zone with two endpoints of the same service loses the
initial A record).
"""

from __future__ import annotations

from pytest_ampls.lab.estate import monitor, network
from pytest_ampls.lab.estate.endpoint import add_private_endpoint
from pytest_ampls.lab.estate.members import SHARED_NAMES, private_name
from pytest_ampls.lab.estate.monitor import component_ingestion_host
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.estate.topology import subnet_of
from pytest_ampls.lab.fault.pick import first, site_of
from pytest_ampls.lab.fault.pick import network as find_network
from pytest_ampls.lab.fault.registry import estate_fault
from pytest_ampls.lab.store import Document, Estate, guid

__all__: list[str] = []


def _second_scope(estate: Estate, site: Site, subnet_id: str, prefix: str) -> None:
    """Add a scope with resources of its own, whose endpoint's zone group names the zones that are there already."""
    workspace = monitor.workspace(site, "other-logs", guid("customer", "other"))
    resources = (
        workspace,
        monitor.collection_endpoint(site, "dce-other"),
        monitor.component(site, "appi-other", workspace["id"]),
    )
    scope = monitor.private_link_scope(site, "ampls-other", query="PrivateOnly", ingestion="PrivateOnly")
    site.add(*resources, scope)
    for resource in resources:
        monitor.add_to_scope(site, scope, resource)
    add_private_endpoint(
        site,
        "ampls-other",
        scope=scope,
        subnet_id=subnet_id,
        addresses=(f"{prefix}.{number}" for number in range(100, 127)),
        resources=resources,
        zones=estate.of_type("Microsoft.Network/privateDnsZones"),
    )


def _other_team(estate: Estate) -> Site:
    site = site_of(estate)
    group = estate.add_group(site.group.split("/")[2], "other-team", site.location)
    return Site(estate, group, site.location)


def _beyond_reach(estate: Estate) -> None:
    """Add the second scope in a VNet that is linked to the zones, and peered with nothing."""
    zones = estate.of_type("Microsoft.Network/privateDnsZones")
    site = _other_team(estate)
    island = network.virtual_network(site, "island", "10.9.0.0/24", {"endpoints": "10.9.0.64/26"})
    site.add(island, *(network.zone_link(zone, island) for zone in zones))
    _second_scope(estate, site, subnet_of(island, "endpoints"), "10.9.0")


@estate_fault(
    "second-scope-overwrites",
    "a second scope's endpoint, out of reach, wrote its addresses into the shared records",
    breaks="103 207 303 304 310 311 404 407",
)
def second_scope_overwrites(estate: Estate) -> None:
    """Let the zone group of an endpoint elsewhere name the hub's zones: the last one to write wins."""
    _beyond_reach(estate)


@estate_fault(
    "second-scope-deletes-records",
    "a second scope's endpoint was given the same zones, and the shared records are gone since",
    breaks="103 207 302 304 305 310 311 404 407",
)
def second_scope_deletes_records(estate: Estate) -> None:
    """Delete the records of all names that both endpoints have."""
    _beyond_reach(estate)
    regional = component_ingestion_host(first(estate, "Microsoft.Insights/components")["location"])
    shared = {private_name(fqdn) for fqdn in (*(fqdn for _, fqdn in SHARED_NAMES), regional)}
    for record in estate.of_type("Microsoft.Network/privateDnsZones/A"):
        if record["properties"]["fqdn"].rstrip(".") in shared:
            estate.remove(record["id"])


@estate_fault(
    "second-scope-beside",
    "a second scope's endpoint in the same VNet wrote its addresses into the shared records",
    breaks="103 202 303 304 310 311 404 407",
)
def second_scope_beside(estate: Estate) -> None:
    """Put the second endpoint where every client reaches it: connections work, and the scope is the wrong one."""
    hub: Document = find_network(estate, "hub")
    _second_scope(estate, _other_team(estate), subnet_of(hub, "endpoints"), "192.168.0")
