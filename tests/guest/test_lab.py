"""The lab's guests: healthy ones hold, each fault is found by the rules that its entry names."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import Evidence, Verdict
from pytest_ampls.lab import faults
from pytest_ampls.model import GapKind
from tests.guards.suite import explain, judge_all, rules_with
from tests.guest.lab import looked_at

GUEST_RULES = {rule.id for rule in CATALOGUE.values() if Evidence.GUEST in rule.evidence and not rule.derived}
GUEST_FAULTS = [fault for fault in faults().values() if fault.kind == "guest"]


@pytest.mark.parametrize("spec", ["hub-and-spoke", "two-scopes", "fleet:vms=12"])
def test_healthy_guests_hold(spec: str) -> None:
    """Every rule about guests holds somewhere, and none is broken or unverified."""
    outcomes = {key: verdict for key, verdict in judge_all(looked_at(spec)).items() if key[0] in GUEST_RULES}
    assert not explain(outcomes, Verdict.BROKEN, Verdict.UNVERIFIED)
    assert rules_with(outcomes, Verdict.HELD) == GUEST_RULES


@pytest.mark.parametrize(
    "fault", [fault for fault in GUEST_FAULTS if fault.breaks], ids=lambda fault: fault.name
)
def test_a_fault_of_a_guest_breaks_exactly_the_rules_it_names(fault: object) -> None:
    """The rules that turn red are those of the fault's entry, on one machine."""
    declared = faults()[fault.name]  # type: ignore[attr-defined]  # parametrized with faults
    outcomes = judge_all(looked_at(f"hub-and-spoke+{declared.name}"))
    broken = {key for key, verdict in outcomes.items() if verdict is Verdict.BROKEN}
    assert {rule for rule, _ in broken} == set(declared.breaks)
    assert {label.rpartition("=")[2] for _, label in broken} == {"spoke1"}


def test_a_guest_that_never_returns_is_unverified() -> None:
    """Run Command without a result tells nothing: every rule about that guest is unverified, all others hold."""
    estate = looked_at("hub-and-spoke+guest-silent", timeout=1.5)
    (silent,) = [state for state in estate.snapshot.guests if state.gap is not None]
    assert silent.machine.endswith("/spoke1")
    assert silent.gap is not None
    assert silent.gap.kind is GapKind.UNREACHABLE
    assert "did not arrive within" in silent.gap.message
    outcomes = judge_all(estate)
    unverified = {
        rule
        for (rule, label), verdict in outcomes.items()
        if label.endswith("machine=spoke1") and verdict is Verdict.UNVERIFIED
    }
    assert unverified == GUEST_RULES
    assert not GUEST_RULES & rules_with(outcomes, Verdict.BROKEN)


def test_garbage_is_unverified_and_nothing_of_it_is_printed() -> None:
    """A guest that answers escapes, markup and false markers has a gap; its bytes do not reach a message."""
    estate = looked_at("hub-and-spoke+guest-garbage")
    (strange,) = [
        state for state in estate.snapshot.guests if state.gap is not None or state.problems.get("tokens")
    ]
    assert strange.machine.endswith("/spoke1")
    told = f"{strange.gap}{strange.problems}"
    assert "\x1b" not in told
    assert "<script>" not in told
    outcomes = judge_all(estate)
    verdicts = {
        verdict
        for (rule, label), verdict in outcomes.items()
        if rule in GUEST_RULES and label.endswith("machine=spoke1")
    }
    assert verdicts == {Verdict.UNVERIFIED}
