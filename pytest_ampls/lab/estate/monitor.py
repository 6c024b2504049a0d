"""Documents of Azure Monitor as its providers send them: scopes, workspaces, endpoints, rules.

The private link scope's provider answers in lower case (ids and types), the workspace's and the
collection endpoint's in camel case, the component's in lower case with Pascal-case properties.
"""

from __future__ import annotations

from typing import Any

from pytest_ampls.lab.estate.site import Site, entity_tag, system_data
from pytest_ampls.lab.ids import name_of
from pytest_ampls.lab.store import TENANT_ID, Document, guid

__all__ = [
    "CONFIG_ENDPOINT_NAME",
    "add_to_scope",
    "collection_endpoint",
    "collection_rule",
    "component",
    "component_ingestion_host",
    "endpoint_association",
    "private_link_scope",
    "rule_association",
    "scoped_resource_name",
    "workspace",
]

CONFIG_ENDPOINT_NAME = "configurationAccessEndpoint"

_SCOPES = "microsoft.insights/privatelinkscopes"


def private_link_scope(site: Site, name: str, *, query: str, ingestion: str) -> Document:
    """Return a scope with both access modes."""
    scope_id = site.id(_SCOPES, name)
    return {
        "id": scope_id,
        "name": name,
        "type": _SCOPES,
        "location": "global",
        "tags": {},
        "kind": None,
        "etag": entity_tag(scope_id),
        "systemData": system_data(),
        "properties": {
            "scopeId": guid("scope", scope_id),
            "provisioningState": "Succeeded",
            "accessModeSettings": {
                "queryAccessMode": query,
                "ingestionAccessMode": ingestion,
                "exclusions": [],
            },
        },
    }


def scoped_resource_name(resource_id: str) -> str:
    """Return the name this lab gives a scoped resource: the linked resource's name and its kind."""
    kind = resource_id.lower().rsplit("/", 2)[1]
    return f"{name_of(resource_id)}-{kind}"


def add_to_scope(site: Site, scope: Document, resource: Document) -> Document:
    """Put a resource into a scope, in both directions, and return the scoped resource.

    The scoped resource is added to the estate; the reverse membership goes into ``resource``.
    """
    target = resource["id"]
    name = scoped_resource_name(target)
    scoped_id = f"{scope['id']}/scopedresources/{name}"
    before, _, provider = target.partition("/providers/")
    document = {
        "id": scoped_id,
        "name": name,
        "type": f"{_SCOPES}/scopedresources",
        "etag": entity_tag(scoped_id),
        "systemData": system_data(2),
        "properties": {
            "kind": "resource",
            "linkedResourceId": (
                before.replace("/resourceGroups/", "/resourcegroups/") + "/providers/" + provider.lower()
            ),
            "provisioningState": "Succeeded",
        },
    }
    properties = resource["properties"]
    scope_guid = scope["properties"]["scopeId"]
    if resource["type"].lower() == "microsoft.insights/components":
        members = properties.setdefault("PrivateLinkScopedResources", [])
        members.append({"ResourceId": scoped_id, "ScopeId": scope_guid})
    else:
        members = properties.setdefault("privateLinkScopedResources", [])
        members.append({"resourceId": scoped_id, "scopeId": scope_guid})
    return site.estate.add(document)


def workspace(site: Site, name: str, customer_id: str, *, public: str = "Disabled") -> Document:
    """Return a workspace; ``public`` is the value of both public network access flags."""
    workspace_id = site.id("Microsoft.OperationalInsights/workspaces", name)
    return {
        "properties": {
            "customerId": customer_id,
            "provisioningState": "Succeeded",
            "sku": {"name": "PerGB2018", "lastSkuUpdate": "2026-03-01T08:15:30.1234567Z"},
            "retentionInDays": 30,
            "features": {
                "legacy": 0,
                "searchVersion": 1,
                "enableLogAccessUsingOnlyResourcePermissions": True,
                "disableLocalAuth": False,
            },
            "workspaceCapping": {
                "dailyQuotaGb": -1.0,
                "quotaNextResetTime": "2026-03-02T05:00:00Z",
                "dataIngestionStatus": "RespectQuota",
            },
            "publicNetworkAccessForIngestion": public,
            "publicNetworkAccessForQuery": public,
            "createdDate": "2026-03-01T08:15:30.1234567Z",
            "modifiedDate": "2026-03-01T08:20:11.4471533Z",
        },
        "location": site.location,
        "tags": {},
        "id": workspace_id,
        "name": name,
        "type": "Microsoft.OperationalInsights/workspaces",
        "etag": entity_tag(workspace_id),
    }


def component_ingestion_host(location: str) -> str:
    """Return the regional ingestion stamp that a component's data goes to."""
    return f"{location}-5.in.ai.monitor.azure.com"


def component(site: Site, name: str, workspace_id: str, *, public: str = "Disabled") -> Document:
    """Return a workspace-based Application Insights component."""
    component_id = site.id("microsoft.insights/components", name)
    app_id, key = guid("app", component_id), guid("ikey", component_id)
    return {
        "id": component_id,
        "name": name,
        "type": "microsoft.insights/components",
        "location": site.location,
        "tags": {},
        "kind": "web",
        "etag": entity_tag(component_id),
        "properties": {
            "ApplicationId": name,
            "AppId": app_id,
            "Application_Type": "web",
            "Flow_Type": None,
            "Request_Source": None,
            "InstrumentationKey": key,
            "ConnectionString": (
                f"InstrumentationKey={key};"
                f"IngestionEndpoint=https://{site.location}-5.in.applicationinsights.azure.com/;"
                f"LiveEndpoint=https://{site.location}.livediagnostics.monitor.azure.com/;ApplicationId={app_id}"
            ),
            "Name": name,
            "CreationDate": "2026-03-01T08:17:02.5108642+00:00",
            "TenantId": TENANT_ID,
            "provisioningState": "Succeeded",
            "SamplingPercentage": None,
            "RetentionInDays": 90,
            "WorkspaceResourceId": workspace_id.replace("/Microsoft.Operational", "/microsoft.Operational"),
            "IngestionMode": "LogAnalytics",
            "publicNetworkAccessForIngestion": public,
            "publicNetworkAccessForQuery": public,
            "Ver": "v2",
        },
    }


def collection_endpoint(site: Site, name: str, *, public: str = "Disabled") -> Document:
    """Return a data collection endpoint; its hosts carry a suffix and a region shard."""
    endpoint_id = site.id("Microsoft.Insights/dataCollectionEndpoints", name)
    suffix = guid("dce-suffix", endpoint_id)[:4]
    host = f"{name.lower()}-{suffix}.{site.location}-1"
    return {
        "properties": {
            "immutableId": "dce-" + guid("dce", endpoint_id).replace("-", ""),
            "configurationAccess": {"endpoint": f"https://{host}.handler.control.monitor.azure.com"},
            "logsIngestion": {"endpoint": f"https://{host}.ingest.monitor.azure.com"},
            "metricsIngestion": {"endpoint": f"https://{host}.metrics.ingest.monitor.azure.com"},
            "networkAcls": {"publicNetworkAccess": public},
            "provisioningState": "Succeeded",
        },
        "location": site.location,
        "tags": {},
        "id": endpoint_id,
        "name": name,
        "type": "Microsoft.Insights/dataCollectionEndpoints",
        "etag": entity_tag(endpoint_id),
        "systemData": system_data(),
    }


_COUNTERS = {
    "Linux": [
        "Processor(*)\\% Processor Time",
        "Memory(*)\\% Used Memory",
        "Logical Disk(*)\\% Used Space",
    ],
    "Windows": ["\\Processor(_Total)\\% Processor Time", "\\Memory\\Committed Bytes"],
}


def _data_sources(kind: str) -> dict[str, Any]:
    """Return what a rule of an operating system collects."""
    sources: dict[str, Any] = {
        "performanceCounters": [
            {
                "streams": ["Microsoft-Perf"],
                "samplingFrequencyInSeconds": 60,
                "counterSpecifiers": _COUNTERS[kind],
                "name": f"perf{kind}",
            }
        ]
    }
    if kind == "Windows":
        sources["windowsEventLogs"] = [
            {
                "streams": ["Microsoft-Event"],
                "xPathQueries": ["System!*[System[(Level=1 or Level=2 or Level=3)]]"],
                "name": "eventsWindows",
            }
        ]
    else:
        sources["syslog"] = [
            {
                "streams": ["Microsoft-Syslog"],
                "facilityNames": ["auth", "authpriv", "daemon", "syslog"],
                "logLevels": ["Warning", "Error", "Critical", "Alert", "Emergency"],
                "name": "syslogLinux",
            }
        ]
    return sources


def collection_rule(
    site: Site, name: str, kind: str, target: Document, *, lower_destination: bool = False
) -> Document:
    """Return a rule for an operating system that sends to one workspace.

    With ``lower_destination`` the workspace's id is written the way older portals wrote it.
    """
    rule_id = site.id("Microsoft.Insights/dataCollectionRules", name)
    workspace_id = target["id"]
    if lower_destination:
        before, _, provider = workspace_id.partition("/providers/")
        before = before.replace("/resourceGroups/", "/resourcegroups/")
        workspace_id = (
            before
            + "/providers/"
            + provider.replace("Microsoft.OperationalInsights", "microsoft.operationalinsights")
        )
    stream = "Microsoft-Event" if kind == "Windows" else "Microsoft-Syslog"
    return {
        "properties": {
            "immutableId": "dcr-" + guid("dcr", rule_id).replace("-", ""),
            "dataSources": _data_sources(kind),
            "destinations": {
                "logAnalytics": [
                    {
                        "workspaceResourceId": workspace_id,
                        "workspaceId": target["properties"]["customerId"],
                        "name": "workspace",
                    }
                ]
            },
            "dataFlows": [{"streams": ["Microsoft-Perf", stream], "destinations": ["workspace"]}],
            "provisioningState": "Succeeded",
        },
        "location": site.location,
        "tags": {},
        "kind": kind,
        "id": rule_id,
        "name": name,
        "type": "Microsoft.Insights/dataCollectionRules",
        "etag": entity_tag(rule_id),
        "systemData": system_data(),
    }


def _association(machine_id: str, name: str, key: str, target_id: str) -> Document:
    association_id = f"{machine_id}/providers/Microsoft.Insights/dataCollectionRuleAssociations/{name}"
    return {
        "properties": {key: target_id},
        "id": association_id,
        "name": name,
        "type": "Microsoft.Insights/dataCollectionRuleAssociations",
        "etag": entity_tag(association_id),
        "systemData": system_data(3),
    }


def rule_association(machine_id: str, name: str, rule_id: str) -> Document:
    """Return an association of a machine with a rule: it has no endpoint key at all."""
    return _association(machine_id, name, "dataCollectionRuleId", rule_id)


def endpoint_association(machine_id: str, endpoint_id: str, name: str = CONFIG_ENDPOINT_NAME) -> Document:
    """Return an association of a machine with an endpoint: it has no rule key at all."""
    return _association(machine_id, name, "dataCollectionEndpointId", endpoint_id)
