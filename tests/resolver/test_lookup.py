"""Names asked of real DNS servers on loopback, well-behaved and not."""

from __future__ import annotations

import time
from collections import Counter

import dns.flags
import dns.message
import dns.rcode
import pytest

from pytest_ampls.errors import ConfigurationError, DocumentError, UnreachableError
from pytest_ampls.model.evidence import Answer, GapKind, VantagePoint
from pytest_ampls.resolver import Resolver, normal_name, resolve_all

from .dns_server import LOOPBACK, DnsServer, Handler, Reply, Serve, by_name, reply_with, truncated

NAME = "api.monitor.azure.com"
PRIVATE = "api.privatelink.monitor.azure.com"
CHAIN = (f"{NAME} 300 IN CNAME {PRIVATE}.", f"{PRIVATE} 10 IN A 192.168.0.69")


def ask(*servers: str, name: str = NAME) -> Answer:
    """Ask from the vantage point ``hub``, with little patience."""
    return Resolver(VantagePoint(name="hub", servers=servers), timeout=0.25, tries=2).resolve(name)


def gap_of(answer: Answer, kind: GapKind) -> str:
    """Return the gap's message, after checking that it names who asked whom for what."""
    assert answer.gap is not None, answer
    assert answer.gap.kind is kind
    assert answer.addresses == ()
    message = answer.gap.message
    assert "'hub'" in message
    assert answer.name in message
    return message


def test_the_chain_and_the_final_addresses_are_kept(serve: Serve) -> None:
    """An answer holds every name on the way, the addresses in their order, and the smallest TTL."""
    server = serve(reply_with(*CHAIN, f"{PRIVATE} 10 IN A 192.168.0.68"))
    assert ask(server.address) == Answer(
        vantage_point="hub",
        name=NAME,
        status="NOERROR",
        chain=(NAME, PRIVATE),
        addresses=("192.168.0.69", "192.168.0.68"),
        ttl=10,
        server=server.address,
    )
    assert server.asked == [(NAME, "udp")]


def test_a_name_is_asked_as_it_is_compared(serve: Serve) -> None:
    """Case and the final dot make no difference, neither in the question nor in the answer."""
    server = serve(reply_with(f"{NAME.upper()} 5 IN CNAME {PRIVATE.upper()}.", CHAIN[1]))
    answer = ask(server.address, name="API.Monitor.Azure.com.")
    assert (answer.name, answer.chain, answer.addresses) == (NAME, (NAME, PRIVATE), ("192.168.0.69",))


@pytest.mark.parametrize("status", ["NXDOMAIN", "NOERROR"])
def test_a_name_without_addresses_is_an_answer(serve: Serve, status: str) -> None:
    """NXDOMAIN and NODATA are answers with the chain that led there, not gaps."""
    target = by_name({NAME: reply_with(CHAIN[0], rcode=dns.rcode.from_text(status)), PRIVATE: reply_with()})
    answer = ask(serve(target).address)
    assert answer.gap is None
    assert (answer.status, answer.chain, answer.addresses) == (status, (NAME, PRIVATE), ())


def test_a_chain_that_the_server_leaves_open_is_asked_to_its_end(serve: Serve) -> None:
    """A CNAME without its target's addresses leads to another question, whose outcome counts."""
    last = "stamp.trafficmanager.net"
    handlers = {
        NAME: reply_with(CHAIN[0]),
        PRIVATE: reply_with(f"{PRIVATE} 60 IN CNAME {last}."),
        last: reply_with(rcode=dns.rcode.NXDOMAIN),
    }
    answer = ask(serve(by_name(handlers)).address)
    assert (answer.status, answer.chain, answer.addresses) == ("NXDOMAIN", (NAME, PRIVATE, last), ())


def test_a_loop_inside_one_answer_is_told(serve: Serve) -> None:
    """A CNAME loop is a gap that shows the loop."""
    server = serve(reply_with(CHAIN[0], f"{PRIVATE} 5 IN CNAME {NAME}."))
    message = gap_of(ask(server.address), GapKind.MALFORMED)
    assert f"a CNAME loop: {NAME} -> {PRIVATE} -> {NAME}" in message


def test_a_loop_over_several_answers_is_told(serve: Serve) -> None:
    """A loop that only shows across questions ends the same way, after as many questions as names."""
    server = serve(
        by_name({NAME: reply_with(CHAIN[0]), PRIVATE: reply_with(f"{PRIVATE} 5 IN CNAME {NAME}.")})
    )
    assert "a CNAME loop" in gap_of(ask(server.address), GapKind.MALFORMED)
    assert server.asked == [(NAME, "udp"), (PRIVATE, "udp")]


def test_a_chain_without_end_is_given_up(serve: Serve) -> None:
    """A server that invents one more CNAME for every question cannot keep the run busy."""

    def onwards(query: dns.message.Message, transport: str) -> Reply:
        name = normal_name(query.question[0].name.to_text())
        return reply_with(f"{name} 5 IN CNAME x{name}.")(query, transport)

    server = serve(onwards)
    assert "a chain of more than 12 CNAMEs" in gap_of(ask(server.address), GapKind.MALFORMED)
    assert len(server.asked) == 13


def test_a_truncated_answer_is_asked_again_over_tcp(serve: Serve) -> None:
    """What did not fit into a datagram comes over TCP."""

    def handler(query: dns.message.Message, transport: str) -> Reply:
        return truncated(query, transport) if transport == "udp" else reply_with(*CHAIN)(query, transport)

    server = serve(handler)
    assert ask(server.address).addresses == ("192.168.0.69",)
    assert server.asked == [(NAME, "udp"), (NAME, "tcp")]


def test_truncation_over_tcp_is_no_answer(serve: Serve) -> None:
    """TC over TCP means that nothing usable came back; it is not taken for an empty answer."""
    assert "cut short over TCP too" in gap_of(ask(serve(truncated).address), GapKind.MALFORMED)


def test_truncation_without_tcp_is_no_answer() -> None:
    """When TCP is refused the message tells both halves."""
    server = DnsServer(truncated, tcp=False)
    try:
        message = gap_of(ask(server.address), GapKind.UNREACHABLE)
    finally:
        server.stop()
    assert "over UDP was cut short, and over TCP: " in message
    assert "refused" in message


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED"])
def test_a_refusal_is_no_answer(serve: Serve, rcode: str) -> None:
    """SERVFAIL and REFUSED say nothing about the name; the message says what to look at."""
    server = serve(reply_with(rcode=dns.rcode.from_text(rcode)))
    message = gap_of(ask(server.address), GapKind.UNREACHABLE)
    assert f"{server.address}: {rcode} came back." in message
    assert "look at its" in message


def test_a_referral_is_no_answer(serve: Serve) -> None:
    """A server that only points to others has not answered: its emptiness is not NODATA."""
    server = serve(reply_with("azure.com 60 IN NS ns1.example.net.", section="authority"))
    assert "referral" in gap_of(ask(server.address), GapKind.UNREACHABLE)


def test_silence_is_bounded_and_told(serve: Serve) -> None:
    """A server that never answers is asked as often as configured, then named."""
    server = serve(lambda query, transport: None)
    message = gap_of(ask(server.address), GapKind.UNREACHABLE)
    assert "no answer within 0.5 s (2 tries)" in message
    assert f"TCP port {server.port}" in message
    assert len(server.asked) == 2


def test_a_closed_port_is_told(serve: Serve) -> None:
    """Nothing listens: the operating system's word for it is in the message."""
    server = DnsServer(reply_with())
    server.stop()
    assert "refused" in gap_of(ask(server.address), GapKind.UNREACHABLE)


def test_a_lost_datagram_is_asked_again(serve: Serve) -> None:
    """One lost packet does not make a name unverified."""
    lost = iter([True])
    server = serve(lambda query, way: None if next(lost, False) else reply_with(*CHAIN)(query, way))
    assert ask(server.address).addresses == ("192.168.0.69",)
    assert len(server.asked) == 2


def _wrong_id(query: dns.message.Message, transport: str) -> Reply:
    reply = reply_with(*CHAIN)(query, transport)
    assert isinstance(reply, dns.message.Message)
    reply.id = query.id ^ 1
    return reply


def _wrong_question(query: dns.message.Message, transport: str) -> Reply:
    other = dns.message.make_query("other.example.net", "A", id=query.id)
    return reply_with(*CHAIN)(other, transport)


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (lambda query, way: b"HTTP/1.1 400 Bad Request\r\n\r\n", "not a usable DNS answer"),
        (lambda query, way: b"\x00\x01", "not a usable DNS answer"),
        (_wrong_id, "answers another question"),
        (_wrong_question, "answers another question"),
        (reply_with("other.example.net 5 IN A 203.0.113.1"), "records of another name came back (other"),
    ],
    ids=["http", "two bytes", "wrong id", "wrong question", "wrong owner"],
)
def test_garbage_is_no_answer(serve: Serve, handler: Handler, told: str) -> None:
    """Whatever is not an answer to the question is malformed, and no address is taken from it."""
    assert told in gap_of(ask(serve(handler).address), GapKind.MALFORMED)


def test_questions_carry_edns(serve: Serve) -> None:
    """The server is told how long a datagram may be, so that chains rarely need TCP."""
    heard: list[tuple[int, int]] = []

    def handler(query: dns.message.Message, transport: str) -> Reply:
        heard.append((query.edns, query.payload))
        return reply_with(*CHAIN)(query, transport)

    server = serve(handler)
    assert [ask(server.address).ttl, ask(server.address, name=PRIVATE).ttl] == [10, 10]
    assert heard == [(0, 1232), (0, 1232)]


def test_a_server_that_knows_no_edns_is_asked_without(serve: Serve) -> None:
    """FORMERR to a question with EDNS is followed by one without, as RFC 6891 asks."""

    def handler(query: dns.message.Message, transport: str) -> Reply:
        if query.edns < 0:
            return reply_with(*CHAIN)(query, transport)
        return reply_with(rcode=dns.rcode.FORMERR)(query, transport)

    assert ask(serve(handler).address).addresses == ("192.168.0.69",)


def test_the_next_server_is_asked_only_when_there_was_no_answer(serve: Serve) -> None:
    """A broken first server is passed over; an answer is final, even a negative one."""
    broken = serve(reply_with(rcode=dns.rcode.SERVFAIL))
    negative = serve(reply_with(rcode=dns.rcode.NXDOMAIN))
    positive = serve(reply_with(*CHAIN))
    answer = ask(broken.address, negative.address, positive.address)
    assert (answer.status, answer.server) == ("NXDOMAIN", negative.address)
    assert positive.asked == []


def test_when_all_servers_fail_each_is_named(serve: Serve) -> None:
    """The message says of every server what it did."""
    first, second = serve(reply_with(rcode=dns.rcode.REFUSED)), serve(lambda query, way: b"no")
    message = gap_of(ask(first.address, second.address), GapKind.UNREACHABLE)
    assert f"{first.address}: REFUSED" in message
    assert f"{second.address}: something that is not" in message


def test_gaps_become_errors_that_say_the_same(serve: Serve) -> None:
    """A gap turns into the error of its kind, with its message."""
    silent, garbage = ask(f"{LOOPBACK}:9"), ask(serve(truncated).address)
    assert silent.gap is not None
    assert garbage.gap is not None
    assert isinstance(silent.gap.error(), UnreachableError)
    assert isinstance(garbage.gap.error(), DocumentError)
    assert str(garbage.gap.error()) == garbage.gap.message


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".azure.com"])
def test_what_is_not_a_name_is_not_asked(serve: Serve, name: str) -> None:
    """A text that cannot be a DNS name is told apart from a server that fails."""
    server = serve(reply_with(*CHAIN))
    answer = ask(server.address, name=name)
    assert "is not a DNS name" in gap_of(answer, GapKind.MALFORMED)
    assert server.asked == []


def test_many_names_come_back_in_order_each_asked_once(serve: Serve) -> None:
    """Slow and quick answers keep their places, and a repeated name costs nothing."""

    def handler(query: dns.message.Message, transport: str) -> Reply:
        name = normal_name(query.question[0].name.to_text())
        time.sleep(0.05 if name.startswith("n0") else 0)
        return reply_with(f"{name} 5 IN A 192.0.2.{name[1:2]}")(query, transport)

    left, right = serve(handler), serve(handler)
    points = [VantagePoint(name=n, servers=(s.address,)) for n, s in (("left", left), ("right", right))]
    names = [f"n{index}.example.net" for index in range(9)]
    answers = resolve_all(points, [*names, "N3.Example.net.", names[0]])
    assert [(answer.vantage_point, answer.name) for answer in answers] == [
        (point, name) for point in ("left", "right") for name in names
    ]
    assert all(answer.addresses == (f"192.0.2.{answer.name[1]}",) for answer in answers)
    assert max(Counter(left.asked).values()) == max(Counter(right.asked).values()) == 1


def test_progress_of_many_lookups(serve: Serve) -> None:
    """Whoever waits sees how many of how many answers have come."""
    server = serve(reply_with("n0.example.net 5 IN A 192.0.2.1"))
    point = VantagePoint(name="hub", servers=(server.address,))
    said: list[str] = []
    resolve_all([point], ["n0.example.net", "n1.example.net"], on_progress=said.append)
    assert said == ["1 of 2 DNS lookups, last from hub", "2 of 2 DNS lookups, last from hub"]


def test_a_dead_server_is_left_alone_after_a_few_names(serve: Serve) -> None:
    """Hundreds of names on a dead server cost the patience of a few, and each has a gap that says so."""
    server = serve(lambda query, transport: None)
    names = [f"n{index}.example.net" for index in range(40)]
    point = VantagePoint(name="hub", servers=(server.address,))
    answers = resolve_all([point], names, concurrency=3, timeout=0.1, tries=1)
    assert len(answers) == 40
    assert all(gap_of(answer, GapKind.UNREACHABLE) for answer in answers)
    assert "no answer at all for 3 other names" in gap_of(answers[-1], GapKind.UNREACHABLE)
    assert len(server.asked) < 10


def test_a_server_that_spoke_is_never_left_alone(serve: Serve) -> None:
    """Three lost names are no reason to give up a server that answers others."""
    silent = {f"s{index}.example.net" for index in range(3)}

    def handler(query: dns.message.Message, transport: str) -> Reply:
        name = normal_name(query.question[0].name.to_text())
        return None if name in silent else reply_with(f"{name} 5 IN A 192.0.2.1")(query, transport)

    point = VantagePoint(name="hub", servers=(serve(handler).address,))
    names = ["first.example.net", *sorted(silent), "last.example.net"]
    *_, last = resolve_all([point], names, concurrency=1, timeout=0.1, tries=1)
    assert last.addresses == ("192.0.2.1",)


def test_two_places_cannot_share_a_name() -> None:
    """One name for two sets of servers would mix their answers up."""
    points = [VantagePoint(name="hub", servers=(server,)) for server in ("127.0.0.1:1", "127.0.0.1:2")]
    with pytest.raises(ConfigurationError, match=r"'hub' is given twice, with 127\.0\.0\.1:1 and with"):
        resolve_all(points, [NAME])


def test_nothing_to_ask_is_nothing_answered() -> None:
    """No vantage point or no name: no answers, and no error."""
    assert resolve_all([], [NAME]) == ()
    assert resolve_all([VantagePoint(name="hub", servers=("127.0.0.1:1",))], []) == ()


def test_a_vantage_point_needs_a_server() -> None:
    """A place without servers is a mistake of the configuration, not an empty answer."""
    with pytest.raises(ConfigurationError, match="'hub' has no DNS server"):
        Resolver(VantagePoint(name="hub", servers=()))
