"""All readings of one resource type, decoded."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import is_
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from pytest_ampls.model.evidence import Gap, GapKind, Reading
from pytest_ampls.model.resource import Resource, key

if TYPE_CHECKING:
    from pytest_ampls.model.estate import Estate

__all__ = ["Table"]

R = TypeVar("R", bound=Resource)


class _Identified(msgspec.Struct):
    """What can be told of a document that does not parse."""

    id: str | None = None


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the garbage collector from looking again and again at objects that live as long as the run."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Table(Generic[R]):
    """All readings of one type, decoded: resources by id, and what is missing by scope."""

    def __init__(self, cls: type[R], readings: Iterable[Reading], estate: Estate) -> None:
        self.cls = cls
        self.resources: dict[str, R] = {}
        self.listings: dict[str, tuple[R, ...]] = {}
        self.covered: set[str] = set()
        self.gaps: dict[str, Gap] = {}
        self.defects: dict[str, Gap] = {}
        self.requests: dict[str, str] = {}
        self.indexed: set[str] = set()
        self._below: dict[str, tuple[R, ...]] | None = None
        self._decoder = msgspec.json.Decoder(cls)
        self._readings = tuple(readings)
        with _without_collector():
            for reading in self._readings:
                self._add(reading, estate)

    def _add(self, reading: Reading, estate: Estate) -> None:
        scope = key(reading.scope)
        self.requests.setdefault(scope, reading.request)
        if reading.gap is not None:
            self.gaps[scope] = reading.gap
            return
        decoded = []
        for document in reading.documents:
            resource = self._decode(document, reading, estate)
            if resource is not None:
                decoded.append(resource)
                self.resources.setdefault(resource.key, resource)
        self.covered.add(scope)
        if reading.source == "graph":
            self.indexed.add(scope)
        if not reading.single:
            self.listings[scope] = tuple(decoded)

    def _decode(self, document: msgspec.Raw, reading: Reading, estate: Estate) -> R | None:
        try:
            resource = self._decoder.decode(document)
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
            where = _id_of(document) or reading.scope
            gap = Gap(
                kind=GapKind.MALFORMED,
                message=f"{self.cls.NOUN} {where}: the document that {reading.request} returned cannot be "
                f"understood: {error}. Nothing about this resource is verified",
            )
            self.defects[key(where)] = gap
            return None
        resource.__dict__.update(
            _estate=estate,
            _document=document,
            _listed_by=reading.scope,
            _source=reading.source,
            _read_at=reading.read_at,
            key=key(resource.id),  # found by every lookup, and never computed again
        )
        return resource

    def children(self, parent: str) -> tuple[R, ...] | None:
        """Return what is below a resource (its key): from its own listing, or its subscription's.

        None where neither was read completely.
        """
        if parent in self.listings:
            return self.listings[parent]
        if "/".join(parent.split("/")[:3]) not in self.listings:
            return None
        if self._below is None:
            self._below = self._by_parent()
        return self._below.get(parent, ())

    def is_of(self, readings: Sequence[Reading]) -> bool:
        """Tell whether the table was made of these very readings."""
        return len(self._readings) == len(readings) and all(map(is_, self._readings, readings))

    def defect_below(self, parent: str) -> Gap | None:
        """Return why a resource (its key) or something below it was not understood, None where all was."""
        if not self.defects:
            return None  # as a rule; and this is asked several times for each machine
        found = (where for where in self.defects if where == parent or where.startswith(parent + "/"))
        return next((self.defects[where] for where in found), None)

    def is_indexed(self, parent: str) -> bool:
        """Tell whether what is below a resource (its key) comes from the index."""
        return parent not in self.listings and "/".join(parent.split("/")[:3]) in self.indexed

    def _by_parent(self) -> dict[str, tuple[R, ...]]:
        """Group what whole subscriptions list by what it is a child or an extension of."""
        found: dict[str, list[R]] = {}
        for scope, resources in self.listings.items():
            for resource in resources if scope.count("/") == 2 else ():
                found.setdefault(_parent_of(resource.key), []).append(resource)
        return {parent: tuple(resources) for parent, resources in found.items()}


def _parent_of(own: str) -> str:
    before, _, tail = own.rpartition("/providers/")
    return before if tail.count("/") == 2 else own.rsplit("/", 2)[0]


def _id_of(document: msgspec.Raw) -> str | None:
    try:
        return msgspec.json.decode(document, type=_Identified).id
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return None
