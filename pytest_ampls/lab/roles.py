"""What the lab's principal may do, as Resource Graph tells it: role assignments, definitions, groups above.

The principal is a Reader: of the first subscription directly, of the others by the management group that
they are in. Which types it may not read is in the role, as ``notActions``. Shapes as the portal's own
samples have them: learn.microsoft.com, "Azure Resource Graph sample queries for authorization".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pytest_ampls.lab.management import LANDING_ZONES, PLATFORM
from pytest_ampls.lab.store import TENANT_ID, guid

__all__ = [
    "ASSIGNMENT",
    "DEFINITION",
    "MANAGEMENT_GROUPS",
    "OWN",
    "READER",
    "assignment_row",
    "authorization_rows",
    "container_rows",
    "definition_row",
    "reassign",
]

Row = dict[str, Any]

MANAGEMENT_GROUPS: Final = "/providers/Microsoft.Management/managementGroups/"
READER: Final = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
"""The name of the built-in role Reader, the same in every tenant."""
OWN: Final = guid("object")
"""The object id of the lab's principal."""
ASSIGNMENT: Final = "microsoft.authorization/roleassignments"
DEFINITION: Final = "microsoft.authorization/roledefinitions"

_CUSTOM: Final = guid("role", "reader without some types")
_SUBSCRIPTION_TYPE: Final = "microsoft.resources/subscriptions"


def _row(own: str, name: str, kind: str, subscription: str, properties: Row) -> Row:
    return {
        "id": own,
        "name": name,
        "type": kind,
        "tenantId": TENANT_ID,
        "resourceGroup": "",
        "subscriptionId": subscription,
        "kind": "",
        "location": "",
        "managedBy": "",
        "properties": properties,
    }


def assignment_row(scope: str, role: str, principal: str) -> Row:
    """Return an assignment at a subscription, at a management group, or at the root ``/``."""
    name = guid("assignment", scope.lower(), role, principal)
    subscription = scope.rpartition("/")[2].lower() if scope.lower().startswith("/subscriptions/") else ""
    properties = {
        "principalId": principal,
        "principalType": "ServicePrincipal",
        "roleDefinitionId": f"/providers/Microsoft.Authorization/RoleDefinitions/{role}",
        "scope": scope,
        "condition": None,
        "conditionVersion": None,
    }
    own = f"{scope.rstrip('/')}/providers/Microsoft.Authorization/RoleAssignments/{name}"
    return _row(own, name, ASSIGNMENT, subscription, properties)


def definition_row(role: str, title: str, not_actions: Iterable[str] = ()) -> Row:
    """Return a role that reads everything but some types. It is known in the whole tenant."""
    permission = {
        "actions": ["*/read"],
        "notActions": list(not_actions),
        "dataActions": [],
        "notDataActions": [],
    }
    properties = {
        "roleName": title,
        "type": "BuiltInRole" if role == READER else "CustomRole",
        "permissions": [permission],
        "assignableScopes": ["/"],
    }
    own = f"/providers/Microsoft.Authorization/RoleDefinitions/{role}"
    return _row(own, role, DEFINITION, "", properties)


def authorization_rows(subscriptions: list[str], hidden: Iterable[str]) -> list[Row]:
    """Return the table ``authorizationresources``.

    ``hidden`` are the lower-cased types that the principal may not read.
    """
    denied = sorted(f"{kind}/read" for kind in hidden)
    if f"{_SUBSCRIPTION_TYPE}/read" in denied:
        denied.append(f"{_SUBSCRIPTION_TYPE}/resources/read")
    role = _CUSTOM if denied else READER
    scopes = [f"/subscriptions/{own}" for own in subscriptions[:1]]
    scopes += [f"{MANAGEMENT_GROUPS}{LANDING_ZONES}"] if len(subscriptions) > 1 else []
    return [
        definition_row(READER, "Reader"),
        *([definition_row(_CUSTOM, "Reader without some types", denied)] if denied else ()),
        *(assignment_row(scope, role, OWN) for scope in scopes),
        assignment_row("/", READER, guid("somebody else")),
    ]


def container_rows(subscriptions: list[tuple[str, str]]) -> list[Row]:
    """Return the part of the table ``resourcecontainers`` that is about subscriptions: (GUID, name)."""
    rows = []
    for number, (own, name) in enumerate(subscriptions):
        groups = (LANDING_ZONES if number else PLATFORM, TENANT_ID)
        chain = [{"displayName": group, "name": group} for group in groups]
        properties = {"state": "Enabled", "managementGroupAncestorsChain": chain}
        rows.append(_row(f"/subscriptions/{own}", name, _SUBSCRIPTION_TYPE, own.lower(), properties))
    return rows


def reassign(rows: list[Row], roles: dict[str, str | None]) -> bool:
    """Give the principal its roles at each subscription instead of above; say whether it had any.

    ``roles`` maps each subscription to the name of a role, to ``""`` for those that it had before, or to
    None for no role. Tables without assignments are left alone.
    """
    own = [row for row in rows if row["type"] == ASSIGNMENT and row["properties"]["principalId"] == OWN]
    before = {row["properties"]["roleDefinitionId"].rpartition("/")[2] for row in own}
    rows[:] = [row for row in rows if row not in own]
    for subscription, role in roles.items():
        names = sorted(before) if role == "" else [role] if role and before else []
        rows += [assignment_row(f"/subscriptions/{subscription}", name, OWN) for name in names]
    return bool(before)
