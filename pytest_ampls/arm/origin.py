"""Where a URL leads, told the way a browser tells origins apart; and text that is safe to show."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

__all__ = ["Origin", "printable"]

_PORTS: Final = {"https": 443, "http": 80}
_PLAIN: Final = re.compile(r"[!-\[\]-~]+")  # visible ASCII without the backslash
_SECRETS: Final = re.compile(
    r"(?i)\b(?:bearer\s+\S+|eyJ[\w-]{8,}(?:\.[\w-]*)*|(?:client_secret|sig)=[^\s&]+)"
)
_LONGEST: Final = 200


class Origin(msgspec.Struct, frozen=True):
    """Scheme, host and port: what has to be the same for a token to be sent (RFC 6454)."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin | None:
        """Return the origin of a URL, or None where parsers could disagree about it.

        URLs with blanks, backslashes, control characters or user information have none:
        parsers have been made to disagree about the host with each of them.
        """
        if not _PLAIN.fullmatch(url):
            return None
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme.lower(), (parts.hostname or "").lower().rstrip("."), parts.port
        except ValueError:
            return None
        if scheme not in _PORTS or not host or "@" in parts.netloc:
            return None
        return cls(scheme, host, port if port is not None else _PORTS[scheme])

    @staticmethod
    def is_loopback(url: str) -> bool:
        """Tell whether a URL leads to this very machine, where no proxy may come between."""
        origin = Origin.of(url)
        if origin is None:
            return False
        try:
            return ipaddress.ip_address(origin.host).is_loopback
        except ValueError:
            return origin.host == "localhost"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def printable(text: str, longest: int = _LONGEST) -> str:
    """Return foreign text fit for one line of a message: no control characters, no token, not long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = _SECRETS.sub("[removed]", line)
    return line if len(line) <= longest else line[: longest - 1] + "…"
