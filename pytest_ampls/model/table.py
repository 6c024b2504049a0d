"""All readings of one resource type, decoded."""

from __future__ import annotations

from collections.abc import Iterable
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
        self._decoder = msgspec.json.Decoder(cls)
        for reading in readings:
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
        if not reading.single:
            self.listings[scope] = tuple(decoded)

    def _decode(self, document: msgspec.Raw, reading: Reading, estate: Estate) -> R | None:
        try:
            resource = self._decoder.decode(document)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            where = _id_of(document) or reading.scope
            gap = Gap(
                kind=GapKind.MALFORMED,
                message=f"{self.cls.NOUN} {where}: the document that {reading.request} returned cannot be "
                f"understood: {error}. Nothing about this resource is verified",
            )
            self.defects[key(where)] = gap
            return None
        resource.__dict__.update(_estate=estate, _document=document, _listed_by=reading.scope)
        return resource


def _id_of(document: msgspec.Raw) -> str | None:
    try:
        return msgspec.json.decode(document, type=_Identified).id
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
