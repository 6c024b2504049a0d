"""What a Windows machine answers over WinRM: by the lab's guests, which tell what the script prints."""

from __future__ import annotations

import base64
import re
from importlib.resources import files
from typing import Final

from pytest_ampls.lab import gather_format
from pytest_ampls.lab.fault import Meddling
from pytest_ampls.lab.guest import Guest
from pytest_ampls.lab.offers import blueprint_of
from pytest_ampls.lab.resolution import Resolution
from pytest_ampls.lab.settle import settle
from pytest_ampls.lab.spec import parse_spec
from tests.guest.wsman import Machine, Outcome

LAUNCHER: Final = "powershell.exe -NoProfile -NonInteractive -EncodedCommand "
READER: Final = (
    '& ([ScriptBlock]::Create(@($input) -join "`n")) | ForEach-Object { [Console]::Out.WriteLine($_) }'
)
OS_LINES: Final = "OS Name:                   Microsoft Windows Server 2022 Datacenter\r\n" + (
    "OS Version:                10.0.20348 N/A Build 20348\r\n"
)
_QUOTED: Final = r"'(?:[^'\r\n]|'')*'"
_CALL: Final = re.compile(rf"\nInvoke-AmplsGather {_QUOTED}(?: {_QUOTED}){{6}}\n")


def lab_guest(spec: str = "hub-and-spoke", name: str = "spoke2") -> Guest:
    """Return a machine of a lab's estate from the inside."""
    parsed = parse_spec(spec)
    index = settle(blueprint_of(parsed).build(parsed.parameters))
    machines = index.by_type["microsoft.compute/virtualmachines"]
    document = next(each for each in machines if each["name"] == name)
    return Guest(index, Resolution(index, Meddling()), document, frozenset())


def machine_of(guest: Guest) -> Machine:
    """Return what answers for a machine: the script, and the few commands that testinfra needs."""

    def answer(command: str, stdin: bytes) -> Outcome:
        if command.startswith(LAUNCHER):
            return _run(guest, command.removeprefix(LAUNCHER), stdin)
        return _cmd(command)

    return answer


def _run(guest: Guest, encoded: str, stdin: bytes) -> Outcome:
    """Run the script, if it is the one that is shipped, to the byte, with one call at its end."""
    if base64.b64decode(encoded, validate=True).decode("utf-16-le") != READER:
        return 1, b"", b"another launcher\r\n"
    shipped = (files("pytest_ampls.guest") / "gather.ps1").read_bytes()
    rest = stdin.removeprefix(shipped).decode("ascii")
    call = gather_format.recognised(rest)
    if not stdin.startswith(shipped) or not _CALL.fullmatch(rest) or call is None:
        return 1, b"", b"another script\r\n"
    return 0, gather_format.answer(call, guest).replace("\n", "\r\n").encode("ascii"), b""


def _cmd(command: str) -> Outcome:
    if command.startswith("systeminfo"):
        return 0, OS_LINES.encode(), b""
    found = re.fullmatch(r"powershell -command \\?\"Test-Path '(?P<path>[^']*)'\\?\"", command)
    if found is not None:
        return 0, (b"True\r\n" if found["path"] == "C:/WindowsAzure" else b"False\r\n"), b""
    known = {
        "hostname": b"spoke2\r\n",
        "echo %PROCESSOR_ARCHITECTURE%": b"AMD64\r\n",
        "echo ü": "ü\r\n".encode(),
    }
    if command in known:
        return 0, known[command], b""
    name = command.split(maxsplit=1)[0]
    return 1, b"", f"'{name}' is not recognized as an internal or external command.\r\n".encode()
