"""The data path: the first broken link of each fault, what follows from it, and what was not looked at."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.assertions.stages import STAGES, rules_of_stages
from pytest_ampls.assertions.tracing import Wishes, stages_of, trace
from pytest_ampls.catalogue import Rule, Verdict
from pytest_ampls.effective.data_path import DataPath, Stage, StageVerdict
from pytest_ampls.effective.surroundings import endpoints_around, upload_names
from pytest_ampls.lab import faults
from pytest_ampls.model import Answer, Estate, Gap, GapKind, Machine, Reading, Resource
from pytest_ampls.model.guest_state import LogError
from pytest_ampls.model.handshake import Handshake
from tests.assertions.machines import (
    RESERVED,
    machine,
    monitored_estate,
    unassociated,
)
from tests.builders import RECORDS, VM_EXTENSIONS, ZONE_LINKS, denied
from tests.guards.suite import lab_snapshot
from tests.guest.lab import looked_at

GUESTS = tuple(stage.number for stage in STAGES if stage.missing and stage.number != 10)
EVERYTHING_BUT_CONFIGURATION = (*GUESTS, 10)

# Fault to (stage of the first broken link, rule of the cause, machine that it hits).
FIRST_BROKEN = {
    "agent-missing": (1, "AMPLS501", "spoke1"),
    "agent-failed": (1, "AMPLS501", "spoke1"),
    "agent-stopped": (2, "AMPLS520", "spoke1"),
    "gcs-mode": (2, "AMPLS526", "spoke1"),
    "identity-ambiguous": (3, "AMPLS503", "spoke1"),
    "identity-detached": (4, "AMPLS502", "spoke1"),
    "token-identity-not-found": (5, "AMPLS521", "spoke1"),
    "token-multiple-identities": (5, "AMPLS521", "spoke1"),
    "token-no-imds": (5, "AMPLS521", "spoke1"),
    "missing-config-endpoint": (6, "AMPLS402", "spoke1"),
    "near-miss-association": (6, "AMPLS402", "spoke1"),
    "reserved-name-holds-rule": (6, "AMPLS402", "spoke1"),
    "config-endpoint-other-region": (6, "AMPLS405", "spoke1"),
    "config-endpoint-out-of-scope": (6, "AMPLS404", "spoke1"),
    "dce-not-in-scope": (6, "AMPLS404", "spoke3"),
    "connection-pending": (6, "AMPLS201", "spoke2"),
    "connection-rejected": (6, "AMPLS201", "hub"),
    "connection-seen-differently": (6, "AMPLS201", "spoke1"),
    "spoke-not-peered": (6, "AMPLS207", "spoke1"),
    "peering-access-blocked": (6, "AMPLS207", "spoke1"),
    "monitor-zone-unlinked": (6, "AMPLS301", "spoke2"),
    "spoke-bypasses-hub-dns": (6, "AMPLS301", "spoke1"),
    "empty-zone-linked": (6, "AMPLS305", "spoke1"),
    "resolver-answers-public": (6, "AMPLS310", "spoke1"),
    "forwarding-rules-private": (6, "AMPLS308", "spoke1"),
    "forwarding-rule-missing": (9, "AMPLS308", "spoke1"),
    "guest-port-dropped": (6, "AMPLS523", "spoke1"),
    "guest-chain-resigned": (6, "AMPLS523", "spoke1"),
    "mdsd-dce-403": (6, "AMPLS524", "spoke1"),
    "missing-rule-association": (7, "AMPLS401", "spoke1"),
    "chunk-missing": (7, "AMPLS525", "spoke1"),
    "too-many-rules": (8, "AMPLS410", "spoke1"),
    "disk-full": (8, "AMPLS527", "spoke1"),
    "workspace-not-in-scope": (9, "AMPLS407", "spoke4"),
    "destination-out-of-scope": (9, "AMPLS407", "spoke1"),
    "zone-unlinked": (9, "AMPLS301", "spoke1"),
    "stale-dns-answer": (9, "AMPLS310", "spoke1"),
    "hosts-override": (9, "AMPLS313", "spoke1"),
    "mdsd-ods-403": (9, "AMPLS524", "spoke1"),
}
# Faults that stop no machine's data: they concern queries, other resources, or what would break later.
HARMLESS = (
    "query-open",
    "ingestion-open",
    "app-insights-not-in-scope",
    "workspace-public-query",
    "record-missing",
    "record-stale",
    "zone-group-incomplete",
    "identity-implicit",
    "legacy-agent",
    "blob-zone-shadows-account",
    "internet-fallback",
    "endpoint-address-outside-subnet",
)


def estate_with(fault: str) -> Estate:
    """Return the lab's estate with a fault; guests are looked at where the fault is in one."""
    spec = f"hub-and-spoke+{fault}"
    return looked_at(spec) if faults()[fault].kind == "guest" else Estate(lab_snapshot(spec))


def path_of(estate: Estate, name: str) -> DataPath:
    """Return the data path of a machine, by name."""
    return trace(machine(estate, name))


def verdicts(stages: tuple[Stage, ...]) -> dict[int, StageVerdict]:
    """Return number to verdict."""
    return {stage.number: stage.verdict for stage in stages}


def test_there_are_ten_stages_and_their_rules_exist() -> None:
    """The stages are numbered from 1 to 10, and name rules of the catalogue that are not derived."""
    assert [plan.number for plan in STAGES] == list(range(1, 11))
    assert set(rules_of_stages()) <= set(CATALOGUE)
    assert not any(CATALOGUE[name].derived for name in rules_of_stages())
    assert all(plan.proof in {step.rule for step in plan.steps} for plan in STAGES if plan.steps)


@pytest.mark.parametrize("fault", FIRST_BROKEN)
def test_the_first_broken_link_of_a_fault(fault: str) -> None:
    """The first broken stage, and its cause, are what the fault did."""
    stage, rule, name = FIRST_BROKEN[fault]
    found = path_of(estate_with(fault), name).first_broken
    assert found is not None
    assert found.cause is not None
    assert (found.number, found.cause.rule) == (stage, rule)


@pytest.mark.parametrize("fault", HARMLESS)
def test_what_stops_no_data_breaks_no_stage(fault: str) -> None:
    """A fault that is not on the way of a machine's data breaks none of its stages."""
    estate = estate_with(fault)
    assert [path.machine for path in map(trace, estate.machines) if path.first_broken is not None] == []


def test_a_healthy_machine_holds_as_far_as_it_was_looked_at() -> None:
    """With its guest, nine stages hold and the tenth was not looked at; Linux and Windows."""
    for name in ("spoke1", "spoke2"):
        found = verdicts(stages_of(machine(looked_at("hub-and-spoke"), name)))
        assert found == dict.fromkeys(range(1, 10), StageVerdict.HELD) | {10: StageVerdict.NOT_LOOKED_AT}


def test_what_needs_the_guest_is_not_green_without_it() -> None:
    """Without guests the stages that only they prove are not looked at, and name the options."""
    stages = stages_of(machine(Estate(lab_snapshot("hub-and-spoke")), "spoke1"))
    for stage in stages:
        expected = (
            StageVerdict.NOT_LOOKED_AT if stage.number in EVERYTHING_BUT_CONFIGURATION else StageVerdict.HELD
        )
        assert stage.verdict is expected, stage
        if stage.number in GUESTS:
            assert "--ampls-guests or --ampls-run-command" in stage.missing


def test_what_was_only_observed_follows_from_an_earlier_break() -> None:
    """A dropped port shows in the upload too, which follows; a link missing for both zones is a break in each."""
    dropped = {stage.number: stage for stage in path_of(estate_with("guest-port-dropped"), "spoke1").stages}
    assert (dropped[6].follows_from, dropped[9].follows_from) == (None, 6)
    bypassed = {
        stage.number: stage for stage in path_of(estate_with("spoke-bypasses-hub-dns"), "spoke1").stages
    }
    assert (bypassed[6].follows_from, bypassed[9].follows_from) == (None, None)


def test_configuration_comes_before_what_shows() -> None:
    """In a stage that configuration and answers break, the configuration is the cause."""
    stage = path_of(estate_with("zone-unlinked"), "spoke1").first_broken
    assert stage is not None
    broken = [check.rule for check in stage.checks if check.verdict is Verdict.BROKEN]
    assert broken == ["AMPLS301", "AMPLS310"]


def test_a_fault_of_one_machine_is_not_anothers() -> None:
    """What is wrong in one machine breaks no stage of its neighbour."""
    assert path_of(estate_with("agent-stopped"), "spoke3").first_broken is None


def test_an_implicit_identity_is_reported_and_stops_nothing() -> None:
    """A lone identity that nobody names is a minor finding of a stage that holds."""
    stage = path_of(estate_with("identity-implicit"), "spoke1").stages[2]
    assert stage.verdict is StageVerdict.HELD
    assert [(check.rule, len(check.minor)) for check in stage.checks] == [("AMPLS503", 1)]


def test_the_chain_names_what_stands_between() -> None:
    """The chain leads from the network and the identity to the live answers."""
    links = {link.noun: link.names for link in path_of(Estate(lab_snapshot("hub-and-spoke")), "spoke1").chain}
    assert links["virtual network"] == ("spoke1",)
    assert links["identity"] == ("id-ama (named)",)
    assert links["configuration endpoint"] == ("dce-westeurope",)
    assert links["private link scope"] == links["private endpoint"] == ("ampls",)
    assert "privatelink.ods.opinsights.azure.com to hub" in links["zone link"]
    assert "global.handler.control.monitor.azure.com: 192.168.0.78 from spoke1" in links["live answer"]


def test_a_chain_that_could_not_be_read_says_so() -> None:
    """What is not known stands in the chain with its reason, never as none."""
    plan = monitored_estate()
    plan.gaps[VM_EXTENSIONS] = denied("extensions")
    links = {link.noun: link for link in path_of(plan.build(), "vm1").chain}
    assert "extensions was refused" in links["agent"].problem
    assert links["virtual network"].problem == ""


# ------------------------------------------------------------------- evidence that is missing


@pytest.mark.parametrize(
    "resource_type", sorted({reading.type for reading in lab_snapshot("hub-and-spoke").readings})
)
def test_a_denied_read_never_turns_a_stage(resource_type: str) -> None:
    """Where a type is denied, a stage stays what it was or is no longer verified; it never breaks."""
    snapshot = lab_snapshot("hub-and-spoke")
    gap = Gap(kind=GapKind.DENIED, message=f"denied: {resource_type}", status=403)

    def refused(reading: Reading) -> Reading:
        hit = reading.type == resource_type
        return msgspec.structs.replace(reading, documents=(), gap=gap) if hit else reading

    healthy = Estate(snapshot)
    spoilt = Estate(msgspec.structs.replace(snapshot, readings=tuple(map(refused, snapshot.readings))))
    wrong = []
    for each in spoilt.known(type(machine(healthy, "spoke1"))):
        before = verdicts(stages_of(machine(healthy, each.label)))
        after = verdicts(stages_of(each))
        fine = (StageVerdict.UNVERIFIED, StageVerdict.NOT_LOOKED_AT)
        wrong += [(each.label, n) for n in after if after[n] is not before[n] and after[n] not in fine]
    assert wrong == []


@pytest.mark.parametrize("resource_type", [RECORDS, ZONE_LINKS])
def test_a_machine_that_got_through_outweighs_what_could_not_be_read_around_it(resource_type: str) -> None:
    """Records or links were refused: unverified, unless the guest resolved its names and shook hands."""
    snapshot = looked_at("hub-and-spoke").snapshot
    for guests, expected in ((snapshot.guests, StageVerdict.HELD), ((), StageVerdict.UNVERIFIED)):
        readings = tuple(
            msgspec.structs.replace(reading, documents=(), gap=denied(resource_type))
            if reading.type == resource_type
            else reading
            for reading in snapshot.readings
        )
        changed = msgspec.structs.replace(snapshot, readings=readings, guests=guests)
        stage = stages_of(machine(Estate(changed), "spoke1"))[5]
        assert stage.verdict is expected
        assert "refused" in stage.problem


def test_a_name_that_no_endpoint_serves_outweighs_nothing() -> None:
    """A guest proves the way to the names that are served; whether the endpoint is in the scope stays open."""
    snapshot = looked_at("hub-and-spoke+dce-not-in-scope").snapshot
    readings = tuple(
        msgspec.structs.replace(reading, documents=(), gap=denied("records"))
        if reading.type == RECORDS
        else reading
        for reading in snapshot.readings
    )
    spoilt = Estate(msgspec.structs.replace(snapshot, readings=readings))
    assert stages_of(machine(spoilt, "spoke1"))[5].verdict is StageVerdict.UNVERIFIED


def test_a_finding_about_another_name_hides_no_silence() -> None:
    """One answer is wrong and no name of this machine, another never came: that is unverified, not held."""
    snapshot = lab_snapshot("hub-and-spoke")
    silent = Gap(kind=GapKind.UNREACHABLE, message="no answer")

    def spoilt(answer: Answer) -> Answer:
        if answer.name.startswith("api."):
            return msgspec.structs.replace(answer, addresses=("203.0.113.9",))
        return msgspec.structs.replace(answer, gap=silent) if answer.name.startswith("live.") else answer

    answers = tuple(map(spoilt, snapshot.answers))
    stage = stages_of(machine(Estate(msgspec.structs.replace(snapshot, answers=answers)), "spoke1"))[5]
    assert stage.verdict is StageVerdict.UNVERIFIED
    assert [check.rule for check in stage.checks if check.verdict is Verdict.UNVERIFIED] == ["AMPLS310"]


def test_a_silent_guest_is_unverified() -> None:
    """A guest that was asked and told nothing is unverified, not merely not looked at."""
    estate = looked_at("hub-and-spoke+guest-silent", timeout=3.0)
    found = verdicts(stages_of(machine(estate, "spoke1")))
    assert {found[number] for number in (2, 5, 6, 7, 8, 9)} == {StageVerdict.UNVERIFIED}
    assert found[1] is StageVerdict.HELD


def test_a_break_outweighs_what_could_not_be_looked_at() -> None:
    """What is broken is broken, whatever else of its stage was denied."""
    plan = monitored_estate()
    plan.gaps[RECORDS] = denied("records")
    unassociated(plan, "vm1", RESERVED)
    stage = stages_of(machine(plan.build()))[5]
    assert stage.verdict is StageVerdict.BROKEN
    assert "records was refused" in stage.problem


def test_a_machine_without_rules_has_nothing_to_upload() -> None:
    """Without rules no name to upload to is known: the stage is not looked at, and says why."""
    plan = monitored_estate()
    stages = stages_of(unassociated(plan, "vm1", "dcr"))
    assert stages[6].verdict is StageVerdict.BROKEN
    assert stages[8].verdict is StageVerdict.NOT_LOOKED_AT
    assert stages[8].missing == "no name is known that the agent would use in this stage"


@pytest.mark.parametrize("name", ["arc", "uniform"])
def test_machines_without_a_guest_of_their_own(name: str) -> None:
    """An Arc machine and a Uniform set are judged as far as Azure knows them."""
    found = verdicts(stages_of(machine(monitored_estate().build(), name)))
    assert StageVerdict.BROKEN not in found.values()
    assert found[1] is StageVerdict.HELD
    assert found[2] is StageVerdict.NOT_LOOKED_AT


def test_a_known_error_of_the_log_belongs_to_its_stage() -> None:
    """Token errors break stage 5, TLS errors 6, uploads 9."""
    lines = {
        "Failed to get MSI token from IMDS endpoint": 5,
        "Identity not found": 5,
        "Error in SSL handshake": 6,
        "Data collection endpoint must be used to access configuration over private link": 6,
        "Failed to upload to ODS: 403": 9,
        "uploading to ODS: Error resolving address": 9,
    }
    snapshot = looked_at("hub-and-spoke").snapshot
    for line, number in lines.items():
        guests = tuple(
            msgspec.structs.replace(state, log=(LogError(line=line),)) for state in snapshot.guests
        )
        estate = Estate(msgspec.structs.replace(snapshot, guests=guests))
        first = path_of(estate, "spoke1").first_broken
        assert first is not None, line
        assert first.number == number, line


def probed(estate: Estate, **changes: Any) -> Machine:
    """Return a machine of the estate; one address of its workspace was reached from the run as the changes say."""
    own = machine(estate, "spoke1")
    (endpoint,) = endpoints_around(own)
    fine = {"reached": True, "version": "TLSv1.3", "trusted": True}
    old = dict.fromkeys(("TLSv1", "TLSv1.1"), "refused")
    shakes = tuple(
        Handshake(
            vantage_point="runner",
            name=name,
            address=address,
            **{"versions": old, **fine, **(changes if name in upload_names(own) else {})},
        )
        for name in endpoint.members
        for address in endpoint.members[name]
    )
    return machine(Estate(msgspec.structs.replace(estate.snapshot, handshakes=shakes)), "spoke1")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, None),
        ({"trusted": False, "distrust": "self-signed"}, "AMPLS902"),
        ({"version": "TLSv1"}, "AMPLS901"),
        ({"gap": Gap(kind=GapKind.UNREACHABLE, message="no answer in time"), "reached": False}, "AMPLS903"),
    ],
)
def test_a_probe_from_the_run_counts_where_no_guest_tells(changes: dict[str, Any], rule: str | None) -> None:
    """What the run is refused at the upload's address breaks stage 9, unless the machine itself got through."""
    path = trace(probed(Estate(lab_snapshot("hub-and-spoke")), **changes))
    first = path.first_broken
    assert (first.number if first else None) == (9 if rule else None)
    assert (first.cause.rule if first and first.cause else None) == rule
    assert trace(probed(looked_at("hub-and-spoke"), **changes)).first_broken is None


def test_an_old_version_that_is_merely_accepted_stops_nothing() -> None:
    """The agent agrees on a newer one: it is a minor finding."""
    versions = {"TLSv1": "accepted", "TLSv1.1": "refused"}
    path = trace(probed(Estate(lab_snapshot("hub-and-spoke")), versions=versions))
    assert path.first_broken is None
    assert [check.rule for check in path.stages[8].checks if check.minor] == ["AMPLS901"]


def test_requirements_are_kept() -> None:
    """Expectations reach the rules, and what is left out breaks nothing and says why."""
    estate = looked_at("hub-and-spoke+disk-full")

    def left_out(rule: Rule[[Machine]], _resource: Resource) -> Wishes:
        return Wishes(left_out="a small disk is fine") if rule.id == "AMPLS527" else Wishes()

    def lower(rule: Rule[[Machine]], _resource: Resource) -> Wishes:
        return Wishes({"minimum_mb": 0}) if rule.id == "AMPLS527" else Wishes()

    found = stages_of(machine(estate, "spoke1"), ask=left_out)[7]
    assert found.verdict is StageVerdict.NOT_LOOKED_AT
    assert found.missing == "left out by the requirements: a small disk is fine"
    assert stages_of(machine(estate, "spoke1"), ask=lower)[7].verdict is StageVerdict.HELD


# ------------------------------------------------------------------- AMPLS415
