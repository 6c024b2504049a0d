"""A few commands, answered honestly from a lab's guest; all others do not exist there."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable
from typing import Final, NamedTuple

from pytest_ampls.lab.guest import Guest

__all__ = ["Outcome", "framed", "run"]

_FRAME: Final = re.compile(
    r"\(\n(?P<line>.*)\n\) >\"\$\w+/out\".*printf '(?P<nonce>\w+) %s %s %s ", re.DOTALL
)


_POWERSHELL_FRAME: Final = re.compile(
    r'-EncodedCommand (?P<encoded>[A-Za-z0-9+/=]+) .*Write-Output "(?P<nonce>\w+) ', re.DOTALL
)


class Outcome(NamedTuple):
    """Exit status and output of a command."""

    status: int
    stdout: str = ""
    stderr: str = ""


def framed(script: str, guest: Guest) -> str | None:
    """Return what a script prints that frames one command with status and both outputs, None for another one."""
    match = _FRAME.search(script) or _POWERSHELL_FRAME.search(script)
    if match is None:
        return None
    outcome = (
        run(match["line"], guest) if "line" in match.groupdict() else _powershell(match["encoded"], guest)
    )
    both = (base64.b64encode(text.encode()).decode() for text in (outcome.stdout, outcome.stderr))
    return f"{match['nonce']} {outcome.status} {' '.join(both)} {match['nonce']}\n"


def run(line: str, guest: Guest) -> Outcome:
    """Run one simple command."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        return Outcome(2, "", f"sh: syntax error: {error}\n")
    command = _COMMANDS.get(words[0]) if words else None
    if command is None or any(word in ("|", ">", "&&", "||", ";") for word in words):
        name = words[0] if words else ""
        return Outcome(127, "", f"sh: 1: {name}: not found\n")
    return command(guest, words[1:])


def _powershell(encoded: str, guest: Guest) -> Outcome:
    """Answer for the one process that matters; nothing else is installed there."""
    line = base64.b64decode(encoded).decode("utf-16-le")
    words = line.split()
    if words[:1] == ["Get-Process"]:
        running = guest.services.get(words[-1]) == "running"
        if running:
            return Outcome(0, f"{words[-1]}\n")
        return Outcome(1, f'Get-Process : Cannot find a process with the name "{words[-1]}".\n')
    return Outcome(1, f"{words[0] if words else ''} : The term is not recognized as the name of a cmdlet.\n")


def _uname(guest: Guest, args: list[str]) -> Outcome:
    known = {"-s": "Linux", "-m": "x86_64", "-r": "6.8.0-1021-azure", "-n": guest.name}
    flag = args[0] if args else "-s"
    if flag == "-a":
        return Outcome(0, f"Linux {guest.name} 6.8.0-1021-azure x86_64 GNU/Linux\n")
    return Outcome(0, known[flag] + "\n") if flag in known else Outcome(1, "", "uname: invalid option\n")


def _cat(guest: Guest, args: list[str]) -> Outcome:
    paths = [part for part in args if part != "--"]
    missing = [path for path in paths if path not in guest.files]
    if missing:
        return Outcome(1, "", f"cat: {missing[0]}: No such file or directory\n")
    return Outcome(0, "".join(guest.files[path] for path in paths))


def _test(guest: Guest, args: list[str]) -> Outcome:
    if len(args) != 2:
        return Outcome(2, "", "test: unexpected operator\n")
    flag, path = args
    is_file = path in guest.files
    is_folder = any(name.startswith(path.rstrip("/") + "/") for name in guest.files)
    held = {"-e": is_file or is_folder, "-f": is_file, "-d": is_folder}.get(flag, False)
    return Outcome(0 if held else 1)


def _systemctl(guest: Guest, args: list[str]) -> Outcome:
    if len(args) != 2 or args[0] not in ("is-active", "is-enabled"):
        return Outcome(1, "", "Unknown command verb.\n")
    state = guest.services.get(args[1].removesuffix(".service"))
    if args[0] == "is-enabled":
        return Outcome(0, "enabled\n") if state else Outcome(1, "", "Failed to get unit file state\n")
    return Outcome(0 if state == "active" else 3, f"{state or 'inactive'}\n")


def _stat(guest: Guest, args: list[str]) -> Outcome:
    form, path = args[-2:] if len(args) > 1 else ("", "")
    if path not in guest.files:
        return Outcome(1, "", f"stat: cannot statx '{path}': No such file or directory\n")
    known = {"%s": str(len(guest.files[path])), "%U": "root", "%G": "root", "%u": "0", "%g": "0", "%a": "644"}
    return Outcome(0, known.get(form.strip("'"), "") + "\n")


def _getent(guest: Guest, args: list[str]) -> Outcome:
    found = guest.look_up(args[-1]) if args else ()
    return Outcome(0 if found else 2, "".join(f"{address} STREAM {args[-1]}\n" for address in found))


def _grep(guest: Guest, args: list[str]) -> Outcome:
    """Answer ``grep -q`` for a plain text in a file."""
    plain = [part for part in args if part not in ("-q", "-qs", "-s", "--")]
    if len(plain) != 2:
        return Outcome(2, "", "grep: only -q with a text and a file is known here\n")
    text, path = plain
    return Outcome(0 if text in guest.files.get(path, "") else 1)


def _readlink(_guest: Guest, args: list[str]) -> Outcome:
    return Outcome(0, "/usr/lib/systemd/systemd\n" if args[-1:] == ["/sbin/init"] else f"{args[-1]}\n")


def _command(_guest: Guest, args: list[str]) -> Outcome:
    there = len(args) == 2 and args[1] in (*_COMMANDS, "command")
    return Outcome(0, f"/usr/bin/{args[1]}\n") if there else Outcome(127)


_COMMANDS: Final[dict[str, Callable[[Guest, list[str]], Outcome]]] = {
    "uname": _uname,
    "cat": _cat,
    "test": _test,
    "systemctl": _systemctl,
    "stat": _stat,
    "getent": _getent,
    "grep": _grep,
    "readlink": _readlink,
    "command": _command,
    "id": lambda _guest, _args: Outcome(0, "0\n"),
    "hostname": lambda guest, _args: Outcome(0, f"{guest.name}\n"),
}
