"""The client: reads listings and single resources, and turns every refusal into a gap."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import msgspec
from azure.core.credentials import TokenCredential
from azure.core.rest import HttpRequest

from pytest_ampls.arm.batches import Batches
from pytest_ampls.arm.call import OPTION, Call, RefusalError
from pytest_ampls.arm.clock import Clock, SystemClock
from pytest_ampls.arm.cloud import Cloud
from pytest_ampls.arm.credential import TokenSource
from pytest_ampls.arm.graph import ROWS_A_PAGE, Answers, Rows
from pytest_ampls.arm.operations import GRAPH, Sdk, listing_path, version_of
from pytest_ampls.arm.origin import Origin, printable
from pytest_ampls.arm.pages import TODO_PAGE, NotAPageError, Pages, document
from pytest_ampls.arm.pipelines import Pipelines
from pytest_ampls.arm.policies import ReadOnlyPolicy
from pytest_ampls.arm.projection import Projection, projection_of
from pytest_ampls.arm.throttle import ARM_RATE, Ledger, Rate
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model.evidence import Gap, GapKind, Reading, Statistics

__all__ = ["ArmClient"]

_RUN_FACTOR: Final = 3.0
_THREADS: Final = 4
"""Threads for each request that may be under way: those that wait for one service leave others free."""
_SAFE: Final = "/()$@:!*',;=&+-._~"
_NOT_REGISTERED: Final = "missingsubscriptionregistration"


class ArmClient:
    """Reads Azure Resource Manager, and nothing but reads. Any thread may use it.

    Use it as a context manager. ``ca_bundle`` is a file of CA certificates (PEM) to trust
    instead of the usual ones. ``concurrency`` is how many connections are kept, and how many
    requests are under way at once; to a service that throttles they are fewer. ``retry_budget`` is
    how many seconds one read may wait for throttling and failures; the whole run waits at most
    three times that. ``timeout`` is
    seconds to connect, and between two pieces of an answer. ``on_progress`` gets a line of text now and
    then, from any thread. ``clock`` and ``rate`` are seams. ``run_command`` lets scripts be run in virtual
    machines (:class:`~pytest_ampls.arm.run_command.RunCommand`).

    Raises:
        ConfigurationError: the cloud's ARM endpoint is no https URL, or the CA bundle is no file.
    """

    def __init__(
        self,
        cloud: Cloud,
        credential: TokenCredential,
        *,
        ca_bundle: str | Path | None = None,
        concurrency: int = 16,
        retry_budget: float = 120.0,
        timeout: float = 30.0,
        on_progress: Callable[[str], None] | None = None,
        clock: Clock | None = None,
        rate: Rate = ARM_RATE,
        run_command: bool = False,
    ) -> None:
        _quiet()
        self.cloud = cloud
        self.concurrency = max(1, concurrency)
        self.threads = _THREADS * self.concurrency
        self._origin = _checked_origin(cloud)
        self._clock = clock or SystemClock()
        self._stop = Event()
        self._ledger = Ledger(
            self._clock, longest_wait=_RUN_FACTOR * retry_budget, failures=2 * self.concurrency
        )
        self._on_progress = on_progress
        self.budget = retry_budget
        self.pipelines = Pipelines(
            credential, self._ledger, self._clock, self._stop, ca_bundle=ca_bundle, on_progress=on_progress
        )
        self._tokens = TokenSource(credential, cloud.token_scope, self._clock)
        throttle = self.pipelines.throttle(rate, self.concurrency)
        self._pipeline = self.pipelines.make(
            self._origin,
            self._tokens,
            ReadOnlyPolicy(run_command=run_command),
            rate=rate,
            concurrency=self.concurrency,
            timeout=timeout,
            throttle=throttle,
        )
        self.batches = Batches(
            self._pipeline, self._origin, throttle, self._ledger, self._clock, retry_budget
        )
        self._sdk = Sdk(str(self._origin), credential, cloud.token_scope, self._pipeline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.stop()
        self.pipelines.close()

    def __repr__(self) -> str:
        return f"<ArmClient of {self.cloud.name} at {self._origin}>"

    def stop(self) -> None:
        """Let every read that waits, or has not begun, end at once with a gap."""
        self._stop.set()

    def statistics(self) -> Statistics:
        """Return what reading has cost so far; ``lookups`` is not ours to count."""
        return self._ledger.statistics()

    def reused(self, reads: int) -> None:
        """Count reads that were asked for again, and answered by what had been read before."""
        self._ledger.reused(reads)

    def note(self, text: str) -> None:
        """Keep a sentence for the statistics: something was read otherwise than planned."""
        self._ledger.note(text)

    def list(
        self,
        resource_type: str,
        scope: str,
        path: str | None = None,
        *,
        condition: str = "",
        first_page: bool = False,
    ) -> Reading:
        """List all resources of a type, with all pages.

        ``scope`` is ``/subscriptions/<id>``, or the id of the parent. ``path`` is the URL path
        to ask, where it is not the usual one of the type, ``condition`` an OData ``$filter``.
        With ``first_page`` no other page is asked for; where there is one, the gap is NOT_READ.

        Returns a reading with ``gap`` set where anything was refused or not understood: then
        its documents are those that had arrived, and not all. A subscription in which the
        type's provider is not registered has none of its resources, and that is no gap.

        Raises:
            KeyError: the product does not read this type.

        Source: https://learn.microsoft.com/rest/api/azure/#async-operations-throttling-and-paging
        """
        usual = listing_path(resource_type, scope)
        url = self.url(resource_type, scope, condition, path or usual)
        call = Call(resource_type, scope, single=False, patience=self.budget)
        pages = Pages(call)
        gap = None
        read_at = self._clock.time()
        try:
            if path not in (None, usual) or condition or not self._sdk.first_page(call):
                self._get(call, url)
            self._collect(call, pages, first_page=first_page)
        except RefusalError as refusal:
            if refusal.code.lower() != _NOT_REGISTERED:
                gap = refusal.gap
        return self._reading(call, url, read_at, tuple(pages.documents), gap)

    def get(self, resource_type: str, resource_id: str) -> Reading:
        """Read one resource.

        Returns a reading with one document; with none where the resource does not exist (HTTP
        404); with ``gap`` set where it was refused or not understood.

        Raises:
            KeyError: the product does not read this type.
        """
        url = self._url(resource_id, version_of(resource_type))
        call = Call(resource_type, resource_id, single=True, patience=self.budget)
        documents: tuple[msgspec.Raw, ...] = ()
        gap = None
        read_at = self._clock.time()
        try:
            self._get(call, url)
            documents = (document(call.body),)
        except NotAPageError as error:
            gap = call.gap(GapKind.MALFORMED, str(error), TODO_PAGE, status=200)
        except RefusalError as refusal:
            gap = None if refusal.gap.kind is GapKind.ABSENT else refusal.gap
        return self._reading(call, url, read_at, documents, gap)

    def ask(self, resource_type: str, subscriptions: Sequence[str]) -> Rows:
        """Ask Resource Graph for a type in some subscriptions, with all pages; see :meth:`query`.

        Raises:
            KeyError: the type is not read from the index.
        """
        return self.query(projection_of(resource_type), subscriptions)

    def query(
        self,
        projection: Projection,
        subscriptions: Sequence[str],
        *,
        condition: str = "",
        above: bool = False,
    ) -> Rows:
        """Ask Resource Graph for what a projection tells, with all pages.

        ``subscriptions`` are bare GUIDs, 300 at most: more would have to be asked in groups. ``condition``
        is a further condition of the query's, ``above`` asks for what is above the subscriptions as well.

        Returns the documents of all these subscriptions, with ``gap`` set where they are not all.
        """
        where = f"{len(subscriptions)} subscription{'s'[: len(subscriptions) != 1]}"
        others = f" and {len(projection.more)} other types" if projection.more else ""
        subject = f"Asking Resource Graph for {projection.type}{others} in {where}"
        call = Call(GRAPH, "/", single=False, patience=self.budget, subject=subject)
        answers = Answers(call, projection)
        asked_at = self._clock.time()
        text = projection.query(condition)
        gap = None
        try:
            while not answers.complete:
                self._sdk.query(
                    call, text, subscriptions, top=ROWS_A_PAGE, skip_token=answers.skip_token, above=above
                )
                before = len(answers.documents)
                answers.take()
                self.tell(projection.type, len(answers.documents) - before)
        except RefusalError as refusal:
            gap = refusal.gap
        return Rows(call.url, asked_at, tuple(answers.documents), gap)

    def principal(self) -> str | None:
        """Return the object id that ARM's token was issued to, None where the token does not tell."""
        return self._tokens.principal()

    def send(self, call: Call, request: HttpRequest) -> None:
        """Send one request to a path of ARM; what came back is in the call.

        Raises:
            RefusalError: it was refused, or there was no answer.
        """
        request.url = self._absolute(request.url)
        self._pipeline.run(request, **{OPTION: call})

    def pause(self, seconds: float) -> bool:
        """Wait, and tell whether to go on: False once the client was stopped."""
        self._clock.wait(seconds, self._stop)
        return not self._stop.is_set()

    def url(self, resource_type: str, scope: str, condition: str = "", path: str = "") -> str:
        """Return the URL at which a type is listed; arguments as for :meth:`list`.

        Raises:
            KeyError: the product does not read this type.
        """
        return self._url(path or listing_path(resource_type, scope), version_of(resource_type), condition)

    def relative(self, link: str) -> str:
        """Return the path and the query of a URL, an empty text where it is not on the ARM endpoint."""
        url = self._absolute(link)
        rest = url.partition("://")[2].partition("/")[2]
        return f"/{rest}" if Origin.of(url) == self._origin else ""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._clock.time()

    def _collect(self, call: Call, pages: Pages, *, first_page: bool = False) -> None:
        """Take the page that arrived, and all that follow it."""
        while True:
            self.tell(call.type, pages.take(call.body))
            if not pages.has_more:
                break
            if first_page:
                what = "there is more than the first page, and no more was asked for"
                raise RefusalError(call.gap(GapKind.NOT_READ, what, "Read the rest where it is needed"))
            self._get(call, self._absolute(pages.follow()))
        pages.finish()

    def tell(self, resource_type: str, documents: int) -> None:
        """Count a page that arrived, and tell who wants to know."""
        so_far = self._ledger.page(documents)
        if self._on_progress is not None:
            self._on_progress(f"{so_far} so far, reading {resource_type}")

    def _get(self, call: Call, url: str) -> None:
        self._pipeline.run(HttpRequest("GET", url, headers={"Accept": "application/json"}), **{OPTION: call})

    def _url(self, path: str, api_version: str, condition: str = "") -> str:
        url = f"{self._origin}/{quote(path.strip('/'), safe=_SAFE)}?api-version={api_version}"
        return f"{url}&$filter={quote(condition, safe='')}" if condition else url

    def _absolute(self, link: str) -> str:
        return f"{self._origin}{link}" if link.startswith("/") and not link.startswith("//") else link

    def _reading(
        self, call: Call, url: str, read_at: float, documents: tuple[msgspec.Raw, ...], gap: Gap | None
    ) -> Reading:
        return Reading(
            type=call.type,
            scope=call.scope,
            request=call.url or url,
            read_at=read_at,
            documents=documents,
            gap=gap,
            single=call.single,
        )


def _checked_origin(cloud: Cloud) -> Origin:
    origin = Origin.of(cloud.arm_endpoint)
    if origin is None or origin.scheme != "https":
        raise ConfigurationError(
            f"The ARM endpoint {printable(cloud.arm_endpoint)!r} is not an https URL: a token is sent there, "
            "so it has to be https://HOST[:PORT]"
        )
    return origin


def _quiet() -> None:
    """Keep azure's warnings out of the terminal where nobody set up logging: gaps say the same, once."""
    logger = logging.getLogger("azure")
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())
