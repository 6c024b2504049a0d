"""Machines that do not run: deallocated for the night, shut down, or on their way (nothing is broken by that)."""

from __future__ import annotations

from pytest_ampls.lab.fault.pick import client
from pytest_ampls.lab.fault.registry import Meddling, power_fault
from pytest_ampls.lab.instance_view import STATES
from pytest_ampls.lab.spec import LabError
from pytest_ampls.lab.store import Estate

__all__: list[str] = []


@power_fault(
    "machine-off",
    "a machine is deallocated: it sends nothing, and takes no Run Command",
    excuses="313 520 521 522 523 524 525 526 527 601 602",
    argument="another power state; deallocated when left out",
)
def machine_off(estate: Estate, _meddling: Meddling, argument: str | None) -> None:
    """Switch a machine off; its documents stay as they are."""
    state = (argument or "deallocated").lower()
    if state not in STATES:
        raise LabError(f"lab: machine-off={argument} is no power state; there are {', '.join(STATES)}")
    estate.power[client(estate)["id"].lower()] = state
