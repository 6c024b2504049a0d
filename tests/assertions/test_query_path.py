"""The rule on queries: answered, refused by the network, or not allowed to the reader; and texts of others."""

from __future__ import annotations

import pytest

from pytest_ampls.assertions import assert_heartbeat, assert_heartbeat_private, assert_query_path
from pytest_ampls.catalogue import ConformanceError
from pytest_ampls.errors import (
    AccessDeniedError,
    ConfigurationError,
    DocumentError,
    EvidenceError,
    NotReadError,
)
from pytest_ampls.model import Gap, GapKind
from pytest_ampls.subjects import subjects
from tests.assertions.log_readings import OTHER, REFUSED, asked, beat, logged, read, vm1
from tests.assertions.machines import findings, machine, monitored_estate, observed, why_not_applicable
from tests.builders import ASSOCIATIONS, DCRS, denied
from tests.private_estate import workspace

NETWORK = read(gap=REFUSED, inner_code="NspValidationFailedError")


def test_answered_queries_hold_or_break() -> None:
    """What is intended decides; a partial answer and an empty workspace were answered."""
    half = Gap(kind=GapKind.MALFORMED, message="the answer is not whole")
    for reading in (read(), read(gap=half, answered=True)):
        assert_query_path(asked(reading))
        assert observed(assert_query_path, asked(reading), expected="refused") == "the query was answered"


def test_a_network_refusal_holds_or_breaks() -> None:
    """The finding has the refusal's own words, and the access to set."""
    assert_query_path(asked(NETWORK), expected="refused")
    (found,) = findings(assert_query_path, asked(NETWORK))
    assert found.observed == "queries are refused"
    assert (found.tokens["access"], found.tokens["enabled"]) == ("Enabled", "true")
    (found,) = findings(assert_query_path, asked(read()), expected="refused")
    assert (found.tokens["access"], found.tokens["enabled"]) == ("Disabled", "false")


@pytest.mark.parametrize("expected", ["answered", "refused"])
@pytest.mark.parametrize("kind", list(GapKind))
def test_every_other_refusal_says_nothing_of_the_network(kind: GapKind, expected: str) -> None:
    """No rights, no answer, too many: unverified, whatever is intended."""
    subject = asked(read(gap=Gap(kind=kind, message="no")))
    with pytest.raises(EvidenceError):
        assert_query_path(subject, expected=expected)


def test_a_reading_that_says_nothing_is_unverified() -> None:
    """Neither answered nor refused."""
    with pytest.raises(NotReadError):
        assert_query_path(asked(read(answered=False)))


def test_a_workspace_that_was_not_asked() -> None:
    """Nobody sends to it, or nobody asked at all."""
    plan = monitored_estate()
    plan[DCRS, "dcr-linux"]["properties"]["destinations"] = {"azureMonitorMetrics": {"name": "metrics"}}
    nobody = workspace(logged(plan=plan))
    assert "sends to" in why_not_applicable(assert_query_path, nobody)
    assert not [each for each in subjects(nobody.estate, "queried_workspace") if each.resource is not None]
    assert "--ampls-logs" in why_not_applicable(assert_query_path, workspace(monitored_estate().build()))


@pytest.mark.parametrize("kind", [ASSOCIATIONS, DCRS])
def test_who_sends_to_a_workspace_must_be_known(kind: str) -> None:
    """Where rules were not read, that no machine sends to it is not known; its test is an error, and no skip."""
    plan = monitored_estate()
    plan.gaps[kind] = denied("rules")
    estate = logged(plan=plan)
    with pytest.raises(AccessDeniedError):
        assert_query_path(workspace(estate))
    assert [subject.resource for subject in subjects(estate, "queried_workspace")] == [workspace(estate)]


def test_a_workspace_that_should_have_been_asked_is_unverified() -> None:
    """A rule that was associated after the queries sends somewhere that nobody looked at."""
    with pytest.raises(NotReadError, match="was not asked"):
        assert_query_path(asked(read(workspace_id=OTHER)))


def test_an_unknown_intention_is_a_mistake() -> None:
    """As is another kind of subject."""
    with pytest.raises(ConfigurationError, match="none of answered, refused"):
        findings(assert_query_path, asked(read()), expected="open")
    with pytest.raises(TypeError):
        assert_query_path(machine(logged(read())))  # type: ignore[arg-type]


def test_hostile_rows_are_escaped() -> None:
    """What a machine calls its address is another's text."""
    evil = "\x1b[2J\nAMPLS000 all held\u202e"
    with pytest.raises(DocumentError) as caught:
        assert_heartbeat_private(vm1(read(beat(sender=evil))))
    assert str(caught.value).isprintable()
    with pytest.raises(DocumentError) as caught:
        assert_heartbeat(vm1(read(beat(category=evil))))
    assert str(caught.value).isprintable()
    gap = Gap(kind=GapKind.DENIED, message=f"refused: {evil}", status=403)
    with pytest.raises(ConformanceError) as broken:
        assert_query_path(asked(read(gap=gap, inner_code="NspValidationFailedError")))
    assert all(line.isprintable() for line in str(broken.value).split("\n"))
    assert not [line for line in str(broken.value).split("\n") if line.startswith("AMPLS000")]
