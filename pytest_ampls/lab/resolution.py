"""What a machine in a VNet would be answered: name resolution computed from the documents.

A VNet with DNS servers of its own asks the VNet that holds their address (which forwards to the
platform's resolver there); any other asks the platform's resolver, which knows the zones linked
to the VNet and, for everything else, what the public DNS says. Public answers are made up, in
documentation addresses (RFC 5737), with the CNAME chains that the public DNS really has: shared
monitor names lead through their privatelink name for everybody, names of a single resource only
when that resource is in a scope.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from pytest_ampls.lab.estate.members import SHARED_NAMES, private_name
from pytest_ampls.lab.estate.monitor import component_ingestion_host
from pytest_ampls.lab.fault.registry import Meddling
from pytest_ampls.lab.store import Document, Index

__all__ = ["Outcome", "Resolution"]

PLATFORM_RESOLVER: Final = "168.63.129.16"

_NETWORK: Final = "microsoft.network/virtualnetworks"
_ZONE: Final = "microsoft.network/privatednszones"
_RESOLVER: Final = "microsoft.network/dnsresolvers"
_RULESET: Final = "microsoft.network/dnsforwardingrulesets"


@dataclass(frozen=True)
class Outcome:
    """An answer: ``status`` is a DNS response code, ``chain`` the CNAMEs as (owner, target).

    ``zone`` is the zone whose SOA proves a negative answer, empty for the public one.
    """

    status: str
    chain: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ()
    ttl: int = 300
    zone: str = ""


@dataclass(frozen=True)
class _Zone:
    name: str
    redirects: bool
    addresses: dict[str, tuple[tuple[str, ...], int]]
    aliases: dict[str, str]


class Resolution:
    """Resolves names for every VNet of an estate."""

    def __init__(self, index: Index, meddling: Meddling) -> None:
        self._index = index
        self._meddling = meddling
        self.networks: list[Document] = index.by_type.get(_NETWORK, [])
        self._public_aliases: dict[str, str] = {}
        self._public_addresses: dict[str, str] = {}
        self._declare_public_names()
        self._taken = {
            configuration["properties"].get("privateIPAddress")
            for nic in index.by_type.get("microsoft.network/networkinterfaces", [])
            for configuration in nic["properties"]["ipConfigurations"]
        }
        self._inbound = self._find_inbound_endpoints()
        self._rules = self._find_rules()
        self._linked: dict[str, list[_Zone]] = {}
        self._find_linked_zones()

    # -- the public DNS ----------------------------------------------------------------------

    def _declare(self, fqdn: str, *, private: bool) -> None:
        """Declare a public name: through its privatelink name or straight to a traffic manager."""
        number = len(self._public_addresses)
        block = "203.0.113" if number < 200 else "198.51.100"
        address = f"{block}.{number % 200 + 10}"
        manager = f"lab-{number}-{fqdn.partition('.')[0][:20]}.trafficmanager.net"
        first = private_name(fqdn) if private else manager
        self._public_aliases[fqdn] = first
        if private:
            self._public_aliases[first] = manager
        self._public_addresses[manager] = address

    def _declare_public_names(self) -> None:
        for _, fqdn in SHARED_NAMES:
            self._declare(fqdn, private=True)
        self._public_aliases["api.loganalytics.io"] = "api.monitor.azure.com"
        by_type = self._index.by_type
        for location in dict.fromkeys(
            doc["location"] for doc in by_type.get("microsoft.insights/components", [])
        ):
            self._declare(component_ingestion_host(location), private=True)
        for workspace in by_type.get("microsoft.operationalinsights/workspaces", []):
            customer = workspace["properties"]["customerId"]
            for zone in (
                "oms.opinsights.azure.com",
                "ods.opinsights.azure.com",
                "agentsvc.azure-automation.net",
            ):
                name = f"{customer}.{zone}"
                private = self._is_scoped(workspace) or name in self._meddling.private_aliases
                self._declare(name, private=private)
        endpoints = by_type.get("microsoft.insights/datacollectionendpoints", [])
        for location in dict.fromkeys(endpoint["location"] for endpoint in endpoints):
            self._declare(f"{location}.handler.control.monitor.azure.com", private=False)
        for endpoint in endpoints:
            for key in ("configurationAccess", "logsIngestion", "metricsIngestion"):
                host = endpoint["properties"][key]["endpoint"].removeprefix("https://")
                self._declare(host.lower(), private=self._is_scoped(endpoint))

        for nic in by_type.get("microsoft.network/networkinterfaces", []):
            for part in nic["properties"]["ipConfigurations"]:
                link = part["properties"].get("privateLinkConnectionProperties", {})
                for host in link.get("fqdns", ()) if link.get("groupId") == "blob" else ():
                    self._declare(host, private=True)

    def _is_scoped(self, resource: Document) -> bool:
        """Say whether any scope holds a resource, by the scopes' own side of the membership."""
        wanted = resource["id"].lower()
        members = self._index.by_type.get("microsoft.insights/privatelinkscopes/scopedresources", [])
        return any(member["properties"]["linkedResourceId"].lower() == wanted for member in members)

    # -- private zones -----------------------------------------------------------------------

    def _find_linked_zones(self) -> None:
        for zone in self._index.by_type.get(_ZONE, []):
            key = zone["id"].lower()
            addresses: dict[str, tuple[tuple[str, ...], int]] = {}
            for record in self._index.children(key, f"{_ZONE}/a"):
                found = tuple(entry["ipv4Address"] for entry in record["properties"].get("aRecords", []))
                addresses[record["properties"]["fqdn"].rstrip(".").lower()] = (
                    found,
                    record["properties"]["ttl"],
                )
            aliases = {
                record["properties"]["fqdn"].rstrip(".").lower(): record["properties"]["cnameRecord"][
                    "cname"
                ].lower()
                for record in self._index.children(key, f"{_ZONE}/cname")
            }
            for link in self._index.children(key, f"{_ZONE}/virtualnetworklinks"):
                properties = link["properties"]
                if properties["virtualNetworkLinkState"] != "Completed":
                    continue
                redirects = properties.get("resolutionPolicy") == "NxDomainRedirect"
                linked = _Zone(zone["name"].lower(), redirects, addresses, aliases)
                self._linked.setdefault(properties["virtualNetwork"]["id"].lower(), []).append(linked)

    # -- forwarding --------------------------------------------------------------------------

    def _find_inbound_endpoints(self) -> dict[str, str]:
        """Return the addresses of resolvers' inbound endpoints, to the VNets they answer for."""
        found: dict[str, str] = {}
        for resolver in self._index.by_type.get(_RESOLVER, []):
            for endpoint in self._index.children(resolver["id"].lower(), f"{_RESOLVER}/inboundendpoints"):
                for configuration in endpoint["properties"]["ipConfigurations"]:
                    network = resolver["properties"]["virtualNetwork"]["id"].lower()
                    found[configuration["privateIpAddress"]] = network
        return found

    def _find_rules(self) -> dict[str, dict[str, str]]:
        """Return VNets to the domains that are forwarded there, each to the first server of its rule."""
        found: dict[str, dict[str, str]] = {}
        for ruleset in self._index.by_type.get(_RULESET, []):
            key = ruleset["id"].lower()
            for link in self._index.children(key, f"{_RULESET}/virtualnetworklinks"):
                rules = found.setdefault(link["properties"]["virtualNetwork"]["id"].lower(), {})
                for rule in self._index.children(key, f"{_RULESET}/forwardingrules"):
                    if rule["properties"]["forwardingRuleState"] == "Enabled":
                        domain = rule["properties"]["domainName"].rstrip(".").lower()
                        rules[domain] = rule["properties"]["targetDnsServers"][0]["ipAddress"]
        return found

    def _target(self, network: str, name: str) -> str | None:
        """Return the VNet that the rules of a VNet send a name to: longest domain first, after the zones."""
        rules = self._rules.get(network, {}) if self._zone_of(network, name) is None else {}
        fitting = [domain for domain in rules if not domain or f".{name}".endswith(f".{domain}")]
        return self._inbound.get(rules[max(fitting, key=len)]) if fitting else None

    def _zone_of(self, network: str, name: str) -> _Zone | None:
        """Return the linked zone that holds a name: the one with the longest matching suffix."""
        zones = [
            zone
            for zone in self._linked.get(network, ())
            if name == zone.name or name.endswith("." + zone.name)
        ]
        return max(zones, key=lambda zone: len(zone.name), default=None)

    # -- answers -----------------------------------------------------------------------------

    def look_up(self, network_id: str, name: str) -> Outcome:
        """Return what a machine in a VNet would be answered for the A records of a name."""
        name = name.lower().rstrip(".")
        stale = self._meddling.stale_names.get(name)
        if stale is not None:
            return Outcome("NOERROR", ((name, private_name(name)),), (stale,), ttl=10)
        key = network_id.lower()
        if key in self._meddling.public_networks:
            return self._platform_answer("", name)
        servers = self._index.by_id[key]["properties"].get("dhcpOptions", {}).get("dnsServers", [])
        if not servers or servers[0] == PLATFORM_RESOLVER:
            return self._platform_answer(self._target(key, name) or key, name)
        holder = self._holder_of(key, servers[0])
        if holder is None:
            return Outcome("SERVFAIL")
        return self._platform_answer("" if holder in self._meddling.public_networks else holder, name)

    def look_up_publicly(self, name: str) -> Outcome:
        """Return what a public resolver answers, which knows no private zone."""
        return self._platform_answer("", name.lower().rstrip("."))

    def _holder_of(self, network: str, server: str) -> str | None:
        """Return the reachable VNet in which a machine has the address of a DNS server."""
        address = ipaddress.ip_address(server)
        reachable = {network, *self.peers(network)}
        for document in self.networks:
            key = document["id"].lower()
            prefixes = document["properties"]["addressSpace"]["addressPrefixes"]
            if key in reachable and any(address in ipaddress.ip_network(prefix) for prefix in prefixes):
                return key if server in self._taken else None
        return None

    def is_reachable(self, network_id: str, address: str) -> bool:
        """Say whether an interface has an address, in a VNet or in one that it is peered with."""
        return self._holder_of(network_id.lower(), address) is not None

    def peers(self, network: str) -> set[str]:
        """Return the VNets connected with one, seen from both sides."""

        def remotes(key: str) -> set[str]:
            document = self._index.by_id.get(key, {"properties": {}})
            return {
                peering["properties"]["remoteVirtualNetwork"]["id"].lower()
                for peering in document["properties"].get("virtualNetworkPeerings", [])
                if peering["properties"]["peeringState"] == "Connected"
            }

        return {other for other in remotes(network) if network in remotes(other)}

    def _platform_answer(self, network: str, name: str) -> Outcome:
        """Follow a name through the linked zones and the public DNS; ``""`` has no zones."""
        chain: list[tuple[str, str]] = []
        redirected = False
        # Real chains have four links at most; a document that loops must not hang the lab.
        for _ in range(12):
            zone = None if redirected else self._zone_of(network, name)
            if zone is not None:
                if name in zone.addresses:
                    addresses, ttl = zone.addresses[name]
                    return Outcome("NOERROR", tuple(chain), addresses, ttl, zone.name)
                target = zone.aliases.get(name)
                if target is None:
                    if not zone.redirects:
                        status = "NOERROR" if name == zone.name else "NXDOMAIN"
                        return Outcome(status, tuple(chain), zone=zone.name)
                    redirected = True
                    continue
            else:
                if name in self._public_addresses:
                    return Outcome("NOERROR", tuple(chain), (self._public_addresses[name],))
                target = self._public_aliases.get(name)
                if target is None:
                    return Outcome("NXDOMAIN", tuple(chain))
            chain.append((name, target))
            name, redirected = target, False
        return Outcome("SERVFAIL", tuple(chain))
