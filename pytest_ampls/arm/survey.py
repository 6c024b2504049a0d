"""The first look at all subscriptions, side by side: ARM's own lists, the index, and the roles.

ARM's list of resources is one for each subscription, whatever is in it, and twenty of them are asked for in
one call (:mod:`pytest_ampls.arm.listings`). It is fresh, it says when it is refused, and it holds the id of
everything that has a region. The index tells the rest in pages over
all subscriptions. Neither says whether an absent type is absent or may not be read; roles do.

Source: https://learn.microsoft.com/rest/api/resources/resources/list (several types in one filter)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.graph import SUBSCRIPTIONS_A_CALL, Rows
from pytest_ampls.arm.kinds import ARC, ASSOCIATIONS, BELOW, CONTAINERS, INDEXED, INTERFACES, VMS
from pytest_ampls.arm.listings import Listings, Wanted
from pytest_ampls.arm.operations import RESOURCES
from pytest_ampls.arm.projection import Projection, projection_of, projection_of_many
from pytest_ampls.arm.reader import Job, Reader
from pytest_ampls.arm.roles import Roles, read_roles
from pytest_ampls.arm.sentinel import Found, Listed, id_of, subscription_of, type_of
from pytest_ampls.model.evidence import Reading

__all__ = ["Place", "Survey", "questions"]

Place = tuple[str, str]
"""A type and the folded scope of a subscription."""

_SIDE_BY_SIDE: Final = 3
"""Lists that a subscription's resources are read in, where there are few subscriptions."""
_ALWAYS: Final = (VMS, BELOW[VMS], INTERFACES, ASSOCIATIONS)
"""Asked of the index before it is known whether there are any: nearly everywhere there are."""
_COUNTED: Final = (VMS, BELOW[VMS])
"""As many as the machines, in ARM's list."""


class Survey:
    """What was found of each type in each subscription, and what the identity is known to be allowed.

    ``found`` has an entry for each type that was asked for, ``scopes`` are folded. Without ``containers``
    only machines are asked for: of a single subscription each container's provider is asked anyway.
    """

    def __init__(
        self, client: ArmClient, reader: Reader, scopes: Sequence[str], *, containers: bool = True
    ) -> None:
        self.roles = Roles()
        self.found: dict[Place, Found] = {}
        self._client = client
        self._reader = reader
        self._scopes = scopes
        self._containers = containers

    def read(self) -> None:
        """Ask all of it at once."""
        kinds = (*CONTAINERS, *_ALWAYS, ARC, BELOW[ARC])
        self.found = {(kind, scope): Found() for scope in self._scopes for kind in kinds}
        lists = Listings(self._client, list(self._lists()))
        jobs: list[Job] = [*lists.jobs(), self._read_roles, *self._questions()]
        self._reader.follow("the list of resources, and the index", jobs)

    def _read_roles(self) -> None:
        self.roles = read_roles(self._client, [scope.rpartition("/")[2] for scope in self._scopes])

    # ------------------------------------------------------------ the index

    def _questions(self) -> Iterator[Callable[[], None]]:
        # Arc machines in a subscription of its own are listed like a container: many estates have none.
        for kind in (*_ALWAYS, ARC) if self._containers else _ALWAYS:
            yield from questions(self._client, self.found, projection_of(kind), (kind,), self._scopes)
        if self._containers:
            together = projection_of_many(CONTAINERS, whole=INDEXED)
            yield from questions(self._client, self.found, together, CONTAINERS, self._scopes)

    # ------------------------------------------------------------ ARM's list

    def _lists(self) -> Iterator[Wanted]:
        """Return one list for each subscription; of few subscriptions, long lists are lists of their own."""
        machines = (*_COUNTED, ARC, BELOW[ARC])
        groups: tuple[tuple[str, ...], ...] = tuple((kind,) for kind in _COUNTED)
        if len(self._scopes) * _SIDE_BY_SIDE > self._client.concurrency:
            groups = ((*CONTAINERS, *machines),)
        elif self._containers:
            groups = ((*CONTAINERS, ARC, BELOW[ARC]), *groups)
        for kinds in groups:
            condition = " or ".join(f"resourceType eq '{kind}'" for kind in kinds)
            for scope in self._scopes:
                yield Wanted(RESOURCES, scope, condition, partial(self._take, kinds))

    def _take(self, kinds: tuple[str, ...], reading: Reading) -> None:
        ids: dict[str, set[str]] = {}
        for raw in reading.documents:
            own = id_of(raw)
            ids.setdefault(type_of(own), set()).add(own)
        for kind in kinds:
            known = frozenset(ids.get(kind.lower(), ()))
            self.found[kind, reading.scope].listed = Listed(
                reading.request, reading.read_at, known, reading.gap
            )


def questions(
    client: ArmClient,
    found: dict[Place, Found],
    projection: Projection,
    kinds: tuple[str, ...],
    scopes: Sequence[str],
) -> Iterator[Callable[[], None]]:
    """Yield the questions that fill in what the index says of some types: one for 300 subscriptions."""
    for start in range(0, len(scopes), SUBSCRIPTIONS_A_CALL):
        yield partial(_ask, client, found, projection, kinds, scopes[start : start + SUBSCRIPTIONS_A_CALL])


def _ask(
    client: ArmClient,
    found: dict[Place, Found],
    projection: Projection,
    kinds: tuple[str, ...],
    scopes: Sequence[str],
) -> None:
    rows = client.query(projection, [scope.rpartition("/")[2] for scope in scopes])
    folded = {kind.lower(): kind for kind in kinds}
    for kind in kinds:
        for scope in scopes:
            found[kind, scope].is_asked = True
            found[kind, scope].asked = Rows(rows.request, rows.read_at, (), rows.gap)
    for raw in rows.documents if rows.gap is None else ():
        own = id_of(raw)
        kind = kinds[0] if len(kinds) == 1 else folded.get(type_of(own), "")
        place = found.get((kind, subscription_of(own)))
        if place is not None:
            place.documents[own] = raw
