"""What became of a test, in pytest's own outcomes: a verdict, an error where it is unverified, or a skip."""

from __future__ import annotations

import re
from typing import Final

import msgspec
import pytest

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import ConformanceError, Judgement, Verdict
from pytest_ampls.errors import ConfigurationError, EvidenceError
from pytest_ampls.grouping import GroupError
from pytest_ampls.model.resource import Resource
from pytest_ampls.subjects import SUBJECTS

__all__ = ["JUDGED", "settle"]

JUDGED: Final = pytest.StashKey[list[Judgement]]()
"""What the rules said while a test ran."""
_RULE_IN_NAME: Final = re.compile(r"test_(ampls\d{3})_")


def settle(report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Make a report say what the evidence allows: unverified is an error, whatever a test expected."""
    kept = item.stash.get(JUDGED, []) if call.when == "call" else []
    raised = call.excinfo.value if call.excinfo is not None else None
    if isinstance(raised, ConfigurationError):
        _make_error(report, call, raised)
    elif isinstance(raised, EvidenceError):
        _make_error(report, call, raised)
        if not any(judgement.verdict is Verdict.UNVERIFIED for judgement in kept):
            kept = [*kept, _unverified(item, raised)]
    elif isinstance(raised, ConformanceError | GroupError):
        _make_readable(report, call, raised.headline)
    elif raised is None and kept and all(entry.verdict is Verdict.NOT_APPLICABLE for entry in kept):
        _make_skipped(report, item, kept)
    report.ampls_subject = bool(SUBJECTS.keys() & set(getattr(item, "fixturenames", ())))  # type: ignore[attr-defined]
    _attach(report, item, kept)


def _make_error(
    report: pytest.TestReport, call: pytest.CallInfo[None], raised: EvidenceError | ConfigurationError
) -> None:
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
