"""Reads again, from the providers, what came from the index and a verdict is about to fail on.

Of machines only those concerned: the machine, its extensions, associations, instances and interfaces.
Networks, security groups, endpoints and zones, which any of them may rest on, are listed again, those of
the subscriptions concerned first.
Source: https://learn.microsoft.com/azure/governance/resource-graph/overview (freshness)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.inventory import children_of, follow_references
from pytest_ampls.arm.kinds import INDEXED
from pytest_ampls.arm.reader import Reader, Task
from pytest_ampls.arm.references import decoded, fold
from pytest_ampls.arm.sentinel import id_of, parent_of, subscription_of
from pytest_ampls.model.evidence import Reading

__all__ = ["MOST_LISTINGS", "MOST_MACHINES", "confirm"]

MOST_MACHINES: Final = 200
"""So many machines and interfaces are read again at most, unless told otherwise."""

MOST_LISTINGS: Final = 1000
"""So many listings of networks, security groups, endpoints and zones are read again at most."""

_ASSOCIATIONS: Final = "Microsoft.Insights/dataCollectionRuleAssociations"
_VMS: Final = "Microsoft.Compute/virtualMachines"
_ARC: Final = "Microsoft.HybridCompute/machines"
_SCALE_SETS: Final = "Microsoft.Compute/virtualMachineScaleSets"
_INTERFACES: Final = "Microsoft.Network/networkInterfaces"

_BELOW: Final = {
    _VMS: (f"{_VMS}/extensions", _ASSOCIATIONS),
    _ARC: (f"{_ARC}/extensions", _ASSOCIATIONS),
    _SCALE_SETS: (f"{_SCALE_SETS}/virtualMachines", _ASSOCIATIONS),
    _INTERFACES: (),
}
_CHILDREN: Final = frozenset(child for children in _BELOW.values() for child in children)
_KINDS: Final = {kind.lower(): kind for kind in _BELOW}
_OWNER: Final = re.compile(r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/([^/]+/[^/]+)/[^/]+")

Machines = dict[str, str]
"""Folded id to type, of machines and interfaces that are read again."""


def confirm(
    client: ArmClient,
    readings: Iterable[Reading],
    suspicious_ids: Iterable[str],
    *,
    most: int = MOST_MACHINES,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[Reading, ...]:
    """Read what came from the index again, of the machines that some ids belong to, and around them.

    Args:
        client: an opened client.
        readings: all readings so far.
        suspicious_ids: of anything that a verdict fails on, in upper or lower case. A machine, an interface
            and what is below a machine are read again themselves; with any id at all, so are the
            networks, security groups, endpoints and zones. What did not come from the index is left as
            it is.
        most: how many machines and interfaces are read again, the first ones; the others stay as
            the index has them, which ``Estate.source`` tells.
        on_progress: gets a line of text per stage.

    Returns:
        The readings with the providers' documents in the place of the index's. A machine that no
        longer exists is in none of them. Where the provider refuses, there is its gap.
    """
    before = tuple(readings)
    indexed = {
        (reading.type, fold(reading.scope))
        for reading in before
        if reading.source == "graph" and reading.gap is None
    }
    suspicious = list(suspicious_ids)
    machines = dict(list(_owners(suspicious, indexed).items())[: max(0, most)])
    listings = _listings(before, suspicious) if most > 0 else []
    if not machines and not listings:
        return before
    again = {(task.type, fold(task.scope)) for task in listings}
    with Reader(client, on_progress) as reader:
        for reading in before:
            if (reading.type, fold(reading.scope)) not in again:
                reader.note(reading)
        _read_machines(reader, before, indexed, machines)
        _read_listings(reader, listings)
        follow_references(reader, list(reader.all_documents()))
        kept = (own for own in before if (own.type, fold(own.scope)) not in again)
        return (*_without(kept, reader, machines), *reader.readings)


def _listings(before: Iterable[Reading], suspicious: Iterable[str]) -> list[Task]:
    """Return the listings of containers that came from the index, those of subscriptions concerned first."""
    concerned = {subscription_of(own) for own in suspicious}
    if not concerned:
        return []
    tasks = [
        Task(reading.type, reading.scope)
        for reading in before
        if reading.type in INDEXED and reading.source == "graph" and reading.gap is None
    ]
    return sorted(tasks, key=lambda task: fold(task.scope) not in concerned)[:MOST_LISTINGS]


def _read_listings(reader: Reader, listings: list[Task]) -> None:
    """Read containers, and what is below those that were not there before."""
    fresh = reader.read("networks again", listings)
    documents = [decoded(reading.type, raw) for reading in fresh for raw in reading.documents]
    # An endpoint that was read by itself, or a zone, has been asked for what is below it: that is not repeated.
    reader.read(
        "what is below them", [Task(child, own.id) for own in documents for child in children_of(own)]
    )


def _owners(suspicious_ids: Iterable[str], indexed: set[tuple[str, str]]) -> Machines:
    """Return the machines that ids belong to, where the index tells anything about them."""
    found: Machines = {}
    for own in suspicious_ids:
        match = _OWNER.match(fold(own))
        kind = _KINDS.get(match[1]) if match else None
        if match is None or kind is None:
            continue
        scope = subscription_of(own)
        if any((each, scope) in indexed for each in (kind, *_BELOW[kind], _INTERFACES)):
            found.setdefault(match[0], kind)
    return found


def _read_machines(
    reader: Reader, before: tuple[Reading, ...], indexed: set[tuple[str, str]], machines: Machines
) -> None:
    """Read machines, then what is below those that exist and the interfaces that they name."""
    tasks = [
        Task(kind, own, single=True)
        for own, kind in machines.items()
        if (kind, subscription_of(own)) in indexed
    ]
    fresh = reader.read("machines again", tasks)
    gone = {fold(reading.scope) for reading in fresh if reading.gap is None and not reading.documents}
    below = [
        Task(child, own)
        for own, kind in machines.items()
        if own not in gone
        for child in _BELOW[kind]
        if (child, subscription_of(own)) in indexed
    ]
    named = {**reader.interfaces, **dict(_interfaces(before, machines))}
    interfaces = [
        Task(_INTERFACES, own, single=True)
        for folded, own in named.items()
        if (_INTERFACES, subscription_of(folded)) in indexed
    ]
    reader.read("what belongs to machines again", [*below, *interfaces])


def _interfaces(before: tuple[Reading, ...], machines: Machines) -> Iterator[tuple[str, str]]:
    """Return folded id and id of the interfaces of machines that ARM itself listed."""
    for reading in before:
        if reading.type != _VMS or reading.source == "graph":
            continue
        for raw in reading.documents:
            if id_of(raw) in machines:
                yield from ((fold(own), own) for own in decoded(_VMS, raw).interfaces())


def _without(before: Iterable[Reading], reader: Reader, machines: Machines) -> Iterator[Reading]:
    """Return the readings of before, without the index's documents that were read again."""
    singles = {fold(reading.scope) for reading in reader.readings if reading.single}
    for reading in before:
        if reading.source != "graph" or reading.gap is not None:
            yield reading
            continue
        if reading.type in _CHILDREN:
            kept = tuple(raw for raw in reading.documents if parent_of(id_of(raw)) not in machines)
        else:
            kept = tuple(raw for raw in reading.documents if id_of(raw) not in singles)
        yield msgspec.structs.replace(reading, documents=kept)
