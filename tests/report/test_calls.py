"""The line on calls says what was asked of whom."""

from __future__ import annotations

from pytest_ampls.model.evidence import Statistics
from pytest_ampls.report.terminal import calls_line


def test_batches_are_calls_and_what_they_carry_is_said() -> None:
    """A batch counts once among the calls of its provider, and its reads are told apart from it."""
    kinds = {"Microsoft.Resources/batch": 2, "Microsoft.Resources/subscriptions": 1, "A/b": 4}
    line = calls_line(Statistics(calls=7, calls_by_type=kinds, batched=31, pages=36))
    assert line == (
        "calls: 4 A, 3 Microsoft.Resources; 31 reads in 2 batches, 36 pages, 0 retries, "
        "0 reads answered by earlier ones"
    )


def test_one_batch_is_told_as_one() -> None:
    """A sentence of one batch is about one."""
    line = calls_line(Statistics(calls=1, calls_by_type={"Microsoft.Resources/batch": 1}, batched=20))
    assert "; 20 reads in 1 batch, 0 pages" in line


def test_without_batches_nothing_is_said_of_them() -> None:
    """As where a single subscription was read."""
    assert calls_line(Statistics(calls=1, calls_by_type={"A/b": 1})) == (
        "calls: 1 A; 0 pages, 0 retries, 0 reads answered by earlier ones"
    )
