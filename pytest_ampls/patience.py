"""Waiting for an estate that settles: what does not hold is judged again on fresh evidence.

Every test runs once. Those that do not hold wait for the others to end; then what they looked at is
read again, with growing pauses, until they hold or the time is over. A rule that did not apply may apply
to what arrived meanwhile: such tests are judged on the last evidence, and told at the end.
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
    from pytest_ampls.renewal import RenewalClient
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
    """A test that may be judged again: its newest reports, what it looked at, and since when it waits.

    ``partial`` means that it holds, and that something in it did not apply.
    """

    item: pytest.Item
    reports: list[pytest.TestReport]
    needs: Needs
    since: float
    partial: bool


class Patience:
    """Registered where ``--ampls-wait`` is given.

    Args:
        run: the run, which has the estate.
        deadline: the end of the wait, in seconds since the epoch.
        client: asks the controller for fresh evidence, in a worker.
    """

    def __init__(self, run: Run, deadline: float, client: RenewalClient | None) -> None:
        self._run = run
        self._client = client
        self._deadline = time.monotonic() + deadline - time.time()
        self._pause = _FIRST_PAUSE
        self._pending: list[_Pending] = []
        self._partial: list[_Pending] = []
        self._renewed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a test; where it asks for the estate and does not hold, keep it for later."""
        concerned = self._run.concerns(item)
        if concerned:
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            self._keep(self._judge(item, nextitem, time.monotonic()))
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if nextitem is None and not concerned:
            runtestprotocol(item, nextitem=None)
        if nextitem is None:
            self._settle()
        return True if concerned or nextitem is None else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Lose nothing where the run ends early: what waits is told as it was last seen."""
        for pending in (*self._pending, *self._partial):
            _log(pending)
        self._pending, self._partial = [], []

    def _keep(self, pending: _Pending) -> None:
        """Tell the reports of a test that is done with; keep them where it may be judged again."""
        if _holds(pending.reports) and not pending.partial:
            _log(pending)
            return
        (self._partial if pending.partial else self._pending).append(pending)
        pending.item.ihook.pytest_runtest_logreport(report=_waiting(pending))

    def _judge(self, item: pytest.Item, nextitem: pytest.Item | None, since: float) -> _Pending:
        item.user_properties[:] = [pair for pair in item.user_properties if not pair[0].startswith("ampls.")]
        with self._run.estate.watched() as looked_at:
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
        record = item.stash.get(outcomes.RECORD, None)
        named = record.named if record is not None else ()
        wanting = [own for _, own, verdict in named if verdict in (Verdict.BROKEN, Verdict.UNVERIFIED)]
        partial = _holds(reports) and ((record is not None and record.tally.partial) or _skips(reports))
        return _Pending(item, reports, Needs.of(looked_at, wanting), since, partial)

    def _settle(self) -> None:
        """Judge what waits again and again, until all of it holds on the last evidence or the time is over.

        What did not apply, and then does not hold, has more evidence read. Whoever has something that did not
        apply, in this process or another, judges it on that too: no worker ends before all did. What held
        without exception is not judged again, whatever is read later, here as in a single process.
        """
        self._wait()
        while self._partial and self._catch_up():
            again, self._partial = self._partial, []
            for before in again:
                with _in_turn(before.item):
                    self._keep(self._judge(before.item, None, time.monotonic()))
            self._wait()
        self.pytest_sessionfinish()

    def _wait(self) -> None:
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

    def _catch_up(self) -> bool:
        """Tell whether there is newer evidence than tests were judged on that did not apply, and take it."""
        renewed, self._renewed = self._renewed, False
        if renewed or self._client is None:
            return renewed  # this process's own comes first: others are told what all was judged on
        try:
            newer = self._client.catch_up(self._deadline)
        except ConfigurationError as error:
            self._run.say(f"ampls: {error}")
            return False
        if newer is not None:
            self._run.estate.renew(newer)
        return newer is not None

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
            needs = reduce(or_, (pending.needs for pending in self._pending))
            if self._client is not None:
                self._run.estate.renew(self._client.renew(needs, self._deadline))
            else:
                self._run.estate.renew(self._run.read_again(needs))
            self._renewed = True
        except ConfigurationError as error:
            self._run.say(f"ampls: {error}")
        return True


class Lost:
    """Counts, where reports arrive, the tests that were to be judged again and never were.

    A worker that dies takes its waiting tests with it: their first verdict was no pass, and the last never came.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that waits, and one that was judged in the end."""
        if report.outcome == WAITING:
            self._waiting[report.nodeid] = "did not apply" if _is_quiet(report) else "did not hold"
        elif report.when == "teardown" or report.failed:
            self._waiting.pop(report.nodeid, None)

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Say how a test is shown that waits."""
        if report.outcome != WAITING:
            return None
        if _is_quiet(report):
            return "", "", ("", {})
        return "waiting", "w", ("WAITING", {"yellow": True})

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Never let a run pass that lost a verdict."""
        if self._waiting and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what was lost."""
        for nodeid, what in self._waiting.items():
            terminalreporter.write_line(
                f"not verified: {nodeid} {what} at first, and its process ended before it was judged again",
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


def _skips(reports: list[pytest.TestReport]) -> bool:
    return any(report.skipped for report in reports)


def _waiting(pending: _Pending) -> pytest.TestReport:
    """Return the report that says that a test will be judged again; not shown where it holds so far."""
    last = next((report for report in pending.reports if report.failed), pending.reports[-1])
    report = pytest.TestReport(
        nodeid=last.nodeid,
        location=last.location,
        keywords=dict(last.keywords),
        outcome=WAITING,
        longrepr=None,
        when="call",
    )
    report.ampls_quiet = pending.partial  # type: ignore[attr-defined]  # reports carry extra attributes
    return report


def _is_quiet(report: pytest.TestReport) -> bool:
    return bool(getattr(report, "ampls_quiet", False))


def _note(pending: _Pending) -> None:
    seconds = time.monotonic() - pending.since
    for report in pending.reports:
        report.user_properties.append((WAITED, f"{seconds:.0f}"))
