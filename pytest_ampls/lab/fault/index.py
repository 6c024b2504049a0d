"""Faults of the index: Resource Graph is behind the estate, or lost some of it, and does not say so.

ARM itself stays right, so no verdict may change.
Source: learn.microsoft.com, "Choosing between Azure Resource Graph and ARM": the index is updated
by notifications, as a rule within seconds, and now and then misses some until a full crawl.
"""

from __future__ import annotations

import copy
import hashlib
from typing import Any

from pytest_ampls.lab.fault.registry import Answer, Meddling, wire_fault
from pytest_ampls.lab.messages import Request, Response
from pytest_ampls.lab.roles import ASSIGNMENT, OWN, READER, assignment_row, definition_row
from pytest_ampls.lab.spec import LabError
from pytest_ampls.lab.store import Estate, guid
from pytest_ampls.lab.targets import authorization_failed

__all__: list[str] = []

Row = dict[str, Any]

_MACHINES = "microsoft.compute/virtualmachines"
_INTERFACES = "microsoft.network/networkinterfaces"
_KEPT = ("microsoft.authorization/", "microsoft.resources/")
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
    """Lose rows of every type of resource, always the same ones; roles and subscriptions stay."""
    if argument is not None and not (argument.isdigit() and int(argument) <= 100):
        raise LabError(f"lab: partial-graph={argument} is not a whole number up to 100")
    percent = int(argument or 30)

    def lag(rows: list[Row]) -> None:
        rows[:] = [row for row in rows if row["type"].startswith(_KEPT) or _lot(str(row["id"])) >= percent]

    meddling.lags.append(lag)


def _lot(own: str) -> int:
    """Draw a number below 100, always the same for an id."""
    return int.from_bytes(hashlib.sha1(own.lower().encode(), usedforsecurity=False).digest()[:4], "big") % 100


@wire_fault("no-roles", "the index tells nobody's roles")
def no_roles(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Answer 403 to queries of role assignments and definitions."""

    def wrapper(request: Request, answer: Answer) -> Response:
        if b"authorizationresources" in request.body.lower():
            return authorization_failed("Microsoft.Authorization/roleAssignments/read", request.path, OWN)
        return answer(request)

    meddling.wrappers.append(wrapper)


@wire_fault("group-roles", "the principal has its role by a group, and no assignment of its own")
def group_roles(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Let the assignments be a group's: the index does not tell who is in it."""

    def lag(rows: list[Row]) -> None:
        for row in rows:
            if row["type"] == ASSIGNMENT and row["properties"]["principalId"] == OWN:
                row["properties"] |= {"principalId": guid("group"), "principalType": "Group"}

    meddling.lags.append(lag)


@wire_fault("lying-roles", "the index still has a role that reads everything, and was taken away")
def lying_roles(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Add an assignment of Reader at the root, whatever the providers say."""

    def lag(rows: list[Row]) -> None:
        if any(row["type"] == ASSIGNMENT for row in rows):
            rows += [assignment_row("/", READER, OWN)]
            rows += [] if any(row["name"] == READER for row in rows) else [definition_row(READER, "Reader")]

    meddling.lags.append(lag)
