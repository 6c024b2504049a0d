"""Many listings by few calls: pages in batches, and whatever is odd in the documented way.

A listing that a batch answers in full is the same as one that was asked for by itself: same pages, same checks,
same request to look at. Anything else about it, whatever it is, makes it be asked for by itself, from its start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Final, NamedTuple

from pytest_ampls.arm.batch import MOST
from pytest_ampls.arm.call import Call, RefusalError
from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.pages import Pages
from pytest_ampls.arm.reader import Job
from pytest_ampls.arm.sentinel import id_of, subscription_of
from pytest_ampls.model.evidence import Reading

__all__ = ["Listings", "Wanted"]

_FEW: Final = 4
"""So many listings are asked for one by one: a batch would spare too little."""


class Wanted(NamedTuple):
    """A listing: its type, its scope ``/subscriptions/<id>``, its ``$filter``, and who takes what comes of it."""

    type: str
    scope: str
    condition: str
    take: Callable[[Reading], None]


class _Open:
    """A listing of which there are more pages; ``path`` is the next one's."""

    def __init__(self, client: ArmClient, wanted: Wanted) -> None:
        self.wanted = wanted
        self.url = client.url(wanted.type, wanted.scope, wanted.condition)
        self.path = client.relative(self.url)
        self._client = client
        self._read_at = client.now()
        call = Call(wanted.type, wanted.scope, single=False, patience=0.0)
        self._pages = Pages(call)

    def reading(self) -> Reading:
        """Return the whole listing."""
        documents = tuple(self._pages.documents)
        wanted = self.wanted
        return Reading(
            type=wanted.type,
            scope=wanted.scope,
            request=self.url,
            read_at=self._read_at,
            documents=documents,
        )

    def take(self, body: bytes) -> bool:
        """Take a page, and tell whether another one follows.

        Raises:
            RefusalError: the page is none, is of something else, or leads elsewhere.
        """
        before = len(self._pages.documents)
        self._client.tell(self.wanted.type, self._pages.take(body))
        new = self._pages.documents[before:]
        own = self.wanted.scope.lower()
        if any(subscription_of(id_of(raw)) != own for raw in new):
            raise self._pages.refusal("a row is of another subscription")
        if not self._pages.has_more:
            self._pages.finish()
            return False
        self.path = self._client.relative(self._pages.follow())
        if not self.path.lower().startswith(f"{own}/"):
            raise self._pages.refusal("the next page is elsewhere")
        return True


class Listings:
    """Asks for listings side by side, twenty pages in one call, and hands each to who takes it.

    What is left of a listing waits for others, until there are twenty pages to ask for, or nothing is under way.
    """

    def __init__(self, client: ArmClient, wanted: Sequence[Wanted]) -> None:
        self._client = client
        self._wanted = wanted
        self._lock = Lock()
        self._waiting: list[_Open] = []
        self._under_way = 0

    def jobs(self) -> list[Job]:
        """Return what is to be carried out; each may return more."""
        if len(self._wanted) <= _FEW:
            return [partial(self._list, wanted) for wanted in self._wanted]
        groups = [self._wanted[start : start + MOST] for start in range(0, len(self._wanted), MOST)]
        self._under_way = len(groups)
        return [partial(self._begin, group) for group in groups]

    def _list(self, wanted: Wanted) -> None:
        wanted.take(self._client.list(wanted.type, wanted.scope, condition=wanted.condition))

    def _begin(self, group: Sequence[Wanted]) -> list[Job]:
        return self._read([_Open(self._client, wanted) for wanted in group])

    def _read(self, pages: Sequence[_Open]) -> list[Job]:
        """Ask for a page of each of these listings, and return what is to be asked for next."""
        bodies = self._client.batches.read([listing.path for listing in pages])
        more: list[_Open] = []
        jobs: list[Job] = []
        for listing, body in zip(pages, bodies, strict=True):
            try:
                follows = body is not None and listing.take(body)
            except RefusalError:
                body = None
            if body is None:
                jobs.append(partial(self._list, listing.wanted))
            elif follows:
                more.append(listing)
            else:
                listing.wanted.take(listing.reading())
        return [*jobs, *self._next(more)]

    def _next(self, more: Sequence[_Open]) -> list[Job]:
        """Return as many full batches as there are; a smaller one only where no other may still fill it."""
        jobs: list[Job] = []
        with self._lock:
            self._under_way -= 1
            self._waiting += more
            while len(self._waiting) >= MOST or (self._waiting and not self._under_way):
                group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                self._under_way += 1
                jobs.append(partial(self._read, group))
        return jobs
