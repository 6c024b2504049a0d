"""Generated arrangements of VNets, zones, rulesets and DNS servers, and the estate documents of each.

Networks are numbered. What one network asks of another always leads to a lower number, so that nothing turns in
a circle: circles are tested one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from pytest_ampls.model import Estate
from tests.builders import (
    DNS_RESOLVERS,
    FORWARDING_RULES,
    INBOUND_ENDPOINTS,
    PRIVATE_ZONES,
    RECORDS,
    RULESET_LINKS,
    RULESETS,
    VNETS,
    ZONE_LINKS,
    resource_id,
)
from tests.private_estate import NetworkBlueprint

__all__ = ["ASKED", "PUBLIC", "Network", "Rule", "Topology", "Zone", "estate_of", "topologies"]

_LABELS: Final = ("api", "live", "global.handler.control", "x.handler.control", "handler.control")

PUBLIC: Final = tuple(
    [f"{label}.monitor.azure.com" for label in _LABELS]
    + ["api.ods.opinsights.azure.com", "live.ods.opinsights.azure.com"]
)
"""Public names that are aliases of their privatelink names, as the public DNS has them."""

OTHER: Final = "www.example.com"
"""A public name of another service."""

ASKED: Final = (
    *PUBLIC,
    OTHER,
    "api.privatelink.monitor.azure.com",
    "api.privatelink.ods.opinsights.azure.com",
)

Record = tuple[str, ...]
"""``("A", address …)`` or ``("CNAME", target)``."""


@dataclass(frozen=True)
class Zone:
    """A private zone: its records by relative name, and its links: network number to policy.

    A policy is ``strict``, ``fallback`` (NxDomainRedirect) or ``pending`` (the link does not work yet).
    """

    origin: str
    records: tuple[tuple[str, Record], ...]
    links: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Rule:
    """A forwarding rule: a domain with its final dot, the addresses of servers, and whether it is enabled."""

    domain: str
    targets: tuple[str, ...]
    enabled: bool = True


@dataclass(frozen=True)
class Network:
    """A VNet: the DNS servers it hands out, and the rules that are linked to it."""

    number: int
    servers: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def name(self) -> str:
        """The name of the VNet."""
        return f"vnet{self.number}"


@dataclass(frozen=True)
class Topology:
    """All of it. In each network 10.N.0.4 and .5 are machines that forward, 10.N.0.10 is an inbound endpoint."""

    networks: tuple[Network, ...]
    zones: tuple[Zone, ...]


def address(network: int, host: int) -> str:
    """Return an address in a network."""
    return f"10.{network}.0.{host}"


# ------------------------------------------------------------------- generated

_ORIGINS: Final = (
    "privatelink.monitor.azure.com",
    "privatelink.monitor.azure.com",
    "privatelink.ods.opinsights.azure.com",
    "monitor.azure.com",
    "handler.control.monitor.azure.com",
)
_DOMAINS: Final = (
    "monitor.azure.com.",
    "monitor.azure.com.",
    "opinsights.azure.com.",
    "ods.opinsights.azure.com.",
    "azure.com.",
    "privatelink.monitor.azure.com.",
    "api.monitor.azure.com.",
    ".",
)
_MACHINES: Final = (4, 5)
_INBOUND: Final = 10


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Draw two or three networks, up to five zones, and what they ask of one another."""
    count = draw(st.sampled_from((3, 2, 3)))
    networks = tuple(draw(_networks(number)) for number in range(count))
    hub = draw(st.booleans())  # the zones are linked where the servers and the rules' targets are
    zones: list[Zone] = []
    for _ in range(draw(st.integers(2, 5))):
        origin = draw(st.sampled_from(_ORIGINS))
        taken = {number for zone in zones if zone.origin == origin for number, _ in zone.links}
        free = [number for number in range(1 if hub else count) if number not in taken]
        links = [(number, draw(_policies(origin))) for number in free if draw(st.integers(0, 3))]
        redirects = any(policy == "fallback" for _, policy in links)
        zones.append(Zone(origin, draw(_records(origin, wildcards=not redirects)), tuple(links)))
    return Topology(networks, tuple(zones))


def _policies(origin: str) -> st.SearchStrategy[str]:
    """Return the policies of a link: the fallback exists for privatelink zones."""
    policies = ["strict", "strict", "strict", "pending"]
    return st.sampled_from(
        [*policies, "fallback", "fallback"] if origin.startswith("privatelink.") else policies
    )


@st.composite
def _records(draw: st.DrawFn, origin: str, *, wildcards: bool) -> tuple[tuple[str, Record], ...]:
    offered = (*_LABELS, "*", "*.handler.control") if wildcards else _LABELS
    labels = draw(st.lists(st.sampled_from(offered), min_size=1, max_size=5, unique=True))
    return tuple(
        (label, draw(st.sampled_from(_contents(origin, label, number))))
        for number, label in enumerate(labels)
    )


def _contents(origin: str, label: str, number: int) -> list[Record]:
    """Return what a record may hold. No alias leads back to itself."""
    private = f"10.200.{len(origin)}.{number + 4}"
    single: Record = ("A", private)
    found = [single, single, single, ("A", private, f"10.201.0.{number + 4}"), ("A",)]
    if label != "live" and "*" not in label:
        found.append(("CNAME", f"live.{origin}"))
    outside = OTHER if "ods" in origin else "api.ods.opinsights.azure.com"
    return [*found, ("CNAME", outside)]


@st.composite
def _networks(draw: st.DrawFn, number: int) -> Network:
    own = [address(number, host) for host in (*_MACHINES, _INBOUND)]
    lower = [address(other, host) for other in range(number) for host in (*_MACHINES, _INBOUND)]
    offered = st.sampled_from([*own, *lower, *lower, "168.63.129.16"])
    size = draw(st.sampled_from((0, 1, 2)))
    servers = draw(st.lists(offered, min_size=size, max_size=size, unique=True))
    rules: list[Rule] = []
    if lower:
        several = st.lists(st.sampled_from(lower), min_size=2, max_size=2, unique=True)
        one = st.sampled_from(lower).map(lambda target: [target])
        targets = st.one_of(one, one, one, one, several)
        amount = draw(st.sampled_from((0, 1, 2)))
        for domain in draw(
            st.lists(st.sampled_from(_DOMAINS), min_size=amount, max_size=amount, unique=True)
        ):
            rules.append(Rule(domain, tuple(draw(targets)), draw(st.sampled_from((True, True, True, False)))))
    return Network(number, tuple(servers), tuple(rules))


# ------------------------------------------------------------------- as an estate


def estate_of(topology: Topology) -> Estate:
    """Return the estate whose documents describe a topology."""
    plan = NetworkBlueprint()
    for network in topology.networks:
        _add_network(plan, network)
    for number, zone in enumerate(topology.zones):
        _add_zone(plan, f"zones{number}", zone)
    return plan.build()


def _add_network(plan: NetworkBlueprint, network: Network) -> None:
    plan.vnet(network.name, f"10.{network.number}.0.0/24", dns=network.servers)
    place = {"id": resource_id(VNETS, network.name)}
    resolver = resource_id(DNS_RESOLVERS, network.name)
    plan.add(DNS_RESOLVERS, resolver, {"dnsResolverState": "Connected", "virtualNetwork": place})
    configuration = {
        "privateIpAddress": address(network.number, _INBOUND),
        "privateIpAllocationMethod": "Dynamic",
    }
    plan.add(INBOUND_ENDPOINTS, f"{resolver}/inboundEndpoints/in", {"ipConfigurations": [configuration]})
    ruleset = resource_id(RULESETS, network.name)
    plan.add(RULESETS, ruleset, {"dnsResolverOutboundEndpoints": []})
    plan.add(
        RULESET_LINKS,
        f"{ruleset}/virtualNetworkLinks/link",
        {"virtualNetwork": place, "provisioningState": "Succeeded"},
    )
    for number, rule in enumerate(network.rules):
        plan.add(
            FORWARDING_RULES,
            f"{ruleset}/forwardingRules/rule{number}",
            {
                "domainName": rule.domain,
                "forwardingRuleState": "Enabled" if rule.enabled else "Disabled",
                "targetDnsServers": [{"ipAddress": target, "port": 53} for target in rule.targets],
            },
        )


def _add_zone(plan: NetworkBlueprint, group: str, zone: Zone) -> None:
    """Add a zone in a resource group of its own: zones of one name may be there several times."""
    own = resource_id(PRIVATE_ZONES, zone.origin, group=group)
    documents = plan.documents
    documents.setdefault(PRIVATE_ZONES, {})[own] = {"id": own, "name": zone.origin, "location": "global"}
    for number, policy in zone.links:
        link = f"{own}/virtualNetworkLinks/link{number}"
        documents.setdefault(ZONE_LINKS, {})[link] = {
            "id": link,
            "name": f"link{number}",
            "properties": {
                "virtualNetwork": {"id": resource_id(VNETS, f"vnet{number}")},
                "virtualNetworkLinkState": "InProgress" if policy == "pending" else "Completed",
                "resolutionPolicy": "NxDomainRedirect" if policy == "fallback" else "Default",
            },
        }
    for label, (kind, *values) in zone.records:
        record = f"{own}/{kind}/{label}"
        properties = (
            {"cnameRecord": {"cname": f"{values[0]}."}}
            if kind == "CNAME"
            else {"aRecords": [{"ipv4Address": value} for value in values]}
        )
        documents.setdefault(RECORDS, {})[record] = {
            "id": record,
            "name": label,
            "type": f"{PRIVATE_ZONES}/{kind}",
            "properties": properties,
        }
