"""Options, ini values, environment: precedence, messages, and what a misspelt one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.conftest import run_pytest

GUID = "11111111-2222-3333-4444-555555555555"


def test_without_an_estate_the_message_says_what_to_give(pytester: pytest.Pytester) -> None:
    """A test that needs an estate, in a run without one, is an error with advice and no traceback."""
    pytester.makepyfile("def test_x(vm): pass")
    result = pytester.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*asks for vm: no estate to judge: give --ampls-subscription=ID*--ampls-lab=hub-and-spoke*"]
    )
    assert "Traceback" not in result.stdout.str()


def test_a_project_that_does_not_use_it_is_left_alone(pytester: pytest.Pytester) -> None:
    """Other tests run as ever, and none of the heavy libraries is imported."""
    pytester.makepyfile(
        """
        import sys

        def test_x():
            heavy = {"azure", "dns", "testinfra", "msgspec", "requests", "cryptography", "trustme"}
            assert heavy.isdisjoint(name.partition(".")[0] for name in sys.modules)
        """
    )
    # pytest-testinfra is a plugin of its own and imports itself; it is not what is measured here.
    result = pytester.runpytest_subprocess("-p", "no:pytest11.testinfra", "-p", "no:testinfra")
    result.assert_outcomes(passed=1)


def test_the_command_line_wins_over_ini_and_environment(pytester: pytest.Pytester, healthy: str) -> None:
    """Precedence is command line, ini file, environment; the header says which one it was."""
    pytester.makepyfile("def test_x(estate): assert estate.workspaces")
    path = healthy.partition("=")[2]
    from_env = run_pytest(pytester.path, AMPLS_SNAPSHOT=path)
    assert "(from AMPLS_SNAPSHOT)" in from_env.stdout
    pytester.makeini(f"[pytest]\nampls_snapshot = {path}\n")
    from_ini = run_pytest(pytester.path, AMPLS_SNAPSHOT="there-is-no-such-file")
    assert "(from ampls_snapshot in tox.ini)" in from_ini.stdout
    pytester.makeini("[pytest]\nampls_snapshot = there-is-no-such-file\n")
    from_option = run_pytest(pytester.path, healthy)
    assert "(from --ampls-snapshot)" in from_option.stdout
    assert from_env.returncode == from_ini.returncode == from_option.returncode == 0


def test_several_values_in_the_environment(pytester: pytest.Pytester) -> None:
    """Spaces separate values, because one value may list several addresses with commas."""
    pytester.makepyfile("def test_x(estate): assert len(estate.vantage_points) > 2")
    both = "a=127.0.0.1:1,127.0.0.1:2 a=127.0.0.1:3"
    result = run_pytest(pytester.path, AMPLS_LAB="hub-and-spoke", AMPLS_RESOLVER=both)
    assert "two resolvers are called 'a'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--ampls-subscription=my-subscription"],
            "*'my-subscription' is not a subscription id; it is a GUID*",
        ),
        (
            ["--ampls-subscription=" + GUID, "--ampls-lab=hub-and-spoke"],
            "*judged from one source, and subscription*lab*",
        ),
        (
            ["--ampls-lab=hub-and-spoke", "--ampls-arm-endpoint=https://127.0.0.1:1"],
            "*starts its own Azure Resource Manager*",
        ),
        (["--ampls-lab=hub-and-spook"], "*hub-and-spook*hub-and-spoke*"),
        (["--ampls-lab=hub-and-spoke+no-such-fault"], "*no-such-fault*"),
        (["--ampls-lab=hub-and-spoke", "--ampls-resolver=hub"], "*hub*NAME=ADDRESS*"),
        (["--ampls-lab=hub-and-spoke", "--ampls-resolver=hub=ten.zero"], "*ten.zero*"),
        (["--ampls-lab=hub-and-spoke", "--ampls-resolver=x=192.0.2.1"], "*sends nothing off loopback*"),
        (
            ["--ampls-lab=hub-and-spoke", "--ampls-resolver=x=127.0.0.1:5", "--ampls-resolver=x=127.0.0.1:6"],
            "*two resolvers are called 'x'*",
        ),
        (["--ampls-snapshot=nowhere.ampls"], "*nowhere.ampls*"),
        (
            ["--ampls-subscription=" + GUID, "--ampls-cloud=AzurCloud"],
            "*there is no cloud 'AzurCloud'*AzureCloud*",
        ),
        (["--ampls-subscription=" + GUID, "--ampls-arm-endpoint=http://127.0.0.1:1"], "*http*"),
        (
            ["--ampls-subscription=" + GUID, "--ampls-ca-bundle=nowhere.pem"],
            "*--ampls-ca-bundle: there is no file*nowhere.pem*",
        ),
        (
            ["--ampls-lab=hub-and-spoke", "--ampls-concurrency=many"],
            "*--ampls-concurrency: 'many' is not a number*",
        ),
        (
            ["--ampls-lab=hub-and-spoke", "--ampls-concurrency=0"],
            "*--ampls-concurrency: 0 is not between 1 and 256*",
        ),
        (
            ["--ampls-lab=hub-and-spoke", "--ampls-requirements=nowhere.toml"],
            "*there is no file*nowhere.toml*",
        ),
    ],
)
def test_a_wrong_value_stops_the_run_with_advice(
    pytester: pytest.Pytester, arguments: list[str], message: str
) -> None:
    """A wrong option value is a usage error: exit code 4, one message, no traceback."""
    pytester.makepyfile("def test_x(estate): pass\ndef test_y(ampls): pass")
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*ERROR: {message}"])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


def test_the_same_message_under_workers(pytester: pytest.Pytester) -> None:
    """The controller reads, and says what is wrong, before a worker starts."""
    pytester.makepyfile("def test_x(vm): pass")
    result = pytester.runpytest_subprocess("-n2", "--ampls-lab=hub-and-spook")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*ERROR: *hub-and-spook*"])


def test_an_empty_subscription_is_not_a_pass(pytester: pytest.Pytester) -> None:
    """An estate that holds nothing is a usage error, not a run of no tests."""
    pytester.makepyfile("def test_x(vm): pass")
    result = pytester.runpytest_inprocess("--ampls-lab=empty")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*ERROR: the estate is empty: *"])


def test_the_catalogue_prints(pytester: pytest.Pytester) -> None:
    """``--ampls-rules`` prints every rule with its severity, assertion and expectations, and runs nothing."""
    from pytest_ampls.assertions import CATALOGUE

    result = pytester.runpytest_subprocess("--ampls-rules")
    assert result.ret == 0
    for rule in CATALOGUE.values():
        result.stdout.fnmatch_lines_random([f"  {rule.id} {rule.severity}*", f"* {rule.name}*"])
    result.stdout.fnmatch_lines(["*expected='PrivateOnly'*", f"{len(CATALOGUE)} rules"])


def test_help_markers_and_fixtures_read_well(pytester: pytest.Pytester) -> None:
    """``--help``, ``--markers`` and ``--fixtures`` show what there is, each with a sentence."""
    pytester.runpytest_inprocess("--help").stdout.fnmatch_lines(
        ["*Azure Monitor Private Link Scope conformance*", "*--ampls-subscription=ID*", "*--ampls-lab=*"]
    )
    pytester.runpytest_inprocess("--markers").stdout.fnmatch_lines(["@pytest.mark.ampls(name=*"])
    shown = (
        pytester.runpytest_inprocess("--fixtures")
        .stdout.str()
        .partition("fixtures defined from pytest_ampls")[2]
    )
    ours = shown.partition("fixtures defined from")[0]
    for fixture in ("ampls", "estate", "judge", "machine", "resolver", "vm", "workspace"):
        assert f"\n{fixture} " in ours
    assert "no docstring available" not in ours


def test_requirements_beside_the_ini_file_are_found(pytester: pytest.Pytester, healthy: str) -> None:
    """An ``ampls.toml`` in the root directory is used without an option, and the header says so."""
    pytester.makeini("[pytest]\n")
    Path(pytester.path, "ampls.toml").write_text('[[expect]]\nrule = "AMPLS101"\nexpected = "Open"\n')
    pytester.makepyfile(
        """
        from pytest_ampls import assert_ingestion_access_mode

        def test_x(ampls, judge):
            judge(assert_ingestion_access_mode, ampls)
        """
    )
    result = pytester.runpytest_inprocess(healthy)
    result.stdout.fnmatch_lines(
        ["ampls: *requirements ampls.toml (beside pytest's configuration)*", "*expected  Open*"]
    )
    result.assert_outcomes(failed=1)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_snapshot_that_cannot_be_written_is_said_before_anything_is_read(
    pytester: pytest.Pytester, workers: str
) -> None:
    """It is a usage error, and nobody waits for a read that is lost then: not even the lab's name is looked at."""
    pytester.makepyfile("def test_x(vm): pass")
    options = ("--ampls-lab=no-such-estate", "--ampls-snapshot-out=nowhere/run.ampls", "-n", workers)
    result = pytester.runpytest_subprocess(*options, "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: The snapshot 'nowhere/run.ampls' cannot be written: there is no folder*"]
    )
    assert not (pytester.path / "nowhere").exists()
