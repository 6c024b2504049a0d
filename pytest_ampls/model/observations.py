"""What was seen of the world beside the configuration: DNS answers, handshakes, guests."""

from __future__ import annotations

from pytest_ampls.errors import NotReadError
from pytest_ampls.model.evidence import Answer, Snapshot, VantagePoint
from pytest_ampls.model.guest_state import GuestState
from pytest_ampls.model.handshake import Handshake
from pytest_ampls.model.resource import Resource, key

__all__ = ["Observations"]


class Observations:
    """The observations of a snapshot, each found by where it was made and of what."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._answers = {(answer.vantage_point, _name(answer.name)): answer for answer in snapshot.answers}
        self._guests = {key(guest.machine): guest for guest in snapshot.guests}
        self.handshakes = snapshot.handshakes

    def answer(self, vantage_point: VantagePoint, name: str) -> Answer:
        """Return what a vantage point answered for a name.

        Raises:
            EvidenceError: there was no usable answer, or the name was never asked there.
        """
        answer = self._answers.get((vantage_point.name, _name(name)))
        if answer is None:
            raise NotReadError(f"{name} was never asked from the vantage point {vantage_point.name!r}")
        if answer.gap is not None:
            raise answer.gap.error()
        return answer

    def guest(self, machine: Resource) -> GuestState | None:
        """Return what a machine's guest told, None where no guest of this machine was to be looked at.

        The state may have a gap: then the guest was to be looked at and told nothing.
        """
        return self._guests.get(machine.key)

    def handshakes_with(self, name: str, address: str) -> tuple[Handshake, ...]:
        """Return the handshakes that were tried with an address for a name, from all places."""
        wanted = _name(name), address
        return tuple(shake for shake in self.handshakes if (_name(shake.name), shake.address) == wanted)


def _name(fqdn: str) -> str:
    return fqdn.rstrip(".").lower()
