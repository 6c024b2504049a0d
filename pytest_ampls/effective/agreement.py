"""What is said about a name for one network: by its configuration, its interfaces, its vantage points."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pytest_ampls.effective.computed_answer import AnswerStatus, ComputedAnswer, answers, answers_by
from pytest_ampls.effective.live import said_by_answer, said_by_configuration
from pytest_ampls.effective.power import why_nobody_asks
from pytest_ampls.errors import EvidenceError, NotReadError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.network import NetworkInterface, VirtualNetwork, virtual_network_id
from pytest_ampls.model.resource import key
from pytest_ampls.model.vantage import Resolver

__all__ = ["Statement", "compared_names", "has_others", "resolvers_of", "statements", "unasked"]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: who gave it, what it amounts to (comparable), and as a phrase.

    ``interface`` is the network interface whose own DNS servers gave it, None for all others.
    """

    who: str
    text: str
    meaning: frozenset[str]
    is_mixed: bool = False
    interface: NetworkInterface | None = None


def resolvers_of(network: VirtualNetwork) -> tuple[Resolver, ...]:
    """Return the vantage points that speak for a network, but for machines that are switched off."""
    return tuple(resolver for resolver in _named_for(network) if not why_nobody_asks(resolver))


def unasked(network: VirtualNetwork) -> str:
    """Return which vantage points of a network are left out, and why, for the end of a message."""
    reasons = (why_nobody_asks(resolver) for resolver in _named_for(network))
    return "".join(f"; {reason}" for reason in reasons if reason)


def _named_for(network: VirtualNetwork) -> Iterator[Resolver]:
    for point in network.estate.vantage_points:
        if point.virtual_network and key(point.virtual_network) == network.key:
            yield Resolver(network.estate, point)


def has_others(network: VirtualNetwork) -> bool:
    """Tell whether anything but its configuration answers for a network: a vantage point, or an interface.

    Raises:
        EvidenceError: interfaces were not read completely.
    """
    return bool(resolvers_of(network) or _own_servers(network))


def compared_names(network: VirtualNetwork) -> tuple[str, ...]:
    """Return the names to compare: those of all private endpoints.

    Raises:
        EvidenceError: private endpoints or interfaces were not read completely.
    """
    members = (name for endpoint in network.estate.private_endpoints for name in endpoint.members)
    return tuple(dict.fromkeys(members))


def statements(network: VirtualNetwork, fqdn: str) -> tuple[tuple[Statement, ...], tuple[EvidenceError, ...]]:
    """Return what is said about a name, the configuration first, and what kept others from saying it.

    Where the network's DNS leads out of what was read, or to what is not documented, its configuration says
    nothing, and that is no failure: this is what vantage points are for.

    Raises:
        EvidenceError: zones, links, records, rulesets or VNets were not read completely.
    """
    said: list[Statement] = []
    failures: list[EvidenceError] = []
    try:
        said.append(_computed("by configuration", answers(network, fqdn)))
    except NotReadError as error:
        if not resolvers_of(network):
            failures.append(error)
    for resolver in resolvers_of(network):
        try:
            answer = resolver.resolve(fqdn)
        except EvidenceError as error:
            failures.append(error)
        else:
            text = ", ".join(answer.addresses) or ("public" if answer.public else answer.status)
            said.append(
                Statement(who=f"asked from {resolver.name}", text=text, meaning=said_by_answer(answer))
            )
    for interface in _own_servers(network):
        try:
            answer_there = answers_by(network, interface.dns_servers, fqdn)
        except EvidenceError as error:
            failures.append(error)
        else:
            who = f"by the DNS servers of network interface {interface.label!r}"
            said.append(_computed(who, answer_there, interface))
    return tuple(said), tuple(failures)


def _computed(who: str, answer: ComputedAnswer, interface: NetworkInterface | None = None) -> Statement:
    text = ", ".join(answer.addresses) if answer.status is AnswerStatus.RECORD else answer.status.value
    return Statement(
        who=who,
        text=f"{text} ({answer.reason})",
        meaning=said_by_configuration(answer),
        is_mixed=answer.status is AnswerStatus.MIXED,
        interface=interface,
    )


def _own_servers(network: VirtualNetwork) -> tuple[NetworkInterface, ...]:
    return network.estate.once(_interfaces_with_servers).get(network.key, ())


def _interfaces_with_servers(estate: Estate) -> dict[str, tuple[NetworkInterface, ...]]:
    """Return VNet key to the machines' interfaces in it that have DNS servers of their own."""
    found: dict[str, tuple[NetworkInterface, ...]] = {}
    for interface in estate.all(NetworkInterface):
        if interface.dns_servers:
            for place in _places(interface):
                found[place] = (*found.get(place, ()), interface)
    return found


def _places(interface: NetworkInterface) -> Iterator[str]:
    yield from {key(virtual_network_id(subnet)): None for subnet in interface.subnet_ids}
