"""The parts of a private endpoint's documents that tests change."""

from __future__ import annotations

from tests.builders import CONNECTIONS, ENDPOINTS, NICS, ZONE_GROUPS, Document
from tests.private_estate import NetworkBlueprint


def connection(plan: NetworkBlueprint, name: str = "ampls/pe.connection") -> Document:
    """Return the properties of a connection as the scope has it."""
    return plan[CONNECTIONS, name]["properties"]  # type: ignore[no-any-return]  # a document


def own_connection(plan: NetworkBlueprint, name: str = "pe") -> Document:
    """Return the properties of a connection as the endpoint has it."""
    connections = plan[ENDPOINTS, name]["properties"]["privateLinkServiceConnections"]
    return connections[0]["properties"]  # type: ignore[no-any-return]  # a document


def set_status(plan: NetworkBlueprint, status: str) -> None:
    """Give the connection a status on both sides."""
    for side in (connection(plan), own_connection(plan)):
        side["privateLinkServiceConnectionState"]["status"] = status


def ip_configurations(plan: NetworkBlueprint) -> list[Document]:
    """Return the addresses of the endpoint's interface."""
    return plan[NICS, "pe.nic"]["properties"]["ipConfigurations"]  # type: ignore[no-any-return]  # a document


def zone_config(plan: NetworkBlueprint, origin: str) -> Document:
    """Return the properties of one zone of the endpoint's zone group."""
    configs = plan[ZONE_GROUPS, "pe/default"]["properties"]["privateDnsZoneConfigs"]
    return next(
        each["properties"] for each in configs if each["properties"]["privateDnsZoneId"].endswith(origin)
    )
