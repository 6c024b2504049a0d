"""The data paths of machines in, text or JSON out: what holds, where the data stops, why, and what mends it.

Texts of other people (names, answers, what a guest wrote) are escaped: they cannot move the cursor, colour the terminal
or begin a line of their own.
"""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pytest_ampls.catalogue import Evidence, Finding, Rule, Verdict
from pytest_ampls.effective.data_path import Check, DataPath, Link, Stage, StageVerdict
from pytest_ampls.errors import printable
from pytest_ampls.model.text import filled, shown

__all__ = ["DIAGNOSIS_VERSION", "diagnosis_json", "diagnosis_lines", "sentence"]

DIAGNOSIS_VERSION: Final = 1
"""Raised when a key of the JSON changes its meaning or goes away; new keys do not count."""

_WIDTH: Final = 100
_SHOWN_NAMES: Final = 4
_SHOWN_FINDINGS: Final = 3
_MARKS: Final[Mapping[StageVerdict, str]] = {
    StageVerdict.HELD: "held",
    StageVerdict.BROKEN: "BROKEN",
    StageVerdict.UNVERIFIED: "unverified",
    StageVerdict.NOT_LOOKED_AT: "not looked at",
    StageVerdict.NOT_APPLICABLE: "not applicable",
}
_BY: Final[Mapping[Evidence, str]] = {
    Evidence.CONFIGURATION: "configuration",
    Evidence.DNS: "DNS answers",
    Evidence.GUEST: "guest",
    Evidence.LOGS: "log rows",
}

Catalogue = Mapping[str, Rule[Any]]


# ------------------------------------------------------------------- one sentence


def sentence(path: DataPath, catalogue: Catalogue) -> str:
    """Return what is to be said of a machine in one sentence, on one line: where its data stops, why, what mends it."""
    stage = path.first_broken
    if stage is None or stage.cause is None:
        return _unbroken(path)
    command = _on_one_line(_fixes(stage.cause, catalogue)["az"])
    return f"{_stop(path, stage, stage.cause)}; the fix: {command}"


def _on_one_line(commands: str) -> str:
    """Return commands as one line that a shell can run: what is remarked on them comes last."""
    lines = [printable(line.strip()) for line in commands.splitlines()]
    remarks = [line for line in lines if line.startswith("#")]
    return "  ".join([" && ".join(line for line in lines if line not in remarks), *remarks])


def _stop(path: DataPath, stage: Stage, cause: Check) -> str:
    finding = cause.findings[0]
    return (
        f"{path.machine}'s data stops at stage {stage.number} ({stage.title}), because of {shown(finding.resource)}, "
        f"{shown(finding.property)}: expected is {shown(finding.expected)}; observed was {shown(finding.observed)}"
        f"{_unsure(path, stage)}"
    )


def _unsure(path: DataPath, stage: Stage) -> str:
    """Say which stages before the first break nobody could look at: the data may stop there already.

    And say where data arrived in spite of the break, which was then mended since, or stops a part of the data.
    """
    open_verdicts = (StageVerdict.UNVERIFIED, StageVerdict.NOT_LOOKED_AT, StageVerdict.NOT_APPLICABLE)
    before = [each for each in path.stages[: stage.number - 1] if each.verdict in open_verdicts]
    remarks = [f"{_numbers(before)} before it {_were(before)} not verified"] if before else []
    last = path.stages[-1]
    if last is not stage and last.verdict is StageVerdict.HELD:
        remarks.append(f"{_numbers([last])} holds all the same: {last.title}")
    return f" ({'; '.join(remarks)})" if remarks else ""


def _unbroken(path: DataPath) -> str:
    unverified = path.without(StageVerdict.UNVERIFIED)
    unseen = path.without(StageVerdict.NOT_LOOKED_AT)
    off = path.without(StageVerdict.NOT_APPLICABLE)
    if not unverified and not unseen and not off:
        return f"{path.machine}'s data gets through all {len(path.stages)} stages"
    parts = [
        f"{_numbers(stages)} {_were(stages)} {verdict}"
        for verdict, stages in (
            ("unverified", unverified),
            ("not looked at", unseen),
            ("not applicable", off),
        )
        if stages
    ]
    power = f" (the machine is {shown(path.power)})" if off else ""
    return f"nothing was found that stops {path.machine}'s data, but {' and '.join(parts)}{power}"


def _were(stages: Sequence[Stage]) -> str:
    return "was" if len(stages) == 1 else "were"


def _numbers(stages: Sequence[Stage]) -> str:
    numbers = ", ".join(str(stage.number) for stage in stages)
    return f"stage {numbers}" if len(stages) == 1 else f"stages {numbers}"


# ------------------------------------------------------------------- text


def diagnosis_lines(paths: Sequence[DataPath], catalogue: Catalogue, *, now: float) -> Iterator[str]:
    """Yield the diagnosis for a terminal of 100 columns. Commands to copy are not wrapped.

    Args:
        paths: the data path of each machine.
        catalogue: rule id to rule, for the fixes.
        now: seconds since the epoch, for the age of the evidence.
    """
    for number, path in enumerate(paths):
        if number:
            yield ""
        yield from _machine(path, catalogue, now)
    if len(paths) > 1:
        yield ""
        for path in paths:
            yield from _wrapped(_short(path), "")


def _short(path: DataPath) -> str:
    stage = path.first_broken
    if stage is None or stage.cause is None:
        return _unbroken(path)
    return f"{path.machine}: stops at stage {stage.number}, {stage.title} ({stage.cause.rule})"


def _machine(path: DataPath, catalogue: Catalogue, now: float) -> Iterator[str]:
    title = f"{path.noun} {path.machine}"
    yield title
    yield "=" * min(len(title), _WIDTH)
    yield printable(path.machine_id)
    yield ""
    if path.power:
        yield from _wrapped(f"{path.machine} is {shown(path.power)}.", "")
        yield ""
    stage = path.first_broken
    if stage is None or stage.cause is None:
        yield from _wrapped(f"{_unbroken(path)}.", "")
    else:
        yield from _wrapped(f"{_stop(path, stage, stage.cause)}.", "")
        yield ""
        yield from _fix(stage.cause, catalogue)
    yield ""
    for link in path.chain:
        yield from _link(link)
    yield ""
    first = stage.number if stage is not None else 0
    for each in path.stages:
        yield from _stage(each, now, is_first=each.number == first)


def _fix(cause: Check, catalogue: Catalogue) -> Iterator[str]:
    rule, finding = catalogue[cause.rule], cause.findings[0]
    fix = rule.fix_of(finding)
    for tongue, text in (("az", fix.az), ("terraform", fix.terraform), ("bicep", fix.bicep)):
        label = f"fix, {tongue}"
        for line in filled(text.strip(), finding.tokens, shell=tongue == "az").splitlines():
            yield f"  {label:<15} {printable(line)}"
            label = ""
    yield f"  {'evidence':<15} {printable(finding.evidence)}"
    yield f"  {'link':<15} {rule.learn}"


def _link(link: Link) -> Iterator[str]:
    names = [shown(name) for name in link.names[:_SHOWN_NAMES]]
    more = len(link.names) - len(names)
    text = ", ".join(names) + (f" and {more} more" if more > 0 else "")
    if link.problem:
        text = f"{text}; not known: {shown(link.problem)}" if text else f"not known: {shown(link.problem)}"
    yield from _wrapped(text or "none", f"  {link.noun:<23} ", " " * 26)


def _stage(stage: Stage, now: float, *, is_first: bool) -> Iterator[str]:
    mark = _MARKS[stage.verdict]
    after = " <== first broken link" if is_first else ""
    if stage.follows_from is not None:
        after = f" (follows from stage {stage.follows_from})"
    yield f"  {stage.number:>2}  {mark:<14} {stage.title}{_age(stage.read_at, now)}{after}"
    for line in _said(stage):
        yield from _wrapped(line, " " * 21, " " * 23)


def _said(stage: Stage) -> Iterator[str]:
    """Yield what a stage's verdict rests on, a line each."""
    for check in stage.checks:
        for finding in check.findings[:_SHOWN_FINDINGS]:
            yield f"{check.rule} broken, {_phrase(finding)}"
        if len(check.findings) > _SHOWN_FINDINGS:
            yield f"{check.rule}: {len(check.findings) - _SHOWN_FINDINGS} more findings"
    for check in stage.checks:
        for finding in check.minor:
            yield f"{check.rule} broken, which stops no data by itself, {_phrase(finding)}"
    for reason, rules in _reasons(stage, Verdict.UNVERIFIED).items():
        yield f"unverified {', '.join(rules)}: {reason}"
    for evidence, rules in _held(stage).items():
        yield f"by {evidence} held: {', '.join(rules)}"
    if stage.missing:
        yield shown(stage.missing)


def _phrase(finding: Finding) -> str:
    return (
        f"{shown(finding.resource)}, {shown(finding.property)}: expected {shown(finding.expected)}; "
        f"observed {shown(finding.observed)}"
    )


def _reasons(stage: Stage, verdict: Verdict) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for check in stage.checks:
        if check.verdict is verdict:
            rules = found.setdefault(check.reason, [])
            if check.rule not in rules:
                rules.append(check.rule)
    return found


def _held(stage: Stage) -> dict[str, list[str]]:
    """Return what kind of evidence shows which rules to hold everywhere that they were judged."""
    held: dict[str, list[str]] = {}
    for rule in stage.rules:
        checks = [check for check in stage.checks if check.rule == rule]
        verdicts = {check.verdict for check in checks}
        if Verdict.HELD in verdicts and not verdicts & {Verdict.BROKEN, Verdict.UNVERIFIED}:
            kinds = " and ".join(_BY.get(kind, str(kind)) for kind in checks[0].evidence)
            held.setdefault(kinds, []).append(rule)
    return held


def _age(read_at: float | None, now: float) -> str:
    if not read_at:
        return ""
    seconds = max(now - read_at, 0.0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f" [{seconds / length:.0f} {unit} ago]"
    return f" [{seconds:.0f} s ago]"


def _wrapped(text: str, first: str, rest: str = "") -> Iterator[str]:
    yield from textwrap.wrap(
        printable(text),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest or " " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


# ------------------------------------------------------------------- JSON


def diagnosis_json(paths: Sequence[DataPath], catalogue: Catalogue, *, now: float) -> str:
    """Return the diagnosis as JSON: the same content, whole, with times instead of ages.

    Args:
        paths: the data path of each machine.
        catalogue: rule id to rule, for the fixes.
        now: seconds since the epoch.
    """
    document = {
        "version": DIAGNOSIS_VERSION,
        "written": _time(now),
        "machines": [_machine_document(path, catalogue) for path in paths],
    }
    return json.dumps(document, indent=2)


def _machine_document(path: DataPath, catalogue: Catalogue) -> dict[str, Any]:
    first = path.first_broken
    cause = first.cause if first is not None else None
    return {
        "name": path.machine,
        "noun": path.noun,
        "id": printable(path.machine_id),
        "power": shown(path.power) or None,
        "sentence": sentence(path, catalogue),
        "firstBroken": first.number if first is not None else None,
        "rule": cause.rule if cause is not None else None,
        "fix": _fixes(cause, catalogue) if cause is not None else None,
        "chain": [
            {
                "noun": link.noun,
                "names": [shown(name) for name in link.names],
                "problem": shown(link.problem) or None,
            }
            for link in path.chain
        ],
        "stages": [_stage_document(stage) for stage in path.stages],
    }


def _fixes(cause: Check, catalogue: Catalogue) -> dict[str, str]:
    finding = cause.findings[0]
    fix = catalogue[cause.rule].fix_of(finding)
    texts = (("az", fix.az), ("terraform", fix.terraform), ("bicep", fix.bicep))
    return {tongue: filled(text.strip(), finding.tokens, shell=tongue == "az") for tongue, text in texts}


def _stage_document(stage: Stage) -> dict[str, Any]:
    return {
        "number": stage.number,
        "title": stage.title,
        "verdict": str(stage.verdict),
        "followsFrom": stage.follows_from,
        "read": _time(stage.read_at),
        "missing": shown(stage.missing) or None,
        "rules": list(stage.rules),
        "checks": [_check_document(check) for check in stage.checks],
    }


def _check_document(check: Check) -> dict[str, Any]:
    return {
        "rule": check.rule,
        "title": check.title,
        "subject": check.subject,
        "verdict": str(check.verdict),
        "evidence": [str(kind) for kind in check.evidence],
        "reason": shown(check.reason) or None,
        "read": _time(check.read_at),
        "findings": [_finding_document(finding) for finding in check.findings],
        "minor": [_finding_document(finding) for finding in check.minor],
    }


def _finding_document(finding: Finding) -> dict[str, str]:
    return {
        "resource": shown(finding.resource),
        "resourceId": printable(finding.resource_id),
        "property": shown(finding.property),
        "expected": shown(finding.expected),
        "observed": shown(finding.observed),
        "evidence": printable(finding.evidence),
    }


def _time(seconds: float | None) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else None
