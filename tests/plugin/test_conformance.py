"""The shipped suite from the outside: a whole process, on the lab."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import Evidence

SUITE = ("--pyargs", "pytest_ampls.conformance", "-p", "no:cacheprovider")


def _cases(path: Path) -> dict[str, str]:
    found = {}
    for case in ET.parse(path).iter("testcase"):
        outcome = next(
            (child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed"
        )
        found[f"{case.get('classname')}::{case.get('name')}"] = outcome
    return found


def test_the_healthy_estate_passes(pytester: pytest.Pytester) -> None:
    """The first command of a newcomer: green, with verdicts for every rule that needs no guest and no query."""
    on_demand = {Evidence.GUEST, Evidence.LOGS}
    judged = [rule for rule in CATALOGUE.values() if not rule.derived and on_demand.isdisjoint(rule.evidence)]
    result = pytester.runpytest_subprocess(*SUITE, "--ampls-lab=hub-and-spoke")
    assert result.ret == pytest.ExitCode.OK
    outcomes = result.parseoutcomes()
    assert "failed" not in outcomes
    assert "errors" not in outcomes
    result.stdout.fnmatch_lines(
        [
            "ampls: lab hub-and-spoke (from --ampls-lab)",
            "ampls: evidence: *documents of 1 subscription, * ARM calls, 0 throttled*",
            "*AMPLS conformance*",
            f"0 broken, 0 unverified, * held, * not applicable, over {len(judged)} rules",
        ]
    )


def test_a_broken_estate_fails_and_says_why(pytester: pytest.Pytester) -> None:
    """One fault, one failure, and the name of the machine in it."""
    result = pytester.runpytest_subprocess(*SUITE, "--ampls-lab=hub-and-spoke+missing-config-endpoint")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(
        ["*AMPLS402 *[[]high[]]*", "  virtual machine amplstest/spoke1", "FAILED *test_ampls402_*[[]spoke1]*"]
    )


@pytest.mark.parametrize("spec", ["hub-and-spoke+zone-unlinked", "two-scopes"])
def test_workers_give_the_same_verdicts(pytester: pytest.Pytester, spec: str) -> None:
    """One process and two workers agree on every case."""
    alone = pytester.runpytest_subprocess(*SUITE, f"--ampls-lab={spec}", "--junitxml=alone.xml")
    shared = pytester.runpytest_subprocess(*SUITE, f"--ampls-lab={spec}", "-n2", "--junitxml=shared.xml")
    assert alone.ret == shared.ret
    assert _cases(pytester.path / "alone.xml") == _cases(pytester.path / "shared.xml")


def test_what_the_file_leaves_out_is_skipped_with_its_reason(pytester: pytest.Pytester) -> None:
    """A rule left out does not fail, and the reason is in the report."""
    (pytester.path / "ampls.toml").write_text(
        '[[leave-out]]\nrule = "AMPLS402"\nresource = "spoke*"\nreason = "moved on Friday"\n'
    )
    pytester.makeini("[pytest]\n")
    result = pytester.runpytest_subprocess(
        *SUITE,
        "-rs",
        "-c",
        "tox.ini",
        "--rootdir",
        str(pytester.path),
        "--ampls-lab=hub-and-spoke+missing-config-endpoint",
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["SKIPPED *AMPLS402 left out: moved on Friday"])


@pytest.mark.parametrize("estate", ["hub-and-spoke", "fleet:vms=400"])
def test_a_value_that_a_rule_does_not_know_is_an_error_with_its_line(
    pytester: pytest.Pytester, estate: str
) -> None:
    """What the file expects wrongly is neither broken nor held, and no traceback tells of it."""
    (pytester.path / "ampls.toml").write_text('# intents\n[[expect]]\nrule = "AMPLS209"\nexpected = "off"\n')
    result = pytester.runpytest_subprocess(
        *SUITE,
        "--rootdir",
        str(pytester.path),
        f"--ampls-lab={estate}",
        "--ampls-group-by=rule",
        "--ampls-requirements=ampls.toml",
    )
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] == 1
    assert "failed" not in outcomes
    result.stdout.fnmatch_lines(["*ampls.toml:2: expected='off' is none of Disabled, Enabled, *"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_a_pattern_that_matches_nothing_stops_the_run(pytester: pytest.Pytester) -> None:
    """A rule left out for a name that does not exist says nothing, and is reported with its line."""
    (pytester.path / "ampls.toml").write_text('[[leave-out]]\nresource = "spok1"\nreason = "x"\n')
    result = pytester.runpytest_subprocess(
        *SUITE,
        "--rootdir",
        str(pytester.path),
        "--ampls-lab=hub-and-spoke",
        "--ampls-requirements=ampls.toml",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *ampls.toml:1: resource = 'spok1' matches none of*did you mean 'spoke1'*"]
    )


def test_leaving_everything_out_is_not_a_pass(pytester: pytest.Pytester) -> None:
    """Where the file leaves every resource out, nothing was judged, though the evidence is complete."""
    (pytester.path / "ampls.toml").write_text('[[leave-out]]\nresource = "*"\nreason = "not yet"\n')
    result = pytester.runpytest_subprocess(
        *SUITE,
        "--rootdir",
        str(pytester.path),
        "--ampls-lab=hub-and-spoke",
        "--ampls-requirements=ampls.toml",
    )
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["nothing was judged: all * tests of resources were skipped*"])


def test_an_access_mode_that_does_not_exist_is_an_error(pytester: pytest.Pytester) -> None:
    """A misspelt expectation is neither held nor broken."""
    (pytester.path / "ampls.toml").write_text('[[expect]]\nrule = "AMPLS101"\nexpected = "Private"\n')
    options = ("--rootdir", str(pytester.path), "--ampls-requirements=ampls.toml", "-k", "ampls101")
    result = pytester.runpytest_subprocess(*SUITE, *options, "--ampls-lab=hub-and-spoke")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ampls.toml:1: expected='Private' is none of Open, PrivateOnly*"])
