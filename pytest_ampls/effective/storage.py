"""Storage accounts whose names a blob zone takes away."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_ampls.effective.dns_path import is_complete
from pytest_ampls.effective.name_resolution import can_route
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.effective.zone_content import look_up
from pytest_ampls.effective.zones import private_name, public_suffix
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone

__all__ = ["shadowed_accounts"]


def shadowed_accounts(zone: PrivateDnsZone) -> Iterator[tuple[VirtualNetwork, PrivateEndpoint, str]]:
    """Yield the public names in a zone's domain that private endpoints serve and the zone does not have.

    Each with the endpoint, and the first network that the zone is linked to, without a fallback, and that can
    route to the endpoint.

    Raises:
        EvidenceError: links, records, VNets, private endpoints or their interfaces were not read completely; raised
            last, behind what is known.
    """
    suffix = public_suffix(zone.origin)
    networks = tuple(_strictly_linked(zone))

    def shadowed(endpoint: PrivateEndpoint) -> Iterator[tuple[VirtualNetwork, PrivateEndpoint, str]]:
        near = next((network for network in networks if can_route(network, endpoint)), None)
        if near is None or endpoint.is_azure_monitor:
            return  # the names of Azure Monitor are AMPLS302
        for fqdn in endpoint.members:
            if fqdn.endswith("." + suffix) and look_up(zone, private_name(fqdn, zone.origin)) is None:
                yield near, endpoint, fqdn

    yield from each(zone.estate.all(PrivateEndpoint), shadowed)


def _strictly_linked(zone: PrivateDnsZone) -> Iterator[VirtualNetwork]:
    for link in zone.virtual_network_links:
        reference = link.properties.virtual_network
        if reference is None or not reference.id or link.falls_back_to_internet or not is_complete(link):
            continue
        network = zone.estate.get(VirtualNetwork, reference.id)
        if network is not None:
            yield network
