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
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Generic, ParamSpec

import msgspec

from pytest_ampls.errors import EvidenceError, printable
from pytest_ampls.model.resource import Resource
from pytest_ampls.model.text import filled, quoted, shown
from pytest_ampls.model.types import api_version

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

_RECORD_SETS: Final = "microsoft.network/privatednszones/recordsets"

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


class Verdict(StrEnum):
    """What became of one rule on one resource."""

    HELD = "held"
    BROKEN = "broken"
    NOT_APPLICABLE = "not applicable"
    UNVERIFIED = "unverified"


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """How to mend it, in three tongues. ``<token>`` stands for a value that a finding may know."""

    az: str
    terraform: str
    bicep: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong.

    ``resource`` is a noun and a name, ``property`` the path in the document (or the name that
    was asked), ``expected`` and ``observed`` are complete phrases. ``evidence`` is a command
    that shows it. ``tokens`` fill the placeholders of the rule's fix.
    """

    resource: str
    resource_id: str
    property: str
    expected: str
    observed: str
    evidence: str
    tokens: Mapping[str, str] = {}

    @classmethod
    def on(
        cls,
        resource: Resource,
        path: str,
        *,
        expected: str,
        observed: str,
        evidence: str | None = None,
        tokens: Mapping[str, str] | None = None,
    ) -> Finding:
        """Return a finding on a resource; its own GET is the evidence unless another is given."""
        return cls(
            resource=f"{resource.NOUN} {resource.resource_group}/{resource.label}",
            resource_id=resource.id,
            property=path,
            expected=expected,
            observed=observed,
            evidence=evidence or az_rest(resource),
            tokens={
                "id": resource.id,
                "name": resource.label,
                "resource-group": resource.resource_group,
                "location": resource.location or "<location>",
                **(tokens or {}),
            },
        )


def az_rest(resource: Resource, child_type: str = "") -> str:
    """Return the ``az`` call that shows a resource, or its children of a type.

    ``child_type`` is a full resource type; children of the resource's own type follow its id,
    extension resources follow ``/providers/``.
    """
    path, version = resource.id, api_version(child_type or resource.ARM_TYPE)
    if child_type.lower() == _RECORD_SETS:
        path += "/ALL"  # record sets of every type: the one listing whose path is not its type
    elif child_type.lower().startswith(resource.ARM_TYPE.lower() + "/"):
        path += child_type[len(resource.ARM_TYPE) :]
    elif child_type:
        path += f"/providers/{child_type}"
    endpoint = resource.estate.snapshot.arm_endpoint or "https://management.azure.com"
    url = f"{endpoint}{path}?api-version={version}"
    return f"az rest --method get --url {quoted(url)}"


class NotApplicable(Exception):  # noqa: N818  # not an error: the rule does not concern this resource
    """Raised by a rule's check: the rule does not concern this resource, and the text says why."""


class ConformanceError(AssertionError):
    """A rule is broken. Its text is the whole message: what, where, expected, observed, why, fix, evidence."""

    def __init__(self, rule: Rule[Any], findings: tuple[Finding, ...], unverified: str | None = None) -> None:
        """Keep rule and findings; ``unverified`` says what else could not be looked at."""
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

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.rule.id} {self.rule.title}  [{self.rule.severity}]"
        for finding in self.findings[:SHOWN_FINDINGS]:
            yield ""
            yield f"  {shown(finding.resource)}"
            yield f"    property  {shown(finding.property)}"
            yield f"    expected  {shown(finding.expected)}"
            yield f"    observed  {shown(finding.observed)}"
            yield f"    evidence  {printable(finding.evidence)}"
        if len(self.findings) > SHOWN_FINDINGS:
            yield f"\n  … and {len(self.findings) - SHOWN_FINDINGS} more findings"
        if self.unverified:
            yield f"\n  unverified besides: {self.unverified}"
        yield ""
        yield from textwrap.wrap(self.rule.why, 100, initial_indent="  why   ", subsequent_indent="        ")
        yield from _fix_lines(self.rule.fix, self.findings[0].tokens)
        yield f"  link  {self.rule.learn}"


def _fix_lines(fix: Fix, tokens: Mapping[str, str]) -> Iterator[str]:
    label = "fix"
    for tongue, text in (("az", fix.az), ("terraform", fix.terraform), ("bicep", fix.bicep)):
        lines = filled(text.strip(), tokens, shell=tongue == "az").splitlines()
        for number, line in enumerate(lines):
            yield f"  {label:<5} {tongue if number == 0 else '':<10} {line}"
            label = ""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, one resource, one verdict. ``reason`` says why it does not apply or was not verified."""

    rule: str
    resource: str
    resource_id: str
    verdict: Verdict
    reason: str = ""
    findings: tuple[Finding, ...] = ()


_LEDGER: Final[ContextVar[list[Judgement] | None]] = ContextVar("ampls_judgements", default=None)


@contextmanager
def judgements() -> Iterator[list[Judgement]]:
    """Collect every judgement that is made inside the ``with`` block, in order."""
    kept: list[Judgement] = []
    token = _LEDGER.set(kept)
    try:
        yield kept
    finally:
        _LEDGER.reset(token)


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
        """The family: the name of the file that declares the rule."""
        return self.check.__module__.rpartition(".")[2]

    @property
    def expectations(self) -> Mapping[str, Any]:
        """The keywords that say what is expected, with their defaults."""
        parameters = inspect.signature(self.check).parameters.values()
        return {part.name: part.default for part in parameters if part.kind is part.KEYWORD_ONLY}

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Judge a subject.

        Raises:
            ConformanceError: the rule is broken.
            EvidenceError: it could not be verified.
            TypeError: the subject is not of the kind that the rule judges.
        """
        __tracebackhide__ = True
        findings: list[Finding] = []
        subject = _subject(self, args)
        unverified = None
        try:
            for finding in self.check(*args, **kwargs):
                findings.append(finding)  # what was found before an error must not be lost
        except NotApplicable as reason:
            if not findings:
                self._record(subject, Verdict.NOT_APPLICABLE, reason=shown(str(reason)))
                return
        except EvidenceError as error:
            if not findings:
                self._record(subject, Verdict.UNVERIFIED, reason=str(error))
                raise
            unverified = str(error)
        self._record(subject, Verdict.BROKEN if findings else Verdict.HELD, findings=tuple(findings))
        if findings:
            raise ConformanceError(self, tuple(findings), unverified)

    def _record(self, subject: Resource, verdict: Verdict, **details: Any) -> None:
        ledger = _LEDGER.get()
        if ledger is not None:
            name = shown(f"{subject.NOUN} {subject.resource_group}/{subject.label}")
            ledger.append(
                Judgement(
                    rule=self.id, resource=name, resource_id=printable(subject.id), verdict=verdict, **details
                )
            )


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
        )
        _CATALOGUE[id] = declared
        return declared

    return declare
