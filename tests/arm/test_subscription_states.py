"""Subscriptions that are disabled or deleted: left out where nobody names them, and never passed over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_ampls.arm.inventory import read_estate
from pytest_ampls.lab import Lab
from pytest_ampls.model.compute import VirtualMachine
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import Snapshot, Subscription
from tests.arm.discovered import client_of

FLEET = "fleet:vms=6,spoke_size=2,subscriptions=3+deleted-subscription=1+disabled-subscription=2"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Serve three subscriptions, of which the second is deleted and the last disabled."""
    with Lab.from_spec(FLEET) as lab:
        yield lab


def _read(
    lab: Lab, *named: int, groups: tuple[str, ...] = (), how: str = "auto"
) -> tuple[Snapshot, list[Subscription]]:
    left_out: list[Subscription] = []
    with client_of(lab) as client:
        subscriptions, readings = read_estate(
            client,
            [lab.subscriptions[number] for number in named],
            management_groups=groups,
            discovery=how,
            on_left_out=left_out.append,
        )
    return Snapshot(subscriptions=subscriptions, readings=readings), left_out


def _states(subscriptions: tuple[Subscription, ...] | list[Subscription]) -> list[tuple[str, str]]:
    return [(own.name, own.state) for own in subscriptions]


@pytest.mark.parametrize("below", [False, True])
def test_nobody_means_what_is_not_in_use(lab: Lab, below: bool) -> None:
    """Whether all are meant or those of a group: nothing is listed of the others, and they are told."""
    snapshot, left_out = _read(lab, groups=(lab.tenant_id,) if below else ())
    assert _states(snapshot.subscriptions) == [("fleet-0", "Enabled")]
    assert _states(left_out) == [("fleet-1", "Deleted"), ("fleet-2", "Disabled")]
    assert all(reading.gap is None for reading in snapshot.readings)
    listed = {reading.scope for reading in snapshot.readings if reading.scope.count("/") == 2}
    assert listed == {f"/subscriptions/{lab.subscriptions[0]}"}


@pytest.mark.parametrize("how", ["auto", "arm"])
def test_a_disabled_one_that_is_named_is_judged(lab: Lab, how: str) -> None:
    """It can be read; that a group has it too makes no difference."""
    snapshot, left_out = _read(lab, 2, groups=("landing-zones",), how=how)
    assert _states(snapshot.subscriptions) == [("fleet-2", "Disabled")]
    assert _states(left_out) == [("fleet-1", "Deleted")]
    assert len(Estate(snapshot).known(VirtualMachine)) == 2


def test_a_deleted_one_that_is_named_is_a_gap(lab: Lab) -> None:
    """Nothing of it counts as read, and the reason is told instead of that of each listing."""
    snapshot, left_out = _read(lab, 0, 1)
    assert left_out == []
    ((where, gap),) = Estate(snapshot).unread(VirtualMachine).items()
    assert where == f"/subscriptions/{lab.subscriptions[1]}"
    assert gap.message.startswith("Subscription 'fleet-1' (")
    assert "is deleted, and nothing of it can be read" in gap.message


def test_where_nothing_is_in_use_there_is_nothing_to_judge(lab: Lab) -> None:
    """That is a gap as well: an estate of nothing would be green."""
    snapshot, left_out = _read(lab, groups=("landing-zones",))
    assert snapshot.subscriptions == ()
    assert len(left_out) == 2
    messages = [reading.gap.message for reading in snapshot.readings if reading.gap is not None]
    (message,) = messages
    assert message.startswith(
        "Management group 'landing-zones': all 2 subscriptions below it are disabled or deleted"
    )
