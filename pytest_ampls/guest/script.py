"""The scripts that are run in guests, as text with one call at the end."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files
from typing import Final
from urllib.parse import quote

import msgspec

from pytest_ampls.model.guest_questions import GuestQuestions

__all__ = ["LINUX", "PARTS", "WINDOWS", "Request", "powershell_text", "shell_text"]

LINUX: Final = "Linux"
WINDOWS: Final = "Windows"

PARTS: Final = (
    "system",
    "services",
    "started",
    "mode",
    "tokens",
    "dns_servers",
    "lookups",
    "handshakes",
    "health",
    "chunks",
    "disks",
    "log",
)
"""The parts of an answer in the order they are told; the names are those of a guest state's fields."""

MOST_NAMES: Final = 40
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*"
)
_IDENTIFIERS: Final = ("mi_res_id", "object_id", "client_id")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a script.

    ``nonce`` marks every line of the answer. ``limit`` is how many bytes the answer may have, 0 for any
    number. ``part`` and ``skip`` say where to begin: at which part, after how many of its lines.
    """

    nonce: str
    questions: GuestQuestions = GuestQuestions()
    limit: int = 0
    part: str = ""
    skip: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are asked for: those that are host names, each once, 40 at most."""
        found = dict.fromkeys(name.rstrip(".").lower() for name in self.questions.names)
        return tuple(name for name in found if _NAME.fullmatch(name))[:MOST_NAMES]

    @property
    def identities(self) -> tuple[str, ...]:
        """The identities that a token is asked for: those that a token request can name."""
        return tuple(part for part in dict.fromkeys(self.questions.identities) if _query(part) is not None)


def _query(identity: str) -> str | None:
    """Return what the query of a token request says of an identity, None where it cannot be said."""
    if not identity:
        return "-"
    name, _, value = identity.partition("#")
    # A percent-encoded value has no character that a shell or a URL takes for its own.
    return f"{name}={quote(value, safe='')}" if name in _IDENTIFIERS and value else None


def _arguments(request: Request) -> list[str]:
    queries = [_query(identity) or "-" for identity in request.identities]
    return [
        request.nonce,
        str(request.limit),
        request.part or "-",
        str(request.skip),
        " ".join(request.names),
        " ".join(queries) or "none",
    ]


def shell_text(request: Request) -> str:
    """Return the script for ``/bin/sh``. Without its last line, the call, it does nothing.

    Names and identities come from ARM documents: what is no host name is left out, identities are
    percent-encoded, and every argument is quoted.
    """
    call = shlex.join(["ampls_gather", *_arguments(request), *PARTS])
    return f"{_file('gather.sh')}\n{call} </dev/null\n"


def powershell_text(request: Request) -> str:
    """Return the script for Windows PowerShell, made likewise."""
    quoted = ("'" + part.replace("'", "''") + "'" for part in (*_arguments(request), " ".join(PARTS)))
    return f"{_file('gather.ps1')}\nInvoke-AmplsGather {' '.join(quoted)}\n"


def _file(name: str) -> str:
    return (files("pytest_ampls.guest") / name).read_text(encoding="utf-8")
