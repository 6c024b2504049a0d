"""Judging the stages of a machine's data path by the rules; no rule of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from pytest_ampls.assertions.stages import STAGES, Place, StagePlan, Step, relevant, subjects_of
from pytest_ampls.catalogue import CATALOGUE, Evidence, Finding, NotApplicable, Rule, Verdict
from pytest_ampls.effective.chain import chain_of
from pytest_ampls.effective.data_path import Check, DataPath, Stage, StageVerdict
from pytest_ampls.effective.guest_names import right_addresses
from pytest_ampls.effective.power import switched_off
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.resource import Resource
from pytest_ampls.model.text import shown
from pytest_ampls.model.vantage import Resolver

__all__ = ["Wishes", "defaults", "stages_of", "trace"]


class Wishes(NamedTuple):
    """What the requirements say about a rule on a resource: its keywords, and why it is left out."""

    keywords: Mapping[str, Any] = {}
    left_out: str | None = None


Ask = Callable[[Rule[Any], Resource], Wishes]


def defaults(_rule: Rule[Any], _resource: Resource) -> Wishes:
    """Return what holds where there are no requirements."""
    return Wishes()


def trace(machine: Machine, *, ask: Ask = defaults) -> DataPath:
    """Judge the ten stages of a machine, and name what its chain consists of.

    Args:
        machine: a VM, an Arc machine or a Uniform scale set.
        ask: what the requirements say about a rule on a resource.
    """
    reading = machine.estate.power.of(machine)
    return DataPath(
        machine=shown(machine.label),
        noun=machine.NOUN,
        machine_id=shown(machine.id),
        chain=chain_of(machine),
        stages=stages_of(machine, ask=ask),
        power=reading.phrase if reading is not None else "",
    )


def stages_of(machine: Machine, *, ask: Ask = defaults) -> tuple[Stage, ...]:
    """Judge the ten stages of a machine; what cannot be verified is a verdict of its stage, never raised."""
    found: list[Stage] = []
    for plan in STAGES:
        stage = _stage(plan, machine, ask)
        broken = next((each for each in found if each.verdict is StageVerdict.BROKEN), None)
        if broken is not None and _is_consequence(stage):
            stage = msgspec.structs.replace(stage, follows_from=broken.number)
        found.append(stage)
    return tuple(found)


def _is_consequence(stage: Stage) -> bool:
    """Tell whether an earlier break explains a stage: it is broken only by what was observed in it."""
    return stage.verdict is StageVerdict.BROKEN and stage.is_only_observed


def _stage(plan: StagePlan, machine: Machine, ask: Ask) -> Stage:
    checks = tuple(check for step in plan.steps for check in _checks(step, plan, machine, ask))
    verdict = _verdict(plan, checks, machine)
    missing = _missing(plan, checks) if verdict is StageVerdict.NOT_LOOKED_AT else ""
    if verdict is StageVerdict.NOT_APPLICABLE:
        missing = f"not applicable: {switched_off(machine)}, and only while it runs can this be seen"
    return Stage(number=plan.number, title=plan.title, verdict=verdict, checks=checks, missing=missing)


def _verdict(plan: StagePlan, checks: tuple[Check, ...], machine: Machine) -> StageVerdict:
    if any(check.verdict is Verdict.BROKEN for check in checks):
        return StageVerdict.BROKEN
    held = {check.rule for check in checks if check.verdict is Verdict.HELD}
    outweighed = _outweighed(plan, held, machine)
    if any(check.verdict is Verdict.UNVERIFIED and check.rule not in outweighed for check in checks):
        return StageVerdict.UNVERIFIED
    if plan.proof in held:
        return StageVerdict.HELD
    at_work = set(CATALOGUE[plan.proof].evidence) & {Evidence.GUEST, Evidence.LOGS}
    return StageVerdict.NOT_APPLICABLE if at_work and switched_off(machine) else StageVerdict.NOT_LOOKED_AT


def _outweighed(plan: StagePlan, held: set[str], machine: Machine) -> set[str]:
    """Return the rules that need not be verified, because the machine itself has proven what they are about.

    It resolved each of its names to a private endpoint that serves it, and shook hands there: so there is a way, and
    what the names belong to is in the scope, whatever could not be read. A DNS server outside of Azure, say.
    """
    names = next((step.names for step in plan.steps if step.names is not None), None)
    if names is None or not held >= {"AMPLS522", "AMPLS523"}:
        return {"AMPLS602"} if "AMPLS601" in held else set()  # which way it came stops nothing that arrived
    try:
        served = all(right_addresses(machine, name) for name in names(machine))
    except EvidenceError:
        served = False
    around = {step.rule for step in plan.steps if step.place is not Place.MACHINE}
    return around | {"AMPLS404", "AMPLS407"} if served else set()


def _missing(plan: StagePlan, checks: tuple[Check, ...]) -> str:
    """Say why the proof of a stage was not looked at."""
    reasons = [check.reason for check in checks if check.rule == plan.proof and check.reason]
    return reasons[0] if reasons else plan.missing


# ------------------------------------------------------------------- one rule


class _Outcome(NamedTuple):
    verdict: Verdict
    reason: str = ""
    findings: tuple[Finding, ...] = ()


def _checks(step: Step, plan: StagePlan, machine: Machine, ask: Ask) -> Iterator[Check]:
    rule = CATALOGUE[step.rule]
    try:
        if step.names is not None and not step.names(machine):
            reason = "no name is known that the agent would use in this stage"
            yield _check(rule, machine, _Outcome(Verdict.NOT_APPLICABLE, reason))
            return
        places = list(subjects_of(step.place, machine))
    except EvidenceError as error:
        yield _check(rule, machine, _Outcome(Verdict.UNVERIFIED, str(error)))
        return
    if not places:
        yield _check(rule, machine, _Outcome(Verdict.NOT_APPLICABLE, _NOTHING_THERE[step.place]))
    for place in places:
        yield _sifted(step, plan, machine, place, _outcome(rule, place, ask(rule, place[0])))


_NOTHING_THERE: Final[Mapping[Place, str]] = {
    Place.MACHINE: "",
    Place.NETWORK: "the machine's network is not known to Azure",
    Place.SCOPE: "no private link scope is around the machine",
    Place.ENDPOINT: "no private endpoint of a private link scope is around the machine",
    Place.ZONE: "the machine's DNS sees no private zone of Azure Monitor",
    Place.PROBE: "the machine's own guest was looked at, which says more than a connection from elsewhere",
    Place.ANSWER: "no vantage point speaks for the machine's network: --ampls-resolver names one",
}


def _outcome(rule: Rule[Any], place: tuple[Any, ...], wishes: Wishes) -> _Outcome:
    if wishes.left_out is not None:
        return _Outcome(Verdict.NOT_APPLICABLE, f"left out by the requirements: {wishes.left_out}")
    resource: Resource = place[0]
    if wishes.keywords or isinstance(resource, Machine):
        return _judged(rule, place, wishes.keywords)
    # The surroundings of a machine are those of many: a zone is judged once, however many machines it answers.
    return resource.estate.once(_shared(rule, place[1:]), resource)


def _shared(rule: Rule[Any], more: tuple[Resolver, ...]) -> Callable[[Estate, Resource], _Outcome]:
    name = (rule.id, *(resolver.name for resolver in more))
    return _Shared(name, rule, more)


class _Shared:
    """A judgement of one rule, equal to every other of the same rule and vantage point."""

    def __init__(self, name: tuple[str, ...], rule: Rule[Any], more: tuple[Resolver, ...]) -> None:
        self._name, self._rule, self._more = name, rule, more

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shared) and self._name == other._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __call__(self, _estate: Estate, resource: Resource) -> _Outcome:
        return _judged(self._rule, (resource, *self._more), {})


def _judged(rule: Rule[Any], place: tuple[Any, ...], keywords: Mapping[str, Any]) -> _Outcome:
    findings: list[Finding] = []
    reason, verdict = "", Verdict.HELD
    try:
        for finding in rule.check(*place, **keywords):
            findings.append(finding)  # what was found before an error counts
    except NotApplicable as why:
        reason, verdict = str(why), Verdict.NOT_APPLICABLE
    except EvidenceError as error:
        reason, verdict = str(error), Verdict.UNVERIFIED
    return _Outcome(Verdict.BROKEN if findings else verdict, reason, tuple(findings))


def _sifted(
    step: Step, plan: StagePlan, machine: Machine, place: tuple[Any, ...], outcome: _Outcome
) -> Check:
    """Keep the findings that concern the machine in this stage."""
    rule, stops, minor = CATALOGUE[step.rule], [], []
    try:
        for finding in outcome.findings:
            is_relevant = relevant(step, plan, machine, finding)
            if is_relevant:
                stops.append(finding)
            elif is_relevant is None:
                minor.append(finding)
    except EvidenceError as error:
        return _check(rule, place[0], _Outcome(Verdict.UNVERIFIED, str(error)), place)
    verdict = outcome.verdict
    if verdict is Verdict.BROKEN and not stops:
        # What else was found is not this stage's; what could not be looked at may have been.
        verdict = Verdict.UNVERIFIED if outcome.reason else Verdict.HELD
    kept = _Outcome(verdict, outcome.reason, tuple(stops))
    return msgspec.structs.replace(_check(rule, place[0], kept, place), minor=tuple(minor))


def _check(rule: Rule[Any], subject: Any, outcome: _Outcome, place: tuple[Any, ...] = ()) -> Check:
    name = f"{subject.NOUN} {subject.label}"
    if len(place) > 1:
        name += f" asked from {place[1].name}"
    return Check(
        rule=rule.id,
        title=rule.title,
        subject=shown(name),
        verdict=outcome.verdict,
        evidence=rule.evidence,
        reason=shown(outcome.reason),
        findings=outcome.findings,
        read_at=_read_at(rule, subject),
    )


def _read_at(rule: Rule[Any], subject: Resource) -> float | None:
    """Return when the evidence of a rule on a subject was read: the document's time, the guest's, or the run's."""
    snapshot = subject.estate.snapshot
    if Evidence.GUEST in rule.evidence and isinstance(subject, Machine):
        state = subject.estate.observations.guest(subject)
        return state.read_at if state is not None else None
    if Evidence.LOGS in rule.evidence:
        times = [reading.read_at for reading in snapshot.logs]
        return min(times, default=None)
    if Evidence.DNS in rule.evidence:
        return (
            snapshot.read_at or None
        )  # answers carry no time of their own: the run's is when they were asked
    read_at: float = subject.__dict__["_read_at"]
    return read_at
