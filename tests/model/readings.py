"""Readings that are written by hand, and the estates that they make."""

from __future__ import annotations

from typing import Any

import msgspec

from pytest_ampls.model import Estate, Reading, Snapshot
from tests.builders import Document


def estate_of(*readings: Reading) -> Estate:
    """Return an estate of some readings."""
    return Estate(Snapshot(readings=readings))


def reading(kind: str, scope: str, *documents: Document | str, **more: Any) -> Reading:
    """Return a reading; a document may be given as text."""
    raw = tuple(
        msgspec.Raw(part.encode() if isinstance(part, str) else msgspec.json.encode(part))
        for part in documents
    )
    return Reading(type=kind, scope=scope, request=f"GET {scope}", read_at=0, documents=raw, **more)
