"""The faults on offer. Importing the modules declares them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_ampls.lab.fault import (
    agent,
    batch,
    collection,
    dns,
    endpoint,
    forwarding,
    guest,
    index,
    lifecycle,
    logs,
    naming,
    network,
    overwriting,
    packet_filter,
    power,
    reach,
    scope,
    wire,
)
from pytest_ampls.lab.fault.registry import Fault, Meddling, inflict, registered

__all__ = ["Fault", "Meddling", "faults", "inflict"]


# Named, so that nothing takes the imports for unused ones.
_DECLARED = (
    scope,
    logs,
    reach,
    endpoint,
    naming,
    forwarding,
    collection,
    agent,
    wire,
    batch,
    index,
    lifecycle,
    dns,
    guest,
    network,
    packet_filter,
    overwriting,
    power,
)


def faults() -> Mapping[str, Fault]:
    """Return every fault by name: estate faults in the order of the rules they break, then the others."""
    kinds = ("estate", "power", "guest", "probe", "logs", "dns", "wire")
    ordered = sorted(registered().values(), key=lambda fault: (kinds.index(fault.kind), fault.breaks[:1]))
    return MappingProxyType({fault.name: fault for fault in ordered})
