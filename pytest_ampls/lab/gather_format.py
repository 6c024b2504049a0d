"""What the gathering script prints when it is run in a lab's guest.

Written after the description in the script's own comments, and sharing no code with what reads it.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from pytest_ampls.lab.guest import CHUNKS, STARTED, Guest

__all__ = ["Call", "answer", "recognised"]

_FOLDERS: Final = ("/var/opt", "/etc/opt", "/opt")
_SHELL_CALL: Final = re.compile(r"^ampls_gather .+ </dev/null$", re.MULTILINE)
_POWERSHELL_CALL: Final = re.compile(r"^Invoke-AmplsGather (.+)$", re.MULTILINE)
_HOST: Final = re.compile(r"https://([A-Za-z0-9._-]+)")
_RULE: Final = re.compile(r"agentConfigurations/(dcr-[0-9A-Za-z]+)")


@dataclass(frozen=True)
class Call:
    """The arguments of the script's call."""

    nonce: str
    limit: int
    part: str
    skip: int
    names: list[str]
    identities: list[str]
    parts: list[str]


def recognised(script: str) -> Call | None:
    """Return the call at the end of the gathering script, None for any other script."""
    shell, power = _SHELL_CALL.search(script), _POWERSHELL_CALL.search(script)
    if shell is not None:
        words = shlex.split(shell[0].removesuffix(" </dev/null"))[1:]
        parts = words[6:]
    elif power is not None:
        words = [part.replace("''", "'") for part in re.findall(r"'((?:[^']|'')*)'", power[1])]
        parts = words[6].split() if len(words) == 7 else []
    else:
        return None
    if len(words) < 7:
        return None
    nonce, limit, first, skip, names, identities, *_ = words
    asked = [] if identities == "none" else identities.split()
    return Call(nonce, int(limit), first, int(skip), names.split(), asked, parts)


def answer(call: Call, guest: Guest) -> str:
    """Return what the script prints."""
    out = [f"{call.nonce} begin 1"]
    used = len(out[0]) + 1
    begin = call.parts.index(call.part) if call.part in call.parts else 0
    for part in call.parts[begin:]:
        lines = list(_lines(part, call, guest))
        skip = call.skip if part == call.part else 0
        if lines and lines[0].startswith("!"):
            out.append(f"{call.nonce} ! {part} {lines[0][1:]}")
            continue
        out.append(f"{call.nonce} [ {part}")
        for number, line in enumerate(lines[skip:], start=skip):
            if call.limit and used + len(line) + 120 > call.limit:
                out += [f"{call.nonce} > {part} {number}", f"{call.nonce} end"]
                return "\n".join(out) + "\n"
            out.append(f"{call.nonce} . {line}")
            used = sum(len(each) + 1 for each in out)
        out.append(f"{call.nonce} ] {part} {len(lines)}")
    return "\n".join([*out, f"{call.nonce} end"]) + "\n"


def _field(text: str) -> str:
    return quote(text, safe="/:,=@.-_()'") or "-"


def _lines(part: str, call: Call, guest: Guest) -> Iterator[str]:
    told = {
        "system": _system,
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
    }.get(part)
    return told(call, guest) if told is not None else iter(())


def _system(_call: Call, guest: Guest) -> Iterator[str]:
    # A clock that is right: what the agent did on this machine was long ago.
    yield f"{time.time():.0f} {'Windows' if guest.is_windows else 'Linux'} x86_64 0"


def _services(_call: Call, guest: Guest) -> Iterator[str]:
    yield from (f"{name} {state}" for name, state in guest.services.items())


def _started(_call: Call, _guest: Guest) -> Iterator[str]:
    yield f"{STARTED:.0f}"


def _mode(_call: Call, guest: Guest) -> Iterator[str]:
    if guest.is_windows:
        yield "!Windows has no other mode"
    else:
        yield "mcs" if "ENABLE_MCS=true" in guest.files["/etc/default/azuremonitoragent"] else "gcs"


def _tokens(call: Call, guest: Guest) -> Iterator[str]:
    for number, query in enumerate(call.identities):
        status, code, text = guest.token(query)
        yield f"{number} {status} {_field(code)} {_field(text)}"


def _dns_servers(_call: Call, guest: Guest) -> Iterator[str]:
    yield from guest.dns_servers


def _lookups(call: Call, guest: Guest) -> Iterator[str]:
    for number, name in enumerate(call.names):
        found = ",".join(guest.look_up(name)) or "not-found"
        yield f"{number} {found} {','.join(guest.in_hosts_file(name)) or '-'}"


def _handshakes(call: Call, guest: Guest) -> Iterator[str]:
    for number, name in enumerate(call.names):
        for address in guest.look_up(name)[:2]:
            outcome = guest.connect(address)
            if outcome in ("tls", "resigned"):
                issuer = (
                    "CN=Corporate Inspection"
                    if outcome == "resigned"
                    else "CN=Microsoft Azure RSA TLS Issuing CA 03"
                )
                code = "19 (self-signed certificate in certificate chain)" if outcome == "resigned" else "ok"
                fields = ("TLSv1.3", "TLS_AES_256_GCM_SHA384", code, issuer, f"CN=*.{name.partition('.')[2]}")
                yield f"{number} {address} tls {' '.join(map(_field, fields))}"
            else:
                yield f"{number} {address} no {_field(outcome)}"


def _health(call: Call, guest: Guest) -> Iterator[str]:
    for number, name in enumerate(call.names):
        if ".handler.control." in name:
            reached = all(guest.connect(address) == "tls" for address in guest.look_up(name))
            yield f"{number} {'Healthy (HTTP 200)' if reached else 'no answer in time'}"


def _chunks(call: Call, guest: Guest) -> Iterator[str]:
    for path, text in guest.files.items():
        if path.startswith(CHUNKS + "/"):
            document = json.loads(text)
            protocols = ",".join(dict.fromkeys(channel["protocol"] for channel in document["channels"]))
            hosts = [host.lower() for host in dict.fromkeys(_HOST.findall(text))]
            shown = ",".join(f"#{call.names.index(host)}" if host in call.names else host for host in hosts)
            rule = _RULE.search(text)
            fields = (path.rpartition("/")[2], f"{STARTED:.0f}", rule[1] if rule else "", protocols, shown)
            yield " ".join(part or "-" for part in fields)


def _disks(_call: Call, guest: Guest) -> Iterator[str]:
    if guest.is_windows:
        yield f"C: {guest.free}"
        return
    yield from (f"{folder}/microsoft/azuremonitoragent {guest.free}" for folder in _FOLDERS)


def _log(_call: Call, guest: Guest) -> Iterator[str]:
    if guest.is_windows:
        yield "!the agent's log is no text on Windows"
        return
    for line in guest.files["/var/opt/microsoft/azuremonitoragent/log/mdsd.err"].splitlines():
        yield f"{line[:19]} {line[30:]}"
