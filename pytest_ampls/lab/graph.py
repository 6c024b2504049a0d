"""Azure Resource Graph: the index over all subscriptions, queried by POST.

Types are lower-case there, missing values are ``""`` or null, flags are strings, and what the
principal may not read is left out without a word. Sources: recorded answers of the live service;
learn.microsoft.com, "Working with large Azure resource data sets".
"""

from __future__ import annotations

import base64
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from pytest_ampls.lab.fault.registry import Lag
from pytest_ampls.lab.ids import resource_group_of, subscription_of, type_of
from pytest_ampls.lab.kql import Query, QueryRefusedError, parse_query
from pytest_ampls.lab.management import is_tracked
from pytest_ampls.lab.messages import Request, Response, error, json_response
from pytest_ampls.lab.resource_types import RESOURCE_TYPES
from pytest_ampls.lab.roles import authorization_rows, container_rows
from pytest_ampls.lab.store import TENANT_ID, Document, Index
from pytest_ampls.lab.wire_forms import with_version

__all__ = ["GRAPH_PATH", "Graph"]

GRAPH_PATH: Final = "/providers/microsoft.resourcegraph/resources"
VERSIONS: Final = ("2021-03-01", "2022-10-01", "2024-04-01")

_PAGE = 100
_LARGEST_PAGE = 1000

_OBJECTS = ("sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation")
_TEXTS = ("kind", "location", "managedBy")

_TABLES: Final[dict[str, Callable[[str, Document], bool]]] = {
    "resources": lambda _kind, document: is_tracked(document),
    "insightsresources": lambda kind, _document: kind.endswith("/datacollectionruleassociations"),
    "computeresources": lambda kind, _document: (
        kind == "microsoft.compute/virtualmachinescalesets/virtualmachines"
    ),
    "dnsresources": lambda kind, document: (
        kind.startswith("microsoft.network/privatednszones/") and not is_tracked(document)
    ),
}
_CONTAINERS: Final = "resourcecontainers"
_AUTHORIZATION: Final = "authorizationresources"
_FILTERS: Final = ("AtScopeAndBelow", "AtScopeAndAbove", "AtScopeAboveAndBelow", "AtScopeExact")
"""Whether rows above the subscriptions are told: assignments at management groups, and built-in roles."""


def _newest_stable(kind: str) -> str:
    return max(version for version in RESOURCE_TYPES[kind].versions if "preview" not in version)


def _row(document: Document) -> dict[str, Any]:
    """Return a document as a row: every column is there, whether it has a value or not."""
    kind = type_of(document["id"])
    current = with_version(document, _newest_stable(kind))
    row: dict[str, Any] = {
        "id": current["id"],
        "name": current["name"],
        "type": kind,
        "tenantId": TENANT_ID,
        "resourceGroup": resource_group_of(current["id"]),
        "subscriptionId": subscription_of(current["id"]),
    }
    for name in _TEXTS:
        row[name] = current.get(name) or ""
    for name in _OBJECTS:
        row[name] = current.get(name)
    return row


class Graph:
    """Answers Resource Graph queries. Thread-safe: it only reads, tables and results are built once.

    ``lags`` are how the index differs from the estate.
    """

    def __init__(self, index: Index, hidden_types: set[str], lags: Sequence[Lag] = ()) -> None:
        self._index = index
        self._hidden = hidden_types
        self._lags = lags
        self._tables: dict[str, list[dict[str, Any]]] = {}
        self._results: dict[tuple[str, frozenset[str]], list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Response:
        """Answer one query."""
        version = request.query().get("api-version", "")
        if not version:
            text = "The api-version query parameter (?api-version=) is required for all requests."
            return error(400, "MissingApiVersionParameter", text)
        if version not in VERSIONS:
            supported = ", ".join(VERSIONS)
            text = f"The api-version '{version}' is invalid. The supported versions are '{supported}'."
            return error(400, "InvalidApiVersionParameter", text)
        try:
            body = msgspec.json.decode(request.body)
        except msgspec.DecodeError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("query"), str):
            return _bad_request({"code": "InvalidPayload", "message": "The request body has no query."})
        try:
            return self._run(body)
        except QueryRefusedError as refused:
            return _bad_request(
                {
                    "code": "InvalidQuery",
                    "message": "Query is invalid. Please fix the error before retrying.",
                },
                {
                    "code": "ParserFailure",
                    "message": "ParserFailure",
                    "line": 1,
                    "characterPositionInLine": max(0, body["query"].find(refused.token)),
                    "token": refused.token,
                    "expectedToken": "Ǐ",
                },
            )

    def _run(self, body: dict[str, Any]) -> Response:
        query = parse_query(body["query"])
        if query.table not in (*_TABLES, _CONTAINERS, _AUTHORIZATION):
            raise QueryRefusedError(query.table)
        options = body.get("options") or {}
        top = options.get("$top", _PAGE)
        if options.get("resultFormat", "objectArray") != "objectArray" or not 1 <= top <= _LARGEST_PAGE:
            return _bad_request(
                {"code": "InvalidOptions", "message": "resultFormat or $top is not supported."}
            )
        scoped = options.get("authorizationScopeFilter", _FILTERS[0])
        if scoped not in _FILTERS:
            return _bad_request({"code": "InvalidOptions", "message": "authorizationScopeFilter is unknown."})
        wanted = {str(name).lower() for name in body.get("subscriptions") or self._index.subscriptions}
        readable = wanted & set(self._index.subscriptions)
        if not readable or body.get("managementGroups"):
            return error(403, "AccessDenied", "Access is denied to the requested scopes.")
        rows = self._rows(body["query"], query, frozenset(readable), above="Above" in scoped)
        start = _start(options)
        data = rows[start : start + top]
        more = start + top < len(rows)
        answer: dict[str, Any] = {
            "totalRecords": len(rows),
            "count": len(data),
            "data": data,
            "facets": [],
            # A string on the wire; without the id column the rest of the rows is lost.
            "resultTruncated": "true" if more and not query.keeps_id else "false",
        }
        if more and query.keeps_id:
            answer["$skipToken"] = base64.b64encode(str(start + top).encode()).decode()
        headers = {"x-ms-user-quota-remaining": "14", "x-ms-user-quota-resets-after": "00:00:05"}
        return json_response(200, answer, headers)

    def _rows(
        self, text: str, query: Query, readable: frozenset[str], *, above: bool
    ) -> list[dict[str, Any]]:
        """Return all rows of a query; they are kept, as a client asks for them page by page.

        What lies above subscriptions is told where that is asked for, and in the table of roles alone.
        """
        seen = {*readable, ""} if above and query.table == _AUTHORIZATION else readable
        with self._lock:
            rows = self._results.get((text, frozenset(seen)))
            if rows is None:
                table = self._table(query.table)
                rows = query.run([row for row in table if row["subscriptionId"] in seen])
                self._results[text, frozenset(seen)] = rows
            return rows

    def _table(self, name: str) -> list[dict[str, Any]]:
        rows = self._tables.get(name)
        if rows is None:
            rows = self._tables[name] = self._built(name)
            for lag in self._lags:
                lag(rows)
        return rows

    def _built(self, name: str) -> list[dict[str, Any]]:
        pairs = list(self._index.subscriptions.values())
        if name == _AUTHORIZATION:
            return authorization_rows([own for own, _ in pairs], self._hidden)
        if name == _CONTAINERS:
            return container_rows(pairs)
        holds = _TABLES[name]
        return [
            _row(document)
            for kind, documents in self._index.by_type.items()
            if not self._is_hidden(kind)
            for document in documents
            if holds(kind, document)
        ]

    def _is_hidden(self, kind: str) -> bool:
        record_set = "microsoft.network/privatednszones/"
        if kind.startswith(record_set) and kind != record_set + "virtualnetworklinks":
            return f"{record_set}recordsets" in self._hidden
        return kind in self._hidden


def _start(options: dict[str, Any]) -> int:
    token = options.get("$skipToken")
    if not token:
        return int(options.get("$skip", 0))
    try:
        return int(base64.b64decode(str(token)).decode())
    except ValueError:
        raise QueryRefusedError(str(token)) from None


def _bad_request(*details: dict[str, Any]) -> Response:
    when = time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime())
    text = (
        f"Please provide below info when asking for support: timestamp = {when},"
        f" correlationId = {uuid.uuid4()}."
    )
    return error(400, "BadRequest", text, details=list(details))
