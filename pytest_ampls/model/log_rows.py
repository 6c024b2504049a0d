"""What workspaces answered when they were asked for heartbeats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final

import msgspec

from pytest_ampls.model.gap import Gap
from pytest_ampls.model.resource import Resource, key

__all__ = ["AGENT_CATEGORY", "FRESH", "NETWORK_REFUSAL", "Heartbeat", "LogReading", "LogReadings"]

AGENT_CATEGORY: Final = "Azure Monitor Agent"
"""``Category`` of the rows that the Azure Monitor Agent sends; the retired agents write others."""

NETWORK_REFUSAL: Final = "NspValidationFailedError"
"""The inner code of a 403 that is about the network which the query came from, and about no right."""

FRESH: Final = 10 * 60
"""Seconds up to which a heartbeat shows that its machine runs; agents send one every minute."""


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest row of the table Heartbeat that a machine's agent has in one workspace.

    It is the Azure Monitor Agent's where it has any there, else another agent's. ``machine`` is the resource id as
    the row has it. ``time_generated`` is seconds since the epoch, by the clock of the machine. ``computer_ip`` is
    the address that the ingestion saw, ``computer_private_ips`` are those that the machine named itself.
    """

    machine: str
    time_generated: float
    computer: str = ""
    computer_ip: str = ""
    computer_private_ips: tuple[str, ...] = ()
    category: str = ""


class LogReading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One workspace that was asked, and the newest heartbeat of each judged machine that it answered with.

    ``workspace`` is the resource id, ``customer_id`` the GUID that queries name it by, ``endpoint`` where it was
    asked, ``https://host[:port]``. ``read_at`` is when the answer was there, by the clock of this machine;
    ``answered_at`` the same by the service's ``Date`` header, None where it sent none; both in seconds since the
    epoch. ``answered`` tells that the service ran the query, be it in part. ``code`` and ``inner_code`` are
    those of a 403. With ``gap`` set rows may be missing, and those that are there may not be the newest.
    """

    workspace: str
    customer_id: str = ""
    endpoint: str = ""
    read_at: float = 0.0
    answered_at: float | None = None
    answered: bool = False
    heartbeats: tuple[Heartbeat, ...] = ()
    code: str = ""
    inner_code: str = ""
    gap: Gap | None = None

    @property
    def now(self) -> float:
        """What time it was for the service, or here where the service did not say; seconds since the epoch."""
        return self.read_at if self.answered_at is None else self.answered_at

    @property
    def refused_by_network(self) -> bool:
        """Tell whether the service refused because of the network that the query came from."""
        return self.inner_code.lower() == NETWORK_REFUSAL.lower()


class LogReadings:
    """The readings of a snapshot, each found by its workspace; the rows by workspace and machine."""

    def __init__(self, readings: Iterable[LogReading]) -> None:
        self._readings = {key(reading.workspace): reading for reading in readings}
        self._rows: dict[str, Mapping[str, Heartbeat]] = {}

    @property
    def is_empty(self) -> bool:
        """Tell whether no workspace was asked."""
        return not self._readings

    def of(self, workspace_id: str) -> LogReading | None:
        """Return what a workspace answered, None where it was not asked."""
        return self._readings.get(key(workspace_id))

    def heartbeat(self, reading: LogReading, machine: Resource) -> Heartbeat | None:
        """Return a machine's row in one of these readings, None where there is none in it."""
        own = key(reading.workspace)
        if own not in self._rows:
            self._rows[own] = {key(row.machine): row for row in reading.heartbeats}
        return self._rows[own].get(machine.key)

    def shows_life(self, machine: Resource) -> bool:
        """Tell whether any workspace has a fresh row of a machine, of whichever agent."""
        return machine.key in self._alive

    @cached_property
    def _alive(self) -> frozenset[str]:
        return frozenset(
            key(row.machine)
            for reading in self._readings.values()
            for row in reading.heartbeats
            if abs(reading.now - row.time_generated) <= FRESH
        )
