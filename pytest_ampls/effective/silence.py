"""Which machines show no life, so that it is worth asking whether they are switched on at all."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_ampls.catalogue import NotApplicable
from pytest_ampls.effective.collection import destinations
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.compute import VirtualMachine
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.gap import GapKind
from pytest_ampls.model.guest_state import GuestState
from pytest_ampls.model.log_rows import LogReading, LogReadings
from pytest_ampls.model.resource import key

__all__ = ["silent_machines"]


def silent_machines(
    estate: Estate, guests: Iterable[GuestState], logs: Iterable[LogReading]
) -> tuple[VirtualMachine, ...]:
    """Return the virtual machines that were looked at and showed no life, instances of Flexible sets included.

    Their guest was not reached, or a workspace that their rules send to answered without a fresh heartbeat of
    theirs. A guest that refused, or that no option leads to, and a workspace that did not answer, tell
    nothing about the machine. One that its guest or any heartbeat shows to run is not among them, unless the other
    of the two is what fails.

    Args:
        estate: the configuration.
        guests: what the guests told.
        logs: what the workspaces answered.
    """
    unreached = {
        key(guest.machine)
        for guest in guests
        if guest.gap is not None and guest.gap.kind is GapKind.UNREACHABLE
    }
    readings = LogReadings(logs)
    return tuple(
        machine
        for machine in estate.known(VirtualMachine)
        if machine.key in unreached or _sends_nothing(machine, readings)
    )


def _sends_nothing(machine: VirtualMachine, readings: LogReadings) -> bool:
    if readings.is_empty or readings.shows_life(machine):
        return False
    try:
        asked = [readings.of(workspace_id) for _, workspace_id in destinations(machine)]
    except (EvidenceError, NotApplicable):  # it need not send anything, or that is not known
        return False
    return any(reading is not None and reading.gap is None for reading in asked)
