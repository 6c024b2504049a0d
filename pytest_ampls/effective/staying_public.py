"""Names of Azure Monitor that private DNS must leave alone."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_ampls.effective.reported_scopes import require_reported_scopes_read
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.effective.zones import monitor_zones, public_suffix
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.monitor import Workspace
from pytest_ampls.model.resource import needed

__all__ = ["names_that_stay_public"]


def names_that_stay_public(estate: Estate) -> Iterator[str]:
    """Yield the ingestion names of workspaces in no scope that accept data from public networks.

    Such a workspace has no private address, so a public answer is the only one that leads to it.

    Raises:
        EvidenceError: workspaces or scopes were not read completely, or a document lacks what decides; raised last,
            behind the names that are known.
    """
    suffixes = [suffix for suffix in map(public_suffix, monitor_zones(estate)) if suffix.startswith("ods.")]
    for owner in each(estate.workspaces, _open_to_everybody):
        yield from (f"{owner}.{suffix}" for suffix in suffixes)


def _open_to_everybody(workspace: Workspace) -> Iterator[str]:
    """Yield the workspace id of a workspace that is in no scope and accepts data from public networks."""
    if workspace.scopes:
        return
    path = "properties.publicNetworkAccessForIngestion"
    flag = needed(workspace.properties.public_network_access_for_ingestion, workspace, path)
    if flag.lower() == "enabled":
        require_reported_scopes_read(workspace)
        yield needed(workspace.properties.customer_id, workspace, "properties.customerId").lower()
