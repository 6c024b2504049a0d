"""The faults on offer. Importing the modules declares them."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_ampls.lab.fault.registry import Fault, Meddling, inflict, registered

__all__ = ["Fault", "Meddling", "faults", "inflict"]


def faults() -> Mapping[str, Fault]:
    """Return every fault by name."""
    return registered()
