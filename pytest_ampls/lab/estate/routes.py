"""Documents of route tables as the network provider sends them.

Source: the examples of the REST API specification, Microsoft.Network/routeTables.
"""

from __future__ import annotations

from typing import Any, Final

from pytest_ampls.lab.estate.site import Site, weak_entity_tag
from pytest_ampls.lab.store import Document, guid

__all__ = ["attach_table", "route", "route_table"]

_TYPE: Final = "Microsoft.Network/routeTables"


def route(table_id: str, name: str, prefix: str, hop: str, address: str = "") -> dict[str, Any]:
    """Return a route; ``hop`` is its next hop's type, ``address`` that of a VirtualAppliance."""
    properties = {"provisioningState": "Succeeded", "addressPrefix": prefix, "nextHopType": hop}
    return {
        "name": name,
        "id": f"{table_id}/routes/{name}",
        "etag": weak_entity_tag(table_id),
        "type": f"{_TYPE}/routes",
        "properties": {**properties, **({"nextHopIpAddress": address} if address else {})},
    }


def route_table(site: Site, name: str) -> Document:
    """Return a table without routes."""
    table_id = site.id(_TYPE, name)
    return {
        "name": name,
        "id": table_id,
        "etag": weak_entity_tag(table_id),
        "type": _TYPE,
        "location": site.location,
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": guid("routes", table_id),
            "disableBgpRoutePropagation": False,
            "routes": [],
        },
    }


def attach_table(table: Document, virtual_network: Document, subnet: str) -> None:
    """Let a table route what leaves a subnet; both documents name the other."""
    for part in virtual_network["properties"]["subnets"]:
        if part["name"] == subnet:
            part["properties"]["routeTable"] = {"id": table["id"]}
            table["properties"].setdefault("subnets", []).append({"id": part["id"]})
