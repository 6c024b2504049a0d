"""The world: an estate's networks, machines and servers as namespaces, and a runner that looks at them.

Each VNet is a machine of its own that routes and holds the platform's resolver; virtual machines, the private
endpoint and the runner hang on its bridge. Only peered VNets are connected. No route leads out.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from tests.served import place, sign_in
from tests.world.documents import PLATFORM, Estate, Machine, estate_of
from tests.world.files import (
    AGENT_UNITS,
    STAND_IN,
    Keys,
    endpoint_settings,
    etc,
    imds_state,
    lay_out,
    nameservers,
    resolv_conf,
)
from tests.world.judged import Judged, judged
from tests.world.names import forwarder, resolver
from tests.world.nodes import Daemon, Node, until
from tests.world.wires import IMDS, PUBLIC_RESOLVER, Wires

__all__ = ["DNS_SERVER", "ESTATE", "HUB", "World", "missing"]

ESTATE: Final = "hub-and-spoke"
HUB: Final = "hub"
DNS_SERVER: Final = "192.168.0.4"
_RUNNER_HOST: Final = 50
_PROGRAMS: Final = (
    *("ip", "unshare", "nsenter", "hostname", "mount", "curl", "dig", "dnsmasq", "nginx", "openssl"),
    *("ssh", "ssh-keygen", "sshd", "unbound"),
)


def missing() -> str | None:
    """Return what this machine lacks to hold the world, None where nothing is missing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root, for namespaces"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    absent = [name for name in _PROGRAMS if shutil.which(name, path=path) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (packages: tests/world/packages.txt)"
    command = ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc", "true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"this machine makes no namespaces: {tried.stderr.strip()}" if tried.returncode != 0 else None


class Served(NamedTuple):
    """A lab that serves an estate on the runner's loopback, how to reach it, and what its documents say."""

    daemon: Daemon
    connection: dict[str, Any]
    estate: Estate


class World:
    """The running world; ``folder`` holds its files.

    ``lab`` is what the runner asks for documents, ``estate`` what the world was built from: the healthy
    documents. ``guests`` are the machines and ``networks`` the routers, by name; ``runner`` is where tests look
    from, ``front`` where the services behind the private endpoint are. ``forwarder`` is the DNS server in the
    hub, ``service`` what answers on the endpoint's addresses.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._outer = Node("world", self._own("world"))
        self._nodes: list[Node] = []
        self._labs: list[Daemon] = []
        self._daemons: list[Daemon] = []
        self._resolvers: dict[str, Daemon] = {}

    def __enter__(self) -> Self:
        try:
            self.keys = Keys(self.folder / "keys")
            self._outer.wait()
            # The runner comes first: what the world is like is read from the lab that it holds.
            etc(self._own("runner"), self.keys, (DNS_SERVER,))
            self.runner = self._node("runner").wait()
            self.lab = self._serve(ESTATE, "lab")
            self.estate = self.lab.estate
            self._build(self.estate)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self._labs:
            daemon.stop()  # it has files outside of the world
        self._outer.stop()
        for daemon in self._daemons:
            daemon.reap()
        for node in self._nodes:
            node.stop()

    # -- building ----------------------------------------------------------------------------

    def _own(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def _node(self, name: str) -> Node:
        node = Node(name, self._own(name), inside=self._outer)
        self._nodes.append(node)
        return node

    def _serve(self, spec: str, name: str) -> Served:
        """Start a lab on the runner, wait for it, and read its documents."""
        ready = self.folder / f"{name}.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest_ampls.lab", "serve", spec, "--ready-file", str(ready)]
        daemon = Daemon(self.runner, command, log=self.folder / f"{name}.log")
        self._labs.append(daemon)
        daemon.start().wait()
        until(ready.exists, f"the lab that serves {spec}")
        read = self.runner.run(sys.executable, str(STAND_IN / "read_arm.py"), str(ready))
        return Served(daemon, json.loads(ready.read_text()), estate_of(json.loads(read)))

    def _build(self, estate: Estate) -> None:
        self.keys.certify(estate.private_names)
        self.ssh_config = self.keys.ssh_config(estate)
        self.networks = {name: self._node(f"net-{name}") for name in estate.networks}
        for machine in estate.machines.values():
            servers = nameservers(estate.networks[machine.network].servers)
            lay_out(self._own(machine.name), machine, self.keys, servers)
        self.guests = {name: self._node(name) for name in estate.machines}
        self.front = self._node("front")
        for node in (*self.networks.values(), *self.guests.values(), self.front):
            node.wait()
        self._connect(estate)
        self._run_servers(estate)

    def _connect(self, estate: Estate) -> None:
        wires = Wires(self._outer, self.networks)
        wires.networks(estate)
        for machine in estate.machines.values():
            wires.attach(self.guests[machine.name], estate.networks[machine.network], machine.address)
            self.guests[machine.name].ip(f"addr add {IMDS}/32 dev lo")
        hub = estate.networks[HUB]
        wires.attach(self.runner, hub, hub.address(_RUNNER_HOST))
        wires.attach(self.front, hub, *self.addresses)
        self.networks[HUB].ip(f"addr add {PUBLIC_RESOLVER}/32 dev lo")
        self.guests[HUB].ip(f"route add {PUBLIC_RESOLVER}/32 via {hub.address(1)}")

    @property
    def addresses(self) -> list[str]:
        """The private endpoint's addresses."""
        return sorted(set(self.estate.private_names.values()))

    # -- servers -----------------------------------------------------------------------------

    def _start(self, name: str, node: Node, command: list[str], ready: tuple[str, str, int]) -> Daemon:
        daemon = Daemon(node, command, log=self.folder / f"{name}.log", ready=ready).start()
        self._daemons.append(daemon)
        return daemon

    def _run_servers(self, estate: Estate) -> None:
        for name in estate.networks:
            command = ["unbound", "-d", "-c", str(resolver(self._own(f"net-{name}") / "dns", estate, name))]
            ready = ("udp", PLATFORM, 53)
            self._resolvers[name] = self._start(f"unbound-{name}", self.networks[name], command, ready)
        public = resolver(self._own("net-hub") / "public", estate, "", PUBLIC_RESOLVER)
        command = ["unbound", "-d", "-c", str(public)]
        self._start("unbound-public", self.networks[HUB], command, ("udp", PUBLIC_RESOLVER, 53))
        ready = ("udp", DNS_SERVER, 53)
        self.forwarder = self._start("dnsmasq", self.guests[HUB], forwarder(DNS_SERVER), ready)
        nginx = ["nginx", "-c", str(self.set_service())]
        self.service = self._start("nginx", self.front, nginx, ("tcp", self.addresses[0], 443))
        for machine in estate.machines.values():
            self._run_machine(machine)
        for daemon in self._daemons:
            daemon.wait()

    def set_service(self, *, certificate: str = "endpoint", protocols: str = "") -> Path:
        """Write the settings of the services behind the endpoint, which hold from their next start."""
        folder = self._own("front") / "nginx"
        return endpoint_settings(folder, self.keys, certificate=certificate, protocols=protocols)

    def _run_machine(self, machine: Machine) -> None:
        node, folder = self.guests[machine.name], self.folder / machine.name
        sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "sshd"
        command = [sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
        self._start(f"sshd-{machine.name}", node, command, ("tcp", machine.address, 22))
        service = [sys.executable, "-I", str(STAND_IN / "imds.py"), str(folder / "imds.json")]
        self._start(f"imds-{machine.name}", node, service, ("tcp", IMDS, 80))
        node.run("sh", "-c", "\n".join(_unit(name) for name in AGENT_UNITS))

    def start_unit(self, name: str, unit: str) -> None:
        """Start a service of a machine's agent."""
        self.guests[name].run("sh", "-c", _unit(unit))

    def stop_unit(self, name: str, unit: str) -> None:
        """End a service of a machine's agent."""
        self.guests[name].run("sh", "-c", f"kill $(cat /run/agent/{unit}.pid)")

    # -- changes -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def serving(self, spec: str) -> Iterator[Estate]:
        """Serve an estate with faults to the runner, and let the world be what its documents say.

        That is: the platform's resolvers, the DNS servers of machines, and their identities.
        """
        before, self.lab = self.lab, self._serve(spec, "faulty-lab")
        try:
            with self.being(self.lab.estate):
                yield self.lab.estate
        finally:
            self.lab.daemon.stop()
            self.lab = before

    @contextlib.contextmanager
    def being(self, estate: Estate) -> Iterator[None]:
        """Let names and identities be what an estate's documents say, as :meth:`serving` does."""
        try:
            self._become(estate)
            yield
        finally:
            self._become(self.estate)

    def _become(self, estate: Estate) -> None:
        for daemon in self._resolvers.values():
            daemon.stop()
        for name, daemon in self._resolvers.items():
            resolver(self._own(f"net-{name}") / "dns", estate, name)
            daemon.start()
        for machine in estate.machines.values():
            resolv_conf(self._own(machine.name), nameservers(estate.networks[machine.network].servers))
            imds_state(self._own(machine.name), machine)
        for daemon in self._resolvers.values():
            daemon.wait()

    # -- what tests do with it ---------------------------------------------------------------

    def private_addresses(self, machine: Machine) -> dict[str, str]:
        """Return what a machine's agent should get for each of its names: the address of the endpoint."""
        return {name: self.estate.private_names[name] for name in machine.names}

    def plugin(self, *options: str, env: Mapping[str, str] | None = None) -> Judged:
        """Run the shipped suite on the runner, against the lab's documents and the machines of the world."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        done = self._pytest(f"--junitxml={report}", *options, env=env)
        return judged(report, done[0], done[1])

    def diagnose(self, *options: str) -> tuple[int, str]:
        """Return exit code and output of a run that is to diagnose machines."""
        return self._pytest(*options)

    def _pytest(self, *options: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        connection = {**self.lab.connection, "views": []}
        # One file for all: the lab's documents and the endpoint's services have an authority each.
        bundle = self.folder / "trusted.pem"
        bundle.write_text(Path(connection["ca_bundle"]).read_text() + self.keys.authority.read_text())
        connection["ca_bundle"] = bundle
        command = [sys.executable, "-m", "pytest", "--pyargs", "pytest_ampls.conformance", "-q", "--tb=short"]
        command += ["-p", "no:cacheprovider", f"--rootdir={self.folder}", "-c", "/dev/null"]
        command += place(connection)
        command += [f"--ampls-subscription={each}" for each in connection["subscriptions"]]
        command += [f"--ampls-resolver=hub={DNS_SERVER}", "--ampls-guests=ssh://root@{name}"]
        # A Windows machine is asked by Run Command, which the lab answers.
        command += [f"--ampls-ssh-config={self.ssh_config}", "--ampls-run-command", *options]
        done = self.runner.try_(*command, env={**sign_in(connection), **(env or {})})
        return done.returncode, done.stdout + done.stderr


def _unit(name: str) -> str:
    """Return a line of shell that starts a service of the agent."""
    return f"sleep infinity </dev/null >/dev/null 2>&1 & echo $! >/run/agent/{name}.pid"
