"""Machines that show no life: excused where they were seen off, and judged as ever where they were not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pytest_ampls.assertions import assert_agent_running, assert_heartbeat, assert_heartbeat_private
from pytest_ampls.catalogue import ConformanceError, judgements
from pytest_ampls.effective.silence import silent_machines
from pytest_ampls.errors import AccessDeniedError, EvidenceError, NotReadError, UnreachableError
from pytest_ampls.model import Estate, Gap, GapKind, Machine, VirtualMachine
from pytest_ampls.model.guest_state import GuestState
from pytest_ampls.model.log_rows import LogReading
from pytest_ampls.model.needs import POWER
from pytest_ampls.model.power import PowerReading
from tests.assertions.log_readings import (
    NOW,
    OTHER,
    PRIVATE,
    REFUSED,
    VM1,
    beat,
    logged,
    read,
    two_workspaces,
)
from tests.assertions.machines import (
    findings,
    machine,
    monitored_estate,
    observed,
    unassociated,
    why_not_applicable,
)
from tests.builders import ARC_MACHINES

WHEN = "(read at 2026-09-21 14:13:20Z)"
DENIED = Gap(kind=GapKind.DENIED, message="no right to read the instance view", status=403)
TIMEOUT = Gap(kind=GapKind.UNREACHABLE, message="ssh to vm1: there was no answer in time")
OFF = ("deallocated", "stopped")
CHANGING = ("starting", "stopping", "deallocating")
OTHERS = ("running", "unknown", "hibernated")


def powered(estate: Estate, state: str = "", gap: Gap | None = None, own: str = VM1) -> Machine:
    """Return vm1 of an estate in which a machine's power state was read."""
    reading = PowerReading(machine=own.upper(), state=state, read_at=NOW, gap=gap)
    return machine(Estate(msgspec.structs.replace(estate.snapshot, power=(reading,))))


def guested(gap: Gap | None = TIMEOUT, **told: Any) -> Estate:
    """Return an estate in which the guest of vm1 was to be looked at."""
    state = GuestState(machine=VM1, via="ssh", system="Linux", gap=gap, **told)
    return Estate(msgspec.structs.replace(monitored_estate().build().snapshot, guests=(state,)))


# ------------------------------------------------------------------- 601 and 602


@pytest.mark.parametrize("state", OFF)
def test_a_machine_that_is_off_need_not_send(state: str) -> None:
    """Not applicable, with the state, when it was read, and the last heartbeat there was."""
    reason = why_not_applicable(assert_heartbeat, powered(logged(read(beat(181))), state))
    assert reason.startswith(f"virtual machine 'vm1' is {state} {WHEN}: nothing runs there that could send;")
    assert "the last one is 181 min old" in reason
    silent = why_not_applicable(assert_heartbeat, powered(logged(read()), state))
    assert silent.endswith("no heartbeat in 24 h in 'ws'")


@pytest.mark.parametrize("state", OTHERS)
def test_a_machine_that_is_not_off_is_still_broken(state: str) -> None:
    """A machine that runs and sends nothing is the finding that it was, and says that it runs."""
    subject = powered(logged(read(beat(181))), state)
    said = "in an unknown power state" if state == "unknown" else state
    assert observed(assert_heartbeat, subject) == (
        f"the last one is 181 min old (2026-09-21 11:12:20Z), in 'ws'; the machine is {said} {WHEN}"
    )


@pytest.mark.parametrize("kind", GapKind)
def test_a_state_that_could_not_be_read_excuses_nothing(kind: GapKind) -> None:
    """Denied, gone, malformed, never asked: broken as ever, with the reason beside it."""
    gap = Gap(kind=kind, message="no state")
    assert observed(assert_heartbeat, powered(logged(read()), gap=gap)) == (
        "no heartbeat in 24 h in 'ws'; whether the machine is switched on is not known: no state"
    )
    # A state beside a gap is none.
    assert findings(assert_heartbeat, powered(logged(read()), "deallocated", gap))


def test_a_state_of_another_machine_excuses_nothing() -> None:
    """The state counts for the machine that it was read of."""
    assert findings(assert_heartbeat, powered(logged(read()), "deallocated", own=f"{VM1}0"))


@pytest.mark.parametrize("state", CHANGING)
def test_a_machine_on_its_way_is_unverified(state: str) -> None:
    """In a moment it is on or off: neither red nor skipped."""
    subject = powered(logged(read(beat(181, f"{PRIVATE}104"))), state)
    for rule in (assert_heartbeat, assert_heartbeat_private):
        with pytest.raises(NotReadError, match=f"'vm1' is {state} .*: run again, or give --ampls-wait"):
            rule(subject)


@pytest.mark.parametrize("state", [*OFF, *CHANGING])
def test_a_fresh_heartbeat_holds_whatever_the_state(state: str) -> None:
    """What was seen is judged: it arrived within the deadline, and by which way."""
    subject = powered(logged(read(beat(9, f"{PRIVATE}104"))), state)
    for rule in (assert_heartbeat, assert_heartbeat_private):
        assert not findings(rule, subject)


def test_a_workspace_that_did_not_answer_matters_to_machines_that_run_alone() -> None:
    """Nothing can have been sent by a machine that is off, whatever the other workspace would have said."""
    estate = logged(read(), read(gap=REFUSED, workspace_id=OTHER), plan=two_workspaces())
    assert "is deallocated" in why_not_applicable(assert_heartbeat, powered(estate, "deallocated"))
    with pytest.raises(AccessDeniedError):
        assert_heartbeat(powered(estate, "running"))


def test_an_old_row_by_the_public_way_is_found_all_the_same() -> None:
    """That a machine is off by now does not undo what was seen of it; a private row proves nothing of now."""
    assert "203.0.113.9" in observed_broken(powered(logged(read(beat(181))), "deallocated"))
    private = powered(logged(read(beat(181, f"{PRIVATE}104"))), "deallocated")
    assert "is deallocated" in why_not_applicable(assert_heartbeat_private, private)


def observed_broken(subject: Machine) -> str:
    """Return what AMPLS602 found, as an assertion finds it."""
    with pytest.raises(ConformanceError) as caught:
        assert_heartbeat_private(subject)
    return caught.value.findings[0].observed


def test_what_arc_says_is_told_and_excuses_nothing() -> None:
    """Disconnected is what a machine without a network is as well."""
    plan = monitored_estate()
    plan[ARC_MACHINES, "arc"]["properties"]["status"] = "Disconnected"
    subject = machine(logged(read(), plan=plan), "arc")
    assert observed(assert_heartbeat, subject).endswith(
        "; Azure Arc calls the machine Disconnected: it is off, or cut off"
    )
    plan[ARC_MACHINES, "arc"]["properties"]["status"] = "Connected"
    assert "Arc" not in observed(assert_heartbeat, machine(logged(read(), plan=plan), "arc"))


# ------------------------------------------------------------------- guests


@pytest.mark.parametrize("state", OFF)
def test_a_guest_of_a_machine_that_is_off_is_not_judged(state: str) -> None:
    """There is nothing to look at; the ledger has the reason."""
    with judgements() as kept:
        assert_agent_running(powered(guested(), state))
    (judgement,) = kept
    assert judgement.verdict == "not applicable"
    assert (
        judgement.reason
        == f"virtual machine 'vm1' is {state} {WHEN}: nothing runs there that could be looked at"
    )


@pytest.mark.parametrize(
    ("state", "gap", "said"),
    [
        ("running", None, f"; the machine is running {WHEN}"),
        ("unknown", None, f"; the machine is in an unknown power state {WHEN}"),
        ("", DENIED, "; whether the machine is switched on is not known: no right to read the instance view"),
    ],
)
def test_a_guest_that_was_not_reached_stays_unverified(state: str, gap: Gap | None, said: str) -> None:
    """The same error as ever, with what is known of the state behind it."""
    with pytest.raises(UnreachableError) as caught:
        assert_agent_running(powered(guested(), state, gap))
    assert str(caught.value) == f"{TIMEOUT.message}{said}"


@pytest.mark.parametrize("state", CHANGING)
def test_a_guest_of_a_machine_on_its_way_is_unverified(state: str) -> None:
    """It may be reached in a moment."""
    with pytest.raises(NotReadError, match=f"is {state}"):
        assert_agent_running(powered(guested(), state))


def test_a_guest_that_told_something_is_judged() -> None:
    """What it told was true then, though the machine was switched off a moment later."""
    estate = guested(None, services={"azuremonitoragent": "failed"})
    assert observed(assert_agent_running, powered(estate, "deallocated")) == "failed"


# ------------------------------------------------------------------- who is asked for


def silent(
    guests: tuple[GuestState, ...] = (), logs: tuple[LogReading, ...] = (), estate: Estate | None = None
) -> set[str]:
    """Return the names of the machines whose state is worth a call."""
    return {each.label for each in silent_machines(estate or monitored_estate().build(), guests, logs)}


def row(name: str, minutes: float = 1, **more: Any) -> Any:
    """Return a heartbeat of a machine."""
    return beat(minutes, own=VM1.replace("/vm1", f"/{name}"), **more)


def test_nobody_is_asked_for_where_everybody_shows_life() -> None:
    """Fresh heartbeats, of any agent, and nothing at all where nothing was looked at."""
    everybody = (row("vm1"), row("vm2", 9.9, category="Direct Agent"), row("flexible_0"))
    assert silent(logs=(read(*everybody),)) == set()
    assert silent() == set()


@pytest.mark.parametrize("minutes", [10.1, 181, -10.1])
def test_machines_without_a_fresh_heartbeat_are_asked_for(minutes: float) -> None:
    """Old, absent, and from a clock that is wrong; an instance of a Flexible set like any machine."""
    assert silent(logs=(read(row("vm1", minutes), row("vm2")),)) == {"vm1", "flexible_0"}


def test_a_workspace_that_did_not_answer_says_nothing_of_machines() -> None:
    """One call for each machine would not make that query any better."""
    assert silent(logs=(read(gap=REFUSED),)) == set()
    both = (read(), read(gap=REFUSED, workspace_id=OTHER))
    assert silent(logs=both, estate=two_workspaces().build()) == {"vm1", "vm2", "flexible_0"}


def test_a_machine_that_need_not_send_is_not_asked_for() -> None:
    """It has no rule that sends to a workspace."""
    estate = unassociated(monitored_estate(), "vm1").estate
    assert silent(logs=(read(row("vm2"), row("flexible_0")),), estate=estate) == set()


@pytest.mark.parametrize("kind", GapKind)
def test_guests_that_were_not_reached_are_asked_for(kind: GapKind) -> None:
    """One that refuses runs, and one that no option leads to was not to be looked at."""
    state = GuestState(machine=VM1.upper(), via="ssh", gap=Gap(kind=kind, message="no"))
    assert silent(guests=(state,)) == ({"vm1"} if kind is GapKind.UNREACHABLE else set())


# ------------------------------------------------------------------- for tests of one's own


def test_the_state_for_a_test_of_ones_own() -> None:
    """Read, or shown by an answer or a fresh heartbeat; where nobody looked it is an error."""
    assert state_of(powered(logged(read()), "deallocated")) == "deallocated"
    assert state_of(machine(logged(read(beat())))) == "running"
    assert state_of(machine(guested(None))) == "running"
    with pytest.raises(AccessDeniedError):
        state_of(powered(guested(), gap=DENIED))
    for estate in (monitored_estate().build(), guested(), logged(read(gap=REFUSED)), logged(read(beat(11)))):
        with pytest.raises(NotReadError, match="power state of virtual machine 'vm1' is not known"):
            state_of(machine(estate))


def state_of(subject: Machine) -> str:
    """Return the power state of a virtual machine."""
    assert isinstance(subject, VirtualMachine)
    return subject.power_state


def test_who_looks_at_a_state_waits_for_it() -> None:
    """What a rule looked at is what a wait reads again."""
    subject = powered(logged(read()), "starting")
    with subject.estate.watched() as looked_at, pytest.raises(EvidenceError):
        assert_heartbeat(subject)
    assert POWER in looked_at


def test_a_time_that_is_none_is_told_as_it_is() -> None:
    """A recording may say anything."""
    reading = PowerReading(machine=VM1, state="deallocated", read_at=1e30)
    assert "after the epoch" in reading.phrase
