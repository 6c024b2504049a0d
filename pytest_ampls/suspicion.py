"""What a verdict is about to fail on, before a test is run: machines, and what rests on networks."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import Evidence, NotApplicable, Rule
from pytest_ampls.errors import ConfigurationError, EvidenceError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.network_security import NetworkSecurityGroup
from pytest_ampls.model.private_dns import PrivateDnsZone
from pytest_ampls.requirements import Requirements
from pytest_ampls.subjects import SUBJECTS

__all__ = ["suspects"]

_KINDS: Final = ("machine", "vmss")


def suspects(estate: Estate, requirements: Requirements) -> Iterator[str]:
    """Yield the id of each resource on which a rule is broken or unverified, as the requirements have it.

    Of resources other than machines only where networks, security groups, endpoints or zones came from the
    index: everything else is read from its provider anyway. Then the networks whose configuration vantage
    points speak for are yielded as well, for what they answer is not known yet.
    """
    others = _others(estate, requirements) if _has_indexed_networks(estate) else []
    yield from others
    plain = not (requirements.expectations or requirements.left_out)
    good: list[tuple[Machine, frozenset[str]]] = []
    bad = False
    for kind in _KINDS:
        rules = [rule for rule in CATALOGUE.values() if _first_parameter(rule) == kind]
        if not estate.snapshot.guests:
            # No guest was looked at: these rules concern no machine, and there may be very many machines.
            rules = [rule for rule in rules if Evidence.GUEST not in rule.evidence]
        if not estate.snapshot.logged:  # likewise
            rules = [rule for rule in rules if Evidence.LOGS not in rule.evidence]
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
    if not bad and not others:  # nothing is read again, so what was seen to hold holds
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


def _fails(rule: Rule[Any], machine: Any, requirements: Requirements) -> bool:
    if requirements.reason_left_out(rule, machine) is not None:
        return False
    return _is_broken(rule, machine, requirements.keywords(rule, machine))


def _has_indexed_networks(estate: Estate) -> bool:
    kinds = (VirtualNetwork, NetworkSecurityGroup, PrivateEndpoint, PrivateDnsZone)
    return any(estate.source(own) == "graph" for cls in kinds for own in estate.known(cls))


def _others(estate: Estate, requirements: Requirements) -> list[str]:
    """Return the ids of what is no machine and does not hold, as far as configuration alone decides."""
    found = [point.virtual_network for point in estate.vantage_points if point.computed]
    for kind in sorted(SUBJECTS.keys() - set(_KINDS)):
        rules = [
            rule
            for rule in CATALOGUE.values()
            if set(rule.evidence) == {Evidence.CONFIGURATION} and _parameters(rule) == (kind,)
        ]
        try:
            resources = SUBJECTS[kind].resources(estate) if rules else ()
        except EvidenceError:
            resources = ()  # what is missing is no row of the index
        found += [own.id for own in resources if any(_fails(rule, own, requirements) for rule in rules)]
    return [own for own in found if own]


def _parameters(rule: Rule[Any]) -> tuple[str, ...]:
    """Return what a rule is judged on: keywords are expectations."""
    parameters = inspect.signature(rule.check).parameters.values()
    return tuple(own.name for own in parameters if own.kind is not own.KEYWORD_ONLY)


def _is_broken(rule: Rule[Any], machine: Any, keywords: dict[str, Any]) -> bool:
    try:
        return next(rule.check(machine, **keywords), None) is not None
    except (NotApplicable, ConfigurationError):  # a wrong expectation is told by the test
        return False
    except EvidenceError:
        return True
