"""Batches spare calls, and change no verdict: not where they are refused, nor where they answer oddly."""

from __future__ import annotations

import pytest

from pytest_ampls.arm.batch import BATCH
from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.arm.operations import RESOURCES
from pytest_ampls.catalogue import Verdict
from pytest_ampls.lab import Lab
from pytest_ampls.lab.fault.batch import PARTLY, WHOLE
from tests.arm.discovered import client_of, judge, read
from tests.arm.test_survey import ids
from tests.guards.suite import lab_outcomes

FLEET = "fleet:vms=24,subscriptions=6,spoke_size=4"
FAULTS = [*(f"no-batch={how}" for how in WHOLE), *(f"odd-batch={how}" for how in PARTLY)]
LISTS = ["denied-subscription=1", "no-resource-list", "short-list", "denied=virtualMachines"]


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_no_answer_of_a_batch_changes_a_verdict(fault: str) -> None:
    """Every rule says of every resource what it says of the evidence that was read without any batch."""
    outcomes, _ = judge(f"{FLEET}+{fault}" if fault else FLEET, "auto", FLEET)
    assert outcomes == lab_outcomes(FLEET)


@pytest.mark.parametrize("batch", ["", "+odd-batch=swapped", "+no-batch"])
@pytest.mark.parametrize("fault", LISTS)
def test_what_is_wrong_with_lists_is_told_in_batches_too(fault: str, batch: str) -> None:
    """A list that is refused, or short, inside of a batch is what it is by itself."""
    spec = f"{FLEET}+{fault}"
    outcomes, _ = judge(f"{spec}{batch}", "auto", spec)
    assert outcomes == lab_outcomes(spec)
    if fault.startswith("denied"):
        assert Verdict.UNVERIFIED in outcomes.values()


def test_lists_of_several_pages_are_few_calls() -> None:
    """What arrives in batches, pages and all, is what arrives one by one."""
    spec = "fleet:vms=1500,subscriptions=6"
    by_one, plain = read(f"{spec}+no-batch=absent", "auto")
    readings, few = read(spec, "auto")
    assert ids(readings) == ids(by_one)
    assert few.calls_by_type[BATCH] == 3  # a call for each page of the largest list
    assert few.batched == plain.calls_by_type[RESOURCES] > 6
    assert few.calls == plain.calls - plain.calls_by_type[RESOURCES] - 1 + 3
    assert (few.notes, len(plain.notes)) == ((), 1)


@pytest.mark.parametrize(("spec", "discovery"), [("hub-and-spoke", "auto"), (FLEET, "arm")])
def test_where_no_batch_is_sent(spec: str, discovery: str) -> None:
    """Of a single subscription, and where the providers alone are read."""
    with Lab.from_spec(spec) as lab, client_of(lab) as client:
        read_estate(client, lab.subscriptions, discovery=discovery)
        assert {asked.method for asked in lab.requests} <= {"GET", "POST"}
        assert "/batch" not in {asked.path for asked in lab.requests}
        assert client.statistics().batched == 0


def test_one_batch_is_one_call_to_the_lab_as_well() -> None:
    """What the statistics count is what arrived there."""
    with Lab.from_spec(FLEET) as lab, client_of(lab) as client:
        read_estate(client, lab.subscriptions, discovery="auto")
        asked = [own.path for own in lab.requests]
        statistics = client.statistics()
    assert asked.count("/batch") == statistics.calls_by_type[BATCH] == 1
    assert len(asked) == statistics.calls
