"""Who uses what: the machines behind a workspace."""

from __future__ import annotations

from pytest_ampls.model.estate import Estate
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import Workspace
from pytest_ampls.model.resource import key

__all__ = ["machines_sending_to"]


def machines_sending_to(workspace: Workspace) -> tuple[Machine, ...]:
    """Return the machines whose data collection rules have the workspace as a destination.

    Raises:
        EvidenceError: machines, associations or rules were not read completely.
    """
    return workspace.estate.once(_senders_by_workspace).get(workspace.key, ())


def _senders_by_workspace(estate: Estate) -> dict[str, tuple[Machine, ...]]:
    found: dict[str, dict[str, Machine]] = {}
    for machine in estate.machines:
        for rule in machine.data_collection_rules:
            for workspace in rule.workspace_ids:
                found.setdefault(key(workspace), {})[machine.key] = machine
    return {workspace: tuple(machines.values()) for workspace, machines in found.items()}
