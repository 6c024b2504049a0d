"""How each type is listed: its path, and the SDK's operation where a management SDK has one.

azure-mgmt-monitor serves data collection endpoints, rules and associations, azure-mgmt-privatedns
zones, links and record sets, azure-mgmt-resourcegraph the index. The rest has no SDK here:
azure-mgmt-monitor 7 knows no private link scopes, and each further SDK costs more to import than
the whole read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import msgspec
from azure.core.credentials import TokenCredential
from azure.core.paging import ItemPaged
from azure.core.pipeline import Pipeline
from azure.core.rest import HttpRequest, HttpResponse

from pytest_ampls.arm.batch import BATCH
from pytest_ampls.arm.call import OPTION, Call
from pytest_ampls.model.types import SUBSCRIPTIONS_API_VERSION, api_version

if TYPE_CHECKING:
    from azure.mgmt.monitor import MonitorManagementClient
    from azure.mgmt.privatedns import PrivateDnsManagementClient
    from azure.mgmt.resourcegraph import ResourceGraphClient

__all__ = ["DESCENDANTS", "GRAPH", "RESOURCES", "SUBSCRIPTIONS", "Sdk", "listing_path", "version_of"]

SUBSCRIPTIONS: Final = "Microsoft.Resources/subscriptions"
RESOURCES: Final = "Microsoft.Resources/resources"
"""What ARM itself knows of a subscription: ids and names of all resources, without properties."""
DESCENDANTS: Final = "Microsoft.Management/managementGroups/descendants"
"""What is below a management group: groups and subscriptions, at any depth."""
GRAPH: Final = "Microsoft.ResourceGraph/resources"
"""The index over all subscriptions."""

_OWN_VERSIONS: Final = {
    SUBSCRIPTIONS.lower(): SUBSCRIPTIONS_API_VERSION,
    RESOURCES.lower(): "2021-04-01",
    DESCENDANTS.lower(): "2020-05-01",
    GRAPH.lower(): "2024-04-01",
    BATCH.lower(): "2020-06-01",
}

_DCE: Final = "microsoft.insights/datacollectionendpoints"
_DCR: Final = "microsoft.insights/datacollectionrules"
_ASSOCIATIONS: Final = "microsoft.insights/datacollectionruleassociations"
_ZONES: Final = "microsoft.network/privatednszones"
_LINKS: Final = "microsoft.network/privatednszones/virtualnetworklinks"
_RECORDS: Final = "microsoft.network/privatednszones/recordsets"

_SUBSCRIPTION: Final = re.compile(r"(?i)/subscriptions/([^/]+)/?")
_RESOURCE: Final = re.compile(
    r"(?i)/subscriptions/([^/]+)/resourcegroups/([^/]+)/providers/([^/]+/[^/]+)/([^/]+)/?"
)

Operation = Callable[[], "ItemPaged[Any]"]


def version_of(resource_type: str) -> str:
    """Return the api-version of a type.

    Raises:
        KeyError: the product does not read this type.
    """
    return _OWN_VERSIONS.get(resource_type.lower()) or api_version(resource_type)


def listing_path(resource_type: str, scope: str) -> str:
    """Return the path at which a type is listed.

    ``scope`` is ``/subscriptions/<id>``, the id of the parent, or for associations the id of
    the rule, endpoint or machine. Record sets of all types are listed as ``ALL``; associations
    are listed below rules and endpoints by a name of their own. ``/`` lists subscriptions.
    """
    scope = scope.rstrip("/")
    folded = resource_type.lower()
    if folded == SUBSCRIPTIONS.lower():
        return "/subscriptions"
    if folded == RESOURCES.lower():
        return f"{scope}/resources"
    if _SUBSCRIPTION.fullmatch(scope):
        return f"{scope}/providers/{resource_type}"
    if folded == _ASSOCIATIONS:
        resource = _RESOURCE.fullmatch(scope)
        below = resource is not None and resource[3].lower() in (_DCE, _DCR)
        return f"{scope}/associations" if below else f"{scope}/providers/{resource_type}"
    return f"{scope}/ALL" if folded == _RECORDS else f"{scope}/{resource_type.rpartition('/')[2]}"


class Sdk:
    """The management clients, one of each per subscription, all on one pipeline of ours."""

    def __init__(
        self,
        endpoint: str,
        credential: TokenCredential,
        scope: str,
        pipeline: Pipeline[HttpRequest, HttpResponse],
    ) -> None:
        self._options: dict[str, Any] = {
            "credential": credential,
            "base_url": endpoint,
            "credential_scopes": [scope],
            "pipeline": pipeline,
            "policies": [],
        }
        self._lock = Lock()
        self._monitors: dict[str, MonitorManagementClient] = {}
        self._dns: dict[str, PrivateDnsManagementClient] = {}
        self._graph: ResourceGraphClient | None = None

    def query(
        self,
        call: Call,
        text: str,
        subscriptions: Sequence[str],
        *,
        top: int,
        skip_token: str | None,
        above: bool = False,
    ) -> None:
        """Ask Resource Graph for one page of a query; its bytes are left in the call.

        With ``above`` rows of what is above the subscriptions come too, such as assignments at management
        groups and built-in roles, and none of what is below them. The SDK's options do not know that yet.
        Source: https://learn.microsoft.com/rest/api/azureresourcegraph/resourcegraph/resources/resources
        """
        from azure.mgmt.resourcegraph import ResourceGraphClient  # lazily: a tenth of a second

        with self._lock:
            if self._graph is None:
                self._graph = ResourceGraphClient(api_version=version_of(GRAPH), **self._options)
        options: dict[str, Any] = {"$top": top, "resultFormat": "objectArray"}
        if skip_token is not None:
            options["$skipToken"] = skip_token
        if above:
            options["authorizationScopeFilter"] = "AtScopeAndAbove"
        body = {"subscriptions": list(subscriptions), "query": text, "options": options}
        # Bytes, which can be sent again; the SDK's annotation knows streams alone.
        encoded: Any = msgspec.json.encode(body)
        more: dict[str, Any] = {OPTION: call}
        self._graph.resources(encoded, **more)

    def first_page(self, call: Call) -> bool:
        """Ask for the first page through the SDK; return False where no SDK lists the type.

        The page's bytes are left in the call; see ``PagePolicy`` for why the SDK's models are not used.
        """
        operation = self._operation(call)
        if operation is None:
            return False
        pages: Iterator[Any] = operation().by_page()
        next(pages)
        return True

    def _operation(self, call: Call) -> Operation | None:
        folded = call.type.lower()
        options: dict[str, Any] = {OPTION: call}
        subscription = _SUBSCRIPTION.fullmatch(call.scope)
        if subscription is not None:
            return self._of_subscription(folded, subscription[1], options)
        resource = _RESOURCE.match(call.scope)
        if resource is None:
            return None
        if folded == _ASSOCIATIONS:
            return self._associations(call.scope, options)
        if _RESOURCE.fullmatch(call.scope) is None or resource[3].lower() != _ZONES:
            return None
        return self._of_zone(folded, resource, options)

    def _of_subscription(self, folded: str, subscription: str, options: dict[str, Any]) -> Operation | None:
        if folded == _ZONES:
            return lambda: self._private_dns(subscription).private_zones.list(**options)
        options["api_version"] = version_of(_ASSOCIATIONS)
        if folded == _DCE:
            return lambda: self._monitor(subscription).data_collection_endpoints.list_by_subscription(
                **options
            )
        if folded == _DCR:
            return lambda: self._monitor(subscription).data_collection_rules.list_by_subscription(**options)
        return None

    def _associations(self, scope: str, options: dict[str, Any]) -> Operation:
        options["api_version"] = version_of(_ASSOCIATIONS)
        resource = _RESOURCE.match(scope)
        subscription = resource[1] if resource else ""
        of = self._monitor(subscription).data_collection_rule_associations
        exact = _RESOURCE.fullmatch(scope)
        kind = exact[3].lower() if exact else ""
        if exact and kind == _DCR:
            return lambda: of.list_by_rule(exact[2], exact[4], **options)
        if exact and kind == _DCE:
            return lambda: of.list_by_data_collection_endpoint(exact[2], exact[4], **options)
        return lambda: of.list_by_resource(scope.strip("/"), **options)

    def _of_zone(self, folded: str, zone: re.Match[str], options: dict[str, Any]) -> Operation | None:
        if folded == _LINKS:
            return lambda: self._private_dns(zone[1]).virtual_network_links.list(zone[2], zone[4], **options)
        if folded == _RECORDS:
            return lambda: self._private_dns(zone[1]).record_sets.list(zone[2], zone[4], **options)
        return None

    def _monitor(self, subscription: str) -> MonitorManagementClient:
        from azure.mgmt.monitor import MonitorManagementClient  # lazily: half a second

        with self._lock:
            if subscription not in self._monitors:
                self._monitors[subscription] = MonitorManagementClient(
                    subscription_id=subscription, **self._options
                )
            return self._monitors[subscription]

    def _private_dns(self, subscription: str) -> PrivateDnsManagementClient:
        from azure.mgmt.privatedns import PrivateDnsManagementClient  # lazily: a quarter of a second

        with self._lock:
            if subscription not in self._dns:
                self._dns[subscription] = PrivateDnsManagementClient(
                    subscription_id=subscription, api_version=version_of(_ZONES), **self._options
                )
            return self._dns[subscription]
