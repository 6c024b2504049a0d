"""Names of Azure Monitor that private DNS must leave alone."""

from __future__ import annotations

from pytest_ampls.effective.zones import monitor_zones, public_suffix
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.resource import needed

__all__ = ["names_that_stay_public"]


def names_that_stay_public(estate: Estate) -> tuple[str, ...]:
    """Return the ingestion names of workspaces in no scope that accept data from public networks.

    Such a workspace has no private address, so a public answer is the only one that leads to it.

    Raises:
        EvidenceError: workspaces or scopes were not read completely, or a document lacks what decides.
    """
    suffixes = [suffix for suffix in map(public_suffix, monitor_zones(estate)) if suffix.startswith("ods.")]
    found = []
    for workspace in estate.workspaces:
        flag = workspace.properties.public_network_access_for_ingestion or "Enabled"
        if workspace.scopes or flag.lower() != "enabled":
            continue
        owner = needed(workspace.properties.customer_id, workspace, "properties.customerId").lower()
        found += [f"{owner}.{suffix}" for suffix in suffixes]
    return tuple(found)
