"""Resource Graph's answers: pages of rows, taken only where none was lost.

The index leaves out silently what the identity may not read and what has not arrived yet, so
its rows are never proof of absence; :mod:`pytest_ampls.arm.discovery` compares them with ARM's
own listings. What an answer itself admits is held here: truncation, limits, missing rows.
Source: https://learn.microsoft.com/azure/governance/resource-graph/concepts/work-with-data
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pytest_ampls.arm.call import Call, RefusalError
from pytest_ampls.arm.origin import printable
from pytest_ampls.arm.projection import Projection
from pytest_ampls.arm.redaction import redacted
from pytest_ampls.model.evidence import Gap, GapKind

__all__ = ["ROWS_A_PAGE", "SUBSCRIPTIONS_A_CALL", "Answers", "Rows"]

ROWS_A_PAGE: Final = 1000
SUBSCRIPTIONS_A_CALL: Final = 300

_LIMIT_HIT: Final = "x-ms-tenant-subscription-limit-hit"
_TODO: Final = "Nothing of this is relied on: run again, or read with --ampls-discovery=arm"


class _Page(msgspec.Struct):
    """A page of rows. The flag of truncation is a string on the wire, whatever the reference says."""

    data: list[dict[str, msgspec.Raw]]
    total: int | None = msgspec.field(name="totalRecords", default=None)
    truncated: str | bool | None = msgspec.field(name="resultTruncated", default=None)
    skip_token: str | None = msgspec.field(name="$skipToken", default=None)


class Rows(msgspec.Struct, frozen=True):
    """What a query gave: documents in the shape of ARM's, from all subscriptions that were asked for.

    ``request`` is the URL, ``read_at`` seconds since the epoch. Where there is a gap, nothing may
    rest on the documents.
    """

    request: str
    read_at: float
    documents: tuple[msgspec.Raw, ...]
    gap: Gap | None = None


class Answers:
    """The pages of one query as they arrive. ``skip_token`` leads to the next one."""

    def __init__(self, call: Call, projection: Projection) -> None:
        self.documents: list[msgspec.Raw] = []
        self.complete = False
        self.skip_token: str | None = None
        self._call = call
        self._projection = projection
        self._ids: set[bytes] = set()
        self._tokens: set[str] = set()

    def take(self) -> None:
        """Take the page that arrived.

        Raises:
            RefusalError: it cannot be understood, or rows were lost.
        """
        page = self._page()
        new = [row for row in page.data if self._is_new(row)]
        try:
            self.documents += redacted(self._projection.document(row) for row in new)
        except KeyError:
            raise self._refusal("a row has no id") from None
        self._check(page)
        self.skip_token = page.skip_token or None
        self.complete = self.skip_token is None
        if self.skip_token is not None:
            self._tokens.add(self.skip_token)

    def _page(self) -> _Page:
        try:
            return msgspec.json.decode(self._call.body, type=_Page)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:  # ValidationError is a DecodeError
            raise self._refusal(f"the answer is not a page of rows: {printable(str(error))}") from error

    def _is_new(self, row: dict[str, msgspec.Raw]) -> bool:
        """Tell whether a row did not come before: pages overlap where the index changes meanwhile."""
        own = bytes(row.get("id", b"")).lower()
        before = len(self._ids)
        self._ids.add(own)
        return len(self._ids) > before

    def _check(self, page: _Page) -> None:
        """Make sure that no row was lost so far.

        Raises:
            RefusalError: some were.
        """
        limited = self._call.headers.get(_LIMIT_HIT) or ""
        truncated: Any = page.truncated
        if limited.strip().lower() == "true":
            raise self._refusal("rows were lost, as there are too many subscriptions in the tenant")
        if page.skip_token:
            if page.skip_token in self._tokens:
                raise self._refusal("the pages lead in a circle")
        elif str(truncated).lower() == "true":
            raise self._refusal("rows were lost: the answer was truncated, and no page follows")
        elif page.total is not None and len(self._ids) < page.total:
            raise self._refusal(f"rows were lost: {len(self._ids)} of {page.total} arrived")

    def _refusal(self, what: str) -> RefusalError:
        return RefusalError(self._call.gap(GapKind.MALFORMED, what, _TODO, status=200))
