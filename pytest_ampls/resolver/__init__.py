"""Names asked of DNS servers, from one vantage point or from many at once.

A vantage point is a list of DNS servers that answer as one network would be answered. What it
says is evidence: ``NXDOMAIN`` and an empty ``NOERROR`` are answers. A timeout, ``SERVFAIL``,
``REFUSED`` or an unreadable packet says nothing about the name; it becomes a
:class:`~pytest_ampls.model.evidence.Gap`, so that no rule passes or fails on it.

Sources: RFC 1035 (messages), RFC 2308 (negative answers), RFC 6891 (EDNS), RFC 7766 (TCP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ampls.resolver.vantage import is_private, normal_name, parse_option, system

if TYPE_CHECKING:
    from pytest_ampls.resolver.lookup import Resolver, resolve_all

__all__ = ["Resolver", "is_private", "normal_name", "parse_option", "resolve_all", "system"]


def __getattr__(name: str) -> object:
    """Import what asks servers when it is first used: reading an option must not cost dnspython."""
    if name in {"Resolver", "resolve_all"}:
        from pytest_ampls.resolver import lookup

        return getattr(lookup, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
