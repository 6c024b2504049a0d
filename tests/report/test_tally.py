"""Verdicts are counted, and what somebody has to read is kept."""

from __future__ import annotations

import msgspec
import pytest

from pytest_ampls import assert_config_endpoint_association, assert_rule_association
from pytest_ampls.catalogue import CATALOGUE, ConformanceError, Judgement, Verdict
from pytest_ampls.model.judgement import recorded
from pytest_ampls.report.tally import Record, Tally
from pytest_ampls.report.terminal import summary_lines, unverified_lines
from tests.assertions.machines import RESERVED, machine, monitored_estate
from tests.builders import ASSOCIATIONS


def _judgement(verdict: Verdict, number: int = 1, reason: str = "") -> Judgement:
    return Judgement(
        rule="AMPLS401", resource=f"vm{number}", resource_id=f"/vm{number}", verdict=verdict, reason=reason
    )


def test_what_held_is_counted_and_not_kept() -> None:
    """A hundred thousand machines on which a rule holds are a number, and the first of them are named."""
    found = machine(monitored_estate().build(), "vm1")
    record = Record()
    with recorded(record):
        for _ in range(1000):
            assert_rule_association(found)
    assert record.tally == Tally(counts={"AMPLS401": {Verdict.HELD: 1000}})
    assert len(record.named) == 100
    assert list(record.unnamed()) == ["AMPLS401: 900 held"]


def test_what_is_wrong_is_always_kept() -> None:
    """Every broken or unverified resource is named, however many there are, and findings stay whole."""
    record = Record()
    for number in range(250):
        record.add(_judgement(Verdict.BROKEN, number))
        record.add(_judgement(Verdict.UNVERIFIED, number, "refused"))
    assert len(record.named) == 500
    assert len(record.tally.broken) == 250
    assert record.tally.reasons == {"refused": 250}
    assert list(record.unnamed()) == []


def test_reasons_of_rules_that_do_not_apply_are_cut() -> None:
    """Each names its resource: the first few are kept, all are counted."""
    tally = Tally.of(_judgement(Verdict.NOT_APPLICABLE, n, f"vm{n} is none") for n in range(1000))
    assert tally.count(Verdict.NOT_APPLICABLE) == 1000
    assert len(tally.excuses) == 20
    assert not tally.looked
    tally.add(_judgement(Verdict.HELD))
    assert tally.looked


def test_a_tally_travels_as_plain_data() -> None:
    """Workers send it with their reports; what the controller adds up is what one process counts."""
    estate = monitored_estate().build()
    whole, parts = Record(), [Record(), Record()]
    for number, name in enumerate(("vm1", "vm1", "flexible", "vm1")):
        for record in (whole, parts[number % 2]):
            with recorded(record):
                assert_rule_association(machine(estate, name))
            record.add(_judgement(Verdict.BROKEN, number))
            record.add(_judgement(Verdict.UNVERIFIED, number, "refused"))
    merged = Tally()
    for part in parts:
        plain = msgspec.to_builtins(part.tally)
        assert msgspec.json.decode(msgspec.json.encode(plain), type=Tally) == part.tally
        merged.merge(msgspec.convert(plain, Tally))
    assert merged.counts == whole.tally.counts
    assert merged.counts["AMPLS401"][Verdict.HELD] == 3
    assert merged.reasons == {"refused": 4}
    assert merged.excuses == whole.tally.excuses
    assert {found.resource_id for found in merged.broken} == {"/vm0", "/vm1", "/vm2", "/vm3"}


def test_the_order_of_workers_does_not_show() -> None:
    """Reasons that are equally frequent are printed by their text."""
    one = [_judgement(Verdict.UNVERIFIED, n, reason) for n, reason in enumerate(("b", "a", "c", "c"))]
    lines = list(unverified_lines(Tally.of(one)))
    assert lines == list(unverified_lines(Tally.of(reversed(one))))
    assert lines == ["not verified: c (2 verdicts)", "not verified: a", "not verified: b"]


def test_a_broken_rule_is_recorded_with_its_findings() -> None:
    """The ledger of a run has what the failure says."""
    plan = monitored_estate()
    record = Record()
    del plan.documents[ASSOCIATIONS][f"vm1/{RESERVED}".lower()]
    with recorded(record), pytest.raises(ConformanceError) as raised:
        assert_config_endpoint_association(machine(plan.build(), "vm1"))
    (broken,) = record.tally.broken
    assert broken.findings == raised.value.findings
    assert any("AMPLS402" in line for line in summary_lines(record.tally, CATALOGUE))
