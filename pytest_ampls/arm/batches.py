"""Asks for several URLs of ARM's in one call, where it lets that be done, and never twice where it does not."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from threading import Lock
from typing import Final

from azure.core.pipeline import Pipeline
from azure.core.rest import HttpRequest, HttpResponse

from pytest_ampls.arm.batch import BATCH, BATCH_PATH, Answer, answers, batch
from pytest_ampls.arm.call import OPTION, Call, RefusalError
from pytest_ampls.arm.clock import Clock
from pytest_ampls.arm.operations import version_of
from pytest_ampls.arm.origin import Origin
from pytest_ampls.arm.pages import NotAPageError
from pytest_ampls.arm.refusals import retry_after
from pytest_ampls.arm.throttle import Ledger, Throttle
from pytest_ampls.model.evidence import GapKind

__all__ = ["Batches"]

_SHORTEST_HOLD: Final = 1.0
_SILENT: Final = frozenset({GapKind.NOT_READ, GapKind.UNAUTHENTICATED})
"""Reasons that every other call has as well, and tells."""


class Batches:
    """Sends batches, each of twenty reads at the most. Any thread may use it.

    ``pipeline`` is the one to ARM, at ``origin``; ``budget`` is how many seconds a batch may wait for throttling.
    """

    def __init__(
        self,
        pipeline: Pipeline[HttpRequest, HttpResponse],
        origin: Origin,
        throttle: Throttle,
        ledger: Ledger,
        clock: Clock,
        budget: float,
    ) -> None:
        self._pipeline = pipeline
        self._url = f"{origin}{BATCH_PATH}?api-version={version_of(BATCH)}"
        self._throttle = throttle
        self._ledger = ledger
        self._clock = clock
        self._budget = budget
        self._lock = Lock()
        self._refused = False

    def read(self, urls: Sequence[str]) -> list[bytes | None]:
        """Read some URLs, each a path with its query, and return the bodies in their order.

        A body is None where the answer is not exactly one, or not a plain 200. What that means is for the
        documented request to tell: nothing may rest on it.
        """
        named = {str(uuid.uuid4()): url for url in urls}
        try:
            found = self._answers(named)
        except RefusalError as refusal:
            self._refuse(refusal)
            return [None] * len(urls)
        return [self._body(url, found.get(name)) for name, url in named.items()]

    def _answers(self, named: dict[str, str]) -> dict[str, Answer]:
        subject = f"Asking for {len(named)} lists in one batch"
        reads = tuple(named.values())
        call = Call(
            BATCH,
            "/",
            single=False,
            patience=self._budget,
            subject=subject,
            reads=reads,
            unless=lambda: self._refused,
        )
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = HttpRequest("POST", self._url, headers=headers, content=batch(named))
        self._pipeline.run(request, **{OPTION: call})
        try:
            found = answers(call.body, named)
        except NotAPageError as error:
            raise RefusalError(
                call.gap(GapKind.MALFORMED, str(error), "Nothing of it is relied on"), what=str(error)
            ) from error
        self._ledger.batched(len(named))
        return found

    def _body(self, url: str, answer: Answer | None) -> bytes | None:
        """Return the body of a good answer, and believe what any answer says of throttling."""
        if answer is None:
            return None
        service, told = self._throttle.service(url), answer.told()
        service.observe(told)
        if answer.http_status_code == 429:
            self._ledger.answered(429)
            asked = retry_after(told, self._clock.time())
            service.bucket.hold(max(_SHORTEST_HOLD, asked or 0.0))
        return bytes(answer.content) if answer.http_status_code == 200 else None

    def _refuse(self, refusal: RefusalError) -> None:
        with self._lock:
            first, self._refused = not self._refused, True
        if first and refusal.gap.kind not in _SILENT:
            self._ledger.note(
                "ARM did not answer a batch of requests, so lists were asked for one by one: "
                f"{refusal.what.rstrip('.')}"
            )
