"""Asking: one question, the chain behind it, and what a server may do instead of answering."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from pytest_ampls.errors import ConfigurationError, DocumentError, EvidenceError, UnreachableError
from pytest_ampls.model.evidence import Answer, Gap, GapKind, VantagePoint
from pytest_ampls.resolver.exchange import Lines
from pytest_ampls.resolver.vantage import Server, normal_name, parse_server

__all__ = ["Resolver", "resolve_all"]

_T = TypeVar("_T")

_MAX_CNAMES: Final = 12  # recursive servers themselves give up there: BIND at 11, dnspython at 16
_UDP_PAYLOAD: Final = 1232  # fits every path unfragmented (DNS Flag Day 2020)
_SILENT_LIMIT: Final = 3  # names lost on a server that never spoke, before it is left alone
_EDNS: Final = dns.message.make_query(".", dns.rdatatype.A, use_edns=0, payload=_UDP_PAYLOAD).opt
"""The record of EDNS, the same in every question: making it anew costs as much as making the rest."""
_EDNS_REFUSALS: Final = {dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS}

_ADVICE: Final = {
    dns.rcode.SERVFAIL: "The server could not find the answer itself: look at its forwarders and its log.",
    dns.rcode.REFUSED: "The server does not serve this client: look at its list of allowed clients, "
    "and whether it resolves recursively.",
}
_UNHEARD: Final = (
    "Check that the address is right and that this machine reaches it on UDP and TCP port {port}."
)


@dataclass
class _Trail:
    """The way from the asked name through its CNAMEs, as far as it is known."""

    names: list[dns.name.Name]
    ttl: int | None = None

    def seen(self, records: dns.rrset.RRset) -> None:
        """Keep the smallest TTL of the way: what the answer as a whole may be cached for."""
        self.ttl = records.ttl if self.ttl is None else min(self.ttl, records.ttl)

    def step(self, target: dns.name.Name) -> None:
        if target in self.names:
            raise DocumentError(
                f"a CNAME loop: {' -> '.join(_text(name) for name in [*self.names, target])}. "
                "Mend the records of that loop."
            )
        if len(self.names) > _MAX_CNAMES:
            raise DocumentError(
                f"a chain of more than {_MAX_CNAMES} CNAMEs, the last to {_text(target)}. "
                "No client follows that far: shorten the chain."
            )
        self.names.append(target)


@dataclass
class _Hearing:
    """Which servers ever spoke, and how many names were lost on those that did not."""

    heard: set[Server] = field(default_factory=set)
    lost: dict[Server, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def spoke(self, server: Server) -> None:
        with self.lock:
            self.heard.add(server)

    def kept_silent(self, server: Server) -> None:
        with self.lock:
            self.lost[server] = self.lost.get(server, 0) + 1

    def given_up(self, server: Server) -> int:
        """Return the number of lost names if the server is not worth asking again, else 0."""
        with self.lock:
            lost = 0 if server in self.heard else self.lost.get(server, 0)
        return lost if lost >= _SILENT_LIMIT else 0


class Resolver:
    """Asks the servers of one vantage point; safe to use from several threads.

    Args:
        vantage_point: where to ask. Its servers are tried in order; the next one is asked only
            when the one before gave no usable answer, never because of what it answered.
        timeout: seconds that one try may take.
        tries: tries at each server, when nothing comes back.

    One name takes at most ``timeout * tries`` seconds at each server, CNAMEs included. A server
    that said nothing for three names and never spoke is not asked again by this object.

    Raises:
        ConfigurationError: the vantage point has no server, or one that is not ``address:port``.
    """

    def __init__(self, vantage_point: VantagePoint, *, timeout: float = 5.0, tries: int = 2) -> None:
        if not vantage_point.servers:
            raise ConfigurationError(
                f"Vantage point {vantage_point.name!r} has no DNS server. Give it one, "
                f"as in {vantage_point.name}=192.0.2.53"
            )
        self.vantage_point = vantage_point
        self._servers = tuple(parse_server(text) for text in vantage_point.servers)
        self._timeout = timeout
        self._tries = tries
        self._hearing = _Hearing()

    def __repr__(self) -> str:
        return f"<Resolver {self.vantage_point.name} {' '.join(map(str, self._servers))}>"

    def resolve(self, name: str) -> Answer:
        """Return what the vantage point answers for the IPv4 addresses (type A) of a name.

        Never raises for what a server does: an answer that cannot be used has its ``gap`` set,
        with a message that names vantage point, server and name, what came back, and what to
        do. ``Answer.name`` is :func:`normal_name` of the asked one.
        """

        async def alone() -> Answer:
            with Lines() as lines:
                return await self.answer(name, lines)

        return _completed(alone)

    async def answer(self, name: str, lines: Lines) -> Answer:
        """Return what :meth:`resolve` does, asking over some task's own sockets."""
        asked = normal_name(name)
        label = self.vantage_point.name
        try:
            qname = dns.name.from_text(asked)
        except dns.exception.DNSException as problem:
            return self._not_a_name(name, asked, _reason(problem))
        if qname == dns.name.root:
            return self._not_a_name(name, asked, "it is empty")
        failures: list[EvidenceError] = []
        for server in self._servers:
            try:
                return await self._resolve_at(server, asked, qname, lines)
            except EvidenceError as failure:
                failures.append(failure)
        return Answer(vantage_point=label, name=asked, gap=_gap(label, asked, self._servers, failures))

    def _not_a_name(self, name: str, asked: str, reason: str) -> Answer:
        label = self.vantage_point.name
        message = f"{name!r} is not a DNS name ({reason}); vantage point {label!r} was not asked for it."
        return Answer(vantage_point=label, name=asked, gap=Gap(kind=GapKind.MALFORMED, message=message))

    async def _resolve_at(self, server: Server, asked: str, qname: dns.name.Name, lines: Lines) -> Answer:
        if lost := self._hearing.given_up(server):
            raise UnreachableError(
                f"not asked, because it gave no answer at all for {lost} other names. "
                + _UNHEARD.format(port=server.port)
            )
        deadline = time.monotonic() + self._timeout * self._tries
        trail = _Trail(names=[qname])
        while True:
            reply = await self._ask(server, trail.names[-1], deadline, lines)
            asked_for = trail.names[-1]
            addresses = _follow(reply, trail)
            # An answer that ends at a CNAME: the server left the rest to us (RFC 1034 §4.3.2).
            complete = addresses or trail.names[-1] == asked_for
            if complete or reply.rcode() == dns.rcode.NXDOMAIN:
                return Answer(
                    vantage_point=self.vantage_point.name,
                    name=asked,
                    status=dns.rcode.to_text(reply.rcode()),
                    chain=tuple(_text(name) for name in trail.names),
                    addresses=addresses,
                    ttl=trail.ttl,
                    server=str(server),
                )

    async def _ask(
        self, server: Server, name: dns.name.Name, deadline: float, lines: Lines
    ) -> dns.message.Message:
        """Return a reply that is an answer (NOERROR or NXDOMAIN, not a referral), or raise."""
        query = dns.message.make_query(name, dns.rdatatype.A)
        query.opt = _EDNS
        reply = await self._exchange(server, query, deadline, lines)
        rcode = reply.rcode()
        if rcode in _EDNS_REFUSALS:  # an old server that does not know EDNS: RFC 6891 §7
            query.opt = None
            reply = await self._exchange(server, query, deadline, lines)
            rcode = reply.rcode()
        if rcode not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            advice = _ADVICE.get(rcode, "Ask the server's operator what it stands for.")
            raise UnreachableError(f"{dns.rcode.to_text(rcode)} came back. {advice}")
        if _is_referral(reply):
            raise UnreachableError(
                "a referral to other servers came back, not an answer: it does not resolve recursively. "
                "Name the server that clients of this network use."
            )
        return reply

    async def _exchange(
        self, server: Server, query: dns.message.Message, deadline: float, lines: Lines
    ) -> dns.message.Message:
        for _ in range(self._tries):
            left = min(self._timeout, deadline - time.monotonic())
            if left <= 0:
                break
            try:
                reply = await lines.ask(server, query, left)
            except TimeoutError:
                continue
            except OSError as problem:
                self._hearing.kept_silent(server)
                reason = problem.strerror or str(problem) or type(problem).__name__
                raise UnreachableError(f"{reason}. {_UNHEARD.format(port=server.port)}") from problem
            except (dns.exception.DNSException, EOFError, ValueError) as problem:
                self._hearing.spoke(server)
                raise DocumentError(
                    f"something that is not a usable DNS answer came back ({_reason(problem)}). "
                    "Check that a DNS server listens there, with no other service or filter between."
                ) from problem
            self._hearing.spoke(server)
            return reply
        self._hearing.kept_silent(server)
        raise UnreachableError(
            f"no answer within {self._timeout * self._tries:g} s ({self._tries} tries). "
            + _UNHEARD.format(port=server.port)
        )


def resolve_all(
    vantage_points: Sequence[VantagePoint],
    names: Iterable[str],
    *,
    concurrency: int = 32,
    timeout: float = 5.0,
    tries: int = 2,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[Answer, ...]:
    """Return the answers of every vantage point for every name, each asked once.

    Names that differ only in case or in the final dot are one name. Order: vantage points as
    given, and within each the names in order of first appearance, whichever answered first.
    Computed vantage points and guests are left out: no server is asked there.
    ``concurrency`` bounds the questions under way; ``timeout`` and ``tries`` are
    :class:`Resolver`'s. ``on_progress`` gets a line of text with each answer.

    Raises:
        ConfigurationError: two vantage points have one name and different servers, or one has
            no usable server.
    """
    resolvers: dict[str, Resolver] = {}
    for point in vantage_points:
        if point.computed or point.guest:
            continue
        known = resolvers.setdefault(point.name, Resolver(point, timeout=timeout, tries=tries))
        if known.vantage_point.servers != point.servers:
            raise ConfigurationError(
                f"Vantage point {point.name!r} is given twice, with {', '.join(known.vantage_point.servers)} "
                f"and with {', '.join(point.servers)}. Give each its own name."
            )
    asked = list(dict.fromkeys(map(normal_name, names)))
    work = [(resolver, name) for resolver in resolvers.values() for name in asked]
    if not work:
        return ()
    return _completed(lambda: _answers(work, concurrency, on_progress))


async def _answers(
    work: Sequence[tuple[Resolver, str]], concurrency: int, on_progress: Callable[[str], None] | None
) -> tuple[Answer, ...]:
    """Ask for all names, so many at once: threads would cost more than the answers take to come."""
    found: dict[int, Answer] = {}

    async def ask(left: Iterator[tuple[int, tuple[Resolver, str]]]) -> None:
        with Lines() as lines:
            for place, (resolver, name) in left:
                answer = found[place] = await resolver.answer(name, lines)
                if on_progress is not None:
                    on_progress(f"{len(found)} of {len(work)} DNS lookups, last from {answer.vantage_point}")

    left = iter(enumerate(work))  # one for all, so that whoever is free takes the next
    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(concurrency, len(work))):
            tasks.create_task(ask(left))
    return tuple(found[place] for place in range(len(work)))


def _completed(start: Callable[[], Coroutine[None, None, _T]]) -> _T:
    """Run a coroutine to its end in a loop of its own, whatever loop this thread has or runs.

    An interrupt ends it at once.
    """

    def run() -> _T:
        # With a factory the thread's current loop, which may be somebody else's, is left as it is.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            return runner.run(start())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    with ThreadPoolExecutor(1, thread_name_prefix="dns") as pool:  # in a notebook, or an asynchronous test
        return pool.submit(run).result()


def _follow(reply: dns.message.Message, trail: _Trail) -> tuple[str, ...]:
    """Follow the reply's CNAMEs from the trail's end; return the addresses found there."""
    start = len(trail.names)
    while True:
        owner = trail.names[-1]
        found = _records(reply, owner, dns.rdatatype.A)
        if found:
            trail.seen(found)
            return tuple(record.address for record in found)
        alias = _records(reply, owner, dns.rdatatype.CNAME)
        if not alias:
            break
        trail.seen(alias)
        trail.step(alias[0].target)
    if reply.answer and len(trail.names) == start:
        others = ", ".join(dict.fromkeys(_text(records.name) for records in reply.answer))
        raise DocumentError(
            f"records of another name came back ({others}). Check what answers at that address."
        )
    return ()


def _records(
    reply: dns.message.Message, owner: dns.name.Name, kind: dns.rdatatype.RdataType
) -> dns.rrset.RRset | None:
    """Return the answer's records of a name; comparing is quicker than the message's own index of few."""
    for records in reply.answer:
        if records.rdtype == kind and records.rdclass == dns.rdataclass.IN and records.name == owner:
            return records
    return None


def _is_referral(reply: dns.message.Message) -> bool:
    """NOERROR that holds nothing but the names of other servers (RFC 2308 §2.2)."""
    if reply.answer or reply.rcode() != dns.rcode.NOERROR or reply.flags & dns.flags.AA:
        return False
    kinds = {records.rdtype for records in reply.authority}
    return dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds


def _gap(label: str, name: str, servers: Sequence[Server], failures: Sequence[EvidenceError]) -> Gap:
    """One gap for all servers of a vantage point, each with what it did."""
    unheard = any(isinstance(failure, UnreachableError) for failure in failures)
    told = " ".join(f"{server}: {failure}" for server, failure in zip(servers, failures, strict=True))
    return Gap(
        kind=GapKind.UNREACHABLE if unheard else GapKind.MALFORMED,
        message=f"Vantage point {label!r} gave no usable answer for {name} (type A). {told}",
    )


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _reason(problem: BaseException) -> str:
    return str(problem).rstrip(".") or type(problem).__name__
