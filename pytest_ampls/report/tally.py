"""What became of rules: counted, and kept where somebody has to read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from pytest_ampls.model.judgement import Judgement, Verdict
from pytest_ampls.model.resource import Resource

__all__ = ["Named", "Record", "Tally"]

_NAMED: Final = 100
"""Resources of one test that are named where nothing is wrong with them; further ones are counted."""
_EXCUSES: Final = 20
"""Distinct reasons for not being applicable that are kept; each names a resource, and nobody reads thousands."""

Named = tuple[str, str, Verdict]
"""A rule's id, a resource's id, and the verdict."""


class Tally(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Verdicts: those that hold are counted, those that are broken kept whole.

    ``counts`` is rule to verdict to how often. ``reasons`` says why something was not verified, and how
    often for this reason; ``excuses`` the same of rules that do not apply, cut after the first few.
    ``broken`` is every broken rule with its findings. A tally travels from a worker as plain data.
    """

    counts: dict[str, dict[Verdict, int]] = {}
    reasons: dict[str, int] = {}
    excuses: dict[str, int] = {}
    broken: list[Judgement] = []

    @classmethod
    def of(cls, judgements: Iterable[Judgement]) -> Tally:
        """Return the tally of judgements."""
        tally = cls()
        for found in judgements:
            tally.add(found)
        return tally

    def __bool__(self) -> bool:
        """Tell whether anything was judged."""
        return bool(self.counts)

    def count(self, verdict: Verdict) -> int:
        """Return how often a verdict was given, over all rules."""
        return sum(of_rule.get(verdict, 0) for of_rule in self.counts.values())

    @property
    def total(self) -> int:
        """How many verdicts there are."""
        return sum(number for of_rule in self.counts.values() for number in of_rule.values())

    @property
    def looked(self) -> bool:
        """Tell whether any rule looked at its resource, and did not merely say that it does not apply."""
        return any(
            len(of_rule) > 1 or Verdict.NOT_APPLICABLE not in of_rule for of_rule in self.counts.values()
        )

    @property
    def partial(self) -> bool:
        """Tell whether a rule did not apply to something."""
        return any(Verdict.NOT_APPLICABLE in of_rule for of_rule in self.counts.values())

    def note(self, rule_id: str, verdict: Verdict, number: int = 1) -> None:
        """Count a verdict."""
        of_rule = self.counts.setdefault(rule_id, {})
        of_rule[verdict] = of_rule.get(verdict, 0) + number

    def add(self, found: Judgement) -> None:
        """Count a judgement, and keep what somebody has to read."""
        self.note(found.rule, found.verdict)
        if found.verdict is Verdict.BROKEN:
            self.broken.append(found)
        elif found.verdict is Verdict.UNVERIFIED:
            _increase(self.reasons, found.reason, 1)
        elif found.verdict is Verdict.NOT_APPLICABLE:
            self.excuse(found.rule, found.reason)

    def excuse(self, rule_id: str, reason: str) -> None:
        """Keep why a rule does not apply, if it is one of the first few reasons."""
        self._excuse(f"{rule_id} does not apply: {reason}", 1)

    def merge(self, other: Tally) -> None:
        """Add what another tally holds."""
        for rule_id, of_rule in other.counts.items():
            for verdict, number in of_rule.items():
                self.note(rule_id, verdict, number)
        for reason, number in other.reasons.items():
            _increase(self.reasons, reason, number)
        for text, number in other.excuses.items():
            self._excuse(text, number)
        self.broken.extend(other.broken)

    def _excuse(self, text: str, number: int) -> None:
        if text in self.excuses or len(self.excuses) < _EXCUSES:
            _increase(self.excuses, text, number)


def _increase(counts: dict[str, int], name: str, number: int) -> None:
    counts[name] = counts.get(name, 0) + number


class Record:
    """The ledger of one test: a tally, and the resources that a report of this test names."""

    __slots__ = ("named", "tally")

    def __init__(self) -> None:
        self.tally = Tally()
        self.named: list[Named] = []

    def note(self, rule_id: str, subject: Resource, verdict: Verdict, **details: Any) -> None:
        """Count a verdict of a rule on a resource."""
        if verdict is Verdict.BROKEN or verdict is Verdict.UNVERIFIED:
            self.add(Judgement.of(rule_id, subject, verdict, **details))
            return
        self.tally.note(rule_id, verdict)
        if verdict is Verdict.NOT_APPLICABLE:
            self.tally.excuse(rule_id, details.get("reason", ""))
        if len(self.named) < _NAMED:
            self.named.append((rule_id, subject.id, verdict))

    def add(self, found: Judgement) -> None:
        """Count a judgement; what is wrong is always named."""
        self.tally.add(found)
        if len(self.named) < _NAMED or found.verdict in (Verdict.BROKEN, Verdict.UNVERIFIED):
            self.named.append((found.rule, found.resource_id, found.verdict))

    def unnamed(self) -> Iterator[str]:
        """Yield what was counted and not named, as ``AMPLS401: 99900 held``."""
        if len(self.named) == self.tally.total:
            return
        named = Counter((rule, verdict) for rule, _, verdict in self.named)
        for rule, of_rule in self.tally.counts.items():
            for verdict, number in of_rule.items():
                rest = number - named[rule, verdict]
                if rest:
                    yield f"{rule}: {rest} {verdict}"
