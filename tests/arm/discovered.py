"""The same lab estate read in different ways, and what the shipped suite says of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.cloud import discover
from pytest_ampls.arm.confirm import confirm
from pytest_ampls.arm.credential import lab_credential
from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.arm.throttle import Rate
from pytest_ampls.catalogue import Verdict
from pytest_ampls.lab import Lab
from pytest_ampls.model import Estate, Reading, Snapshot
from pytest_ampls.model.evidence import Statistics
from pytest_ampls.model.resource import Resource
from pytest_ampls.subjects import SUBJECTS, subjects
from tests.guards.suite import Outcomes, judge_all, lab_snapshot

UNLIMITED = Rate(burst=1e9, per_second=1e9)


@contextmanager
def client_of(lab: Lab) -> Iterator[ArmClient]:
    """Open a client of a running lab, which never paces itself."""
    cloud = discover(lab.arm_endpoint, lab.ca_bundle)
    credential = lab_credential(lab.authority, lab.tenant_id, lab.client_id, lab.client_secret, lab.ca_bundle)
    with ArmClient(cloud, credential, ca_bundle=lab.ca_bundle, rate=UNLIMITED, retry_budget=3.0) as client:
        yield client


def read(spec: str, discovery: str, fresh: int | None = None) -> tuple[tuple[Reading, ...], Statistics]:
    """Read a lab estate in one of the ways."""
    with Lab.from_spec(spec) as lab, client_of(lab) as client:
        _, readings = read_estate(client, lab.subscriptions, discovery=discovery, fresh=fresh)
        return readings, client.statistics()


def judge(spec: str, discovery: str, answers: str = "", fresh: int | None = None) -> tuple[Outcomes, Estate]:
    """Read a lab estate and judge it; judge again what fails on the index, after a confirmation.

    DNS answers are those of the estate ``answers``, which is the same but for faults of the index. With
    ``fresh`` 0 networks and the like come from the index although the estate is small.
    """
    base = lab_snapshot(answers or spec)
    with Lab.from_spec(spec) as lab, client_of(lab) as client:
        _, readings = read_estate(client, lab.subscriptions, discovery=discovery, fresh=fresh)
        estate = _estate(base, readings)
        outcomes = judge_all(estate)
        suspicious = list(suspicious_ids(estate, outcomes))
        if suspicious:
            estate = _estate(base, confirm(client, readings, suspicious))
            outcomes = judge_all(estate)
    return outcomes, estate


def _estate(base: Snapshot, readings: tuple[Reading, ...]) -> Estate:
    return Estate(msgspec.structs.replace(base, readings=readings))


def suspicious_ids(estate: Estate, outcomes: Outcomes) -> Iterator[str]:
    """Return the ids of what did not hold."""
    failing = {
        label for (_, label), verdict in outcomes.items() if verdict in (Verdict.BROKEN, Verdict.UNVERIFIED)
    }
    for fixture in SUBJECTS:
        for subject in subjects(estate, fixture):
            resource = subject.resource
            if isinstance(resource, Resource) and f"{fixture}={subject.label}" in failing:
                yield resource.id
