"""Guards of the catalogue: complete texts, a fault for every rule, and no verdict without evidence."""

from __future__ import annotations

import re

import msgspec
import pytest

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import Evidence, Verdict
from pytest_ampls.lab import faults
from pytest_ampls.model import Estate, Gap, GapKind, Reading, Snapshot
from pytest_ampls.model.log_rows import LogReading
from pytest_ampls.model.types import API_VERSIONS
from tests.guards.suite import (
    Outcomes,
    changed,
    explain,
    judge_all,
    lab_outcomes,
    lab_snapshot,
    rules_with,
    suite_tests,
)

SUITE = {name for name, rule in CATALOGUE.items() if not rule.derived}
"""The rules of the shipped suite. A derived one is red with those that it is derived from, whatever the fault."""
PROBED = {name for name, rule in CATALOGUE.items() if Evidence.PROBE in rule.evidence}
"""Judged only where connections are asked for: tests/probe has them on healthy estates."""
GUESTED = {name for name, rule in CATALOGUE.items() if Evidence.GUEST in rule.evidence}
"""Judged only where guests are looked at."""
LOGGED = {name for name, rule in CATALOGUE.items() if Evidence.LOGS in rule.evidence}
"""Judged only where workspaces are asked."""
QUERIES = "Microsoft.OperationalInsights/workspaces/query"
"""What is read of workspaces by a query, and of no document: actions below this are no types."""
ELSEWHERE = {"AMPLS308", "AMPLS314", "AMPLS413", "AMPLS504"}
"""What they judge is not in every healthy estate: rulesets, workspaces outside of all scopes, scale sets."""
HEALTHY = ("hub-and-spoke", "two-scopes", "fleet:vms=12")
BREAKING = [(fault.name, estate) for fault in faults().values() if fault.breaks for estate in fault.estates]

EXCUSING = [(fault.name, estate) for fault in faults().values() if fault.excuses for estate in fault.estates]


@pytest.fixture(scope="module")
def healthy() -> Outcomes:
    """The suite's outcomes on the healthy estate."""
    return lab_outcomes("hub-and-spoke")


@pytest.mark.parametrize("rule", CATALOGUE.values(), ids=list(CATALOGUE))
def test_every_text_is_there(rule: object) -> None:
    """Id, title, why, fix in three tongues, link, permissions and a docstring; none of them a stub."""
    declared = CATALOGUE[rule.id]  # type: ignore[attr-defined]  # parametrized with rules
    assert re.fullmatch(r"AMPLS[1-9]\d\d", declared.id)
    assert declared.title[0].isupper()
    assert not declared.title.endswith(".")
    assert len(declared.why) > 60
    assert declared.why.endswith((".", ")"))
    assert declared.learn.startswith("https://learn.microsoft.com/azure/")
    assert declared.permissions
    assert all(re.fullmatch(r"Microsoft\.\w+(/\w+)+/read", action) for action in declared.permissions)
    for text in (declared.fix.az, declared.fix.terraform, declared.fix.bicep):
        assert len(text) > 15
    assert "Assert" in (declared.__doc__ or "")
    assert declared.name.startswith("assert_")


def test_the_suite_judges_every_rule() -> None:
    """Each rule that is not derived has a test in the shipped suite, and each test a rule."""
    assert {name.split("_")[1].upper() for name in suite_tests()} == SUITE


def test_every_rule_has_a_fault() -> None:
    """A rule that no fault of the lab turns red has never been seen failing."""
    assert {rule for fault in faults().values() for rule in fault.breaks} == SUITE


@pytest.mark.parametrize("spec", HEALTHY)
def test_healthy_estates_are_green(spec: str) -> None:
    """Nothing is broken and nothing unverified in a healthy estate."""
    outcomes = lab_outcomes(spec)
    assert not explain(outcomes, Verdict.BROKEN, Verdict.UNVERIFIED)
    assert rules_with(outcomes, Verdict.HELD) >= SUITE - PROBED - GUESTED - LOGGED - ELSEWHERE


def test_healthy_guests_are_green() -> None:
    """Every rule on guests holds where they are looked at, and nothing is unverified."""
    outcomes = judge_all(Estate(lab_snapshot("hub-and-spoke", guests=True)))
    assert not explain(outcomes, Verdict.BROKEN, Verdict.UNVERIFIED)
    assert rules_with(outcomes, Verdict.HELD) >= GUESTED & SUITE


@pytest.mark.parametrize("spec", HEALTHY)
def test_healthy_logs_are_green(spec: str) -> None:
    """Every rule on log rows holds where workspaces are asked, and nothing is unverified."""
    outcomes = judge_all(Estate(lab_snapshot(spec, logs=True)))
    assert not explain(outcomes, Verdict.BROKEN, Verdict.UNVERIFIED)
    assert rules_with(outcomes, Verdict.HELD) >= LOGGED & SUITE


@pytest.mark.parametrize(
    ("fault", "estate"), BREAKING, ids=[f"{estate}+{fault}" for fault, estate in BREAKING]
)
def test_a_fault_breaks_exactly_the_rules_it_names(fault: str, estate: str) -> None:
    """The rules that turn red are those that the fault's entry names, unverified those that it blinds."""
    size = ":vms=12" if estate == "fleet" else ""
    outcomes = lab_outcomes(f"{estate}{size}+{fault}", faults()[fault].expects)
    assert rules_with(outcomes, Verdict.BROKEN) == set(faults()[fault].breaks), explain(
        outcomes, Verdict.BROKEN
    )
    assert rules_with(outcomes, Verdict.UNVERIFIED) == set(faults()[fault].blinds), explain(
        outcomes, Verdict.UNVERIFIED
    )


@pytest.mark.parametrize(
    ("fault", "estate"), EXCUSING, ids=[f"{estate}+{fault}" for fault, estate in EXCUSING]
)
def test_a_fault_excuses_exactly_the_rules_it_names(fault: str, estate: str) -> None:
    """Nothing is red; the rules of the entry do not apply to one machine where they held, and all else is as it was."""
    size = ":vms=12" if estate == "fleet" else ""
    outcomes = lab_outcomes(f"{estate}{size}+{fault}")
    assert not explain(outcomes, Verdict.BROKEN, Verdict.UNVERIFIED)
    before = judge_all(Estate(lab_snapshot(f"{estate}{size}", guests=True, logs=True)))
    assert before.keys() == outcomes.keys()
    excused = list(changed(before, outcomes))
    assert {verdict for *_, verdict in excused} == {Verdict.NOT_APPLICABLE}
    assert {rule for rule, *_ in excused} == set(faults()[fault].excuses)
    assert len({label.rpartition("=")[2] for _, label, *_ in excused}) == 1


def test_a_fault_against_an_expectation_is_one_only_there() -> None:
    """Routes around the firewall are broken where network policies are expected, and held where these are enabled."""
    fault = faults()["firewall-bypassed"]
    assert not explain(lab_outcomes(f"hub-and-spoke+{fault.name}"), Verdict.BROKEN)
    assert rules_with(lab_outcomes("hub-and-spoke+endpoint-policies-enabled"), Verdict.BROKEN) == {"AMPLS209"}
    mended = lab_outcomes(f"hub-and-spoke+{fault.name}+endpoint-policies-enabled", fault.expects)
    assert not explain(mended, Verdict.BROKEN, Verdict.UNVERIFIED)


def test_no_rule_passes_on_an_empty_estate() -> None:
    """An estate in which nothing was found gives no verdict that counts as held."""
    outcomes = judge_all(Estate(lab_snapshot_of_nothing()))
    assert not explain(outcomes, Verdict.HELD, Verdict.BROKEN)


def lab_snapshot_of_nothing() -> Snapshot:
    """Return evidence of complete listings that are all empty."""
    snapshot = lab_snapshot("hub-and-spoke")
    empty = tuple(
        msgspec.structs.replace(reading, documents=()) for reading in snapshot.readings if not reading.single
    )
    return msgspec.structs.replace(snapshot, readings=empty)


def _denied(reading: Reading) -> Reading:
    gap = Gap(
        kind=GapKind.DENIED, message=f"denied: {reading.type}", status=403, permission=f"{reading.type}/read"
    )
    return msgspec.structs.replace(reading, documents=(), gap=gap)


def _without(*types: str, guests: bool = False, logs: bool = False) -> Estate:
    snapshot = lab_snapshot("hub-and-spoke", guests=guests, logs=logs)
    folded = {name.lower() for name in types}
    readings = tuple(_denied(r) if r.type.lower() in folded else r for r in snapshot.readings)
    refused = Gap(kind=GapKind.DENIED, message="denied: queries", status=403, permission=f"{QUERIES}/read")
    asked = tuple(LogReading(workspace=each.workspace, gap=refused) for each in snapshot.logs)
    return Estate(msgspec.structs.replace(snapshot, readings=readings, logs=asked))


@pytest.mark.parametrize("resource_type", API_VERSIONS)
def test_a_denied_read_never_becomes_a_verdict(resource_type: str, healthy: Outcomes) -> None:
    """Where a type is denied, a verdict stays what it was or becomes unverified; never broken, never n/a."""
    outcomes = judge_all(_without(resource_type))
    wrong = [entry for entry in changed(healthy, outcomes) if entry[3] is not Verdict.UNVERIFIED]
    assert not wrong


@pytest.mark.parametrize("rule", sorted(SUITE))
def test_no_rule_passes_when_its_evidence_was_denied(rule: str) -> None:
    """With everything denied that a rule says it needs, it holds nowhere."""
    # The action for listing record sets of every type is called ALL.
    types = [
        action.removesuffix("/read").replace("/ALL", "/recordSets")
        for action in CATALOGUE[rule].permissions
        if not action.startswith(QUERIES)
    ]
    known = {name.lower() for name in API_VERSIONS}
    assert all(name.lower() in known for name in types), "a permission of a type that is not read"
    outcomes = judge_all(_without(*types, guests=rule in GUESTED, logs=rule in LOGGED))
    assert {verdict for (name, _), verdict in outcomes.items() if name == rule} <= {
        Verdict.UNVERIFIED,
        Verdict.NOT_APPLICABLE,
    }
    assert rule in rules_with(outcomes, Verdict.UNVERIFIED)


def test_rules_on_answers_need_answers() -> None:
    """Where DNS gave no answer, the rules that rest on answers are unverified, and no other."""
    snapshot = lab_snapshot("hub-and-spoke")
    gap = Gap(kind=GapKind.UNREACHABLE, message="no answer")
    silent = tuple(msgspec.structs.replace(answer, gap=gap) for answer in snapshot.answers)
    outcomes = judge_all(Estate(msgspec.structs.replace(snapshot, answers=silent)))
    resting_on_answers = {name for name in SUITE - ELSEWHERE if Evidence.DNS in CATALOGUE[name].evidence}
    assert rules_with(outcomes, Verdict.UNVERIFIED) == resting_on_answers
    assert not rules_with(outcomes, Verdict.HELD) & resting_on_answers
