"""What a network security group does with a connection from one network to an address of another.

Rules are tried in the order of their priority, and the first that matches decides. What a rule matches is
known, or it is not: an application security group, a port range of the client's own, a part of a subnet.
A rule of which it is not known decides nothing, unless what comes after it says the same.

Source: https://learn.microsoft.com/azure/virtual-network/network-security-group-how-it-works, and the
``SecurityRulePropertiesFormat`` of the REST API specification.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError, summarize_address_range
from typing import Final

import msgspec

from pytest_ampls.errors import DocumentError
from pytest_ampls.model.network import VirtualNetwork
from pytest_ampls.model.network_security import NetworkSecurityGroup, SecurityRule, SecurityRuleProperties
from pytest_ampls.model.resource import key, needed

__all__ = ["Flow", "Side", "decide"]

_PORTS: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_TAG: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]*")
_EVERYTHING: Final = frozenset({"*", "any", "0.0.0.0/0"})
_OWN_PORTS: Final = (1024, 65535)  # what a client's system takes ports for its own end from
_PROTOCOLS: Final = frozenset({"udp", "icmp", "esp", "ah"})


class _Match(Enum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One end of a connection: addresses, all of them in ``network``."""

    network: VirtualNetwork
    addresses: IPv4Network


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP connection between two sides, to ``port``, filtered on the side that ``direction`` says.

    ``direction`` is ``Outbound`` (a group of the source's subnet) or ``Inbound`` (one of the destination's).
    """

    source: Side
    destination: Side
    direction: str
    port: int = 443

    @property
    def here(self) -> VirtualNetwork:
        """The VNet that the group is in: service tags are meant as seen from there."""
        return (self.source if self.direction == "Outbound" else self.destination).network


def decide(group: NetworkSecurityGroup, flow: Flow) -> tuple[bool, SecurityRule]:
    """Return whether a group lets a connection through, and the rule that decides it.

    Raises:
        DocumentError: it cannot be told: what decides is a rule that is not understood, or there is none.
    """
    doubtful: list[SecurityRule] = []
    for rule in group.rules(flow.direction):
        found = _matches(rule.properties, flow)
        if found is _Match.UNKNOWN:
            doubtful.append(rule)
        if found is not _Match.YES:
            continue
        allowed = _allows(group, rule)
        against = next((other for other in doubtful if _allows(group, other) is not allowed), None)
        if against is None:
            return allowed, rule
        raise DocumentError(
            f"{group.NOUN} {group.label!r} ({group.id}): whether its rule {against.name!r} is about connections "
            f"from {flow.source.addresses} to {flow.destination.addresses} port {flow.port} cannot be told from "
            "what was read, and it decides. Look at the effective security rules of a client's interface"
        )
    raise DocumentError(
        f"{group.NOUN} {group.label!r} ({group.id}) has no rule about connections from "
        f"{flow.source.addresses} to {flow.destination.addresses}, not even a default one: look at the document"
    )


def _allows(group: NetworkSecurityGroup, rule: SecurityRule) -> bool:
    path = f"properties.securityRules[{rule.name}].properties.access"
    access = needed(rule.properties.access, group, path)
    if access.lower() not in {"allow", "deny"}:
        raise DocumentError(f"{group.NOUN} {group.label!r} ({group.id}): {path} is {access!r}: unknown")
    return access.lower() == "allow"


def _matches(rule: SecurityRuleProperties, flow: Flow) -> _Match:
    """Tell whether a rule is about a connection: all five of its conditions hold."""
    conditions: tuple[Callable[[], _Match], ...] = (
        lambda: _protocol(rule.protocol),
        lambda: _any(_port(text, flow.port, flow.port) for text in _destination_ports(rule)),
        lambda: _any(_port(text, *_OWN_PORTS) for text in _source_ports(rule)),
        lambda: _destination(rule, flow),
        lambda: _source(rule, flow),
    )
    found = _Match.YES
    for condition in conditions:
        answer = condition()
        if answer is _Match.NO:
            return _Match.NO
        if answer is _Match.UNKNOWN:
            found = _Match.UNKNOWN
    return found


def _any(answers: Iterable[_Match]) -> _Match:
    """Return what alternatives amount to; a rule that names none is not understood."""
    seen = set(answers)
    if _Match.YES in seen:
        return _Match.YES
    return _Match.NO if seen == {_Match.NO} else _Match.UNKNOWN


def _several(one: str | None, many: tuple[str, ...] | None) -> tuple[str, ...]:
    return (*((one,) if one else ()), *(many or ()))


def _protocol(name: str | None) -> _Match:
    folded = (name or "").lower()
    if folded in {"*", "tcp"}:
        return _Match.YES
    return _Match.NO if folded in _PROTOCOLS else _Match.UNKNOWN


# ---------------------------------------------------------------- ports


def _destination_ports(rule: SecurityRuleProperties) -> tuple[str, ...]:
    return _several(rule.destination_port_range, rule.destination_port_ranges)


def _source_ports(rule: SecurityRuleProperties) -> tuple[str, ...]:
    return _several(rule.source_port_range, rule.source_port_ranges)


def _port(text: str, first: int, last: int) -> _Match:
    """Tell whether all ports from the first to the last are in a range, or none of them."""
    if text == "*":
        return _Match.YES
    found = _PORTS.fullmatch(text.strip())
    if found is None:
        return _Match.UNKNOWN
    low, high = int(found[1]), int(found[2] or found[1])
    if low <= first and last <= high:
        return _Match.YES
    return _Match.NO if high < first or last < low else _Match.UNKNOWN


# ---------------------------------------------------------------- addresses


def _source(rule: SecurityRuleProperties, flow: Flow) -> _Match:
    if rule.source_application_security_groups:
        return _Match.UNKNOWN  # who is in such a group is not read
    texts = _several(rule.source_address_prefix, rule.source_address_prefixes)
    return _any(_address(text, flow.source, flow) for text in texts)


def _destination(rule: SecurityRuleProperties, flow: Flow) -> _Match:
    if rule.destination_application_security_groups:
        return _Match.UNKNOWN
    texts = _several(rule.destination_address_prefix, rule.destination_address_prefixes)
    return _any(_address(text, flow.destination, flow) for text in texts)


def _address(text: str, side: Side, flow: Flow) -> _Match:
    text = text.strip()
    if text.lower() in _EVERYTHING:
        return _Match.YES
    if text.lower() == "virtualnetwork":
        return _in_virtual_network(side, flow.here)
    if _TAG.fullmatch(text):
        # Every other tag, Internet and AzureMonitor too, stands for public addresses of Azure or of anybody.
        return _Match.NO if side.addresses.is_private else _Match.UNKNOWN
    parts = _ranges(text)
    if parts is None:
        return _Match.UNKNOWN
    if any(side.addresses.subnet_of(part) for part in parts):
        return _Match.YES
    return _Match.UNKNOWN if any(side.addresses.overlaps(part) for part in parts) else _Match.NO


def _in_virtual_network(side: Side, here: VirtualNetwork) -> _Match:
    """Tell whether a side is part of what the tag VirtualNetwork stands for: this VNet, and its peers.

    A peer is not, where the peering does not let its traffic in. On-premises networks and gateways are
    part of the tag too; they cannot be told from the documents.
    """
    if side.network.key == here.key:
        return _Match.YES
    for peering in here.properties.virtual_network_peerings or ():
        remote = peering.properties.remote_virtual_network
        if remote is not None and remote.id and key(remote.id) == side.network.key:
            if (peering.properties.peering_state or "").lower() != "connected":
                continue
            return _Match.NO if peering.properties.allow_virtual_network_access is False else _Match.YES
    return _Match.UNKNOWN


def _ranges(text: str) -> tuple[IPv4Network, ...] | None:
    """Return the IPv4 networks of a prefix, an address, or a range; none for IPv6, None for anything else."""
    if ":" in text:
        return ()
    first, dash, last = text.partition("-")
    try:
        if dash:
            return tuple(summarize_address_range(IPv4Address(first.strip()), IPv4Address(last.strip())))
        return (IPv4Network(text, strict=False),)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None
