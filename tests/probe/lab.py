"""The lab's private endpoints, probed: what the tests of rules and faults share."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.lab import Lab
from pytest_ampls.model import Estate, Snapshot
from pytest_ampls.model.handshake import Handshake
from pytest_ampls.probe import probe_all, targets_of
from tests.guest.lab import client_of

__all__ = ["probed", "with_handshakes"]


@lru_cache(maxsize=4)
def probed(spec: str) -> Estate:
    """Read a lab's estate, and probe all addresses of its private endpoints."""
    with Lab.from_spec(spec) as lab, client_of(lab) as client:
        subscriptions, readings = read_estate(client, tuple(lab.subscriptions))
        snapshot = Snapshot(
            cloud="AmplsLab",  # as a run on the lab calls it
            arm_endpoint=lab.arm_endpoint,
            subscriptions=subscriptions,
            readings=readings,
        )
        handshakes = probe_all(
            targets_of(Estate(snapshot)), ca_bundle=str(lab.ca_bundle), address_map=lab.serve_endpoints()
        )
    return Estate(msgspec.structs.replace(snapshot, handshakes=handshakes))


def with_handshakes(estate: Estate, *handshakes: Handshake) -> Estate:
    """Return an estate with other handshakes in place of its own."""
    return Estate(msgspec.structs.replace(estate.snapshot, handshakes=handshakes))
