"""Real DNS servers on loopback that are set up as a topology says; nothing here is the product's.

Azure-provided DNS of a VNet is an unbound that sends the names of each linked zone to an unbound which is the
authority for the zone, those of each rule to the rule's targets, and all others to the public DNS. A link with
NxDomainRedirect leads to an unbound which has the zone as a response policy zone: what is not in it, is looked up
publicly. Machines that forward are dnsmasq or unbound.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from tests.dns.topology import OTHER, PUBLIC, Network, Record, Topology, Zone

__all__ = ["DNSMASQ", "Node", "Servers", "clients", "missing"]

DNSMASQ = (
    "dnsmasq",
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--pid-file=",
    "--no-resolv",
    "--no-hosts",
    "--cache-size=0",
)
"""How a dnsmasq is started that is a test's: without settings, names and memories of its own."""

_READY_SECONDS = 20.0
_MOST = 160
"""Servers that are kept running for the next topologies, which often want the same."""


def missing() -> str | None:
    """Return which program is not installed, None where all are."""
    absent = [name for name in ("unbound", "dnsmasq") if shutil.which(name) is None]
    return f"{', '.join(absent)} not installed" if absent else None


@dataclass(frozen=True)
class Node:
    """One server: what program it is, its own settings, and whom it forwards which domain to.

    Two nodes that are equal are one process.
    """

    program: str
    settings: tuple[str, ...] = ()
    forwards: tuple[tuple[str, Node], ...] = ()
    zone: tuple[str, ...] = ()


# ------------------------------------------------------------------- public DNS


def _public() -> Node:
    """Return the public DNS: each name is an alias of its privatelink name, and that of somebody's front end."""
    lines = ['local-zone: "." static', f'local-data: "{OTHER}. 0 A 203.0.113.250"']
    for number, name in enumerate(PUBLIC):
        label, _, suffix = name.rpartition(".monitor." if ".monitor." in name else ".ods.")
        private = f"{label}.privatelink.{'monitor' if '.monitor.' in name else 'ods'}.{suffix}"
        front = f"front{number}.example.net"
        lines += [
            f'local-data: "{name}. 0 CNAME {private}."',
            f'local-data: "{private}. 0 CNAME {front}."',
            f'local-data: "{front}. 0 A 203.0.113.{number + 1}"',
        ]
    return Node("unbound", tuple(lines))


PUBLIC_DNS = _public()


# ------------------------------------------------------------------- zones


def _authority(zone: Zone) -> Node:
    lines = [
        f"$ORIGIN {zone.origin}.",
        "@ 0 IN SOA ns.invalid. h.invalid. 1 60 60 60 0",
        "@ 0 IN NS ns.invalid.",
    ]
    # Names that exist only because something lies below them (RFC 4592 §2.2.2) are no nodes of unbound's zones,
    # so its wildcards would reach past them.
    lines += [f'{label} 0 IN TXT "between"' for label in _between(zone)]
    for label, record in zone.records:
        lines += _lines(label, record)
    kind = (f'name: "{zone.origin}"', "for-downstream: yes", "for-upstream: no")
    return Node("unbound", ("auth-zone", *kind), zone=tuple(lines))


def _between(zone: Zone) -> list[str]:
    """Return the names, relative to the zone, that have no record and have one below them."""
    names = {label for label, _ in zone.records}
    return sorted(
        {label.split(".", cut)[cut] for label in names for cut in range(1, label.count(".") + 1)} - names
    )


def _lines(label: str, record: Record) -> Iterator[str]:
    kind, *values = record
    if not values:
        yield f'{label} 0 IN TXT "a record set without an address"'
    for value in values:
        yield f"{label} 0 IN {kind} {value}{'.' if kind == 'CNAME' else ''}"


def _redirecting(zone: Zone) -> Node:
    """Return the server of a zone that redirects: a policy "CNAME *." means no data (RPZ draft, §3.2)."""
    lines = [
        "$ORIGIN policy.invalid.",
        "@ 0 IN SOA ns.invalid. h.invalid. 1 60 60 60 0",
        "@ 0 IN NS ns.invalid.",
    ]
    lines += [
        f"{zone.origin} 0 IN CNAME *.",
        *(f"{label}.{zone.origin} 0 IN CNAME *." for label in _between(zone)),
    ]
    for label, record in zone.records:
        own = f"{label}.{zone.origin}"
        lines += _lines(own, record) if record[1:] else [f"{own} 0 IN CNAME *."]
    return Node("unbound", ("rpz", 'name: "policy.invalid"'), ((".", PUBLIC_DNS),), tuple(lines))


# ------------------------------------------------------------------- who asks whom


def clients(topology: Topology, network: Network) -> list[Node]:
    """Return every server that a machine of a network may be answered by.

    A server that has a choice of several to ask is as many servers, each with its choice made.
    """
    if not network.servers:
        return _azure(topology, network)
    return [node for server in network.servers for node in _server(topology, network, server)]


def _server(topology: Topology, network: Network, server: str) -> list[Node]:
    if server == "168.63.129.16":
        return _azure(topology, network)
    _, number, _, host = server.split(".")
    holder = topology.networks[int(number)]
    if host == "10":
        return _azure(topology, holder)
    program = {"4": "dnsmasq", "5": "unbound"}[host]
    inside = holder is network or server in holder.servers
    upstreams = _azure(topology, holder) if inside else clients(topology, holder)
    return [Node(program, forwards=((".", upstream),)) for upstream in upstreams]


def _azure(topology: Topology, network: Network) -> list[Node]:
    zones = {
        zone.origin: _redirecting(zone) if policy == "fallback" else _authority(zone)
        for zone in topology.zones
        for number, policy in zone.links
        if number == network.number and policy != "pending"
    }
    choices: list[list[tuple[str, Node]]] = [[(origin, node)] for origin, node in zones.items()]
    for rule in network.rules:
        domain = rule.domain.rstrip(".")
        if rule.enabled and not any(f".{domain}".endswith(f".{origin}") for origin in zones):
            nodes = [node for target in rule.targets for node in _server(topology, network, target)]
            choices.append([(domain or ".", node) for node in dict.fromkeys(nodes)])
    if not any(options[0][0] == "." for options in choices):
        choices.append([(".", PUBLIC_DNS)])
    return [Node("unbound", forwards=chosen) for chosen in itertools.product(*choices)]


# ------------------------------------------------------------------- processes


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Servers:
    """Running servers, each on a loopback address of its own, all on one port."""

    folder: Path
    port: int = field(default_factory=_free_port)
    _running: dict[Node, tuple[str, subprocess.Popen[bytes]]] = field(default_factory=dict)
    started: int = 0

    def run(self, nodes: Iterable[Node]) -> None:
        """Start what does not run yet, and wait until all of it answers."""
        if len(self._running) > _MOST:
            self.stop()
        fresh: list[Node] = []
        for node in nodes:
            self._start(node, fresh)
        for node in fresh:
            self._await(node)

    def _start(self, node: Node, fresh: list[Node]) -> None:
        if node in self._running:
            return
        for _, upstream in node.forwards:
            self._start(upstream, fresh)
        self.started += 1
        address = f"127.88.{self.started // 250}.{self.started % 250 + 1}"
        command = self._dnsmasq(node, address) if node.program == "dnsmasq" else self._unbound(node, address)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._running[node] = address, process
        fresh.append(node)

    def _dnsmasq(self, node: Node, address: str) -> list[str]:
        ((_, upstream),) = node.forwards
        return [
            *DNSMASQ,
            "--bind-interfaces",
            f"--listen-address={address}",
            f"--port={self.port}",
            f"--server={self._running[upstream][0]}#{self.port}",
        ]

    def _unbound(self, node: Node, address: str) -> list[str]:
        zone, configuration = self.folder / f"{address}-zone", self.folder / f"{address}-conf"
        zone.write_text("\n".join(node.zone) + "\n")
        clause = node.settings[0] if node.zone else ""
        lines = ["server:", *_BASICS, f"interface: {address}", f"port: {self.port}"]
        lines += [f'directory: "{self.folder}"', *(() if clause else node.settings)]
        lines += ["remote-control:", "control-enable: no"]
        if clause:
            lines += [f"{clause}:", *node.settings[1:], f'zonefile: "{zone}"']
        for domain, upstream in node.forwards:
            forward = f"forward-addr: {self._running[upstream][0]}@{self.port}"
            lines += ["forward-zone:", f'name: "{domain}"', forward]
        configuration.write_text("\n".join(lines) + "\n")
        return ["unbound", "-d", "-c", str(configuration)]

    def _await(self, node: Node) -> None:
        """Wait for an answer to a question that a server answers itself."""
        address, process = self._running[node]
        question = dns.message.make_query("version.bind", "TXT", "CH")
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end:
            if process.poll() is not None:
                raise RuntimeError(f"{node.program} at {address} ended with {process.returncode}: {node}")
            with contextlib.suppress(dns.exception.DNSException, OSError):
                dns.query.udp(question, address, timeout=0.05, port=self.port)
                return
            time.sleep(0.005)
        raise RuntimeError(f"{node.program} at {address} did not answer within {_READY_SECONDS} s: {node}")

    def ask(self, node: Node, name: str) -> tuple[str, frozenset[str]]:
        """Return what a server says to a client: a status, and the addresses."""
        question = dns.message.make_query(name, "A")
        reply = dns.query.udp(question, self._running[node][0], timeout=5.0, port=self.port)
        found = frozenset(
            item.to_text() for part in reply.answer if part.rdtype == dns.rdatatype.A for item in part
        )
        return dns.rcode.to_text(reply.rcode()), found

    def stop(self) -> None:
        """End every server that was started here."""
        for _, process in self._running.values():
            process.terminate()
        for _, process in self._running.values():
            process.wait(timeout=10)
        self._running.clear()


_BASICS = (
    'chroot: ""',
    'username: ""',
    'pidfile: ""',
    "do-daemonize: no",
    "use-syslog: no",
    "verbosity: 0",
    "access-control: 127.0.0.0/8 allow",
    "do-not-query-localhost: no",
    "do-ip6: no",
    "num-threads: 1",
    "outgoing-range: 64",
    "num-queries-per-thread: 32",
    'module-config: "respip iterator"',
    "qname-minimisation: no",
    "harden-below-nxdomain: no",
    "cache-max-ttl: 0",  # every question goes all the way: what was asked before decides nothing
    "cache-max-negative-ttl: 0",
)
