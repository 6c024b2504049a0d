"""What a rule is: one definition with many faces.

A rule is declared once, with :func:`rule` on a generator that yields a :class:`Finding` for
everything that is wrong. The result is an assertion to call in a test, and an entry of
:data:`CATALOGUE` from which every list, page and report of rules derives.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Generic, ParamSpec

import msgspec

from pytest_ampls.errors import EvidenceError, IncompleteError, printable
from pytest_ampls.model.judgement import (
    Finding,
    Fix,
    Judgement,
    Verdict,
    az_rest,
    judgements,
    open_ledger,
)
from pytest_ampls.model.resource import Resource
from pytest_ampls.model.text import FAMILIES, filled, shown

__all__ = [
    "CATALOGUE",
    "ConformanceError",
    "Evidence",
    "Finding",
    "Fix",
    "Judgement",
    "NotApplicable",
    "Rule",
    "Severity",
    "Verdict",
    "az_rest",
    "judgements",
    "rule",
]

P = ParamSpec("P")

SHOWN_FINDINGS: Final = 10
"""Findings that a failure message prints; the rest is counted, and whole in the reports."""


class Severity(StrEnum):
    """How much depends on a rule."""

    HIGH = "high"
    """Isolation, or data that is lost."""
    MEDIUM = "medium"
    """Detection, or more rights than needed."""
    LOW = "low"
    """Hygiene."""
    INFORMATION = "information"
    """Reported, never a failure."""


class Evidence(StrEnum):
    """What a rule looks at."""

    CONFIGURATION = "configuration"
    """Documents of Azure Resource Manager."""
    DNS = "DNS answers"
    """Live answers from a vantage point."""
    PROBE = "connections"
    """TCP and TLS to the addresses of private endpoints."""
    GUEST = "guests"
    """What a machine's own system says."""
    LOGS = "log rows"
    """What arrived in workspaces."""


class NotApplicable(Exception):  # noqa: N818  # not an error: the rule does not concern this resource
    """Raised by a rule's check: the rule does not concern this resource, and the text says why."""


class ConformanceError(AssertionError):
    """A rule is broken. Its text is the message: what, where, expected, observed, why, fix, evidence.

    ``str()`` is cut after the first few findings; :meth:`text` is not.
    """

    def __init__(
        self, rule: Rule[Any], findings: tuple[Finding, ...], unverified: str | EvidenceError | None = None
    ) -> None:
        """Keep rule and findings; ``unverified`` says what else could not be looked at.

        It is an error where that is other resources of the same test.
        """
        super().__init__(rule, findings)
        self.rule = rule
        self.findings = findings
        self.unverified = unverified

    @property
    def headline(self) -> str:
        """One line: the rule, and the first thing that is wrong."""
        first = self.findings[0]
        more = f" (and {len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
        return f"{self.rule.id} {shown(first.resource)}: {shown(first.observed)}{more}"

    def text(self, most: int | None = None) -> str:
        """Return the message with so many of the findings, the others counted; with all of them for None."""
        return "\n".join(self._lines(most))

    def __str__(self) -> str:
        return self.text(SHOWN_FINDINGS)

    def _lines(self, most: int | None) -> Iterator[str]:
        yield f"{self.rule.id} {self.rule.title}  [{self.rule.severity}]"
        for finding in self.findings[:most]:
            yield ""
            yield f"  {shown(finding.resource)}"
            yield f"    property  {shown(finding.property)}"
            yield f"    expected  {shown(finding.expected)}"
            yield f"    observed  {shown(finding.observed)}"
            yield f"    evidence  {printable(finding.evidence)}"
            if finding.read:
                yield f"    read      {finding.read}"
        if most is not None and len(self.findings) > most:
            yield f"\n  … and {len(self.findings) - most} more findings"
        if self.unverified:
            yield f"\n{besides(self.unverified, most)}"
        yield ""
        yield from textwrap.wrap(self.rule.why, 100, initial_indent="  why   ", subsequent_indent="        ")
        yield from _fix_lines(self.rule.fix_of(self.findings[0]), self.findings[0].tokens)
        yield f"  link  {self.rule.learn}"


def besides(unverified: str | EvidenceError, most: int | None) -> str:
    """Return what could not be looked at as lines of a failure, with so many of its reasons; all for None."""
    told = unverified.text(most) if isinstance(unverified, IncompleteError) else str(unverified)
    return textwrap.indent(f"unverified besides: {told}", "  ")


def _fix_lines(fix: Fix, tokens: Mapping[str, str]) -> Iterator[str]:
    label = "fix"
    for tongue, text in (("az", fix.az), ("terraform", fix.terraform), ("bicep", fix.bicep)):
        lines = filled(text.strip(), tokens, shell=tongue == "az").splitlines()
        for number, line in enumerate(lines):
            yield f"  {label:<5} {tongue if number == 0 else '':<10} {line}"
            label = ""


def _note(rule_id: str, subject: Resource, verdict: Verdict, **details: Any) -> None:
    ledger = open_ledger()
    if ledger is not None:
        ledger.note(rule_id, subject, verdict, **details)


class Rule(Generic[P]):
    """A rule: callable as an assertion, readable as an entry of the catalogue.

    ``rule(subject)`` raises :class:`ConformanceError` where the rule is broken.
    ``rule.check(subject)`` yields the findings and raises :class:`NotApplicable` where the rule does
    not concern the subject. Both raise :class:`~pytest_ampls.errors.EvidenceError` where it could not
    be verified.
    """

    __name__: str
    id: str
    title: str
    severity: Severity
    why: str
    fix: Fix
    learn: str
    controls: tuple[str, ...]
    permissions: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    derived: bool
    """It judges by what other rules find. The shipped suite has those, and leaves it to the user's own tests."""
    check: Callable[P, Iterator[Finding]]

    def __init__(self, check: Callable[P, Iterator[Finding]], **metadata: Any) -> None:
        """Take the check and the metadata that :func:`rule` was given."""
        self.__dict__.update(metadata, check=check, __wrapped__=check)
        self.__dict__.update({name: getattr(check, name) for name in functools.WRAPPER_ASSIGNMENTS})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"rule {self.id} is frozen: {name} cannot be changed")

    def __repr__(self) -> str:
        return f"<Rule {self.id} {self.name}: {self.title}>"

    @property
    def name(self) -> str:
        """The name of the assertion."""
        return self.__name__

    @property
    def family(self) -> str:
        """The family, which the first digit of the id stands for."""
        return FAMILIES[int(self.id[len("AMPLS")]) - 1]

    @property
    def expectations(self) -> Mapping[str, Any]:
        """The keywords that say what is expected, with their defaults."""
        parameters = inspect.signature(self.check).parameters.values()
        return {part.name: part.default for part in parameters if part.kind is part.KEYWORD_ONLY}

    def fix_of(self, finding: Finding) -> Fix:
        """Return what mends a finding: its own fix where it has one, else the rule's."""
        return finding.fix or self.fix

    def expectation(self, name: str, value: Any) -> Any:
        """Return a value, of TOML's types, as the keyword of that name takes it.

        Raises:
            TypeError: it is of another type; the message says of which, and what the keyword takes.
        """
        wanted = inspect.signature(self.check, eval_str=True).parameters[name].annotation
        try:
            return msgspec.convert(value, wanted)
        except msgspec.ValidationError as error:
            raise TypeError(str(error).rstrip(".")) from None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Judge a subject.

        Raises:
            ConformanceError: the rule is broken.
            EvidenceError: it could not be verified.
            TypeError: the subject is not of the kind that the rule judges.
        """
        __tracebackhide__ = True
        subject = _subject(self, args)
        if len(args) == 1 and not kwargs and subject.estate.holds(subject, self.id):
            return _note(self.id, subject, Verdict.HELD)
        findings: list[Finding] = []
        unverified = None
        try:
            for finding in self.check(*args, **kwargs):
                findings.append(finding)  # what was found before an error must not be lost
        except NotApplicable as reason:
            if not findings:
                _note(self.id, subject, Verdict.NOT_APPLICABLE, reason=shown(str(reason)))
                return
        except EvidenceError as error:
            if not findings:
                _note(self.id, subject, Verdict.UNVERIFIED, reason=str(error))
                raise
            unverified = str(error)
        if findings:
            _note(self.id, subject, Verdict.BROKEN, findings=tuple(findings))
            raise ConformanceError(self, tuple(findings), unverified)
        _note(self.id, subject, Verdict.HELD)


def _subject(judge: Rule[Any], args: tuple[Any, ...]) -> Resource:
    __tracebackhide__ = True
    subject = args[0] if args else None
    if not isinstance(subject, Resource):
        raise TypeError(f"{judge.name} judges a resource of the estate, and was given {subject!r}")
    return subject


_CATALOGUE: dict[str, Rule[Any]] = {}

CATALOGUE: Final[Mapping[str, Rule[Any]]] = MappingProxyType(_CATALOGUE)
"""Every rule by id, in the order of the ids once ``pytest_ampls.assertions`` is imported."""


def rule(
    id: str,  # the field's own word for it
    title: str,
    *,
    severity: Severity,
    why: str,
    fix: Fix,
    learn: str,
    permissions: tuple[str, ...],
    controls: tuple[str, ...] = (),
    evidence: tuple[Evidence, ...] = (Evidence.CONFIGURATION,),
    derived: bool = False,
) -> Callable[[Callable[P, Iterator[Finding]]], Rule[P]]:
    """Declare a rule on the generator that checks it.

    Args:
        id: stable for ever: ``AMPLS`` and three digits, the first of them the family.
        title: what holds where the rule is kept, as a sentence without a full stop.
        severity: how much depends on it.
        why: what happens where it is broken, in a sentence or two.
        fix: how to mend it.
        learn: the page of Microsoft Learn that the demand comes from.
        permissions: the RBAC actions that its evidence needs.
        controls: ids of the Microsoft cloud security benchmark controls it serves.
        evidence: what it looks at.
        derived: it judges by what other rules find, and is no part of the shipped suite.
    """

    def declare(check: Callable[P, Iterator[Finding]]) -> Rule[P]:
        if id in _CATALOGUE:
            raise ValueError(f"two rules have the id {id}: {_CATALOGUE[id].name} and {check.__name__}")
        declared = Rule(
            check,
            id=id,
            title=title,
            severity=severity,
            why=" ".join(why.split()),
            fix=fix,
            learn=learn,
            permissions=permissions,
            controls=controls,
            evidence=evidence,
            derived=derived,
        )
        _CATALOGUE[id] = declared
        return declared

    return declare
