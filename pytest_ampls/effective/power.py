"""What is said of machines that show no life: switched off, on their way, running all the same, or not known.

A machine that was seen switched off need not answer for anything. Whatever else is known of its state, or is not,
changes no verdict, and is only said beside it.
"""

from __future__ import annotations

from typing import Final

from pytest_ampls.catalogue import NotApplicable
from pytest_ampls.effective.guest_points import machines_of
from pytest_ampls.errors import ConfigurationError, NotReadError
from pytest_ampls.model.compute import ArcMachine
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.vantage import Resolver

__all__ = ["POWER_READ", "said_of_power", "switched_off", "switched_off_apart", "why_nobody_asks"]

_ARC_RUNS: Final = "connected"
POWER_READ: Final = "Microsoft.Compute/virtualMachines/instanceView/read"
"""The action that tells machines which are off from machines which are silent; without it both are judged alike."""


def switched_off(machine: Machine) -> str:
    """Return that a machine was seen switched off, and when, as a phrase; an empty text where it was not."""
    reading = machine.estate.power.of(machine)
    return (
        f"{machine.NOUN} {machine.label!r} is {reading.phrase}"
        if reading is not None and reading.is_off
        else ""
    )


def switched_off_apart(machine: Machine, what: str) -> None:
    """Let a machine pass that was not seen switched off; ``what`` says what that keeps from being judged.

    Raises:
        NotApplicable: it was seen deallocated or stopped.
        NotReadError: it was seen starting, stopping or being deallocated: in a moment it will be one or the other.
    """
    off = switched_off(machine)
    if off:
        raise NotApplicable(f"{off}: {what}")
    reading = machine.estate.power.of(machine)
    if reading is not None and reading.is_changing:
        raise NotReadError(
            f"{machine.NOUN} {machine.label!r} is {reading.phrase}, and shows no life: run again, or give --ampls-wait"
        )


def said_of_power(machine: Machine) -> str:
    """Return what is known of a machine that should have shown life, for the end of a message; mostly nothing is."""
    if isinstance(machine, ArcMachine):
        # It says that the Connected Machine agent is not heard: off, or cut off. So it excuses nothing.
        # Source: https://learn.microsoft.com/azure/azure-arc/servers/overview#agent-status
        status = machine.properties.status or _ARC_RUNS
        return (
            ""
            if status.lower() == _ARC_RUNS
            else f"; Azure Arc calls the machine {status}: it is off, or cut off"
        )
    reading = machine.estate.power.of(machine)
    if reading is None:
        return ""
    if reading.gap is not None:
        return f"; whether the machine is switched on is not known: {reading.gap.message}"
    return f"; the machine is {reading.phrase}"


def why_nobody_asks(resolver: Resolver) -> str:
    """Return why a vantage point that is a machine answers nothing: it was seen switched off. Else an empty text."""
    estate, point = resolver.estate, resolver.vantage_point
    if not point.guest or estate.power.is_empty:
        return ""
    try:
        machines = machines_of(estate, (point,)).values()
    except ConfigurationError:  # it is not known any more which machine that is
        return ""
    for machine in machines:
        guest, off = estate.observations.guest(machine), switched_off(machine)
        if off and (guest is None or guest.gap is not None):
            return f"vantage point {resolver.name!r} is a machine, and {off}: nobody asks from there"
    return ""
