"""Faults of the wire: refusals, throttling, broken bodies. They deny evidence, they break no rule.

Where a fault takes a type, it hits listings and single reads of that type, written in full
(``Microsoft.Insights/dataCollectionRules``) or by its last part; without one it hits all of ARM.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from pytest_ampls.lab.fault.registry import Answer, Meddling, wire_fault
from pytest_ampls.lab.ids import type_of
from pytest_ampls.lab.messages import Request, Response, error
from pytest_ampls.lab.resource_types import RESOURCE_TYPES
from pytest_ampls.lab.roles import definition_row, reassign
from pytest_ampls.lab.spec import LabError, suggestion
from pytest_ampls.lab.store import Estate, guid
from pytest_ampls.lab.targets import RefusedError, authorization_failed, parse_target

__all__: list[str] = []

_TYPE = "resource type; all when left out"
_RECORD_SETS = "microsoft.network/privatednszones/recordsets"
_ASSOCIATIONS = "microsoft.insights/datacollectionruleassociations"

_DESCENDANTS = "microsoft.management/managementgroups/descendants"
_SAME = ""
_GRAPH = "/providers/microsoft.resourcegraph/resources"


def asked_type(request: Request) -> str:
    """Return the lower-cased type that a request to ARM reads, ``""`` for none.

    Record sets are one type, whatever kind of record is listed, and the associations of a rule
    or an endpoint are associations.
    """
    path = request.path.lower()
    if path.startswith("/providers/microsoft.management/"):
        return _DESCENDANTS
    if "/providers/" not in path:
        return "microsoft.resources/subscriptions" if path.startswith("/subscriptions") else ""
    try:
        found = parse_target(path).resource_type
    except RefusedError:
        return ""
    if found.endswith("/associations"):
        return _ASSOCIATIONS
    zones = "microsoft.network/privatednszones/"
    if found.startswith(zones) and found != zones + "virtualnetworklinks":
        return _RECORD_SETS
    return found


def _is_arm(request: Request) -> bool:
    path = request.path.lower()
    return path.startswith(("/subscriptions", "/providers/", "/tenants", "/batch"))


def matching_types(argument: str) -> frozenset[str]:
    """Return the lower-cased types that a fault's argument names, in full or by the last part.

    A last part that several types have means the top-level one.

    Raises:
        LabError: there is no such type, or the last part is ambiguous.
    """
    wanted = argument.lower()
    known = {*RESOURCE_TYPES, _RECORD_SETS, _DESCENDANTS, "microsoft.resources/subscriptions"}
    if wanted == _RECORD_SETS.rpartition("/")[2]:
        return frozenset({_RECORD_SETS})
    matching = {name for name in known if wanted in (name, name.rpartition("/")[2])}
    top = {name for name in matching if name.count("/") == 1}
    found = top if len(top) == 1 else matching
    if not found:
        spellings = [entry.name for entry in RESOURCE_TYPES.values()]
        hint = suggestion(argument, [*spellings, *(name.rpartition("/")[2] for name in spellings)])
        raise LabError(f"lab: there is no resource type {argument!r}{hint}")
    if len(found) > 1:
        raise LabError(f"lab: the resource type {argument!r} is ambiguous: {', '.join(sorted(found))}")
    return frozenset(found)


def _hits(argument: str | None) -> Callable[[Request], bool]:
    """Return the test whether a request reads the type that a fault's argument names."""
    if argument is None:
        return _is_arm
    found = matching_types(argument)
    return lambda request: asked_type(request) in found


Change = Callable[[Request, Response], Response]


def _on_success(meddling: Meddling, hits: Callable[[Request], bool], change: Change) -> None:
    """Change good answers of ARM that a test selects."""

    def wrapper(request: Request, answer: Answer) -> Response:
        response = answer(request)
        return change(request, response) if response.status == 200 and hits(request) else response

    meddling.wrappers.append(wrapper)


def _spelling(resource_type: str) -> str:
    if resource_type == _RECORD_SETS:
        return "Microsoft.Network/privateDnsZones/ALL"
    if resource_type == _DESCENDANTS:
        return "Microsoft.Management/managementGroups/descendants"
    entry = RESOURCE_TYPES.get(resource_type)
    return entry.name if entry is not None else "Microsoft.Resources/subscriptions"


def _forbidden(request: Request, action: str = "") -> Response:
    """Return the 403 that names an action, the one that reads what the request asks for where none is given."""
    return authorization_failed(
        action or f"{_spelling(asked_type(request))}/read", request.path, guid("object")
    )


@wire_fault("denied", "the principal may not read a type, or anything", argument=_TYPE)
def denied(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Answer 403; the index silently leaves out what may not be read."""
    hits = _hits(argument)

    def change(request: Request, _response: Response) -> Response:
        is_graph = request.path.lower().startswith(_GRAPH)
        return _forbidden(request, "Microsoft.ResourceGraph/resources/read" if is_graph else "")

    if argument is not None:
        meddling.hidden_types |= matching_types(argument)
    _on_success(meddling, hits, change)


@wire_fault(
    "denied-subscription",
    "the principal may read nothing in one subscription",
    argument="number of the subscription, from 0; the last one when left out",
)
def denied_subscription(estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Answer 403 to whatever lies in one subscription; the index and the lists leave it out silently."""
    ids = list(estate.subscriptions)
    if argument is not None and not (argument.isdigit() and int(argument) < len(ids)):
        raise LabError(f"lab: denied-subscription={argument} is not a number from 0 to {len(ids) - 1}")
    denied_id = ids[int(argument) if argument is not None else -1].lower()

    def hide(rows: list[dict[str, Any]]) -> None:
        rows[:] = [row for row in rows if row["subscriptionId"] != denied_id]
        reassign(rows, {own: None if own.lower() == denied_id else _SAME for own in ids})

    def change(request: Request, response: Response) -> Response:
        path = f"{request.path.lower().rstrip('/')}/"
        if path == "/subscriptions/":
            document = msgspec.json.decode(response.body)
            document["value"] = [row for row in document["value"] if row["subscriptionId"] != denied_id]
            response.body = msgspec.json.encode(document)
        elif path.startswith(f"/subscriptions/{denied_id}/"):
            return _forbidden(request)
        return response

    meddling.lags.append(hide)
    _on_success(meddling, _is_arm, change)


def _is_list(request: Request) -> bool:
    """Tell whether a request is for ARM's list of all resources."""
    return request.path.lower().rstrip("/").endswith("/resources") and "/providers/" not in request.path


@wire_fault("no-resource-list", "the principal may not list the resources of a subscription")
def no_resource_list(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Answer 403 to ARM's list of all resources, which needs an action of its own."""

    def change(request: Request, _response: Response) -> Response:
        return _forbidden(request, "Microsoft.Resources/subscriptions/resources/read")

    _on_success(meddling, _is_list, change)


@wire_fault("short-list", "ARM's list of resources lacks a type, or everything", argument=_TYPE)
def short_list(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Leave a type out of the list of all resources, without a word."""
    lacking = matching_types(argument) if argument is not None else None

    def change(_request: Request, response: Response) -> Response:
        body = msgspec.json.decode(response.body)
        kept = [row for row in body["value"] if lacking is not None and type_of(row["id"]) not in lacking]
        response.body = msgspec.json.encode({**body, "value": kept})
        return response

    _on_success(meddling, _is_list, change)


@wire_fault(
    "partly-denied",
    "the principal may not read a type in the last subscription",
    argument="resource type; private endpoints when left out",
)
def partly_denied(estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Answer 403 to reads of a type in one subscription, where the principal has another role."""
    kinds, last = matching_types(argument or "privateEndpoints"), list(estate.subscriptions)[-1].lower()
    role = guid("role", "reader of the last subscription")

    def hide(rows: list[dict[str, Any]]) -> None:
        rows[:] = [row for row in rows if row["subscriptionId"] != last or row["type"] not in kinds]
        if reassign(rows, {own: role if own.lower() == last else _SAME for own in estate.subscriptions}):
            rows.append(definition_row(role, "Reader of less", [f"{kind}/read" for kind in sorted(kinds)]))

    def hits(request: Request) -> bool:
        return request.path.lower().startswith(f"/subscriptions/{last}/") and asked_type(request) in kinds

    def change(request: Request, _response: Response) -> Response:
        return _forbidden(request)

    meddling.lags.append(hide)
    _on_success(meddling, hits, change)


@wire_fault("no-resource-graph", "the principal may not use Resource Graph")
def no_resource_graph(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Answer 403 to every query of the index."""

    def change(request: Request, _response: Response) -> Response:
        return _forbidden(request, "Microsoft.ResourceGraph/resources/read")

    _on_success(meddling, lambda request: request.path.lower().startswith(_GRAPH), change)


@wire_fault("unauthenticated", "ARM refuses every token")
def unauthenticated(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Answer 401 to every request to ARM."""

    def wrapper(request: Request, answer: Answer) -> Response:
        if not _is_arm(request):
            return answer(request)
        response = error(401, "InvalidAuthenticationToken", "The access token is invalid.")
        response.headers["www-authenticate"] = 'Bearer error="invalid_token"'
        return response

    meddling.wrappers.append(wrapper)


@wire_fault("token-refused", "the sign-in refuses the client's secret")
def token_refused(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Answer every request for a token as if the secret were wrong."""

    def wrapper(request: Request, answer: Answer) -> Response:
        if not request.path.lower().endswith("/oauth2/v2.0/token"):
            return answer(request)
        document = {
            "error": "invalid_client",
            "error_description": "AADSTS7000215: Invalid client secret provided.",
            "error_codes": [7000215],
        }
        return Response(401, msgspec.json.encode(document))

    meddling.wrappers.append(wrapper)


def _too_many() -> Response:
    text = "Number of read requests exceeded. Please try again after '1' seconds."
    response = error(429, "TooManyRequests", text)
    response.headers["Retry-After"] = "1"
    return response


@wire_fault(
    "throttled",
    "the first requests to each path are answered 429",
    argument="requests per path; 1 when left out",
)
def throttled(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Answer the first N requests to each path with 429 and ``Retry-After: 1``."""
    if argument is not None and not argument.isdigit():
        raise LabError(f"lab: throttled={argument} is not a whole number")
    allowed = int(argument or 1)
    seen: dict[str, int] = {}
    lock = threading.Lock()

    def wrapper(request: Request, answer: Answer) -> Response:
        if not _is_arm(request):
            return answer(request)
        with lock:
            key = request.path.lower()
            seen[key] = seen.get(key, 0) + 1
            refuse = seen[key] <= allowed
        return _too_many() if refuse else answer(request)

    meddling.wrappers.append(wrapper)


@wire_fault("throttled-forever", "a type, or everything, is answered 429 without end", argument=_TYPE)
def throttled_forever(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Answer 429 with ``Retry-After: 1`` for ever."""
    _on_success(meddling, _hits(argument), lambda _request, _response: _too_many())


@wire_fault("cut-page", "a body ends in the middle and the connection is closed", argument=_TYPE)
def cut_page(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Announce the whole length and send half."""

    def change(_request: Request, response: Response) -> Response:
        response.declared_length = len(response.body)
        response.body = response.body[: len(response.body) // 2]
        return response

    _on_success(meddling, _hits(argument), change)


@wire_fault("connection-reset", "the connection is reset instead of an answer", argument=_TYPE)
def connection_reset(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Reset the connection."""
    _on_success(meddling, _hits(argument), lambda _request, _response: Response(200, reset=True))


@wire_fault("malformed-json", "a body is not JSON, though it says so", argument=_TYPE)
def malformed_json(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Spoil the JSON of good answers."""

    def change(_request: Request, response: Response) -> Response:
        response.body = response.body[:-1] + b',"value":[}'
        return response

    _on_success(meddling, _hits(argument), change)


@wire_fault("html-error", "a proxy answers 503 with HTML", argument=_TYPE)
def html_error(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Answer as a gateway in between does."""
    page = b"<html>\r\n<head><title>503 Service Unavailable</title></head>\r\n<body></body>\r\n</html>\r\n"
    _on_success(
        meddling, _hits(argument), lambda _request, _response: Response(503, page, content_type="text/html")
    )


def _edit(meddling: Meddling, argument: str | None, edit: Callable[[Request, dict[str, Any]], None]) -> None:
    """Edit the decoded bodies of good answers."""

    def change(request: Request, response: Response) -> Response:
        document = msgspec.json.decode(response.body)
        edit(request, document)
        response.body = msgspec.json.encode(document)
        return response

    _on_success(meddling, _hits(argument), change)


def _edit_documents(meddling: Meddling, argument: str | None, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit the first document of good answers: of a listing, or the one that was asked for."""

    def edit_body(request: Request, body: dict[str, Any]) -> None:
        rows = body.get("value") if "/providers/" in request.path.lower() else None
        if isinstance(rows, list):
            if rows:
                edit(rows[0])
        elif "properties" in body:
            edit(body)

    _edit(meddling, argument, edit_body)


@wire_fault("missing-properties", "the first document of each answer has no properties", argument=_TYPE)
def missing_properties(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Leave ``properties`` out."""
    _edit_documents(meddling, argument, lambda document: document.pop("properties", None))


@wire_fault("wrong-type", "the first document of each answer has a list for its properties", argument=_TYPE)
def wrong_type(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Send a list where an object belongs."""
    _edit_documents(meddling, argument, lambda document: document.update(properties=["unexpected"]))


@wire_fault("foreign-next-link", "listings continue on another host", argument=_TYPE)
def foreign_next_link(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Point the next link to another host name; a token must not follow it."""

    def edit(request: Request, body: dict[str, Any]) -> None:
        if "value" in body:
            port = request.headers.get("host", "").rpartition(":")[2]
            body["nextLink"] = f"https://127.0.0.2:{port}{request.target}&%24skiptoken=elsewhere"

    _edit(meddling, argument, edit)


@wire_fault("looping-next-link", "listings lead back to their first page", argument=_TYPE)
def looping_next_link(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Point the next link to the page itself."""

    def edit(request: Request, body: dict[str, Any]) -> None:
        if "value" in body:
            body["nextLink"] = f"https://{request.headers.get('host', '')}{request.target}"

    _edit(meddling, argument, edit)
