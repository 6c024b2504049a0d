"""Faults of log queries: what does not arrive in a workspace, and who may not ask it (rules 601, 602 and 606)."""

from __future__ import annotations

from pytest_ampls.lab.fault.pick import client
from pytest_ampls.lab.fault.registry import Meddling, logs_fault
from pytest_ampls.lab.spec import LabError
from pytest_ampls.lab.store import Estate

__all__: list[str] = []


@logs_fault("heartbeat-missing", "a machine sent no heartbeat for more than a day", breaks="601")
def heartbeat_missing(estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Leave out the rows of a machine."""
    meddling.queries.missing.add(client(estate)["id"].lower())


@logs_fault("heartbeat-stale", "a machine sent its last heartbeat three hours ago", breaks="601")
def heartbeat_stale(estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """End the rows of a machine before now."""
    meddling.queries.stale.add(client(estate)["id"].lower())


@logs_fault("heartbeat-public", "a machine's heartbeats come from a public address", breaks="602")
def heartbeat_public(estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Give the rows of a machine a public IPv4 address, as they have where no private link is used."""
    meddling.queries.public.add(client(estate)["id"].lower())


@logs_fault(
    "query-refused-network",
    "queries come from public networks, which the workspace does not answer",
    breaks="606",
    blinds="601 602",
)
def query_refused_network(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Put the client on the internet; the workspaces of the estates answer private networks only."""
    meddling.queries.from_internet = True


@logs_fault("query-refused-role", "the principal may not query the workspaces", blinds="601 602 606")
def query_refused_role(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Refuse every query as for a principal without a role, or for a workspace that there is not."""
    meddling.queries.without_role = True


def _whole(name: str, argument: str | None, default: int) -> int:
    if argument is not None and not argument.isdigit():
        raise LabError(f"lab: {name}={argument} is not a whole number")
    return int(argument or default)


@logs_fault(
    "query-throttled",
    "the first queries of each workspace are answered 429",
    argument="queries per workspace; 1 when left out",
)
def query_throttled(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Answer the first N queries of each workspace with 429 and ``Retry-After: 1``."""
    meddling.queries.throttled = _whole("query-throttled", argument, 1)


@logs_fault("query-slow", "a query takes its time", argument="whole seconds; 1 when left out")
def query_slow(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Wait before each answer."""
    meddling.queries.delay = _whole("query-slow", argument, 1)


@logs_fault("query-partial", "a query succeeds in part: it lacks half of the machines", blinds="601 602")
def query_partial(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Answer 200 with half of the machines, and with an error beside them."""
    meddling.queries.partial = True


@logs_fault("query-empty-body", "a query is answered 200 without a body", blinds="601 602 606")
def query_empty_body(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Send nothing where a table belongs, as the service does for requests without a content type."""
    meddling.queries.empty_body = True
