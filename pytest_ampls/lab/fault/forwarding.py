"""Faults of private DNS that shows only beside the links: rulesets, policies, other owners' names (306 to 314)."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_ampls.lab.estate import forwarding, monitor
from pytest_ampls.lab.estate.endpoint import foreign_endpoint
from pytest_ampls.lab.estate.members import PUBLIC_ZONES, private_zone_name
from pytest_ampls.lab.estate.network import address_record, private_dns_zone, start_of_authority
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.fault.pick import client, first, network, record, site_of, zone
from pytest_ampls.lab.fault.registry import Meddling, dns_fault, estate_fault
from pytest_ampls.lab.store import Estate, guid

__all__: list[str] = []

_INBOUND = "192.168.0.10"
_LINK = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"


def _forward(estate: Estate, domains: Iterable[str]) -> None:
    """Let spoke1 ask the platform's resolver, with a ruleset that forwards domains to a resolver in the hub."""
    site, hub, spoke = site_of(estate), network(estate, "hub"), network(estate, "spoke1")
    del spoke["properties"]["dhcpOptions"]
    resolver = forwarding.dns_resolver(site, "resolver", hub)
    rules = forwarding.ruleset(site, "rules", resolver)
    site.add(
        resolver,
        forwarding.inbound_endpoint(resolver, f"{hub['id']}/subnets/vm", _INBOUND),
        rules,
        forwarding.ruleset_link(rules, spoke),
        *(forwarding.forwarding_rule(rules, domain, _INBOUND) for domain in domains),
    )


@estate_fault(
    "forwarding-rule-missing",
    "the ruleset of a spoke forwards all domains but that of the ods names",
    breaks="301 308 309 310 311",
)
def forwarding_rule_missing(estate: Estate) -> None:
    """Forget one of the five rules: configuration is private then, uploads are public."""
    _forward(estate, [name for name in PUBLIC_ZONES if name != "ods.opinsights.azure.com"])


@estate_fault(
    "forwarding-rules-private",
    "the ruleset of a spoke forwards the privatelink names, which no client asks for",
    breaks="301 308 310 311",
    blinds="111",  # whether rules apply to aliases decides who is reached, and is not documented
)
def forwarding_rules_private(estate: Estate) -> None:
    """Write the rules for the names of the zones, instead of the public names."""
    _forward(estate, [f"privatelink.{name}" for name in PUBLIC_ZONES])


@estate_fault(
    "forwarding-only-monitor",
    "the ruleset of a spoke forwards nothing but the monitor domain",
    breaks="301 308 309 310 311",
)
def forwarding_only_monitor(estate: Estate) -> None:
    """Forward the domain that is named after the product, and none of the four others."""
    _forward(estate, ["monitor.azure.com"])


@estate_fault("blob-zone-shadows-account", "a storage account's record is in another blob zone", breaks="306")
def blob_zone_shadows_account(estate: Estate) -> None:
    """Give a storage account a private endpoint in the hub, whose record is in its owners' own blob zone."""
    site = site_of(estate)
    owners = Site(estate, estate.add_group(site.group.split("/")[2], "storage", site.location), site.location)
    own = private_dns_zone(owners, private_zone_name("blob.core.windows.net"))
    owners.add(own, start_of_authority(own), address_record(own, "labdiagnostics", ["192.168.0.120"]))
    foreign_endpoint(
        site_of(estate),
        "storage",
        service="Microsoft.Storage/storageAccounts/labdiagnostics",
        group="blob",
        fqdn="labdiagnostics.blob.core.windows.net",
        subnet_id=f"{network(estate, 'hub')['id']}/subnets/endpoints",
        address="192.168.0.120",
    )


@estate_fault("internet-fallback", "a link answers missing names publicly", breaks="307")
def internet_fallback(estate: Estate) -> None:
    """Set the policy that hides the next record that gets lost."""
    link = estate.children(zone(estate, "monitor.azure.com")["id"], _LINK)[0]
    link["properties"]["resolutionPolicy"] = "NxDomainRedirect"


@estate_fault(
    "record-missing-falls-back",
    "the workspace's ods record is missing, and the zone's link answers it publicly instead of failing",
    breaks="302 307 310 311",
)
def record_missing_falls_back(estate: Estate) -> None:
    """Lose a record behind a link with the policy NxDomainRedirect."""
    ods = zone(estate, "ods.opinsights.azure.com")
    customer = first(estate, "Microsoft.OperationalInsights/workspaces")["properties"]["customerId"]
    estate.remove(record(estate, "ods.opinsights.azure.com", customer)["id"])
    for link in estate.children(ods["id"], _LINK):
        link["properties"]["resolutionPolicy"] = "NxDomainRedirect"


@estate_fault("interface-dns-servers", "a machine's interface has DNS servers of its own", breaks="312")
def interface_dns_servers(estate: Estate) -> None:
    """Let one machine ask the platform's resolver of its spoke, which knows no zone there."""
    machine = client(estate)
    interface = estate.get(machine["properties"]["networkProfile"]["networkInterfaces"][0]["id"])
    interface["properties"]["dnsSettings"]["dnsServers"] = ["168.63.129.16"]


@dns_fault(
    "outside-workspace-vanishes",
    "a workspace outside of the scope, open to public networks, does not exist for the spokes",
    breaks="103 109 314",
    estates="hub-and-spoke",
)
def outside_workspace_vanishes(estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Add the workspace, with a public name that leads through its privatelink name."""
    customer = guid("customer", "outside")
    site_of(estate).add(monitor.workspace(site_of(estate), "outside", customer, public="Enabled"))
    meddling.private_aliases.add(f"{customer}.ods.opinsights.azure.com")
