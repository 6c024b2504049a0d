"""How other people's texts are shown: without control characters, not endless, and quoted in commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Final

from pytest_ampls.errors import printable

__all__ = ["FAMILIES", "filled", "quoted", "shown"]

FAMILIES: Final = (
    "scope",
    "private_endpoint",
    "name_resolution",
    "data_collection",
    "agent",
    "data",
    "workspace_security",
    "monitoring_security",
    "transport",
)
"""The families of rules, in the order of the first digits of their ids: 1xx to 9xx."""

_SHOWN_CHARACTERS: Final = 1000
"""Of one phrase; what is longer is no longer read by anybody."""

_TOKEN: Final = re.compile(r"<([a-z-]+)>")
_ACTIVE: Final = frozenset('"$`\\!')
"""Characters that mean something to a shell inside of double quotes."""


def shown(text: str) -> str:
    """Return a phrase as it is safe and useful to show."""
    rest = len(text) - _SHOWN_CHARACTERS
    return printable(text if rest <= 0 else f"{text[:_SHOWN_CHARACTERS]} … and {rest} more characters")


def quoted(text: str) -> str:
    """Return a text in the quotes it needs on a command line: a copied command must not run a name."""
    clean = printable(text)
    return shlex.quote(clean) if _ACTIVE & set(clean) else f'"{clean}"'


def filled(text: str, tokens: Mapping[str, str], *, shell: bool) -> str:
    """Put values where a text has ``<token>``; in a shell's commands, quoted where a value needs it.

    A value is never looked through for tokens of its own. One that is itself a placeholder stays as it is.
    """

    def value(match: re.Match[str]) -> str:
        found = printable(tokens.get(match[1], match[0]))
        if not shell or _TOKEN.fullmatch(found):
            return found
        # Inside of single quotes (JSON) quotes of its own would end them.
        line = text.rfind("\n", 0, match.start()) + 1
        inside = text.count("'", line, match.start()) % 2
        return found.replace("'", "'\\''") if inside else shlex.quote(found)

    return _TOKEN.sub(value, text)
