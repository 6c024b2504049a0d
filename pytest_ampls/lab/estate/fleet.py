"""The estate ``fleet``: hub-and-spoke at scale, generated, always the same for the same numbers.

One hub with scope, endpoint, zones and monitoring; spokes of up to ``spoke_size`` VMs each (500), dealt
out over the subscriptions in turn. Every tenth VM is a Windows machine.
"""

from __future__ import annotations

from pytest_ampls.lab.estate import monitor, network
from pytest_ampls.lab.estate.endpoint import add_private_endpoint
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.estate.topology import Monitoring, add_client, add_monitoring, add_zones, subnet_of
from pytest_ampls.lab.spec import LabError
from pytest_ampls.lab.store import Document, Estate, guid

__all__ = ["PARAMETERS", "build"]

PARAMETERS = ("vms", "subscriptions", "spoke_size")

_LOCATION = "westeurope"
_DNS_SERVER = "10.0.0.4"
_SPOKE_SIZE = 500
_LARGEST_SPOKE = 4000
"""The subnet of a spoke is a /20, and its number the second octet."""
_MOST_SPOKES = 254
_MOST_VMS = 100_000
"""Two hundred spokes: the second octet of their prefixes is their number."""


def _whole(parameters: dict[str, str], key: str, default: int, most: int) -> int:
    text = parameters.get(key, str(default))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise LabError(f"lab fleet: {key}={text} is not a whole number from 1 to {most}")
    return int(text)


def _add_hub(site: Site) -> tuple[Document, Monitoring]:
    """Add the hub with scope, endpoint, zones, monitoring and the DNS server."""
    hub = network.virtual_network(
        site, "hub", "10.0.0.0/16", {"vm": "10.0.0.0/24", "endpoints": "10.0.1.0/26"}
    )
    site.add(hub)
    parts = add_monitoring(site, "fleet-logs", guid("customer", "fleet"))
    scope = monitor.private_link_scope(site, "ampls", query="PrivateOnly", ingestion="PrivateOnly")
    site.add(scope)
    for resource in parts.scoped():
        monitor.add_to_scope(site, scope, resource)
    add_private_endpoint(
        site,
        "ampls",
        scope=scope,
        subnet_id=subnet_of(hub, "endpoints"),
        addresses=(f"10.0.1.{number}" for number in range(4, 62)),
        resources=parts.scoped(),
        zones=add_zones(site, [hub]),
    )
    return hub, parts


def _add_spoke(site: Site, hub: Document, number: int) -> Document:
    """Add a spoke of a /16 that asks the hub's DNS server."""
    prefix = f"10.{number}"
    spoke = network.virtual_network(
        site, f"spoke{number}", f"{prefix}.0.0/16", {"vm": f"{prefix}.0.0/20"}, (_DNS_SERVER,)
    )
    network.peer(hub, spoke)
    site.add(spoke)
    return spoke


def build(parameters: dict[str, str]) -> Estate:
    """Return a fleet of ``vms`` machines (1000) in ``subscriptions`` subscriptions (1).

    Raises:
        LabError: a number is none, or out of range.
    """
    vms = _whole(parameters, "vms", 1000, _MOST_VMS)
    size = _whole(parameters, "spoke_size", _SPOKE_SIZE, _LARGEST_SPOKE)
    if vms > size * _MOST_SPOKES:
        raise LabError(f"lab fleet: {vms} machines in spokes of {size} are more than {_MOST_SPOKES} spokes")
    count = _whole(parameters, "subscriptions", 1, 100)
    estate = Estate("fleet")
    ids = [estate.add_subscription(guid("subscription", "fleet", str(n)), f"fleet-{n}") for n in range(count)]
    hub_site = Site(estate, estate.add_group(ids[0], "fleet-hub", _LOCATION), _LOCATION)
    hub, parts = _add_hub(hub_site)
    # The DNS server is one of the machines, the first.
    add_client(hub_site, "vm00000", subnet_of(hub, "vm"), _DNS_SERVER, parts)
    for first in range(1, vms, size):
        number = first // size + 1
        group = estate.add_group(ids[number % count], f"fleet-spoke{number}", _LOCATION)
        site = Site(estate, group, _LOCATION)
        spoke = _add_spoke(site, hub, number)
        subnet = subnet_of(spoke, "vm")
        for at in range(first, min(first + size, vms)):
            offset = at - first + 4
            os_type = "Windows" if at % 10 == 0 else "Linux"
            address = f"10.{number}.{offset // 256}.{offset % 256}"
            add_client(site, f"vm{at:05d}", subnet, address, parts, os_type=os_type)
    return estate
