"""The estate ``two-scopes``: two scopes whose VNets share one set of private zones.

Both endpoints' zone groups name the same zones, so the shared records hold the addresses of the
endpoint that wrote last. That works only because every resource is in both scopes and both VNets
reach that endpoint.
"""

from __future__ import annotations

from pytest_ampls.lab.estate import monitor, network
from pytest_ampls.lab.estate.endpoint import add_private_endpoint
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.estate.topology import Monitoring, add_client, add_monitoring, add_zones, subnet_of
from pytest_ampls.lab.store import Document, Estate, guid

__all__ = ["build"]

_LOCATION = "westeurope"


def _add_scope(
    site: Site, name: str, virtual_network: Document, parts: Monitoring, zones: list[Document]
) -> None:
    """Add a scope with everything in it, and its endpoint in a VNet."""
    scope = monitor.private_link_scope(site, f"ampls-{name}", query="PrivateOnly", ingestion="PrivateOnly")
    site.add(scope)
    for resource in parts.scoped():
        monitor.add_to_scope(site, scope, resource)
    prefix = virtual_network["properties"]["addressSpace"]["addressPrefixes"][0].rpartition(".")[0]
    add_private_endpoint(
        site,
        f"pe-{name}",
        scope=scope,
        subnet_id=subnet_of(virtual_network, "endpoints"),
        addresses=(f"{prefix}.{number}" for number in range(68, 127)),
        resources=parts.scoped(),
        zones=zones,
    )


def build(_parameters: dict[str, str]) -> Estate:
    """Return the estate, as healthy as two scopes in one DNS boundary can be."""
    estate = Estate("two-scopes")
    subscription = estate.add_subscription(guid("subscription", "two-scopes"), "ampls-lab-two-scopes")
    site = Site(estate, estate.add_group(subscription, "two-scopes", _LOCATION), _LOCATION)
    networks = [
        network.virtual_network(
            site,
            name,
            f"10.{number}.0.0/24",
            {"vm": f"10.{number}.0.0/26", "endpoints": f"10.{number}.0.64/26"},
        )
        for number, name in enumerate(("blue", "green"), start=1)
    ]
    network.peer(*networks)
    site.add(*networks)
    parts = add_monitoring(site, "shared-logs", guid("customer", "two-scopes"))
    zones = add_zones(site, networks)
    for number, virtual_network in enumerate(networks, start=1):
        _add_scope(site, virtual_network["name"], virtual_network, parts, zones)
        name = f"{virtual_network['name']}1"
        add_client(site, name, subnet_of(virtual_network, "vm"), f"10.{number}.0.4", parts)
    return estate
