"""What a guest sent, taken apart: hostile bytes in, lines of known parts out.

Nothing in here believes the guest. A line counts only with the nonce of the call; a part counts only if it
is whole; what does not fit is a problem with a name, and never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from pytest_ampls.errors import printable
from pytest_ampls.guest.script import PARTS

__all__ = ["MOST_BYTES", "Transcript", "decoded", "merged", "transcript"]

MOST_BYTES: Final = 1 << 20
"""More than this is never kept of what a guest sends; a whole answer has some ten thousand bytes."""

_LONGEST_LINE: Final = 8192
_MOST_LINES: Final = 5000
_LONGEST_REASON: Final = 300


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """The lines of one call, or of several that were put together.

    ``lines`` maps a part to its lines, ``counts`` to the number of lines that the guest says it has; the
    latter is missing for a part whose end did not arrive. ``problems`` maps a part to the reason why it was
    not told. ``resume`` is where the guest would go on. ``begun`` and ``ended`` say whether the first and the
    last line arrived, ``noise`` how many lines were none of ours.
    """

    lines: Mapping[str, tuple[str, ...]] = {}
    counts: Mapping[str, int] = {}
    problems: Mapping[str, str] = {}
    resume: tuple[str, int] | None = None
    begun: bool = False
    ended: bool = False
    noise: int = 0

    @property
    def is_whole(self) -> bool:
        """Tell whether the guest said everything that it had to say in this call."""
        return self.begun and self.ended

    def part(self, name: str) -> tuple[str, ...] | None:
        """Return the lines of a part, None where it did not arrive whole."""
        if name in self.problems or self.counts.get(name, -1) != len(self.lines.get(name, ())):
            return None
        return self.lines.get(name, ())

    def problem(self, name: str) -> str:
        """Return why a part is not there, empty where it is."""
        if self.part(name) is not None:
            return ""
        if name in self.problems:
            return self.problems[name]
        if name in self.counts or name in self.lines:
            return "the output was cut inside of it"
        return "the output was cut before it" if not self.is_whole else "the guest left it out"


def transcript(output: bytes, nonce: str) -> Transcript:
    """Take the output of one call apart.

    Args:
        output: what arrived, with whatever else the guest printed before, in between and behind.
        nonce: that of the call.
    """
    reader = _Reader()
    for line in _candidates(output, nonce):
        reader.take(line)
    noise = output[:MOST_BYTES].count(b"\n") - reader.taken
    return msgspec.structs.replace(reader.result(), noise=max(0, noise))


def _candidates(output: bytes, nonce: str) -> list[str]:
    """Return what follows the nonce on each line that begins with it."""
    prefix = nonce.encode("ascii") + b" "
    found = []
    for line in output[:MOST_BYTES].split(b"\n"):
        # A guest's line of ours is printable ASCII; a carriage return is what Windows and terminals add.
        line = line.rstrip(b"\r ")
        if line.startswith(prefix) and len(line) <= _LONGEST_LINE and re.fullmatch(rb"[ -~]+", line):
            found.append(line[len(prefix) :].decode("ascii"))
    return found[:_MOST_LINES]


class _Reader:
    """Reads the lines of a call in order."""

    def __init__(self) -> None:
        self.taken = 0
        self._open = ""
        self._lines: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self._problems: dict[str, str] = {}
        self._resume: tuple[str, int] | None = None
        self._begun = self._ended = False

    def take(self, line: str) -> None:
        """Take one line. What stands in no known place does not count."""
        self.taken += 1
        sign, _, rest = line.partition(" ")
        if line == "begin 1":
            self._begun = True
        elif line == "end":
            self._ended = True
        elif sign == "." and self._open:
            self._lines[self._open].append(rest)
        elif sign in ("[", "]", "!", ">"):
            name, _, value = rest.partition(" ")
            if name in PARTS:
                self._mark(sign, name, value)

    def _mark(self, sign: str, name: str, value: str) -> None:
        if sign == "[":
            self._open = name
            self._lines.setdefault(name, [])
        elif sign == "]":
            self._open = ""
            if value.isdecimal() and len(value) < 9:
                self._counts[name] = int(value)
        elif sign == "!":
            self._problems[name] = printable(decoded(value))[:_LONGEST_REASON] or "no reason given"
        elif value.isdecimal() and len(value) < 9:
            self._open = ""
            self._resume = (name, int(value))

    def result(self) -> Transcript:
        """Return what was read."""
        return Transcript(
            lines={name: tuple(lines) for name, lines in self._lines.items()},
            counts=self._counts,
            problems=self._problems,
            resume=self._resume,
            begun=self._begun,
            ended=self._ended,
        )


def merged(first: Transcript, second: Transcript) -> Transcript:
    """Return two calls as one, the second having gone on where the first stopped."""
    lines = dict(first.lines)
    for name, more in second.lines.items():
        lines[name] = (*lines.get(name, ()), *more)
    return Transcript(
        lines=lines,
        counts={**first.counts, **second.counts},
        problems={**first.problems, **second.problems},
        resume=second.resume,
        begun=first.begun and second.begun,
        ended=first.ended and second.ended,
        noise=first.noise + second.noise,
    )


def decoded(text: str) -> str:
    """Return a field with its ``%XX`` turned back into text; bytes that are no UTF-8 stay visible."""
    return unquote_to_bytes(text).decode("utf-8", "backslashreplace")
