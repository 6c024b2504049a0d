"""Vantage points that are machines: what their guests resolve, as answers among the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pytest_ampls.effective.guest_names import guest_questions
from pytest_ampls.errors import ConfigurationError, EvidenceError
from pytest_ampls.model.compute import VirtualMachine
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import Answer, Gap, GapKind, VantagePoint
from pytest_ampls.model.guest_questions import GuestQuestions
from pytest_ampls.model.guest_state import GuestState
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.resource import key

__all__ = ["guest_answers", "machines_of", "questioner"]


def machines_of(estate: Estate, points: Iterable[VantagePoint]) -> dict[str, VirtualMachine]:
    """Return the virtual machine of each vantage point that is one, by the vantage point's name.

    Raises:
        ConfigurationError: there is no such machine, or several have the name.
    """
    return {point.name: _machine(estate, point) for point in points if point.guest}


def _machine(estate: Estate, point: VantagePoint) -> VirtualMachine:
    wanted = point.guest
    named = [
        vm
        for vm in estate.known(VirtualMachine)
        if (vm.key == key(wanted) if wanted.startswith("/") else vm.label.lower() == wanted.lower())
    ]
    where = f"resolver {point.name!r} (from {point.origin}) is guest:{wanted}"
    if len(named) > 1:
        ids = ", ".join(vm.id for vm in named)
        raise ConfigurationError(f"{where}, and several virtual machines have this name. Write an id: {ids}")
    if not named:
        raise ConfigurationError(f"{where}, and no virtual machine that was read is called so")
    return named[0]


def questioner(machines: Iterable[Machine], names: Iterable[str]) -> Callable[[Machine], GuestQuestions]:
    """Return what to ask each guest: of machines that are vantage points, all these names as well."""
    places, more = {machine.key for machine in machines}, tuple(names)

    def questions(machine: Machine) -> GuestQuestions:
        usual = guest_questions(machine)
        if machine.key not in places:
            return usual
        return msgspec.structs.replace(usual, names=tuple(dict.fromkeys((*usual.names, *more))))

    return questions


def guest_answers(
    machines: dict[str, VirtualMachine], guests: Iterable[GuestState], names: Iterable[str]
) -> tuple[Answer, ...]:
    """Return the answers of the machines that are vantage points, one for each name.

    Args:
        machines: as :func:`machines_of` returns them.
        guests: what the guests told.
        names: public names, each of which was asked.
    """
    told = {key(guest.machine): guest for guest in guests}
    asked = tuple(names)
    return tuple(
        _answer(point, machine, told.get(machine.key), name)
        for point, machine in machines.items()
        for name in asked
    )


def _answer(point: str, machine: VirtualMachine, guest: GuestState | None, name: str) -> Answer:
    if guest is None:
        message = (
            f"the guest of {machine.label!r} was not looked at: add --ampls-guests or --ampls-run-command"
        )
        return Answer(vantage_point=point, name=name, gap=Gap(kind=GapKind.NOT_READ, message=message))
    try:
        lookups = guest.told(guest.lookups, "lookups")
    except EvidenceError as error:
        kind = guest.gap.kind if guest.gap is not None else GapKind.NOT_READ
        return Answer(vantage_point=point, name=name, gap=Gap(kind=kind, message=str(error)))
    found = next((lookup for lookup in lookups if lookup.name.lower() == name.lower()), None)
    if found is None:
        gap = Gap(kind=GapKind.NOT_READ, message=f"the guest of {machine.label!r} was not asked for {name}")
        return Answer(vantage_point=point, name=name, gap=gap)
    # Its programs see addresses or none: whether a name is absent or empty, getent does not tell.
    status = "NOERROR" if found.addresses else "NXDOMAIN"
    return Answer(vantage_point=point, name=name, status=status, addresses=found.addresses, server=guest.via)
