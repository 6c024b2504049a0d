"""208: whether network security groups let clients through to the private endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import AddressValueError, IPv4Network
from typing import Final, NamedTuple

from pytest_ampls.catalogue import Finding, Fix, NotApplicable, Severity, rule
from pytest_ampls.effective.client_subnets import ClientSubnet, client_subnets, group_id
from pytest_ampls.effective.name_resolution import can_route
from pytest_ampls.effective.packet_filter import Flow, Side, decide
from pytest_ampls.errors import DocumentError, EvidenceError, NotReadError
from pytest_ampls.model.network import PrivateEndpoint, Subnet, VirtualNetwork
from pytest_ampls.model.network_security import NetworkSecurityGroup, SecurityRule
from pytest_ampls.model.resource import needed

__all__ = ["assert_nsg_allows_endpoint"]

_FILTERED: Final = frozenset({"enabled", "networksecuritygroupenabled"})
_UNFILTERED: Final = frozenset({"disabled", "routetableenabled"})
_SHOWN: Final = 3
_FIRST_PRIORITY: Final = 100
_LAST_PRIORITY: Final = 4096

Stop = tuple[ClientSubnet, NetworkSecurityGroup, SecurityRule, str]
"""Where connections end: from which subnet, at which group, by which rule, in which direction."""


@rule(
    "AMPLS208",
    "Network security groups let clients through to the private endpoint on port 443",
    severity=Severity.HIGH,
    why="""A rule that denies port 443 to the private endpoint leaves its clients with a name that resolves and an
    address that never answers: agents and queries time out, and nothing in Azure Monitor says why.""",
    fix=Fix(
        az="az network nsg rule create --nsg-name <nsg> --resource-group <nsg-resource-group> "
        "--name allow-azure-monitor-private-link --priority <priority> --direction <direction> --access Allow "
        "--protocol Tcp --source-address-prefixes <source> --destination-address-prefixes <destination> "
        "--destination-port-ranges 443  # tried before <rule>",
        terraform='azurerm_network_security_rule { network_security_group_name = "<nsg>", direction = "<direction>", '
        'access = "Allow", protocol = "Tcp", source_address_prefix = "<source>", destination_address_prefix = '
        '"<destination>", destination_port_range = "443", priority = <priority> }',
        bicep="Microsoft.Network/networkSecurityGroups/securityRules: direction: '<direction>', access: 'Allow', "
        "protocol: 'Tcp', sourceAddressPrefix: '<source>', destinationAddressPrefix: '<destination>', "
        "destinationPortRange: '443', priority: <priority>",
    ),
    learn="https://learn.microsoft.com/azure/virtual-network/network-security-group-how-it-works",
    permissions=(
        "Microsoft.Network/privateEndpoints/read",
        "Microsoft.Network/networkInterfaces/read",
        "Microsoft.Network/networkSecurityGroups/read",
        "Microsoft.Network/virtualNetworks/read",
        "Microsoft.Compute/virtualMachineScaleSets/read",
    ),
    controls=("NS-1",),
)
def assert_nsg_allows_endpoint(private_endpoint: PrivateEndpoint) -> Iterator[Finding]:
    """Assert that no network security group stops TCP 443 from machines to the endpoint's addresses.

    Judged are the machines of the endpoint's VNet and of its peers, with the groups of their interfaces and of
    their subnets (outbound), and with the group of the endpoint's subnet (inbound) where its network policies
    cover groups. Rules of Azure Virtual Network Manager and firewalls are not judged.

    Args:
        private_endpoint: the private endpoint of a private link scope.
    """
    clients, unread = _clients(private_endpoint)
    if not clients and not unread:
        raise NotApplicable(
            f"no machine is in a virtual network that reaches private endpoint {private_endpoint.label!r} by itself"
        )
    if not private_endpoint.addresses:
        raise NotReadError(
            f"private endpoint {private_endpoint.label!r} has no address: AMPLS205 judges that"
        )
    for client, network in clients:
        try:
            yield from _judge(private_endpoint, client, network)
        except EvidenceError as error:
            unread.append(error)
    if unread:
        raise unread[0]


def _clients(
    endpoint: PrivateEndpoint,
) -> tuple[list[tuple[ClientSubnet, VirtualNetwork]], list[EvidenceError]]:
    """Return the subnets whose machines reach an endpoint by themselves, and why some could not be told."""
    found: list[tuple[ClientSubnet, VirtualNetwork]] = []
    unread: list[EvidenceError] = []
    for client in client_subnets(endpoint.estate):
        try:
            network = endpoint.estate.get(VirtualNetwork, client.network_id)
        except EvidenceError as error:
            unread.append(error)
            continue
        if network is not None and can_route(network, endpoint):
            found.append((client, network))
    return found, unread


class _Stopped(NamedTuple):
    """What one rule stops: addresses of the endpoint, and the clients' prefixes; both in order, as keys."""

    rule: SecurityRule
    addresses: dict[str, None]
    sources: dict[str, None]


def _judge(endpoint: PrivateEndpoint, client: ClientSubnet, network: VirtualNetwork) -> Iterator[Finding]:
    """Compare what leaves a subnet, and what enters the endpoint's, with what the groups there let through."""
    place = client.place(network)
    own = group_id(place.properties.network_security_group, network, f"subnets[{place.name}]")
    gates = [(group, "Outbound") for group in (client.interface_group, own) if group]
    inbound = _group_of_endpoint(endpoint)
    if inbound is not None:
        gates.append((inbound, "Inbound"))
    if not gates:
        return
    there = _endpoint_subnet(endpoint)[0]
    for gate, direction in gates:
        group = _group(endpoint, gate)
        stopped: dict[str | None, _Stopped] = {}
        for address in sorted(_addresses(endpoint)):
            for rule_that_denies, source in _denials(group, client, network, (there, address), direction):
                found = stopped.setdefault(rule_that_denies.name, _Stopped(rule_that_denies, {}, {}))
                found.addresses[str(address[0])] = None
                found.sources[str(source)] = None
        for denying, addresses, sources in stopped.values():
            yield _finding(endpoint, (client, group, denying, direction), list(addresses), list(sources))


def _denials(
    group: NetworkSecurityGroup,
    client: ClientSubnet,
    network: VirtualNetwork,
    target: tuple[VirtualNetwork, IPv4Network],
    direction: str,
) -> Iterator[tuple[SecurityRule, IPv4Network]]:
    """Yield the rules by which a group stops a subnet's clients, judged together where that can be told, and which."""
    destination = Side(network=target[0], addresses=target[1])
    whole = client.place(network).prefixes
    for sources in filter(None, (whole, client.addresses)):
        flows = [
            Flow(source=Side(network=network, addresses=part), destination=destination, direction=direction)
            for part in sources
        ]
        try:
            decisions = [decide(group, flow) for flow in flows]
        except DocumentError:
            if sources is client.addresses:
                raise
            continue  # a rule is about a part of the subnet: then each of its clients is judged
        for part, (allowed, found) in zip(sources, decisions, strict=True):
            if not allowed:
                yield found, part
        return


def _addresses(endpoint: PrivateEndpoint) -> Iterable[IPv4Network]:
    for address in endpoint.addresses:
        try:
            yield IPv4Network(address)
        except (AddressValueError, ValueError):
            raise DocumentError(
                f"{endpoint.NOUN} {endpoint.label!r} ({endpoint.id}) has an address that is none: {address!r}"
            ) from None


def _endpoint_subnet(endpoint: PrivateEndpoint) -> tuple[VirtualNetwork, Subnet]:
    reference = endpoint.properties.subnet
    subnet_id = needed(reference.id if reference else None, endpoint, "properties.subnet.id")
    place = needed(endpoint.virtual_network_id, endpoint, "properties.subnet.id")
    network = needed(endpoint.estate.get(VirtualNetwork, place), endpoint, f"the virtual network {place}")
    return network, needed(network.subnet(subnet_id), network, f"the subnet {subnet_id}")


def _group_of_endpoint(endpoint: PrivateEndpoint) -> str | None:
    """Return the id of the group that filters what enters an endpoint, None where its subnet's is not for it."""
    network, subnet = _endpoint_subnet(endpoint)
    group = group_id(subnet.properties.network_security_group, network, f"subnets[{subnet.name}]")
    if group is None:
        return None
    path = f"properties.subnets[{subnet.name}].properties.privateEndpointNetworkPolicies"
    policies = needed(subnet.properties.private_endpoint_network_policies, network, path)
    if policies.lower() not in _FILTERED | _UNFILTERED:
        raise DocumentError(
            f"{network.NOUN} {network.label!r} ({network.id}): {path} is {policies!r}: unknown"
        )
    return group if policies.lower() in _FILTERED else None


def _group(endpoint: PrivateEndpoint, named: str) -> NetworkSecurityGroup:
    group = endpoint.estate.get(NetworkSecurityGroup, named)
    if group is None:
        raise DocumentError(f"the network security group {named} is named by a subnet, and does not exist")
    return group


def _finding(endpoint: PrivateEndpoint, stop: Stop, addresses: list[str], sources: list[str]) -> Finding:
    client, group, denying, direction = stop
    short = [address.removesuffix("/32") for address in addresses]
    shown = ", ".join(short[:_SHOWN]) + (" …" if len(short) > _SHOWN else "")
    return Finding.on(
        group,
        f"securityRules[{denying.name}] ({direction.lower()})",
        expected=f"TCP 443 from subnet {client.label} to private endpoint {endpoint.label!r} is allowed",
        observed=f"rule {denying.name!r} (priority {denying.properties.priority}) denies it to {len(short)} of "
        f"{len(endpoint.addresses)} addresses: {shown}",
        tokens={
            **_tokens(stop, endpoint),
            "client": client.subnet_id,
            "client-nsg": client.interface_group or "",
            "client-prefixes": " ".join(sources),
            "denied": " ".join(short),
        },
    )


def _tokens(stop: Stop, endpoint: PrivateEndpoint) -> Mapping[str, str]:
    client, group, denying, direction = stop
    destinations = _endpoint_subnet(endpoint)[1].prefixes
    return {
        "nsg": group.label,
        "nsg-resource-group": group.resource_group,
        "rule": denying.name or "",
        "direction": direction,
        "destination": str(destinations[0]) if destinations else "<endpoint-subnet>",
        "source": _enclosing(client, endpoint) if direction == "Inbound" else "VirtualNetwork",
        "priority": _free_priority(group, denying, direction),
    }


def _enclosing(client: ClientSubnet, endpoint: PrivateEndpoint) -> str:
    """Return the prefix of the clients' subnet."""
    network = endpoint.estate.get(VirtualNetwork, client.network_id)
    prefixes = client.place(network).prefixes if network is not None else ()
    return str((*prefixes, *client.addresses)[0])


def _free_priority(group: NetworkSecurityGroup, denying: SecurityRule, direction: str) -> str:
    """Return the highest number before a rule's that no rule of the direction has."""
    used = {found.properties.priority for found in group.rules(direction)}
    last = min(denying.properties.priority or 0, _LAST_PRIORITY + 1)
    free = (number for number in range(last - 1, _FIRST_PRIORITY - 1, -1) if number not in used)
    return str(next(free, "<priority>"))
