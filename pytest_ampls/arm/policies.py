"""The pipeline's policies, from the outside in: guards, pages, one retry, the token.

azure-core's own retry, redirect, logging and provider-registration policies are not used: there
is one retry logic, no redirect is followed, no header is logged, and nothing is registered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any, Final

from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy, SansIOHTTPPolicy
from azure.core.rest import HttpRequest, HttpResponse

from pytest_ampls.arm.batch import BATCH_PATH, only_reads
from pytest_ampls.arm.call import OPTION, Call, RefusalError, Retry, Trouble
from pytest_ampls.arm.clock import Clock
from pytest_ampls.arm.credential import NoTokenError, TokenSource
from pytest_ampls.arm.origin import Origin, printable
from pytest_ampls.arm.refusals import trouble_of_answer, trouble_of_error
from pytest_ampls.arm.throttle import Ledger, Service, Throttle, TokenBucket
from pytest_ampls.errors import ReadOnlyError
from pytest_ampls.model.evidence import Gap, GapKind

__all__ = ["OriginPolicy", "PagePolicy", "ReadOnlyPolicy", "RetryPolicy", "TokenPolicy"]

Request = PipelineRequest[HttpRequest]
Response = PipelineResponse[HttpRequest, HttpResponse]

_POSTS: Final = frozenset({"/providers/microsoft.resourcegraph/resources"})
_RUN_COMMAND: Final = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.compute/virtualmachines/[^/]+/runcommand"
)
_LOG_QUERY: Final = re.compile(r"/v1/workspaces/[0-9a-f-]{36}/query")
_DESERIALIZED: Final = "deserialized_data"  # where azure-core's ContentDecodePolicy leaves its result
_SHORTEST_WAIT: Final = 0.1
_LONGEST_BACKOFF: Final = 30.0


def call_of(request: Request) -> Call:
    """Return the call that a request belongs to."""
    call: Call = request.context[OPTION]
    return call


class ReadOnlyPolicy(SansIOHTTPPolicy[HttpRequest, HttpResponse]):
    """Lets GET through, and POST to the queries that only read. Nothing else leaves the process.

    A batch of requests is let through where all that it asks for is twenty GETs at the most, of ARM's own paths.

    With ``run_command`` it lets POST to the Run Command of a virtual machine through as well, because the user
    asked for that. With ``log_queries`` it lets POST to the query of a Log Analytics workspace through, and to nothing
    else: that is for the pipeline to that service.
    """

    def __init__(self, *, run_command: bool = False, log_queries: bool = False) -> None:
        super().__init__()
        self._run_command = run_command
        self._log_queries = log_queries

    def _is_query(self, path: str) -> bool:
        if self._log_queries:
            return _LOG_QUERY.fullmatch(path) is not None
        return path in _POSTS or (self._run_command and _RUN_COMMAND.fullmatch(path) is not None)

    def _is_batch(self, request: HttpRequest) -> bool:
        return not self._log_queries and only_reads(request.content)

    def on_request(self, request: Request) -> None:
        """Stop a request that could change something.

        Raises:
            ReadOnlyError: the method is not one that reads.
        """
        method, url = request.http_request.method.upper(), request.http_request.url
        path = "/" + url.partition("?")[0].partition("://")[2].partition("/")[2]
        if method == "GET" or (method == "POST" and self._is_query(path.lower())):
            return
        if method == "POST" and path == BATCH_PATH and self._is_batch(request.http_request):
            return
        raise ReadOnlyError(
            f"{method} {printable(url)} was stopped: this program only reads, and sends GET alone"
        )


class OriginPolicy(SansIOHTTPPolicy[HttpRequest, HttpResponse]):
    """Refuses every URL that does not lead to the ARM endpoint, before a token is attached."""

    def __init__(self, endpoint: Origin) -> None:
        super().__init__()
        self._endpoint = endpoint

    def on_request(self, request: Request) -> None:
        """Take the call from the options, and look where the request goes.

        Raises:
            RefusalError: it goes to another scheme, host or port.
        """
        options = request.context.options
        call: Call = options.pop(OPTION)
        request.context[OPTION] = call
        url = request.http_request.url
        if Origin.of(url) != self._endpoint:
            raise RefusalError(
                call.gap(
                    GapKind.MALFORMED,
                    f"the answer points to {printable(url)}, which is not on {self._endpoint}; "
                    "it was not followed, as the token must not leave for another host",
                    "Check the ARM endpoint, and what stands between here and there; that page was not read",
                )
            )
        call.url = call.url or url


class _Empty:
    """The answer that the SDK sees: a page without items, whatever the page really held."""

    status_code: Final = 200
    headers: Mapping[str, str] = {}
    # Some SDKs look for the result here, others in the pipeline's context.
    context: Mapping[str, Any] = {_DESERIALIZED: {"value": []}}

    def json(self) -> dict[str, Any]:
        """Return an empty page."""
        return {"value": []}


class PagePolicy(HTTPPolicy[HttpRequest, HttpResponse]):
    """Keeps the page's bytes, and spares the SDK from deserializing them.

    The SDK's models are not used: one property of an unforeseen type would lose a whole page,
    and unknown properties are dropped silently. So the SDK builds the request, and gets an
    empty page back; documents and the next page's link are taken from the bytes.
    """

    def send(self, request: Request) -> Response:
        """Send the request, keep the body, return an empty page."""
        response = self.next.send(request)
        call = call_of(request)
        call.body, call.headers = response.http_response.content, response.http_response.headers
        call.status = response.http_response.status_code
        response.context[_DESERIALIZED] = {"value": []}
        empty: Any = _Empty()
        return PipelineResponse(response.http_request, empty, response.context)


class RetryPolicy(HTTPPolicy[HttpRequest, HttpResponse]):
    """Paces, counts, and asks again: the only place that waits."""

    def __init__(
        self,
        throttle: Throttle,
        ledger: Ledger,
        clock: Clock,
        stop: Event,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self._throttle = throttle
        self._ledger = ledger
        self._clock = clock
        self._stop = stop
        self._on_progress = on_progress

    def send(self, request: Request) -> Response:
        """Return the first answer that is a 200.

        Raises:
            RefusalError: there is none within the budget of waiting.
        """
        call = call_of(request)
        service = self._throttle.service(request.http_request.url)
        attempt = 0
        while True:
            attempt += 1
            self._before(call, service)
            with self._throttle.gates.through(service.gate) as verdict:
                self._check(call)
                outcome = self._attempt(request, call, service)
                verdict.append(isinstance(outcome, Trouble) and outcome.kind is GapKind.THROTTLED)
            if not isinstance(outcome, Trouble):
                return outcome
            self._after(outcome, call, service.bucket, attempt)

    def _before(self, call: Call, service: Service) -> None:
        self._check(call)
        reads = (self._throttle.service(path) for path in call.reads)
        wait = max(each.reserve() for each in (service, *reads))
        if wait > 0:
            self._ledger.lost(wait)
            self._clock.wait(wait, self._stop)
            self._check(call)
        self._ledger.begin()

    def _check(self, call: Call) -> None:
        if self._stop.is_set():
            raise RefusalError(call.gap(GapKind.NOT_READ, "the run was interrupted", "Run again"))
        if call.unless is not None and call.unless():
            raise RefusalError(call.gap(GapKind.NOT_READ, "not asked any more", "It is asked in another way"))
        if self._ledger.given_up:
            raise RefusalError(
                call.gap(
                    GapKind.UNREACHABLE,
                    "not asked any more, as so many requests in a row went without an answer",
                    "Check the network, the proxy and the ARM endpoint, then run again",
                )
            )

    def _attempt(self, request: Request, call: Call, service: Service) -> Response | Trouble:
        try:
            response = self.next.send(request)
        except AzureError as error:
            self._ledger.call(call.type)
            return trouble_of_error(error)
        self._ledger.call(call.type)
        answer = response.http_response
        self._ledger.answered(answer.status_code)
        service.observe(answer.headers)
        return trouble_of_answer(call, answer, self._clock.time()) or response

    def _after(self, trouble: Trouble, call: Call, bucket: TokenBucket, attempt: int) -> None:
        """Wait before the next attempt, or raise because there will be none."""
        wait = _wait(trouble, attempt)
        affordable = wait <= call.patience and self._ledger.may_wait(wait)
        spared = call.unless is not None and trouble.retry is not Retry.WITHIN_BUDGET
        if spared or attempt > trouble.retry.value or not affordable:
            if not trouble.answered:
                self._ledger.unreachable()
            raise RefusalError(_gap(trouble, call, attempt, wait), trouble.code, trouble.what)
        if trouble.status == 429:
            bucket.hold(wait)
        if trouble.retry is Retry.WITHIN_BUDGET and self._on_progress is not None:
            self._on_progress(f"{call.type}: throttled, waiting {wait:.0f} s")
        call.wait(wait)
        self._ledger.lost(wait)
        self._ledger.retried()
        self._clock.wait(wait, self._stop)


def _wait(trouble: Trouble, attempt: int) -> float:
    if trouble.retry_after is not None:
        return max(_SHORTEST_WAIT, trouble.retry_after)
    first = 1.0 if trouble.retry is Retry.WITHIN_BUDGET else 0.5
    return float(min(_LONGEST_BACKOFF, first * 2 ** (attempt - 1)))


def _whose_budget(trouble: Trouble, call: Call, attempt: int, wait: float) -> str:
    if attempt > trouble.retry.value:
        return ", which are enough"
    more = f", and {wait:.0f} s more would exceed "
    own = wait > call.patience
    return more + (f"the retry budget of {call.budget:.0f} s" if own else "what the whole run may wait")


def _gap(trouble: Trouble, call: Call, attempt: int, wait: float) -> Gap:
    what, todo = trouble.what, trouble.todo
    if trouble.kind is GapKind.THROTTLED:
        asked = (
            f"Retry-After was {trouble.retry_after:.0f} s"
            if trouble.retry_after is not None
            else "no Retry-After"
        )
        times = "one attempt" if attempt == 1 else f"{attempt} attempts"
        what += f"; still so after {times} and {call.waited:.0f} s of waiting ({asked} the last time)"
        what += _whose_budget(trouble, call, attempt, wait)
        todo = "Nothing of this was read: run again later, or with a larger retry budget"
    elif attempt > 1:
        what += f"; tried {attempt} times"
    return call.gap(trouble.kind, what, todo, status=trouble.status, permission=trouble.permission)


class TokenPolicy(SansIOHTTPPolicy[HttpRequest, HttpResponse]):
    """Attaches the token, innermost of all, so that no other policy ever sees it.

    azure-core's own policy is not safe here: a 401 in one thread takes the token away under
    another that is about to use it.
    """

    def __init__(self, source: TokenSource) -> None:
        super().__init__()
        self._source = source

    def on_request(self, request: Request) -> None:
        """Attach the token.

        Raises:
            RefusalError: there is none.
        """
        call = call_of(request)
        try:
            token = self._source.get()
        except NoTokenError as error:
            gap = error.gap
            raise RefusalError(
                call.gap(gap.kind, gap.message, "Nothing can be verified without it")
            ) from None
        request.http_request.headers["Authorization"] = f"Bearer {token}"
