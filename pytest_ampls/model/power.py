"""Whether machines are switched on, as their provider told it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from pytest_ampls.errors import NotReadError
from pytest_ampls.model.gap import Gap
from pytest_ampls.model.resource import Resource, key

__all__ = ["CHANGING", "OFF", "RUNNING", "PowerReading", "PowerReadings"]

RUNNING: Final = "running"
OFF: Final = frozenset({"deallocated", "stopped"})
"""States in which nothing runs: a stopped machine keeps its place on a host, and its system was shut down."""
CHANGING: Final = frozenset({"starting", "stopping", "deallocating"})
"""States that are about to end, one way or the other."""


class PowerReading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The power state of one machine, from its provider's instance view and never from the index.

    ``machine`` is the resource id. ``state`` is what follows ``PowerState/`` in the code, in lower case: ``running``,
    ``starting``, ``stopping``, ``stopped``, ``deallocating``, ``deallocated``, ``unknown``, or one that is not known
    here. ``read_at`` is seconds since the epoch, by the clock of this machine. With ``gap`` set nothing is known.

    Source: https://learn.microsoft.com/azure/virtual-machines/states-billing
    """

    machine: str
    state: str = ""
    read_at: float = 0.0
    gap: Gap | None = None

    @property
    def is_off(self) -> bool:
        """Tell whether the machine was seen switched off."""
        return self.gap is None and self.state in OFF

    @property
    def is_changing(self) -> bool:
        """Tell whether the machine was seen on its way to another state."""
        return self.gap is None and self.state in CHANGING

    @property
    def phrase(self) -> str:
        """What was read and when, as in ``deallocated (read at 2026-03-01 09:00:00Z)``; empty with a gap."""
        if self.gap is not None:
            return ""
        try:
            when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.read_at))
        except (ValueError, OverflowError, OSError):  # a recording may have any number
            when = f"{self.read_at:.0f} s after the epoch"
        state = "in an unknown power state" if self.state == "unknown" else self.state
        return f"{state} (read at {when})"

    def told(self) -> str:
        """Return the state.

        Raises:
            EvidenceError: it could not be read.
        """
        if self.gap is not None:
            raise self.gap.error()
        return self.state


class PowerReadings:
    """The power states of a snapshot, each found by its machine."""

    def __init__(self, readings: Iterable[PowerReading]) -> None:
        self._readings: Mapping[str, PowerReading] = {key(reading.machine): reading for reading in readings}

    @property
    def is_empty(self) -> bool:
        """Tell whether no machine was asked for."""
        return not self._readings

    def of(self, machine: Resource) -> PowerReading | None:
        """Return what was read of a machine, None where nobody asked: it showed that it runs, or was not to."""
        return self._readings.get(machine.key)

    def unread(self, machine: Resource) -> NotReadError:
        """Return the error that says that nobody asked for a machine's state, and how to have it asked for."""
        return NotReadError(
            f"the power state of {machine.NOUN} {machine.label!r} is not known: it is read where --ampls-logs finds no "
            "fresh heartbeat of a virtual machine, or --ampls-guests or --ampls-run-command does not reach its guest"
        )
