"""Whether virtual machines are switched on: each one's instance view, read from its provider.

The listings of virtual machines do not tell it, and the index tells it late.
Source: https://learn.microsoft.com/rest/api/compute/virtual-machines/instance-view and
https://learn.microsoft.com/azure/virtual-machines/states-billing (the codes).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.origin import printable
from pytest_ampls.arm.reader import Reader, Task
from pytest_ampls.model.evidence import Reading
from pytest_ampls.model.gap import Gap, GapKind
from pytest_ampls.model.power import PowerReading

__all__ = ["INSTANCE_VIEW", "MOST_MACHINES", "read_power"]

INSTANCE_VIEW: Final = "Microsoft.Compute/virtualMachines/instanceView"
MOST_MACHINES: Final = 200
"""So many machines are asked for at most, unless told otherwise: one call each."""

_PREFIX: Final = "powerstate/"
_CODE: Final = re.compile(f"{_PREFIX}([a-z]{{1,40}})")
_TODO: Final = "Run again; if it stays so, look at the machine's instance view in the portal"


class _View(msgspec.Struct):
    statuses: list[dict[str, Any]]


def read_power(
    client: ArmClient,
    machine_ids: Sequence[str],
    *,
    most: int = MOST_MACHINES,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[PowerReading, ...]:
    """Read the power states of virtual machines, side by side, and return one reading for each, in their order.

    What goes wrong with one machine is a gap of its reading, and does not concern the others.

    Args:
        client: an opened client.
        machine_ids: resource ids of virtual machines.
        most: how many are read, the first ones; the others have a gap that says so, and so has the run's summary.
        on_progress: gets a line of text now and then.
    """
    asked, left = machine_ids[:most], machine_ids[most:]
    if not asked:
        return ()
    with Reader(client, on_progress) as reader:
        tasks = [Task(INSTANCE_VIEW, f"{own.rstrip('/')}/instanceView", single=True) for own in asked]
        found = {reading.scope.lower(): reading for reading in reader.run("power states", tasks)}
    read = [_power(own, found[task.scope.lower()]) for own, task in zip(asked, tasks, strict=True)]
    if left:
        client.note(
            f"of {len(machine_ids)} virtual machines that show no life the power state of the first {most} was read: "
            "the others are judged as if they were on"
        )
    return (*read, *(_not_asked(own, most) for own in left))


def _not_asked(machine_id: str, most: int) -> PowerReading:
    what = f"its power state was not read: {most} machines that show no life were asked for, and no more"
    return PowerReading(machine=machine_id, gap=Gap(kind=GapKind.NOT_READ, message=what))


def _power(machine_id: str, reading: Reading) -> PowerReading:
    gap, state = reading.gap, ""
    if gap is None and not reading.documents:
        what = "HTTP 404, the machine does not exist any more. Run again"
        gap = Gap(kind=GapKind.ABSENT, message=f"{_asked(machine_id)}: {what}", status=404)
    elif gap is None:
        state = _state(reading.documents[0])
        if not state:
            what = f"the answer has not one PowerState among its statuses. {_TODO}"
            gap = Gap(kind=GapKind.MALFORMED, message=f"{_asked(machine_id)}: {what}", status=200)
    return PowerReading(machine=machine_id, state=state, read_at=reading.read_at, gap=gap)


def _asked(machine_id: str) -> str:
    return f"Reading {INSTANCE_VIEW} {printable(machine_id)}"


def _state(document: msgspec.Raw) -> str:
    """Return the state that an instance view tells, an empty text where it does not tell exactly one."""
    try:
        statuses = msgspec.json.decode(document, type=_View).statuses
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    codes = [code.lower() for code in (status.get("code") for status in statuses) if isinstance(code, str)]
    matches = [_CODE.fullmatch(code) for code in codes if code.startswith(_PREFIX)]
    states = {match[1] if match is not None else "" for match in matches}
    return states.pop() if len(states) == 1 else ""
