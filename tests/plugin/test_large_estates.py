"""Narrowing a run, and judging many resources in one test."""

from __future__ import annotations

import gc
import xml.etree.ElementTree as ET

import pytest

from tests.plugin.conftest import Recorder

OWN_TESTS = """
    import pytest
    from pytest_ampls import assert_agent_identity_explicit, assert_config_endpoint_association

    def test_config(vm):
        assert_config_endpoint_association(vm)

    def test_name(vm):
        assert vm.name != "spoke2"

    def test_both(vm):
        assert_config_endpoint_association(vm)
        assert vm.name != "spoke2"

    @pytest.fixture
    def upper(vm):
        return vm.name.upper()

    def test_through_a_fixture(upper):
        assert upper.isupper()
"""


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["--ampls-resource-group=AMPLS*"], 7),
        (["--ampls-resource-group=nothing", "--ampls-resource-group=amplstest"], 7),
    ],
)
def test_a_run_is_narrowed(pytester: pytest.Pytester, healthy: str, options: list[str], chosen: int) -> None:
    """Groups are alternatives, and patterns do not regard case."""
    pytester.makepyfile("def test_x(vm): assert vm.config_endpoint.location == vm.location")
    result = pytester.runpytest_inprocess(healthy, *options)
    result.assert_outcomes(passed=chosen)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "--ampls-tag=no-such-tag=*",
            "*no resource of the estate lies within --ampls-resource-group and --ampls-tag*",
        ),
        ("--ampls-resource-group=nothing", "*no resource of the estate lies within*"),
        ("--ampls-tag=env", "*--ampls-tag: 'env' is not NAME=PATTERN*"),
        ("--ampls-group-by=machine", "*--ampls-group-by: 'machine' is none of resource, resource-group*"),
    ],
)
def test_a_wrong_value_is_a_usage_error(
    pytester: pytest.Pytester, healthy: str, option: str, message: str
) -> None:
    """A misspelt grouping or tag stops the run and says what there is."""
    pytester.makepyfile("def test_x(vm): pass")
    result = pytester.runpytest_inprocess(healthy, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


@pytest.mark.parametrize(
    ("by", "items"), [("resource-group", 1), ("subscription", 1), ("rule", 1), ("resource", 7)]
)
def test_one_test_judges_many_resources(pytester: pytest.Pytester, broken: str, by: str, items: int) -> None:
    """Tests that take the resource themselves are grouped; one whose fixture takes it is not."""
    pytester.makepyfile(OWN_TESTS)
    result = pytester.runpytest_inprocess(broken, f"--ampls-group-by={by}", "--collect-only", "-q")
    counts = [
        sum(f"::{name}[" in line for line in result.outlines)
        for name in ("test_config", "test_through_a_fixture")
    ]
    assert counts == [items, 7]


def test_a_group_tells_everything_that_went_wrong(pytester: pytest.Pytester, broken: str) -> None:
    """One rule gives one failure with every finding; different failures are told together, none is lost."""
    pytester.makepyfile(OWN_TESTS)
    result = pytester.runpytest_inprocess(broken, "--ampls-group-by=rule")
    result.assert_outcomes(passed=7, failed=3)
    result.stdout.fnmatch_lines(
        ["AMPLS402 *", "  virtual machine amplstest/spoke1", "1 of 7 failed*", "2 of 7 failed*", "*spoke1*"]
    )
    assert "grouping.py" not in result.stdout.str()


def test_nothing_that_a_test_raises_hides_the_others(pytester: pytest.Pytester, healthy: str) -> None:
    """After ``pytest.fail``, an error in the test or an expected failure, the other resources are judged."""
    pytester.makepyfile(
        """
        import pytest

        def test_fails(vm):
            if vm.name in ("spoke1", "spoke2"):
                pytest.fail(f"not {vm.name}")

        def test_is_wrong(vm):
            if vm.name == "spoke1":
                raise KeyError("unforeseen")
            assert vm.name != "spoke3"

        def test_is_expected_to_fail(vm):
            if vm.name == "spoke1":
                pytest.xfail("known")
            assert vm.name != "spoke2"

        def test_is_known(vm):
            if vm.name == "spoke1":
                pytest.xfail("known")
        """
    )
    result = pytester.runpytest_inprocess(healthy, "--ampls-group-by=rule")
    result.assert_outcomes(failed=3, xfailed=1)
    text = result.stdout.str()
    for told in (
        "spoke1: Failed: not spoke1",
        "spoke2: Failed: not spoke2",
        "spoke1: KeyError: 'unforeseen'",
    ):
        assert told in text
    for told in ("spoke3: assert 'spoke3' != 'spoke3'", "spoke2: assert 'spoke2' != 'spoke2'"):
        assert told in text
    assert "grouping.py" not in text


@pytest.mark.parametrize("by", ["rule", "resource-group", "resource"])
def test_grouping_changes_no_verdict(pytester: pytest.Pytester, recorded: Recorder, by: str) -> None:
    """However many resources a test judges, the same rules are broken on the same resources."""
    evidence = recorded("hub-and-spoke+near-miss-association+agent-missing")
    result = pytester.runpytest_inprocess(
        "--pyargs",
        "pytest_ampls.conformance",
        f"--ampls-snapshot={evidence}",
        f"--ampls-group-by={by}",
        "--junitxml=x",
    )
    result.stdout.fnmatch_lines(["3 broken, 0 unverified, * held, * not applicable, over * rules"])
    verdicts: set[tuple[str, str]] = set()
    for case in ET.parse(pytester.path / "x").iter("testcase"):
        values = [(str(part.get("name")), str(part.get("value"))) for part in case.iter("property")]
        rules = [value for name, value in values if name == "ampls.rule"]
        kinds = [value for name, value in values if name == "ampls.verdict"]
        where = [value for name, value in values if name == "ampls.resource"]
        verdicts |= {
            (rule, name) for rule, kind, name in zip(rules, kinds, where, strict=True) if kind == "broken"
        }
    assert {rule for rule, _ in verdicts} == {"AMPLS402", "AMPLS403", "AMPLS501"}
    assert len(verdicts) == 3


def test_an_unverified_resource_of_a_group_is_an_error(pytester: pytest.Pytester, recorded: Recorder) -> None:
    """Where nothing failed and something could not be read, the whole group is not green."""
    pytester.makepyfile("def test_x(vm): vm.agents")
    denied = recorded("hub-and-spoke+denied=Microsoft.Compute/virtualMachines/extensions")
    result = pytester.runpytest_inprocess(f"--ampls-snapshot={denied}", "--ampls-group-by=rule")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["not verified: 7 of 7 resources; *extensions/read*"])


@pytest.mark.parametrize("by", ["rule", "resource"])
def test_workers_count_the_same(pytester: pytest.Pytester, recorded: Recorder, by: str) -> None:
    """The summary of one process, of two workers and of four is the same to the letter."""
    evidence = recorded("hub-and-spoke+near-miss-association+agent-missing")
    arguments = ["--pyargs", "pytest_ampls.conformance", f"--ampls-snapshot={evidence}"]
    arguments += [f"--ampls-group-by={by}", "-p", "no:cacheprovider"]
    summaries = []
    for workers in ("0", "2", "4"):
        lines = pytester.runpytest_subprocess(*arguments, "-n", workers).outlines
        start = next(number for number, line in enumerate(lines) if "AMPLS conformance" in line)
        end = next(number for number, line in enumerate(lines) if line.startswith("evidence:"))
        summaries.append(lines[start:end])
    assert summaries[0] == summaries[1] == summaries[2]
    assert any(line.startswith("3 broken, 0 unverified") for line in summaries[0])


def test_a_large_group_names_what_is_wrong_and_counts_the_rest(
    pytester: pytest.Pytester, recorded: Recorder
) -> None:
    """JUnit properties of a group of 150 machines name a hundred, and the broken one, and count the others."""
    pytester.makepyfile(
        """
        from pytest_ampls import assert_agent_extension

        def test_agent(vm):
            assert_agent_extension(vm)
        """
    )
    evidence = recorded("fleet:vms=150+agent-missing")
    result = pytester.runpytest_inprocess(
        f"--ampls-snapshot={evidence}", "--ampls-group-by=rule", "--junitxml=x"
    )
    result.assert_outcomes(failed=1)
    (case,) = ET.parse(pytester.path / "x").iter("testcase")
    values = [(part.get("name"), part.get("value")) for part in case.iter("property")]
    verdicts = [value for name, value in values if name == "ampls.verdict"]
    assert verdicts.count("broken") == 1
    assert verdicts.count("held") in (99, 100)
    (rest,) = [value for name, value in values if name == "ampls.counted"]
    assert rest == f"AMPLS501: {149 - verdicts.count('held')} held"


def test_the_garbage_collector_passes_over_what_stays(pytester: pytest.Pytester, healthy: str) -> None:
    """It looks at no estate again and again, and is on while tests run, where it was on before."""
    pytester.makepyfile("""
        import gc

        def test_on(estate):
            assert gc.isenabled() and gc.get_freeze_count() > 0
            assert not any(found is estate for found in gc.get_objects())
    """)
    pytester.runpytest_inprocess(healthy).assert_outcomes(passed=1)


def test_a_garbage_collector_that_is_off_stays_off(pytester: pytest.Pytester, healthy: str) -> None:
    """Whoever turned it off wants it so."""
    pytester.makeconftest("import gc; gc.disable()")
    pytester.makepyfile("import gc\ndef test_off(estate): assert not gc.isenabled()")
    try:
        pytester.runpytest_inprocess(healthy).assert_outcomes(passed=1)
    finally:
        gc.enable()


def test_a_project_without_an_estate_keeps_its_garbage_collector(pytester: pytest.Pytester) -> None:
    """The plugin touches nothing where it is not used."""
    gc.unfreeze()
    pytester.makepyfile("import gc\ndef test_x(): assert gc.get_freeze_count() == 0")
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
