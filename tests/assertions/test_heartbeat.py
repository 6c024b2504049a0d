"""The rules on heartbeats: fresh, stale, absent, and come by the private way or not."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ampls.assertions import assert_heartbeat, assert_heartbeat_private
from pytest_ampls.catalogue import Rule
from pytest_ampls.errors import (
    AccessDeniedError,
    ConfigurationError,
    DocumentError,
    EvidenceError,
    NotReadError,
    ThrottledError,
)
from pytest_ampls.model import Gap, GapKind
from pytest_ampls.model.log_rows import Heartbeat
from tests.assertions.log_readings import (
    OTHER,
    PRIVATE,
    REFUSED,
    VM1,
    beat,
    logged,
    read,
    two_workspaces,
    vm1,
)
from tests.assertions.machines import (
    DCR,
    MonitoredBlueprint,
    findings,
    machine,
    monitored_estate,
    observed,
    unassociated,
    why_not_applicable,
)
from tests.builders import AMPLS, ASSOCIATIONS, DCRS, MEMBERS, NICS, WORKSPACES, denied

# ------------------------------------------------------------------- 601


@pytest.mark.parametrize("minutes", [0, 1, 9.9, -1, -9.9])
def test_a_fresh_heartbeat_holds(minutes: float) -> None:
    """Up to the deadline, by the service's clock; a clock that is a little ahead does no harm."""
    assert_heartbeat(vm1(read(beat(minutes))))


def test_a_stale_heartbeat_is_a_finding() -> None:
    """It says how old, when, and where, and shows the query."""
    (found,) = findings(assert_heartbeat, vm1(read(beat(181))))
    assert found.observed == "the last one is 181 min old (2026-09-21 11:12:20Z), in 'ws'"
    assert found.expected.endswith("at most 10 min old")
    assert found.read == "by a query that was answered at 2026-09-21 14:13:20Z"
    assert found.evidence.startswith(
        'az rest --method post --url "https://api.loganalytics.io/v1/workspaces/36b87820-'
    )
    assert "_ResourceId =~" in found.evidence
    assert found.tokens["rule"] == DCR


def test_no_heartbeat_is_another_finding() -> None:
    """Nothing in a whole day is told apart from something old."""
    assert observed(assert_heartbeat, vm1(read(beat(own=VM1 + "0")))) == "no heartbeat in 24 h in 'ws'"


def test_another_deadline() -> None:
    """The deadline is a keyword, and one beyond what is asked for is a mistake."""
    subject = vm1(read(beat(20)))
    assert not findings(assert_heartbeat, subject, within=20)
    for wrong in (0, 1441):
        with pytest.raises(ConfigurationError, match="between 1 and 1440"):
            findings(assert_heartbeat, subject, within=wrong)


def test_one_fresh_workspace_of_several_is_enough() -> None:
    """A workspace that is denied, stale or not asked does no harm where another has a fresh row."""
    for first in (read(gap=REFUSED), read(beat(200)), read()):
        assert_heartbeat(vm1(first, read(beat(), workspace_id=OTHER), plan=two_workspaces()))
    assert_heartbeat(vm1(read(beat(), workspace_id=OTHER), plan=two_workspaces()))


def test_without_a_fresh_row_a_denied_workspace_is_unverified() -> None:
    """The row may be where nobody could look."""
    subject = vm1(read(beat(200)), read(workspace_id=OTHER, gap=REFUSED), plan=two_workspaces())
    with pytest.raises(AccessDeniedError, match="queries are refused"):
        assert_heartbeat(subject)


def test_the_newest_of_two_stale_rows_is_told() -> None:
    """With both workspaces named."""
    subject = vm1(read(beat(200)), read(beat(100), workspace_id=OTHER), plan=two_workspaces())
    (found,) = findings(assert_heartbeat, subject)
    assert found.observed.endswith("in 'other'")
    assert "100 min" in found.observed
    assert found.property == "Heartbeat in workspace 'ws', 'other'"


def test_a_workspace_that_was_not_asked_is_unverified() -> None:
    """A rule that was associated after the queries sends somewhere that nobody looked at."""
    with pytest.raises(NotReadError, match="was not asked"):
        assert_heartbeat(vm1(read(workspace_id=OTHER)))


@pytest.mark.parametrize("rows", [(), (beat(200),)])
def test_what_is_not_whole_proves_no_absence(rows: tuple[Heartbeat, ...]) -> None:
    """Rows may be missing from a partial answer, also newer ones; a fresh one that is there counts."""
    half = Gap(kind=GapKind.MALFORMED, message="the answer is not whole")
    with pytest.raises(DocumentError, match="not whole"):
        assert_heartbeat(vm1(read(*rows, gap=half, answered=True)))
    assert_heartbeat(vm1(read(beat(), gap=half, answered=True)))


def test_a_row_from_the_future_is_unverified() -> None:
    """A clock is wrong by more than the deadline: the row may be hours old."""
    with pytest.raises(DocumentError, match="a clock is wrong"):
        assert_heartbeat(vm1(read(beat(-11))))


def test_a_long_deadline_is_no_leave_for_clocks() -> None:
    """A clock that is hours ahead makes a row of yesterday look fresh, however long the deadline is."""
    with pytest.raises(DocumentError, match="ahead by 700 min"):
        findings(assert_heartbeat, vm1(read(beat(-700))), within=1440)
    assert not findings(assert_heartbeat, vm1(read(beat(-9.9))), within=1440)


def test_the_own_clock_counts_only_where_the_service_told_no_time() -> None:
    """The local clock is a day behind here: the row is from the future then."""
    assert_heartbeat(vm1(read(beat())))
    with pytest.raises(DocumentError, match="a clock is wrong"):
        assert_heartbeat(vm1(read(beat(), answered_at=None)))


@pytest.mark.parametrize("category", ["Direct Agent", "", "SCOM Agent"])
def test_another_agents_heartbeat_proves_nothing(category: str) -> None:
    """The retired agents send heartbeats as well."""
    for rule in (assert_heartbeat, assert_heartbeat_private):
        with pytest.raises(DocumentError, match="AMPLS507"):
            rule(vm1(read(beat(category=category))))


def test_a_time_beyond_all_calendars_is_printed() -> None:
    """A row's time is another's text."""
    far = Heartbeat(machine=VM1, time_generated=9e18, category="Azure Monitor Agent")
    with pytest.raises(DocumentError, match="after the epoch"):
        assert_heartbeat(vm1(read(far)))


def test_a_throttled_workspace_is_unverified() -> None:
    """The kind of the gap is the kind of the error."""
    with pytest.raises(ThrottledError):
        assert_heartbeat(vm1(read(gap=Gap(kind=GapKind.THROTTLED, message="too many"))))


def test_unread_rules_are_unverified() -> None:
    """Which workspaces a machine sends to must be known."""
    plan = monitored_estate()
    plan.gaps[ASSOCIATIONS] = denied("associations")
    with pytest.raises(AccessDeniedError):
        assert_heartbeat(vm1(read(beat()), plan=plan))


# ------------------------------------------------------------------- what they do not concern

ON_MACHINES: list[Rule[Any]] = [assert_heartbeat, assert_heartbeat_private]


@pytest.mark.parametrize("rule", ON_MACHINES)
def test_without_queries_there_is_no_verdict(rule: Rule[Any]) -> None:
    """Where nobody asked, the rules do not apply, and name the option."""
    assert "--ampls-logs" in why_not_applicable(rule, machine(monitored_estate().build()))


@pytest.mark.parametrize("rule", ON_MACHINES)
@pytest.mark.parametrize("name", ["uniform", "flexible"])
def test_a_scale_set_sends_nothing_itself(rule: Rule[Any], name: str) -> None:
    """Flexible instances are machines; which rows are a Uniform set's is not certain."""
    assert "scale set" in why_not_applicable(rule, machine(logged(read()), name))


@pytest.mark.parametrize("rule", ON_MACHINES)
def test_metrics_alone_bring_no_heartbeat(rule: Rule[Any]) -> None:
    """Heartbeats go to the workspaces of rules; without any there is none."""
    plan = monitored_estate()
    plan[DCRS, "dcr-linux"]["properties"]["destinations"] = {"azureMonitorMetrics": {"name": "metrics"}}
    assert "sends to a workspace" in why_not_applicable(rule, vm1(plan=plan))
    plan = monitored_estate()
    unassociated(plan, "vm1", "dcr")
    assert "AMPLS401" in why_not_applicable(rule, vm1(plan=plan))


# ------------------------------------------------------------------- 602


@pytest.mark.parametrize("more", [{}, {"computer_private_ips": ("192.168.1.4", "nonsense")}])
def test_the_private_path_holds(more: dict[str, Any]) -> None:
    """The low 32 bits are an address of its interface, or one that it names itself."""
    plan = monitored_estate()
    if more:
        plan.gaps[NICS] = denied("interfaces")
    assert_heartbeat_private(vm1(read(beat(sender=f"{PRIVATE}104", **more)), plan=plan))


def test_a_public_address_is_a_finding() -> None:
    """It says which address was seen, and names the network to mend."""
    (found,) = findings(assert_heartbeat_private, vm1(read(beat(sender="52.143.0.42"))))
    assert found.observed == "52.143.0.42, a public address, at 2026-09-21 14:12:20Z"
    assert found.property == "Heartbeat.ComputerIP in workspace 'ws'"
    assert found.tokens["network"].endswith("/spoke1")


@pytest.mark.parametrize(
    "sender",
    [
        f"{PRIVATE}105",
        "fd41:1085:12:6d79:7712:100:c0a8:104",
        "2603:1020::c0a8:104",
        "192.168.1.4",
        "169.254.1.1",
        "::ffff:192.168.1.4",
        "",
        "nonsense",
        f"{PRIVATE}104%eth0",
    ],
)
def test_every_other_address_is_unverified(sender: str) -> None:
    """Neither private nor public for certain: the pattern is not known."""
    with pytest.raises(DocumentError, match="pattern is not known"):
        assert_heartbeat_private(vm1(read(beat(sender=sender))))


def test_no_heartbeat_has_no_way() -> None:
    """Where none arrived AMPLS601 says so."""
    assert "AMPLS601" in why_not_applicable(assert_heartbeat_private, vm1(read()))


@pytest.mark.parametrize("rows", [(), (beat(sender=f"{PRIVATE}104"),)])
def test_a_refused_or_partial_answer_has_no_way_either(rows: tuple[Heartbeat, ...]) -> None:
    """What may not be the newest row tells nothing."""
    with pytest.raises(AccessDeniedError):
        assert_heartbeat_private(vm1(read(*rows, gap=REFUSED)))


def test_a_workspace_outside_of_all_scopes_has_no_private_path() -> None:
    """AMPLS407 says that it is in no scope; a public address is what it gets then."""
    plan = two_workspaces()
    public = read(beat(sender="52.143.0.42"), workspace_id=OTHER)
    assert_heartbeat_private(vm1(read(beat(sender=f"{PRIVATE}104")), public, plan=plan))
    assert "AMPLS407" in why_not_applicable(assert_heartbeat_private, vm1(read(), public, plan=plan))


def reporting() -> MonitoredBlueprint:
    """Return an estate whose workspace says that it is in a scope, and no scope that was read lists it."""
    plan = monitored_estate()
    del plan[MEMBERS, "ampls/ws"]
    elsewhere = {"resourceId": "/subscriptions/elsewhere", "scopeId": "dddddddd-0000-4000-8000-000000000001"}
    plan[WORKSPACES, "ws"]["properties"]["privateLinkScopedResources"] = [elsewhere]
    return plan


def test_a_scope_that_was_not_read_is_still_one() -> None:
    """A workspace that says it is in a scope is no workspace outside of all: its public rows are not passed over."""
    assert_heartbeat_private(vm1(read(beat(sender=f"{PRIVATE}104")), plan=reporting()))
    with pytest.raises(NotReadError, match="no scope that was read lists it"):
        assert_heartbeat_private(vm1(read(beat(sender="52.143.0.42")), plan=reporting()))


def test_a_workspace_that_was_not_read_may_be_in_a_scope() -> None:
    """Without its document nobody knows whether it says so."""
    plan = reporting()
    plan.gaps[WORKSPACES] = denied("workspaces")
    del plan.documents[WORKSPACES]
    with pytest.raises(AccessDeniedError):
        assert_heartbeat_private(vm1(read(beat(sender="52.143.0.42")), plan=plan))


def test_a_finding_is_kept_beside_what_is_unverified() -> None:
    """One workspace got it publicly, and what the other got is not known."""
    plan = monitored_estate()
    unknown = vm1(read(beat(sender="52.143.0.42")), plan=plan)
    assert findings(assert_heartbeat_private, unknown)
    plan.gaps[AMPLS] = denied("scopes")
    with pytest.raises(EvidenceError):
        findings(assert_heartbeat_private, vm1(read(beat()), plan=plan))


def test_an_arc_machine_is_judged_by_what_it_names() -> None:
    """Azure knows no address of it."""
    own = next(each.id for each in logged().machines if each.label == "arc")
    row = beat(sender=f"{PRIVATE}104", own=own, computer_private_ips=("192.168.1.4",))
    assert_heartbeat_private(machine(logged(read(row)), "arc"))
    public = beat(sender="52.143.0.42", own=own)
    assert "network" not in findings(assert_heartbeat_private, machine(logged(read(public)), "arc"))[0].tokens
