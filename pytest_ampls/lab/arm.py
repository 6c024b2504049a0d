"""Azure Resource Manager: routes, listings, single GETs, refusals.

The lab's principal is a Reader who may also run commands in machines: whatever would change something
is refused, and so is every request that Azure would refuse. Sources: recorded answers of the live service.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any, Final

from pytest_ampls.lab import management
from pytest_ampls.lab.graph import GRAPH_PATH, Graph
from pytest_ampls.lab.instance_view import expanded, instance_view, machine_asked_for
from pytest_ampls.lab.messages import Request, Response, json_response
from pytest_ampls.lab.paging import Pages
from pytest_ampls.lab.resource_types import RESOURCE_TYPES, ResourceType, find_type
from pytest_ampls.lab.run_command import RunCommands
from pytest_ampls.lab.store import Document, Index
from pytest_ampls.lab.targets import RefusedError, Target, authorization_failed, parse_target, refuse
from pytest_ampls.lab.wire_forms import association_row, with_extensions, with_version

__all__ = ["Arm", "request_headers"]

_FIX = "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
_ASSOCIATIONS: Final = "microsoft.insights/datacollectionruleassociations"
_COLLECTIONS: Final = ("microsoft.insights/datacollectionrules", "microsoft.insights/datacollectionendpoints")
_MACHINES: Final = "microsoft.compute/virtualmachines"
_NETWORKS: Final = "microsoft.network/virtualnetworks"
_INLINE: Final = {
    f"{_NETWORKS}/subnets": "subnets",
    f"{_NETWORKS}/virtualnetworkpeerings": "virtualNetworkPeerings",
}
_ZONES: Final = "microsoft.network/privatednszones"
_GENERIC_PAGE: Final = 338
"""Rows on a page of a generic listing: as many as a recorded one had that was not the last."""
_ACTIONS: Final = {"PUT": "write", "PATCH": "write", "DELETE": "delete"}


class Arm:
    """Answers requests to ARM from an indexed estate. Thread-safe: it only reads, and what it keeps stays."""

    def __init__(
        self, index: Index, *, page_size: int, object_id: str, graph: Graph, run_commands: RunCommands
    ) -> None:
        self.index = index
        self.pages = Pages(page_size)
        self.object_id = object_id
        self._graph = graph
        self.run_commands = run_commands
        self._generic_rows: dict[tuple[str, str, tuple[str, ...]], list[Document]] = {}
        self._associated: dict[str, list[Document]] = {}
        for association in index.by_type.get(_ASSOCIATIONS, []):
            for key, value in association.get("properties", {}).items():
                if key in ("dataCollectionRuleId", "dataCollectionEndpointId"):
                    self._associated.setdefault(value.lower(), []).append(association)

    def answer(self, request: Request) -> Response:
        """Answer one request that carries a good token."""
        try:
            return self._route(request)
        except RefusedError as refused:
            return refused.response

    def _route(self, request: Request) -> Response:
        path, query = request.path, request.query()
        if path.lower().rstrip("/") == GRAPH_PATH and request.method == "POST":
            return self._graph.answer(request)
        run = self.run_commands.answer(request)
        if run is not None:
            return run
        if request.method != "GET":
            return self._write(request)
        version = query.get("api-version", "")
        if not version:
            text = "The api-version query parameter (?api-version=) is required for all requests."
            refuse(400, "MissingApiVersionParameter", text)
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(-[a-z]+)?", version.lower()):
            refuse(400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid.")
        segments = path.strip("/").split("/")
        simple = self._management(segments, version.lower(), request)
        if simple is not None:
            return simple
        self._check_place(segments)
        machine = machine_asked_for(path, query)
        if machine is not None:
            return json_response(
                200, instance_view(self._single(parse_target(machine), version.lower()), self.index)
            )
        return self._resources(request, parse_target(path), version.lower())

    # -- what is no resource of a provider ---------------------------------------------------

    def _management(self, segments: list[str], version: str, request: Request) -> Response | None:
        """Answer tenants, subscriptions, groups and generic listings; None for anything else."""
        lower = [segment.lower() for segment in segments]
        if lower == ["tenants"]:
            return self.pages.page([management.tenant_document()], request, null_link=False)
        if lower[:3] == ["providers", "microsoft.management", "managementgroups"]:
            return self._management_group(lower, version, request)
        if lower[0] != "subscriptions" or len(lower) > 5:
            return None
        known = len(lower) < 2 or lower[1] in self.index.subscriptions
        shape = "/".join(["subscriptions", *("*" if at % 2 else part for at, part in enumerate(lower))][1:])
        routes: dict[str, Callable[[], Response]] = {
            "subscriptions": lambda: self.pages.page(self._subscriptions(), request, null_link=False),
            "subscriptions/*": lambda: json_response(200, self._subscription(lower[1])),
            "subscriptions/*/resourcegroups": lambda: self.pages.page(
                self._groups(lower[1]), request, null_link=False
            ),
            "subscriptions/*/resourcegroups/*": lambda: self._group(segments),
            "subscriptions/*/resources": lambda: self._generic(request, lower[1], ""),
            "subscriptions/*/resourcegroups/*/resources": lambda: self._generic(request, lower[1], lower[3]),
            "subscriptions/*/providers": lambda: self.pages.page(
                management.providers(lower[1]), request, null_link=False
            ),
            "subscriptions/*/providers/*": lambda: self._provider(lower[3], lower[1]),
        }
        route = routes.get(shape)
        if route is None:
            return None
        if not known:
            self._check_place(segments)
        if version not in management.MANAGEMENT_VERSIONS:
            supported = ", ".join(management.MANAGEMENT_VERSIONS)
            text = f"The api-version '{version}' is invalid. The supported versions are '{supported}'."
            refuse(400, "InvalidApiVersionParameter", text)
        if len(segments) == 5:
            self._check_place(segments)
        return route()

    def _management_group(self, lower: list[str], version: str, request: Request) -> Response:
        if len(lower) != 5 or lower[4] != "descendants":
            refuse(404, "NotFound", "The request URI names nothing that exists here.")
        if version not in management.DESCENDANT_VERSIONS:
            supported = ", ".join(management.DESCENDANT_VERSIONS)
            text = f"The api-version '{version}' is invalid. The supported versions are '{supported}'."
            refuse(400, "InvalidApiVersionParameter", text)
        found = management.descendants(lower[3], list(self.index.subscriptions.values()))
        if found is None:
            text = f"The management group '{lower[3]}' cannot be found."
            refuse(404, "NotFound", text)
        return self.pages.page(found, request, null_link=True)

    def _subscriptions(self) -> list[Document]:
        return [management.subscription_document(*pair) for pair in self.index.subscriptions.values()]

    def _subscription(self, key: str) -> Document:
        return management.subscription_document(*self.index.subscriptions[key])

    def _groups(self, subscription: str) -> list[Document]:
        prefix = f"/subscriptions/{subscription}/"
        return [document for key, document in self.index.groups.items() if key.startswith(prefix)]

    def _group(self, segments: list[str]) -> Response:
        self._check_place(segments)
        return json_response(200, self.index.groups["/" + "/".join(segments).lower()])

    def _provider(self, namespace: str, subscription: str) -> Response:
        document = management.provider(namespace, subscription)
        if document is None:
            refuse(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
        return json_response(200, document)

    def _generic(self, request: Request, subscription: str, group: str) -> Response:
        condition = request.query().get("$filter", "")
        kinds = _types_of(condition) if condition else ()
        place = (subscription, group, kinds)
        rows = self._generic_rows.get(place)
        if rows is None:
            rows = self._generic_rows[place] = management.generic_rows(self.index, *place)
        return self.pages.page(rows, request, null_link=False, size=_GENERIC_PAGE)

    # -- resources ---------------------------------------------------------------------------

    def _check_place(self, segments: list[str]) -> None:
        """Refuse a subscription or a resource group that does not exist."""
        lower = [segment.lower() for segment in segments]
        if lower[0] != "subscriptions" or len(lower) < 2:
            refuse(404, "NotFound", "The request URI names nothing that exists here.")
        if lower[1] not in self.index.subscriptions:
            refuse(404, "SubscriptionNotFound", f"The subscription '{segments[1]}' could not be found.")
        if len(lower) > 3 and lower[2] == "resourcegroups":
            group = "/" + "/".join(lower[:4])
            if group not in self.index.groups:
                refuse(404, "ResourceGroupNotFound", f"Resource group '{segments[3]}' could not be found.")

    def _checked_type(self, target: Target, version: str) -> ResourceType:
        """Return the type that is asked for, or refuse it or its api-version."""
        name = target.resource_type
        if name in {f"{collection}/associations" for collection in _COLLECTIONS}:
            name = _ASSOCIATIONS
        namespace = name.partition("/")[0]
        if not any(key.startswith(namespace + "/") for key in RESOURCE_TYPES):
            refuse(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
        entry = find_type(name)
        kind = name.partition("/")[2]
        below_resource = "/providers/" in target.place and not target.nested
        if entry is None or (below_resource and not entry.extension):
            text = (
                f"The resource type '{kind}' could not be found in the namespace '{namespace}' for api version"
                f" '{version}'."
            )
            refuse(404, "InvalidResourceType", text)
        if version not in entry.versions:
            supported = ", ".join(entry.versions)
            text = (
                f"No registered resource provider found for location 'global' and API version '{version}' for"
                f" type '{kind}'. The supported api-versions are '{supported}'. The supported locations are"
                " 'global, westeurope, northeurope'."
            )
            refuse(400, "NoRegisteredProviderFound", text)
        return entry

    def _resources(self, request: Request, target: Target, version: str) -> Response:
        entry = self._checked_type(target, version)
        headers = {"api-supported-versions": ", ".join(entry.versions)} if entry.announces else {}
        if target.name:
            document = self._single(target, version)
            if target.resource_type == _MACHINES:
                document = expanded(document, self.index, request.query().get("$expand", ""))
            if "etag" in document and target.resource_type.startswith(_ZONES):
                headers["etag"] = document["etag"]
            return json_response(200, document, headers)
        response = self._listing(request, target, entry, version)
        response.headers.update(headers)
        return response

    def _single(self, target: Target, version: str) -> Document:
        document = self.index.by_id.get(target.id)
        if document is None and target.resource_type in _INLINE:
            document = next(
                (row for row in self._inline(target) if row["name"].lower() == target.name.lower()), None
            )
        if document is None:
            if target.nested:
                self._check_parent(target)
            shown = RESOURCE_TYPES[target.resource_type].name
            group = target.place.split("/")[4] if "/resourcegroups/" in target.place else ""
            text = (
                f"The Resource '{shown}/{target.name}' under resource group '{group}' was not found. {_FIX}"
            )
            refuse(404, "ResourceNotFound", text)
        if target.resource_type == _MACHINES:
            document = with_extensions(document, self.index)
        return with_version(document, version)

    def _check_parent(self, target: Target) -> None:
        if target.place not in self.index.by_id:
            kind = target.resource_type.partition("/")[2]
            text = (
                f"Failed to perform 'read' on resource(s) of type '{kind}', because the parent resource"
                f" '{target.place}' could not be found."
            )
            refuse(404, "ParentResourceNotFound", text)

    def _inline(self, target: Target) -> list[Document]:
        parent = self.index.by_id.get(target.place, {})
        rows: list[Document] = parent.get("properties", {}).get(_INLINE[target.resource_type], [])
        return rows

    def _documents(self, target: Target, entry: ResourceType) -> list[Document]:
        """Return the documents of a listing; refuse a place where the type is not listed."""
        if entry.extension:
            if target.place not in self.index.by_id:
                refuse(404, "ResourceNotFound", f"The Resource '{target.place}' was not found. {_FIX}")
            return self.index.children(target.place, target.resource_type)
        if target.nested:
            self._check_parent(target)
            if target.resource_type in _INLINE:
                return self._inline(target)
            if target.resource_type == f"{_ZONES}/all":
                return self._record_sets(target.place)
            return self.index.children(target.place, target.resource_type)
        segments = target.place.split("/")
        group = segments[4] if len(segments) > 4 else ""
        return self.index.in_scope(target.resource_type, segments[2], group)

    def _record_sets(self, zone: str) -> list[Document]:
        return [
            document
            for key in RESOURCE_TYPES
            if key.startswith(_ZONES + "/") and key != f"{_ZONES}/virtualnetworklinks"
            for document in self.index.children(zone, key)
        ]

    def _listing(self, request: Request, target: Target, entry: ResourceType, version: str) -> Response:
        listed_from_target = target.resource_type.endswith("/associations")

        def change(document: Document) -> Any:
            dated = with_version(document, version)
            return association_row(dated) if listed_from_target else dated

        if listed_from_target:
            if target.place not in self.index.by_id:
                refuse(404, "ResourceNotFound", f"The Resource '{target.place}' was not found. {_FIX}")
            documents = self._associated.get(target.place, [])
        else:
            documents = self._documents(target, entry)
        condition = request.query().get("$filter", "")
        if condition and target.resource_type == _MACHINES:
            documents = _instances(documents, condition)
        return self.pages.page(
            documents, request, null_link=entry.null_next_link, size=entry.page_size, change=change
        )

    def _write(self, request: Request) -> Response:
        """Refuse whatever would change something: the lab's principal is a Reader."""
        path = request.path
        segments = path.strip("/").split("/")
        self._check_place(segments)
        last = path.lower().rpartition("/providers/")[2].split("/")
        kinds = "/".join([last[0], *last[1::2]])
        action = f"{kinds}/{_ACTIONS.get(request.method, 'action')}"
        return authorization_failed(action, path, self.object_id)


def _types_of(condition: str) -> tuple[str, ...]:
    """Return the lower-cased types that a filter of ``/resources`` names, each once.

    RefusedError for any other filter: Azure knows more properties, but not all of them together.
    """
    found: dict[str, None] = {}
    for part in re.split(r"\s+or\s+", condition.strip(), flags=re.IGNORECASE):
        match = re.fullmatch(r"resourceType\s+eq\s+'([^']+)'", part, re.IGNORECASE)
        if match is None:
            text = f"Invalid $filter '{condition}' specified in the query string."
            refuse(400, "InvalidFilterInQueryString", text)
        found[match[1].lower()] = None
    return tuple(found)


def _instances(documents: list[Document], condition: str) -> list[Document]:
    """Return the instances of one Flexible scale set; RefusedError for any other filter."""
    match = re.fullmatch(r"\s*'?virtualMachineScaleSet/id'?\s+eq\s+'([^']+)'\s*", condition, re.IGNORECASE)
    if match is None:
        refuse(400, "BadRequest", f"The $filter '{condition}' is not supported.")
    wanted = match[1].lower()
    return [
        document
        for document in documents
        if document.get("properties", {}).get("virtualMachineScaleSet", {}).get("id", "").lower() == wanted
    ]


def request_headers() -> dict[str, str]:
    """Return the ids that every answer of ARM carries."""
    request_id = str(uuid.uuid4())
    return {
        "x-ms-request-id": request_id,
        "x-ms-correlation-request-id": request_id,
        "x-ms-routing-request-id": f"WESTEUROPE:20260301T081530Z:{request_id}",
        "strict-transport-security": "max-age=31536000; includeSubDomains",
        "x-content-type-options": "nosniff",
    }
