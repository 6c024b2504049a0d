"""One read on its way: what is asked, what came back so far, and how it may fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from pytest_ampls.model.evidence import Gap, GapKind

__all__ = ["OPTION", "Call", "RefusalError", "Retry", "Trouble"]

OPTION: Final = "ampls_call"
"""The pipeline option and context key under which a request carries its :class:`Call`."""


@dataclass
class Call:
    """A listing with all its pages, or a GET of one resource.

    ``patience`` is how many seconds of waiting are left; it is shared by all pages. ``url`` is
    the first page's. ``body`` and ``headers`` are those of the last page that arrived.
    ``subject`` is what is asked for where type and scope do not say it well. ``accepts`` tells that a 202 is an
    answer too; ``status`` is that of the last answer. ``reads`` are the paths that a batch asks for: each counts
    as a read of its subscription. ``unless`` is there where the same can be asked in another way, which is better than
    to ask again, unless it was throttled; it tells whether not to ask at all any more.
    """

    type: str
    scope: str
    single: bool
    patience: float
    budget: float = field(init=False)
    subject: str = ""
    accepts: bool = False
    reads: tuple[str, ...] = ()
    unless: Callable[[], bool] | None = None
    status: int = 0
    url: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    waits: int = 0
    waited: float = 0.0

    def __post_init__(self) -> None:
        self.budget = self.patience

    @property
    def asked(self) -> str:
        """What was asked, as a message begins."""
        if self.subject:
            return self.subject
        return f"Reading {self.type} {self.scope}" if self.single else f"Listing {self.type} in {self.scope}"

    def wait(self, seconds: float) -> None:
        """Take some waiting out of the budget."""
        self.patience -= seconds
        self.waits += 1
        self.waited += seconds

    def gap(
        self, kind: GapKind, what: str, todo: str, *, status: int | None = None, permission: str | None = None
    ) -> Gap:
        """Return a gap with a whole message: what was asked, what came back, what to do."""
        message = f"{self.asked}: {what.rstrip('.')}. {todo}"
        return Gap(kind=kind, message=message, status=status, permission=permission)


class RefusalError(Exception):
    """A read that ends here; ``gap`` says why.

    It passes through the SDK's operations untouched, because it is none of azure-core's errors.
    ``code`` is ARM's error code, where the answer had one; ``what`` is what went wrong, without what to do about it.
    """

    def __init__(self, gap: Gap, code: str = "", what: str = "") -> None:
        super().__init__(gap.message)
        self.gap = gap
        self.code = code
        self.what = what or gap.message


class Retry(Enum):
    """Whether asking again may help, and how long to keep on."""

    NEVER = 0
    ONCE = 1
    BRIEFLY = 3
    WITHIN_BUDGET = 40


@dataclass(frozen=True)
class Trouble:
    """One attempt that failed, before it is decided whether to try again.

    ``retry_after`` is what the service asked for, in seconds. ``answered`` tells an answer
    that says no from no answer.
    """

    kind: GapKind
    what: str
    todo: str
    retry: Retry = Retry.NEVER
    retry_after: float | None = None
    status: int | None = None
    code: str = ""
    permission: str | None = None
    answered: bool = True
