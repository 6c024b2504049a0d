"""The estate ``empty``: a subscription that can be read and holds nothing."""

from __future__ import annotations

from pytest_ampls.lab.store import Estate, guid

__all__ = ["build"]


def build(_parameters: dict[str, str]) -> Estate:
    """Return a subscription without a single resource."""
    estate = Estate("empty")
    estate.add_subscription(guid("subscription", "empty"), "ampls-lab-empty")
    return estate
