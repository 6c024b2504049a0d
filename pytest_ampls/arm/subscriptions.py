"""Which subscriptions make up an estate: those that are named, those of management groups, or all.

A disabled subscription can be read, and its machines are deallocated; of a deleted one nothing is left to read.
Nobody means those who does not name them, so they are left out there, which is told, never passed over. One that
is named is judged as it is, and where it is deleted that is a gap. The other states (``Warned``, ``PastDue``, or one
that is not known yet) are no reason to leave anything out.
Source: https://learn.microsoft.com/azure/cost-management-billing/manage/subscription-states
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from pytest_ampls.arm.operations import DESCENDANTS, SUBSCRIPTIONS
from pytest_ampls.arm.reader import Reader, Task
from pytest_ampls.arm.references import Document, decoded, fold
from pytest_ampls.model.evidence import Gap, GapKind, Reading, Subscription

__all__ = ["find_subscriptions", "management_group_id"]

_FEW: Final = 3
_DELETED: Final = "deleted"
_NOT_IN_USE: Final = frozenset({"disabled", _DELETED})

LeftOut = Callable[[Subscription], None]
_GROUPS: Final = "/providers/Microsoft.Management/managementGroups/"


def management_group_id(name: str) -> str:
    """Return the id of a management group, from its name or its id."""
    bare = name.strip().rstrip("/").rpartition("/")[2]
    return f"{_GROUPS}{bare}"


def find_subscriptions(
    reader: Reader,
    wanted: Sequence[str],
    management_groups: Sequence[str],
    on_left_out: LeftOut | None = None,
) -> list[Subscription]:
    """Return the subscriptions to read; none named, and no management group, means all that can be seen.

    Args:
        reader: keeps a reading with a gap for whatever could not be told.
        wanted: bare GUIDs, or ``/subscriptions/<GUID>``.
        management_groups: names or ids; all subscriptions below them, at any depth.
        on_left_out: gets each subscription that is not named, and not in use.

    Each subscription is there once, those that are named first.
    """
    named = dict.fromkeys(fold(text).removeprefix("/subscriptions/") for text in wanted)
    if not named and not management_groups:
        return list(_in_use(_visible(reader), on_left_out))
    found = {own.id: own for own in _named(reader, list(named))}
    below = [own for own in _below(reader, management_groups, found) if own.id not in found]
    for own in _in_use(below, on_left_out):
        found.setdefault(own.id, own)
    return list(found.values())


def _in_use(found: Iterable[Subscription], on_left_out: LeftOut | None) -> Iterator[Subscription]:
    for own in {own.id: own for own in found}.values():
        if own.state.lower() not in _NOT_IN_USE:
            yield own
        elif on_left_out is not None:
            on_left_out(own)


def _named(reader: Reader, ids: list[str]) -> Iterator[Subscription]:
    """Yield subscriptions that are named; of many, only those that no list shows are asked for one by one."""
    if not ids:
        return
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
        subscription = _subscription(own, document)
        if subscription.state.lower() == _DELETED:
            reader.keep(_deleted(subscription))
        yield subscription


def _subscription(own: str, document: Document | None) -> Subscription:
    if document is None:
        return Subscription(id=own)
    return Subscription(id=own, name=document.text("displayName"), state=document.text("state"))


def _deleted(subscription: Subscription) -> Reading:
    """Return the reading that says that of a subscription nothing can be read any more."""
    scope = f"/subscriptions/{subscription.id}"
    gap = Gap(
        kind=GapKind.ABSENT,
        message=f"Subscription {subscription.name!r} ({subscription.id}) is deleted, and nothing of it can be read. "
        "Leave it out, or restore it",
    )
    return Reading(type=SUBSCRIPTIONS, scope=scope, request=scope, read_at=time.time(), gap=gap, single=True)


def _listed(readings: Sequence[Reading]) -> dict[str, Document]:
    """Return the subscriptions of a list, by folded GUID; of one that broke off, those that had arrived."""
    found = (decoded(SUBSCRIPTIONS, raw) for reading in readings for raw in reading.documents)
    return {own.text("subscriptionId").lower(): own for own in found}


def _visible(reader: Reader) -> list[Subscription]:
    (reading,) = reader.run("subscriptions", [Task(SUBSCRIPTIONS, "/")])
    documents = [decoded(SUBSCRIPTIONS, raw) for raw in reading.documents]
    found = [
        _subscription(own.lower(), document)
        for document in documents
        if (own := document.text("subscriptionId"))
    ]
    if reading.gap is not None or not any(_in_use(found, None)):
        what = (
            f"all {len(found)} that the identity sees are disabled or deleted"
            if found
            else "the identity sees no subscription at all"
        )
        todo = "Name the subscriptions to judge, or give the identity the role Reader on them"
        gap = Gap(kind=GapKind.ABSENT, message=f"Listing the subscriptions: {what}. {todo}", status=200)
        reader.keep(_with_gap(reading, gap))
    return found


def _below(reader: Reader, management_groups: Sequence[str], named: Container[str]) -> Iterator[Subscription]:
    """Yield the subscriptions below management groups, in the state that the list of all tells of them.

    A group of which none is judged is a gap; those that are ``named`` are judged whatever their state.

    Source: https://learn.microsoft.com/rest/api/managementgroups/management-groups/get-descendants
    """
    if not management_groups:
        return
    tasks = [Task(DESCENDANTS, management_group_id(name)) for name in management_groups]
    *groups, every = reader.run("management groups", [*tasks, Task(SUBSCRIPTIONS, "/")])
    listed = _listed([every])
    for reading in groups:
        documents = [decoded(DESCENDANTS, raw) for raw in reading.documents]
        below = [
            Subscription(
                id=document.name.lower(),
                name=document.text("properties.displayName"),
                state=listed[document.name.lower()].text("state") if document.name.lower() in listed else "",
            )
            for document in documents
            if document.text("type").lower() == "/subscriptions"
        ]
        judged = any(own.id in named for own in below) or any(_in_use(below, None))
        if reading.gap is not None or not judged:
            reader.keep(_with_gap(reading, _empty(reading, len(below))))
        yield from below


def _empty(reading: Reading, below: int) -> Gap:
    name = reading.scope.rpartition("/")[2]
    message = (
        f"all {below} subscriptions below it are disabled or deleted. Name a disabled one to judge it"
        if below
        else "no subscription is below it, or none that this identity may see. Check its name (az account "
        "management-group list), and give the identity the role Reader on the group"
    )
    return Gap(kind=GapKind.ABSENT, message=f"Management group {name!r}: {message}", status=200)


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
