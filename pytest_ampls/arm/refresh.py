"""Reads a part of an estate again: what somebody waits for, and nothing that was good already.

A read that failed is always tried again. Of what grows with the machines only the machines in
question are asked for; where they are many, or not known, all of it is read anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.confirm import MOST_MACHINES, confirm
from pytest_ampls.arm.discovery import Known
from pytest_ampls.arm.inventory import read_estate, read_rest
from pytest_ampls.arm.reader import Reader, Task
from pytest_ampls.arm.references import fold
from pytest_ampls.model.evidence import Reading, Subscription
from pytest_ampls.model.needs import Needs

__all__ = ["refresh"]

_BOUND: Final = frozenset(
    {
        "microsoft.compute/virtualmachines",
        "microsoft.compute/virtualmachines/extensions",
        "microsoft.compute/virtualmachinescalesets/virtualmachines",
        "microsoft.hybridcompute/machines",
        "microsoft.hybridcompute/machines/extensions",
        "microsoft.insights/datacollectionruleassociations",
        "microsoft.network/networkinterfaces",
    }
)
"""Types that are as many as the machines."""
_MACHINE: Final = re.compile(
    r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/"
    r"(?:microsoft\.compute/(?:virtualmachines|virtualmachinescalesets)|microsoft\.hybridcompute/machines)/[^/]+"
)


def refresh(
    client: ArmClient,
    subscriptions: Sequence[Subscription],
    before: Sequence[Reading],
    needs: Needs,
    *,
    discovery: str,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[Reading, ...]:
    """Read again what is needed, and return all readings: the fresh ones, and the others as they were.

    Args:
        client: an opened client.
        subscriptions: those of the first read.
        before: all readings so far.
        needs: what somebody waits for.
        discovery: as for :func:`~pytest_ampls.arm.inventory.read_estate`, which does it where everything
            has to be read again.
        on_progress: gets a line of text now and then.
    """
    known = Known(before)
    indexed = any(known.covers(kind) for kind in {reading.type for reading in before})
    bound = bool(needs.types & _BOUND)
    if bound and indexed and (needs.all_machines or len(needs.machines) > MOST_MACHINES):
        wanted = [own.id for own in subscriptions]
        return read_estate(client, wanted, discovery=discovery, on_progress=on_progress)[1]
    kept = tuple(reading for reading in before if not _is_stale(reading, needs))
    with Reader(client, on_progress) as reader:
        for reading in kept:
            reader.keep(reading)
        _read_in_place(reader, [reading for reading in before if _is_stale(reading, needs)], known)
        read_rest(reader, subscriptions, known)
        fresh = tuple(reader.readings)
    return confirm(client, fresh, needs.machines, on_progress=on_progress) if bound and indexed else fresh


def _read_in_place(reader: Reader, stale: Sequence[Reading], known: Known) -> None:
    """Read again what had taken the place of rows of the index: its listing, which is kept, lacks them."""
    placed = [
        Task(reading.type, reading.scope, single=reading.single)
        for reading in stale
        if reading.type.lower() in _BOUND
        and reading.scope.count("/") > 2
        and known.has(reading.type, reading.scope)
    ]
    fresh = reader.read("what was read by itself", [task for task in placed if task.single])
    gone = {fold(reading.scope) for reading in fresh if reading.gap is None and not reading.documents}
    below = [task for task in placed if not task.single and fold(task.scope) not in gone]
    reader.read("what belongs to machines again", below)


def _is_stale(reading: Reading, needs: Needs) -> bool:
    if reading.gap is not None:
        return True
    kind = reading.type.lower()
    if kind not in needs.types and not any(kind.startswith(f"{above}/") for above in needs.types):
        return False
    if kind not in _BOUND:
        return True
    if reading.source == "graph":
        return False  # of its rows only some are in question: those are confirmed
    machine = _MACHINE.match(fold(reading.scope))
    return machine is None or needs.all_machines or machine[0] in needs.machines
