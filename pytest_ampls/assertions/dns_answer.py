"""Findings on zones and on live answers, and the phrases in them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from pytest_ampls.catalogue import Finding, Fix, az_rest
from pytest_ampls.effective.live import (
    AddressClass,
    AnswerKind,
    LiveAnswer,
    address_class,
    said_by_answer,
    said_by_configuration,
)
from pytest_ampls.effective.name_resolution import (
    AnswerStatus,
    ComputedAnswer,
    answers,
    endpoints_by_address,
)
from pytest_ampls.effective.records import record_of, zone_for
from pytest_ampls.effective.zones import public_suffix, relative_name
from pytest_ampls.errors import NotReadError
from pytest_ampls.model.evidence import Answer
from pytest_ampls.model.network import PrivateEndpoint
from pytest_ampls.model.private_dns import PrivateDnsZone, RecordSet
from pytest_ampls.model.vantage import Resolver

__all__ = [
    "FORWARDING_READ",
    "ask_again",
    "disagreement",
    "on_answer",
    "on_zone",
    "phrase",
    "said_by_answer",
    "zone_answer",
]

FORWARDING_READ: Final = (
    "Microsoft.Network/dnsResolvers/read",
    "Microsoft.Network/dnsResolvers/inboundEndpoints/read",
    "Microsoft.Network/dnsForwardingRulesets/read",
    "Microsoft.Network/dnsForwardingRulesets/forwardingRules/read",
    "Microsoft.Network/dnsForwardingRulesets/virtualNetworkLinks/read",
)
"""What has to be read to know where rulesets send names to: all rules on what a network is answered need it."""


def on_zone(
    zone: PrivateDnsZone,
    path: str,
    *,
    expected: str,
    observed: str,
    tokens: Mapping[str, str],
    evidence: str | None = None,
    fix: Fix | None = None,
) -> Finding:
    """Return a finding on a zone; the listing of its records is the evidence unless another is given."""
    return Finding.on(
        zone,
        path,
        expected=expected,
        observed=observed,
        evidence=evidence or az_rest(zone, RecordSet.ARM_TYPE),
        tokens={
            "zone": zone.origin,
            "zone-resource-group": zone.resource_group,
            "zone-id": zone.id,
            **tokens,
        },
        fix=fix,
    )


def on_answer(
    endpoint: PrivateEndpoint, resolver: Resolver, live: LiveAnswer, *, expected: str, observed: str
) -> Finding:
    """Return a finding on what a vantage point answered; asking again is the evidence."""
    fqdn = live.answer.name
    origin = zone_for(endpoint, fqdn)
    zones = [zone for zone in endpoint.estate.known(PrivateDnsZone) if zone.origin == origin]
    tokens = {"zone": origin, "record": relative_name(fqdn, origin), "public-zone": public_suffix(origin)}
    if zones:
        tokens["zone-resource-group"] = zones[0].resource_group
    return Finding.on(
        endpoint,
        f"{fqdn} asked from {resolver.name}",
        expected=expected,
        observed=observed,
        evidence=ask_again(resolver, live.answer),
        tokens=tokens,
    )


def ask_again(resolver: Resolver, answer: Answer) -> str:
    """Return the command that asks the same question again; of a computed answer, one that shows its source."""
    network = resolver.virtual_network if resolver.vantage_point.computed else None
    return az_rest(network) if network is not None else _dig(resolver, answer)


def _dig(resolver: Resolver, answer: Answer) -> str:
    server = answer.server or next(iter(resolver.vantage_point.servers), "")
    address, _, port = server.rpartition(":")
    name = shlex.quote(answer.name)
    return f"dig @{address.strip('[]')} -p {port} {name} A" if address else f"dig {name} A"


def phrase(endpoint: PrivateEndpoint, fqdn: str, live: LiveAnswer) -> str:
    """Return what was answered, as a phrase that says what it amounts to."""
    answer = live.answer
    end = answer.chain[-1] if answer.chain else answer.name
    through = f" (by way of {end})" if end != fqdn else ""
    if live.kind is AnswerKind.NXDOMAIN:
        return f"NXDOMAIN: {end} does not exist"
    if live.kind is AnswerKind.EMPTY:
        return f"no address: {end} exists without one"
    addresses = ", ".join(answer.addresses)
    if live.kind is AnswerKind.PUBLIC:
        return f"public: {addresses or answer.reason}{through}"
    if live.kind is AnswerKind.MIXED:
        if answer.mixed:
            return f"mixed: {answer.reason}"
        return "mixed: " + ", ".join(f"{each} ({_nature(endpoint, each, live)})" for each in answer.addresses)
    if live.kind is AnswerKind.UNUSABLE:
        return f"neither private nor public: {addresses}, which a filter or a hosts file answers with"
    return "private, but foreign: " + ", ".join(
        f"{each}, {_nature(endpoint, each, live)}" for each in answer.addresses
    )


def _nature(endpoint: PrivateEndpoint, address: str, live: LiveAnswer) -> str:
    if address in live.right:
        return "the endpoint's"
    if address in endpoint.addresses:
        return "the endpoint's address for other names"
    owners = endpoints_by_address(endpoint.estate).get(address, ())
    if owners:
        return "an address of private endpoint " + ", ".join(repr(owner.label) for owner in owners)
    kind = address_class(address)
    return (
        kind.value if kind is not AddressClass.PRIVATE else "the address of no private endpoint that was read"
    )


# ------------------------------------------------------------------- three ways


def zone_answer(endpoint: PrivateEndpoint, resolver: Resolver, fqdn: str) -> ComputedAnswer:
    """Return what configuration says a vantage point is answered.

    By its VNet's DNS; where no VNet is known, or its DNS server lies outside of what was read, by the zones
    that the endpoint keeps its records in.

    Raises:
        EvidenceError: what decides was not read completely.
    """
    network = resolver.virtual_network
    if network is not None:
        try:
            return answers(network, fqdn)
        except NotReadError:
            pass  # its DNS server is somewhere else: the endpoint's own zones are what remains
    addresses = record_of(endpoint, fqdn)
    if addresses is None:
        reason = "the endpoint's zones have no such record"
        return ComputedAnswer(status=AnswerStatus.NXDOMAIN, reason=reason)
    status = AnswerStatus.RECORD if addresses else AnswerStatus.NODATA
    return ComputedAnswer(status=status, addresses=addresses, reason="the endpoint's zones have the record")


def disagreement(
    endpoint: PrivateEndpoint, resolver: Resolver, live: LiveAnswer, zone: ComputedAnswer
) -> str | None:
    """Return what endpoint, zone record and answer say where they differ, None where they agree."""
    recorded, answered = said_by_configuration(zone), said_by_answer(live.answer)
    fits_zone, fits_answer = _fits(recorded, live.right), _fits(answered, live.right)
    if fits_zone and fits_answer and recorded == answered:
        return None
    if recorded == answered:
        odd = "the endpoint is the odd one out: zone and answer agree"
    elif fits_zone:
        odd = "the answer is the odd one out"
    elif fits_answer:
        odd = "the zone record is the odd one out"
    else:
        odd = "all three differ"
    parts = (
        f"endpoint {_list(live.right)}",
        f"zone record {_list(zone.addresses) if zone.addresses else f'none ({zone.reason})'}",
        f"answer of {resolver.name} {_list(live.answer.addresses) if live.answer.addresses else live.answer.status}",
    )
    return f"{'; '.join(parts)}: {odd}"


def _list(addresses: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(addresses)) or "none"


def _fits(said: frozenset[str], right: frozenset[str]) -> bool:
    return bool(said) and said <= right
