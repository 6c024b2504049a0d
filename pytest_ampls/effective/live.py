"""What a live DNS answer amounts to: the private endpoint's addresses, or which of the wrong things."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Final

import msgspec

from pytest_ampls.effective.boundaries import lacking
from pytest_ampls.effective.name_resolution import (
    AnswerStatus,
    ComputedAnswer,
    can_route,
    endpoints_by_address,
    endpoints_reached,
    scopes_of,
)
from pytest_ampls.effective.power import why_nobody_asks
from pytest_ampls.effective.records import addresses_for, record_of
from pytest_ampls.errors import DocumentError, EvidenceError, NotReadError
from pytest_ampls.model.evidence import Answer
from pytest_ampls.model.network import PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.resource import needed
from pytest_ampls.model.vantage import Resolver

__all__ = [
    "AddressClass",
    "AnswerKind",
    "LiveAnswer",
    "address_class",
    "heard",
    "judged",
    "said_by_answer",
    "said_by_configuration",
    "why_not_concerned",
]


class AddressClass(StrEnum):
    """What an address says by itself."""

    PRIVATE = "private"
    PUBLIC = "public"
    UNUSABLE = "unusable"
    """Loopback, link-local or "this network": what filters and hosts files answer with."""


# RFC 1918 and RFC 6598. ``ipaddress.is_private`` counts the documentation ranges as private: here they
# stand for public addresses. Endpoints have IPv4 addresses only, and only A records are asked for.
_PRIVATE: Final = tuple(
    IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
_UNUSABLE: Final = tuple(IPv4Network(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16"))


def address_class(address: str) -> AddressClass:
    """Return the class of an IPv4 address.

    Raises:
        DocumentError: the text is not an IPv4 address.
    """
    try:
        parsed = IPv4Address(address)
    except AddressValueError:
        raise DocumentError(f"{address!r} was answered, which is not an IPv4 address") from None
    if any(parsed in network for network in _PRIVATE):
        return AddressClass.PRIVATE
    return AddressClass.UNUSABLE if any(parsed in network for network in _UNUSABLE) else AddressClass.PUBLIC


class AnswerKind(StrEnum):
    """What an answer amounts to, for a name that a private endpoint serves."""

    OWN = "the endpoint's"
    PUBLIC = "public"
    NXDOMAIN = "NXDOMAIN"
    EMPTY = "no address"
    FOREIGN = "private, not the endpoint's"
    UNUSABLE = "unusable"
    MIXED = "mixed"


class LiveAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with its meaning. ``right`` are the addresses that the name should be answered with."""

    answer: Answer
    kind: AnswerKind
    right: frozenset[str]


def heard(
    endpoint: PrivateEndpoint, resolver: Resolver
) -> tuple[dict[str, LiveAnswer], tuple[EvidenceError, ...]]:
    """Return what a vantage point answered for each name of an endpoint, and what kept it from answering.

    Raises:
        EvidenceError: the endpoint's names or addresses were not read completely.
    """
    found: dict[str, LiveAnswer] = {}
    unheard: list[EvidenceError] = []
    for fqdn in endpoint.members:
        right = addresses_for(endpoint, fqdn)
        try:
            answer = resolver.resolve(fqdn)
        except EvidenceError as error:
            unheard.append(error)
        else:
            found[fqdn] = LiveAnswer(answer=answer, kind=judged(answer, right), right=right)
    return found, tuple(unheard)


def judged(answer: Answer, right: frozenset[str]) -> AnswerKind:
    """Return what an answer amounts to, given the right addresses.

    A ``privatelink`` name in the chain proves nothing: it is there for everybody. The addresses decide.
    """
    if answer.status.upper() == "NXDOMAIN":
        return AnswerKind.NXDOMAIN
    if answer.public or answer.mixed:  # computed: which public addresses it has is not known
        return AnswerKind.PUBLIC if answer.public else AnswerKind.MIXED
    if not answer.addresses:
        return AnswerKind.EMPTY
    kinds = {_kind(address, right) for address in answer.addresses}
    return kinds.pop() if len(kinds) == 1 else AnswerKind.MIXED


_KINDS: Final[Mapping[AddressClass, AnswerKind]] = {
    AddressClass.PRIVATE: AnswerKind.FOREIGN,
    AddressClass.PUBLIC: AnswerKind.PUBLIC,
    AddressClass.UNUSABLE: AnswerKind.UNUSABLE,
}


def _kind(address: str, right: frozenset[str]) -> AnswerKind:
    return AnswerKind.OWN if address in right else _KINDS[address_class(address)]


def said_by_configuration(answer: ComputedAnswer) -> frozenset[str]:
    """Return what a computed answer amounts to, to be compared: its addresses, or one word without known ones."""
    if answer.status is AnswerStatus.MIXED:
        return frozenset({answer.status.value, *answer.addresses})
    if answer.addresses:
        return frozenset(answer.addresses)
    public = answer.status in {AnswerStatus.PUBLIC, AnswerStatus.FALLBACK}
    return frozenset({"public" if public else answer.status.value})


def said_by_answer(answer: Answer) -> frozenset[str]:
    """Return the same of an answer of a vantage point."""
    if answer.public:
        return frozenset({"public"})
    if answer.mixed:
        return frozenset({AnswerStatus.MIXED.value, *answer.addresses})
    if not answer.addresses:
        nothing = AnswerStatus.NXDOMAIN if answer.status.upper() == "NXDOMAIN" else AnswerStatus.NODATA
        return frozenset({nothing.value})
    if all(address_class(address) is AddressClass.PUBLIC for address in answer.addresses):
        return frozenset({"public"})
    return frozenset(answer.addresses)


def why_not_concerned(
    endpoint: PrivateEndpoint, resolver: Resolver, found: Mapping[str, LiveAnswer]
) -> str | None:
    """Return why a vantage point has nothing to do with an endpoint, None where it has.

    With a known VNet its configuration decides: DNS that leads to other endpoints, or that leads to none and
    has no way to this one. Without, or where its DNS server lies outside of what was read, the answers
    decide: none is this endpoint's, and one is that of another. Where that other endpoint's addresses are what
    the very zones hold that this endpoint keeps its records in, they were overwritten: this endpoint's clients
    are answered the same, and the vantage point concerns it. A machine that is switched off asks for nothing.

    Raises:
        EvidenceError: what decides was not read completely.
    """
    unasked = "" if found else why_nobody_asks(resolver)
    if unasked:
        return unasked
    network = resolver.virtual_network
    if network is not None:
        try:
            return _by_configuration(endpoint, resolver, network)
        except NotReadError:
            pass  # its DNS server is somewhere else: this is what asking is for
    return _by_answers(endpoint, resolver, found)


def _by_configuration(endpoint: PrivateEndpoint, resolver: Resolver, network: VirtualNetwork) -> str | None:
    reached = endpoints_reached(network)
    if endpoint.key in {other.key for other in reached}:
        return None
    subject = f"vantage point {resolver.name!r} speaks for virtual network {network.label!r}, "
    if reached:
        names = ", ".join(repr(other.label) for other in reached)
        return f"{subject}whose DNS leads to private endpoint {names}, not to {endpoint.label!r}"
    if can_route(network, endpoint):
        return None
    return f"{subject}which is neither the network of private endpoint {endpoint.label!r} nor peered with it"


def _by_answers(endpoint: PrivateEndpoint, resolver: Resolver, found: Mapping[str, LiveAnswer]) -> str | None:
    answered = {address for each in found.values() for address in each.answer.addresses}
    owners = endpoints_by_address(endpoint.estate)
    if answered & endpoint.addresses or not any(address in owners for address in answered):
        return None
    if any(_is_overwritten(endpoint, fqdn, live) for fqdn, live in found.items()):
        return None
    others = {other.label: None for address in sorted(answered) for other in owners.get(address, ())}
    return (
        f"vantage point {resolver.name!r} answers with addresses of private endpoint "
        f"{', '.join(map(repr, others))}, with none of {endpoint.label!r}"
    )


def _is_overwritten(endpoint: PrivateEndpoint, fqdn: str, live: LiveAnswer) -> bool:
    """Tell whether an answer is what another endpoint wrote into the zones of this one, and does not stand in for it.

    Another endpoint stands in where its scope has all members of this one's, and this one's VNet has a way to it.

    Raises:
        EvidenceError: zones, scopes, their members or VNets were not read.
    """
    addresses = live.answer.addresses
    others = [
        each for address in addresses for each in endpoints_by_address(endpoint.estate).get(address, ())
    ]
    if not others or frozenset(record_of(endpoint, fqdn) or ()) != frozenset(addresses):
        return False
    return not all(_stands_in(other, endpoint) for other in others)


def _stands_in(other: PrivateEndpoint, endpoint: PrivateEndpoint) -> bool:
    place = endpoint.estate.get(
        VirtualNetwork, needed(endpoint.virtual_network_id, endpoint, "properties.subnet.id")
    )
    if place is None or not can_route(place, other):
        return False
    return not any(lacking(theirs, own) for own in scopes_of(endpoint) for theirs in scopes_of(other))
