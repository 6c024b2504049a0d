"""3xx, third part: what the vantage points of one network say, held against each other and the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_ampls.assertions.dns_answer import FORWARDING_READ, ask_again, said_by_answer
from pytest_ampls.catalogue import Evidence, Finding, Fix, NotApplicable, Severity, rule
from pytest_ampls.effective.agreement import (
    Statement,
    compared_names,
    has_others,
    resolvers_of,
    statements,
    unasked,
)
from pytest_ampls.effective.boundaries import scopes_concerning
from pytest_ampls.effective.staying_public import names_that_stay_public
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.network import VirtualNetwork

__all__ = ["assert_public_resolution", "assert_resolvers_agree"]

_LEARN: Final = "https://learn.microsoft.com/azure/"
_NETWORKS: Final = (
    "Microsoft.Network/virtualNetworks/read",
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Network/privateEndpoints/read",
)
_ZONES: Final = (
    "Microsoft.Network/privateDnsZones/read",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks/read",
    "Microsoft.Network/privateDnsZones/ALL/read",
)
_WORKSPACES: Final = (
    "Microsoft.OperationalInsights/workspaces/read",
    "Microsoft.Insights/privateLinkScopes/read",
)


@rule(
    "AMPLS312",
    "All that answers the machines of a network gives the same answers, and those that its configuration gives",
    severity=Severity.HIGH,
    why="""Which DNS server a machine asks is chance, or its own interface's setting: where they disagree, the same
    machine is private now and public later. An answer that the configuration does not explain comes from a server
    that was changed by hand, or that forwards to somewhere else.""",
    fix=Fix(
        az="az network nic update --name <interface> --resource-group <interface-resource-group> --dns-servers ''  "
        "# and let every DNS server of <network> forward to 168.63.129.16",
        terraform='azurerm_network_interface "<interface>": remove dns_servers; azurerm_virtual_network "<network>" '
        "{ dns_servers = [the servers that agree] }",
        bicep="Microsoft.Network/networkInterfaces '<interface>': properties.dnsSettings.dnsServers: []; "
        "Microsoft.Network/virtualNetworks '<network>': properties.dhcpOptions.dnsServers",
    ),
    learn=_LEARN + "virtual-network/virtual-networks-name-resolution-for-vms-and-role-instances",
    permissions=(*_NETWORKS, *_ZONES, *FORWARDING_READ),
    evidence=(Evidence.CONFIGURATION, Evidence.DNS),
)
def assert_resolvers_agree(virtual_network: VirtualNetwork) -> Iterator[Finding]:
    """Assert that what answers for the VNet agrees: its vantage points, its configuration, its interfaces.

    Compared are the names of all private endpoints: what each vantage point of the VNet answered, what the
    configuration gives (computed), and what it gives for network interfaces with DNS servers of their own.

    Args:
        virtual_network: the VNet.
    """
    if not has_others(virtual_network):
        raise NotApplicable(
            f"nothing but the configuration answers for virtual network {virtual_network.label!r}"
            f"{unasked(virtual_network)}"
        )
    names = compared_names(virtual_network)
    if not names:
        scopes_concerning(virtual_network)  # raises where it is not known what the network has to do with
        raise NotApplicable(
            "there is no private endpoint of a private link scope, so there is no name to compare"
        )
    unread: list[EvidenceError] = []
    for fqdn in names:
        said, failures = statements(virtual_network, fqdn)
        unread += failures
        if len({statement.meaning for statement in said}) > 1 or any(each.is_mixed for each in said):
            yield _differing(virtual_network, fqdn, said)
    if unread:
        raise unread[0]


def _differing(network: VirtualNetwork, fqdn: str, said: tuple[Statement, ...]) -> Finding:
    first, *others = said
    tokens = {"network": network.label}
    own = next((each.interface for each in said if each.interface is not None), None)
    if own is not None:
        tokens |= {"interface": own.label, "interface-resource-group": own.resource_group}
    return Finding.on(
        network,
        f"answers for {fqdn}",
        expected=f"one answer: {first.text}, {first.who}",
        observed="; ".join(f"{each.text}, {each.who}" for each in others if each.meaning != first.meaning)
        or first.text,
        tokens=tokens,
    )


@rule(
    "AMPLS314",
    "Names that must stay public are answered publicly",
    severity=Severity.MEDIUM,
    why="""A workspace outside of the scope is used over its public endpoint. Where a private zone answers for its
    names too, they do not exist for the clients of this network (NXDOMAIN), or lead to a scope that does not know
    the workspace.""",
    fix=Fix(
        az="az network private-dns link vnet update --zone-name <zone> --resource-group <zone-resource-group> "
        "--name <link> --resolution-policy NxDomainRedirect  # or make the workspace a member of the scope",
        terraform='azurerm_private_dns_zone_virtual_network_link { resolution_policy = "NxDomainRedirect" }, or '
        "azurerm_monitor_private_link_scoped_service for the workspace",
        bicep="Microsoft.Network/privateDnsZones/virtualNetworkLinks: properties.resolutionPolicy: 'NxDomainRedirect', "
        "or Microsoft.Insights/privateLinkScopes/scopedResources for the workspace",
    ),
    learn=_LEARN + "azure-monitor/fundamentals/private-link-design",
    permissions=(*_WORKSPACES, "Microsoft.Network/virtualNetworks/read"),
    evidence=(Evidence.CONFIGURATION, Evidence.DNS),
)
def assert_public_resolution(
    virtual_network: VirtualNetwork, *, names: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """Assert that the VNet's vantage points answer the names with public addresses.

    Args:
        virtual_network: the VNet.
        names: the names; without any, the ingestion names of the workspaces that are in no scope and accept data
            from public networks.
    """
    unread: list[EvidenceError] = []
    declared = list(names)
    try:
        declared += () if names else names_that_stay_public(virtual_network.estate)
    except EvidenceError as error:
        unread.append(error)
    if not declared and not unread:
        raise NotApplicable(
            "no name is declared to stay public, and no workspace outside of all scopes is open"
        )
    resolvers = resolvers_of(virtual_network)
    if not resolvers:
        raise NotApplicable(
            f"virtual network {virtual_network.label!r} has no vantage point{unasked(virtual_network)}"
        )
    for resolver in resolvers:
        for name in declared:
            try:
                answer = resolver.resolve(name)
            except EvidenceError as error:
                unread.append(error)
                continue
            if said_by_answer(answer) != {"public"}:
                yield Finding.on(
                    virtual_network,
                    f"{name} asked from {resolver.name}",
                    expected="a public address",
                    observed=", ".join(answer.addresses) or answer.status,
                    evidence=ask_again(resolver, answer),
                )
    if unread:
        raise unread[0]
