"""Where forwarding rules take the names of a private zone, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pytest_ampls.effective.dns_path import (
    deciding_networks,
    first_asked,
    forwarded_to,
    linked_zone,
    rules_for,
    rules_of,
)
from pytest_ampls.effective.zones import public_suffix
from pytest_ampls.model.dns_resolver import ForwardingRule
from pytest_ampls.model.network import VirtualNetwork

__all__ = ["Misdirection", "forwarders", "misdirections"]


class Misdirection(NamedTuple):
    """A zone whose names are not forwarded to where the zone is.

    ``asked`` is the VNet that has the rules, ``rule`` the one that is wrong (None where there is none for
    the zone), ``observed`` says what is wrong.
    """

    asked: VirtualNetwork
    rule: ForwardingRule | None
    observed: str


def forwarders(network: VirtualNetwork, origins: tuple[str, ...]) -> tuple[VirtualNetwork, ...]:
    """Return the VNets asked for a network that forward names of at least one of these zones by rules.

    Raises:
        EvidenceError: rulesets, or what decides who is asked, were not read completely.
    """
    return tuple(
        asked
        for asked in first_asked(network)
        if any(_concerns(rule, origin) for rule in rules_of(asked) for origin in origins)
    )


def _concerns(rule: ForwardingRule, origin: str) -> bool:
    """Tell whether a rule covers names of a zone, or names inside of it, be they public or private ones."""
    suffix = public_suffix(origin)
    return rule.covers(suffix) or rule.covers(origin) or rule.domain.endswith("." + suffix)


def misdirections(asked: VirtualNetwork, origin: str) -> Iterator[Misdirection]:
    """Yield what is wrong with the rules of a VNet for the names of one zone.

    Raises:
        EvidenceError: a rule leads out of what was read, or links were not read completely.
    """
    suffix = public_suffix(origin)
    if linked_zone(asked, suffix) is not None:
        return  # a private zone of the public name itself: rules are not looked at
    rules = rules_for(asked, suffix)
    inside = [
        rule
        for rule in rules_of(asked)
        if rule.domain.endswith("." + suffix) and not f".{rule.domain}".endswith("." + origin)
    ]
    for rule in (*rules, *inside):
        yield from _misled(asked, rule, origin)
    here = linked_zone(asked, origin)
    if rules or (here is not None and here.zone.origin == origin):
        return
    mistaken = [rule for rule in rules_of(asked) if rule.covers(origin)]
    for rule in mistaken:
        observed = (
            f"a rule for {rule.domain}, a name that clients never ask for: they ask for names in {suffix}, "
            "which are answered publicly"
        )
        yield Misdirection(asked, rule, observed)
    if not mistaken:
        yield Misdirection(
            asked, None, f"no rule for {suffix}, and the zone is not linked: answered publicly"
        )


def _misled(asked: VirtualNetwork, rule: ForwardingRule, origin: str) -> Iterator[Misdirection]:
    """Yield where a rule leads to a VNet that does not see the zone, or to none."""
    places = deciding_networks(forwarded_to(asked, (rule,)), public_suffix(origin), {asked.key})
    where = f"{', '.join(rule.targets)} for {rule.domain or 'every name'}"
    if not places:
        yield Misdirection(asked, rule, f"{where}, from where rules lead back: a circle, and no answer")
    for place in places:
        seen = linked_zone(place, origin)
        if seen is None or seen.zone.origin != origin:
            yield Misdirection(
                asked, rule, f"{where}, in virtual network {place.label!r}, which does not see it"
            )
