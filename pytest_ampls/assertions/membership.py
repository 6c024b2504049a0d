"""Findings on the membership of a resource in private link scopes, which several rules share."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_ampls.catalogue import Finding, Fix, az_rest
from pytest_ampls.effective.reported_scopes import require_reported_scopes_read
from pytest_ampls.model.monitor import PrivateLinkScope, ScopableResource, ScopedResource

__all__ = ["ADD_MEMBER", "membership_findings", "only_scope", "scope_tokens"]


def membership_findings(
    resource: ScopableResource, wanted: tuple[PrivateLinkScope, ...]
) -> Iterator[Finding]:
    """Report a resource that no scope lists, or that one of the scopes its clients use does not list."""
    scopes = resource.scopes
    if not scopes:
        names = ", ".join(scope.label for scope in resource.estate.private_link_scopes) or "none exists"
        target = wanted[0] if wanted else None
        yield Finding.on(
            resource,
            "membership in a private link scope",
            expected=f"a scoped resource of the scope {target.label!r}"
            if target
            else "a member of a private link scope",
            observed=f"in no private link scope (scopes that were read: {names})",
            evidence=az_rest(target, ScopedResource.ARM_TYPE) if target else None,
            tokens=scope_tokens(target),
        )
        return
    for scope in wanted:
        if scope not in scopes:
            yield Finding.on(
                resource,
                "membership in a private link scope",
                expected=f"a scoped resource of {scope.label!r}, the scope that its clients' DNS leads to",
                observed="a member only of " + ", ".join(repr(other.label) for other in scopes),
                evidence=az_rest(scope, ScopedResource.ARM_TYPE),
                tokens=scope_tokens(scope),
            )


def scope_tokens(scope: PrivateLinkScope | None) -> dict[str, str]:
    """Return what a fix needs to know of a scope; nothing where there is none to propose."""
    if scope is None:
        return {}
    return {"scope": scope.label, "scope-resource-group": scope.resource_group, "scope-id": scope.id}


ADD_MEMBER = Fix(
    az="az monitor private-link-scope scoped-resource create --name <name> --scope-name <scope> "
    "--resource-group <scope-resource-group> --linked-resource <id>",
    terraform='azurerm_monitor_private_link_scoped_service { scope_name = "<scope>", linked_resource_id = "<id>" }',
    bicep="Microsoft.Insights/privateLinkScopes/scopedResources: properties.linkedResourceId: '<id>'",
)


def only_scope(resource: ScopableResource) -> tuple[PrivateLinkScope, ...]:
    """Return the scope to propose to a resource that is in none: the only one there is, none where there is a choice.

    Raises:
        EvidenceError: the resource says that it is in a scope, which was not read: nothing is to be proposed.
    """
    if resource.scopes:
        return ()
    require_reported_scopes_read(resource)
    scopes = resource.estate.private_link_scopes
    return scopes if len(scopes) == 1 else ()
