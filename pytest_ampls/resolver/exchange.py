"""One question to one server and its answer: over UDP, and over TCP where it did not fit."""

from __future__ import annotations

import asyncio
import os
import socket
from types import TracebackType
from typing import Final, Self

import dns.exception
import dns.flags
import dns.inet
import dns.message

from pytest_ampls.resolver.vantage import Server

__all__ = ["Lines"]

_MOST_BYTES: Final = 65535


class Lines:
    """The sockets of one task that asks, one for each server; a context manager that closes them.

    A socket is connected, so that a closed port is reported at once instead of after the timeout, and used
    again as long as each question got its answer. After anything else what still arrives there would be
    taken for the answer to the next question.
    """

    def __init__(self) -> None:
        self._idle: dict[Server, socket.socket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in self._idle.values():
            line.close()

    async def ask(self, server: Server, query: dns.message.Message, seconds: float) -> dns.message.Message:
        """Ask once over UDP, and over TCP when the answer was cut to fit (RFC 7766 §5).

        Raises:
            TimeoutError: no answer to this question came in so many seconds.
            OSError: the network or the server refused; it says what.
            ValueError: what came is no answer to this question, or is cut short over TCP too.
            DNSException, EOFError: it is no DNS message.
        """
        until = asyncio.get_running_loop().time() + seconds
        try:
            return await self._over_udp(server, query, until)
        except dns.message.Truncated:
            return await _over_tcp(server, query, until)

    async def _over_udp(
        self, server: Server, query: dns.message.Message, until: float
    ) -> dns.message.Message:
        line = self._idle.pop(server, None) or _connected(server)
        foreign = False
        try:
            async with asyncio.timeout_at(until):
                await asyncio.get_running_loop().sock_sendall(line, query.to_wire())
                while not query.is_response(reply := await _received(line, query)):
                    foreign = True  # a datagram that came twice, or somebody's guess: the answer may follow
        except TimeoutError:
            line.close()
            if foreign:
                raise ValueError("it answers another question") from None
            raise
        except BaseException:
            line.close()
            raise
        self._idle[server] = line
        return reply


def _connected(server: Server) -> socket.socket:
    line = socket.socket(dns.inet.af_for_address(server.address), socket.SOCK_DGRAM)
    try:
        line.setblocking(False)
        line.connect(dns.inet.low_level_address_tuple(server))
    except BaseException:
        line.close()
        raise
    return line


async def _received(line: socket.socket, query: dns.message.Message) -> dns.message.Message:
    """Return the next message.

    Raises:
        Truncated: it is the answer, without what did not fit.
    """
    wire = await asyncio.get_running_loop().sock_recv(line, _MOST_BYTES)
    try:
        return dns.message.from_wire(wire, raise_on_truncation=True)
    except dns.message.Truncated as problem:
        cut: dns.message.Message = problem.message()  # type: ignore[no-untyped-call]
        if query.is_response(cut):
            raise
        return cut


async def _over_tcp(server: Server, query: dns.message.Message, until: float) -> dns.message.Message:
    from dns import asyncquery  # lazily: hardly any answer is that long

    seconds = max(until - asyncio.get_running_loop().time(), 0.001)
    try:
        reply = await asyncquery.tcp(query, server.address, timeout=seconds, port=server.port)
    except dns.exception.Timeout:
        raise TimeoutError from None
    except OSError as problem:
        # asyncio says where it tried to connect, the operating system why that failed.
        reason = os.strerror(problem.errno) if problem.errno else str(problem)
        raise OSError(
            problem.errno, f"the answer over UDP was cut short, and over TCP: {reason}"
        ) from problem
    if reply.flags & dns.flags.TC:
        raise ValueError("it is cut short over TCP too")
    return reply
