"""The dates of HTTP's headers."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["http_date"]


def http_date(text: str) -> float | None:
    """Return the time that an HTTP date names, in seconds since the epoch; None where it is none.

    Each of its three forms is in UTC, also where it does not say so. Source: RFC 9110, 5.6.7.
    """
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
