"""What sockets and loops have to do with lookups: datagrams twice or late, loops of others, interrupts."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import defaultdict

import dns.message
import pytest

from pytest_ampls.model.evidence import Answer, VantagePoint
from pytest_ampls.resolver import Resolver, normal_name, resolve_all

from .dns_server import Handler, Reply, Serve, reply_with

NAMES = [f"n{number}.example.net" for number in range(1, 6)]


def own_address(query: dns.message.Message) -> dns.message.Message:
    """Answer ``n3.example.net`` with 192.0.2.3."""
    name = normal_name(query.question[0].name.to_text())
    reply = reply_with(f"{name} 5 IN A 192.0.2.{name[1]}")(query, "udp")
    assert isinstance(reply, dns.message.Message)
    return reply


def one_after_another(serve: Serve, handler: Handler) -> tuple[Answer, ...]:
    """Ask for all names over one socket."""
    server = serve(handler)
    point = VantagePoint(name="hub", servers=(server.address,))
    return resolve_all([point], NAMES, concurrency=1, timeout=2, tries=2)


def addresses(answers: tuple[Answer, ...]) -> list[tuple[str, ...]]:
    """Return the addresses of each answer."""
    return [answer.addresses for answer in answers]


OWN = [(f"192.0.2.{name[1]}",) for name in NAMES]


def test_a_datagram_that_comes_twice_answers_one_question(serve: Serve) -> None:
    """The second copy is not taken for the answer to the next question on the same socket."""

    def twice(query: dns.message.Message, way: str) -> Reply:
        return [own_address(query).to_wire()] * 2

    assert addresses(one_after_another(serve, twice)) == OWN


def test_a_guess_before_the_answer_is_passed_over(serve: Serve) -> None:
    """An answer with another id does not spoil the one that follows it."""

    def guessed(query: dns.message.Message, way: str) -> Reply:
        guess = reply_with(f"{query.question[0].name.to_text(True)} 5 IN A 203.0.113.66")(query, way)
        assert isinstance(guess, dns.message.Message)
        guess.id ^= 1
        return [guess.to_wire(), own_address(query).to_wire()]

    assert addresses(one_after_another(serve, guessed)) == OWN


def test_a_late_answer_belongs_to_its_own_question(serve: Serve) -> None:
    """What comes when nobody waits for it any more is lost, and not the next name's address."""
    held: dict[str, list[bytes]] = defaultdict(list)

    def late(query: dns.message.Message, way: str) -> Reply:
        name = normal_name(query.question[0].name.to_text())
        own = own_address(query).to_wire()
        if name == NAMES[0]:
            held[name].append(own)
            return None
        return [*held.pop(NAMES[0], []), own]

    point = VantagePoint(name="hub", servers=(serve(late).address,))
    first, *others = resolve_all([point], NAMES, concurrency=1, timeout=0.2, tries=1)
    assert first.gap is not None
    assert [answer.addresses for answer in others] == OWN[1:]


def test_lookups_in_a_thread_whose_loop_runs(serve: Serve) -> None:
    """An asynchronous test or a notebook may ask, too: their loop is neither needed nor disturbed."""
    server = serve(lambda query, way: own_address(query))

    async def asking() -> tuple[tuple[str, ...], asyncio.AbstractEventLoop]:
        resolver = Resolver(VantagePoint(name="hub", servers=(server.address,)))
        return resolver.resolve(NAMES[2]).addresses, asyncio.get_running_loop()

    with asyncio.Runner() as runner:
        found, loop = runner.run(asking())
        assert found == ("192.0.2.3",)
        assert loop is runner.get_loop()


def test_the_current_loop_of_a_thread_stays(serve: Serve) -> None:
    """Whoever set a loop for this thread finds it again after a lookup."""
    server = serve(lambda query, way: own_address(query))
    own = asyncio.new_event_loop()
    asyncio.set_event_loop(own)
    try:
        Resolver(VantagePoint(name="hub", servers=(server.address,))).resolve(NAMES[0])
        assert asyncio.get_event_loop_policy().get_event_loop() is own
    finally:
        asyncio.set_event_loop(None)
        own.close()


_SILENT = """
import sys
from pytest_ampls.model.evidence import VantagePoint
from pytest_ampls.resolver import resolve_all
names = [f"n{number}.example.net" for number in range(1000)]
print("asking", flush=True)
resolve_all([VantagePoint(name="hub", servers=(sys.argv[1],))], names, concurrency=4, timeout=600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a signal of POSIX")
def test_an_interrupt_ends_lookups_at_once(serve: Serve) -> None:
    """Ctrl-C does not wait for the patience that a silent server is given."""
    server = serve(lambda query, way: None)
    command = [sys.executable, "-c", _SILENT, server.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asking\n"
        while not server.asked:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt")
