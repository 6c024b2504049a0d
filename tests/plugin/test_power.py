"""Machines that are switched off, in whole runs: green for what holds, skipped for what cannot be seen."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import msgspec
import pytest

from pytest_ampls.arm.power import INSTANCE_VIEW
from pytest_ampls.arm.snapshot import load
from pytest_ampls.assertions.data_path import assert_data_path
from pytest_ampls.catalogue import NotApplicable, Verdict
from pytest_ampls.errors import NotReadError
from pytest_ampls.lab import Lab, faults
from pytest_ampls.lab.estate import compute
from pytest_ampls.lab.estate.site import Site
from pytest_ampls.lab.store import Estate as LabEstate
from pytest_ampls.model import Estate
from pytest_ampls.model.needs import ANSWERS, LOGS, POWER, Needs
from pytest_ampls.model.power import PowerReading
from pytest_ampls.reading import Source
from pytest_ampls.settings import Settings
from tests.assertions.machines import machine
from tests.guards.suite import explain, judge_all, lab_snapshot, rules_with
from tests.guest.test_vantage_points import seen, verdicts
from tests.plugin.conftest import run_pytest

NIGHT = "hub-and-spoke+machine-off"
SUITE = ("--pyargs", "pytest_ampls.conformance", "-p", "no:cacheprovider", "-rsE")
LOOKED = ("--ampls-logs", "--ampls-run-command")
DENIED = f"denied={INSTANCE_VIEW}"


def test_a_machine_that_was_shut_down_is_off_too() -> None:
    """Stopped is like deallocated: the rules of the fault's entry do not apply, and nothing is red."""
    outcomes = judge_all(Estate(lab_snapshot(f"{NIGHT}=stopped")))
    assert not explain(outcomes, Verdict.BROKEN, Verdict.UNVERIFIED)
    excused = {
        rule
        for (rule, label), verdict in outcomes.items()
        if label.endswith("machine=spoke1") and verdict is Verdict.NOT_APPLICABLE
    }
    assert excused == set(faults()["machine-off"].excuses)


def test_a_healthy_estate_costs_no_call() -> None:
    """Nobody is asked for where every guest answered and every heartbeat is fresh; otherwise those that are silent."""
    healthy = lab_snapshot("hub-and-spoke", guests=True, logs=True)
    assert INSTANCE_VIEW not in healthy.statistics.calls_by_type
    assert healthy.power == ()
    assert lab_snapshot(NIGHT).statistics.calls_by_type[INSTANCE_VIEW] == 1


def test_without_a_look_at_what_runs_nobody_is_asked_for(tmp_path: Path) -> None:
    """A run that looks at the configuration alone does not care whether machines are on."""
    result = run_pytest(
        tmp_path, *SUITE, f"--ampls-lab={NIGHT}", f"--ampls-snapshot-out={tmp_path}/run.ampls"
    )
    assert result.returncode == 0
    assert load(tmp_path / "run.ampls").power == ()


@pytest.mark.parametrize("fault", ["heartbeat-stale", f"machine-off+{DENIED}", "machine-off=unknown"])
def test_what_was_not_seen_off_is_as_red_as_ever(fault: str) -> None:
    """A machine that is on and silent, a state that may not be read, one that Azure does not know."""
    outcomes = judge_all(Estate(lab_snapshot(f"hub-and-spoke+{fault}")))
    assert rules_with(outcomes, Verdict.BROKEN) == {"AMPLS601"}
    excused = set(faults()["machine-off"].excuses) - {"AMPLS601", "AMPLS602"}
    unverified = rules_with(outcomes, Verdict.UNVERIFIED)
    assert unverified == (set() if fault == "heartbeat-stale" else excused)


def test_a_machine_on_its_way_is_unverified() -> None:
    """Neither red nor skipped."""
    outcomes = judge_all(Estate(lab_snapshot("hub-and-spoke+machine-off=starting")))
    assert not explain(outcomes, Verdict.BROKEN)
    assert rules_with(outcomes, Verdict.UNVERIFIED) == set(faults()["machine-off"].excuses)


def test_an_estate_may_be_built_with_machines_that_are_off() -> None:
    """What the plan says is served, for a fault to hit another machine."""
    estate = LabEstate("night")
    group = estate.add_group(estate.add_subscription("s", "night"), "rg", "westeurope")
    site = Site(estate, group, "westeurope")
    vm = compute.virtual_machine(site, "vm", nic_id="nic", identity={}, power="stopped")
    assert estate.power == {vm["id"].lower(): "stopped"}
    assert compute.virtual_machine(site, "other", nic_id="nic", identity={})["id"].lower() not in estate.power
    with Lab.from_spec("hub-and-spoke") as lab:
        assert lab.estate.power == {}


# ------------------------------------------------------------------- processes, recordings, waiting


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_suite_is_green_by_night(tmp_path: Path, workers: str) -> None:
    """No error and no failure; each skip names the machine, its state, and when it was read. Workers agree."""
    result = run_pytest(tmp_path, *SUITE, f"--ampls-lab={NIGHT}", *LOOKED, "-n", workers)
    assert result.returncode == 0
    said = " ".join(result.stdout.split())
    reason = r"virtual machine 'spoke1' is deallocated \(read at \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\): nothing runs there"
    assert re.search(f"{reason} that could send", said)
    assert re.search(f"{reason} that could be looked at", said)


def test_a_recording_says_the_same_without_azure(tmp_path: Path) -> None:
    """The state and its time are in the file; nothing else of the instance view is."""
    file = tmp_path / "run.ampls"
    recorded = run_pytest(tmp_path, *SUITE, f"--ampls-lab={NIGHT}", *LOOKED, f"--ampls-snapshot-out={file}")
    replayed = run_pytest(tmp_path, *SUITE, f"--ampls-snapshot={file}")
    assert recorded.returncode == replayed.returncode == 0
    assert "is deallocated (read at" in replayed.stdout
    (reading,) = load(file).power
    assert reading.is_off
    assert b"PowerState" not in gzip.decompress(file.read_bytes())


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_machine_that_starts_is_waited_for(tmp_path: Path, workers: str) -> None:
    """Its state is read anew with what its tests rest on, and they become true."""
    lab = "--ampls-lab=hub-and-spoke:mends_after=8+machine-off=starting"
    module = "pytest_ampls.conformance.test_data"
    result = run_pytest(tmp_path, "--pyargs", module, lab, "--ampls-logs", "--ampls-wait=2m", "-n", workers)
    assert result.returncode == 0
    assert re.search(r"became true after \d+ s: .*test_ampls601_heartbeat\[spoke1\]", result.stdout)


# ------------------------------------------------------------------- the diagnosis


def diagnosis(folder: Path, spec: str, *more: str) -> tuple[int, str]:
    """Return the exit code and the text of a diagnosis of spoke1."""
    result = run_pytest(folder, f"--ampls-lab={spec}", *more, "--ampls-diagnose=spoke1")
    return result.returncode, result.stdout


def test_the_diagnosis_says_it_first(tmp_path: Path) -> None:
    """Before anything else; the stages that only a running machine proves do not apply, and that is not all held."""
    code, text = diagnosis(tmp_path, NIGHT, *LOOKED, "--ampls-probe")
    assert code == 2
    lines = text.splitlines()
    first = next(
        number for number, line in enumerate(lines) if line.startswith("spoke1 is deallocated (read at")
    )
    assert first < next(number for number, line in enumerate(lines) if "nothing was found" in line)
    stages = [line[6:20].strip() for line in lines if re.match(r"  [ 1]\d  ", line)]
    assert [stages.count(mark) for mark in ("held", "not applicable")] == [3, 7]
    assert " ".join(text.split()).count("not applicable: virtual machine 'spoke1' is deallocated") == 7


def test_a_break_in_the_configuration_is_named_all_the_same(tmp_path: Path) -> None:
    """It is there whether the machine runs or not."""
    code, text = diagnosis(tmp_path, f"{NIGHT}+zone-unlinked", "--ampls-logs", "--ampls-diagnose-format=json")
    found = json.loads(text)["machines"][0]
    assert (code, found["firstBroken"], found["rule"]) == (1, 9, "AMPLS301")
    assert found["power"].startswith("deallocated (read at")
    assert found["stages"][9]["verdict"] == "not applicable"


def test_a_healthy_machine_has_no_such_line(tmp_path: Path) -> None:
    """Its state was not asked for."""
    code, text = diagnosis(tmp_path, "hub-and-spoke", *LOOKED, "--ampls-probe")
    assert code == 0
    assert "read at" not in text


def test_the_data_path_of_a_machine_that_is_off_does_not_apply() -> None:
    """As an assertion: no finding and no error, unless something is unverified or was not looked at."""
    snapshot = lab_snapshot(NIGHT)
    with pytest.raises(NotApplicable, match=r"stage 2 of 'spoke1' .*is deallocated"):
        tuple(assert_data_path.check(machine(Estate(snapshot), "spoke1")))
    without = Estate(msgspec.structs.replace(snapshot, answers=()))
    with pytest.raises(NotReadError, match="stage 6"):
        tuple(assert_data_path.check(machine(without, "spoke1")))


# ------------------------------------------------------------------- vantage points


def test_a_vantage_point_that_is_off_is_not_asked() -> None:
    """Nobody resolves anything there: nothing is red, and what other servers answer is judged as ever."""
    outcomes = judge_all(seen(NIGHT))
    assert not explain(outcomes, Verdict.BROKEN, Verdict.UNVERIFIED)
    assert outcomes["AMPLS310", "private_endpoint=ampls/resolver=vm"] is Verdict.NOT_APPLICABLE
    assert outcomes["AMPLS311", "private_endpoint=ampls/resolver=vm"] is Verdict.NOT_APPLICABLE
    assert outcomes["AMPLS312", "virtual_network=spoke1"] is Verdict.HELD


def test_what_a_vantage_point_answered_before_is_judged() -> None:
    """A machine that told something, and was switched off a moment later, has told it."""
    estate = seen("hub-and-spoke+hosts-override")
    own = next(guest.machine for guest in estate.snapshot.guests if guest.machine.endswith("/spoke1"))
    power = (PowerReading(machine=own, state="deallocated"),)
    found = verdicts(Estate(msgspec.structs.replace(estate.snapshot, power=power)))
    assert found == dict.fromkeys(("AMPLS310", "AMPLS311", "AMPLS312"), Verdict.BROKEN)


def test_a_vantage_point_that_runs_and_says_nothing_is_unverified() -> None:
    """The instance view may not be read: then it is not known why it said nothing."""
    found = verdicts(seen(f"{NIGHT}+{DENIED}"))
    assert set(found.values()) == {Verdict.UNVERIFIED}


# ------------------------------------------------------------------- read again


def test_a_state_is_read_anew_for_the_machine_that_is_waited_for() -> None:
    """What is judged again has a state of its own time; of other machines it stays as it was."""
    settings = Settings(lab=NIGHT, logs=True, wait=60.0, dns_timeout=2.0, origins={"lab": "--ampls-lab"})
    with Source(settings) as source:
        snapshot = source.read()
        own = next(each.machine for each in snapshot.power)
        other = own.replace("spoke1", "spoke3")
        times = [snapshot.power[0].read_at]
        for needs in (
            Needs.of({LOGS, POWER}, [other]),
            Needs.of({ANSWERS}, [own]),
            Needs.of({LOGS, POWER}, [own]),
            Needs.of({POWER}, []),
        ):
            (reading,) = source.renew(needs).power
            assert reading.is_off
            times.append(reading.read_at)
    assert times[0] == times[1] == times[2] < times[3] < times[4]
