"""One test on many resources sees each of them as the newest evidence has it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_ampls.errors import EvidenceError, NotFoundError
from pytest_ampls.grouping import Excuses, GroupError, judge_each


class _Skipped(Exception):  # noqa: N818  # stands for pytest's own
    pass


class _Expected(Exception):  # noqa: N818  # likewise
    pass


_EXCUSES = Excuses(_Skipped, _Expected)


def _attempt(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except (AssertionError, EvidenceError, LookupError, _Skipped, _Expected) as error:
        return error
    return None


def test_each_resource_is_the_current_one() -> None:
    """What was collected is looked up again before it is judged."""
    seen: list[int] = []
    judge_each(
        lambda vm, more: seen.append(vm + more),
        {"vm": (1, 2)},
        {"more": 5},
        _EXCUSES,
        _attempt,
        lambda n: n * 10,
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
        judge_each(judge, {"vm": (1, 2)}, {}, _EXCUSES, _attempt, current)
    assert seen == [2]


def test_what_is_unverified_is_told_beside_plain_failures() -> None:
    """A failure does not hide that another resource could not be read."""

    def judge(vm: int) -> None:
        if vm == 1:
            raise NotFoundError("machine 1 does not exist any more")
        raise LookupError("no such key")

    with pytest.raises(GroupError) as caught:
        judge_each(judge, {"vm": (1, 2)}, {}, _EXCUSES, _attempt)
    assert "2: LookupError: no such key (test_grouping.py:" in str(caught.value)
    assert "unverified besides: 1 of 2 resources; machine 1 does not exist any more" in str(caught.value)


def test_an_expected_failure_is_told_where_nothing_else_failed() -> None:
    """It is no pass, and a skip beside it is none either."""

    def judge(vm: int) -> None:
        raise _Skipped if vm == 1 else _Expected

    with pytest.raises(_Expected):
        judge_each(judge, {"vm": (1, 2)}, {}, _EXCUSES, _attempt)
