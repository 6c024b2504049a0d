"""What a machine's associations and rules amount to: where it sends, and through which scopes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_ampls.catalogue import NotApplicable
from pytest_ampls.effective.name_resolution import scopes_reached
from pytest_ampls.errors import DocumentError, EvidenceError
from pytest_ampls.model.compute import ArcMachine, VirtualMachine, VirtualMachineScaleSet
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import (
    CONFIG_ENDPOINT_ASSOCIATION,
    DataCollectionRule,
    DataCollectionRuleAssociation,
    PrivateLinkScope,
)
from pytest_ampls.model.resource import key, needed

if TYPE_CHECKING:
    from pytest_ampls.model.estate import Estate

__all__ = ["client_scopes", "destinations", "misnamed_associations", "scopes_without", "workspaces_fed"]


def misnamed_associations(machine: Machine) -> tuple[DataCollectionRuleAssociation, ...]:
    """Return the associations that hold an endpoint under another name than the reserved one."""
    return tuple(
        part
        for part in machine.associations
        if part.properties.data_collection_endpoint_id and part.label != CONFIG_ENDPOINT_ASSOCIATION
    )


def client_scopes(machine: Machine) -> tuple[PrivateLinkScope, ...]:
    """Return the scopes that the DNS of a machine's VNets leads to, each once.

    Raises:
        NotApplicable: it leads to none.
        EvidenceError: it cannot be told, or the machine is in no VNet.
    """
    networks = machine.virtual_networks
    if not networks:
        raise DocumentError(
            f"{machine.NOUN} {machine.label!r} ({machine.id}) was read without a virtual network that "
            "exists: which private link scope its DNS leads to is not known"
        )
    found = {scope.key: scope for network in networks for scope in scopes_reached(network)}
    if not found:
        names = ", ".join(repr(network.label) for network in networks)
        raise NotApplicable(
            f"the DNS of {names} leads {machine.label!r} to no private link scope: the rules of name "
            "resolution (AMPLS3xx) judge that"
        )
    return tuple(found.values())


def scopes_without(machine: Machine, resource_id: str) -> tuple[PrivateLinkScope | None, ...]:
    """Return the scopes that should list a resource for a machine to reach it privately, and do not.

    An Arc machine is in no VNet that would tell its scope: any one is enough, and None stands for "no scope
    lists it".

    Raises:
        NotApplicable: there is no scope that the machine would use.
        EvidenceError: it cannot be told.
    """
    if not isinstance(machine, ArcMachine):
        return tuple(scope for scope in client_scopes(machine) if not scope.contains(resource_id))
    scopes = machine.estate.private_link_scopes
    if not scopes:
        raise NotApplicable(f"no private link scope was read that Arc machine {machine.label!r} could use")
    return () if any(scope.contains(resource_id) for scope in scopes) else (None,)


def destinations(machine: Machine) -> tuple[tuple[DataCollectionRule, str], ...]:
    """Return the workspaces that a machine's rules send to: the first rule that does, and the id, each once.

    Raises:
        NotApplicable: there is no rule, or none of them sends to a workspace.
        EvidenceError: rules or associations were not read, or a destination does not name its workspace.
    """
    rules = machine.data_collection_rules
    if not rules:
        raise NotApplicable(f"{machine.label!r} has no data collection rule: AMPLS401 judges that")
    found: dict[str, tuple[DataCollectionRule, str]] = {}
    for rule in rules:
        part = rule.properties.destinations
        for position, entry in enumerate((part.log_analytics or ()) if part else ()):
            path = f"properties.destinations.logAnalytics[{position}].workspaceResourceId"
            workspace_id = needed(entry.workspace_resource_id, rule, path)
            found.setdefault(key(workspace_id), (rule, workspace_id))
    if not found:
        names = ", ".join(repr(rule.label) for rule in rules)
        raise NotApplicable(f"no data collection rule of {machine.label!r} sends to a workspace ({names})")
    return tuple(found.values())


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
            rules.update((rule.key, rule) for rule in machine.data_collection_rules)
    found: dict[str, str] = {}
    for rule in rules.values():
        part = rule.properties.destinations
        for entry in (part.log_analytics or ()) if part else ():
            if entry.workspace_resource_id:
                found.setdefault(key(entry.workspace_resource_id), entry.workspace_resource_id)
    return tuple(found.values())
