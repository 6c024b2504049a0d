"""The estate ``hub-and-spoke``: one private endpoint in a hub, zones linked to the hub only.

Four spokes resolve through a DNS server in the hub, so none of them has a zone linked, and all
names are private everywhere. Source: the lab of "What is an Azure Monitor Private Link Scope?"
(blog.cloudtrooper.net, 2022-03-11), brought up to date with data collection endpoints, rules,
associations and the Azure Monitor Agent; the addresses .68 to .78 are those of the original.
"""

from __future__ import annotations

from pytest_ampls.lab.estate import arc, compute, monitor, network, scale_sets
from pytest_ampls.lab.estate.endpoint import add_private_endpoint
from pytest_ampls.lab.estate.network_security import attach_group, network_security_group, security_rule
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.estate.topology import (
    Monitoring,
    add_client,
    add_monitoring,
    add_zones,
    associate,
    subnet_of,
)
from pytest_ampls.lab.store import Document, Estate, guid

__all__ = ["CUSTOMER_ID", "DNS_SERVER", "build"]

CUSTOMER_ID = "36b87820-3c7e-41fe-851a-86d2a26e7cc2"
DNS_SERVER = "192.168.0.4"

_GROUP = "amplstest"
_LOCATION = "westeurope"


def _add_networks(site: Site) -> tuple[Document, list[Document]]:
    """Add the hub and its spokes, peered with the hub and not with one another."""
    hub = network.virtual_network(
        site, "hub", "192.168.0.0/24", {"vm": "192.168.0.0/26", "endpoints": "192.168.0.64/26"}
    )
    spokes = [
        network.virtual_network(
            site, f"spoke{n}", f"192.168.{n}.0/24", {"vm": f"192.168.{n}.0/26"}, (DNS_SERVER,)
        )
        for n in range(1, 5)
    ]
    for spoke in spokes:
        network.peer(hub, spoke)
    site.add(hub, *spokes)
    site.add(_group_of(site, spokes[0]))
    return hub, spokes


def _group_of(site: Site, spoke: Document) -> Document:
    """Return a network security group that keeps a spoke's machines off the internet."""
    group = network_security_group(site, f"nsg-{spoke['name']}")
    group["properties"]["securityRules"] = [
        security_rule(
            group["id"],
            "AllowAzureMonitor",
            priority=100,
            access="Allow",
            source="VirtualNetwork",
            destination="AzureMonitor",
            port="443",
            protocol="Tcp",
        ),
        security_rule(group["id"], "DenyInternet", priority=4000, access="Deny", destination="Internet"),
    ]
    attach_group(group, spoke, "vm")
    return group


def _add_flexible_set(site: Site, spoke: Document, parts: Monitoring) -> None:
    """Add a Flexible scale set of two instances: VMs of their own, each with its associations."""
    subnet = subnet_of(spoke, "vm")
    identity = compute.user_assigned(parts.identity)
    scale_set = scale_sets.flexible_set(
        site, "flex", subnet, identity, compute.agent_settings(parts.identity)
    )
    site.add(scale_set)
    for suffix, address in (("3f1a2b0c", "192.168.3.10"), ("8d9e0f1a", "192.168.3.11")):
        name = f"flex_{suffix}"
        add_client(site, name, subnet, address, parts, scale_set=scale_set["id"])


def _add_uniform_set(site: Site, spoke: Document, parts: Monitoring) -> None:
    """Add a Uniform scale set of two instances: associations and agent are on the set."""
    scale_set = scale_sets.uniform_set(
        site,
        "uniform",
        subnet_of(spoke, "vm"),
        compute.user_assigned(parts.identity),
        compute.agent_settings(parts.identity),
    )
    site.add(scale_set, *(scale_sets.uniform_instance(site, scale_set, number) for number in range(2)))
    associate(site, scale_set["id"], parts)


def _add_arc_machine(site: Site, parts: Monitoring) -> None:
    machine = arc.arc_machine(site, "onprem1")
    site.add(machine, arc.arc_extension(site, machine))
    associate(site, machine["id"], parts)


def build(_parameters: dict[str, str]) -> Estate:
    """Return the healthy estate."""
    estate = Estate("hub-and-spoke")
    subscription = estate.add_subscription(guid("subscription", "hub-and-spoke"), "ampls-lab")
    site = Site(estate, estate.add_group(subscription, _GROUP, _LOCATION), _LOCATION)
    hub, spokes = _add_networks(site)
    parts = add_monitoring(site, "amplstest12345", CUSTOMER_ID)
    scope = monitor.private_link_scope(site, "ampls", query="PrivateOnly", ingestion="PrivateOnly")
    site.add(scope)
    for resource in parts.scoped():
        monitor.add_to_scope(site, scope, resource)
    add_private_endpoint(
        site,
        "ampls",
        scope=scope,
        subnet_id=subnet_of(hub, "endpoints"),
        addresses=(f"192.168.0.{number}" for number in range(68, 127)),
        resources=parts.scoped(),
        zones=add_zones(site, [hub]),
    )
    add_client(site, "hub", subnet_of(hub, "vm"), DNS_SERVER, parts, tags={"role": "dns"})
    for number, spoke in enumerate(spokes, start=1):
        add_client(
            site,
            spoke["name"],
            subnet_of(spoke, "vm"),
            f"192.168.{number}.4",
            parts,
            os_type="Windows" if number == 2 else "Linux",
            extension="Microsoft.Azure.Monitor.AzureMonitorLinuxAgent" if number == 3 else None,
        )
    _add_flexible_set(site, spokes[2], parts)
    _add_uniform_set(site, spokes[3], parts)
    _add_arc_machine(site, parts)
    return estate
