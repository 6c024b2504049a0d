"""What belongs together though neither end lists it: links of a network, associations of a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ampls.errors import NotReadError
from pytest_ampls.model.monitor import DataCollectionRuleAssociation
from pytest_ampls.model.private_dns import VirtualNetworkLink
from pytest_ampls.model.resource import key, needed

if TYPE_CHECKING:
    from pytest_ampls.model.estate import Estate

__all__ = ["associations_by_target", "links_by_network"]


def links_by_network(estate: Estate) -> dict[str, tuple[VirtualNetworkLink, ...]]:
    """Return the links of all zones by the folded id of the VNet that they link.

    Raises:
        EvidenceError: some links were not read, or one does not tell which VNet it links.
    """
    found: dict[str, list[VirtualNetworkLink]] = {}
    for link in estate.all(VirtualNetworkLink):
        network = link.properties.virtual_network
        linked = needed(network.id if network else None, link, "properties.virtualNetwork.id")
        found.setdefault(key(linked), []).append(link)
    return {network: tuple(links) for network, links in found.items()}


def associations_by_target(estate: Estate) -> dict[str, tuple[DataCollectionRuleAssociation, ...]]:
    """Return all associations by the folded id of the machine that they belong to.

    Raises:
        EvidenceError: those of a rule or an endpoint were not read.
    """
    read = estate.scopes_read(DataCollectionRuleAssociation)
    for container in (*estate.data_collection_rules, *estate.data_collection_endpoints):
        listed_by = key(container.__dict__["_listed_by"])
        if listed_by != container.key and not read & {listed_by, container.key}:
            raise NotReadError(f"the associations of {container.NOUN} {container.id} were not read")
    found: dict[str, dict[str, DataCollectionRuleAssociation]] = {}
    for association in estate.known(DataCollectionRuleAssociation):
        found.setdefault(key(association.target_id), {})[association.key] = association
    return {target: tuple(parts.values()) for target, parts in found.items()}
