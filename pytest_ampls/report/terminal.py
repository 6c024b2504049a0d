"""A run in, lines for a terminal out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_ampls.catalogue import Rule, Severity, Verdict
from pytest_ampls.model.evidence import Snapshot, Statistics, Subscription
from pytest_ampls.report.tally import Tally

__all__ = [
    "calls_line",
    "catalogue_lines",
    "evidence_line",
    "notes",
    "subscription_lines",
    "summary_lines",
    "unverified_lines",
]

_ORDER = (Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFORMATION)
_UNKNOWN_RULE = "other"
_LOG_QUERY = "Microsoft.OperationalInsights/workspaces/query"
_BATCH = "Microsoft.Resources/batch"
_SHOWN_REASONS = 8
_SHOWN_SUBSCRIPTIONS = 10


def summary_lines(tally: Tally, catalogue: Mapping[str, Rule[Any]]) -> Iterator[str]:
    """Yield a table of verdicts by rule, worst first, and a total.

    Args:
        tally: every verdict of the run; those without a rule (a subject that could not be read)
            are counted under ``other``.
        catalogue: rule id to rule, for titles and severities.
    """
    counts = {rule or _UNKNOWN_RULE: of_rule for rule, of_rule in tally.counts.items()}
    yield f"{'broken':>7} {'unverified':>11} {'held':>6} {'n/a':>5}  rule"
    for rule in sorted(counts, key=lambda name: _worst_first(name, counts[name], catalogue)):
        count = counts[rule]
        yield (
            f"{_cell(count, Verdict.BROKEN):>7} {_cell(count, Verdict.UNVERIFIED):>11} "
            f"{_cell(count, Verdict.HELD):>6} {_cell(count, Verdict.NOT_APPLICABLE):>5}  {_title(rule, catalogue)}"
        )
    yield (
        f"{tally.count(Verdict.BROKEN)} broken, {tally.count(Verdict.UNVERIFIED)} unverified, "
        f"{tally.count(Verdict.HELD)} held, {tally.count(Verdict.NOT_APPLICABLE)} not applicable, "
        f"over {_rules_judged(counts)}"
    )


def _rules_judged(counts: Mapping[str, Mapping[Verdict, int]]) -> str:
    number = sum(1 for rule in counts if rule != _UNKNOWN_RULE)
    return f"{number} rule{'' if number == 1 else 's'}"


def _worst_first(
    rule: str, count: Mapping[Verdict, int], catalogue: Mapping[str, Rule[Any]]
) -> tuple[int, int, int, str]:
    broken, unverified = count.get(Verdict.BROKEN, 0), count.get(Verdict.UNVERIFIED, 0)
    state = 0 if broken else 1 if unverified else 2
    severity = _ORDER.index(catalogue[rule].severity) if rule in catalogue else len(_ORDER)
    return state, severity if state < 2 else 0, -broken - unverified, rule


def _cell(count: Mapping[Verdict, int], verdict: Verdict) -> str:
    return str(count.get(verdict, 0) or "·")


def _title(rule: str, catalogue: Mapping[str, Rule[Any]]) -> str:
    if rule not in catalogue:
        return "subjects that could not be read, and tests without a rule"
    return f"{rule} {catalogue[rule].title} [{catalogue[rule].severity}]"


def evidence_line(snapshot: Snapshot) -> str:
    """Return one line on how the evidence was read: calls, throttling, lookups, when."""
    statistics = snapshot.statistics
    documents = sum(len(reading.documents) for reading in snapshot.readings)
    queries = statistics.calls_by_type.get(_LOG_QUERY, 0)
    missing = sum(1 for reading in snapshot.readings if reading.gap is not None)
    missing += sum(1 for reading in snapshot.logs if reading.gap is not None)
    when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(snapshot.read_at))
    parts = [
        f"{documents} documents of {len(snapshot.subscriptions)} subscription{'s'[: len(snapshot.subscriptions) != 1]}",
        f"{statistics.calls - queries} ARM calls, {statistics.throttled} throttled "
        f"({statistics.throttled_seconds:.1f} s waited)",
        f"{statistics.lookups} DNS lookups",
    ]
    if queries:
        parts.append(f"{queries} log {'query' if queries == 1 else 'queries'}")
    if missing:
        parts.append(f"{missing} reads refused or failed")
    return f"evidence: {', '.join(parts)}, read at {when}{_age(snapshot)} in {statistics.seconds:.1f} s"


def _age(snapshot: Snapshot) -> str:
    """Say how old evidence is, where a reader would want to know."""
    seconds = time.time() - snapshot.read_at
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f" ({seconds / length:.0f} {unit} ago)"
    return ""


def calls_line(statistics: Statistics) -> str:
    """Return one line on what was asked of whom, the most asked first, and what was not asked twice."""
    providers = Counter[str]()
    for kind, calls in statistics.calls_by_type.items():
        providers[kind.partition("/")[0]] += calls
    shown = [
        f"{calls} {name}" for name, calls in sorted(providers.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    pages = f"{statistics.pages} pages, {statistics.retries} retries"
    if statistics.batched:
        batches = statistics.calls_by_type.get(_BATCH, 0)
        pages = f"{statistics.batched} reads in {batches} {'batch' if batches == 1 else 'batches'}, {pages}"
    return f"calls: {', '.join(shown) or 'none'}; {pages}, {statistics.reused} reads answered by earlier ones"


def subscription_lines(snapshot: Snapshot, *, found: bool) -> Iterator[str]:
    """Name the subscriptions that are judged where they were ``found``, or one is not in order; and those left out."""
    if found or any(own.state.lower() not in ("", "enabled") for own in snapshot.subscriptions):
        yield f"judged are {_names(snapshot.subscriptions)}"
    yield from _left_out(snapshot)


def notes(snapshot: Snapshot) -> Iterator[str]:
    """Yield what whoever reads the verdicts should know of the evidence."""
    yield from _left_out(snapshot)
    yield from snapshot.statistics.notes


def _left_out(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.left_out:
        several = len(snapshot.left_out) > 1
        yield (
            f"left out {'are' if several else 'is'} {_names(snapshot.left_out)}: to judge a disabled subscription, "
            "name it with --ampls-subscription"
        )


def _names(subscriptions: Sequence[Subscription]) -> str:
    shown = [
        f"{own.name or 'without a name'} ({own.id}{_state(own)})"
        for own in subscriptions[:_SHOWN_SUBSCRIPTIONS]
    ]
    more = len(subscriptions) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _state(subscription: Subscription) -> str:
    return f", {subscription.state}" if subscription.state.lower() not in ("", "enabled") else ""


def unverified_lines(tally: Tally) -> Iterator[str]:
    """Yield each reason why something was not verified, once, with how often; the most frequent first."""
    # By text where they are equally frequent: the order of workers must not show.
    reasons = sorted(tally.reasons.items(), key=lambda entry: (-entry[1], entry[0]))
    for reason, count in reasons[:_SHOWN_REASONS]:
        yield f"not verified: {reason}" + (f" ({count} verdicts)" if count > 1 else "")
    if len(reasons) > _SHOWN_REASONS:
        yield f"not verified: … and {len(reasons) - _SHOWN_REASONS} more reasons"


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
