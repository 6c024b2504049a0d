"""Which subscriptions make up an estate: those that are named, those of management groups, or all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from pytest_ampls.arm.operations import DESCENDANTS, SUBSCRIPTIONS
from pytest_ampls.arm.reader import Reader, Task
from pytest_ampls.arm.references import Document, decoded, fold
from pytest_ampls.model.evidence import Gap, GapKind, Reading, Subscription

__all__ = ["find_subscriptions", "management_group_id"]

_FEW: Final = 3
_GROUPS: Final = "/providers/Microsoft.Management/managementGroups/"


def management_group_id(name: str) -> str:
    """Return the id of a management group, from its name or its id."""
    bare = name.strip().rstrip("/").rpartition("/")[2]
    return f"{_GROUPS}{bare}"


def find_subscriptions(
    reader: Reader, wanted: Sequence[str], management_groups: Sequence[str]
) -> list[Subscription]:
    """Return the subscriptions to read; none named, and no management group, means all that can be seen.

    Args:
        reader: keeps a reading with a gap for whatever could not be told.
        wanted: bare GUIDs, or ``/subscriptions/<GUID>``.
        management_groups: names or ids; all subscriptions below them, at any depth.

    Each subscription is there once, those that are named first.
    """
    named = dict.fromkeys(fold(text).removeprefix("/subscriptions/") for text in wanted)
    if not named and not management_groups:
        return _visible(reader)
    found = {own.id: own for own in _named(reader, list(named))}
    for own in _below(reader, management_groups):
        found.setdefault(own.id, own)
    return list(found.values())


def _named(reader: Reader, ids: list[str]) -> Iterator[Subscription]:
    """Yield subscriptions that are named; of many, only those that no list shows are asked for one by one."""
    listed = _listed(reader.run("subscriptions", [Task(SUBSCRIPTIONS, "/")])) if len(ids) > _FEW else {}
    missing = [own for own in ids if own not in listed]
    tasks = [Task(SUBSCRIPTIONS, f"/subscriptions/{own}", single=True) for own in missing]
    single = dict(zip(missing, reader.run("subscriptions", tasks), strict=True))
    for own in ids:
        reading = single.get(own)
        document = listed.get(own)
        if reading is not None and reading.documents:
            document = decoded(SUBSCRIPTIONS, reading.documents[0])
        if reading is not None and document is None:
            reader.keep(_with_gap(reading, _absent(reading)))
        yield Subscription(id=own, name=document.text("displayName") if document else "")


def _listed(readings: Sequence[Reading]) -> dict[str, Document]:
    """Return the subscriptions of a list, by folded GUID; of one that broke off, those that had arrived."""
    found = (decoded(SUBSCRIPTIONS, raw) for reading in readings for raw in reading.documents)
    return {own.text("subscriptionId").lower(): own for own in found}


def _visible(reader: Reader) -> list[Subscription]:
    (reading,) = reader.run("subscriptions", [Task(SUBSCRIPTIONS, "/")])
    documents = [decoded(SUBSCRIPTIONS, raw) for raw in reading.documents]
    found = [
        Subscription(id=own.lower(), name=document.text("displayName"))
        for document in documents
        if (own := document.text("subscriptionId"))
    ]
    if reading.gap is not None or not found:
        what = "the identity sees no subscription at all"
        todo = "Name the subscriptions to judge, or give the identity the role Reader on them"
        gap = Gap(kind=GapKind.ABSENT, message=f"Listing the subscriptions: {what}. {todo}", status=200)
        reader.keep(_with_gap(reading, gap))
    return found


def _below(reader: Reader, management_groups: Sequence[str]) -> Iterator[Subscription]:
    """Yield the subscriptions below management groups.

    Source: https://learn.microsoft.com/rest/api/managementgroups/management-groups/get-descendants
    """
    tasks = [Task(DESCENDANTS, management_group_id(name)) for name in management_groups]
    for reading in reader.run("management groups", tasks):
        found = [decoded(DESCENDANTS, raw) for raw in reading.documents]
        below = [document for document in found if document.text("type").lower() == "/subscriptions"]
        if reading.gap is not None or not below:
            reader.keep(_with_gap(reading, _empty(reading)))
        for document in below:
            yield Subscription(id=document.name.lower(), name=document.text("properties.displayName"))


def _empty(reading: Reading) -> Gap:
    name = reading.scope.rpartition("/")[2]
    return Gap(
        kind=GapKind.ABSENT,
        message=f"Management group {name!r}: no subscription is below it, or none that this identity may see. Check "
        "its name (az account management-group list), and give the identity the role Reader on the group",
        status=200,
    )


def _absent(reading: Reading) -> Gap:
    return Gap(
        kind=GapKind.ABSENT,
        message=f"Reading the subscription {reading.scope}: HTTP 404, there is none. Check the id, and that "
        "tenant and cloud are the subscription's",
        status=404,
    )


def _with_gap(reading: Reading, gap: Gap) -> Reading:
    """Return a reading that has a gap, its own or this one, and no documents."""
    return msgspec.structs.replace(reading, documents=(), gap=reading.gap or gap)
