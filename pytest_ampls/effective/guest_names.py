"""What a machine's agent talks to, and what its guest is asked about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pytest_ampls.effective.identity import configured_identifier
from pytest_ampls.effective.name_resolution import can_route, scopes_of
from pytest_ampls.effective.records import addresses_for
from pytest_ampls.effective.zones import monitor_zones, public_suffix
from pytest_ampls.errors import DocumentError, EvidenceError, NotReadError
from pytest_ampls.model.compute import ArcMachine
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.guest_questions import GuestQuestions
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import DataCollectionEndpoint, Workspace
from pytest_ampls.model.network import PrivateEndpoint
from pytest_ampls.model.resource import ResourceId, needed

__all__ = ["GLOBAL_HANDLER", "agent_names", "guest_questions", "right_addresses", "rule_hosts"]

GLOBAL_HANDLER: Final = "global.handler.control"
"""Where every agent begins, relative to the monitor domain."""


def agent_names(machine: Machine) -> tuple[str, ...]:
    """Return the names that a machine's agent must reach for its rules to work, in the order it needs them.

    The global handler, the hosts of the machine's configuration endpoint, the ingestion hosts of the endpoints
    that its rules name, and the ods names of the workspaces that its rules send to.

    Raises:
        EvidenceError: associations, rules, endpoints or workspaces were not read.
    """
    return tuple(dict.fromkeys(name for source in _SOURCES for name in source(machine)))


def guest_questions(machine: Machine) -> GuestQuestions:
    """Return what to ask a machine's guest, as far as its configuration was read."""
    names: dict[str, None] = {}
    for source in _SOURCES:
        try:
            names.update(dict.fromkeys(source(machine)))
        except EvidenceError:
            continue  # the rules that judge the names say why they are not known
    return GuestQuestions(names=tuple(names), identities=_identities(machine))


def _identities(machine: Machine) -> tuple[str, ...]:
    """Return what the agents of a machine ask for. The token service of Arc machines works otherwise."""
    if isinstance(machine, ArcMachine):
        return ()
    try:
        agents = machine.agents
    except EvidenceError:
        return ()
    named = (configured_identifier(agent) for agent in agents)
    return tuple(dict.fromkeys("#".join(part) if part else "" for part in named))


def _domain(estate: Estate, first: str) -> str:
    """Return the public domain of Azure Monitor that begins with a label.

    Raises:
        NotReadError: neither the cloud nor a scope says which that is.
    """
    domains = sorted(public_suffix(zone) for zone in monitor_zones(estate))
    found = next((domain for domain in domains if domain.startswith(first + ".")), None)
    if found is None:
        raise NotReadError(
            f"the domain {first}.… of Azure Monitor in cloud {estate.snapshot.cloud!r} is not known, and no private "
            "link scope was read that names its zone"
        )
    return found


def _handler(machine: Machine) -> Iterator[str]:
    yield f"{GLOBAL_HANDLER}.{_domain(machine.estate, 'monitor')}"


def _config_hosts(machine: Machine) -> Iterator[str]:
    endpoint = machine.config_endpoint
    if endpoint is not None:
        parts = endpoint.properties
        urls = (parts.configuration_access, parts.logs_ingestion)
        yield from (url.host.lower() for url in urls if url is not None and url.host)


def rule_hosts(machine: Machine) -> Iterator[str]:
    """Yield the hosts that a machine's rules send to, in lower case: those of the endpoints that the rules name.

    Raises:
        EvidenceError: associations, rules or endpoints were not read.
    """
    for rule in machine.data_collection_rules:
        named = rule.properties.data_collection_endpoint_id
        endpoint = machine.estate.get(DataCollectionEndpoint, named) if named else None
        url = endpoint.properties.logs_ingestion if endpoint is not None else None
        if url is not None and url.host:
            yield url.host.lower()


def _workspace_hosts(machine: Machine) -> Iterator[str]:
    for rule in machine.data_collection_rules:
        for workspace_id in rule.workspace_ids:
            workspace = machine.estate.get(Workspace, workspace_id)
            if workspace is not None:
                owner = needed(workspace.properties.customer_id, workspace, "properties.customerId")
                yield f"{owner.lower()}.{_domain(machine.estate, 'ods')}"


_SOURCES: Final[tuple[Callable[[Machine], Iterator[str]], ...]] = (
    _handler,
    _config_hosts,
    rule_hosts,
    _workspace_hosts,
)


def right_addresses(machine: Machine, name: str) -> frozenset[str]:
    """Return the addresses that a name should have for a machine, none where no private endpoint serves it.

    Those of the private endpoints in the machine's VNets and their peers; for an Arc machine, of all of them. The
    global handler, which every scope serves, is right only at a scope that has what the machine asks it about.

    Raises:
        EvidenceError: private endpoints, interfaces, scopes, VNets or associations were not read, or several scopes
            serve the handler and none has what the machine asks it about.
    """
    serving = tuple(each for each in machine.estate.once(_near, machine) if name in each.members)
    if name.startswith(GLOBAL_HANDLER):
        serving = _knowing(machine, name, serving)
    return frozenset(address for endpoint in serving for address in addresses_for(endpoint, name))


def _knowing(
    machine: Machine, name: str, serving: tuple[PrivateEndpoint, ...]
) -> tuple[PrivateEndpoint, ...]:
    """Return the endpoints whose scope has the machine's configuration endpoint, or else all of its workspaces.

    A single scope is not chosen from: whether that has them is for AMPLS404 and AMPLS407 to judge.
    """
    if len({scope.key for endpoint in serving for scope in scopes_of(endpoint)}) < 2:
        return serving
    own = machine.config_endpoint
    rules = machine.data_collection_rules if own is None else ()
    asked = {own.id} if own is not None else {used for rule in rules for used in rule.workspace_ids}
    knowing = tuple(
        each
        for each in serving
        if all(any(scope.contains(used) for scope in scopes_of(each)) for used in asked)
    )
    if not knowing:
        raise NotReadError(
            f"several private link scopes serve {name} near {machine.NOUN} {machine.label!r}, and none of them has "
            f"{', '.join(ResourceId.parse(used).name for used in sorted(asked))}: which of them is right cannot be told"
        )
    return knowing


def _near(estate: Estate, machine: Machine) -> tuple[PrivateEndpoint, ...]:
    endpoints = estate.private_endpoints
    if isinstance(machine, ArcMachine):
        return endpoints
    networks = machine.virtual_networks
    if not networks:
        raise DocumentError(
            f"{machine.NOUN} {machine.label!r} ({machine.id}) was read without a virtual network"
        )
    near = tuple(each for each in endpoints if any(can_route(network, each) for network in networks))
    if not near and not endpoints and not estate.private_link_scopes:
        raise NotReadError(f"no private endpoint was read that {machine.label!r} could use")
    return near
