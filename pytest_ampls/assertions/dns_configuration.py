"""3xx, second part: what else the configuration of private DNS must be so that all names lead the same way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pytest_ampls.assertions.dns_answer import FORWARDING_READ, on_zone
from pytest_ampls.assertions.expectation import one_of
from pytest_ampls.catalogue import Finding, Fix, NotApplicable, Severity, az_rest, rule
from pytest_ampls.effective.boundaries import has_machines, scopes_concerning
from pytest_ampls.effective.forwarding import forwarders, misdirections
from pytest_ampls.effective.name_resolution import resolving_networks, zones_seen
from pytest_ampls.effective.storage import shadowed_accounts
from pytest_ampls.effective.zones import monitor_zones, public_suffix, required_zones
from pytest_ampls.model.dns_resolver import DnsForwardingRuleset, ForwardingRule
from pytest_ampls.model.network import VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone, VirtualNetworkLink
from pytest_ampls.model.resource import ResourceId

__all__ = [
    "assert_blob_zone_shared",
    "assert_forwarders",
    "assert_no_internet_fallback",
    "assert_zones_consistent",
]

_LEARN: Final = "https://learn.microsoft.com/azure/"
_NETWORKS: Final = "Microsoft.Network/virtualNetworks/read"
_ZONES: Final = (
    "Microsoft.Network/privateDnsZones/read",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks/read",
)
_RECORDS: Final = "Microsoft.Network/privateDnsZones/ALL/read"
_ENDPOINTS: Final = ("Microsoft.Network/privateEndpoints/read", "Microsoft.Network/networkInterfaces/read")
_SCOPES: Final = (
    "Microsoft.Insights/privateLinkScopes/read",
    "Microsoft.Insights/privateLinkScopes/privateLinkResources/read",
)
_MACHINES: Final = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachineScaleSets/read",
)


@rule(
    "AMPLS306",
    "The blob zone takes no storage account's name away from the networks it is linked to",
    severity=Severity.HIGH,
    why="""The zone of solution packs is the zone of every storage account with a private endpoint. Linked to a
    network, it answers for all of them: an account whose record is in another zone of that name does not exist
    for the network any more (NXDOMAIN).""",
    fix=Fix(
        az="az network private-endpoint dns-zone-group add --endpoint-name <endpoint> --name default "
        "--resource-group <endpoint-resource-group> --private-dns-zone <zone-id> --zone-name blob",
        terraform='azurerm_private_endpoint "<endpoint>" { private_dns_zone_group { '
        'private_dns_zone_ids = ["<zone-id>"] } }',
        bicep="Microsoft.Network/privateEndpoints/privateDnsZoneGroups '<endpoint>/default': "
        "properties.privateDnsZoneConfigs: [{ name: 'blob', properties: { privateDnsZoneId: '<zone-id>' } }]",
    ),
    learn=_LEARN + "private-link/private-endpoint-dns",
    permissions=(*_ZONES, _RECORDS, _NETWORKS, *_ENDPOINTS),
)
def assert_blob_zone_shared(private_dns_zone: PrivateDnsZone) -> Iterator[Finding]:
    """Assert that a linked blob zone has the storage accounts whose private endpoints its networks can reach.

    Those are the private endpoints in a linked network or in a connected peer of it. A link that falls back to
    the internet takes no name away.

    Args:
        private_dns_zone: the private DNS zone.
    """
    suffix = public_suffix(private_dns_zone.origin)
    if not suffix.startswith("blob.") or private_dns_zone.origin not in monitor_zones(
        private_dns_zone.estate
    ):
        raise NotApplicable(f"zone {private_dns_zone.label!r} is not the blob zone")
    if not private_dns_zone.virtual_network_links:
        raise NotApplicable(f"zone {private_dns_zone.label!r} is linked to no network")
    for network, endpoint, fqdn in shadowed_accounts(private_dns_zone):
        yield on_zone(
            private_dns_zone,
            f"record {fqdn.removesuffix('.' + suffix)}",
            expected=f"a record for {fqdn}, of private endpoint {endpoint.label!r}",
            observed=f"none: NXDOMAIN for {fqdn} in virtual network {network.label!r}",
            tokens={"endpoint": endpoint.label, "endpoint-resource-group": endpoint.resource_group},
        )


@rule(
    "AMPLS307",
    "Links of private zones treat a missing record as intended",
    severity=Severity.MEDIUM,
    why="""A link that falls back to the internet answers a name without a record publicly: a record that was lost
    is not noticed, and the data leaves by the public way.""",
    fix=Fix(
        az="az network private-dns link vnet update --zone-name <zone> --resource-group <zone-resource-group> "
        "--name <link> --resolution-policy <expected>",
        terraform='azurerm_private_dns_zone_virtual_network_link "<link>" { resolution_policy = "<expected>" }',
        bicep="Microsoft.Network/privateDnsZones/virtualNetworkLinks '<zone>/<link>': properties.resolutionPolicy: "
        "'<expected>'",
    ),
    learn=_LEARN + "dns/private-dns-fallback",
    permissions=_ZONES,
    controls=("NS-2",),
)
def assert_no_internet_fallback(
    private_dns_zone: PrivateDnsZone, *, expected: str = "Default"
) -> Iterator[Finding]:
    """Assert that every link of the zone has the expected resolution policy.

    A link without a policy has ``Default``.

    Args:
        private_dns_zone: the private DNS zone.
        expected: ``Default`` (a missing record does not exist) or ``NxDomainRedirect`` (it is looked up
            publicly).
    """
    expected = one_of(("Default", "NxDomainRedirect"), expected)
    if private_dns_zone.origin not in monitor_zones(private_dns_zone.estate):
        raise NotApplicable(f"zone {private_dns_zone.label!r} is none of Azure Monitor's zones")
    links = private_dns_zone.virtual_network_links
    if not links:
        raise NotApplicable(f"zone {private_dns_zone.label!r} is linked to no network")
    for link in links:
        policy = link.properties.resolution_policy or "Default"
        if policy.lower() != expected.lower():
            yield on_zone(
                private_dns_zone,
                f"virtualNetworkLinks/{link.label}: properties.resolutionPolicy",
                expected=expected,
                observed=policy,
                evidence=az_rest(private_dns_zone, VirtualNetworkLink.ARM_TYPE),
                tokens={"link": link.label, "expected": expected},
            )


@rule(
    "AMPLS308",
    "Forwarding rules send the public names to where the private zones are",
    severity=Severity.HIGH,
    why="""Clients ask for the public names; the privatelink names are only aliases of them. A rule for a privatelink
    name is the wrong one, and a domain without a rule is answered publicly, so that some of the data is private
    and some is not.""",
    fix=Fix(
        az="az dns-resolver forwarding-rule create --ruleset-name <ruleset> --resource-group <ruleset-resource-group> "
        "--name <rule> --domain-name <public-zone>. --forwarding-rule-state Enabled "
        '--target-dns-servers \'[{"ip-address":"<inbound-endpoint-address>","port":53}]\'',
        terraform='azurerm_private_dns_resolver_forwarding_rule { domain_name = "<public-zone>.", enabled = true, '
        'target_dns_servers { ip_address = "<inbound-endpoint-address>", port = 53 } }',
        bicep="Microsoft.Network/dnsForwardingRulesets/forwardingRules: properties: { domainName: '<public-zone>.', "
        "targetDnsServers: [{ ipAddress: '<inbound-endpoint-address>', port: 53 }] }",
    ),
    learn=_LEARN + "private-link/private-endpoint-dns-integration",
    permissions=(*FORWARDING_READ, *_SCOPES, _NETWORKS, *_ZONES, _RECORDS, *_ENDPOINTS, *_MACHINES),
    controls=("NS-2",),
)
def assert_forwarders(
    virtual_network: VirtualNetwork, *, judge_without_machines: bool = False
) -> Iterator[Finding]:
    """Assert that rulesets forward the names of every required zone to a network that the zone is linked to.

    Judged are the rulesets linked to the VNets whose Azure-provided DNS the network asks. A zone that is linked
    there needs no rule.

    Args:
        virtual_network: the VNet.
        judge_without_machines: judge the VNet although no machine that was read is in it.
    """
    origins = _required(virtual_network, judge_without_machines)
    forwarding = forwarders(virtual_network, origins)
    if not forwarding:
        raise NotApplicable(
            f"no forwarding ruleset that applies to virtual network {virtual_network.label!r} has a rule for names "
            "of Azure Monitor"
        )
    for asked in forwarding:
        for origin in origins:
            for wrong in misdirections(asked, origin):
                yield _on_rule(virtual_network, asked, origin, wrong.rule, wrong.observed)


def _on_rule(
    network: VirtualNetwork,
    asked: VirtualNetwork,
    origin: str,
    forwarding: ForwardingRule | None,
    observed: str,
) -> Finding:
    rulesets = [
        found for found in network.estate.all(DnsForwardingRuleset) if asked.key in found.network_keys
    ]
    ruleset = rulesets[0]
    if forwarding is not None:
        named = ResourceId.parse(forwarding.id).parent or ""
        ruleset = next((found for found in rulesets if found.key == named.lower()), ruleset)
    return Finding.on(
        network,
        f"rule for {public_suffix(origin)} in ruleset {ruleset.label}",
        expected=f"{public_suffix(origin)}. to a network that zone {origin} is linked to",
        observed=observed,
        evidence=az_rest(ruleset, ForwardingRule.ARM_TYPE),
        tokens={
            "zone": origin,
            "public-zone": public_suffix(origin),
            "ruleset": ruleset.label,
            "ruleset-resource-group": ruleset.resource_group,
        },
    )


def _required(network: VirtualNetwork, judge_without_machines: bool) -> tuple[str, ...]:
    """Return the zones that a VNet needs.

    Raises:
        NotApplicable: no machine is in it, or it has to do with no scope.
    """
    if not judge_without_machines and not has_machines(network):
        raise NotApplicable(f"no machine that was read is in virtual network {network.label!r}")
    origins = dict.fromkeys(zone for scope in scopes_concerning(network) for zone in required_zones(scope))
    if not origins:
        raise NotApplicable(f"virtual network {network.label!r} has to do with no private link scope")
    return tuple(origins)


@rule(
    "AMPLS309",
    "A client network sees all required zones, or none: not some names private and some public",
    severity=Severity.HIGH,
    why="""The parts of Azure Monitor work together: an agent that gets its configuration privately and uploads
    publicly, or the other way round, is refused where the scope or the workspace is closed. The portal shows
    nothing of it.""",
    fix=Fix(
        az="az network private-dns link vnet create --zone-name <zone> --resource-group <zone-resource-group> "
        "--name <network> --virtual-network <network-id> --registration-enabled false",
        terraform='azurerm_private_dns_zone_virtual_network_link { virtual_network_id = "<network-id>" } for "<zone>"',
        bicep="Microsoft.Network/privateDnsZones/virtualNetworkLinks '<zone>/<network>': properties: "
        "{ virtualNetwork: { id: '<network-id>' }, registrationEnabled: false }",
    ),
    learn=_LEARN + "azure-monitor/fundamentals/private-link-configure",
    permissions=(*_SCOPES, _NETWORKS, *_ZONES, _RECORDS, *_ENDPOINTS, *FORWARDING_READ, *_MACHINES),
    controls=("NS-2",),
)
def assert_zones_consistent(
    virtual_network: VirtualNetwork, *, judge_without_machines: bool = False
) -> Iterator[Finding]:
    """Assert that the zones which the VNet needs are all seen, or none of them, whichever DNS server is asked.

    That none is seen is AMPLS301.

    Args:
        virtual_network: the VNet.
        judge_without_machines: judge the VNet although no machine that was read is in it.
    """
    origins = _required(virtual_network, judge_without_machines)
    seen = zones_seen(virtual_network)
    private: list[str] = []
    public: list[str] = []
    for origin in origins:
        deciding = resolving_networks(virtual_network, public_suffix(origin))
        own = {each.via.key for each in seen.get(origin, ())}
        if own:
            private.append(origin)
        if not own or any(via.key not in own for via in deciding):
            public.append(origin)
    if not private or not public:
        return
    via = resolving_networks(virtual_network, public_suffix(public[0]))
    place = via[0] if via else virtual_network
    yield Finding.on(
        virtual_network,
        "zones that its DNS sees",
        expected=f"all {len(origins)} required zones",
        observed=f"private: {', '.join(private)}; public: {', '.join(public)}",
        tokens={"zone": public[0], "network": place.label, "network-id": place.id},
    )
