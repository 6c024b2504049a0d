"""Names, tags and answers are other people's texts: what is shown of them is escaped, quoted and not endless."""

from __future__ import annotations

import cProfile
import pstats
import shlex

import pytest

from pytest_ampls.assertions import (
    assert_agent_extension,
    assert_endpoint_addresses,
    assert_private_resolution,
    assert_public_access_disabled,
    assert_rule_association,
    assert_workspace_in_scope,
)
from pytest_ampls.catalogue import ConformanceError, az_rest, judgements
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model import Answer, Gap, GapKind, Resolver, VantagePoint
from pytest_ampls.model.text import filled, quoted, shown
from pytest_ampls.report.tally import Tally
from pytest_ampls.report.terminal import unverified_lines
from tests.assertions.machines import machine, monitored_estate
from tests.builders import MEMBERS, NICS, VM_EXTENSIONS, VMS, WORKSPACES, resource_id
from tests.private_estate import endpoint, member_name, private_estate, workspace

CLEAR = "\x1b[2J\x1b]0;title\x07"
EVIL = f"{CLEAR}\nAMPLS000 all held\r\u202e\u200b\x00"
COMMAND = "x;$(reboot)`reboot`'\""


def _printable(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def _message(error: pytest.ExceptionInfo[BaseException]) -> str:
    return str(error.value)


def test_a_finding_shows_no_control_characters() -> None:
    """A value of a document can neither clear the screen nor start a line of its own."""
    plan = monitored_estate()
    plan[VM_EXTENSIONS, "vm1/any-name"]["properties"]["provisioningState"] = EVIL
    plan[VMS, "vm1"]["name"] = f"vm1{EVIL}"
    with pytest.raises(ConformanceError) as raised:
        assert_agent_extension(machine(plan.build(), f"vm1{EVIL}"))
    assert _printable(_message(raised))
    assert _printable(raised.value.headline)
    assert "\n" not in raised.value.headline
    assert not [line for line in _message(raised).split("\n") if line.startswith("AMPLS000")]
    assert r"observed  \x1b[2J\x1b]0;title\x07\nAMPLS000 all held\r\u202e\u200b\x00" in _message(raised)


def test_an_answer_shows_no_control_characters() -> None:
    """What a DNS server says goes through the same hands."""
    plan = private_estate()
    fqdn = member_name("api")
    plan.vantage_points.append(VantagePoint(name=f"ns{EVIL}", servers=("127.0.0.1:53",)))
    plan.answers.append(Answer(vantage_point=f"ns{EVIL}", name=fqdn, status="NXDOMAIN", chain=(fqdn, EVIL)))
    estate = plan.build()
    with pytest.raises(ConformanceError) as raised:
        assert_private_resolution(endpoint(estate), Resolver(estate, estate.vantage_points[0]))
    assert _printable(_message(raised))


def test_a_verdict_shows_no_control_characters() -> None:
    """Verdicts go to the terminal's summary and to JUnit XML."""
    plan = private_estate()
    plan[WORKSPACES, "ws"]["name"] = f"ws{EVIL}"
    gap = Gap(kind=GapKind.DENIED, message=f"refused: {EVIL}")
    plan.gaps[MEMBERS] = gap
    with judgements() as kept, pytest.raises(EvidenceError) as raised:
        assert_workspace_in_scope(workspace(plan.build(), f"ws{EVIL}"))
    assert _message(raised).isprintable()
    assert kept[0].resource.isprintable()
    assert all(line.isprintable() for line in unverified_lines(Tally.of(kept)))


def test_a_reason_shows_no_control_characters() -> None:
    """Why a rule does not apply names the resource."""
    plan = monitored_estate()
    estate = plan.build()
    with judgements() as kept:
        assert_rule_association(machine(estate, "flexible"))
    assert kept[0].reason
    plan[next(kind for kind in plan.documents if kind.endswith("ScaleSets")), "flexible"]["name"] = f"f{EVIL}"
    with judgements() as kept:
        assert_rule_association(machine(plan.build(), f"f{EVIL}"))
    assert kept[0].reason.isprintable()
    assert kept[0].resource.isprintable()


def test_a_copied_command_runs_no_name() -> None:
    """A name with shell syntax is one word of the command, whatever it holds."""
    plan = private_estate()
    group = resource_id(WORKSPACES, "ws", group=f"rg{COMMAND}")
    plan[WORKSPACES, "ws"].update(id=group, name=f"ws{COMMAND}")
    plan[WORKSPACES, "ws"]["properties"] = {
        "publicNetworkAccessForIngestion": "Enabled",
        "publicNetworkAccessForQuery": "Enabled",
    }
    found = workspace(plan.build(), f"ws{COMMAND}")
    with pytest.raises(ConformanceError) as raised:
        assert_public_access_disabled(found)
    lines = [line.strip() for line in _message(raised).split("\n")]
    fix = shlex.split(next(line.partition("az resource")[2] for line in lines if "az resource" in line))
    assert fix[fix.index("--ids") + 1] == group
    evidence = next(line.removeprefix("evidence").strip() for line in lines if line.startswith("evidence"))
    assert evidence == az_rest(found)
    assert f"{group}?api-version=" in shlex.split(evidence)[-1]


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("rg", "rg"),
        ("rg(prod)", "'rg(prod)'"),
        ("a b", "'a b'"),
        ("@", "@"),
        ("*", "'*'"),
        ("it's", "'it'\"'\"'s'"),
        ("<zone>", "<zone>"),
        ("<b>", "<b>"),
    ],
)
def test_values_are_quoted_where_a_shell_needs_it(value: str, word: str) -> None:
    """Names that need no quotes get none, placeholders stay, and a value is not searched for tokens."""
    assert filled("az --name <a> <b>", {"a": value, "b": "x"}, shell=True) == f"az --name {word} x"


def test_values_inside_quotes_do_not_end_them() -> None:
    """JSON in single quotes stays one word."""
    command = filled('az --settings \'{"id": "<id>"}\'', {"id": "it's"}, shell=True)
    assert shlex.split(command) == ["az", "--settings", '{"id": "it\'s"}']


def test_other_tongues_are_not_quoted() -> None:
    """Terraform and Bicep have quotes of their own around values."""
    assert filled('name = "<a>"', {"a": "rg(prod)"}, shell=False) == 'name = "rg(prod)"'


@pytest.mark.parametrize("text", ["plain", "with space", "a$b", 'a"b', "a`b`", "a!b", "a\\b"])
def test_a_quoted_text_is_one_word(text: str) -> None:
    """A shell gives back what was put in."""
    assert shlex.split(quoted(text)) == [text]


def test_a_long_text_is_cut() -> None:
    """A megabyte in a name is not printed."""
    assert len(shown("x" * 1_000_000)) < 1100
    assert "999000 more characters" in shown("x" * 1_000_000)


def test_a_scope_with_thousands_of_members_is_judged_in_linear_time() -> None:
    """Work grows with the number of names, not with its square: counted in calls."""
    small, large = (_work(number) for number in (100, 400))
    assert large < 8 * small


def _work(number: int) -> int:
    """Return the function calls that judging the addresses of so many workspaces takes."""
    plan = private_estate()
    interface = plan[NICS, "pe.nic"]["properties"]["ipConfigurations"]
    required = plan["Microsoft.Insights/privateLinkScopes/privateLinkResources", "ampls/azuremonitor"]
    for each in range(number):
        owner = f"00000000-0000-4000-8000-{each:012}"
        required["properties"]["requiredMembers"].append(f"ods-{owner}")
        names = {"fqdns": [f"{owner}.ods.opinsights.azure.com"]}
        address = {"privateIPAddress": "192.168.0.100", "privateLinkConnectionProperties": names}
        interface.append({"name": owner, "properties": address})
    subject = endpoint(plan.build())
    profile = cProfile.Profile()
    profile.runcall(assert_endpoint_addresses, subject)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]  # not in the stubs
