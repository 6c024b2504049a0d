"""What became of a test, in pytest's own outcomes: a verdict, an error where it is unverified, or a skip."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Final

import msgspec
import pytest

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import ConformanceError, Judgement, Verdict
from pytest_ampls.errors import ConfigurationError, EvidenceError, IncompleteError, printable
from pytest_ampls.grouping import Excuses, GroupError, judge_each
from pytest_ampls.model.resource import Resource
from pytest_ampls.report.tally import Record, Tally
from pytest_ampls.subjects import SUBJECTS, Subject

__all__ = ["RECORD", "Abridged", "Groups", "settle"]

RECORD: Final = pytest.StashKey[Record]()
"""What the rules said while a test ran."""
_RULE_IN_NAME: Final = re.compile(r"test_(ampls\d{3})_")
_SHOWN_EXCUSES: Final = 3
_CUT: Final = "ampls_cut"
"""The attribute of a report that says how its failure is shown, where that is not the whole of it."""
_EXCUSES: Final = Excuses(skip=pytest.skip.Exception, xfail=pytest.xfail.Exception)
_ENDS_THE_RUN: Final = (pytest.exit.Exception, KeyboardInterrupt, ConfigurationError)


class Groups:
    """Registered where a test judges many resources (``--ampls-group-by``): calls it for each of them.

    Args:
        current: returns a resource as the newest evidence has it.
    """

    def __init__(self, current: Callable[[Any], Any]) -> None:
        self._current = current

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
        unread = [subject.gap.error() for subject in _unread(pyfuncitem) if subject.gap is not None]
        judge_each(pyfuncitem.obj, groups, others, _EXCUSES, _attempt, self._current, unread)
        return True


class Abridged:
    """Registered for a run: what is shown at its end is cut for reading. Reports had all of it by then."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, None, None]:
        """Cut long failures, before pytest prints them: it does that in a wrapper too."""
        for reports in terminalreporter.stats.values():
            for report in reports:
                if _CUT in getattr(report, "__dict__", ()):
                    _say(report.longrepr, report.__dict__.pop(_CUT))
        return (yield)


def _attempt(call: Callable[[], object]) -> BaseException | None:
    """Make a call as pytest does, and return what it raised; what ends the run is passed on."""
    told = pytest.CallInfo.from_call(call, "call", reraise=_ENDS_THE_RUN)
    return told.excinfo.value if told.excinfo is not None else None


def settle(report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Make a report say what the evidence allows: unverified is an error, whatever a test expected."""
    if call.excinfo is None and call.when != "call":
        return  # set up or torn down well: there is no verdict in it, and it is two reports of three
    kept = (item.stash.get(RECORD, None) if call.when == "call" else None) or Record()
    if call.excinfo is not None:
        _settle_raised(report, item, call, call.excinfo.value, kept)
    elif kept.tally and not kept.tally.looked:
        _make_skipped(report, item, kept.tally)
    if not SUBJECTS.keys().isdisjoint(getattr(item, "fixturenames", ())):
        report.ampls_subject = True  # type: ignore[attr-defined]  # reports carry extra attributes
    if kept.tally:
        _attach(report, item, kept)


def _settle_raised(
    report: pytest.TestReport,
    item: pytest.Item,
    call: pytest.CallInfo[None],
    raised: BaseException,
    kept: Record,
) -> None:
    if isinstance(raised, ConfigurationError):
        _make_error(report, call, raised)
        return
    unread = list(_unread(item))
    if isinstance(raised, EvidenceError):
        _make_error(report, call, raised)
        if not kept.tally.reasons:
            for reason in _reasons(raised, unread):
                kept.add(_unverified(item, reason, _resource_id(item)))
    elif isinstance(raised, ConformanceError | GroupError):
        missing = raised.unverified
        if isinstance(missing, EvidenceError) and hasattr(report, "wasxfail"):
            _make_error(report, call, missing)  # that these fail was expected: of the others nobody knows
        else:
            _make_readable(report, call, raised.headline, raised.text(), str(raised))
    if report.failed:
        for subject in unread:
            kept.add(_unverified(item, _reason(subject), subject.where))


def _unread(item: pytest.Item) -> Iterator[Subject]:
    """Yield what could not be read of that which a test is to judge."""
    parameters = getattr(item, "callspec", None)
    for subject in parameters.params.values() if parameters else ():
        if isinstance(subject, Subject):
            yield from (subject,) if subject.gap is not None else subject.unread


def _reason(subject: Subject) -> str:
    return str(subject.gap.error()) if subject.gap is not None else ""


def _reasons(raised: EvidenceError, unread: Iterable[Subject]) -> Iterator[str]:
    """Yield why resources could not be verified, as often as that is so; what is unread has its own place."""
    counted = raised.reasons if isinstance(raised, IncompleteError) else Counter([str(raised)])
    return (counted - Counter(map(_reason, unread))).elements()


def _make_error(
    report: pytest.TestReport, call: pytest.CallInfo[None], raised: EvidenceError | ConfigurationError
) -> None:
    """Make a report an error. pytest calls only what fails outside of the call phase so."""
    report.outcome = "failed"
    if report.when == "call":
        report.when = "setup"
    if hasattr(report, "wasxfail"):
        del report.wasxfail
    if isinstance(raised, IncompleteError):
        headline, whole = f"not verified: {raised.headline}", f"not verified: {raised.text()}"
        _make_readable(report, call, headline, whole, f"not verified: {raised}")
    else:
        _make_readable(report, call, f"not verified: {raised}", str(raised), str(raised))


def _make_readable(
    report: pytest.TestReport, call: pytest.CallInfo[None], headline: str, whole: str, cut: str
) -> None:
    """Replace the traceback by the message: it says everything, and our frames say nothing."""
    if call.excinfo is None or report.outcome != "failed":
        return
    shown = call.excinfo.getrepr(style="value")
    if shown.reprcrash is not None:
        shown.reprcrash.message = headline
    _say(shown, whole)
    report.longrepr = shown
    if cut != whole:
        report.__dict__[_CUT] = cut


def _say(longrepr: Any, text: str) -> None:
    """Let a failure that is made for reading have another text."""
    longrepr.reprtraceback.reprentries[-1].lines = text.split("\n")


def _make_skipped(report: pytest.TestReport, item: pytest.Item, tally: Tally) -> None:
    path, line, _ = item.location
    shown = list(tally.excuses)[:_SHOWN_EXCUSES]
    rest = tally.total - sum(tally.excuses[excuse] for excuse in shown)
    reason = "; ".join(shown) + (f"; and {rest} more" if rest else "")
    report.outcome = "skipped"
    report.longrepr = (path, (line or 0) + 1, f"Skipped: {reason}")


def _unverified(item: pytest.Item, reason: str, resource_id: str) -> Judgement:
    """Return the verdict of a test whose subject could not be read; the suite's names tell the rule."""
    match = _RULE_IN_NAME.match(getattr(item, "originalname", ""))
    rule = match.group(1).upper() if match else ""
    return Judgement(
        rule=rule if rule in CATALOGUE else "",
        resource=item.name,
        resource_id=resource_id,
        verdict=Verdict.UNVERIFIED,
        reason=reason,
    )


def _resource_id(item: pytest.Item) -> str:
    arguments = getattr(item, "funcargs", {})
    found = (arguments[name] for name in SUBJECTS if name in arguments)
    return next((resource.id for resource in found if isinstance(resource, Resource)), "")


def _attach(report: pytest.TestReport, item: pytest.Item, kept: Record) -> None:
    """Put the verdicts on the report, for the summary, and as properties for JUnit files."""
    report.ampls = msgspec.to_builtins(kept.tally)  # type: ignore[attr-defined]  # likewise
    properties = [
        pair
        for rule, resource_id, verdict in kept.named
        for pair in (
            ("ampls.rule", rule),
            ("ampls.resource", printable(resource_id)),
            ("ampls.verdict", verdict.value),
        )
    ]
    properties.extend(("ampls.counted", text) for text in kept.unnamed())
    report.user_properties.extend(properties)
    item.user_properties.extend(properties)  # JUnit files take them from the report of the teardown
