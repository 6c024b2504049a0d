"""One run: reads the estate once, hands out subjects, and turns what happened into verdicts."""

from __future__ import annotations

import inspect
import re
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import ConformanceError, Judgement, Verdict, judgements
from pytest_ampls.errors import ConfigurationError, EvidenceError
from pytest_ampls.grouping import GroupError, judge_each
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import Snapshot
from pytest_ampls.model.resource import Resource
from pytest_ampls.reading import read_snapshot
from pytest_ampls.report import terminal
from pytest_ampls.requirements import Requirements, load_requirements
from pytest_ampls.subjects import SUBJECTS, Bounds, Selector, Subject, grouped, is_empty, subjects

if TYPE_CHECKING:
    from pytest_ampls.options import Settings

__all__ = ["Run"]

_JUDGED: Final = pytest.StashKey[list[Judgement]]()
_RULE_IN_NAME: Final = re.compile(r"test_(ampls\d{3})_")
_WORKER_SNAPSHOT: Final = "ampls_snapshot"


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
        self._judgements: list[Judgement] = []
        self._outcomes: Counter[str] = Counter()

    # ------------------------------------------------------------ evidence

    @cached_property
    def snapshot(self) -> Snapshot:
        """The evidence of the run; read once, by the controller, and loaded by workers."""
        handed_over = getattr(self.config, "workerinput", {}).get(_WORKER_SNAPSHOT)
        if handed_over is not None:
            from pytest_ampls.arm.snapshot import load

            return load(Path(handed_over))
        return read_snapshot(
            self.settings, vantage_points=self.requirements.vantage_points, credential=self._credential
        )

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
            estate = Estate(self.snapshot)
            if is_empty(estate):
                names = (
                    ", ".join(subscription.id for subscription in estate.subscriptions) or "no subscription"
                )
                raise ConfigurationError(
                    f"the estate is empty: {names} was read and holds no private link scope, workspace, data "
                    "collection endpoint, rule or machine. Is it the right subscription?"
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

        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="ampls-", ignore_cleanup_errors=True)
            with _as_usage_error():
                save(Path(self._scratch.name, "evidence"), self.estate.snapshot)
        node.workerinput[_WORKER_SNAPSHOT] = str(Path(self._scratch.name, "evidence"))

    def pytest_unconfigure(self) -> None:
        """Remove what was written for the workers."""
        if self._scratch is not None:
            self._scratch.cleanup()

    # ------------------------------------------------------------ collection

    def parametrize(self, metafunc: pytest.Metafunc, fixture: str) -> None:
        """Run a test once per resource of a kind, narrowed by its ``ampls`` markers."""
        try:
            selector = _selector(metafunc.definition)
            found = subjects(self.estate, fixture, selector, self._bounds)
            if self.settings.group_by != "resource" and _is_direct(metafunc, fixture):
                found = grouped(found, self.settings.group_by)
        except ConfigurationError as error:
            self._failure = error
            found = (Subject(label="none", problem=str(error)),)
        labels = [subject.label for subject in found]
        metafunc.parametrize(fixture, found, indirect=True, ids=labels)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self) -> None:
        """Stop before the first test where the estate cannot be judged at all."""
        if self._failure is not None:
            raise pytest.UsageError(str(self._failure))

    def pytest_report_header(self) -> list[str]:
        """Say what estate is judged, and where each value came from."""
        settings = self.settings
        source = next(name for name in ("lab", "snapshot", "subscription") if name in settings.origins)
        value = ", ".join(settings.subscriptions) if source == "subscription" else getattr(settings, source)
        parts = [f"{source} {value} (from {settings.origins[source]})"]
        for name in ("cloud", "arm-endpoint"):
            if name in settings.origins:
                parts.append(
                    f"{name} {getattr(settings, name.replace('-', '_'))} (from {settings.origins[name]})"
                )
        if self.requirements.path is not None:
            parts.append(f"requirements {self.requirements.path.name} ({settings.origins['requirements']})")
        if settings.resolvers:
            parts.append(f"resolvers {', '.join(settings.resolvers)} (from {settings.origins['resolver']})")
        return ["ampls: " + ", ".join(parts)]

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say how the evidence was read, once it was."""
        return [f"ampls: {terminal.evidence_line(self.snapshot)}"] if "snapshot" in self.__dict__ else []

    # ------------------------------------------------------------ verdicts

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Call a test that judges a group for each of its resources."""
        parameters = getattr(pyfuncitem, "callspec", None)
        groups = {
            name: subject.members
            for name, subject in (parameters.params if parameters else {}).items()
            if isinstance(subject, Subject) and subject.members
        }
        if not groups:
            return None
        wanted = inspect.signature(pyfuncitem.obj).parameters
        others = {name: pyfuncitem.funcargs[name] for name in wanted if name not in groups}
        judge_each(pyfuncitem.obj, groups, others, pytest.skip.Exception)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Collect what the rules say while a test runs."""
        with judgements() as kept:
            item.stash[_JUDGED] = kept
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn what happened into pytest's outcomes: unverified is an error, whatever a test expected."""
        report = yield
        kept = item.stash.get(_JUDGED, []) if call.when == "call" else []
        raised = call.excinfo.value if call.excinfo is not None else None
        if isinstance(raised, EvidenceError):
            _make_error(report, call, raised)
            if not any(judgement.verdict is Verdict.UNVERIFIED for judgement in kept):
                kept = [*kept, _unverified(item, raised)]
        elif isinstance(raised, ConformanceError | GroupError):
            _make_readable(report, call, raised.headline)
        elif raised is None and kept and all(entry.verdict is Verdict.NOT_APPLICABLE for entry in kept):
            _make_skipped(report, item, kept)
        _attach(report, item, kept)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the verdicts for the summary, from this process or a worker."""
        entries = getattr(report, "ampls", ())
        self._judgements.extend(msgspec.convert(entry, Judgement) for entry in entries)
        if report.when == "call" or not report.passed:
            self._outcomes[report.outcome] += 1

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Never let a run pass in which nothing was judged."""
        if exitstatus == pytest.ExitCode.OK and not self._outcomes["passed"] and self._outcomes["skipped"]:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the verdicts by rule, worst first, and what they rest on."""
        if self._judgements:
            terminalreporter.section("AMPLS conformance")
            for line in terminal.summary_lines(self._judgements, CATALOGUE):
                terminalreporter.write_line(line)
            for line in terminal.unverified_lines(self._judgements):
                terminalreporter.write_line(line, yellow=True)
            terminalreporter.write_line(terminal.evidence_line(self.snapshot))
        skipped = self._outcomes["skipped"]
        if skipped and self._outcomes.total() == skipped:
            terminalreporter.write_line(
                f"nothing was judged: all {skipped} tests were skipped, which is not a pass", red=True
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
def _as_usage_error() -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from None


def _make_error(report: pytest.TestReport, call: pytest.CallInfo[None], raised: EvidenceError) -> None:
    """Make a report an error. pytest calls only what fails outside of the call phase so."""
    report.outcome = "failed"
    if report.when == "call":
        report.when = "setup"
    if hasattr(report, "wasxfail"):
        del report.wasxfail
    _make_readable(report, call, f"not verified: {raised}")


def _make_readable(report: pytest.TestReport, call: pytest.CallInfo[None], headline: str) -> None:
    """Replace the traceback by the message: it says everything, and our frames say nothing."""
    if call.excinfo is None or report.outcome != "failed":
        return
    shown = call.excinfo.getrepr(style="value")
    if shown.reprcrash is not None:
        shown.reprcrash.message = headline
    report.longrepr = shown


def _make_skipped(report: pytest.TestReport, item: pytest.Item, kept: list[Judgement]) -> None:
    path, line, _ = item.location
    reason = "; ".join(f"{judgement.rule} does not apply: {judgement.reason}" for judgement in kept)
    report.outcome = "skipped"
    report.longrepr = (path, (line or 0) + 1, f"Skipped: {reason}")


def _unverified(item: pytest.Item, raised: EvidenceError) -> Judgement:
    """Return the verdict of a test whose subject could not be read; the suite's names tell the rule."""
    match = _RULE_IN_NAME.match(getattr(item, "originalname", ""))
    rule = match.group(1).upper() if match else ""
    return Judgement(
        rule=rule if rule in CATALOGUE else "",
        resource=item.name,
        resource_id=_resource_id(item),
        verdict=Verdict.UNVERIFIED,
        reason=str(raised),
    )


def _resource_id(item: pytest.Item) -> str:
    arguments = getattr(item, "funcargs", {})
    found = (arguments[name] for name in SUBJECTS if name in arguments)
    return next((resource.id for resource in found if isinstance(resource, Resource)), "")


def _attach(report: pytest.TestReport, item: pytest.Item, kept: list[Judgement]) -> None:
    """Put the verdicts on the report, for the summary, and as properties for JUnit files."""
    if not kept:
        return
    report.ampls = msgspec.to_builtins(kept)  # type: ignore[attr-defined]  # reports carry extra attributes
    properties = [
        pair
        for judgement in kept
        for pair in (
            ("ampls.rule", judgement.rule),
            ("ampls.resource", judgement.resource_id),
            ("ampls.verdict", str(judgement.verdict)),
        )
    ]
    report.user_properties.extend(properties)
    item.user_properties.extend(properties)  # JUnit files take them from the report of the teardown
