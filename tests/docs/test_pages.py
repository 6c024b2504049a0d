"""The documentation names what exists, and everything that exists is named."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

import pytest_ampls
import pytest_ampls.assertions  # declares the rules
from pytest_ampls import CATALOGUE, errors, hookspec
from pytest_ampls.lab import Lab, command, estates, faults
from pytest_ampls.options import OPTIONS
from tests.guards.suite import lab_snapshot

from .blocks import PAGES, ROOT

pytestmark = pytest.mark.skipif(
    not any(page.parent.name == "docs" for page in PAGES),
    reason="the documentation is in the repository only",
)

REFERENCE = ROOT / "docs" / "reference"


def _extension(name: str) -> ModuleType:
    """Load a Sphinx extension of the documentation as Sphinx does: by its path."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "_ext" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_what_exists(page: Path) -> None:
    """Options, rules, assertions, lab estates and files that a page names are there."""
    text = page.read_text(encoding="utf-8")
    flags = {option.flag for option in OPTIONS} | {"--ampls-rules"}
    assert set(re.findall(r"--ampls-[a-z]+(?:-[a-z]+)*", text)) <= flags
    assert set(re.findall(r"\bAMPLS\d{3}\b", text)) <= set(CATALOGUE)
    assert set(re.findall(r"\bassert_\w+", text)) <= set(pytest_ampls.__all__)
    for spec in re.findall(r"--ampls-lab=([a-z][\w+-]*)", text):
        assert repr(Lab.from_spec(spec))
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert "://" in link or (page.parent / link).exists(), link


def test_every_option_is_documented() -> None:
    """The table of options has every flag with its ini value and environment variable."""
    assert "{ampls-options}" in (REFERENCE / "options.md").read_text(encoding="utf-8")
    table = _extension("tables").options_markdown()
    for option in OPTIONS:
        shown = f"| `{option.flag}`" if option.switch else f"| `{option.flag}="
        row = next(line for line in table.splitlines() if line.startswith(shown))
        assert f"`{option.ini}`" in row
        assert f"`{option.env}`" in row
        assert option.help.replace("|", "\\|") in row


def test_every_fixture_is_documented(pytester: pytest.Pytester) -> None:
    """What ``pytest --fixtures`` lists of this plugin is on the page, and nothing else."""
    result = pytester.runpytest_inprocess("--fixtures")
    listed = {
        found[1]
        for line in result.outlines
        if (found := re.match(r"(\w+)(?: \[.*\])? -- .*pytest_ampls.fixtures\.py", line))
    }
    page = (REFERENCE / "fixtures.md").read_text(encoding="utf-8")
    assert "vm" in listed
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == listed


def test_every_marker_is_documented(pytester: pytest.Pytester) -> None:
    """What ``pytest --markers`` lists of this plugin has a section with every keyword."""
    result = pytester.runpytest_inprocess("--markers")
    listed = [line for line in result.outlines if line.startswith("@pytest.mark.ampls")]
    page = (REFERENCE / "markers.md").read_text(encoding="utf-8")
    assert listed
    for line in listed:
        found = re.match(r"@pytest\.mark\.(\w+)\(([^)]*)\)", line)
        assert found is not None, line
        assert f"## `{found[1]}`" in page
        for keyword in re.findall(r"(\w+)=", found[2]):
            assert f"| `{keyword}` |" in page


def test_every_hook_is_documented() -> None:
    """Each hook specification is on the page of hooks."""
    page = (REFERENCE / "hooks.md").read_text(encoding="utf-8")
    for hook in hookspec.__all__:
        assert f".. autofunction:: pytest_ampls.hookspec.{hook}\n" in page


def test_every_rule_is_documented() -> None:
    """The generated reference has every rule with its assertion, its text, its expectations and its fixes."""
    assert "{ampls-rules}" in (REFERENCE / "rules.md").read_text(encoding="utf-8")
    text = _extension("rules").rules_markdown()
    sections = dict(re.findall(r"^### (AMPLS\d{3}) .*\n((?:(?!###? ).*\n?)*)", text, re.MULTILINE))
    assert set(sections) == set(CATALOGUE)
    for rule in CATALOGUE.values():
        shown = [rule.name, rule.why, rule.fix.az.strip(), rule.learn, *rule.permissions, *rule.expectations]
        assert all(part in sections[rule.id] for part in shown), rule


def test_the_role_allows_what_rules_declare() -> None:
    """The least role of the documentation has every permission, and reads only."""
    role = _extension("rules").role_json()
    assert {action for rule in CATALOGUE.values() for action in rule.permissions} <= set(
        re.findall(r'"([\w./]+)"', role)
    )
    actions = re.findall(r'"(Microsoft\.[\w./]+)"', role)
    assert all(action.endswith("/read") for action in actions)


def test_the_role_allows_what_is_read() -> None:
    """Each type that is read from the lab's estates has its action, and no action is for anything else."""
    readings = [
        reading for spec in ("hub-and-spoke", "fleet:vms=12") for reading in lab_snapshot(spec).readings
    ]
    read = {reading.type.lower() for reading in readings} | {"microsoft.resources/subscriptions"}
    # Asked to find machines, and kept in no reading of their own: the index, and what it is held against.
    read |= {"microsoft.resourcegraph/resources", "microsoft.resources/subscriptions/resources"}
    # What the identity may read, which the index tells.
    read |= {"microsoft.authorization/roleassignments", "microsoft.authorization/roledefinitions"}
    # Asked where log rows are asked for: workspaces, and where rights are given by table the one table.
    queries = "microsoft.operationalinsights/workspaces/query"
    read |= {queries, f"{queries}/heartbeat"}
    # Asked of machines that show no life, whose state is kept and nothing else.
    read.add("microsoft.compute/virtualmachines/instanceview")
    actions = json.loads(_extension("rules").role_json())["Actions"]
    allowed = {action.removesuffix("/read").replace("/ALL", "/recordsets").lower() for action in actions}
    # Read below what the lab's healthy estates do not have.
    read |= {
        "microsoft.network/dnsforwardingrulesets/forwardingrules",
        "microsoft.network/dnsforwardingrulesets/virtualnetworklinks",
        "microsoft.network/dnsresolvers/inboundendpoints",
    }
    assert allowed == read


def test_every_estate_and_fault_is_documented() -> None:
    """The tables of the lab have every estate, and every fault with the rules it breaks."""
    page = (REFERENCE / "lab.md").read_text(encoding="utf-8")
    assert "{ampls-estates}" in page
    assert "{ampls-faults}" in page
    tables = _extension("tables")
    assert all(f"| `{name}` |" in tables.estates_markdown() for name in estates())
    rows = tables.faults_markdown().splitlines()[2:]
    assert len(rows) == len(faults())
    assert all(
        rule in row for row, fault in zip(rows, faults().values(), strict=True) for rule in fault.breaks
    )


def test_every_option_of_the_lab_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    """What ``serve --help`` lists is in the table, and nothing else."""
    with pytest.raises(SystemExit):
        command.main(["serve", "--help"])
    listed = set(re.findall(r"^  (--[a-z-]+) ", capsys.readouterr().out, re.MULTILINE))
    page = (REFERENCE / "lab.md").read_text(encoding="utf-8")
    assert "--ready-file" in listed
    assert set(re.findall(r"^\| `(--[a-z-]+)=", page, re.MULTILINE)) == listed


def test_every_public_name_is_documented() -> None:
    """Each public name is an error, a rule, or in a room that the page of the API shows."""
    page = (REFERENCE / "api.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^```\{ampls-api\} (\w+)$", page, re.MULTILINE)
    shown = {name for room in rooms for name in _extension("public_api").public_names(room)}
    rules = {rule.name for rule in CATALOGUE.values()}
    assert set(pytest_ampls.__all__) <= shown | set(errors.__all__) | rules


def test_the_readme_has_the_two_commands_of_the_merge_gate() -> None:
    """The merge gate finds its commands in the README: each is there once, in one line."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for part in ("pytest --pyargs", "tox run -e py"):
        assert len(re.findall(rf"^python3 -m venv .*{part}.*$", readme, re.MULTILINE)) == 1
        assert part in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "Python 3.11" in readme
