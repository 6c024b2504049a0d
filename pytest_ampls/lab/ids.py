"""Resource ids as ARM writes them: taking them apart, without regard to case.

An id is ``/subscriptions/<guid>/resourceGroups/<name>/providers/<namespace>/<type>/<name>…``;
an extension resource has a second ``/providers/`` behind the id of the resource it extends.
"""

from __future__ import annotations

__all__ = ["name_of", "parent_of", "resource_group_of", "subscription_of", "type_of"]

_PROVIDERS = "/providers/"


def _tail(resource_id: str) -> tuple[str, list[str]]:
    """Return what stands before the last ``/providers/`` and the segments behind it."""
    head, _, tail = resource_id.lower().rpartition(_PROVIDERS)
    return head, tail.split("/")


def type_of(resource_id: str) -> str:
    """Return the resource type, lower-cased: ``microsoft.network/privatednszones/a``."""
    _, segments = _tail(resource_id)
    if len(segments) == 3:
        return f"{segments[0]}/{segments[1]}"
    return "/".join([segments[0], *segments[1::2]])


def parent_of(resource_id: str) -> str:
    """Return the lower-cased id of the parent, or of what an extension resource extends.

    A top-level resource's parent is its resource group.
    """
    head, segments = _tail(resource_id)
    if len(segments) > 3:
        return head + _PROVIDERS + "/".join(segments[:-2])
    return head


def subscription_of(resource_id: str) -> str:
    """Return the lower-cased subscription GUID of an id."""
    return resource_id.lower().split("/")[2]


def resource_group_of(resource_id: str) -> str:
    """Return the lower-cased resource group's name, or ``""`` for an id without one."""
    segments = resource_id.lower().split("/")
    return segments[4] if len(segments) > 4 and segments[3] == "resourcegroups" else ""


def name_of(resource_id: str) -> str:
    """Return the last segment, in the case it is written in."""
    return resource_id.rstrip("/").rpartition("/")[2]
