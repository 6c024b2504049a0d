"""What is said of workspaces and their newest heartbeats; no rule of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pytest_ampls.errors import DocumentError
from pytest_ampls.model.log_rows import Heartbeat, LogReading
from pytest_ampls.model.resource import ResourceId

__all__ = ["last_heartbeat", "utc", "workspace_name", "workspace_names"]


def utc(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as people read it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s after the epoch"


def workspace_name(workspace_id: str) -> str:
    """Return the last part of a resource id, the whole text where it is none."""
    try:
        return ResourceId.parse(workspace_id).name
    except DocumentError:
        return workspace_id


def workspace_names(workspace_ids: Iterable[str]) -> str:
    """Return the names of workspaces, quoted."""
    return ", ".join(repr(workspace_name(each)) for each in workspace_ids)


def last_heartbeat(newest: tuple[LogReading, Heartbeat] | None, asked: Iterable[str]) -> str:
    """Say when a machine's last heartbeat was and where, as far as the queries look back.

    ``asked`` are the ids of the workspaces that were asked.
    """
    if newest is None:
        return f"no heartbeat in 24 h in {workspace_names(asked)}"
    reading, row = newest
    age = (reading.now - row.time_generated) / 60
    return f"the last one is {age:.0f} min old ({utc(row.time_generated)}), in {workspace_name(reading.workspace)!r}"
