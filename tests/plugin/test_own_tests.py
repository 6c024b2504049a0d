"""Tests that users write: fixtures, ids, markers, outcomes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from tests.plugin.conftest import Recorder

CONFIG_ENDPOINT = """
    from pytest_ampls import assert_config_endpoint_association

    def test_agent_config(vm):
        assert_config_endpoint_association(vm)
"""


def test_a_test_runs_once_per_machine(pytester: pytest.Pytester, healthy: str) -> None:
    """A test that asks for ``vm`` gets one item per virtual machine, with its name as the id."""
    pytester.makepyfile(CONFIG_ENDPOINT)
    result = pytester.runpytest_inprocess(healthy, "-v")
    result.stdout.fnmatch_lines_random(
        [f"*::test_agent_config?{name}? PASSED*" for name in ("hub", "spoke1", "spoke4")]
    )
    assert result.ret == pytest.ExitCode.OK


def test_workers_and_one_process_agree(pytester: pytest.Pytester, broken: str) -> None:
    """Two workers give the same verdicts as one process."""
    pytester.makepyfile(CONFIG_ENDPOINT)
    alone = pytester.runpytest_subprocess(broken, "-p", "no:cacheprovider", "--junitxml=alone.xml")
    shared = pytester.runpytest_subprocess(broken, "-p", "no:cacheprovider", "-n2", "--junitxml=shared.xml")
    assert alone.ret == shared.ret == pytest.ExitCode.TESTS_FAILED
    verdicts = [_verdicts(pytester.path / name) for name in ("alone.xml", "shared.xml")]
    assert verdicts[0] == verdicts[1]
    assert sorted(verdicts[0].values()).count("failure") == 1


def _verdicts(path: object) -> dict[str, str]:
    cases = ET.parse(str(path)).iter("testcase")
    return {
        str(case.get("name")): next((child.tag for child in case if child.tag != "properties"), "passed")
        for case in cases
    }


def test_the_failure_reads_as_an_engineer_wants(pytester: pytest.Pytester, broken: str) -> None:
    """The message says rule, resource, expected, observed, why, fix, evidence and link, and shows no code of ours."""
    pytester.makepyfile(test_x=CONFIG_ENDPOINT)
    result = pytester.runpytest_inprocess(broken)
    result.stdout.fnmatch_lines(
        [
            "*AMPLS402 * [[]high[]]",
            "*virtual machine amplstest/spoke*",
            "*property  *",
            "*expected  *configurationAccessEndpoint*",
            "*observed  *",
            "*evidence  az rest --method get --url *dataCollectionRuleAssociations*",
            "*why   *",
            "*fix   az *",
            "*terraform *",
            "*bicep *",
            "*link  https://learn.microsoft.com/*",
            "FAILED *AMPLS402 virtual machine*",
        ]
    )
    text = result.stdout.str()
    assert "Traceback" not in text
    assert "catalogue.py" not in text
    assert "pytest_ampls/" not in text


@pytest.mark.parametrize(
    ("marker", "chosen"),
    [
        ("name='spoke*'", ["spoke1", "spoke2", "spoke3", "spoke4"]),
        ("name='hub'", ["hub"]),
        ("resource_group='AMPLSTEST', name='hub'", ["hub"]),
        ("tags={'Role': 'd*'}", ["hub"]),
        ("location='West Europe', name='hub'", ["hub"]),
    ],
)
def test_markers_narrow(pytester: pytest.Pytester, healthy: str, marker: str, chosen: list[str]) -> None:
    """The marker's patterns choose the resources, without regard to case."""
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.ampls({marker})
        def test_x(vm):
            assert vm.location
        """
    )
    result = pytester.runpytest_inprocess(healthy, "--collect-only", "-q")
    listed = [line.partition("[")[2].rstrip("]") for line in result.outlines if "::test_x[" in line]
    assert listed == chosen


def test_markers_narrow_by_operating_system(pytester: pytest.Pytester, healthy: str) -> None:
    """``os`` tells Linux from Windows machines, and together they are all."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.ampls(os="linux")
        def test_linux(vm):
            assert vm.os_type == "linux"

        @pytest.mark.ampls(os="windows")
        def test_windows(vm):
            assert vm.os_type == "windows"

        def test_all(vm):
            assert vm.os_type
        """
    )
    result = pytester.runpytest_inprocess(healthy, "--collect-only", "-q")
    count = {
        name: sum(f"::{name}[" in line for line in result.outlines)
        for name in ("test_linux", "test_windows", "test_all")
    }
    assert count["test_linux"]
    assert count["test_windows"]
    assert count["test_linux"] + count["test_windows"] == count["test_all"]


def test_an_unknown_marker_keyword_is_an_error(pytester: pytest.Pytester, healthy: str) -> None:
    """A misspelt keyword would silently select everything; it stops the run and says what there is."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.ampls(resource_grup="x")
        def test_x(vm):
            pass
        """
    )
    result = pytester.runpytest_inprocess(healthy)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *resource_grup*it takes name, resource_group, location, os, tags*"])


def test_a_marker_that_selects_nothing_is_an_error(pytester: pytest.Pytester, healthy: str) -> None:
    """An empty choice is never a silent pass."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.ampls(name="nothing-like-it")
        def test_x(vm):
            pass
        """
    )
    result = pytester.runpytest_inprocess(healthy)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the ampls marker of this test selects none of the * virtual machines*"])


def test_a_users_own_fixture_wins(pytester: pytest.Pytester, healthy: str) -> None:
    """A fixture of the same name in the user's file is used, and not parametrized by us."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def vm():
            return "mine"

        def test_x(vm):
            assert vm == "mine"
        """
    )
    result = pytester.runpytest_inprocess(healthy)
    result.assert_outcomes(passed=1)


def test_navigation_needs_no_rule(pytester: pytest.Pytester, healthy: str) -> None:
    """Resources navigate to each other, so a plain assert is a test."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.ampls(name="spoke1")
        def test_same_region(vm):
            assert vm.config_endpoint.location == vm.location

        def test_scope_lists_workspace(estate):
            (scope,) = estate.private_link_scopes
            (workspace,) = estate.workspaces
            assert scope in workspace.scopes
        """
    )
    pytester.runpytest_inprocess(healthy).assert_outcomes(passed=2)


def test_unverified_is_an_error_whatever_a_test_expects(
    pytester: pytest.Pytester, recorded: Recorder
) -> None:
    """A denied read makes an error, in a test that expects a failure too; it never counts as xfailed."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.xfail(reason="known")
        @pytest.mark.ampls(name="spoke1")
        def test_expected_to_fail(vm):
            vm.agents

        @pytest.mark.ampls(name="spoke1")
        def test_plain(vm):
            vm.agents
        """
    )
    denied = recorded("hub-and-spoke+denied=Microsoft.Compute/virtualMachines/extensions")
    result = pytester.runpytest_inprocess(f"--ampls-snapshot={denied}", "--junitxml=out.xml")
    result.assert_outcomes(errors=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    tags = {child.tag for case in ET.parse(pytester.path / "out.xml").iter("testcase") for child in case}
    assert "error" in tags
    assert "failure" not in tags
    assert "Traceback" not in result.stdout.str()


def test_one_rule_that_does_not_apply_hides_no_other(pytester: pytest.Pytester, broken: str) -> None:
    """With two assertions in one test, the first not applicable, the second still fails the test."""
    pytester.makepyfile(
        """
        import pytest
        from pytest_ampls import assert_config_endpoint_association, assert_config_endpoint_region

        @pytest.mark.ampls(name="spoke*")
        def test_both(vm):
            assert_config_endpoint_region(vm)
            assert_config_endpoint_association(vm)

        @pytest.mark.ampls(name="spoke*")
        def test_first(vm):
            assert_config_endpoint_region(vm)
        """
    )
    result = pytester.runpytest_inprocess(broken, "-rs")
    result.assert_outcomes(passed=6, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *AMPLS405 does not apply: *"])


def test_a_run_of_skips_is_not_a_pass(pytester: pytest.Pytester, healthy: str) -> None:
    """Where every test was skipped nothing was judged, and the exit code says so."""
    pytester.makepyfile(
        """
        import pytest

        def test_x(vm):
            pytest.skip("not today")
        """
    )
    result = pytester.runpytest_inprocess(healthy)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["nothing was judged: all * tests of resources were skipped*"])


def test_junit_properties_name_rule_and_resource(pytester: pytest.Pytester, broken: str) -> None:
    """A JUnit file carries rule id, resource id and verdict of each case."""
    pytester.makepyfile(CONFIG_ENDPOINT)
    pytester.runpytest_inprocess(broken, "--junitxml=out.xml")
    properties = [
        {str(entry.get("name")): str(entry.get("value")) for entry in case.iter("property")}
        for case in ET.parse(pytester.path / "out.xml").iter("testcase")
    ]
    assert all(entry["ampls.rule"] == "AMPLS402" for entry in properties)
    assert [entry["ampls.verdict"] for entry in properties].count("broken") == 1
    assert all("/virtualMachines/" in entry["ampls.resource"] for entry in properties)
    assert json.dumps(properties)


def test_a_summary_by_rule_worst_first(pytester: pytest.Pytester, broken: str) -> None:
    """The summary counts verdicts by rule, and the broken rule comes first."""
    pytester.makepyfile(
        """
        from pytest_ampls import assert_config_endpoint_association, assert_query_access_mode

        def test_a(ampls):
            assert_query_access_mode(ampls)

        def test_b(vm):
            assert_config_endpoint_association(vm)
        """
    )
    result = pytester.runpytest_inprocess(broken)
    result.stdout.fnmatch_lines(
        [
            "*AMPLS conformance*",
            "*broken*unverified*held*n/a*rule*",
            "*1 *AMPLS402 *",
            "*1 *AMPLS102 *",
            "1 broken, 0 unverified, *",
        ]
    )
