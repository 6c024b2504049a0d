"""What came of a TCP connection and a TLS handshake with one address of a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pytest_ampls.model.gap import Gap

__all__ = ["RUNNER", "Certificate", "Handshake"]

RUNNER: Final = "runner"
"""The vantage point of the machine that the run is on."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One certificate of a chain.

    ``subject`` and ``issuer`` are distinguished names in RFC 4514's form; ``names`` the DNS names it is for;
    ``not_after`` seconds since the epoch; ``sha256`` the fingerprint in lower-case hexadecimal digits.
    """

    subject: str
    issuer: str
    names: tuple[str, ...] = ()
    not_after: float = 0.0
    sha256: str = ""


class Handshake(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one place got when it connected to port 443 of an address, asking for a name.

    ``vantage_point`` is ``runner``, or the label of the guest that connected. ``version`` is as OpenSSL spells it
    (``TLSv1.3``), ``cipher`` the suite that was agreed on. ``versions`` says for each TLS version that
    was offered alone what came of it: ``accepted``, ``refused``, or ``untested: <reason>``. ``chain`` is
    leaf first, as the server sent it. ``trusted`` tells whether the chain leads to a trusted root and is for
    the name, ``distrust`` why not. With ``gap`` set nothing was agreed on (no connection, reset, timeout)
    and the other fields say nothing; ``reached`` then tells whether at least TCP connected.
    """

    vantage_point: str
    name: str
    address: str
    port: int = 443
    reached: bool = False
    version: str = ""
    cipher: str = ""
    versions: Mapping[str, str] = {}
    chain: tuple[Certificate, ...] = ()
    trusted: bool = False
    distrust: str = ""
    read_at: float = 0.0
    gap: Gap | None = None
