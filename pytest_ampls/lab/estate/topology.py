"""Parts that several estates are made of: zones with links, the monitoring resources, clients."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_ampls.lab.estate import compute, monitor, network
from pytest_ampls.lab.estate.members import PUBLIC_ZONES, private_zone_name
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.store import Document

__all__ = ["Monitoring", "add_client", "add_monitoring", "add_zones", "associate", "subnet_of"]


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """What machines report to: workspace, component, collection endpoint, rules, identity."""

    workspace: Document
    component: Document
    endpoint: Document
    linux_rule: Document
    windows_rule: Document
    identity: Document

    def scoped(self) -> tuple[Document, Document, Document]:
        """Return the resources that belong into a scope."""
        return self.workspace, self.endpoint, self.component


def add_monitoring(site: Site, name: str, customer_id: str) -> Monitoring:
    """Add a workspace, a component, an endpoint, rules for both systems and an identity."""
    workspace = monitor.workspace(site, name, customer_id)
    parts = Monitoring(
        workspace=workspace,
        component=monitor.component(site, f"appi-{name}", workspace["id"]),
        endpoint=monitor.collection_endpoint(site, f"dce-{site.location}"),
        linux_rule=monitor.collection_rule(site, "dcr-linux", "Linux", workspace, lower_destination=True),
        windows_rule=monitor.collection_rule(site, "dcr-windows", "Windows", workspace),
        identity=compute.user_assigned_identity(site, "id-ama"),
    )
    site.add(workspace, parts.component, parts.endpoint, parts.linux_rule, parts.windows_rule, parts.identity)
    return parts


def add_zones(site: Site, networks: Iterable[Document]) -> list[Document]:
    """Add the five zones of a scope, linked to each of the VNets, and return them."""
    zones = [network.private_dns_zone(site, private_zone_name(zone)) for zone in PUBLIC_ZONES]
    linked = list(networks)
    for zone in zones:
        site.add(zone, network.start_of_authority(zone))
        site.add(*(network.zone_link(zone, virtual_network) for virtual_network in linked))
    return zones


def subnet_of(virtual_network: Document, name: str) -> str:
    """Return the id of a VNet's subnet."""
    return f"{virtual_network['id']}/subnets/{name}"


def associate(site: Site, machine_id: str, parts: Monitoring, os_type: str = "Linux") -> None:
    """Associate a machine with its system's rule and with the collection endpoint."""
    rule = parts.windows_rule if os_type == "Windows" else parts.linux_rule
    site.add(
        monitor.rule_association(machine_id, f"{rule['name']}-association", rule["id"]),
        monitor.endpoint_association(machine_id, parts.endpoint["id"]),
    )


def add_client(
    site: Site,
    name: str,
    subnet_id: str,
    address: str,
    parts: Monitoring,
    *,
    os_type: str = "Linux",
    scale_set: str | None = None,
    tags: dict[str, str] | None = None,
    extension: str | None = None,
    power: str = "running",
) -> Document:
    """Add a VM with interface, agent and both associations, and return it; ``power`` is its power state."""
    machine_id = site.id("Microsoft.Compute/virtualMachines", name)
    nic = compute.network_interface(site, f"{name}-nic", machine_id, subnet_id, address)
    machine = compute.virtual_machine(
        site,
        name,
        nic_id=nic["id"],
        identity=compute.user_assigned(parts.identity),
        os_type=os_type,
        scale_set=scale_set,
        tags=tags,
        power=power,
    )
    settings = compute.agent_settings(parts.identity)
    site.add(nic, machine, compute.agent_extension(site, machine, settings, name=extension))
    associate(site, machine_id, parts, os_type)
    return machine
