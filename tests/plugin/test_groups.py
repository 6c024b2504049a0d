"""What a test on many resources tells: of those that could not be read, and of more than a terminal shows."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.plugin.conftest import Recorder

FLEET = "fleet:vms=9,spoke_size=2,subscriptions=4"
"""Four spokes of two machines, one in each subscription, and the DNS server in the first."""
SUITE = ("--pyargs", "pytest_ampls.conformance", "-p", "no:cacheprovider")


def _text(file: Path) -> str:
    """Return the text of the only failure or error of a JUnit file."""
    (told,) = [
        part for case in ET.parse(file).iter("testcase") for part in case if part.tag in ("failure", "error")
    ]
    return told.text or ""


@pytest.mark.parametrize(
    ("by", "passed", "name"),
    [("rule", 0, "all"), ("subscription", 3, None), ("resource-group", 4, "unread-")],
)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_could_not_be_read_is_one_item_of_its_group(
    pytester: pytest.Pytester, recorded: Recorder, workers: str, by: str, passed: int, name: str | None
) -> None:
    """Three listings of a subscription are one error, which has each of them once, and the summary counts three."""
    evidence = recorded(f"{FLEET}+denied-subscription")
    options = (f"--ampls-snapshot={evidence}", f"--ampls-group-by={by}", "-n", workers, "-k", "ampls401")
    result = pytester.runpytest_subprocess(*SUITE, *options)
    result.assert_outcomes(passed=passed, errors=1)
    (heading,) = [line for line in result.outlines if " ERROR at " in line]
    assert f"test_ampls401_rule_association[{name or ''}" in heading
    text = result.stdout.str()
    assert "not verified: 3 reads, for 3 reasons:" in text
    for kind in ("virtualMachines", "virtualMachineScaleSets", "Microsoft.HybridCompute/machines"):
        assert sum(kind in line for line in result.outlines if line.startswith("  Listing ")) == 1
    result.stdout.fnmatch_lines(["0 broken, 3 unverified, 7 held, 0 not applicable, over 1 rule"])


def test_a_fixture_of_the_users_is_not_made_for_each_unread_listing(
    pytester: pytest.Pytester, recorded: Recorder
) -> None:
    """Where its own fixture takes the resource, a test keeps its items, and has one for what is unread."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def upper(machine):
            return machine.name.upper()

        def test_it(upper):
            assert upper.isupper()
        """
    )
    evidence = recorded(f"{FLEET}+denied-subscription")
    result = pytester.runpytest_inprocess(f"--ampls-snapshot={evidence}", "--ampls-group-by=rule")
    result.assert_outcomes(passed=7, errors=1)


def test_a_failure_beside_what_could_not_be_read(pytester: pytest.Pytester, recorded: Recorder) -> None:
    """It is told with it; where the failure was expected, the test is an error: nobody saw the others."""
    pytester.makepyfile(
        """
        import pytest

        def test_name(machine):
            assert machine.name != "vm00002"

        @pytest.mark.xfail(strict=False)
        def test_expected(machine):
            assert machine.name != "vm00002"
        """
    )
    evidence = recorded(f"{FLEET}+denied-subscription")
    result = pytester.runpytest_inprocess(f"--ampls-snapshot={evidence}", "--ampls-group-by=rule")
    result.assert_outcomes(failed=1, errors=1)
    told = ["1 of 7 failed", "*vm00002: assert *", "  unverified besides: 3 reads, for 3 reasons:"]
    result.stdout.fnmatch_lines(told)
    result.stdout.fnmatch_lines(["0 broken, 6 unverified, *"])


def test_many_reasons_are_cut_in_the_terminal_only(pytester: pytest.Pytester, recorded: Recorder) -> None:
    """Ten are shown there, and a report has all of them."""
    evidence = recorded("fleet:vms=13,spoke_size=1,subscriptions=12+denied=virtualMachines")
    options = (f"--ampls-snapshot={evidence}", "--ampls-group-by=rule", "-k", "ampls401", "--junitxml=x")
    result = pytester.runpytest_inprocess(*SUITE, *options)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["not verified: 12 reads, for 12 reasons:", "  … and 2 more reasons"])
    assert sum(line.startswith("  Listing ") for line in result.outlines) == 10
    assert _text(pytester.path / "x").count("  Listing Microsoft.Compute/virtualMachines in ") == 12


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("body", "cut"),
    [
        ("assert_association_limit(vm, limit=0)", "  … and 3 more findings"),
        ("assert vm.name == 1", "… and 3 more"),
    ],
)
def test_a_report_has_every_finding(
    pytester: pytest.Pytester, recorded: Recorder, workers: str, body: str, cut: str
) -> None:
    """The terminal shows ten of thirteen, JUnit's failure all: of a rule, and of a plain assertion."""
    pytester.makepyfile(f"from pytest_ampls import assert_association_limit\ndef test_it(vm): {body}")
    evidence = recorded("fleet:vms=13")
    options = (f"--ampls-snapshot={evidence}", "--ampls-group-by=rule", "-n", workers, "--junitxml=x")
    result = pytester.runpytest_subprocess(*options, "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([cut])
    whole = _text(pytester.path / "x")
    names = [f"vm{number:05d}" for number in range(13)]
    assert [name in whole for name in names] == [True] * 13
    assert [name in result.stdout.str() for name in names] == [True] * 10 + [False] * 3
    assert cut not in whole
