"""206, 207, 209: the network around the private endpoint: its subnet, and the way to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_ampls.assertions.expectation import one_of
from pytest_ampls.catalogue import Finding, Fix, NotApplicable, Severity, az_rest, rule
from pytest_ampls.effective.name_resolution import endpoints_reached
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.model.network import (
    NetworkInterface,
    Peering,
    PrivateEndpoint,
    Subnet,
    VirtualNetwork,
)
from pytest_ampls.model.resource import key, needed, same_id

__all__ = ["assert_endpoint_network_policies", "assert_route_to_endpoint", "assert_subnet_capacity"]

_LEARN: Final = "https://learn.microsoft.com/azure/"
_ENDPOINTS_READ: Final = "Microsoft.Network/privateEndpoints/read"
_NETWORKS_READ: Final = "Microsoft.Network/virtualNetworks/read"
_NICS_READ: Final = "Microsoft.Network/networkInterfaces/read"

_SMALLEST: Final = 32
"""Addresses of a /27, the smallest subnet that the configuration guide allows for a scope's endpoint."""
_RESERVED: Final = 5
"""Addresses that Azure keeps of each prefix of a subnet: the first four and the last."""
_POLICIES: Final = ("Disabled", "Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled")


def _place(endpoint: PrivateEndpoint) -> tuple[VirtualNetwork, Subnet]:
    """Return the VNet and the subnet of an endpoint.

    Raises:
        EvidenceError: the VNet was not read, or has no such subnet.
    """
    reference = endpoint.properties.subnet
    subnet_id = needed(reference.id if reference else None, endpoint, "properties.subnet.id")
    holder = needed(endpoint.virtual_network_id, endpoint, "properties.subnet.id")
    network = needed(
        endpoint.estate.get(VirtualNetwork, holder), endpoint, f"a virtual network that exists ({holder})"
    )
    subnet = needed(network.subnet(subnet_id), endpoint, f"a subnet that exists ({subnet_id})")
    return network, subnet


def _on_subnet(
    endpoint: PrivateEndpoint,
    network: VirtualNetwork,
    subnet: Subnet,
    path: str,
    *,
    expected: str,
    observed: str,
) -> Finding:
    name = subnet.name or "<subnet>"
    return Finding.on(
        endpoint,
        f"{path} of subnet {network.label}/{name}",
        expected=expected,
        observed=observed,
        evidence=az_rest(network),
        tokens={
            "subnet": name,
            "expected": expected,
            "subnet-id": subnet.id or "<subnet-id>",
            "network": network.label,
            "network-resource-group": network.resource_group,
        },
    )


@rule(
    "AMPLS206",
    "The endpoint's subnet is a /27 or larger, and has addresses left for what joins the scope",
    severity=Severity.LOW,
    why="""A scope's endpoint takes eleven addresses for a single workspace, and more for each workspace and data
    collection endpoint that joins. Where the subnet is full their names get no address and stay public.""",
    fix=Fix(
        az="az network vnet subnet update --ids <subnet-id> --address-prefixes <larger-prefix>  # possible while the "
        "virtual network has room after it",
        terraform='azurerm_subnet "<subnet>" { address_prefixes = ["<larger-prefix>"] }',
        bicep="Microsoft.Network/virtualNetworks/subnets '<network>/<subnet>': properties.addressPrefix: "
        "'<larger-prefix>'",
    ),
    learn=_LEARN + "azure-monitor/fundamentals/private-link-configure",
    permissions=(_ENDPOINTS_READ, _NETWORKS_READ, _NICS_READ),
)
def assert_subnet_capacity(private_endpoint: PrivateEndpoint, *, free: int = 3) -> Iterator[Finding]:
    """Assert that the endpoint's subnet is large enough and has addresses left.

    Counted as taken are the addresses of all interfaces, and of whatever else the subnet's document names. Azure
    keeps five of each prefix. IPv6 prefixes are not counted: the endpoint has no use for them.

    Args:
        private_endpoint: the private endpoint of a private link scope.
        free: addresses that must be left; a workspace or a data collection endpoint that joins takes three.
    """
    network, subnet = _place(private_endpoint)
    prefixes = needed(subnet.prefixes or None, network, f"an IPv4 prefix of subnet {subnet.name}")
    size = sum(prefix.num_addresses for prefix in prefixes)
    where = ", ".join(map(str, prefixes))
    if size < _SMALLEST:
        yield _on_subnet(
            private_endpoint,
            network,
            subnet,
            "addressPrefix",
            expected="/27 or larger",
            observed=f"{where}, {size} addresses",
        )
    taken = len(_taken(private_endpoint, subnet))
    left = size - _RESERVED * len(prefixes) - taken
    if left < free:
        yield _on_subnet(
            private_endpoint,
            network,
            subnet,
            "free addresses",
            expected=f"{free} or more",
            observed=f"{max(left, 0)} of {size} in {where}: {taken} are taken, "
            f"{_RESERVED * len(prefixes)} are kept by Azure",
        )


def _taken(endpoint: PrivateEndpoint, subnet: Subnet) -> set[str]:
    """Return the ids, in comparable form, of the IP configurations in a subnet.

    Interfaces and subnet are read one after the other, and neither has everything: instances of Uniform scale sets and
    load balancers are no interfaces of a listing, and a subnet's array may be left out.
    """
    found = {key(part.id) for part in subnet.properties.ip_configurations or () if part.id}
    for nic in endpoint.estate.all(NetworkInterface):
        for number, part in enumerate(nic.properties.ip_configurations or ()):
            inside = part.properties.subnet
            if inside is not None and same_id(inside.id, subnet.id):
                found.add(f"{nic.key}/ipconfigurations/{(part.name or str(number)).lower()}")
    return found


@rule(
    "AMPLS207",
    "A network whose DNS leads to a private endpoint has a route to it",
    severity=Severity.HIGH,
    why="""Private addresses are only routed inside of a network, to its connected peers, and by what was set up for
    it. Where DNS leads clients to an endpoint that they have no route to, every connection times out.""",
    fix=Fix(
        az="az network vnet peering create --name <peering> --vnet-name <name> --resource-group <resource-group> "
        "--remote-vnet <remote-id> --allow-vnet-access  # and the same from the other side",
        terraform='azurerm_virtual_network_peering { virtual_network_name = "<name>", remote_virtual_network_id = '
        '"<remote-id>", allow_virtual_network_access = true }, once for each side',
        bicep="Microsoft.Network/virtualNetworks/virtualNetworkPeerings '<name>/<peering>': properties: "
        "{ remoteVirtualNetwork: { id: '<remote-id>' }, allowVirtualNetworkAccess: true }, once for each side",
    ),
    learn=_LEARN + "virtual-network/virtual-network-manage-peering",
    permissions=(
        _NETWORKS_READ,
        _ENDPOINTS_READ,
        _NICS_READ,
        "Microsoft.Network/privateDnsZones/read",
        "Microsoft.Network/privateDnsZones/virtualNetworkLinks/read",
        "Microsoft.Network/privateDnsZones/ALL/read",
    ),
    controls=("NS-2",),
)
def assert_route_to_endpoint(virtual_network: VirtualNetwork, *, routed: bool = False) -> Iterator[Finding]:
    """Assert that the VNet holds the endpoint that its DNS leads to, or is peered with the VNet that does.

    Both sides of the peering must be Connected and let traffic through. VPN, ExpressRoute, Virtual WAN and network
    virtual appliances are no part of what is read: say ``routed`` where one of them leads there.

    Args:
        virtual_network: the VNet.
        routed: the VNet has another route to the endpoint.
    """
    endpoints = endpoints_reached(virtual_network)
    if not endpoints:
        raise NotApplicable(
            f"the DNS of virtual network {virtual_network.label!r} leads to no private endpoint: AMPLS301 judges that"
        )
    elsewhere: dict[str, PrivateEndpoint] = {}
    for endpoint in endpoints:
        place = needed(endpoint.virtual_network_id, endpoint, "properties.subnet.id")
        if not same_id(place, virtual_network.id):
            elsewhere.setdefault(key(place), endpoint)
    if not routed:
        yield from each(elsewhere.values(), lambda endpoint: _no_way_to(virtual_network, endpoint))


def _no_way_to(virtual_network: VirtualNetwork, endpoint: PrivateEndpoint) -> Iterator[Finding]:
    remote, _ = _place(endpoint)
    sides = [(virtual_network, remote), (remote, virtual_network)]
    wrong = [found for side in sides if (found := _way(*side))]
    if wrong:
        yield Finding.on(
            virtual_network,
            f"way to private endpoint {endpoint.label} in virtual network {remote.label}",
            expected=f"a peering with {remote.label!r}, Connected on both sides and open to traffic, or another "
            "route (expected with routed = true)",
            observed="; ".join(wrong),
            tokens={"remote-id": remote.id, "peering": f"{virtual_network.label}-to-{remote.label}"},
        )


def _way(local: VirtualNetwork, remote: VirtualNetwork) -> str:
    """Return what is wrong with one side of a peering, ``""`` where nothing is."""
    found = [
        part for part in local.properties.virtual_network_peerings or () if _leads_to(local, part, remote)
    ]
    if not found:
        return f"{local.label!r} has no peering with {remote.label!r}"
    parts = found[0].properties
    state = needed(parts.peering_state, local, "properties.virtualNetworkPeerings[].properties.peeringState")
    if state.lower() != "connected":
        return f"the peering of {local.label!r} with {remote.label!r} is {state}"
    if parts.allow_virtual_network_access is False:
        return f"the peering of {local.label!r} with {remote.label!r} has allowVirtualNetworkAccess false"
    return ""


def _leads_to(local: VirtualNetwork, peering: Peering, remote: VirtualNetwork) -> bool:
    reference = peering.properties.remote_virtual_network
    path = f"properties.virtualNetworkPeerings[{peering.name}].properties.remoteVirtualNetwork.id"
    return same_id(needed(reference.id if reference else None, local, path), remote.id)


@rule(
    "AMPLS209",
    "Network policies for private endpoints are what they are meant to be in the endpoint's subnet",
    severity=Severity.MEDIUM,
    why="""Without network policies, security groups and routes do not apply to the endpoint: its /32 route takes
    traffic past the firewall in the hub. With them, a security group or a route may cut the agents off.""",
    fix=Fix(
        az="az network vnet subnet update --ids <subnet-id> --private-endpoint-network-policies <expected>",
        terraform='azurerm_subnet "<subnet>" { private_endpoint_network_policies = "<expected>" }',
        bicep="Microsoft.Network/virtualNetworks/subnets '<network>/<subnet>': "
        "properties.privateEndpointNetworkPolicies: '<expected>'",
    ),
    learn=_LEARN + "private-link/disable-private-endpoint-network-policy",
    permissions=(_ENDPOINTS_READ, _NETWORKS_READ),
    controls=("NS-1",),
)
def assert_endpoint_network_policies(
    private_endpoint: PrivateEndpoint, *, expected: str = "Disabled"
) -> Iterator[Finding]:
    """Assert that ``privateEndpointNetworkPolicies`` of the endpoint's subnet is the expected value.

    Args:
        private_endpoint: the private endpoint of a private link scope.
        expected: Disabled (Azure's default), Enabled, NetworkSecurityGroupEnabled or RouteTableEnabled.

    Raises:
        ConfigurationError: there is no such value.
    """
    expected = one_of(_POLICIES, expected)
    network, subnet = _place(private_endpoint)
    path = "properties.privateEndpointNetworkPolicies"
    observed = needed(
        subnet.properties.private_endpoint_network_policies, network, f"{path} of subnet {subnet.name}"
    )
    if observed.lower() != expected.lower():
        yield _on_subnet(private_endpoint, network, subnet, path, expected=expected, observed=observed)
