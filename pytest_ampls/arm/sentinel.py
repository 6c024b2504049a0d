"""What the index says of one type in one subscription, and what ARM says of the same.

The index leaves out silently what the identity may not read, what has not arrived yet, and what it
lost. Two things tell: the provider's own listing (its first page, or that of one machine), which is
refused where the type may not be read; and ARM's list of all resources, which holds the ids of
everything that has a region.

Source: https://learn.microsoft.com/rest/api/resources/resources/list
"""

from __future__ import annotations

from typing import Final

import msgspec

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.graph import Rows
from pytest_ampls.arm.operations import RESOURCES
from pytest_ampls.arm.references import fold
from pytest_ampls.model.evidence import Gap, GapKind, Reading

__all__ = ["Found", "Listed", "id_of", "parent_of", "subscription_of", "type_of"]

_NOTHING: Final = Rows("", 0.0, ())


class _Identified(msgspec.Struct):
    id: str | None = None


def id_of(document: msgspec.Raw) -> str:
    """Return the folded id of a document, an empty text where it has none."""
    try:
        return fold(msgspec.json.decode(document, type=_Identified).id or "")
    except (msgspec.DecodeError, UnicodeDecodeError):  # ValidationError is a DecodeError
        return ""


def subscription_of(resource_id: str) -> str:
    """Return the folded scope of the subscription that an id lies in."""
    return "/".join(fold(resource_id).split("/")[:3])


def parent_of(resource_id: str) -> str:
    """Return the folded id of what a resource is a child or an extension of."""
    before, _, own = fold(resource_id).rpartition("/providers/")
    return before if own.count("/") == 2 else fold(resource_id).rsplit("/", 2)[0]


def type_of(resource_id: str) -> str:
    """Return the folded type that an id is of, an empty text where it is no id of a resource."""
    parts = fold(resource_id).rpartition("/providers/")[2].split("/")
    return "/".join((parts[0], *parts[1::2])) if len(parts) > 2 else ""


class Listed(msgspec.Struct, frozen=True):
    """What ARM's list of resources holds of one type in one subscription: folded ids.

    ``request`` and ``read_at`` are those of the list.
    """

    request: str
    read_at: float
    ids: frozenset[str]
    gap: Gap | None = None

    @classmethod
    def of(cls, reading: Reading, resource_type: str = "") -> Listed:
        """Return what a list holds, of one type where it is named."""
        folded = resource_type.lower()
        ids = (id_of(raw) for raw in reading.documents)
        kept = frozenset(own for own in ids if not folded or type_of(own) == folded)
        return cls(reading.request, reading.read_at, kept, reading.gap)


class Found:
    """One type in one subscription, from the index and from ARM.

    ``parent`` is the id of a machine whose own listing is looked at, for types below machines.
    ``first_pages`` are the listings of ARM's that had more pages. ``listed`` is what ARM's list of
    resources holds, None where it was not asked. ``is_asked`` tells whether the index was.
    """

    def __init__(self, parent: str = "") -> None:
        self.parent = parent
        self.first_pages: list[Reading] = []
        self.is_asked = False
        self.asked = _NOTHING
        self.documents: dict[str, msgspec.Raw] = {}
        self.probed: Reading | None = None
        self.listed: Listed | None = None

    @property
    def gap(self) -> Gap | None:
        """Why the index told nothing."""
        return self.asked.gap

    @property
    def is_known(self) -> bool:
        """Whether both the index and ARM's list answered."""
        return self.is_asked and self.gap is None and self.listed is not None and self.listed.gap is None

    def count(self, client: ArmClient, resource_type: str, scope: str) -> None:
        """Read the ids that ARM itself knows."""
        condition = f"resourceType eq '{resource_type}'"
        self.listed = Listed.of(client.list(RESOURCES, scope, condition=condition))

    def probe(self, client: ArmClient, resource_type: str) -> None:
        """Read the machine's own listing."""
        self.probed = client.list(resource_type, self.parent)

    def lacks_first_pages(self) -> bool:
        """Tell whether ARM's first pages hold a resource that the index does not."""
        listed = (id_of(raw) for reading in self.first_pages for raw in reading.documents)
        return any(own not in self.documents for own in listed)

    def is_uncounted(self) -> bool:
        """Tell whether there is no list of ids to compare with: it was refused, or lacks the type."""
        if self.listed is None or self.listed.gap is not None:
            return True
        return not self.listed.ids and bool(self.probed and self.probed.documents)

    def differing(self) -> frozenset[str]:
        """Return the folded ids that only one of the index and ARM's list has."""
        if self.listed is None or self.is_uncounted():
            return frozenset()
        return self.listed.ids ^ self.documents.keys()

    def is_empty(self) -> bool:
        """Tell whether neither the index nor ARM's list has any."""
        return not self.documents and self.listed is not None and not self.listed.ids

    def is_hidden(self) -> bool:
        """Tell whether the index shows nothing of what the machine that was looked at has."""
        return not self.documents and bool(self.probed and self.probed.documents)

    def is_refused(self) -> bool:
        """Tell whether the provider says that the type may not be read."""
        gap = self.probed.gap if self.probed is not None else None
        return gap is not None and gap.kind in (GapKind.DENIED, GapKind.UNAUTHENTICATED)

    def nothing(self, resource_type: str, scope: str) -> Reading:
        """Return ARM's list as the type's listing: there is none of it."""
        request, read_at = (self.listed.request, self.listed.read_at) if self.listed else ("", 0.0)
        return Reading(type=resource_type, scope=scope, request=request, read_at=read_at)

    def reading(self, resource_type: str, scope: str, parents: set[str] | None = None) -> Reading:
        """Return the index's rows as a listing of the subscription.

        With ``parents`` (folded ids) only what is below them.
        """
        documents = tuple(
            raw for own, raw in self.documents.items() if parents is None or parent_of(own) in parents
        )
        return Reading(
            type=resource_type,
            scope=scope,
            request=self.asked.request,
            read_at=self.asked.read_at,
            documents=documents,
            gap=self.gap,
            source="graph",
        )
