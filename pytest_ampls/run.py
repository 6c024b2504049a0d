"""One run: reads the estate once, hands out subjects, and turns what happened into verdicts."""

from __future__ import annotations

import gc
import inspect
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from pytest_ampls import outcomes
from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.errors import ConfigurationError, NotFoundError
from pytest_ampls.grouping import grouped
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import Snapshot
from pytest_ampls.model.judgement import recorded
from pytest_ampls.model.needs import Needs
from pytest_ampls.model.resource import Resource
from pytest_ampls.patience import WAITED, Lost, Patience, read_patiently
from pytest_ampls.reading import Source
from pytest_ampls.report import terminal
from pytest_ampls.report.tally import Record, Tally
from pytest_ampls.requirements import Requirements, load_requirements
from pytest_ampls.subjects import (
    SUBJECTS,
    Bounds,
    Selector,
    Subject,
    is_empty,
    is_out_of_bounds,
    subjects,
)
from pytest_ampls.suspicion import suspects

if TYPE_CHECKING:
    from pytest_ampls.guest import GuestAccess
    from pytest_ampls.renewal import RenewalService
    from pytest_ampls.settings import Settings

__all__ = ["Run"]

_WORKER_FOLDER: Final = "ampls_folder"
_WORKER_DEADLINE: Final = "ampls_deadline"


class Run:
    """The stateful half of the plugin, registered as ``ampls-run`` where an estate is configured."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        """Take the settings; nothing is read yet.

        Raises:
            ConfigurationError: the requirements file is wrong.
        """
        self.config = config
        self.settings = settings
        self.requirements: Requirements = load_requirements(settings.requirements)
        self._bounds = Bounds(resource_groups=settings.resource_groups, tags=settings.tags)
        self._failure: ConfigurationError | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._source = Source(
            settings,
            vantage_points=self.requirements.vantage_points,
            names=self.requirements.names,
            credential=self._credential,
            suspects=lambda estate: suspects(estate, self.requirements),
            say=self.say,
        )
        self._renewal: RenewalService | None = None
        handed_over = getattr(config, "workerinput", {}).get(_WORKER_FOLDER)
        self._folder = Path(handed_over) if handed_over is not None else None
        if settings.wait:
            self._prepare_to_wait()
        self._all_subjects: dict[tuple[str, bool], tuple[Subject, ...]] = {}
        if settings.group_by != "resource":
            config.pluginmanager.register(outcomes.Groups(self.current), "ampls-groups")
        config.pluginmanager.register(outcomes.Abridged(), "ampls-abridged")
        self._tally = Tally()
        self._outcomes: Counter[str] = Counter()
        self._waited: list[tuple[str, int]] = []

    # ------------------------------------------------------------ evidence

    @cached_property
    def snapshot(self) -> Snapshot:
        """The evidence of the run; read once, by the controller, and loaded by workers."""
        if self._folder is not None:
            from pytest_ampls.arm.snapshot import load

            return load(self._folder / "evidence-0")
        if self.settings.wait:
            return read_patiently(self._source, self.settings.wait, self.say)
        try:
            return self._source.read()
        finally:
            self._source.close()

    @cached_property
    def guest_access(self) -> GuestAccess:
        """How guests are reached. A worker starts the lab once more for it: the same lab."""
        return self._source.guest_access()

    def _prepare_to_wait(self) -> None:
        handed_over = getattr(self.config, "workerinput", {}).get(_WORKER_DEADLINE)
        self._deadline: float = handed_over or time.time() + self.settings.wait
        client = None
        if self._folder is not None:
            from pytest_ampls.renewal import RenewalClient

            client = RenewalClient(self._folder, self.config.workerinput["workerid"])  # type: ignore[attr-defined]
        self.config.pluginmanager.register(Patience(self, self._deadline, client), "ampls-patience")
        self.config.pluginmanager.register(Lost(), "ampls-lost")

    def _credential(self, cloud: Any) -> Any:
        return self.config.hook.pytest_ampls_credential(config=self.config, cloud=cloud)

    @cached_property
    def estate(self) -> Estate:
        """The estate.

        Raises:
            ConfigurationError: nothing can be judged: unreadable, empty, or against the requirements file.
        """
        if self._failure is not None:
            raise self._failure
        try:
            estate = self._source.estate(self.snapshot)
            if is_empty(estate):
                names = (
                    ", ".join(subscription.id for subscription in estate.subscriptions) or "no subscription"
                )
                raise ConfigurationError(
                    f"the estate is empty: {names} was read and holds no private link scope, workspace, data "
                    "collection endpoint, rule or machine. Is it the right subscription?"
                )
            if is_out_of_bounds(estate, self._bounds):
                raise ConfigurationError(
                    "no resource of the estate lies within --ampls-resource-group and --ampls-tag: correct the patterns"
                )
            self.requirements.check_patterns(estate)
        except ConfigurationError as error:
            self._failure = error
            raise
        return estate

    def read(self) -> None:
        """Read the estate now; what goes wrong stops the run when collection ends."""
        try:
            assert self.estate
        except ConfigurationError as error:
            self._failure = error

    # ------------------------------------------------------------ xdist

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand the evidence to a worker; a worker that is started again gets the same."""
        from pytest_ampls.arm.snapshot import save
        from pytest_ampls.renewal import RenewalService

        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="ampls-", ignore_cleanup_errors=True)
            folder = Path(self._scratch.name)
            with _as_usage_error():
                save(folder / "evidence-0", self.estate.snapshot)
            if self.settings.wait:
                self._renewal = RenewalService(folder, self._read_for_workers, self.say)
                self._renewal.start()
        node.workerinput[_WORKER_FOLDER] = self._scratch.name
        if self._renewal is not None:
            node.workerinput[_WORKER_DEADLINE] = self._deadline
            self._renewal.expect(node.gateway.id)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Let no worker wait for one that ended."""
        if self._renewal is not None:
            self._renewal.forget(node.gateway.id)

    def pytest_unconfigure(self) -> None:
        """End what was started, and remove what was written for the workers."""
        if self._renewal is not None:
            self._renewal.stop()
        self._source.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    # ------------------------------------------------------------ waiting

    def concerns(self, item: pytest.Item) -> bool:
        """Tell whether a test looks at the estate."""
        names = getattr(item, "fixturenames", ())
        return any(name in SUBJECTS or name == "estate" for name in names)

    def say(self, line: str) -> None:
        """Print a line of progress, where this process has a terminal."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(line)

    def read_again(self, needs: Needs) -> Snapshot:
        """Return fresh evidence.

        Raises:
            ConfigurationError: nothing can be read any more.
        """
        return self._source.renew(needs)

    def _read_for_workers(self, needs: Needs) -> Snapshot:
        left = max(0.0, self._deadline - time.time())
        self.say(f"ampls: reading again for tests that do not hold yet, {left:.0f} s left")
        return self.read_again(needs)

    def current(self, resource: Any) -> Any:
        """Return a resource as the newest evidence has it.

        Raises:
            EvidenceError: it could not be read this time, or does not exist any more.
        """
        if not self.settings.wait or not isinstance(resource, Resource):
            return resource
        found = self.estate.get(type(resource), resource.id)
        if found is None:
            raise NotFoundError(f"{resource.NOUN} {resource.id} does not exist any more")
        return found

    # ------------------------------------------------------------ collection

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Generator[None, Any, Any]:
        """Let the garbage collector pass over what is read and collected: it lives as long as the run."""
        with _spared():
            return (yield)

    def parametrize(self, metafunc: pytest.Metafunc, fixture: str) -> None:
        """Run a test once per resource of a kind, narrowed by its ``ampls`` markers."""
        try:
            found = self._subjects(fixture, _selector(metafunc.definition), _is_direct(metafunc, fixture))
        except ConfigurationError as error:
            self._failure = error
            found = (Subject(label="none", problem=str(error)),)
        labels = [subject.label for subject in found]
        metafunc.parametrize(fixture, found, indirect=True, ids=labels)

    def _subjects(self, fixture: str, selector: Selector | None, direct: bool) -> tuple[Subject, ...]:
        """Return what a fixture stands for; for tests without a marker it is found once."""
        known = self._all_subjects.get((fixture, direct)) if selector is None else None
        if known is None:
            known = subjects(self.estate, fixture, selector, self._bounds)
            if self.settings.group_by != "resource":
                known = grouped(known, self.settings.group_by, whole=direct)
            if selector is None:
                self._all_subjects[fixture, direct] = known
        return known

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self) -> None:
        """Stop before the first test where the estate cannot be judged at all."""
        if self._failure is not None:
            raise pytest.UsageError(str(self._failure))

    def pytest_report_header(self) -> list[str]:
        """Say what estate is judged, and where each value came from."""
        settings = self.settings
        sources = settings.sources
        parts = [f"{name} {settings.shown(name)} (from {settings.origins[name]})" for name in sources]
        for name, origin in settings.origins.items():
            if name not in sources:
                shown = settings.shown(name)
                parts.append(
                    f"{name} {shown} ({origin if origin.startswith('beside') else f'from {origin}'})"
                )
        return ["ampls: " + ", ".join(parts)]

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say how the evidence was read, once it was."""
        if "snapshot" not in self.__dict__:
            return []
        found = self.settings.everything or bool(self.settings.management_groups)
        lines = (
            terminal.evidence_line(self.snapshot),
            *terminal.subscription_lines(self.snapshot, found=found),
        )
        return [f"ampls: {line}" for line in lines]

    # ------------------------------------------------------------ verdicts

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Collect what the rules say while a test runs."""
        item.stash[outcomes.RECORD] = record = Record()
        with recorded(record):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn what happened into pytest's outcomes: unverified is an error, whatever a test expected."""
        report = yield
        outcomes.settle(report, item, call)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the verdicts for the summary, from this process or a worker."""
        if report.when != "call" and report.passed:
            return
        told = getattr(report, "ampls", None)
        if told is not None:
            self._tally.merge(msgspec.convert(told, Tally))
        if getattr(report, "ampls_subject", False):
            self._outcomes[report.outcome] += 1
        if report.when == "call":
            waited = dict(report.user_properties).get(WAITED)
            if waited is not None:
                self._waited.append((report.nodeid, int(str(waited))))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Never let a run pass in which nothing was judged."""
        skipped = self._outcomes["skipped"]
        if exitstatus == pytest.ExitCode.OK and skipped and self._outcomes.total() == skipped:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the verdicts by rule, worst first, and what they rest on."""
        for nodeid, seconds in self._waited:
            terminalreporter.write_line(f"became true after {seconds} s: {nodeid}")
        if self._tally:
            terminalreporter.section("AMPLS conformance")
            for line in terminal.summary_lines(self._tally, CATALOGUE):
                terminalreporter.write_line(line)
            for line in terminal.unverified_lines(self._tally):
                terminalreporter.write_line(line, yellow=True)
            newest = self._source.newest or self.estate.snapshot
            for note in terminal.notes(newest):
                terminalreporter.write_line(f"note: {note}")
            terminalreporter.write_line(terminal.evidence_line(newest))
            terminalreporter.write_line(terminal.calls_line(newest.statistics))
        skipped = self._outcomes["skipped"]
        if skipped and self._outcomes.total() == skipped:
            terminalreporter.write_line(
                f"nothing was judged: all {skipped} tests of resources were skipped, which is not a pass",
                red=True,
            )


def _is_direct(metafunc: pytest.Metafunc, fixture: str) -> bool:
    """Tell whether a test takes a fixture itself, and no other fixture of it does: only then can it be a group."""
    if fixture not in inspect.signature(metafunc.function).parameters:
        return False
    definitions = (metafunc._arg2fixturedefs.get(name, ()) for name in metafunc.fixturenames)
    return not any(found and fixture in found[-1].argnames for found in definitions)


def _selector(definition: pytest.Item) -> Selector | None:
    """Return what the ``ampls`` markers of a test narrow it to; the closest one wins for each keyword."""
    keywords: dict[str, Any] = {}
    for marker in reversed(list(definition.iter_markers("ampls"))):
        if marker.args:
            raise ConfigurationError(
                f"marker ampls of {definition.nodeid} takes keywords only, such as name='web-*'"
            )
        keywords.update(marker.kwargs)
    return Selector.of(keywords) if keywords else None


@contextmanager
def _spared() -> Iterator[None]:
    """Do not look for garbage meanwhile, nor later among what is there at the end.

    An estate and its tests are very many objects that stay: each full collection would visit all of them, the
    one at the end of the process too. What an earlier run in the same process left is garbage by now.
    """
    enabled = gc.isenabled()
    gc.unfreeze()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextmanager
def _as_usage_error() -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None
