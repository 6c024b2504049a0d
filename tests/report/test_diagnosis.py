"""The diagnosis as text and as JSON: what a person reads at night, what a program reads, and nobody's escapes."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import msgspec
import pytest

from pytest_ampls import diagnose
from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.assertions.tracing import trace
from pytest_ampls.effective.data_path import DataPath
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.model import Estate
from pytest_ampls.model.guest_state import LogError
from pytest_ampls.report.diagnosis import DIAGNOSIS_VERSION, diagnosis_json, diagnosis_lines, sentence
from pytest_ampls.requirements import Expectation, LeftOut, Requirements
from tests.assertions.machines import RESERVED, machine, monitored_estate, unassociated
from tests.builders import VM_EXTENSIONS, VMS, denied, resource_id
from tests.guards.suite import lab_snapshot
from tests.guest.lab import looked_at

HOSTILE = "\x1b[2J\x1b]0;owned\x07\nFAKE  held  everything \u202egnp\u2028</pre><script>"


def paths_of(estate: Estate, *names: str) -> list[DataPath]:
    """Return the data paths of machines, by name."""
    return [trace(machine(estate, name)) for name in names]


def text_of(*paths: DataPath, now: float = 0.0) -> str:
    """Return a diagnosis as text."""
    return "\n".join(diagnosis_lines(paths, CATALOGUE, now=now))


def unlinked() -> DataPath:
    """Return the data path of a spoke whose ods zone is linked nowhere."""
    (path,) = paths_of(Estate(lab_snapshot("hub-and-spoke+zone-unlinked")), "spoke1")
    return path


def test_the_sentence_says_where_why_and_what_mends_it() -> None:
    """One line has the stage, the zone, the network it should be linked to, and the command, filled in."""
    said = sentence(unlinked(), CATALOGUE)
    assert said.startswith(
        "spoke1's data stops at stage 9 (the agent uploads to its workspaces), because of "
    )
    assert "zone privatelink.ods.opinsights.azure.com: expected is linked to virtual network 'hub'" in said
    assert "(stages 2, 5, 6, 7, 8 before it were not verified)" in said
    assert "; the fix: az network private-dns link vnet create --zone-name privatelink.ods." in said
    assert "\n" not in said
    assert not re.search(r"<[a-z-]+>", said)


def test_the_sentence_of_several_commands_can_be_run() -> None:
    """Commands stand one behind the other, and what is said to them behind all: nothing is commented out."""
    (path,) = paths_of(Estate(lab_snapshot("hub-and-spoke+identity-detached")), "spoke1")
    fix = sentence(path, CATALOGUE).partition("; the fix: ")[2]
    commands, _, remark = fix.partition("  # ")
    assert [command.split(" --")[0] for command in commands.split(" && ")] == [
        "az vm identity assign",
        "az vm extension set",
    ]
    assert remark.startswith("scale set: az vmss")


def test_a_break_before_data_that_arrived_says_so() -> None:
    """Where rows of the machine are in the workspace, nobody is told without a word that its data stops."""
    (path,) = paths_of(Estate(lab_snapshot("hub-and-spoke+mdsd-ods-403", guests=True, logs=True)), "spoke1")
    assert path.first_broken is not None
    assert "(stage 10 holds all the same: the data is in the workspace)" in sentence(path, CATALOGUE)
    assert "all the same" not in sentence(unlinked(), CATALOGUE)


def test_the_text_fits_a_terminal() -> None:
    """No line but those that are copied has more than 100 columns; the break is marked once; stages are in order."""
    lines = text_of(unlinked()).splitlines()
    copied = ("  fix, ", "  evidence ", "  link ", "/subscriptions/")
    assert [line for line in lines if len(line) > 100 and not line.startswith(copied)] == []
    marked = [line for line in lines if line.endswith("<== first broken link")]
    assert len(marked) == 1
    assert re.match(r"   9  BROKEN         the agent uploads to its workspaces", marked[0])
    assert [int(found[1]) for line in lines if (found := re.match(r"  ( \d|10)  \w", line))] == list(
        range(1, 11)
    )


def test_the_text_says_what_was_not_looked_at_and_how_to() -> None:
    """A stage without its proof names the options, and what was held of it by which evidence."""
    text = text_of(unlinked())
    assert re.search(r" 5  not looked at  the identity gets a token\n +the guest of 'spoke1' was not", text)
    assert "by DNS answers held: AMPLS310" in text


def test_the_text_says_what_follows() -> None:
    """A stage that an earlier break explains says which."""
    text = text_of(*paths_of(looked_at("hub-and-spoke+guest-port-dropped"), "spoke1"))
    assert re.search(r" 9  BROKEN .* \(follows from stage 6\)", text)


def test_the_text_gives_the_age_of_evidence() -> None:
    """Ages are counted from the given time to the oldest reading of a stage."""
    path = unlinked()
    read_at = path.stages[0].read_at
    assert read_at is not None
    for seconds, shown in ((30, "30 s"), (600, "10 min"), (7200, "2 h"), (3 * 86_400, "3 d")):
        assert f"the agent is installed [{shown} ago]" in text_of(path, now=read_at + seconds)


def test_what_was_not_verified_is_told_with_its_reason() -> None:
    """A denied read stands under its stage, and the summary counts it among what is open."""
    plan = monitored_estate()
    plan.gaps[VM_EXTENSIONS] = denied("extensions")
    text = text_of(*paths_of(plan.build(), "vm1"))
    assert "nothing was found that stops vm1's data, but stages 1, 3, 4 were unverified and" in text
    assert "unverified AMPLS501: reading extensions was refused (403)" in text


def test_several_machines_end_with_a_line_each() -> None:
    """With several machines the last lines say of each where it stops."""
    lines = text_of(*paths_of(looked_at("hub-and-spoke+agent-stopped"), "spoke1", "spoke3")).splitlines()
    assert lines[-2] == "spoke1: stops at stage 2, the agent runs and follows its settings (AMPLS520)"
    assert lines[-1] == "nothing was found that stops spoke3's data, but stage 10 was not looked at"


def hostile_path() -> DataPath:
    """Return the path of a machine whose guest and documents try to write to the terminal."""
    snapshot = looked_at("hub-and-spoke").snapshot
    guests = tuple(
        msgspec.structs.replace(
            state,
            log=(LogError(line=f"Failed to upload to ODS: 403 {HOSTILE}"),),
            services={f"azuremonitoragent{HOSTILE}": HOSTILE},
            problems={"mode": HOSTILE},
            mode=None,
        )
        for state in snapshot.guests
    )
    (path,) = paths_of(Estate(msgspec.structs.replace(snapshot, guests=guests)), "spoke1")
    return path


def is_safe(text: str) -> bool:
    """Tell whether a text has no control or format character but line breaks."""
    return not [char for char in text.replace("\n", "") if unicodedata.category(char)[0] == "C"]


def test_what_a_guest_wrote_cannot_leave_its_place() -> None:
    """Escapes, line breaks and direction marks of a guest are spelt out in the text."""
    text = text_of(hostile_path())
    assert "\\x1b[2J" in text
    assert is_safe(text)
    assert not re.search(r"^FAKE", text, re.MULTILINE)
    assert "\u2028" not in text


def test_the_json_has_no_escapes_either() -> None:
    """Every text of the decoded JSON is safe to print."""

    def texts(part: Any) -> list[str]:
        if isinstance(part, dict):
            return [text for value in part.values() for text in texts(value)]
        if isinstance(part, list):
            return [text for value in part for text in texts(value)]
        return [part] if isinstance(part, str) else []

    found = texts(json.loads(diagnosis_json([hostile_path()], CATALOGUE, now=0.0)))
    assert any("\\x1b[2J" in text for text in found)
    assert all(map(is_safe, found))


def test_a_hostile_name_of_a_machine_is_shown_and_diagnosed() -> None:
    """A machine whose name has a terminal escape is found by it, and its name is spelt out."""
    plan = monitored_estate()
    name = "vm\x1b[31m"
    document = json.loads(json.dumps(plan[VMS, "vm1"]))
    plan.documents[VMS]["evil"] = {**document, "id": resource_id(VMS, name), "name": name}
    text, code = diagnose.run(plan.build(), [name])
    assert code == diagnose.BROKEN
    assert is_safe(text)
    assert "virtual machine vm\\x1b[31m" in text


def test_the_json_has_the_same_content() -> None:
    """Version, sentence, first break, fix, chain, and every stage with checks, findings, reasons and times."""
    path = unlinked()
    document = json.loads(diagnosis_json([path], CATALOGUE, now=1_800_000_000.0))
    (found,) = document["machines"]
    assert document["version"] == DIAGNOSIS_VERSION == 1
    assert document["written"] == "2027-01-15T08:00:00Z"
    assert found["sentence"] == sentence(path, CATALOGUE)
    assert (found["firstBroken"], found["rule"]) == (9, "AMPLS301")
    assert found["fix"]["terraform"].startswith("azurerm_private_dns_zone_virtual_network_link")
    assert [link["noun"] for link in found["chain"]] == [link.noun for link in path.chain]
    assert [stage["verdict"] for stage in found["stages"]] == [str(stage.verdict) for stage in path.stages]
    broken = found["stages"][8]["checks"]
    assert [check["rule"] for check in broken if check["findings"]] == ["AMPLS301", "AMPLS310"]
    assert all(re.fullmatch(r"20\d\d-.*Z", check["read"]) for check in broken if check["verdict"] == "held")
    assert "--ampls-guests" in found["stages"][1]["missing"]


# ------------------------------------------------------------------- names and exit codes


def test_the_exit_code_tells_broken_from_not_looked_at() -> None:
    """1 where a stage is broken, 2 where one is open; the tenth is open for now, so nothing is 0 yet."""
    healthy, broken = looked_at("hub-and-spoke"), looked_at("hub-and-spoke+agent-stopped")
    assert diagnose.run(broken, ["spoke1"])[1] == diagnose.BROKEN == 1
    assert diagnose.run(broken, ["spoke3", "spoke1"])[1] == diagnose.BROKEN
    assert diagnose.run(healthy, ["spoke1"])[1] == diagnose.UNKNOWN == 2
    assert diagnose.run(Estate(lab_snapshot("hub-and-spoke")), ["spoke1"])[1] == diagnose.UNKNOWN


@pytest.mark.parametrize(
    "name", ["vm1", "VM1", "rg/vm1", resource_id(VMS, "vm1"), resource_id(VMS, "VM1").upper()]
)
def test_a_machine_is_found_by_name_and_id(name: str) -> None:
    """A name, group and name, or the id, in any case; named twice it is diagnosed once."""
    found = diagnose.machines_named(monitored_estate().build(), [name, "vm1"])
    assert [each.label for each in found] == ["vm1"]


def test_a_name_that_several_machines_have_stands_for_all() -> None:
    """All of them are diagnosed, and the text says so and gives the ids."""
    plan = monitored_estate()
    document = json.loads(json.dumps(plan[VMS, "vm1"]))
    plan.documents[VMS]["twin"] = {**document, "id": resource_id(VMS, "vm1", group="other")}
    text, _ = diagnose.run(plan.build(), ["vm1"])
    assert text.startswith(
        "2 machines are called vm1; give the id to diagnose one of them:\n  /subscriptions/"
    )
    assert len(re.findall(r"^virtual machine vm1$", text, re.MULTILINE)) == 2


def test_a_flexible_set_stands_for_its_instances() -> None:
    """The instances carry the data paths of a Flexible set; a Uniform set carries its own."""
    estate = monitored_estate().build()
    assert [each.label for each in diagnose.machines_named(estate, ["flexible", "uniform"])] == [
        "flexible_0",
        "uniform",
    ]


def test_a_name_that_matches_nothing_is_an_error_with_suggestions() -> None:
    """The message names what is alike, and what could not be read."""
    plan = monitored_estate()
    with pytest.raises(ConfigurationError, match=r"no machine 'vm3' among the \d .*did you mean 'vm\d'"):
        diagnose.run(plan.build(), ["vm3"])
    with pytest.raises(ConfigurationError, match=r"no machine 'qqq' among the \d .*; there are '.*', 'vm1'"):
        diagnose.run(plan.build(), ["qqq"])
    plan.gaps[VMS] = denied("virtual machines")
    with pytest.raises(
        ConfigurationError, match="Not everything was read: reading virtual machines was refused"
    ):
        diagnose.run(plan.build(), ["vm1"])


def test_no_name_and_an_unknown_form_are_errors() -> None:
    """There is something to name, and two forms."""
    estate = monitored_estate().build()
    with pytest.raises(ConfigurationError, match="name at least one machine"):
        diagnose.run(estate, [])
    with pytest.raises(ConfigurationError, match="'xml' is no form of a diagnosis; there are text, json"):
        diagnose.run(estate, ["vm1"], form="xml")


def test_the_requirements_file_counts() -> None:
    """What the file leaves out is not broken, and what it expects reaches the rule."""
    plan = monitored_estate()
    estate = unassociated(plan, "vm1", RESERVED).estate
    left_out = LeftOut(rule="AMPLS402", resource="vm1", line=1, reason="comes next week")
    text, code = diagnose.run(estate, ["vm1"], requirements=Requirements(left_out=(left_out,)))
    assert code == diagnose.UNKNOWN
    assert "AMPLS402 broken" not in text
    few = Expectation(rule="AMPLS410", resource="*", line=1, keywords={"limit": 0})
    form = diagnose.run(
        monitored_estate().build(), ["vm1"], form="json", requirements=Requirements(expectations=(few,))
    )
    assert json.loads(form[0])["machines"][0]["rule"] == "AMPLS410"
