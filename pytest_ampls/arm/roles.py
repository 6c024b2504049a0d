"""What the identity may read, by its own role assignments as Resource Graph tells them.

A subscription in which ARM lists nothing of a type has none of it, or the identity may not read it.
Asking every provider tells which; so does a role that grants the read at the subscription or above.
Only what was seen to be granted counts. Everything else is unknown and costs a listing: access by a
group, an assignment with a condition, a role that cannot be seen, a token that is no JWT.

Deny assignments are in no table of the index. They are made by Azure alone, for deployment stacks and
managed applications, and leave reading alone as a rule.
Sources: https://learn.microsoft.com/azure/role-based-access-control/role-definitions,
https://learn.microsoft.com/azure/governance/resource-graph/reference/supported-tables-resources
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.graph import SUBSCRIPTIONS_A_CALL
from pytest_ampls.arm.projection import Projection
from pytest_ampls.arm.references import fold

__all__ = ["Roles", "read_roles"]

_ASSIGNMENTS: Final = Projection(
    type="Microsoft.Authorization/roleAssignments",
    table="authorizationresources",
    paths=tuple(("properties", name) for name in ("principalId", "roleDefinitionId", "scope", "condition")),
)
_DEFINITIONS: Final = Projection(
    type="Microsoft.Authorization/roleDefinitions",
    table="authorizationresources",
    paths=(("properties", "permissions"),),
)
_SUBSCRIPTIONS: Final = Projection(
    type="Microsoft.Resources/subscriptions",
    table="resourcecontainers",
    paths=(("properties", "managementGroupAncestorsChain"),),
)
_BUILT_IN: Final = {
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "*/read",  # Reader
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "*/read",  # Contributor: what it may not do is no reading
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "*/read",  # Owner
}
"""Roles that nobody can change, by name, and what they grant of interest: they need not be asked for.

Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/privileged
"""
_GROUPS: Final = "/providers/microsoft.management/managementgroups/"


class _AssignmentProperties(msgspec.Struct, rename="camel"):
    principal_id: str
    role_definition_id: str
    scope: str
    condition: str | None = None


class _Assignment(msgspec.Struct):
    properties: _AssignmentProperties


class _Permission(msgspec.Struct, rename="camel"):
    actions: tuple[str, ...] | None = None
    not_actions: tuple[str, ...] | None = None
    condition: str | None = None

    def grants(self, action: str) -> bool:
        """Tell whether an action is granted, always: one under a condition is not."""
        if self.condition:
            return False
        return _matches(self.actions, action) and not _matches(self.not_actions, action)


class _DefinitionProperties(msgspec.Struct):
    permissions: tuple[_Permission, ...] = ()


class _Definition(msgspec.Struct):
    name: str
    properties: _DefinitionProperties


class _Group(msgspec.Struct):
    name: str


class _SubscriptionProperties(msgspec.Struct, rename="camel"):
    management_group_ancestors_chain: tuple[_Group, ...] = ()


class _Subscription(msgspec.Struct):
    id: str
    properties: _SubscriptionProperties


class Roles:
    """The permissions that assignments grant, by the folded scope of the assignment.

    ``above`` are the folded ids of the management groups that a subscription is in. Without anything,
    nothing is known.
    """

    def __init__(
        self,
        granted: Mapping[str, Sequence[_Permission]] | None = None,
        above: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._granted = granted or {}
        self._above = above or {}

    def __repr__(self) -> str:
        return f"<Roles in {len(self._granted)} scopes>"

    def allow(self, action: str, scope: str) -> bool:
        """Tell whether an action is seen to be granted in a whole subscription.

        False means that it is not known. ``scope`` is ``/subscriptions/<id>``.
        """
        place = fold(scope)
        scopes = (place, *self._above.get(place, ()), "")  # the root, "/", folded
        return any(permission.grants(action) for own in scopes for permission in self._granted.get(own, ()))

    def may_read(self, resource_type: str, scope: str) -> bool:
        """Tell whether it is known that a type may be listed in a subscription."""
        return self.allow(f"{resource_type}/read", scope)


def read_roles(client: ArmClient, subscriptions: Sequence[str]) -> Roles:
    """Ask the index what the identity may do in subscriptions, given as bare GUIDs.

    Costs a query for its assignments, one for roles other than Reader, Contributor and Owner, and one for
    the management groups above where an assignment is at one; each for 300 subscriptions. Whatever goes
    wrong, less is known.
    """
    principal = client.principal()
    granted: dict[str, list[_Permission]] = {}
    above: dict[str, tuple[str, ...]] = {}
    if principal is None:
        return Roles()
    try:
        for start in range(0, len(subscriptions), SUBSCRIPTIONS_A_CALL):
            _read(client, principal, subscriptions[start : start + SUBSCRIPTIONS_A_CALL], granted, above)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a row of another shape: who knows what it says
        return Roles()
    return Roles(granted, above)


def _read(
    client: ArmClient,
    principal: str,
    subscriptions: Sequence[str],
    granted: dict[str, list[_Permission]],
    above: dict[str, tuple[str, ...]],
) -> None:
    own = _own(client, principal, subscriptions)
    if not own:
        return
    permissions = _permissions(client, {_name_of(assignment) for assignment in own}, subscriptions)
    for assignment in own:
        granted.setdefault(fold(assignment.scope), []).extend(permissions.get(_name_of(assignment), ()))
    if any(fold(assignment.scope).startswith(_GROUPS) for assignment in own):
        above.update(_chains(client, subscriptions))


def _permissions(
    client: ArmClient, names: set[str], subscriptions: Sequence[str]
) -> dict[str, tuple[_Permission, ...]]:
    """Return what roles grant, by their names; a role that cannot be seen grants nothing."""
    found: dict[str, tuple[_Permission, ...]] = {
        own: (_Permission(actions=(_BUILT_IN[own],)),) for own in names & _BUILT_IN.keys()
    }
    quoted = ", ".join(f"'{own}'" for own in sorted(names - _BUILT_IN.keys()))
    if quoted:
        rows = client.query(_DEFINITIONS, subscriptions, condition=f"name in~ ({quoted})", above=True)
        decoded = [msgspec.json.decode(raw, type=_Definition) for raw in rows.documents if rows.gap is None]
        found.update((own.name.lower(), own.properties.permissions) for own in decoded)
    return found


def _own(client: ArmClient, principal: str, subscriptions: Sequence[str]) -> list[_AssignmentProperties]:
    """Return the assignments of the identity that hold always, at the subscriptions and above."""
    condition = f"properties.principalId =~ '{principal}'"
    rows = client.query(_ASSIGNMENTS, subscriptions, condition=condition, above=True)
    if rows.gap is not None:
        return []
    found = (msgspec.json.decode(raw, type=_Assignment).properties for raw in rows.documents)
    return [own for own in found if own.principal_id.lower() == principal and not own.condition]


def _chains(client: ArmClient, subscriptions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the management groups of each subscription, by its folded scope."""
    rows = client.query(_SUBSCRIPTIONS, subscriptions)
    if rows.gap is not None:
        return {}
    found = (msgspec.json.decode(raw, type=_Subscription) for raw in rows.documents)
    return {
        fold(own.id): tuple(
            f"{_GROUPS}{group.name.lower()}" for group in own.properties.management_group_ancestors_chain
        )
        for own in found
    }


def _name_of(assignment: _AssignmentProperties) -> str:
    """Return the GUID of the role: the id before it differs, as a role is seen from many scopes."""
    return re.sub(r"[^0-9a-z-]", "", fold(assignment.role_definition_id).rpartition("/")[2])


def _matches(patterns: Iterable[str] | None, action: str) -> bool:
    return any(_pattern(own).fullmatch(action) is not None for own in patterns or ())


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """Return a pattern of actions: ``*`` stands for anything, slashes included; case does not matter."""
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.IGNORECASE)
