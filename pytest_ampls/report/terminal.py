"""A run in, lines for a terminal out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_ampls.catalogue import Judgement, Rule, Severity, Verdict
from pytest_ampls.model.evidence import Snapshot

__all__ = ["catalogue_lines", "evidence_line", "summary_lines", "unverified_lines"]

_ORDER = (Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFORMATION)
_UNKNOWN_RULE = "other"
_SHOWN_REASONS = 8


def summary_lines(judgements: Iterable[Judgement], catalogue: Mapping[str, Rule[Any]]) -> Iterator[str]:
    """Yield a table of verdicts by rule, worst first, and a total.

    Args:
        judgements: every verdict of the run; those without a rule (a subject that could not be read)
            are counted under ``other``.
        catalogue: rule id to rule, for titles and severities.
    """
    counts: dict[str, Counter[Verdict]] = {}
    for judgement in judgements:
        counts.setdefault(judgement.rule or _UNKNOWN_RULE, Counter())[judgement.verdict] += 1
    yield f"{'broken':>7} {'unverified':>11} {'held':>6} {'n/a':>5}  rule"
    for rule in sorted(counts, key=lambda name: _worst_first(name, counts[name], catalogue)):
        count = counts[rule]
        yield (
            f"{_cell(count, Verdict.BROKEN):>7} {_cell(count, Verdict.UNVERIFIED):>11} "
            f"{_cell(count, Verdict.HELD):>6} {_cell(count, Verdict.NOT_APPLICABLE):>5}  {_title(rule, catalogue)}"
        )
    total = Counter[Verdict]()
    for count in counts.values():
        total.update(count)
    yield (
        f"{total[Verdict.BROKEN]} broken, {total[Verdict.UNVERIFIED]} unverified, {total[Verdict.HELD]} held, "
        f"{total[Verdict.NOT_APPLICABLE]} not applicable, over {_rules_judged(counts)}"
    )


def _rules_judged(counts: Mapping[str, Counter[Verdict]]) -> str:
    number = sum(1 for rule in counts if rule != _UNKNOWN_RULE)
    return f"{number} rule{'' if number == 1 else 's'}"


def _worst_first(
    rule: str, count: Counter[Verdict], catalogue: Mapping[str, Rule[Any]]
) -> tuple[int, int, int, str]:
    state = 0 if count[Verdict.BROKEN] else 1 if count[Verdict.UNVERIFIED] else 2
    severity = _ORDER.index(catalogue[rule].severity) if rule in catalogue else len(_ORDER)
    return state, severity if state < 2 else 0, -count[Verdict.BROKEN] - count[Verdict.UNVERIFIED], rule


def _cell(count: Counter[Verdict], verdict: Verdict) -> str:
    return str(count[verdict]) if count[verdict] else "·"


def _title(rule: str, catalogue: Mapping[str, Rule[Any]]) -> str:
    if rule not in catalogue:
        return "subjects that could not be read, and tests without a rule"
    return f"{rule} {catalogue[rule].title} [{catalogue[rule].severity}]"


def evidence_line(snapshot: Snapshot) -> str:
    """Return one line on how the evidence was read: calls, throttling, lookups, when."""
    statistics = snapshot.statistics
    documents = sum(len(reading.documents) for reading in snapshot.readings)
    missing = sum(1 for reading in snapshot.readings if reading.gap is not None)
    when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(snapshot.read_at))
    parts = [
        f"{documents} documents of {len(snapshot.subscriptions)} subscription{'s'[: len(snapshot.subscriptions) != 1]}",
        f"{statistics.calls} ARM calls, {statistics.throttled} throttled ({statistics.throttled_seconds:.1f} s waited)",
        f"{statistics.lookups} DNS lookups",
    ]
    if missing:
        parts.append(f"{missing} reads refused or failed")
    return f"evidence: {', '.join(parts)}, read at {when} in {statistics.seconds:.1f} s"


def unverified_lines(judgements: Iterable[Judgement]) -> Iterator[str]:
    """Yield each reason why something was not verified, once, with how often; the most frequent first."""
    counts = Counter(entry.reason for entry in judgements if entry.verdict is Verdict.UNVERIFIED)
    for reason, count in counts.most_common(_SHOWN_REASONS):
        yield f"not verified: {reason}" + (f" ({count} verdicts)" if count > 1 else "")
    if len(counts) > _SHOWN_REASONS:
        yield f"not verified: … and {len(counts) - _SHOWN_REASONS} more reasons"


def catalogue_lines(catalogue: Mapping[str, Rule[Any]]) -> Iterator[str]:
    """Yield the catalogue for people: a heading per family, a line per rule, its assertion and expectations."""
    family = ""
    for rule in sorted(catalogue.values(), key=lambda entry: entry.id):
        if rule.family != family:
            family = rule.family
            yield "" if rule.id == min(catalogue) else "\n"
            yield f"{family.replace('_', ' ')}"
        yield f"  {rule.id} {rule.severity:<11} {rule.title}"
        keywords = ", ".join(f"{name}={_default(value)}" for name, value in rule.expectations.items())
        yield f"           {rule.name}" + (f"  ({keywords})" if keywords else "")
    yield ""
    yield f"{len(catalogue)} rules"


def _default(value: object) -> str:
    return repr(list(value)) if isinstance(value, tuple) else repr(value)
