"""Faults of DNS: resolvers that answer wrongly, or not at all."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from pytest_ampls.lab.fault.pick import first, network
from pytest_ampls.lab.fault.registry import Datagram, Meddling, Tamper, dns_fault
from pytest_ampls.lab.spec import LabError, suggestion
from pytest_ampls.lab.store import Estate

__all__: list[str] = []

_VIEW = "name of the VNet; all when left out"
_ESTATE = "hub-and-spoke"


@dns_fault(
    "resolver-answers-public",
    "the resolver in the hub forwards to a public one, past the private zones",
    breaks="310 311 312",
    estates=_ESTATE,
)
def resolver_answers_public(estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Let the hub, and every spoke that asks it, be answered from the public DNS."""
    meddling.public_networks.add(network(estate, "hub")["id"].lower())


@dns_fault(
    "stale-dns-answer",
    "resolvers still give an old address for the workspace's ingestion name",
    breaks="310 311 312",
    estates=_ESTATE,
)
def stale_dns_answer(estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Answer one name with an address that no endpoint has."""
    customer = first(estate, "Microsoft.OperationalInsights/workspaces")["properties"]["customerId"]
    meddling.stale_names[f"{customer}.ods.opinsights.azure.com"] = "192.168.0.99"


def _tamper(estate: Estate, meddling: Meddling, argument: str | None, tamper: Tamper) -> None:
    """Tamper with the replies of one view, or of all of them."""
    names = [found["name"] for found in estate.of_type("Microsoft.Network/virtualNetworks")]
    if argument is not None and argument not in names:
        offered = ", ".join(names)
        raise LabError(
            f"lab: there is no VNet {argument!r}; on offer: {offered}{suggestion(argument, names)}"
        )

    def selective(datagram: Datagram, reply: bytes) -> bytes | None:
        return tamper(datagram, reply) if argument in (None, datagram.view) else reply

    meddling.tampers.append(selective)


@dns_fault("dns-down", "nothing listens on the DNS servers' ports")
def dns_down(_estate: Estate, meddling: Meddling, _argument: str | None) -> None:
    """Do not open the ports at all."""
    meddling.nameservers_down = True


def _bare_reply(query: bytes) -> dns.message.Message:
    return dns.message.make_response(dns.message.from_wire(query), recursion_available=True)


@dns_fault("dns-servfail", "the DNS servers answer SERVFAIL", argument=_VIEW)
def dns_servfail(estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Answer SERVFAIL to everything."""

    def fail(datagram: Datagram, _reply: bytes) -> bytes:
        message = _bare_reply(datagram.query)
        message.set_rcode(dns.rcode.SERVFAIL)
        return message.to_wire()

    _tamper(estate, meddling, argument, fail)


def _cut(datagram: Datagram) -> bytes:
    message = _bare_reply(datagram.query)
    message.flags |= dns.flags.TC
    return message.to_wire()


@dns_fault("dns-truncated", "every UDP answer is truncated; TCP works", argument=_VIEW)
def dns_truncated(estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Send clients to TCP."""
    _tamper(estate, meddling, argument, lambda datagram, reply: reply if datagram.tcp else _cut(datagram))


@dns_fault("dns-truncated-forever", "every UDP answer is truncated, and TCP closes", argument=_VIEW)
def dns_truncated_forever(estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Send clients to TCP and hang up there."""
    _tamper(estate, meddling, argument, lambda datagram, _reply: None if datagram.tcp else _cut(datagram))


@dns_fault("dns-cname-loop", "names lead back to themselves", argument=_VIEW)
def dns_cname_loop(estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Answer with two aliases that point to one another."""

    def loop(datagram: Datagram, _reply: bytes) -> bytes:
        message = _bare_reply(datagram.query)
        name = message.question[0].name.to_text()
        other = f"loop.{name}"
        message.answer.append(dns.rrset.from_text(name, 10, "IN", "CNAME", other))
        message.answer.append(dns.rrset.from_text(other, 10, "IN", "CNAME", name))
        return message.to_wire()

    _tamper(estate, meddling, argument, loop)


@dns_fault("dns-garbage", "the DNS servers send bytes that are no DNS message", argument=_VIEW)
def dns_garbage(estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Send the query's id and then nonsense."""
    _tamper(estate, meddling, argument, lambda datagram, _reply: datagram.query[:2] + b"\xff" * 37)


@dns_fault("dns-timeout", "the DNS servers never answer", argument=_VIEW)
def dns_timeout(estate: Estate, meddling: Meddling, argument: str | None) -> None:
    """Swallow every query."""
    _tamper(estate, meddling, argument, lambda _datagram, _reply: None)
