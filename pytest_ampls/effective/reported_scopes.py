"""Scopes that a resource itself says it is a member of: one of another subscription may not have been read."""

from __future__ import annotations

from pytest_ampls.errors import NotReadError
from pytest_ampls.model.monitor import PrivateLinkScope, ScopableResource, ScopeReference
from pytest_ampls.model.resource import ResourceId

__all__ = ["require_reported_scopes_read"]


def require_reported_scopes_read(resource: ScopableResource) -> None:
    """Make sure that a resource which no scope lists does not report a membership in one that was not read.

    A scope may be in any subscription, and only the resource's own document leads there. One that was read, or is
    proven not to exist, contradicts the resource: that is for AMPLS106 to judge.

    Raises:
        EvidenceError: it reports a membership, and the scope of it was not read or cannot be told.
    """
    for entry in resource.scope_references:
        _require_read(resource, entry)


def _require_read(resource: ScopableResource, entry: ScopeReference) -> None:
    if entry.resource_id:
        parsed = ResourceId.parse(entry.resource_id)
        is_member = parsed.type.lower() != PrivateLinkScope.ARM_TYPE.lower()
        scope = parsed.parent if is_member and parsed.parent else entry.resource_id
        resource.estate.get(PrivateLinkScope, scope)
        return
    guids = {(scope.properties.scope_id or "").lower() for scope in resource.estate.private_link_scopes}
    if not entry.scope_id or entry.scope_id.lower() not in guids:
        raise NotReadError(
            f"{resource.NOUN} {resource.label!r} ({resource.id}) reports a membership in the private link scope "
            f"with the scopeId {entry.scope_id}, which was not read. Add --ampls-subscription for where that scope is"
        )
