"""Asking all workspaces, some at once. No query waits longer than its budget and a few attempts."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor, as_completed

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.logs.client import CONCURRENT_QUERIES, LogsClient, Target
from pytest_ampls.model.log_rows import LogReading

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
    pool = ThreadPoolExecutor(max_workers=min(CONCURRENT_QUERIES, len(workspaces)))
    is_done = False
    try:
        futures = [pool.submit(logs.heartbeats, Target(*each), machines) for each in workspaces]
        for number, _ in enumerate(as_completed(futures), start=1):
            if on_progress is not None:
                on_progress(f"logs: {number} of {len(futures)} workspaces asked")
        is_done = True
    finally:
        if not is_done:
            client.stop()  # so that Ctrl-C is not kept waiting by workspaces that take their minute
        pool.shutdown(wait=is_done, cancel_futures=True)
    return tuple(future.result() for future in futures)
