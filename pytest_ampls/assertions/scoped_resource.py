"""The members of a scope, looked at from both sides, for the rule that asks; no rule of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pytest_ampls.catalogue import Finding, NotApplicable, az_rest
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.monitor import (
    ApplicationInsights,
    DataCollectionEndpoint,
    PrivateLinkScope,
    ScopableResource,
    ScopedResource,
    ScopeReference,
    Workspace,
)
from pytest_ampls.model.resource import key, needed

__all__ = ["scope_findings"]

_SUBSCRIPTION: Final = re.compile(r"/subscriptions/[^/]+")
_RESOURCE: Final = re.compile(r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/[^/]+/[^/]+/[^/]+")
_PATH: Final = "properties.linkedResourceId"


def scope_findings(scope: PrivateLinkScope) -> Iterator[Finding]:
    """Judge every member of a scope, and every resource that says it is one."""
    members = scope.scoped_resources
    unread: list[EvidenceError] = []
    for member in members:
        try:
            yield from _member_findings(scope, member)
        except EvidenceError as error:  # what is wrong with the others must not be lost
            unread.append(error)
    believers = scope.estate.once(_believers, scope)
    for resource in believers:
        yield Finding.on(
            resource,
            "properties.privateLinkScopedResources",
            expected=f"a scoped resource of {scope.label!r}, as it says itself",
            observed=f"the scope lists {len(members)} members, and not this one",
            evidence=az_rest(scope, ScopedResource.ARM_TYPE),
            tokens={"name": scope.label, "resource-group": scope.resource_group, "member": resource.label},
        )
    if unread:
        raise unread[0]
    if not members and not believers:
        raise NotApplicable(f"private link scope {scope.label!r} has no member")


def _believers(estate: Estate, scope: PrivateLinkScope) -> tuple[ScopableResource, ...]:
    """Return the resources that report a membership which the scope does not list."""
    scopables: tuple[ScopableResource, ...] = (
        *estate.all(Workspace),
        *estate.all(ApplicationInsights),
        *estate.all(DataCollectionEndpoint),
    )
    return tuple(each for each in scopables if _reports(each, scope) and not scope.contains(each.id))


def _reports(resource: ScopableResource, scope: PrivateLinkScope) -> bool:
    """Tell whether a resource says it is a member; by id or by GUID: which is filled is not documented."""
    own = (scope.properties.scope_id or "").lower()
    return any(
        key(entry.resource_id or "").startswith(scope.key + "/")
        or (own and (entry.scope_id or "").lower() == own)
        for entry in resource.scope_references
    )


def _member_findings(scope: PrivateLinkScope, member: ScopedResource) -> Iterator[Finding]:
    linked = needed(member.properties.linked_resource_id, member, _PATH)
    state = needed(member.properties.provisioning_state, member, "properties.provisioningState")
    if state.lower() != "succeeded":
        yield _on_member(scope, member, "properties.provisioningState", expected="Succeeded", observed=state)
    if _SUBSCRIPTION.fullmatch(key(linked)):
        return  # kind metrics links a subscription as a whole
    if not _RESOURCE.fullmatch(key(linked)):
        yield _on_member(scope, member, _PATH, expected="the id of a resource", observed=f"{linked!r}")
        return
    resource = scope.estate.find(linked)
    if resource is None:
        yield _on_member(
            scope, member, _PATH, expected="a resource that exists", observed=f"{linked}, which does not"
        )
        return
    references = resource.scope_references if isinstance(resource, ScopableResource) else ()
    if isinstance(resource, ScopableResource) and references and not _reports(resource, scope):
        yield _on_member(
            scope,
            member,
            _PATH,
            expected=f"{resource.NOUN} {resource.label!r} lists this scope in privateLinkScopedResources",
            observed="it lists only " + ", ".join(sorted(_shown(entry) for entry in references)),
            evidence=az_rest(resource),
        )


def _shown(entry: ScopeReference) -> str:
    return key(entry.resource_id) if entry.resource_id else f"the scope with the scopeId {entry.scope_id}"


def _on_member(
    scope: PrivateLinkScope,
    member: ScopedResource,
    path: str,
    *,
    expected: str,
    observed: str,
    evidence: str | None = None,
) -> Finding:
    return Finding.on(
        scope,
        f"scopedResources[{member.label}].{path}",
        expected=expected,
        observed=observed,
        evidence=evidence or az_rest(scope, ScopedResource.ARM_TYPE),
        tokens={"member": member.label},
    )
