"""A DNS server on loopback that answers as badly as a test wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from pytest_ampls.resolver import normal_name

LOOPBACK = "127.0.0.1"

Reply = bytes | dns.message.Message | list[bytes] | None
Handler = Callable[[dns.message.Message, str], Reply]


class DnsServer:
    """One port, UDP and TCP, answering whatever a function makes of the query.

    A list is sent as so many datagrams, over TCP as one piece.
    """

    def __init__(self, handler: Handler, *, tcp: bool = True) -> None:
        self.handler = handler
        self.asked: list[tuple[str, str]] = []
        self.udp, self.tcp = _bound_pair(listen=tcp)
        self.port = self.udp.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve_udp, daemon=True)]
        if tcp:
            self._threads.append(threading.Thread(target=self._serve_tcp, daemon=True))
        for thread in self._threads:
            thread.start()

    @property
    def address(self) -> str:
        """The server as vantage points name it."""
        return f"{LOOPBACK}:{self.port}"

    def stop(self) -> None:
        """End both threads and free the port."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (LOOPBACK, self.port))
        if self.tcp is not None:
            socket.create_connection((LOOPBACK, self.port)).close()
        for thread in self._threads:
            thread.join()
        self.udp.close()
        if self.tcp is not None:
            self.tcp.close()

    def _answer(self, wire: bytes, transport: str) -> list[bytes]:
        query = dns.message.from_wire(wire)
        self.asked.append((normal_name(query.question[0].name.to_text()), transport))
        reply = self.handler(query, transport)
        if isinstance(reply, list):
            return reply
        whole = reply.to_wire() if isinstance(reply, dns.message.Message) else reply
        return [] if whole is None else [whole]

    def _serve_udp(self) -> None:
        while True:
            wire, peer = self.udp.recvfrom(4096)
            if not wire:
                return
            for datagram in self._answer(wire, "udp"):
                self.udp.sendto(datagram, peer)

    def _serve_tcp(self) -> None:
        assert self.tcp is not None
        while True:
            with self.tcp.accept()[0] as connection:
                size = connection.recv(2)
                if not size:
                    return
                reply = b"".join(self._answer(connection.recv(int.from_bytes(size)), "tcp"))
                if reply:
                    connection.sendall(len(reply).to_bytes(2) + reply)


def _bound_pair(*, listen: bool) -> tuple[socket.socket, socket.socket | None]:
    """Return sockets of both kinds on one free port; without ``listen`` only the datagram one."""
    for _ in range(50):
        tcp = socket.create_server((LOOPBACK, 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
            continue
        if not listen:
            tcp.close()
        return udp, tcp if listen else None
    raise AssertionError("no port is free for both UDP and TCP")


def reply_with(*records: str, rcode: dns.rcode.Rcode = dns.rcode.NOERROR, section: str = "answer") -> Handler:
    """Answer every query with the same records, ``owner ttl IN TYPE data`` each."""

    def handler(query: dns.message.Message, _: str) -> dns.message.Message:
        reply = dns.message.make_response(query, recursion_available=True)
        reply.set_rcode(rcode)
        for record in records:
            # One set each: the sender shuffles the records of a set.
            owner, ttl, kind_class, kind, data = record.split(maxsplit=4)
            records_of_one = dns.rrset.from_text(f"{owner}.", int(ttl), kind_class, kind, data)
            getattr(reply, section).append(records_of_one)
        return reply

    return handler


def by_name(handlers: dict[str, Handler]) -> Handler:
    """Answer each asked name with a handler of its own."""

    def handler(query: dns.message.Message, transport: str) -> Reply:
        return handlers[normal_name(query.question[0].name.to_text())](query, transport)

    return handler


def truncated(query: dns.message.Message, _: str) -> dns.message.Message:
    """Say that the answer did not fit, whatever the transport."""
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.TC
    return reply


Serve = Callable[[Handler], DnsServer]
