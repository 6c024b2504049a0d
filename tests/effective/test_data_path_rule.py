"""AMPLS415: the data path as a rule, which says what its stages say."""

from __future__ import annotations

import re

import pytest

from pytest_ampls.assertions import assert_data_path
from pytest_ampls.assertions.tracing import stages_of
from pytest_ampls.catalogue import ConformanceError, NotApplicable
from pytest_ampls.effective.data_path import StageVerdict
from pytest_ampls.errors import AccessDeniedError, EvidenceError, NotReadError
from pytest_ampls.model import Estate
from tests.assertions.machines import (
    machine,
    monitored_estate,
    scale_set,
)
from tests.builders import VM_EXTENSIONS, denied
from tests.effective.test_data_path import (
    EVERYTHING_BUT_CONFIGURATION,
    estate_with,
)
from tests.guards.suite import lab_snapshot
from tests.guest.lab import looked_at


def test_the_rule_names_the_first_broken_link_and_leaves_out_what_follows() -> None:
    """One finding for a break that shows twice, with stage, cause and the cause's rule."""
    with pytest.raises(ConformanceError) as caught:
        assert_data_path(machine(estate_with("guest-port-dropped"), "spoke1"))
    (finding,) = caught.value.findings
    assert finding.property.startswith("stage 6, the first broken link: virtual machine amplstest/spoke1")
    assert finding.observed.endswith("(AMPLS523)")
    assert 'destination_address_prefix = "192.168.0.78"' in str(caught.value)
    assert not re.search(r"<[a-z-]+>", str(caught.value))


def test_the_rule_reports_breaks_of_their_own_as_well() -> None:
    """A second break that does not follow from the first is a finding of its own."""
    with pytest.raises(ConformanceError) as caught:
        assert_data_path(machine(estate_with("spoke-bypasses-hub-dns"), "spoke1"))
    first, second = (finding.property for finding in caught.value.findings)
    assert first.startswith("stage 6, the first broken link")
    assert second.startswith("stage 9, broken as well")


def test_the_rule_holds_on_a_machine_that_was_looked_at() -> None:
    """With its guest and its rows a healthy machine passes; without, only where the test says what need not be seen."""
    assert_data_path(machine(looked_at("hub-and-spoke"), "spoke1"), unseen=(10,))
    assert_data_path(machine(Estate(lab_snapshot("hub-and-spoke", guests=True, logs=True)), "spoke1"))
    blind = machine(Estate(lab_snapshot("hub-and-spoke")), "spoke1")
    with pytest.raises(NotReadError, match=r"stage 2 of 'spoke1' .* was not looked at: .*--ampls-guests"):
        assert_data_path(blind)
    assert_data_path(blind, unseen=EVERYTHING_BUT_CONFIGURATION)
    with pytest.raises(NotReadError, match=r"stage 10 .*--ampls-logs"):
        assert_data_path(machine(looked_at("hub-and-spoke"), "spoke1"))


def test_the_rule_is_unverified_where_evidence_was_denied() -> None:
    """A denied read is an error of the rule, and the message is the read's."""
    plan = monitored_estate()
    plan.gaps[VM_EXTENSIONS] = denied("extensions")
    with pytest.raises(EvidenceError, match=r"stage 1 of 'vm1' .*extensions was refused") as caught:
        assert_data_path(machine(plan.build()), unseen=EVERYTHING_BUT_CONFIGURATION)
    assert isinstance(caught.value, NotReadError | AccessDeniedError)


def test_the_rule_leaves_flexible_sets_to_their_instances() -> None:
    """A Flexible scale set has no data path of its own."""
    with pytest.raises(NotApplicable, match="Flexible"):
        tuple(assert_data_path.check(scale_set(monitored_estate().build())))


@pytest.mark.parametrize("fault", ["agent-missing", "zone-unlinked", "hosts-override", "query-open"])
def test_the_rule_is_broken_exactly_where_a_stage_is(fault: str) -> None:
    """The derived rule says of every machine what its stages say."""
    for each in estate_with(fault).machines:
        broken = any(stage.verdict is StageVerdict.BROKEN for stage in stages_of(each))
        try:
            found = bool(next(assert_data_path.check(each), None))
        except EvidenceError:
            found = False
        assert found is broken, each
