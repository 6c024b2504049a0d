"""The query service of Log Analytics: ``/v1/workspaces/{id}/query``, by POST and by GET.

Sources: learn.microsoft.com, "Azure Monitor Log Analytics API" (request and response format, errors, timeouts), and
"Azure Monitor service limits"; the specification of Microsoft.OperationalInsights' data plane.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from pytest_ampls.lab.fault.registry import Meddling
from pytest_ampls.lab.ids import name_of
from pytest_ampls.lab.instance_view import RUNNING
from pytest_ampls.lab.logs.access import Access, UnreachableError
from pytest_ampls.lab.logs.answers import failure, no_such_path, refused_query, result, too_many
from pytest_ampls.lab.logs.heartbeats import Heartbeats
from pytest_ampls.lab.logs.lexer import TICKS, QueryRefusedError, semantic
from pytest_ampls.lab.logs.query import run_query
from pytest_ampls.lab.logs.relation import TooLargeError
from pytest_ampls.lab.logs.timespan import within
from pytest_ampls.lab.messages import Request, Response
from pytest_ampls.lab.store import Document, Index

__all__ = ["AUDIENCE", "LogQueries", "refused_token"]

AUDIENCE: Final = "https://api.loganalytics.io"
"""What tokens for the public service are issued for."""

ROWS_AT_MOST: Final = 500_000
CONCURRENT: Final = 5
"""Queries of one user that run at a time; further ones wait."""
WINDOW: Final = 30.0
IN_WINDOW: Final = 200
"""Requests of one user in so many seconds."""

_PATH: Final = re.compile(r"/v1/workspaces/(?P<workspace>[^/]+)/query/?", re.IGNORECASE)
_DEFAULT_WAIT: Final = 180
_LONGEST_WAIT: Final = 600


class LogQueries:
    """Answers queries from an indexed estate. Thread-safe.

    ``healthy`` returns the estate as it is without faults: its machines send what there is to find. With ``limited``
    the service's rate limit is kept. ``stopping`` ends the waiting of slow queries.
    """

    def __init__(
        self, index: Index, meddling: Meddling, healthy: Callable[[], Index], *, limited: bool
    ) -> None:
        self._flaws = meddling.queries
        self._access = Access(index, meddling)
        off = frozenset(own for own, state in index.power.items() if state != RUNNING)
        self._heartbeats = Heartbeats(healthy, meddling.queries, off)
        self._limited = limited
        self.stopping = threading.Event()
        self._asked: list[float] = []
        self._throttled: dict[str, int] = {}
        self._running = threading.BoundedSemaphore(CONCURRENT)
        self._lock = threading.Lock()

    def answer(self, request: Request, latency: float = 0.0) -> Response:
        """Answer one request that carries a good token; ``latency`` is what a query takes, in seconds."""
        match = _PATH.fullmatch(request.path)
        if match is None or request.method not in ("GET", "POST"):
            return no_such_path()
        wait = self._rate()
        if wait:
            return too_many(wait)
        try:
            asked = _question(request)
            patience = _patience(request)
        except QueryRefusedError as refused:
            return refused_query(refused.error)
        if asked is None:
            return Response(200)
        with self._running:
            taken = latency + self._flaws.delay
            self.stopping.wait(min(taken, patience))
            if taken > patience:
                return failure(504, "GatewayTimeout", "Gateway timeout")
            return self._admitted(match["workspace"], *asked)

    def _rate(self) -> int:
        """Return the whole seconds to wait before another request, 0 to go on."""
        if not self._limited:
            return 0
        now = time.monotonic()
        with self._lock:
            self._asked = [moment for moment in self._asked if moment > now - WINDOW]
            if len(self._asked) >= IN_WINDOW:
                return int(self._asked[0] + WINDOW - now) + 1
            self._asked.append(now)
        return 0

    def _is_throttled(self, customer: str) -> bool:
        with self._lock:
            count = self._throttled[customer] = self._throttled.get(customer, 0) + 1
        return count <= self._flaws.throttled

    def _admitted(self, customer: str, query: str, timespan: str) -> Response:
        """Answer a query if the client may ask for it."""
        if self._is_throttled(customer.lower()):
            return too_many(1)
        try:
            path = self._access.path
        except UnreachableError:
            return Response(200, reset=True)
        workspace = self._access.find(customer)
        refusal = self._access.refusal(workspace, path) if workspace is not None else ""
        if workspace is None or refusal:
            inner = {"code": "NspValidationFailedError", "message": refusal} if refusal else None
            text = "The provided credentials have insufficient access to perform the requested operation"
            return failure(403, "InsufficientAccessError", text, inner)
        if self._flaws.empty_body:
            return Response(200)
        return self._found(workspace, query, timespan)

    def _found(self, workspace: Document, query: str, timespan: str) -> Response:
        # One moment for rows, timespan and query, as in Kusto.
        now = int(time.time() * TICKS)
        table = self._heartbeats.table(workspace["id"].lower(), now)
        try:
            relation = run_query(query, {"Heartbeat": within(table, timespan, now)}, now)
            if not self._heartbeats.ever(workspace["id"].lower()):
                # A workspace without any data has nothing to say, whatever it is asked.
                return Response(204)
            rows = list(itertools.islice(relation.rows(), ROWS_AT_MOST + 1))
        except QueryRefusedError as refused:
            return refused_query(refused.error)
        except TooLargeError:
            return failure(504, "GatewayTimeout", "Gateway timeout")
        return result(relation, rows[:ROWS_AT_MOST], self._problem(len(rows), workspace))

    def _problem(self, count: int, workspace: Document) -> str:
        """Return what a result lacks, in words; ``""`` when it is whole."""
        if self._flaws.partial:
            return f"A part of the data of '{name_of(workspace['id'])}' could not be read."
        if count > ROWS_AT_MOST:
            return (
                f"The results of this query exceed the set limit of {ROWS_AT_MOST} records, so not all records "
                "were returned (E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003). See https://aka.ms/kustoquerylimits"
            )
        return ""


def _question(request: Request) -> tuple[str, str] | None:
    """Return the query and the timespan of a request, None where nothing is answered to it.

    Raises:
        QueryRefusedError: there is no query, or more is asked for than the lab has.
    """
    asked: object = request.query()
    if request.method == "POST":
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return None
        try:
            asked = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, RecursionError):
            return None
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
        raise semantic("The request has no query")
    if asked.get("workspaces"):
        raise semantic("Queries across workspaces are not supported")
    timespan = asked.get("timespan") or ""
    if not isinstance(timespan, str):
        raise semantic("The timespan is not a text")
    return asked["query"], timespan


def _patience(request: Request) -> float:
    """Return the seconds after which the service gives up; QueryRefusedError for a number that it does not take."""
    for preference in request.headers.get("prefer", "").split(","):
        name, _, value = preference.strip().partition("=")
        if name.lower() == "wait":
            if not re.fullmatch("[0-9]{1,3}", value) or not 1 <= int(value) <= _LONGEST_WAIT:
                raise semantic(f"Prefer: wait={value} is not a number of seconds from 1 to {_LONGEST_WAIT}")
            return int(value)
    return _DEFAULT_WAIT


def refused_token(code: str, message: str, authority: str) -> Response:
    """Return the refusal of a token, with the status that the service has for it, and where to sign in."""
    # Of an expired token the documentation says nothing; a client can mend that one, so it is challenged.
    status = 401 if code in ("AuthenticationFailed", "ExpiredAuthenticationToken") else 403
    response = failure(status, code, message)
    if status == 401:
        response.headers["www-authenticate"] = f'Bearer authorization_uri="{authority}"'
    return response
