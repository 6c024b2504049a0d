"""From the lines of a guest to its state."""

from __future__ import annotations

import calendar
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final

from pytest_ampls.guest.script import Request
from pytest_ampls.guest.transcript import Transcript, decoded
from pytest_ampls.model.gap import Gap, GapKind
from pytest_ampls.model.guest_state import Chunk, Disk, GuestState, LogError, Lookup, TokenAttempt
from pytest_ampls.model.handshake import Certificate, Handshake

__all__ = ["state_of"]

_NO_ADDRESS: Final[Mapping[str, str]] = {
    "not-found": "",  # an answer: the name does not exist, or has no IPv4 address
    "no-answer": "no answer within 10 s",
    "failed": "the guest's resolution failed",
}
_PLAIN: Final = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_.@:/-]*")
_LOG_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)")
_LONGEST_LOG_LINE: Final = 400
# A log is other people's text: tokens (RFC 7519) and signatures of shared access do not go into snapshots.
_SECRETS: Final = re.compile(
    r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}|(?i:(?<=[?&;]sig=)|(?<=bearer )|(?<=accountkey=))[^\s&;\"']+"
)


class _UnfitError(ValueError):
    """A line of a part that is not as the part's lines are."""


def state_of(
    machine: str, via: str, told: Transcript, request: Request, *, system: str, read_at: float, where: str
) -> GuestState:
    """Return the state that a guest told.

    Args:
        machine: the resource id.
        via: ``ssh``, ``winrm`` or ``run-command``.
        told: the answer.
        request: what was asked.
        system: ``Linux`` or ``Windows``.
        read_at: when, in seconds since the epoch.
        where: how the guest was reached, for messages.
    """
    if not told.begun and not told.lines and not told.problems:
        more = f" ({told.noise} lines of something else)" if told.noise else " (nothing at all)"
        message = (
            f"{where}: the guest did not answer as the script does{more}. Run the script there by hand, and look at "
            "what the shell's start-up files print"
        )
        gap = Gap(kind=GapKind.MALFORMED, message=message)
        return GuestState(machine=machine, via=via, system=system, read_at=read_at, gap=gap)
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, parse in _PARSERS.items():
        lines = told.part(name)
        if lines is None:
            problems[name] = told.problem(name)
            continue
        try:
            values[name] = parse(lines, request)
        except (_UnfitError, ValueError, IndexError, OverflowError):
            problems[name] = "the guest sent something for it that cannot be understood"
    clock = values.pop("system", None)
    label = machine.rpartition("/")[2]
    values["handshakes"] = _seen_from(values.get("handshakes"), f"guest {label}", read_at)
    return GuestState(
        machine=machine, via=via, system=system, read_at=read_at, clock=clock, problems=problems, **values
    )


def _seen_from(
    handshakes: tuple[dict[str, Any], ...] | None, vantage_point: str, read_at: float
) -> tuple[Handshake, ...] | None:
    if handshakes is None:
        return None
    return tuple(Handshake(vantage_point=vantage_point, read_at=read_at, **part) for part in handshakes)


def _fields(line: str, count: int, most: int | None = None) -> list[str]:
    """Return the decoded fields of a line; ``-`` stands for nothing."""
    parts = line.split(" ", (most or count) - 1)
    if len(parts) < count:
        raise _UnfitError(line)
    return ["" if part == "-" else decoded(part) for part in parts]


def _name(index: str, request: Request) -> str:
    if not index.isdecimal() or len(index) > 4:
        raise _UnfitError(index)
    return request.names[int(index)]


def _number(text: str) -> float:
    """Return a finite number: JSON has no other, and no comparison with another says anything."""
    number = float(text)
    if not math.isfinite(number):
        raise _UnfitError(text)
    return number


def _address(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise _UnfitError(text) from None


def _clock(lines: Sequence[str], _request: Request) -> float:
    return _number(_fields(lines[0], 4)[0])


def _services(lines: Sequence[str], _request: Request) -> dict[str, str]:
    return dict(_pair(line) for line in lines)


def _pair(line: str) -> tuple[str, str]:
    """Return what a service or a folder is called, and what is told of it. The name goes into commands to copy."""
    name, value = _fields(line, 2)
    if not _PLAIN.fullmatch(name):
        raise _UnfitError(line)
    return name, value


def _started(lines: Sequence[str], _request: Request) -> float:
    return _number(lines[0])


def _mode(lines: Sequence[str], _request: Request) -> str:
    if lines[0] not in ("mcs", "gcs"):
        raise _UnfitError(lines[0])
    return lines[0]


def _tokens(lines: Sequence[str], request: Request) -> tuple[TokenAttempt, ...]:
    attempts = []
    for line in lines:
        index, status, error, told = _fields(line, 4)
        identity = request.identities[int(index)]
        known = int(status) if status else None
        attempts.append(TokenAttempt(identity=identity, status=known, error=error, description=told))
    if len(attempts) != len(request.identities):
        raise _UnfitError("not every identity was tried")
    return tuple(attempts)


def _dns_servers(lines: Sequence[str], _request: Request) -> tuple[str, ...]:
    return tuple(decoded(line) for line in lines)


def _lookups(lines: Sequence[str], request: Request) -> tuple[Lookup, ...]:
    found = []
    for line in lines:
        index, answer, listed = _fields(line, 3)
        name = _name(index, request)
        problem = _NO_ADDRESS.get(answer)
        addresses = tuple(map(_address, answer.split(","))) if problem is None else ()
        in_hosts = tuple(listed.split(",")) if listed else ()
        found.append(Lookup(name=name, addresses=addresses, in_hosts_file=in_hosts, problem=problem or ""))
    if {part.name for part in found} != set(request.names):
        raise _UnfitError("not every name was looked up")
    return tuple(found)


def _handshakes(lines: Sequence[str], request: Request) -> tuple[dict[str, Any], ...]:
    return tuple(_handshake(line, request) for line in lines)


def _handshake(line: str, request: Request) -> dict[str, Any]:
    index, address, outcome, *more = line.split(" ")
    name, address = _name(index, request), _address(address)
    shared = {"name": name, "address": address}
    if outcome in ("tcp", "no") and more:
        connected = outcome == "tcp"
        what = "TLS was not agreed on" if connected else "no connection to port 443"
        gap = Gap(kind=GapKind.UNREACHABLE, message=f"{name} at {address}: {what}: {decoded(more[0])}")
        return {**shared, "reached": connected, "gap": gap}
    if outcome != "tls" or len(more) != 5:
        raise _UnfitError(line)
    version, cipher, code, issuer, subject = ("" if part == "-" else decoded(part) for part in more)
    trusted = code == "ok"
    chain = (Certificate(subject=subject, issuer=issuer),) if subject or issuer else ()
    distrust = "" if trusted else code or "the guest could not tell"
    agreed = {"version": version, "cipher": cipher, "trusted": trusted, "distrust": distrust, "chain": chain}
    return {**shared, "reached": True, **agreed}


def _health(lines: Sequence[str], request: Request) -> dict[str, str]:
    found = {}
    for line in lines:
        index, _, text = line.partition(" ")
        found[_name(index, request)] = decoded(text)
    return found


def _chunks(lines: Sequence[str], request: Request) -> tuple[Chunk, ...]:
    found = []
    for line in lines:
        file, modified, rule, protocols, hosts = _fields(line, 5)
        found.append(
            Chunk(
                file=file,
                modified=_number(modified),
                rule=rule,
                protocols=tuple(protocols.split(",")) if protocols else (),
                endpoints=tuple(_hosts(hosts, request)),
            )
        )
    return tuple(found)


def _hosts(text: str, request: Request) -> Iterator[str]:
    for host in text.split(",") if text else ():
        yield _name(host[1:], request) if host.startswith("#") else host


def _log(lines: Sequence[str], _request: Request) -> tuple[LogError, ...]:
    found = []
    for line in lines:
        when, _, text = line.partition(" ")
        if when != "-" and not _LOG_TIME.fullmatch(when):
            raise _UnfitError(line)  # what stood there may have been an error
        shown = _SECRETS.sub("[removed]", decoded(text))[:_LONGEST_LOG_LINE]
        found.append(LogError(line=shown, seconds=_seconds(when)))
    return tuple(found)


def _seconds(when: str) -> float:
    """Return a log's time in seconds since the epoch; the agent writes UTC. 0 where there is none."""
    match = _LOG_TIME.fullmatch(when)
    if match is None:
        return 0.0
    try:
        return float(calendar.timegm(time.strptime(when, "%Y-%m-%dT%H:%M:%S")))
    except ValueError:
        return 0.0


def _disks(lines: Sequence[str], _request: Request) -> tuple[Disk, ...]:
    return tuple(Disk(folder=folder, free=int(free)) for folder, free in map(_pair, lines))


_PARSERS: Final[Mapping[str, Callable[[Sequence[str], Request], Any]]] = {
    "system": _clock,
    "services": _services,
    "started": _started,
    "mode": _mode,
    "tokens": _tokens,
    "dns_servers": _dns_servers,
    "lookups": _lookups,
    "handshakes": _handshakes,
    "health": _health,
    "chunks": _chunks,
    "disks": _disks,
    "log": _log,
}
