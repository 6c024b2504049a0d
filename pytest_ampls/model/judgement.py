"""What became of one rule on one resource: verdicts, findings, and the ledger that they are written into."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec

from pytest_ampls.errors import printable
from pytest_ampls.model.resource import Resource
from pytest_ampls.model.text import quoted, shown
from pytest_ampls.model.types import api_version

__all__ = [
    "Finding",
    "Fix",
    "Judgement",
    "Ledger",
    "Verdict",
    "az_rest",
    "judgements",
    "open_ledger",
    "recorded",
]

_RECORD_SETS: Final = "microsoft.network/privatednszones/recordsets"


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
    that shows it. ``read`` says which read decided: by whom, and when. ``tokens`` fill the placeholders of
    the fix, which is the rule's unless the finding has one of its own in ``fix``: one rule may be broken by causes
    that are mended differently.
    """

    resource: str
    resource_id: str
    property: str
    expected: str
    observed: str
    evidence: str
    read: str = ""
    tokens: Mapping[str, str] = {}
    fix: Fix | None = None

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
        fix: Fix | None = None,
    ) -> Finding:
        """Return a finding on a resource; its own GET is the evidence unless another is given."""
        return cls(
            resource=f"{resource.NOUN} {resource.resource_group}/{resource.label}",
            resource_id=resource.id,
            property=path,
            expected=expected,
            observed=observed,
            evidence=evidence or az_rest(resource),
            read=_read(resource),
            tokens={
                "id": resource.id,
                "name": resource.label,
                "resource-group": resource.resource_group,
                "location": resource.location or "<location>",
                **(tokens or {}),
            },
            fix=fix,
        )


def _read(resource: Resource) -> str:
    """Say which read of a resource a verdict rests on: the provider's, or the index's, which lags."""
    source, read_at = resource.estate.source(resource), resource.__dict__["_read_at"]
    by = "the resource provider" if source == "arm" else "Resource Graph, not confirmed by the provider"
    return f"from {by} at {time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime(read_at))}"


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


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, one resource, one verdict. ``reason`` says why it does not apply or was not verified."""

    rule: str
    resource: str
    resource_id: str
    verdict: Verdict
    reason: str = ""
    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, rule_id: str, subject: Resource, verdict: Verdict, **details: Any) -> Judgement:
        """Return a judgement that is safe to print."""
        name = shown(f"{subject.NOUN} {subject.resource_group}/{subject.label}")
        own = printable(subject.id)
        return cls(rule=rule_id, resource=name, resource_id=own, verdict=verdict, **details)


class Ledger(Protocol):
    """Where rules write what they found; ``details`` are the reason or the findings of a judgement."""

    def note(self, rule_id: str, subject: Resource, verdict: Verdict, **details: Any) -> None:
        """Take one verdict. Most of a large estate holds: what is not printed should not be made."""


class _Everything(list[Judgement]):
    def note(self, rule_id: str, subject: Resource, verdict: Verdict, **details: Any) -> None:
        self.append(Judgement.of(rule_id, subject, verdict, **details))


_LEDGER: Final[ContextVar[Ledger | None]] = ContextVar("ampls_judgements", default=None)


def open_ledger() -> Ledger | None:
    """Return the ledger that is open, None where nobody asked for one."""
    return _LEDGER.get()


class recorded:  # noqa: N801  # used like a function; a generator would cost more than most verdicts
    """Write every judgement that is made inside the ``with`` block into a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __enter__(self) -> None:
        self._token = _LEDGER.set(self._ledger)

    def __exit__(self, *_: object) -> None:
        _LEDGER.reset(self._token)


@contextmanager
def judgements() -> Iterator[list[Judgement]]:
    """Collect every judgement that is made inside the ``with`` block, in order."""
    kept = _Everything()
    with recorded(kept):
        yield kept
