"""Faults of the scope: access modes, membership, public network access (rules 101 to 110)."""

from __future__ import annotations

from typing import Any

from pytest_ampls.lab.estate.endpoint import forget_members
from pytest_ampls.lab.estate.monitor import component_ingestion_host
from pytest_ampls.lab.estate.site import entity_tag, system_data
from pytest_ampls.lab.fault.pick import first, scope_connection, site_of
from pytest_ampls.lab.fault.registry import estate_fault
from pytest_ampls.lab.store import Document, Estate, guid

__all__: list[str] = []

_SCOPE = "Microsoft.Insights/privateLinkScopes"
_WORKSPACE = "Microsoft.OperationalInsights/workspaces"
_ENDPOINT = "Microsoft.Insights/dataCollectionEndpoints"
_COMPONENT = "Microsoft.Insights/components"
_EVERYWHERE = "hub-and-spoke two-scopes fleet"


def _modes(estate: Estate) -> dict[str, Any]:
    modes: dict[str, Any] = first(estate, _SCOPE)["properties"]["accessModeSettings"]
    return modes


@estate_fault(
    "ingestion-open", "the scope's ingestion access mode is Open", breaks="101", estates=_EVERYWHERE
)
def ingestion_open(estate: Estate) -> None:
    """Open the ingestion mode."""
    _modes(estate)["ingestionAccessMode"] = "Open"


@estate_fault("query-open", "the scope's query access mode is Open", breaks="102", estates=_EVERYWHERE)
def query_open(estate: Estate) -> None:
    """Open the query mode."""
    _modes(estate)["queryAccessMode"] = "Open"


def _exclude(estate: Estate, **modes: str) -> None:
    exclusion = {"privateEndpointConnectionName": scope_connection(estate)["name"]}
    closed = {"queryAccessMode": "PrivateOnly", "ingestionAccessMode": "PrivateOnly"}
    _modes(estate)["exclusions"] = [{**exclusion, **closed, **modes}]


@estate_fault(
    "ingestion-exclusion-open", "an exclusion opens ingestion for the only connection", breaks="101"
)
def ingestion_exclusion_open(estate: Estate) -> None:
    """Weaken the ingestion mode by an exclusion."""
    _exclude(estate, ingestionAccessMode="Open")


@estate_fault("query-exclusion-open", "an exclusion opens queries for the only connection", breaks="102")
def query_exclusion_open(estate: Estate) -> None:
    """Weaken the query mode by an exclusion."""
    _exclude(estate, queryAccessMode="Open")


def _leave_scopes(estate: Estate, resource: Document, names: set[str]) -> None:
    """Take a resource out of every scope, in both directions, with its names and records."""
    for member in estate.of_type(f"{_SCOPE}/scopedResources"):
        if member["properties"]["linkedResourceId"].lower() == resource["id"].lower():
            estate.remove(member["id"])
    resource["properties"].pop("privateLinkScopedResources", None)
    resource["properties"].pop("PrivateLinkScopedResources", None)
    forget_members(estate, names)


@estate_fault("workspace-not-in-scope", "the workspace is in no scope", breaks="103 110 407")
def workspace_not_in_scope(estate: Estate) -> None:
    """Take the workspace out of the scope; the platform takes its records away."""
    workspace = first(estate, _WORKSPACE)
    customer = workspace["properties"]["customerId"]
    zones = ("oms.opinsights.azure.com", "ods.opinsights.azure.com", "agentsvc.azure-automation.net")
    _leave_scopes(estate, workspace, {f"{customer}.{zone}" for zone in zones})


@estate_fault("dce-not-in-scope", "the data collection endpoint is in no scope", breaks="104 110 404")
def dce_not_in_scope(estate: Estate) -> None:
    """Take the data collection endpoint out of the scope."""
    endpoint = first(estate, _ENDPOINT)
    keys = ("configurationAccess", "logsIngestion", "metricsIngestion")
    hosts = {endpoint["properties"][key]["endpoint"].removeprefix("https://") for key in keys}
    _leave_scopes(estate, endpoint, hosts)


@estate_fault("app-insights-not-in-scope", "the component is in no scope", breaks="105 110")
def app_insights_not_in_scope(estate: Estate) -> None:
    """Take the component out of the scope; its regional entry goes with it."""
    component = first(estate, _COMPONENT)
    _leave_scopes(estate, component, {component_ingestion_host(component["location"])})


@estate_fault(
    "dangling-scoped-resource",
    "a scoped resource points to a workspace that does not exist",
    breaks="106",
    estates="hub-and-spoke fleet",
)
def dangling_scoped_resource(estate: Estate) -> None:
    """Leave a scoped resource behind whose workspace is gone."""
    scope = first(estate, _SCOPE)
    member_id = f"{scope['id']}/scopedresources/former-workspaces"
    group = site_of(estate).lower_group()
    linked = f"{group}/providers/microsoft.operationalinsights/workspaces/former"
    estate.add(
        {
            "id": member_id,
            "name": "former-workspaces",
            "type": "microsoft.insights/privatelinkscopes/scopedresources",
            "etag": entity_tag(member_id),
            "systemData": system_data(2),
            "properties": {
                "kind": "resource",
                "linkedResourceId": linked,
                "provisioningState": "Succeeded",
            },
        }
    )


@estate_fault(
    "scoped-resource-failed", "a scoped resource's provisioning failed", breaks="106", estates=_EVERYWHERE
)
def scoped_resource_failed(estate: Estate) -> None:
    """Let the provisioning of one membership fail."""
    first(estate, f"{_SCOPE}/scopedResources")["properties"]["provisioningState"] = "Failed"


@estate_fault(
    "one-sided-membership",
    "the scope names the workspace, but the workspace names another, deleted scope",
    breaks="106",
    estates=_EVERYWHERE,
)
def one_sided_membership(estate: Estate) -> None:
    """Let the workspace name a former scope.

    Leaving the list out would prove nothing: answers without it are common.
    """
    scope, workspace = first(estate, _SCOPE), first(estate, _WORKSPACE)
    member_id = f"{scope['id']}-former/scopedresources/workspace"
    workspace["properties"]["privateLinkScopedResources"] = [
        {"resourceId": member_id, "scopeId": guid("scope", "former")}
    ]


@estate_fault(
    "workspace-public-ingestion",
    "the workspace takes data from public networks",
    breaks="109",
    estates=_EVERYWHERE,
)
def workspace_public_ingestion(estate: Estate) -> None:
    """Enable public ingestion."""
    first(estate, _WORKSPACE)["properties"]["publicNetworkAccessForIngestion"] = "Enabled"


@estate_fault(
    "workspace-public-query",
    "the workspace answers queries from public networks",
    breaks="109",
    estates=_EVERYWHERE,
)
def workspace_public_query(estate: Estate) -> None:
    """Enable public queries."""
    first(estate, _WORKSPACE)["properties"]["publicNetworkAccessForQuery"] = "Enabled"


@estate_fault(
    "dce-public",
    "the data collection endpoint can be reached from public networks",
    breaks="109",
    estates=_EVERYWHERE,
)
def dce_public(estate: Estate) -> None:
    """Enable public access to the data collection endpoint."""
    first(estate, _ENDPOINT)["properties"]["networkAcls"]["publicNetworkAccess"] = "Enabled"


@estate_fault(
    "app-insights-public",
    "the component takes data from public networks",
    breaks="109",
    estates=_EVERYWHERE,
)
def app_insights_public(estate: Estate) -> None:
    """Enable public ingestion of the component."""
    first(estate, _COMPONENT)["properties"]["publicNetworkAccessForIngestion"] = "Enabled"
