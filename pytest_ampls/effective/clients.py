"""Who uses what: the machines behind a workspace, and what the machines of a network use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from pytest_ampls.effective.collection import rules_of
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import DataCollectionEndpoint, DataCollectionRule, Workspace
from pytest_ampls.model.network import VirtualNetwork
from pytest_ampls.model.resource import key

__all__ = ["Uses", "known_senders", "machines_in", "machines_sending_to", "senders_are_known", "uses_of"]


def machines_sending_to(workspace: Workspace) -> tuple[Machine, ...]:
    """Return the machines whose data collection rules have the workspace as a destination.

    Raises:
        EvidenceError: machines, associations or rules were not read completely.
    """
    found, failure = workspace.estate.once(_senders_by_workspace)
    if failure is not None:
        raise failure
    return found.get(workspace.key, ())


def known_senders(workspace: Workspace) -> Iterator[Machine]:
    """Yield the machines that are known to send to the workspace.

    Raises:
        EvidenceError: there may be others; raised last.
    """
    found, failure = workspace.estate.once(_senders_by_workspace)
    yield from found.get(workspace.key, ())
    if failure is not None:
        raise failure


def senders_are_known(estate: Estate) -> bool:
    """Tell whether machines, associations and rules were read completely, so that nobody sends where none is told."""
    return estate.once(_are_known)


def _are_known(estate: Estate) -> bool:
    return estate.once(_senders_by_workspace)[1] is None


def _senders_by_workspace(estate: Estate) -> tuple[dict[str, tuple[Machine, ...]], EvidenceError | None]:
    """Return the machines that send to each workspace, as far as they are known, and why some are not."""
    found: dict[str, dict[str, Machine]] = {}
    failure: EvidenceError | None = None
    try:
        for machine, workspace in each(estate.machines, _sent):
            found.setdefault(key(workspace), {})[machine.key] = machine
    except EvidenceError as error:
        failure = error
    return {workspace: tuple(machines.values()) for workspace, machines in found.items()}, failure


def _sent(machine: Machine) -> Iterator[tuple[Machine, str]]:
    for rule in rules_of(machine):
        for workspace in rule.workspace_ids:
            yield machine, workspace


def machines_in(network: VirtualNetwork) -> tuple[Machine, ...]:
    """Return the machines that carry associations and are in a VNet; Arc machines are in none.

    Raises:
        EvidenceError: machines or their interfaces were not read completely.
    """
    return network.estate.once(_machines_by_network).get(network.key, ())


def _machines_by_network(estate: Estate) -> dict[str, tuple[Machine, ...]]:
    found: dict[str, list[Machine]] = {}
    for machine in estate.machines:
        for network in machine.virtual_network_ids:
            found.setdefault(key(network), []).append(machine)
    return {network: tuple(machines) for network, machines in found.items()}


class Uses(msgspec.Struct, frozen=True, kw_only=True):
    """What the machines of a network use, each by its id in comparable form.

    ``workspaces`` are those that rules send to, as id to (id as it is written, one rule that does), ``uploads`` the
    endpoints that rules name, ``configuration`` the endpoints that agents are configured through.
    ``without_endpoint`` are the machines that have none.
    """

    workspaces: Mapping[str, tuple[str, DataCollectionRule]]
    uploads: Mapping[str, tuple[str, DataCollectionRule]]
    configuration: Mapping[str, DataCollectionEndpoint]
    without_endpoint: tuple[Machine, ...]


def uses_of(network: VirtualNetwork) -> Uses:
    """Return what the machines of a network use.

    Raises:
        EvidenceError: machines, associations, rules or endpoints were not read completely.
    """
    return network.estate.once(_uses, network)


def _uses(_: Estate, network: VirtualNetwork) -> Uses:
    machines = machines_in(network)
    rules = {rule.key: rule for machine in machines for rule in machine.data_collection_rules}
    workspaces: dict[str, tuple[str, DataCollectionRule]] = {}
    uploads: dict[str, tuple[str, DataCollectionRule]] = {}
    for rule in rules.values():
        for workspace in rule.workspace_ids:
            workspaces.setdefault(key(workspace), (workspace, rule))
        if endpoint := rule.properties.data_collection_endpoint_id:
            uploads.setdefault(key(endpoint), (endpoint, rule))
    endpoints = [(machine, machine.config_endpoint) for machine in machines]
    return Uses(
        workspaces=workspaces,
        uploads=uploads,
        configuration={found.key: found for _, found in endpoints if found is not None},
        without_endpoint=tuple(machine for machine, found in endpoints if found is None),
    )
