"""``--ampls-diagnose``: from the names of machines to the diagnosis of their data paths, and an exit code."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.assertions.tracing import Ask, Wishes, defaults, trace
from pytest_ampls.catalogue import Rule
from pytest_ampls.effective.data_path import DataPath, StageVerdict
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model.compute import ArcMachine, VirtualMachine, VirtualMachineScaleSet
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.resource import Resource, key
from pytest_ampls.model.text import shown
from pytest_ampls.report.diagnosis import diagnosis_json, diagnosis_lines
from pytest_ampls.requirements import Requirements

__all__ = ["BROKEN", "FORMS", "HELD", "UNKNOWN", "machines_named", "run"]

HELD: Final = 0
BROKEN: Final = 1
UNKNOWN: Final = 2
"""Nothing was found broken, and not everything was looked at: that is not green."""

FORMS: Final = ("text", "json")
_NAMES: Final = 10
"""So many machines are named where none is alike to the one that was asked for."""
_CLASSES: Final[tuple[type[Machine], ...]] = (VirtualMachine, ArcMachine, VirtualMachineScaleSet)


def run(
    estate: Estate,
    names: Sequence[str],
    *,
    form: str = "text",
    requirements: Requirements | None = None,
    now: float | None = None,
) -> tuple[str, int]:
    """Diagnose the data paths of machines.

    Args:
        estate: what was read.
        names: names or resource ids of VMs, Arc machines or scale sets, in any case. A name that several machines
            have stands for all of them; a Flexible scale set for its instances.
        form: ``text`` or ``json``.
        requirements: expectations, and what is left out; None leaves the defaults in force.
        now: the time that ages are counted from, in seconds since the epoch; None is the clock's.

    Returns:
        The text, and an exit code: 0 every stage of every machine holds, 1 one is broken, 2 none is broken and
        one could not be verified or was not looked at.

    Raises:
        ConfigurationError: no name was given, one matches no machine, or the form is unknown.
    """
    if form not in FORMS:
        raise ConfigurationError(f"{form!r} is no form of a diagnosis; there are {', '.join(FORMS)}")
    machines = machines_named(estate, names)
    ask = _asking(requirements)
    paths = [trace(machine, ask=ask) for machine in machines]
    at = time.time() if now is None else now
    if form == "json":
        return diagnosis_json(paths, CATALOGUE, now=at), _exit_code(paths)
    lines = [*_several(names, machines), *diagnosis_lines(paths, CATALOGUE, now=at)]
    return "\n".join(lines), _exit_code(paths)


def _exit_code(paths: Sequence[DataPath]) -> int:
    verdicts = {stage.verdict for path in paths for stage in path.stages}
    if StageVerdict.BROKEN in verdicts:
        return BROKEN
    return HELD if verdicts == {StageVerdict.HELD} else UNKNOWN


def _asking(requirements: Requirements | None) -> Ask:
    if requirements is None:
        return defaults

    def ask(rule: Rule[Any], resource: Resource) -> Wishes:
        return Wishes(requirements.keywords(rule, resource), requirements.reason_left_out(rule, resource))

    return ask


# ------------------------------------------------------------------- names


def machines_named(estate: Estate, names: Sequence[str]) -> tuple[Machine, ...]:
    """Return the machines that names stand for, each once, in the order of the names.

    Raises:
        ConfigurationError: no name was given, or one matches no machine.
    """
    if not names:
        raise ConfigurationError("name at least one machine to diagnose")
    known = [machine for cls in _CLASSES for machine in estate.known(cls)]
    found: dict[str, Machine] = {}
    for name in names:
        matching = list(_matching(known, name))
        if not matching:
            raise ConfigurationError(_no_such(estate, known, name))
        found.update((machine.key, machine) for machine in matching)
    return tuple(found.values())


def _matching(known: Sequence[Machine], name: str) -> Iterator[Machine]:
    folded = key(name)
    for machine in known:
        if folded in (
            machine.label.lower(),
            f"{machine.resource_group}/{machine.label}".lower(),
            machine.key,
        ):
            yield from _standing_for(machine)


def _standing_for(machine: Machine) -> Iterator[Machine]:
    """Yield the instances of a Flexible scale set, which carry its data paths, and any other machine itself."""
    if isinstance(machine, VirtualMachineScaleSet) and machine.is_flexible:
        yield from (each for each in machine.instances if isinstance(each, Machine))
    else:
        yield machine


def _no_such(estate: Estate, known: Sequence[Machine], name: str) -> str:
    """Say that a name matches nothing: what may have been meant, and what was not read."""
    labels = {machine.label.lower(): machine.label for machine in known}
    last = key(name).rpartition("/")[2]
    close = [labels[each] for each in get_close_matches(last, labels, n=3, cutoff=0.5)]
    if close:
        meant = f"; did you mean {' or '.join(repr(each) for each in close)}?"
    else:
        names = sorted(labels.values())
        more = ", …" if len(names) > _NAMES else ""
        meant = f"; there are {', '.join(map(repr, names[:_NAMES]))}{more}" if names else ""
    gaps = [gap for cls in _CLASSES for gap in estate.unread(cls).values()]
    unread = f". Not everything was read: {gaps[0].message}" if gaps else ""
    return shown(f"no machine {name!r} among the {len(known)} that were read{meant}{unread}")


def _several(names: Sequence[str], machines: Sequence[Machine]) -> Iterator[str]:
    """Say which names stand for several machines: all are diagnosed, and an id means one of them."""
    for name in dict.fromkeys(names):
        matching = [machine for machine in machines if machine.label.lower() == key(name)]
        if len(matching) > 1:
            yield f"{len(matching)} machines are called {shown(name)}; give the id to diagnose one of them:"
            yield from (f"  {shown(machine.id)}" for machine in matching)
            yield ""
