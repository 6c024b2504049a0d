"""3xx: private DNS zones, links and records, and what is answered in the end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Final

from pytest_ampls.assertions.dns_answer import FORWARDING_READ as _FORWARDING
from pytest_ampls.assertions.dns_answer import disagreement, on_answer, on_zone, phrase, zone_answer
from pytest_ampls.assertions.zone_record import (
    SAME_MEMBERS,
    empty_zone_findings,
    member_tokens,
    record_findings,
    zone_link_findings,
)
from pytest_ampls.catalogue import Evidence, Finding, Fix, NotApplicable, Severity, az_rest, rule
from pytest_ampls.effective.boundaries import (
    has_machines,
    lacking_members,
    scopes_concerning,
    scopes_in_boundary,
)
from pytest_ampls.effective.live import AnswerKind, LiveAnswer, heard, why_not_concerned
from pytest_ampls.effective.name_resolution import zone_addresses
from pytest_ampls.effective.records import require_zone_known, zone_for, zones_holding
from pytest_ampls.effective.thoroughness import each
from pytest_ampls.effective.zones import monitor_zones, private_name, relative_name, required_zones
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.monitor import ScopedResource
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone
from pytest_ampls.model.resource import ResourceId
from pytest_ampls.model.vantage import Resolver

__all__ = [
    "assert_answer_matches_configuration",
    "assert_no_empty_zone",
    "assert_private_resolution",
    "assert_records_current",
    "assert_records_present",
    "assert_single_scope_per_dns_boundary",
    "assert_zone_reaches_vnet",
]

_PRIVATE_LINK: Final = "https://learn.microsoft.com/azure/private-link/"
_FUNDAMENTALS: Final = "https://learn.microsoft.com/azure/azure-monitor/fundamentals/"
_SCOPES: Final = (
    "Microsoft.Insights/privateLinkScopes/read",
    "Microsoft.Insights/privateLinkScopes/privateLinkResources/read",
)
_MEMBERS: Final = "Microsoft.Insights/privateLinkScopes/scopedResources/read"
_CONNECTIONS: Final = "Microsoft.Insights/privateLinkScopes/privateEndpointConnections/read"
_NETWORKS: Final = "Microsoft.Network/virtualNetworks/read"
_ZONES: Final = (
    "Microsoft.Network/privateDnsZones/read",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks/read",
)
_RECORDS: Final = "Microsoft.Network/privateDnsZones/ALL/read"
_ENDPOINTS: Final = (
    "Microsoft.Network/privateEndpoints/read",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups/read",
    "Microsoft.Network/networkInterfaces/read",
)
_MACHINES: Final = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachineScaleSets/read",
)


def _require_machines(network: VirtualNetwork, judge_without_machines: bool) -> None:
    if not judge_without_machines and not has_machines(network):
        raise NotApplicable(f"no machine that was read is in virtual network {network.label!r}")


@rule(
    "AMPLS301",
    "The DNS of a client network sees every private zone that its private link scope requires",
    severity=Severity.HIGH,
    why="""Peering never shares private zones. Where a zone is linked neither to the network nor to the one that
    holds its DNS servers, its names are answered publicly, and uploads to a workspace that is closed to the
    public end in 403.""",
    fix=Fix(
        az="az network private-dns link vnet create --zone-name <zone> --resource-group <zone-resource-group> "
        "--name <network> --virtual-network <network-id> --registration-enabled false  # or, where a zone of a public "
        "name takes the names: delete the link of that zone",
        terraform='azurerm_private_dns_zone_virtual_network_link { private_dns_zone_id = "<zone-id>", '
        'virtual_network_id = "<network-id>" }  # before azurerm 5: private_dns_zone_name = "<zone>"',
        bicep="Microsoft.Network/privateDnsZones/virtualNetworkLinks '<zone>/<network>': properties: "
        "{ virtualNetwork: { id: '<network-id>' }, registrationEnabled: false }",
    ),
    learn=_PRIVATE_LINK + "private-endpoint-dns-integration",
    permissions=(*_SCOPES, _NETWORKS, *_ZONES, _RECORDS, *_ENDPOINTS, *_FORWARDING, *_MACHINES),
    controls=("NS-2",),
)
def assert_zone_reaches_vnet(
    virtual_network: VirtualNetwork, *, judge_without_machines: bool = False
) -> Iterator[Finding]:
    """Assert that each required zone is linked to the VNet in which Azure-provided DNS answers for this one.

    That is the VNet itself, or the one that holds its custom DNS server. Required are the zones of every
    scope that the VNet has to do with: by its DNS, by its own or a peer's private endpoint, or by what its
    machines send to. A private zone of a public name that is linked there must have the endpoints' own addresses.

    Args:
        virtual_network: the VNet.
        judge_without_machines: judge the VNet although no machine that was read is in it.
    """
    _require_machines(virtual_network, judge_without_machines)
    scopes = scopes_concerning(virtual_network)
    if not scopes:
        raise NotApplicable(
            f"virtual network {virtual_network.label!r} has to do with no private link scope: neither its DNS, nor "
            "its peers, nor its machines' workspaces and endpoints lead to one"
        )
    zones = dict.fromkeys(each(scopes, required_zones))
    yield from each(zones, lambda zone: zone_link_findings(virtual_network, zone, scopes))


@rule(
    "AMPLS302",
    "Every name of the private endpoint has an address record in its private zones",
    severity=Severity.HIGH,
    why="""A linked zone answers for all of its names: one that has no record does not exist for the clients
    (NXDOMAIN), although it would be found publicly.""",
    fix=Fix(
        az="az network private-dns record-set a add-record --zone-name <zone> --resource-group <zone-resource-group> "
        "--record-set-name <record> --ipv4-address <address>  # or let the endpoint's zone group write it",
        terraform='azurerm_private_endpoint "<name>" { private_dns_zone_group { '
        'private_dns_zone_ids = [… "<zone-id>"] } }',
        bicep="Microsoft.Network/privateEndpoints/privateDnsZoneGroups: properties.privateDnsZoneConfigs: "
        "[… { name: '<zone>', properties: { privateDnsZoneId: '<zone-id>' } }]",
    ),
    learn=_PRIVATE_LINK + "private-endpoint-dns",
    permissions=(*_ENDPOINTS, _NETWORKS, *_ZONES, _RECORDS),
)
def assert_records_present(private_endpoint: PrivateEndpoint) -> Iterator[Finding]:
    """Assert that the zones of the endpoint's zone group, and those linked to its VNet, have its names.

    A record set without an address counts as missing. Whether the address is right is AMPLS303.

    Args:
        private_endpoint: the private endpoint of a private link scope.
    """
    members = _members(private_endpoint)
    unread: list[EvidenceError] = []
    without_zone: set[str] = set()
    for fqdn, addresses in members.items():
        try:
            origin = zone_for(private_endpoint, fqdn)
            zones = zones_holding(private_endpoint, origin)
            if not zones and origin not in without_zone:
                require_zone_known(private_endpoint, origin)
                without_zone.add(origin)
                yield Finding.on(
                    private_endpoint,
                    f"zone {origin}",
                    expected=f"a zone {origin} with a record for {fqdn}",
                    observed="none in the endpoint's zone group, and none that its virtual network sees",
                    tokens={"zone": origin, "record": relative_name(fqdn, origin)},
                )
            for zone in zones:
                yield from _presence(private_endpoint, zone, fqdn, addresses)
        except EvidenceError as error:
            unread.append(error)
    if unread:
        raise unread[0]


def _members(endpoint: PrivateEndpoint) -> dict[str, tuple[str, ...]]:
    members = endpoint.members
    if not members:
        raise NotApplicable(f"private endpoint {endpoint.label!r} serves no name; AMPLS205 judges that")
    return members


def _presence(
    endpoint: PrivateEndpoint, zone: PrivateDnsZone, fqdn: str, right: tuple[str, ...]
) -> Iterator[Finding]:
    found = zone_addresses(zone, private_name(fqdn, zone.origin))
    if found:
        return
    label = relative_name(fqdn, zone.origin)
    tokens = {"name": endpoint.label, "record": label, "zone-id": zone.id}
    if right:
        tokens["address"] = right[0]
    yield on_zone(
        zone,
        f"A record {label}",
        expected=f"{', '.join(right) or 'an address'}, for {fqdn} of private endpoint {endpoint.label!r}",
        observed="a record set without an address" if found is not None else "no such record",
        tokens=tokens,
    )


@rule(
    "AMPLS303",
    "Every record of a private zone is the address of a live private endpoint that serves the name",
    severity=Severity.HIGH,
    why="""A record that outlived its endpoint, or that another endpoint overwrote, sends clients to an address
    that does not answer, or to a scope that does not know their resources.""",
    fix=Fix(
        az="az network private-dns record-set a delete --zone-name <zone> --resource-group <zone-resource-group> "
        "--name <record>  # then remove and add the zone in the endpoint's zone group, which writes it anew",
        terraform='terraform apply -replace of the azurerm_private_endpoint whose zone group holds "<zone>"; remove '
        'azurerm_private_dns_a_record "<record>"',
        bicep="Microsoft.Network/privateDnsZones/A '<zone>/<record>': remove it, and deploy the zone group again",
    ),
    learn=_PRIVATE_LINK + "private-endpoint-dns",
    permissions=(*_ZONES, _RECORDS, *_ENDPOINTS, *_SCOPES, _MEMBERS, _CONNECTIONS),
    controls=("NS-2",),
)
def assert_records_current(private_dns_zone: PrivateDnsZone) -> Iterator[Finding]:
    """Assert that the zone's A records are addresses of private endpoints that serve these very names.

    Told apart: a stale record (no private endpoint has the address), an overwritten one (the address of another
    endpoint), and one that was left behind (of an endpoint that another one, whose connection is approved, took the
    place of). In zones that other services share, such as blob, only Azure Monitor's names are judged.

    Args:
        private_dns_zone: the private DNS zone.
    """
    if private_dns_zone.origin not in monitor_zones(private_dns_zone.estate):
        raise NotApplicable(f"zone {private_dns_zone.label!r} is none of Azure Monitor's zones")
    yield from record_findings(private_dns_zone)


@rule(
    "AMPLS304",
    "Networks that share private zones share one private link scope",
    severity=Severity.HIGH,
    why="""The shared names (query, agent configuration, Application Insights) exist once in a zone: the endpoint
    that wrote them last takes all clients, and what is not a member of its scope is cut off. Two scopes are
    sound only while every resource is a member of both.""",
    fix=SAME_MEMBERS,
    learn=_FUNDAMENTALS + "private-link-design#plan-by-network-topology",
    permissions=(*_SCOPES, _MEMBERS, _NETWORKS, *_ZONES, _RECORDS, *_ENDPOINTS, *_FORWARDING, *_MACHINES),
    controls=("NS-2",),
)
def assert_single_scope_per_dns_boundary(
    virtual_network: VirtualNetwork, *, judge_without_machines: bool = False
) -> Iterator[Finding]:
    """Assert that one scope's endpoints write to the zones that the VNet sees, or several with the same members.

    Args:
        virtual_network: the VNet.
        judge_without_machines: judge the VNet although no machine that was read is in it.
    """
    _require_machines(virtual_network, judge_without_machines)
    found = scopes_in_boundary(virtual_network)
    if not found:
        raise NotApplicable(
            f"the DNS of virtual network {virtual_network.label!r} leads to no private link scope that was read"
        )
    scopes = [scope for scope, _ in found.values()]
    names = "; ".join(
        f"{scope.label!r} by {', '.join(repr(part.label) for part in endpoints)}"
        for scope, endpoints in found.values()
    )
    told: set[tuple[str, str]] = set()
    for scope, other, member in each(permutations(scopes, 2), lacking_members):
        if (scope.key, member.lower()) in told:
            continue
        told.add((scope.key, member.lower()))
        yield Finding.on(
            virtual_network,
            f"scopes that its private zones lead to ({names})",
            expected="one private link scope, or the same members in each",
            observed=f"{len(scopes)} scopes; {ResourceId.parse(member).name!r} is a member of {other.label!r}, not of "
            f"{scope.label!r}",
            evidence=az_rest(scope, ScopedResource.ARM_TYPE),
            tokens=member_tokens(scope, member),
        )


@rule(
    "AMPLS305",
    "No private zone is linked to a network without the records that clients need",
    severity=Severity.HIGH,
    why="""The public names of Azure Monitor are aliases of privatelink names for everybody. A linked zone without
    records therefore answers NXDOMAIN for all of them: agents and queries of every linked network stop.""",
    fix=Fix(
        az="az network private-dns link vnet delete --zone-name <zone> --resource-group <zone-resource-group> "
        "--name <link>  # or add the zone to the zone group of a private endpoint",
        terraform='azurerm_private_dns_zone_virtual_network_link "<link>": remove it, or name "<zone-id>" in the '
        "private_dns_zone_group of an azurerm_private_endpoint",
        bicep="Microsoft.Network/privateDnsZones/virtualNetworkLinks '<zone>/<link>': remove it, or name the zone in "
        "a Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    ),
    learn=_PRIVATE_LINK + "private-endpoint-dns",
    permissions=(*_ZONES, _RECORDS, *_ENDPOINTS, *_SCOPES, _MEMBERS),
)
def assert_no_empty_zone(private_dns_zone: PrivateDnsZone) -> Iterator[Finding]:
    """Assert that a zone which is linked to networks has address records, where clients ask for its names.

    Clients ask for the monitor zone's shared names always, for those of the workspace zones once a workspace is in a
    scope: records of other names are no help. Links that fall back to the internet make no name vanish and are left
    out. Single missing records are AMPLS302.

    Args:
        private_dns_zone: the private DNS zone.
    """
    if private_dns_zone.origin not in monitor_zones(private_dns_zone.estate):
        raise NotApplicable(f"zone {private_dns_zone.label!r} is none of Azure Monitor's zones")
    yield from empty_zone_findings(private_dns_zone)


_RESOLUTION_FIX: Final = Fix(
    az="az network private-dns record-set a show --zone-name <zone> --resource-group <zone-resource-group> "
    "--name <record>  # right there: let the DNS server forward <public-zone>, not the privatelink name, to "
    "168.63.129.16",
    terraform='azurerm_private_dns_resolver_forwarding_rule { domain_name = "<public-zone>." }, or '
    'azurerm_private_dns_zone_virtual_network_link for "<zone>"',
    bicep="Microsoft.Network/dnsForwardingRulesets/forwardingRules: properties.domainName: '<public-zone>.', or "
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks of '<zone>'",
)


def _heard_if_concerned(
    private_endpoint: PrivateEndpoint, resolver: Resolver
) -> tuple[dict[str, LiveAnswer], tuple[EvidenceError, ...]]:
    """Return what a vantage point answered, and what could not be heard, where the endpoint concerns it."""
    _members(private_endpoint)
    found, unheard = heard(private_endpoint, resolver)
    reason = why_not_concerned(private_endpoint, resolver, found)
    if reason is not None:
        raise NotApplicable(reason)
    return found, unheard


@rule(
    "AMPLS310",
    "Clients are answered with the private endpoint's addresses",
    severity=Severity.HIGH,
    why="""The final address decides which way the data goes. The alias through a privatelink name is there for
    everybody and proves nothing.""",
    fix=_RESOLUTION_FIX,
    learn=_PRIVATE_LINK + "private-endpoint-dns-integration",
    permissions=(*_ENDPOINTS, *_SCOPES, _NETWORKS, *_ZONES, _RECORDS, *_FORWARDING),
    controls=("NS-2",),
    evidence=(Evidence.DNS,),
)
def assert_private_resolution(private_endpoint: PrivateEndpoint, resolver: Resolver) -> Iterator[Finding]:
    """Assert that a vantage point answers each of the endpoint's names with the endpoint's addresses.

    Addresses of another endpoint of the same scope are right too. Public answers, NXDOMAIN, empty answers,
    private addresses that are not the endpoint's, and mixtures are told apart.

    Args:
        private_endpoint: the private endpoint of a private link scope.
        resolver: the vantage point.
    """
    found, unheard = _heard_if_concerned(private_endpoint, resolver)
    for fqdn, live in found.items():
        if live.kind is not AnswerKind.OWN:
            yield on_answer(
                private_endpoint,
                resolver,
                live,
                expected=f"{', '.join(sorted(live.right))}, of private endpoint {private_endpoint.label!r}",
                observed=phrase(private_endpoint, fqdn, live),
            )
    if unheard:
        raise unheard[0]


@rule(
    "AMPLS311",
    "Private endpoint, zone record and live answer are the same address",
    severity=Severity.HIGH,
    why="""Three places say where a name leads: the endpoint that has the address, the zone that names it, the DNS
    server that answers. The one that differs is the one to mend.""",
    fix=_RESOLUTION_FIX,
    learn=_PRIVATE_LINK + "private-endpoint-dns",
    permissions=(*_ENDPOINTS, *_SCOPES, _NETWORKS, *_ZONES, _RECORDS, *_FORWARDING),
    evidence=(Evidence.CONFIGURATION, Evidence.DNS),
)
def assert_answer_matches_configuration(
    private_endpoint: PrivateEndpoint, resolver: Resolver
) -> Iterator[Finding]:
    """Assert that endpoint, zone record and live answer agree for each name; the finding names the odd one out.

    The zone record is what the vantage point's VNet sees; where no VNet is known, what the endpoint's own
    zones hold.

    Args:
        private_endpoint: the private endpoint of a private link scope.
        resolver: the vantage point.
    """
    found, unheard = _heard_if_concerned(private_endpoint, resolver)
    for fqdn, live in found.items():
        observed = disagreement(
            private_endpoint, resolver, live, zone_answer(private_endpoint, resolver, fqdn)
        )
        if observed is not None:
            expected = f"one address in all three: {', '.join(sorted(live.right))}"
            yield on_answer(private_endpoint, resolver, live, expected=expected, observed=observed)
    if unheard:
        raise unheard[0]
