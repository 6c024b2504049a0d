"""One test on many resources sees each of them as the newest evidence has it."""

from __future__ import annotations

import pytest

from pytest_ampls.errors import EvidenceError, NotFoundError
from pytest_ampls.grouping import judge_each


class _Skipped(Exception):  # noqa: N818  # stands for pytest's own
    pass


def test_each_resource_is_the_current_one() -> None:
    """What was collected is looked up again before it is judged."""
    seen: list[int] = []
    judge_each(
        lambda vm, more: seen.append(vm + more), {"vm": (1, 2)}, {"more": 5}, _Skipped, lambda n: n * 10
    )
    assert seen == [15, 25]


def test_a_resource_that_is_gone_is_unverified() -> None:
    """The others are judged, and the group is not green."""
    seen: list[int] = []

    def current(number: int) -> int:
        if number == 1:
            raise NotFoundError("machine 1 does not exist any more")
        return number

    def judge(vm: int) -> None:
        seen.append(vm)

    with pytest.raises(EvidenceError, match="machine 1 does not exist"):
        judge_each(judge, {"vm": (1, 2)}, {}, _Skipped, current)
    assert seen == [2]
