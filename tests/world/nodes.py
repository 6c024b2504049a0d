"""Machines of the world: each is a set of namespaces that lives as long as its first process.

Nothing of a machine has a name outside: no file below /run/netns, no address, no process that could outlive it.
The first process of the outermost machine ends when this process closes its input, or dies in any way; the
kernel then ends everything that ever ran in the world, and the interfaces go with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Self

__all__ = ["Daemon", "Node", "WorldError", "until"]

_FIRST: Final = Path(__file__).parent / "stand_in" / "first.sh"
_PATIENCE: Final = 20.0


class WorldError(Exception):
    """The world could not be built, or a part of it ended."""


def until(true: Callable[[], bool], what: str) -> None:
    """Wait until something holds; raise WorldError when it does not in time."""
    end = time.monotonic() + _PATIENCE
    while not true():
        if time.monotonic() > end:
            raise WorldError(f"{what}: not within {_PATIENCE:g} s")
        time.sleep(0.01)


def _child(pid: int, what: str) -> int:
    """Return the only child of a process, as soon as it has one (and while the process lives)."""
    found: list[int] = []

    def look() -> bool:
        try:
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError as gone:
            raise WorldError(f"{what}: its process has ended") from gone
        found[:] = map(int, text.split())
        return bool(found)

    until(look, f"{what}: a process of its own")
    return found[0]


class Node:
    """One machine: network, mounts, host name and process numbers of its own.

    ``files`` is the folder of what it has for itself (see ``stand_in/first.sh``). A machine made with
    ``inside`` lives in another one and ends with it.
    """

    def __init__(self, name: str, files: Path, *, inside: Node | None = None) -> None:
        self.name = name
        self.files = files
        files.mkdir(exist_ok=True)
        command = ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        command += ["--mount-proc", "sh", str(_FIRST), name.replace("_", "-"), str(files)]
        entry = inside.enter(net=False) if inside is not None else []
        self._process = subprocess.Popen(
            [*entry, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._nested = inside is not None
        self._pid = 0

    def __repr__(self) -> str:
        return f"<Node {self.name}, process {self._pid}>"

    def wait(self) -> Self:
        """Wait until it is there; returns it.

        Raises:
            WorldError: a namespace or a mount was refused; the message is the kernel's.
        """
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        if self._process.stdout.readline() != "ready\n":
            self._process.wait()
            raise WorldError(f"{self.name}: {self._process.stderr.read().strip() or 'no namespaces'}")
        pid = self._process.pid
        for _ in range(2 if self._nested else 1):  # nsenter and unshare fork, each once
            pid = _child(pid, self.name)
        self._pid = pid
        return self

    def stop(self) -> None:
        """End it, with every process in it."""
        process = self._process
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # a first process that never got to read its input
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    @property
    def pid(self) -> int:
        """Its first process, as seen from outside."""
        return self._pid

    def enter(self, *, net: bool = True) -> list[str]:
        """Return the beginning of a command line that runs what follows in it."""
        return [
            *("nsenter", "--target", str(self._pid), "--mount", "--uts", "--ipc", "--pid"),
            *(["--net"] if net else []),
            "--",
        ]

    def try_(
        self, *command: str, text: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, and return what came of it."""
        return subprocess.run(
            [*self.enter(), *command],
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=None if env is None else {**os.environ, **env},
        )

    def run(self, *command: str, text: str | None = None) -> str:
        """Run a command in it and return its output.

        Raises:
            WorldError: it failed; the message is what it said.
        """
        done = self.try_(*command, text=text)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()
            raise WorldError(f"{self.name}: {' '.join(command)} exits with {done.returncode}: {said}")
        return done.stdout

    def ip(self, *lines: str) -> None:
        """Carry out lines of iproute2, in its network but with the process numbers from outside."""
        command = ["nsenter", "--target", str(self._pid), "--net", "--", "ip", "-batch", "-"]
        done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise WorldError(f"{self.name}: ip: {done.stderr.strip()}")

    def forward(self) -> None:
        """Let it forward what is not for itself."""
        self.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")

    def listens(self, kind: str, address: str, port: int) -> bool:
        """Tell whether a socket (``tcp`` or ``udp``) of it is bound to an address, or to every one."""
        try:
            table = Path(f"/proc/{self._pid}/net/{kind}").read_text()
        except OSError:
            return False
        number = struct.unpack("=I", socket.inet_aton(address))[0]
        wanted = {f"{number:08X}:{port:04X}", f"00000000:{port:04X}"}
        states = {"tcp": "0A", "udp": "07"}  # LISTEN; a datagram socket without a peer
        rows = (line.split() for line in table.splitlines()[1:])
        return any(row[1] in wanted and row[3] == states[kind] for row in rows)


class Daemon:
    """A process that runs in a machine until it is stopped, or the machine ends."""

    def __init__(
        self,
        node: Node,
        command: list[str],
        *,
        log: Path,
        ready: tuple[str, str, int] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._node = node
        self.command = command
        self._log = log
        self._ready = ready
        self._env = None if env is None else {**os.environ, **env}
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def start(self) -> Self:
        """Start it; :meth:`wait` tells when it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._node.enter(), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
            )
        return self

    def wait(self) -> Self:
        """Wait until it listens where it is to listen; returns it."""
        self._pid = _child(self._started().pid, self._what())
        if self._ready is not None:
            until(self._listening, self._what())
        return self

    def _listening(self) -> bool:
        if self._started().poll() is not None:
            raise WorldError(f"{self._what()}: {self._log.read_text(errors='replace')[-2000:]}")
        assert self._ready is not None
        return self._node.listens(*self._ready)

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self._what()} is not started"
        return self._process

    def _what(self) -> str:
        return f"{self._node.name}: {Path(self.command[0]).name}"

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        if self._process is None:
            return
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid or self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def reap(self) -> None:
        """Wait for it where its machine has ended, and it with the machine."""
        if self._process is not None:
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop it and start it again with whatever its files say now."""
        self.stop()
        self.start().wait()
