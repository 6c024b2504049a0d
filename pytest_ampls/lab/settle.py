"""What Azure derives from other documents: filled in when an estate is finished.

Faults change single documents; what the platform would repeat elsewhere is repeated here, so
that a fault does not contradict itself.
"""

from __future__ import annotations

import copy

from pytest_ampls.lab.ids import parent_of
from pytest_ampls.lab.store import Estate, Index

__all__ = ["settle"]

_SCOPE = "microsoft.insights/privatelinkscopes"
_CONNECTION = f"{_SCOPE}/privateendpointconnections"
_ZONE = "microsoft.network/privatednszones"


def settle(estate: Estate) -> Index:
    """Fill in what is derived and return the estate indexed for serving."""
    index = Index(estate)
    for scope in index.by_type.get(_SCOPE, []):
        connections = index.children(scope["id"].lower(), _CONNECTION)
        # A scope without connections omits the property; it never sends an empty list.
        if connections:
            scope["properties"]["privateEndpointConnections"] = [
                {key: copy.deepcopy(connection[key]) for key in ("id", "name", "type", "properties")}
                for connection in connections
            ]
    _count_zone_contents(index)
    return index


def _count_zone_contents(index: Index) -> None:
    records: dict[str, int] = {}
    for kind, documents in index.by_type.items():
        if kind.startswith(_ZONE + "/") and not kind.endswith("/virtualnetworklinks"):
            for record in documents:
                zone = parent_of(record["id"])
                records[zone] = records.get(zone, 0) + 1
    for document in index.by_type.get(_ZONE, []):
        key = document["id"].lower()
        properties = document["properties"]
        properties["numberOfRecordSets"] = records.get(key, 0)
        properties["numberOfVirtualNetworkLinks"] = len(index.children(key, f"{_ZONE}/virtualnetworklinks"))
