"""What a machine's associations and rules amount to: where it sends, and through which scopes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_ampls.catalogue import NotApplicable
from pytest_ampls.effective.name_resolution import scopes_reached
from pytest_ampls.effective.reported_scopes import require_reported_scopes_read
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.errors import DocumentError, EvidenceError
from pytest_ampls.model.associations import rule_of
from pytest_ampls.model.compute import ArcMachine, VirtualMachine, VirtualMachineScaleSet
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import (
    CONFIG_ENDPOINT_ASSOCIATION,
    DataCollectionRule,
    DataCollectionRuleAssociation,
    LogAnalyticsDestination,
    PrivateLinkScope,
    ScopableResource,
)
from pytest_ampls.model.resource import key, needed

if TYPE_CHECKING:
    from pytest_ampls.model.estate import Estate

__all__ = [
    "client_scopes",
    "destinations",
    "misnamed_associations",
    "rules_of",
    "scopes_without",
    "workspaces_fed",
]


def misnamed_associations(machine: Machine) -> tuple[DataCollectionRuleAssociation, ...]:
    """Return the associations that hold an endpoint under another name than the reserved one."""
    return tuple(
        part
        for part in machine.associations
        if part.properties.data_collection_endpoint_id and part.label != CONFIG_ENDPOINT_ASSOCIATION
    )


def client_scopes(machine: Machine) -> Iterator[PrivateLinkScope]:
    """Yield the scopes that the DNS of a machine's VNets leads to, each once.

    Raises:
        NotApplicable: it leads to none.
        EvidenceError: it cannot be told, or the machine is in no VNet; raised last, behind the scopes that are known.
    """
    networks = machine.virtual_networks
    if not networks:
        raise DocumentError(
            f"{machine.NOUN} {machine.label!r} ({machine.id}) was read without a virtual network that "
            "exists: which private link scope its DNS leads to is not known"
        )
    found: set[str] = set()
    for scope in each(networks, scopes_reached):
        if scope.key not in found:
            found.add(scope.key)
            yield scope
    if not found:
        names = ", ".join(repr(network.label) for network in networks)
        raise NotApplicable(
            f"the DNS of {names} leads {machine.label!r} to no private link scope: the rules of name "
            "resolution (AMPLS3xx) judge that"
        )


def scopes_without(machine: Machine, resource_id: str) -> Iterator[PrivateLinkScope | None]:
    """Yield the scopes that should list a resource for a machine to reach it privately, and do not.

    An Arc machine is in no VNet that would tell its scope: any one is enough, and None stands for "no scope
    lists it".

    Raises:
        NotApplicable: there is no scope that the machine would use.
        EvidenceError: it cannot be told; raised last, behind what can.
    """
    if not isinstance(machine, ArcMachine):
        yield from each(client_scopes(machine), lambda scope: () if scope.contains(resource_id) else (scope,))
        return
    scopes = machine.estate.private_link_scopes
    if not scopes:
        raise NotApplicable(f"no private link scope was read that Arc machine {machine.label!r} could use")
    if any(scope.contains(resource_id) for scope in scopes):
        return
    resource = machine.estate.find(resource_id)
    if isinstance(resource, ScopableResource):
        require_reported_scopes_read(resource)
    yield None


def destinations(machine: Machine) -> Iterator[tuple[DataCollectionRule, str]]:
    """Yield the workspaces that a machine's rules send to: the first rule that does, and the id, each once.

    Raises:
        NotApplicable: there is no rule, or none of them sends to a workspace.
        EvidenceError: rules or associations were not read, or a destination does not name its workspace; raised
            last, behind the workspaces that are known.
    """
    rules: dict[str, DataCollectionRule] = {}
    found: set[str] = set()

    def sent(rule: DataCollectionRule) -> Iterator[tuple[DataCollectionRule, str]]:
        rules[rule.key] = rule
        return each(enumerate(_log_analytics(rule)), lambda entry: ((rule, _workspace_id(rule, *entry)),))

    for rule, workspace_id in each(rules_of(machine), sent):
        if key(workspace_id) not in found:
            found.add(key(workspace_id))
            yield rule, workspace_id
    if not rules:
        raise NotApplicable(f"{machine.label!r} has no data collection rule: AMPLS401 judges that")
    if not found:
        names = ", ".join(repr(rule.label) for rule in rules.values())
        raise NotApplicable(f"no data collection rule of {machine.label!r} sends to a workspace ({names})")


def rules_of(machine: Machine) -> Iterator[DataCollectionRule]:
    """Yield the rules that a machine is associated with, each once.

    Raises:
        EvidenceError: associations or rules were not read, or an association does not say what it holds; raised last,
            behind the rules that are known.
    """
    found: set[str] = set()
    for rule in each(machine.associations, _existing_rule):
        if rule.key not in found:
            found.add(rule.key)
            yield rule


def _existing_rule(association: DataCollectionRuleAssociation) -> Iterator[DataCollectionRule]:
    rule = rule_of(association)
    if rule is not None:
        yield rule


def _log_analytics(rule: DataCollectionRule) -> tuple[LogAnalyticsDestination, ...]:
    part = rule.properties.destinations
    return (part.log_analytics or ()) if part else ()


def _workspace_id(rule: DataCollectionRule, position: int, entry: LogAnalyticsDestination) -> str:
    path = f"properties.destinations.logAnalytics[{position}].workspaceResourceId"
    return needed(entry.workspace_resource_id, rule, path)


def workspaces_fed(estate: Estate) -> tuple[str, ...]:
    """Return the ids of the workspaces that the rules of any machine send to, each once.

    What could not be read of a machine or a rule is left out: the rules that judge it say why.
    """
    rules: dict[str, DataCollectionRule] = {}
    for machine in (
        *estate.known(VirtualMachine),
        *estate.known(ArcMachine),
        *estate.known(VirtualMachineScaleSet),
    ):
        with suppress(EvidenceError):
            for rule in rules_of(machine):
                rules[rule.key] = rule
    found: dict[str, str] = {}
    for rule in rules.values():
        for entry in _log_analytics(rule):
            if entry.workspace_resource_id:
                found.setdefault(key(entry.workspace_resource_id), entry.workspace_resource_id)
    return tuple(found.values())
