"""Which part of the evidence is to be read again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pytest_ampls.model.resource import key

__all__ = ["ANSWERS", "GUESTS", "HANDSHAKES", "LOGS", "POWER", "Needs"]

ANSWERS = "dns answers"
"""What is looked at beside resource types, where an answer of a vantage point is."""
GUESTS = "guests"
"""The same, for what guests told."""
HANDSHAKES = "handshakes"
"""The same, for connections."""
LOGS = "log rows"
"""The same, for what workspaces answered."""
POWER = "power states"
"""The same, for whether machines are switched on."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What fresh evidence is asked for.

    ``types`` are the resource types that were looked at, in lower case, and :data:`ANSWERS`.
    ``machines`` are the folded ids of the machines that it is about; where ``all_machines`` is set it is
    about every one of them.
    """

    types: frozenset[str] = frozenset()
    machines: frozenset[str] = frozenset()
    all_machines: bool = False

    @classmethod
    def of(cls, types: Iterable[str], machines: Iterable[str]) -> Needs:
        """Return the needs of one test: what it looked at, and the machines that it found wanting."""
        found = frozenset(key(own) for own in machines)
        return cls(types=frozenset(name.lower() for name in types), machines=found, all_machines=not found)

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            types=self.types | other.types,
            machines=self.machines | other.machines,
            all_machines=self.all_machines or other.all_machines,
        )
