"""Guests of the lab, looked at over its Run Command: what the tests of rules and faults share."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.cloud import discover
from pytest_ampls.arm.credential import lab_credential
from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.arm.run_command import RunCommand
from pytest_ampls.effective.guest_names import guest_questions
from pytest_ampls.guest import GuestAccess, gather_all
from pytest_ampls.lab import Lab
from pytest_ampls.model import Estate, Snapshot

__all__ = ["client_of", "looked_at"]


def client_of(lab: Lab, *, run_command: bool = True) -> ArmClient:
    """Return a client for a started lab."""
    bundle = str(lab.ca_bundle)
    credential = lab_credential(lab.authority, lab.tenant_id, lab.client_id, lab.client_secret, bundle)
    return ArmClient(
        discover(lab.arm_endpoint, bundle), credential, ca_bundle=bundle, run_command=run_command
    )


@lru_cache(maxsize=4)
def looked_at(spec: str, timeout: float = 30.0) -> Estate:
    """Read a lab's estate, and look at all its guests."""
    with Lab.from_spec(spec) as lab, client_of(lab) as client:
        subscriptions, readings = read_estate(client, tuple(lab.subscriptions))
        snapshot = Snapshot(
            cloud="AmplsLab",  # as a run on the lab calls it: what is known of it comes from the scope
            arm_endpoint=lab.arm_endpoint,
            subscriptions=subscriptions,
            readings=readings,
        )
        access = GuestAccess(run_command=RunCommand(client))
        states = gather_all(Estate(snapshot), access, questions=guest_questions, timeout=timeout)
    return Estate(msgspec.structs.replace(snapshot, guests=states))
