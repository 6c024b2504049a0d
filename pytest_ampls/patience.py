"""Waiting for an estate that settles: what does not hold is judged again on fresh evidence.

Every test runs once. Those that do not hold wait for the others to end; then what they looked at is
read again, with growing pauses, until they hold or the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import pytest
from _pytest.runner import runtestprotocol  # there is no public way to run a test again

from pytest_ampls import outcomes
from pytest_ampls.catalogue import Verdict
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model.needs import Needs

if TYPE_CHECKING:
    from pytest_ampls.model.evidence import Snapshot
    from pytest_ampls.run import Run

__all__ = ["WAITED", "WAITING", "Lost", "Patience", "read_patiently"]

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
WAITED: Final = "ampls.waited"
"""The property that says after how many seconds a test passed that had not held at first."""
WAITING: Final[Any] = "rerun"  # pytest's annotations know three outcomes; its plugins know this fourth
"""The outcome of a report that says that the test will be judged again; the name that pytest's plugins know."""


class Readable(Protocol):
    """What can be read, and read again."""

    def read(self) -> Snapshot:
        """Read everything."""

    def renew(self, needs: Needs) -> Snapshot:
        """Read what is needed again, and whatever could not be read."""


def read_patiently(source: Readable, seconds: float, say: Callable[[str], None]) -> Snapshot:
    """Read an estate, and read again what could not be listed: of what no listing names, no test can be made.

    Half of the ``seconds`` may go by here; the other half is for the tests. ``say`` gets a line for each pause.

    Raises:
        ConfigurationError: nothing could be read.
    """
    deadline = time.monotonic() + seconds / 2
    snapshot, pause = source.read(), _FIRST_PAUSE
    while True:
        missing = sum(reading.gap is not None and not reading.single for reading in snapshot.readings)
        left = deadline - time.monotonic()
        if not missing or left <= 0:
            return snapshot
        pause = min(pause, left)
        say(
            f"ampls: {missing} listings could not be read: reading again in {pause:.0f} s, {left:.0f} s left for that"
        )
        time.sleep(pause)
        snapshot = source.renew(Needs())
        pause = min(pause * 2, _LONGEST_PAUSE)


class _Pending(NamedTuple):
    """A test that does not hold yet: its newest reports, what it looked at, and since when it waits."""

    item: pytest.Item
    reports: list[pytest.TestReport]
    needs: Needs
    since: float


class Patience:
    """Registered where ``--ampls-wait`` is given; ``deadline`` is the end of it, in seconds since the epoch."""

    def __init__(self, run: Run, deadline: float) -> None:
        self._run = run
        self._deadline = time.monotonic() + deadline - time.time()
        self._pause = _FIRST_PAUSE
        self._pending: list[_Pending] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a test; where it asks for the estate and does not hold, keep it for later."""
        concerned = self._run.concerns(item)
        if concerned:
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            pending = self._judge(item, nextitem, time.monotonic())
            if _holds(pending.reports):
                _log(pending)
            else:
                self._pending.append(pending)
                item.ihook.pytest_runtest_logreport(report=_waiting(pending.reports))
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if nextitem is None and not concerned:
            runtestprotocol(item, nextitem=None)
        if nextitem is None:
            self._settle()
        return True if concerned or nextitem is None else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Lose nothing where the run ends early: what waits is told as it was last seen."""
        for pending in self._pending:
            _log(pending)
        self._pending = []

    def _judge(self, item: pytest.Item, nextitem: pytest.Item | None, since: float) -> _Pending:
        item.user_properties[:] = [pair for pair in item.user_properties if not pair[0].startswith("ampls.")]
        with self._run.estate.watched() as looked_at:
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
        record = item.stash.get(outcomes.RECORD, None)
        named = record.named if record is not None else ()
        wanting = [own for _, own, verdict in named if verdict in (Verdict.BROKEN, Verdict.UNVERIFIED)]
        return _Pending(item, reports, Needs.of(looked_at, wanting), since)

    def _settle(self) -> None:
        """Judge what waits again and again, until it holds or the time is over."""
        while self._pending and self._renew():
            waiting = []
            for before in self._pending:
                pending = self._judge(before.item, None, before.since)
                if _holds(pending.reports):
                    _note(pending)
                    _log(pending)
                else:
                    waiting.append(pending)
            self._pending = waiting
        self.pytest_sessionfinish()

    def _renew(self) -> bool:
        """Pause and read again; tell whether there was time for it."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            return False
        pause = min(self._pause, left)
        several = len(self._pending) > 1
        names = f"{len(self._pending)} tests do" if several else f"{self._pending[0].item.name} does"
        self._run.say(f"ampls: {names} not hold yet: reading again in {pause:.0f} s, {left:.0f} s left")
        time.sleep(pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        try:
            self._run.renew(reduce(or_, (pending.needs for pending in self._pending)), self._deadline)
        except ConfigurationError as error:
            self._run.say(f"ampls: {error}")
        return True


class Lost:
    """Counts, where reports arrive, the tests that were to be judged again and never were.

    A worker that dies takes its waiting tests with it: their first verdict was no pass, and the last never came.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that waits, and one that was judged in the end."""
        if report.outcome == WAITING:
            self._waiting[report.nodeid] = None
        elif report.when == "teardown" or report.failed:
            self._waiting.pop(report.nodeid, None)

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Say how a test is shown that waits."""
        if report.outcome != WAITING:
            return None
        return "waiting", "w", ("WAITING", {"yellow": True})

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Never let a run pass that lost a verdict."""
        if self._waiting and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what was lost."""
        for nodeid in self._waiting:
            terminalreporter.write_line(
                f"not verified: {nodeid} did not hold at first, and its process ended before it was judged again",
                red=True,
            )


def _holds(reports: list[pytest.TestReport]) -> bool:
    return not any(report.failed for report in reports)


def _log(pending: _Pending) -> None:
    with _in_turn(pending.item):
        for report in pending.reports:
            pending.item.ihook.pytest_runtest_logreport(report=report)


@contextmanager
def _in_turn(item: pytest.Item) -> Iterator[None]:
    """Make a test the one that a worker of pytest-xdist runs: it takes reports of no other."""
    plugins: Iterable[Any] = item.config.pluginmanager.get_plugins()
    worker = next((plugin for plugin in plugins if type(plugin).__name__ == "WorkerInteractor"), None)
    if worker is None:
        yield
        return
    running = worker.item_index
    worker.item_index = item.session.items.index(item)
    try:
        yield
    finally:
        worker.item_index = running


def _waiting(reports: list[pytest.TestReport]) -> pytest.TestReport:
    """Return the report that says that a test did not hold, and will be judged again."""
    failed = next(report for report in reports if report.failed)
    return pytest.TestReport(
        nodeid=failed.nodeid,
        location=failed.location,
        keywords=dict(failed.keywords),
        outcome=WAITING,
        longrepr=None,
        when="call",
    )


def _note(pending: _Pending) -> None:
    seconds = time.monotonic() - pending.since
    for report in pending.reports:
        report.user_properties.append((WAITED, f"{seconds:.0f}"))
