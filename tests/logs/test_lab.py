"""The lab's workspaces, asked by whole runs: verdicts, processes, recordings, waiting, diagnoses."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import msgspec
import pytest

from pytest_ampls.arm.snapshot import load
from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.assertions.tracing import stages_of
from pytest_ampls.catalogue import Evidence, Verdict
from pytest_ampls.effective.data_path import StageVerdict
from pytest_ampls.lab import faults
from pytest_ampls.model import Estate, GapKind
from tests.guards.suite import explain, judge_all, lab_snapshot, rules_with
from tests.plugin.conftest import run_pytest

SUITE = ("--pyargs", "pytest_ampls.conformance.test_data", "-p", "no:cacheprovider", "-rsfE")
LOG_RULES = {rule.id for rule in CATALOGUE.values() if Evidence.LOGS in rule.evidence and not rule.derived}
BLINDING = [fault for fault in faults().values() if fault.kind == "logs" and not fault.breaks]


@pytest.mark.parametrize("fault", BLINDING, ids=lambda fault: fault.name)
def test_a_fault_that_breaks_nothing_blinds_what_it_names(fault: object) -> None:
    """What cannot be verified then is that of the entry, and nothing is broken."""
    declared = faults()[fault.name]  # type: ignore[attr-defined]  # parametrized with faults
    outcomes = judge_all(Estate(lab_snapshot(f"hub-and-spoke+{declared.name}")))
    assert not explain(outcomes, Verdict.BROKEN)
    assert rules_with(outcomes, Verdict.UNVERIFIED) == set(declared.blinds)


def test_a_partial_answer_holds_for_the_machines_that_are_in_it() -> None:
    """Half of the rows are there: those machines have sent, of the others nothing is known."""
    outcomes = judge_all(Estate(lab_snapshot("hub-and-spoke+query-partial")))
    verdicts = {verdict for (rule, _), verdict in outcomes.items() if rule == "AMPLS601"}
    assert verdicts == {Verdict.HELD, Verdict.UNVERIFIED}
    assert rules_with(outcomes, Verdict.HELD) >= {"AMPLS606"}


def test_the_two_refusals_are_told_apart() -> None:
    """One is about the network and one about rights; each message says which."""
    (network,) = lab_snapshot("hub-and-spoke+query-refused-network").logs
    (role,) = lab_snapshot("hub-and-spoke+query-refused-role").logs
    assert network.gap is not None
    assert role.gap is not None
    assert network.gap.kind is role.gap.kind is GapKind.DENIED
    assert (network.refused_by_network, role.refused_by_network) == (True, False)
    assert "NspValidationFailedError" in network.gap.message
    assert "Log Analytics Reader" in role.gap.message


def test_each_workspace_is_asked_once() -> None:
    """One query for a workspace, whatever the number of machines."""
    snapshot = lab_snapshot("fleet:vms=12", logs=True)
    assert snapshot.logs
    calls = snapshot.statistics.calls_by_type["Microsoft.OperationalInsights/workspaces/query"]
    assert calls == len(snapshot.logs)


def test_without_the_option_nothing_is_asked_and_each_test_is_skipped_once(pytester: pytest.Pytester) -> None:
    """One skip for each test, and not for each machine; the reason names the option."""
    result = pytester.runpytest_subprocess(*SUITE, "--ampls-lab=hub-and-spoke")
    result.assert_outcomes(skipped=3)
    assert len(re.findall(r"^SKIPPED.*give --ampls-logs", result.stdout.str(), re.MULTILINE)) == 3
    assert "log quer" not in result.stdout.str()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_verdicts_are_the_same_in_several_processes(pytester: pytest.Pytester, workers: str) -> None:
    """Workers judge what the controller was answered, and ask nothing themselves."""
    options = ("--ampls-lab=hub-and-spoke+heartbeat-stale", "--ampls-logs", "-n", workers)
    result = pytester.runpytest_subprocess(*SUITE, *options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"failed": 1, "passed": 16}
    text = result.stdout.str()
    assert "test_ampls601_heartbeat[spoke1]" in text
    assert re.search(r"the last one is 18[01] min old", text)
    assert ", 1 log query, " in text


def test_a_recording_is_judged_again_and_holds_no_secret(tmp_path: Path) -> None:
    """The rows are in the file, with their ages as they were; tokens and foreign rows are not."""
    file = tmp_path / "run.ampls"
    lab = ("--ampls-lab=hub-and-spoke+heartbeat-missing", "--ampls-logs")
    recorded = run_pytest(tmp_path, *SUITE, *lab, f"--ampls-snapshot-out={file}")
    replayed = run_pytest(tmp_path, *SUITE, f"--ampls-snapshot={file}")
    assert recorded.returncode == replayed.returncode == 1
    for result in (recorded, replayed):
        assert "no heartbeat in 24 h in 'amplstest12345'" in result.stdout
        assert "1 failed, 15 passed, 1 skipped" in result.stdout
    snapshot = load(file)
    machines = {machine.key for machine in Estate(snapshot).machines}
    (reading,) = snapshot.logs
    assert {row.machine.lower() for row in reading.heartbeats} <= machines
    content = gzip.decompress(file.read_bytes())
    assert b"Heartbeat" not in content  # neither the query nor its answer as it came
    assert not re.search(rb"(?i)bearer|eyJ[\w-]{8,}", content)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_heartbeats_that_begin_are_waited_for(pytester: pytest.Pytester, workers: str) -> None:
    """A machine that starts to send during the wait makes its test true, and the workspace is asked again."""
    options = ("--ampls-lab=hub-and-spoke:mends_after=8+heartbeat-missing", "--ampls-logs", "--ampls-wait=2m")
    result = pytester.runpytest_subprocess(*SUITE, *options, "-n", workers)
    assert result.ret == pytest.ExitCode.OK
    assert re.search(r"became true after \d+ s: .*test_ampls601_heartbeat\[spoke1\]", result.stdout.str())


def test_throttling_and_slowness_cost_time_and_nothing_else(pytester: pytest.Pytester) -> None:
    """429 within the budget, and an answer that takes a second, give the same verdicts."""
    options = ("--ampls-lab=hub-and-spoke+query-throttled+query-slow=1", "--ampls-logs")
    result = pytester.runpytest_subprocess(*SUITE, *options)
    result.assert_outcomes(passed=17)
    assert ", 1 throttled" in result.stdout.str()


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        ("hub-and-spoke", 0, "spoke1's data gets through all 10 stages."),
        ("hub-and-spoke+heartbeat-public", 0, "spoke1's data gets through all 10 stages."),
        ("hub-and-spoke+heartbeat-missing", 1, "spoke1's data stops at stage 10"),
        ("hub-and-spoke+query-refused-role", 2, "stage 10 was unverified"),
        ("hub-and-spoke+query-refused-network", 2, "stage 10 was unverified"),
    ],
)
def test_the_last_stage_of_a_diagnosis(tmp_path: Path, spec: str, code: int, said: str) -> None:
    """With guests, probes and logs a healthy machine has all ten stages held, and the exit code says so."""
    looked = ("--ampls-run-command", "--ampls-probe", "--ampls-logs")
    result = run_pytest(tmp_path, f"--ampls-lab={spec}", *looked, "--ampls-diagnose=spoke1")
    assert result.returncode == code
    assert said in " ".join(result.stdout.split())
    if spec.endswith("public"):
        assert "AMPLS602" in result.stdout


def test_without_the_option_the_last_stage_says_how(tmp_path: Path) -> None:
    """Nine stages held are not ten, and the option is named."""
    result = run_pytest(
        tmp_path, "--ampls-lab=hub-and-spoke", "--ampls-run-command", "--ampls-diagnose=spoke1"
    )
    assert result.returncode == 2
    assert "stage 10 was not looked at" in " ".join(result.stdout.split())
    assert "--ampls-logs" in result.stdout


def test_a_workspace_that_was_not_read_is_unverified() -> None:
    """Its workspace id is in its document: without that it cannot be asked, and no machine of it passes."""
    denied = "hub-and-spoke+denied=Microsoft.OperationalInsights/workspaces"
    outcomes = judge_all(Estate(lab_snapshot(denied, logs=True)))
    verdicts = {verdict for (rule, _), verdict in outcomes.items() if rule in LOG_RULES}
    assert verdicts == {Verdict.UNVERIFIED}


def test_a_way_that_cannot_be_told_stops_nothing_that_arrived() -> None:
    """The last stage holds by what arrived; which way it came is told beside it, and is no part of that."""
    snapshot = lab_snapshot("hub-and-spoke", logs=True)
    (reading,) = snapshot.logs
    rows = tuple(msgspec.structs.replace(row, computer_ip="10.0.0.4") for row in reading.heartbeats)
    odd = msgspec.structs.replace(reading, heartbeats=rows)
    estate = Estate(msgspec.structs.replace(snapshot, logs=(odd,)))
    last = stages_of(estate.virtual_machines[0])[-1]
    assert last.verdict is StageVerdict.HELD
    assert [check.verdict for check in last.checks] == [Verdict.HELD, Verdict.UNVERIFIED]
    assert last.read_at == reading.read_at
