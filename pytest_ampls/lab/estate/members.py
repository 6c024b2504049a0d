"""The names behind a scope: zones, shared names, and the members that an endpoint needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_ampls.lab.estate.monitor import component_ingestion_host
from pytest_ampls.lab.store import Document

__all__ = [
    "PUBLIC_ZONES",
    "SHARED_NAMES",
    "Member",
    "members_of",
    "private_name",
    "private_zone_name",
    "split_name",
]

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
