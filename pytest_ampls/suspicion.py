"""Which machines a verdict is about to fail on, before a test is run."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import Evidence, NotApplicable, Rule
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.machine import Machine
from pytest_ampls.requirements import Requirements
from pytest_ampls.subjects import SUBJECTS

__all__ = ["suspects"]

_KINDS: Final = ("machine", "vmss")


def suspects(estate: Estate, requirements: Requirements) -> Iterator[str]:
    """Yield the id of each machine on which a rule is broken or unverified, as the requirements have it.

    Only machines can rest on the index; everything else is read from its provider anyway.
    """
    plain = not (requirements.expectations or requirements.left_out)
    good: list[tuple[Machine, frozenset[str]]] = []
    bad = False
    for kind in _KINDS:
        rules = [rule for rule in CATALOGUE.values() if _first_parameter(rule) == kind]
        if not estate.snapshot.guests:
            # No guest was looked at: these rules concern no machine, and there may be very many machines.
            rules = [rule for rule in rules if Evidence.GUEST not in rule.evidence]
        for machine in SUBJECTS[kind].resources(estate):
            if plain:
                held = _held(rules, machine)
                if held is not None:
                    good.append((machine, _shared(frozenset(held))))
                    continue
            elif not any(_fails(rule, machine, requirements) for rule in rules):
                continue
            bad = True
            yield machine.id
    if not bad:  # nothing is read again, so what was seen to hold holds
        for machine, rules_held in good:
            estate.remember(machine, rules_held)


@cache
def _shared(held: frozenset[str]) -> frozenset[str]:
    """Return one set for all machines of which the same rules hold: there may be very many of them."""
    return held


def _held(rules: list[Rule[Any]], machine: Machine) -> list[str] | None:
    """Return the rules that hold for a machine, None where one is broken or unverified."""
    found = []
    for rule in rules:
        try:
            if next(rule.check(machine), None) is not None:
                return None
            found.append(rule.id)
        except NotApplicable:
            continue
        except EvidenceError:
            return None
    return found


def _first_parameter(rule: Rule[Any]) -> str:
    return next(iter(inspect.signature(rule.check).parameters))


def _fails(rule: Rule[Any], machine: Machine, requirements: Requirements) -> bool:
    if requirements.reason_left_out(rule, machine) is not None:
        return False
    return _is_broken(rule, machine, requirements.keywords(rule, machine))


def _is_broken(rule: Rule[Any], machine: Machine, keywords: dict[str, Any]) -> bool:
    try:
        return next(rule.check(machine, **keywords), None) is not None
    except NotApplicable:
        return False
    except EvidenceError:
        return True
