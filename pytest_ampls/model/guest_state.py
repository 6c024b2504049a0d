"""What a machine's guest said of itself: services, tokens, names, connections, the agent's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from pytest_ampls.errors import NotReadError
from pytest_ampls.model.gap import Gap
from pytest_ampls.model.handshake import Handshake

__all__ = ["Chunk", "Disk", "GuestState", "LogError", "Lookup", "TokenAttempt"]

_T = TypeVar("_T")


class TokenAttempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request for a token at the instance metadata service. The token itself never left the guest.

    ``identity`` is ``<identifier-name>#<identifier-value>``, empty for a request that names none. ``status`` is the
    HTTP status, None where no answer came; ``error`` and ``description`` are those of the answer's body.
    """

    identity: str = ""
    status: int | None = None
    error: str = ""
    description: str = ""


class Lookup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the guest's own resolution gives for a name: ``addresses`` as its programs see them (getent).

    ``in_hosts_file`` holds the addresses that its hosts file has for the name.
    """

    name: str
    addresses: tuple[str, ...] = ()
    in_hosts_file: tuple[str, ...] = ()
    problem: str = ""


class Chunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One configuration chunk on the guest's disk.

    ``rule`` is the immutable id or the resource id of the data collection rule, as far as the chunk names it.
    ``endpoints`` are the hosts that it sends to or asks for tokens. ``modified`` is seconds since the epoch.
    """

    file: str
    rule: str = ""
    endpoints: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    modified: float = 0.0


class LogError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the agent's log, cut to 400 characters. ``seconds`` is the time it bears, since the epoch, or 0."""

    line: str
    seconds: float = 0.0


class Disk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Free space of the file system that a folder is on, in bytes."""

    folder: str
    free: int


class GuestState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one round trip to a guest brought.

    ``machine`` is the resource id. ``via`` is ``ssh``, ``winrm`` or ``run-command``. ``read_at`` is the clock of this
    machine, ``clock`` the guest's, in seconds since the epoch. ``system`` is ``Linux`` or ``Windows``.
    A part that the guest could not tell (a tool is missing, output was cut) is None, and the reason is in
    ``problems`` under the part's name: an empty tuple means that there is nothing. With ``gap`` set the guest
    told nothing at all.

    ``services`` maps a service (Linux) or process (Windows) to its state (``active``, ``inactive``, ``failed``,
    ``running``, ``missing``). ``mode`` is ``mcs`` or ``gcs``. ``started`` is when the agent last started.
    ``log`` holds the last lines of the agent's error log that it wrote since then.
    """

    machine: str
    via: str
    read_at: float = 0.0
    clock: float | None = None
    system: str = ""
    services: Mapping[str, str] | None = None
    tokens: tuple[TokenAttempt, ...] | None = None
    dns_servers: tuple[str, ...] | None = None
    lookups: tuple[Lookup, ...] | None = None
    handshakes: tuple[Handshake, ...] | None = None
    health: Mapping[str, str] | None = None
    chunks: tuple[Chunk, ...] | None = None
    mode: str | None = None
    started: float | None = None
    log: tuple[LogError, ...] | None = None
    disks: tuple[Disk, ...] | None = None
    problems: Mapping[str, str] = {}
    gap: Gap | None = None

    def told(self, value: _T | None, part: str) -> _T:
        """Return a part of what the guest told.

        Raises:
            EvidenceError: the guest told nothing, or not this part.
        """
        if self.gap is not None:
            raise self.gap.error()
        if value is None:
            reason = self.problems.get(part, "it is not in what the guest sent")
            raise NotReadError(f"guest of {self.machine} did not tell its {part} ({self.via}): {reason}")
        return value
