"""How a document looks on the wire: what depends on the api-version and on the kind of request.

Documents are kept in their newest form. Older api-versions lack properties, and some listings
send other forms than a single GET does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pytest_ampls.lab.ids import type_of
from pytest_ampls.lab.store import Document, Index

__all__ = ["association_row", "with_extensions", "with_version"]

_Change = Callable[[Document], Document]


def _without(document: Document, *names: str) -> Document:
    """Return the document without some of its properties."""
    properties = {key: value for key, value in document["properties"].items() if key not in names}
    return {**document, "properties": properties}


def _without_top(document: Document, *names: str) -> Document:
    return {key: value for key, value in document.items() if key not in names}


def _drop(*names: str) -> _Change:
    return lambda document: _without(document, *names)


def _day(version: str) -> str:
    """Return a version's date, which orders versions whether they are previews or not."""
    return version[:10]


def _plain_connection(document: Document) -> Document:
    """A connection before 2023-06-01-preview has no groups."""
    return _without_top(_without(document, "groupIds"), "systemData")


def _plain_embedded_connections(document: Document) -> Document:
    connections = document["properties"].get("privateEndpointConnections")
    if not connections:
        return document
    plain = [_plain_connection(connection) for connection in connections]
    return {**document, "properties": {**document["properties"], "privateEndpointConnections": plain}}


def _four_zones(document: Document) -> Document:
    """The storage zone joined the required zones in 2021."""
    names = document["properties"]["requiredZoneNames"]
    kept = [name for name in names if name != "privatelink.blob.core.windows.net"]
    return {**document, "properties": {**document["properties"], "requiredZoneNames": kept}}


def _lower_workspace(document: Document) -> Document:
    """The workspaces provider wrote lower-case ids in its versions of 2020 and before."""
    before, _, provider = document["id"].partition("/providers/")
    before = before.replace("/resourceGroups/", "/resourcegroups/")
    return {**document, "id": f"{before}/providers/{provider.lower()}"}


_SCOPES = "microsoft.insights/privatelinkscopes"

_CHANGES: Final[dict[str, tuple[tuple[str, _Change], ...]]] = {
    # type: (the first version that has it, what is done to a document of an older version)
    _SCOPES: (
        ("2021-07-01", _drop("accessModeSettings")),
        ("2023-06-01", _plain_embedded_connections),
    ),
    f"{_SCOPES}/scopedresources": (("2023-06-01", _drop("kind", "subscriptionLocation")),),
    f"{_SCOPES}/privateendpointconnections": (("2023-06-01", _plain_connection),),
    f"{_SCOPES}/privatelinkresources": (("2021-07-01", _four_zones),),
    "microsoft.insights/datacollectionendpoints": (
        ("2021-09-01", _drop("metricsIngestion")),
        ("2022-06-01", _drop("privateLinkScopedResources")),
    ),
    "microsoft.insights/datacollectionruleassociations": (("2021-04-01", _drop("dataCollectionEndpointId")),),
    "microsoft.insights/components": (
        (
            "2020-02-02",
            _drop(
                "publicNetworkAccessForIngestion",
                "publicNetworkAccessForQuery",
                "PrivateLinkScopedResources",
                "WorkspaceResourceId",
                "IngestionMode",
            ),
        ),
    ),
    "microsoft.network/privatednszones/virtualnetworklinks": (("2024-06-01", _drop("resolutionPolicy")),),
    "microsoft.operationalinsights/workspaces": (("2021-06-01", _lower_workspace),),
}


def with_version(document: Document, version: str) -> Document:
    """Return the document as an api-version of its type sends it; the original is not changed."""
    for first, change in _CHANGES.get(type_of(document["id"]), ()):
        if "properties" in document and _day(version) < first:
            document = change(document)
    return document


def with_extensions(document: Document, index: Index) -> Document:
    """Return a VM as a single GET sends it: with its extensions under ``resources``."""
    key = document["id"].lower()
    extensions = index.children(key, "microsoft.compute/virtualmachines/extensions")
    return {**document, "resources": extensions} if extensions else document


def association_row(document: Document) -> dict[str, Any]:
    """Return an association as ``{rule or endpoint}/associations`` lists it.

    That listing writes ids and *names* in lower case and leaves out etag and systemData; the
    type keeps its case (recorded from the live service).
    """
    row: dict[str, Any] = {}
    if "properties" in document:
        row["properties"] = {
            key: value.lower() if key.endswith("Id") and isinstance(value, str) else value
            for key, value in document["properties"].items()
        }
    row["id"] = document["id"].lower()
    row["name"] = document["name"].lower()
    row["type"] = document["type"]
    return row
