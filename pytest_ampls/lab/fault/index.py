"""Faults of the index: Resource Graph is behind the estate, or lost some of it, and does not say so.

ARM itself stays right, so no verdict may change.
Source: learn.microsoft.com, "Choosing between Azure Resource Graph and ARM": the index is updated
by notifications, as a rule within seconds, and now and then misses some until a full crawl.
"""

from __future__ import annotations

import copy
import hashlib
from typing import Any

from pytest_ampls.lab.fault.registry import Meddling, wire_fault
from pytest_ampls.lab.spec import LabError
from pytest_ampls.lab.store import Estate

__all__: list[str] = []

Row = dict[str, Any]

_MACHINES = "microsoft.compute/virtualmachines"
_INTERFACES = "microsoft.network/networkinterfaces"
_YOUNG = (f"{_MACHINES}/extensions", "microsoft.insights/datacollectionruleassociations", _INTERFACES)


def _of(rows: list[Row], kind: str) -> list[Row]:
    return sorted((row for row in rows if row["type"] == kind), key=lambda row: str(row["id"]))


def _ghost(row: Row) -> Row:
    """Return the row of a VM that is gone, which the index still has."""
    ghost = copy.deepcopy(row)
    ghost["id"], ghost["name"] = f"{row['id']}-gone", f"{row['name']}-gone"
    return ghost


@wire_fault("stale-graph", "the index is behind: it has a deleted VM, and lacks what was created last")
def stale_graph(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Leave out the last extension, association and interface, and add a VM that is gone."""

    def lag(rows: list[Row]) -> None:
        for kind in _YOUNG:
            for row in _of(rows, kind)[-1:]:
                rows.remove(row)
        rows += [_ghost(row) for row in _of(rows, _MACHINES)[:1]]

    meddling.lags.append(lag)


@wire_fault("partial-graph", "the index lost a part of its rows", argument="percent; 30 when left out")
def partial_graph(_estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Lose rows of every type, always the same ones."""
    if argument is not None and not (argument.isdigit() and int(argument) <= 100):
        raise LabError(f"lab: partial-graph={argument} is not a whole number up to 100")
    percent = int(argument or 30)

    def lag(rows: list[Row]) -> None:
        rows[:] = [row for row in rows if _lot(str(row["id"])) >= percent]

    meddling.lags.append(lag)


def _lot(own: str) -> int:
    """Draw a number below 100, always the same for an id."""
    return int.from_bytes(hashlib.sha1(own.lower().encode(), usedforsecurity=False).digest()[:4], "big") % 100
