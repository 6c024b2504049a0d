"""The way of a machine's data from its agent to its workspace: stages, what each rests on, and the first break.

The ten stages are those of the agent's life: installed, started, identity chosen and attached, token, configuration
endpoint, rules downloaded, collection set up, upload, landed. A later stage needs every earlier one, so the
first that is broken is where to begin. Later ones are judged all the same: what only shows there
(an answer, a guest's log) follows from the first break, what is configured wrongly there is a break of its own.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pytest_ampls.catalogue import Evidence, Finding, Verdict

__all__ = ["Check", "DataPath", "Link", "Stage", "StageVerdict"]


class StageVerdict(StrEnum):
    """What became of one stage."""

    HELD = "held"
    BROKEN = "broken"
    UNVERIFIED = "unverified"
    """It was to be looked at, and could not be."""
    NOT_LOOKED_AT = "not looked at"
    """Nobody asked for the evidence that would prove it. Not green."""
    NOT_APPLICABLE = "not applicable"
    """The machine was seen switched off, so that there is nothing to prove it by. Not green."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One rule on one subject of a machine's surroundings, as far as it concerns the machine's data.

    ``subject`` is a noun and a name. ``read_at`` is when its evidence was read, in seconds since the epoch, None
    where that is not known. ``minor`` are findings of the rule that stop no data.
    """

    rule: str
    title: str
    subject: str
    verdict: Verdict
    evidence: tuple[Evidence, ...]
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    minor: tuple[Finding, ...] = ()
    read_at: float | None = None

    @property
    def is_observed(self) -> bool:
        """Tell whether it looks at what happens rather than at what is configured."""
        return bool(self.evidence) and Evidence.CONFIGURATION not in self.evidence


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage: ``number`` from 1 to 10, ``title`` what holds where it is held, ``checks`` in the order of causes.

    ``missing`` says what was not looked at and how to have it looked at, or why it does not apply. ``follows_from`` is
    the number of an earlier broken stage that explains this one.
    """

    number: int
    title: str
    verdict: StageVerdict
    checks: tuple[Check, ...] = ()
    missing: str = ""
    follows_from: int | None = None

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that it rests on, each once."""
        return tuple(dict.fromkeys(check.rule for check in self.checks))

    @property
    def read_at(self) -> float | None:
        """When the oldest evidence that gave a verdict was read, in seconds since the epoch."""
        judged = (Verdict.HELD, Verdict.BROKEN)
        times = [check.read_at for check in self.checks if check.verdict in judged and check.read_at]
        return min(times, default=None)

    @property
    def cause(self) -> Check | None:
        """The first broken check, which the others follow; None where nothing is broken."""
        return next((check for check in self.checks if check.verdict is Verdict.BROKEN), None)

    @property
    def problem(self) -> str:
        """Why it could not be verified, by the first check that was not; empty where every check was."""
        reasons = (check.reason for check in self.checks if check.verdict is Verdict.UNVERIFIED)
        return next(reasons, "")

    @property
    def is_only_observed(self) -> bool:
        """Tell whether everything that is broken here is something that was observed, nothing configured."""
        return all(check.is_observed for check in self.checks if check.verdict is Verdict.BROKEN)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the chain from the machine to a live answer: what stands there, or why that is not known."""

    noun: str
    names: tuple[str, ...] = ()
    problem: str = ""


class DataPath(msgspec.Struct, frozen=True, kw_only=True):
    """The stages of one machine, in order, and the chain of resources that they are about.

    ``power`` is its power state with the time, as a phrase, where it was read: of a machine that showed no life.
    """

    machine: str
    noun: str
    machine_id: str
    chain: tuple[Link, ...]
    stages: tuple[Stage, ...]
    power: str = ""

    @property
    def first_broken(self) -> Stage | None:
        """The first stage that is broken, None where none is."""
        return next((stage for stage in self.stages if stage.verdict is StageVerdict.BROKEN), None)

    def without(self, verdict: StageVerdict, *numbers: int) -> tuple[Stage, ...]:
        """Return the stages with a verdict, some left out."""
        return tuple(each for each in self.stages if each.verdict is verdict and each.number not in numbers)
