"""Waiting for an estate that settles: what does not hold is judged again on fresh evidence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest
from _pytest.runner import runtestprotocol  # there is no public way to run a test again

from pytest_ampls.errors import ConfigurationError

if TYPE_CHECKING:
    from pytest_ampls.run import Run

__all__ = ["WAITED", "Patience"]

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
WAITED: Final = "ampls.waited"
"""The property that says after how many seconds a test passed that had not held at first."""


class Patience:
    """Registered where ``--ampls-wait`` is given. The time counts from the first test of the process."""

    def __init__(self, run: Run, seconds: float) -> None:
        self._run = run
        self._seconds = seconds
        self._started: float | None = None
        self._pause = _FIRST_PAUSE

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a test that asks for the estate until it holds, or until the time is over."""
        if not self._run.concerns(item):
            return None
        if self._started is None:
            self._started = time.monotonic()
        began = time.monotonic()
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        while any(report.failed for report in reports) and self._renew(item):
            item.user_properties[:] = [
                pair for pair in item.user_properties if not pair[0].startswith("ampls.")
            ]
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
            if not any(report.failed for report in reports):
                self._note(reports, time.monotonic() - began)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _renew(self, item: pytest.Item) -> bool:
        """Pause and read again; tell whether there was time for it."""
        deadline = (self._started or 0.0) + self._seconds
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        pause = min(self._pause, left)
        self._run.say(
            f"ampls: {item.name} does not hold yet: reading again in {pause:.0f} s, {left:.0f} s left"
        )
        time.sleep(pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        try:
            self._run.renew(deadline)
        except ConfigurationError as error:
            self._run.say(f"ampls: {error}")
        return True

    @staticmethod
    def _note(reports: list[pytest.TestReport], seconds: float) -> None:
        for report in reports:
            report.user_properties.append((WAITED, f"{seconds:.0f}"))
