"""What the verdicts of this suite rest on."""

from __future__ import annotations

from pytest_ampls import Estate


def test_everything_was_read(estate: Estate) -> None:
    """No listing was refused or broke off: there is no resource that nobody judged."""
    estate.require_complete()
