"""Which machines use no private link at all: the public services take them as they are."""

from __future__ import annotations

from pytest_ampls.catalogue import NotApplicable
from pytest_ampls.effective.boundaries import scopes_concerning
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.compute import ArcMachine
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import Workspace

__all__ = ["private_link_only"]


def private_link_only(machine: Machine) -> None:
    """Let a machine pass unless it is known that it uses no private link.

    A machine needs a configuration endpoint once its DNS is shared with a private link scope, be it another team's;
    without any private link it needs none. What cannot be told keeps nobody from being judged: the demand stands.

    Source: https://learn.microsoft.com/azure/azure-monitor/data-collection/data-collection-endpoint-overview.

    Raises:
        NotApplicable: no scope has to do with the machine's networks, and nothing that it sends to is in one.
    """
    try:
        uses_one = _near_a_scope(machine) or _sends_into_a_scope(machine)
    except EvidenceError:
        return
    if not uses_one:
        raise NotApplicable(
            f"{machine.label!r} uses no private link: no private link scope that was read has to do with its network "
            "or with what it sends to, and the public service asks for no configuration endpoint"
        )


def _near_a_scope(machine: Machine) -> bool:
    if isinstance(machine, ArcMachine):
        return bool(machine.estate.private_link_scopes)  # which one its DNS leads to is not known to Azure
    networks = machine.virtual_networks
    return not networks or any(scopes_concerning(network) for network in networks)


def _sends_into_a_scope(machine: Machine) -> bool:
    """Tell whether a workspace that the machine sends to says that it is in a scope: that one may not be read."""
    used = (part for rule in machine.data_collection_rules for part in rule.workspace_ids)
    found = (machine.estate.get(Workspace, workspace_id) for workspace_id in used)
    return any(workspace is not None and workspace.scope_references for workspace in found)
