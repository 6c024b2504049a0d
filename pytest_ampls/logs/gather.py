"""Asking all workspaces, some at once. No query waits longer than its budget and a few attempts."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import partial

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.logs.client import CONCURRENT_QUERIES, LogsClient, Target
from pytest_ampls.model.log_rows import LogReading
from pytest_ampls.severable import side_by_side

__all__ = ["ask_all"]


def ask_all(
    client: ArmClient,
    workspaces: Sequence[tuple[str, str, str]],
    machines: Set[str],
    *,
    timeout: float = 60.0,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[LogReading, ...]:
    """Ask workspaces for the newest heartbeats, and return one reading for each, in their order.

    What goes wrong with one workspace is a gap of its reading, and does not concern the others.

    Args:
        client: an opened client, whose cloud, credential and budget of waiting are used.
        workspaces: resource id, name and customer id (a GUID) of each.
        machines: the keys of the machines whose rows are kept.
        timeout: seconds that the service may take for one query.
        on_progress: gets a line of text now and then.

    Raises:
        ConfigurationError: the cloud names no Log Analytics endpoint.
    """
    if not workspaces:
        return ()
    logs = LogsClient(client, timeout=timeout)
    jobs = {place: partial(logs.heartbeats, Target(*each), machines) for place, each in enumerate(workspaces)}

    def said(number: int) -> None:
        if on_progress is not None:
            on_progress(f"logs: {number} of {len(jobs)} workspaces asked")

    # Stopped, so that Ctrl-C is not kept waiting by workspaces that take their minute.
    readings = side_by_side(jobs, client.stop, at_once=CONCURRENT_QUERIES, on_done=said)
    return tuple(readings[place] for place in jobs)
