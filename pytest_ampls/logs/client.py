"""Asking one workspace: azure-monitor-query's client on a pipeline of ours, and every refusal told apart.

The direct endpoint is asked, never Azure Resource Manager's ``…/query``: that counts as a public network
whatever way it takes, and would tell nothing of the path. Source:
https://learn.microsoft.com/azure/azure-monitor/fundamentals/private-link-design
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy
from azure.core.rest import HttpRequest, HttpResponse

from pytest_ampls.arm.call import OPTION, Call, RefusalError
from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.credential import TokenSource
from pytest_ampls.arm.origin import Origin, printable
from pytest_ampls.arm.policies import ReadOnlyPolicy
from pytest_ampls.arm.throttle import Rate
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.logs.rows import Refusal, refusal_of, rows_of, service_time
from pytest_ampls.model.gap import Gap, GapKind
from pytest_ampls.model.log_rows import NETWORK_REFUSAL, LogReading

__all__ = ["CONCURRENT_QUERIES", "QUERY", "LogsClient", "Target"]

CONCURRENT_QUERIES: Final = 5
"""Queries of one user that the service runs at once. Source:
https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits (log queries)"""

_RATE: Final = Rate(burst=100.0, per_second=100 / 30)
"""At most 200 requests in any 30 seconds, the limit of the same page: a burst of 100, and 100 more as it refills."""

QUERY: Final = (
    "Heartbeat | where TimeGenerated > ago(1d) "
    "| summarize arg_max(TimeGenerated, ComputerIP, ComputerPrivateIPs, Computer) by _ResourceId, Category"
)
"""The one question, the same for every workspace. It is not narrowed to the machines in question: their ids would make
it longer than a query may be where they are many, and the answer has one short row for each machine and agent."""

_TYPE: Final = "Microsoft.OperationalInsights/workspaces/query"
_PERMISSION: Final = f"{_TYPE}/read"
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CONNECT: Final = 10.0
_LONGEST_MESSAGE: Final = 600
_GRACE: Final = 10.0
"""Seconds that the service gets beyond its own limit to say that the limit is over."""

_TODO_NETWORK: Final = "Check the network, the proxy, the DNS and the CA bundle, then run again"
_TODO_STRANGE: Final = "Log Analytics does not answer like this: look for a proxy in between, or run again"
_TODO_PART: Final = "Run again; the rows that are there count, and whatever is missing is unverified"
_TODO_SIGN_IN: Final = "Sign in again, and check that the tenant and the cloud are those of the workspace"
_TODO_PATH: Final = (
    "Query from inside of a network whose DNS leads to the private link scope of the workspace, or let the "
    "workspace answer queries from public networks"
)
_TODO_ROLE: Final = (
    f"Grant the identity {_PERMISSION} on the workspace (Log Analytics Reader has it), "
    "and compare the workspace id; a new grant takes some minutes"
)


class Target(NamedTuple):
    """A workspace to ask: its resource id, its name, and the GUID that queries name it by."""

    workspace: str
    label: str
    customer_id: str


class _Keep(HTTPPolicy[HttpRequest, HttpResponse]):
    """Keeps what every attempt brought: an error's body tells one refusal from another."""

    def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, HttpResponse]:
        """Send the request, and leave status, headers and body in the call."""
        call: Call = request.context[OPTION]
        response = self.next.send(request)
        answer = response.http_response
        call.status, call.headers, call.body = answer.status_code, answer.headers, answer.content
        return response


class LogsClient:
    """Asks workspaces for heartbeats, with the credential, the patience and the counts of an :class:`ArmClient`.

    Any thread may use it. ``timeout`` is how many seconds the service may take for one query.

    Raises:
        ConfigurationError: the cloud names no Log Analytics endpoint, or one that is no ``https`` URL.
    """

    def __init__(self, client: ArmClient, *, timeout: float = 60.0) -> None:
        from azure.monitor.query import LogsQueryClient  # lazily: most runs ask no workspace

        cloud = client.cloud
        origin = Origin.of(cloud.logs_endpoint)
        path = urlsplit(cloud.logs_endpoint).path.strip("/") if origin is not None else ""
        if origin is None or origin.scheme != "https" or path:
            raise ConfigurationError(
                f"the cloud {cloud.name} names {printable(cloud.logs_endpoint)!r} as its Log Analytics endpoint, and a "
                "token is only sent to https://HOST[:PORT]: leave --ampls-logs out"
            )
        self.endpoint = cloud.logs_endpoint
        self._budget = client.budget
        self._timeout = timeout
        self._clock = client.pipelines.clock
        token = TokenSource(
            client.pipelines.credential, f"{self.endpoint}/.default", self._clock, "Log Analytics"
        )
        pipeline = client.pipelines.make(
            origin,
            token,
            ReadOnlyPolicy(log_queries=True),
            rate=_RATE,
            concurrency=CONCURRENT_QUERIES,
            timeout=timeout + min(_GRACE, timeout),
            connect_timeout=min(_CONNECT, timeout),
            whole=2 * timeout + min(_GRACE, timeout),
            inner=(_Keep(),),
        )
        options: dict[str, Any] = {"endpoint": self.endpoint, "pipeline": pipeline, "policies": []}
        self._sdk = LogsQueryClient(client.pipelines.credential, **options)

    def heartbeats(self, target: Target, machines: Set[str]) -> LogReading:
        """Ask one workspace for the newest heartbeats of machines (their keys); what goes wrong is a gap.

        Source: https://learn.microsoft.com/azure/azure-monitor/logs/api/overview
        """
        subject = f"Querying workspace {printable(target.label)} at {self.endpoint}"
        call = Call(_TYPE, target.workspace, single=True, patience=self._budget, subject=subject)
        if not _GUID.fullmatch(target.customer_id):
            what = "its workspace id (customerId) is not known: its document was not read, or lacks it"
            gap = call.gap(GapKind.NOT_READ, what, "Look whether the workspace can be read")
            return self._reading(target, call, gap=gap)
        options: dict[str, Any] = {OPTION: call}
        wait = max(1, round(self._timeout))
        try:
            self._sdk.query_workspace(
                target.customer_id, QUERY, timespan=None, server_timeout=wait, **options
            )
        except RefusalError as refusal:
            return self._refused(target, call, refusal)
        rows = rows_of(call.body, machines)
        todo = _TODO_PART if rows.understood else _TODO_STRANGE
        missing = call.gap(GapKind.MALFORMED, rows.problem, todo, status=200) if rows.problem else None
        return self._reading(target, call, gap=missing, answered=rows.understood, heartbeats=rows.heartbeats)

    def _refused(self, target: Target, call: Call, refusal: RefusalError) -> LogReading:
        if call.status == 204:
            what = (
                "HTTP 204 without a table: the service answers so for a workspace without any data, and so may "
                "something in between, so that nothing arrived is not proven"
            )
            todo = "Look whether the workspace has any table with rows"
            gap = call.gap(GapKind.MALFORMED, what, todo, status=204)
            return self._reading(target, call, gap=gap, answered=True)
        said = refusal_of(call.body) if refusal.gap.kind is GapKind.DENIED else Refusal()
        gap = _explained(call, refusal, said)
        return self._reading(target, call, gap=gap, code=said.code, inner_code=said.inner_code)

    def _reading(self, target: Target, call: Call, **found: Any) -> LogReading:
        return LogReading(
            workspace=target.workspace,
            customer_id=target.customer_id,
            endpoint=self.endpoint,
            read_at=self._clock.time(),
            answered_at=service_time(call.headers),
            **found,
        )


def _explained(call: Call, refusal: RefusalError, said: Refusal) -> Gap:
    """Return a refusal with what it means for a query, and what to do."""
    gap = refusal.gap
    if gap.kind in (GapKind.THROTTLED, GapKind.NOT_READ):
        return gap
    if gap.kind is GapKind.DENIED:
        return _denied(call, gap, said, refusal.what)
    if gap.status is None and gap.kind is GapKind.UNAUTHENTICATED:
        return gap  # there was no token to send: the message says why
    todo = {GapKind.UNAUTHENTICATED: _TODO_SIGN_IN, GapKind.MALFORMED: _TODO_STRANGE}.get(gap.kind)
    if todo is None:
        todo = _TODO_NETWORK if gap.status is None else _TODO_STRANGE
    kind = GapKind.UNREACHABLE if gap.kind is GapKind.ABSENT else gap.kind
    return call.gap(kind, refusal.what, todo, status=gap.status)


def _denied(call: Call, gap: Gap, said: Refusal, what: str) -> Gap:
    """Tell the refusals apart that all are a 403: the token, the network, the role.

    Source: https://learn.microsoft.com/azure/azure-monitor/logs/api/errors
    """
    if "authenticationtoken" in said.code.lower():
        return call.gap(GapKind.UNAUTHENTICATED, what, _TODO_SIGN_IN, status=gap.status)
    if said.inner_code.lower() == NETWORK_REFUSAL.lower():
        told = (
            f"the network that it was asked from is refused (HTTP {gap.status} {printable(said.code)}, "
            f"{printable(said.inner_code)}: {printable(said.inner_message, _LONGEST_MESSAGE)})"
        )
        return call.gap(GapKind.DENIED, told, _TODO_PATH, status=gap.status)
    inner = (
        f", {printable(said.inner_code)}: {printable(said.inner_message, _LONGEST_MESSAGE)}"
        if said.inner_code
        else ""
    )
    return call.gap(GapKind.DENIED, f"{what}{inner}", _TODO_ROLE, status=gap.status, permission=_PERMISSION)
