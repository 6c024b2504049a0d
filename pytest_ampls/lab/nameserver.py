"""DNS servers on loopback: one for each VNet's view, UDP and TCP on the same port."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from pytest_ampls.lab.fault.registry import Datagram, Tamper
from pytest_ampls.lab.resolution import Outcome

__all__ = ["Nameservers", "reply_to"]

Lookup = Callable[[str], Outcome]

_TCP_SECONDS = 5.0
_PAYLOAD = 1232
"""Bytes; the UDP payload that servers agree on (DNS flag day 2020)."""
_PAUSE = 0.05
"""Seconds until a port is tried again that another program has for the moment."""


def reply_to(query: dns.message.Message, look_up: Lookup) -> dns.message.Message:
    """Return the reply of a recursive resolver to a parsed query."""
    reply = dns.message.make_response(query, recursion_available=True, our_payload=_PAYLOAD)
    if query.opcode() != 0 or len(query.question) != 1:
        reply.set_rcode(dns.rcode.NOTIMP)
        return reply
    question = query.question[0]
    if question.rdclass != dns.rdataclass.IN or not query.flags & dns.flags.RD:
        reply.set_rcode(dns.rcode.REFUSED)
        return reply
    outcome = look_up(question.name.to_text(omit_final_dot=True))
    reply.set_rcode(dns.rcode.from_text(outcome.status))
    owner = question.name
    for alias_owner, target in outcome.chain if question.rdtype != dns.rdatatype.SOA else ():
        owner = dns.name.from_text(target)
        _append(reply.answer, dns.name.from_text(alias_owner), outcome.ttl, "CNAME", owner.to_text())
    if question.rdtype == dns.rdatatype.CNAME:
        del reply.answer[1:]
        return reply
    if question.rdtype == dns.rdatatype.A:
        for address in outcome.addresses:
            _append(reply.answer, owner, outcome.ttl, "A", address)
    negative = question.rdtype != dns.rdatatype.A or not outcome.addresses
    if negative and outcome.status in ("NOERROR", "NXDOMAIN"):
        apex = dns.name.from_text(outcome.zone or "azure.com")
        soa = "azureprivatedns.net. azureprivatedns-host.microsoft.com. 1 3600 300 2419200 10"
        _append(reply.authority, apex, 10, "SOA", soa)
    return reply


def _append(section: list[dns.rrset.RRset], owner: dns.name.Name, ttl: int, kind: str, text: str) -> None:
    for rrset in section:
        if rrset.name == owner and rrset.rdtype == dns.rdatatype.from_text(kind):
            rrset.add(dns.rrset.from_text(owner, ttl, "IN", kind, text)[0])
            return
    section.append(dns.rrset.from_text(owner, ttl, "IN", kind, text))


class Nameservers:
    """All views' servers, in one thread; TCP connections get threads of their own.

    Until ``opens_at``, on the clock of :func:`time.monotonic`, nothing listens on their ports.
    """

    def __init__(
        self, views: Mapping[str, Lookup], tampers: list[Tamper], *, opens_at: float = float("-inf")
    ) -> None:
        self._views = dict(views)
        self._tampers = tampers
        self._selector = selectors.DefaultSelector()
        self._wake, self._alarm = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._sockets: list[socket.socket] = []
        self._opens_at = opens_at
        self._deaf: dict[str, socket.socket] = {}
        self._connections: set[socket.socket] = set()
        self._workers: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.ports: dict[str, int] = {}
        for view in self._views:
            self.ports[view] = self._bind(view)
        self._thread = threading.Thread(target=self._serve, name="ampls-lab-dns", daemon=True)

    def _bind(self, view: str) -> int:
        """Bind UDP and TCP of one view to the same free port and return it.

        Where nothing is to listen yet, that of TCP alone stays bound, which keeps the port: connections to it are
        refused. A bound port of UDP would swallow what is sent to it.
        """
        for _ in range(50):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", 0))
            port: int = udp.getsockname()[1]
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tcp.bind(("127.0.0.1", port))
            except OSError:
                udp.close()
                tcp.close()
                continue
            if time.monotonic() < self._opens_at:
                udp.close()
                self._deaf[view] = tcp
            else:
                self._listen(view, udp, tcp)
            return port
        raise OSError("no port is free for both UDP and TCP on 127.0.0.1")

    def _listen(self, view: str, udp: socket.socket, tcp: socket.socket) -> None:
        tcp.listen(64)
        self._sockets += [udp, tcp]
        self._selector.register(udp, selectors.EVENT_READ, (view, False))
        self._selector.register(tcp, selectors.EVENT_READ, (view, True))

    def _open(self) -> None:
        """Listen where nothing did; a port of UDP that somebody else has by now is waited for."""
        for view, tcp in list(self._deaf.items()):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.bind(("127.0.0.1", self.ports[view]))
            except OSError:
                udp.close()
                self._opens_at = time.monotonic() + _PAUSE
                continue
            del self._deaf[view]
            self._listen(view, udp, tcp)

    def _until_opening(self) -> float | None:
        """Return the seconds until there are more ports to listen on, None where there will be none."""
        if not self._deaf or self._opens_at == float("inf"):
            return None
        return max(0.0, self._opens_at - time.monotonic())

    def start(self) -> None:
        """Answer queries from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        if self._thread.is_alive():
            self._alarm.send(b"x")
            self._thread.join(timeout=5.0)
        with self._lock:
            open_connections = list(self._connections)
        for connection in open_connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for worker in self._workers:
            worker.join(timeout=2.0)
        self._selector.close()
        for opened in (*self._sockets, *self._deaf.values(), self._wake, self._alarm):
            opened.close()

    def _serve(self) -> None:
        while True:
            events = self._selector.select(self._until_opening())
            if time.monotonic() >= self._opens_at:
                self._open()
            for key, _ in events:
                if key.fileobj is self._wake:
                    return
                view, tcp = key.data
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                # A client that is gone before it is answered is no reason to stop serving.
                with contextlib.suppress(OSError):
                    if tcp:
                        self._accept(view, ready)
                    else:
                        self._datagram(view, ready)

    def _datagram(self, view: str, udp: socket.socket) -> None:
        data, client = udp.recvfrom(65535)
        reply = self._reply(Datagram(view, False, data))
        if reply is not None:
            udp.sendto(reply, client)

    def _accept(self, view: str, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.settimeout(_TCP_SECONDS)
        worker = threading.Thread(target=self._converse, args=(view, connection), daemon=True)
        with self._lock:
            self._connections.add(connection)
        self._workers = [old for old in self._workers if old.is_alive()]
        self._workers.append(worker)
        worker.start()

    def _converse(self, view: str, connection: socket.socket) -> None:
        """Answer queries on one TCP connection until it is closed (RFC 7766)."""
        with contextlib.suppress(OSError), connection:
            while length := _read(connection, 2):
                data = _read(connection, struct.unpack("!H", length)[0])
                reply = self._reply(Datagram(view, True, data)) if data else None
                if reply is None:
                    break
                connection.sendall(struct.pack("!H", len(reply)) + reply)
        with self._lock:
            self._connections.discard(connection)

    def _reply(self, datagram: Datagram) -> bytes | None:
        """Return the wire form of the reply, after faults have had their way; None for silence."""
        try:
            query = dns.message.from_wire(datagram.query)
        except (dns.exception.DNSException, ValueError):
            return None
        message = reply_to(query, self._views[datagram.view])
        reply: bytes | None
        if datagram.tcp:
            reply = message.to_wire(max_size=65535)
        else:
            limit = max(512, query.payload) if query.edns >= 0 else 512
            try:
                reply = message.to_wire(max_size=limit)
            except dns.exception.TooBig:
                reply = _truncated(query)
        for tamper in self._tampers:
            if reply is None:
                break
            reply = tamper(datagram, reply)
        return reply


def _truncated(query: dns.message.Message) -> bytes:
    message = dns.message.make_response(query, recursion_available=True, our_payload=_PAYLOAD)
    message.flags |= dns.flags.TC
    return message.to_wire()


def _read(connection: socket.socket, count: int) -> bytes:
    """Read exactly so many bytes; empty when the client closed the connection."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            return b""
        data += piece
    return data
