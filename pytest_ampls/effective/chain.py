"""The chain of resources from a machine to the address that its names are answered with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from pytest_ampls.catalogue import NotApplicable
from pytest_ampls.effective.data_path import Link
from pytest_ampls.effective.identity import agent_identity
from pytest_ampls.effective.name_resolution import zones_seen
from pytest_ampls.effective.surroundings import (
    configuration_names,
    endpoints_around,
    networks_around,
    resolvers_around,
    scopes_around,
    upload_names,
    zones_around,
)
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.resource import ResourceId

__all__ = ["chain_of"]


def chain_of(machine: Machine) -> tuple[Link, ...]:
    """Return the links of a machine's chain in order. What could not be read stands there as a problem."""
    return tuple(_link(noun, names, machine) for noun, names in _LINKS)


def _link(noun: str, names: Callable[[Machine], Iterable[str]], machine: Machine) -> Link:
    found: dict[str, None] = {}
    try:
        for name in names(machine):
            found[name] = None
    except (EvidenceError, NotApplicable) as reason:
        return Link(noun=noun, names=tuple(found), problem=str(reason))
    return Link(noun=noun, names=tuple(found))


def _networks(machine: Machine) -> Iterator[str]:
    yield from (network.label for network in networks_around(machine))


def _identities(machine: Machine) -> Iterator[str]:
    for agent in machine.agents:
        found = agent_identity(machine, agent)
        name = ResourceId.parse(found.identity).name if found.identity else ""
        yield f"{name} ({found.outcome})" if name else str(found.outcome)


def _agents(machine: Machine) -> Iterator[str]:
    for agent in machine.agents:
        version = agent.properties.type_handler_version
        yield f"{agent.properties.type}{f' {version}' if version else ''}"


def _associations(machine: Machine) -> Iterator[str]:
    yield from (association.label for association in machine.associations)


def _rules(machine: Machine) -> Iterator[str]:
    yield from (rule.label for rule in machine.data_collection_rules)


def _config_endpoint(machine: Machine) -> Iterator[str]:
    if machine.config_endpoint is not None:
        yield machine.config_endpoint.label


def _scopes(machine: Machine) -> Iterator[str]:
    yield from (scope.label for scope in scopes_around(machine))


def _endpoints(machine: Machine) -> Iterator[str]:
    yield from (endpoint.label for endpoint in endpoints_around(machine))


def _zones(machine: Machine) -> Iterator[str]:
    yield from (zone.origin for zone in zones_around(machine))


def _zone_links(machine: Machine) -> Iterator[str]:
    for network in networks_around(machine):
        for seen in (each for several in zones_seen(network).values() for each in several):
            yield f"{seen.zone.label} to {seen.via.label}"


def _answers(machine: Machine) -> Iterator[str]:
    names = (*configuration_names(machine), *upload_names(machine))
    for resolver in resolvers_around(machine):
        for name in names:
            try:
                answer = resolver.resolve(name)
            except EvidenceError as error:
                yield f"{name}: no answer from {resolver.name} ({error})"
            else:
                yield f"{name}: {', '.join(answer.addresses) or answer.status} from {resolver.name}"


_LINKS: Final[tuple[tuple[str, Callable[[Machine], Iterable[str]]], ...]] = (
    ("virtual network", _networks),
    ("identity", _identities),
    ("agent", _agents),
    ("association", _associations),
    ("data collection rule", _rules),
    ("configuration endpoint", _config_endpoint),
    ("private link scope", _scopes),
    ("private endpoint", _endpoints),
    ("private zone", _zones),
    ("zone link", _zone_links),
    ("live answer", _answers),
)
