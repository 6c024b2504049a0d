"""What ARM itself answers: clouds' metadata, tenants, subscriptions, groups, providers."""

from __future__ import annotations

from typing import Any, Final

from pytest_ampls.lab.ids import resource_group_of, subscription_of, type_of
from pytest_ampls.lab.resource_types import RESOURCE_TYPES, versions
from pytest_ampls.lab.store import TENANT_ID, Document, Index

__all__ = [
    "DESCENDANT_VERSIONS",
    "LANDING_ZONES",
    "MANAGEMENT_VERSIONS",
    "PLATFORM",
    "descendants",
    "generic_rows",
    "is_tracked",
    "metadata",
    "provider",
    "providers",
    "subscription_document",
    "tenant_document",
]

MANAGEMENT_VERSIONS: Final = versions(
    "2014-04-01 2014-04-01-preview 2015-01-01 2015-11-01 2016-06-01 2016-09-01 2017-05-10 2018-02-01"
    " 2018-05-01 2018-06-01 2019-03-01 2019-05-01 2019-06-01 2019-07-01 2019-08-01 2019-10-01 2019-11-01"
    " 2020-01-01 2020-05-01 2020-06-01 2020-08-01 2020-10-01 2021-01-01 2021-04-01 2022-01-01 2022-09-01"
    " 2022-12-01 2023-07-01 2024-03-01 2024-07-01 2024-11-01 2025-03-01 2025-04-01"
)
"""The api-versions of tenants, subscriptions, groups and providers."""

DESCENDANT_VERSIONS: Final = versions(
    "2018-03-01-preview 2019-11-01 2020-02-01 2020-05-01 2021-04-01 2023-04-01"
)
"""The api-versions of a management group's descendants."""

_GROUP_PREFIX: Final = "/providers/Microsoft.Management/managementGroups/"
PLATFORM: Final = "platform"
LANDING_ZONES: Final = "landing-zones"
_BELOW_ROOT: Final = (PLATFORM, LANDING_ZONES)

AUDIENCES: Final = ("https://management.core.windows.net/", "https://management.azure.com/")


def metadata(origin: str, version: str, logs_endpoint: str) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the cloud's endpoints, in the shape that clients of an api-version rely on.

    An object of four keys before 2018-05-01, an array of clouds before 2022-09-01, and since then
    one cloud (the Azure CLI, ``az cloud register``, reads the last). ``logs_endpoint`` is where Log Analytics is
    queried.
    """
    if version < "2018-05-01":
        return {
            "galleryEndpoint": f"{origin}/gallery/",
            "graphEndpoint": f"{origin}/graph/",
            "portalEndpoint": f"{origin}/portal/",
            "authentication": {"loginEndpoint": f"{origin}/", "audiences": list(AUDIENCES)},
        }
    cloud = {
        "portal": f"{origin}/portal/",
        "authentication": {
            "loginEndpoint": f"{origin}/",
            "audiences": list(AUDIENCES),
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "graphAudience": f"{origin}/graph/",
        "graph": f"{origin}/graph/",
        "name": "AmplsLab",
        "suffixes": {
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
            "sqlServerHostname": "database.windows.net",
            "acrLoginServer": "azurecr.io",
        },
        "batch": f"{origin}/batch/",
        "resourceManager": f"{origin}/",
        "vmImageAliasDoc": f"{origin}/aliases.json",
        "sqlManagement": f"{origin}/sql/",
        "gallery": f"{origin}/gallery/",
        "microsoftGraphResourceId": f"{origin}/graph/",
        "logAnalyticsResourceId": logs_endpoint,
        "appInsightsResourceId": f"{origin}",
    }
    return [cloud] if version < "2022-09-01" else cloud


def tenant_document() -> Document:
    """Return the lab's only tenant."""
    return {
        "id": f"/tenants/{TENANT_ID}",
        "tenantId": TENANT_ID,
        "countryCode": "NL",
        "displayName": "ampls lab",
        "domains": ["amplslab.onmicrosoft.com"],
        "tenantCategory": "Home",
        "defaultDomain": "amplslab.onmicrosoft.com",
        "tenantType": "AAD",
    }


def subscription_document(subscription: str, name: str) -> Document:
    """Return a subscription as ARM sends it."""
    return {
        "id": f"/subscriptions/{subscription}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription,
        "tenantId": TENANT_ID,
        "displayName": name,
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Internal_2014-09-01",
            "quotaId": "Internal_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def descendants(group: str, subscriptions: list[tuple[str, str]]) -> list[Document] | None:
    """Return what is below a management group, None where there is no such group.

    The root group has the tenant's id; below it the first subscription is in ``platform``, and
    the others are in ``landing-zones``.
    Source: https://learn.microsoft.com/rest/api/managementgroups/management-groups/get-descendants
    """
    within = {PLATFORM: subscriptions[:1], LANDING_ZONES: subscriptions[1:]}
    if group in within:
        return [_descendant_subscription(group, *pair) for pair in within[group]]
    if group != TENANT_ID:
        return None
    groups = [
        {
            "id": _GROUP_PREFIX + name,
            "type": "Microsoft.Management/managementGroups",
            "name": name,
            "properties": {"displayName": name, "parent": {"id": _GROUP_PREFIX + TENANT_ID}},
        }
        for name in _BELOW_ROOT
    ]
    return groups + [_descendant_subscription(name, *pair) for name in _BELOW_ROOT for pair in within[name]]


def _descendant_subscription(group: str, subscription: str, name: str) -> Document:
    return {
        "id": f"/subscriptions/{subscription}",
        "type": "/subscriptions",
        "name": subscription,
        "properties": {"displayName": name, "parent": {"id": _GROUP_PREFIX + group}},
    }


def provider(namespace: str, subscription: str) -> Document | None:
    """Return a resource provider's description, or None for an unknown namespace."""
    entries = [entry for key, entry in RESOURCE_TYPES.items() if key.startswith(namespace.lower() + "/")]
    if not entries:
        return None
    spelling = entries[0].name.partition("/")[0]
    return {
        "id": f"/subscriptions/{subscription}/providers/{spelling}",
        "namespace": spelling,
        "resourceTypes": [
            {
                "resourceType": entry.name.partition("/")[2],
                "locations": ["West Europe", "North Europe"],
                "apiVersions": sorted(entry.versions, reverse=True),
                "defaultApiVersion": max(version for version in entry.versions if "preview" not in version),
                "capabilities": "None",
            }
            for entry in entries
        ],
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationRequired",
    }


def providers(subscription: str) -> list[Document]:
    """Return every resource provider of a subscription."""
    namespaces = dict.fromkeys(key.partition("/")[0] for key in RESOURCE_TYPES)
    found = (provider(namespace, subscription) for namespace in namespaces)
    return [document for document in found if document is not None]


_UNTRACKED = frozenset({"microsoft.compute/virtualmachinescalesets/virtualmachines"})


def is_tracked(document: Document) -> bool:
    """Say whether a document is a tracked resource: has a region, shows in generic listings."""
    return "location" in document and type_of(document["id"]) not in _UNTRACKED


def generic_rows(
    index: Index, subscription: str, group: str, resource_types: tuple[str, ...]
) -> list[Document]:
    """Return the rows of ``/resources``: no properties, whatever the type; all types where none is named."""
    kept = ("id", "name", "type", "kind", "location", "identity", "sku", "tags")
    rows = []
    if resource_types:
        narrowed = [own for kind in resource_types for own in index.in_scope(kind, subscription)]
    else:
        narrowed = list(index.by_id.values())
    for document in narrowed:
        key = document["id"].lower()
        if subscription_of(key) != subscription or not is_tracked(document):
            continue
        if group and resource_group_of(key) != group:
            continue
        rows.append({name: document[name] for name in kept if document.get(name) is not None})
    return rows
