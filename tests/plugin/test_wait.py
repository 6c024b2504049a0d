"""Waiting for an estate that settles after a deployment."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_ampls.patience import WAITING, Lost

SUITE = ("--pyargs", "pytest_ampls.conformance", "-p", "no:cacheprovider")
SMALL = "fleet:vms=3,spoke_size=2"
"""Read and judged in a second: what is waited for then is the wait itself."""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_becomes_true_is_waited_for(pytester: pytest.Pytester, workers: str) -> None:
    """Faults that go away during the wait leave a green run, which says how long each took."""
    # Long enough for the first read on a busy machine, and no longer: what is mended by then is not waited for.
    spec = "hub-and-spoke:mends_after=8+missing-config-endpoint+zone-unlinked"
    result = pytester.runpytest_subprocess(*SUITE, f"--ampls-lab={spec}", "--ampls-wait=2m", "-n", workers)
    assert result.ret == pytest.ExitCode.OK
    text = result.stdout.str()
    assert "0 broken, 0 unverified" in text
    assert re.search(r"became true after \d+ s: .*test_ampls402_config_endpoint_association\[spoke1\]", text)
    result.stdout.fnmatch_lines(["ampls: *reading again*"])


def test_what_stays_broken_fails_when_the_time_is_over(pytester: pytest.Pytester) -> None:
    """The wait is bounded, and the failure is that of the last evidence."""
    options = ("--ampls-lab=hub-and-spoke+missing-config-endpoint", "--ampls-wait=2s")
    result = pytester.runpytest_subprocess(*SUITE, *options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1
    assert "became true" not in result.stdout.str()


def test_own_tests_and_their_fixtures_see_the_fresh_estate(pytester: pytest.Pytester) -> None:
    """A plain assertion, a fixture of the user's and the session's estate all look at the newest evidence."""
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.ampls(name="spoke1")

        @pytest.fixture
        def endpoint(vm):
            return vm.config_endpoint

        def test_plain(vm):
            assert vm.config_endpoint is not None

        def test_through_a_fixture(endpoint):
            assert endpoint is not None

        def test_estate(estate):
            assert all(vm.config_endpoint for vm in estate.virtual_machines)

        def test_unrelated():
            pass
        """
    )
    spec = "hub-and-spoke:mends_after=4+missing-config-endpoint"
    result = pytester.runpytest_subprocess(f"--ampls-lab={spec}", "--ampls-wait=1m", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4)


def test_unverified_is_waited_for_too(pytester: pytest.Pytester) -> None:
    """A refused read that is granted during the wait becomes a verdict."""
    spec = f"{SMALL},mends_after=4+denied=Microsoft.Compute/virtualMachines/extensions"
    result = pytester.runpytest_subprocess(*SUITE, f"--ampls-lab={spec}", "--ampls-wait=1m", "-k", "ampls501")
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_could_not_be_listed_is_waited_for_before_the_tests_are_made(
    pytester: pytest.Pytester, workers: str
) -> None:
    """Machines that may be listed only after a while are judged, every one of them."""
    spec = f"{SMALL},mends_after=3+denied=Microsoft.Compute/virtualMachines"
    options = (f"--ampls-lab={spec}", "--ampls-wait=1m", "-k", "ampls402", "-n", workers)
    result = pytester.runpytest_subprocess(*SUITE, *options)
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["passed"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--ampls-lab=hub-and-spoke", "--ampls-wait=soon"],
            "*--ampls-wait: 'soon' is not a duration, such as 90s*",
        ),
        (["--ampls-snapshot=x", "--ampls-wait=1m"], "*a snapshot*does not change*"),
    ],
)
def test_a_wait_that_makes_no_sense(pytester: pytest.Pytester, options: list[str], message: str) -> None:
    """A duration that is none, and waiting for a file to change, are usage errors."""
    pytester.makepyfile("def test_x(vm): pass")
    result = pytester.runpytest_inprocess(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


@pytest.mark.parametrize(("workers", "by"), [("0", "resource"), ("2", "resource"), ("2", "rule")])
def test_what_did_not_apply_is_judged_on_what_arrived(
    pytester: pytest.Pytester, workers: str, by: str
) -> None:
    """Once a machine has its agent and its endpoint, the rules about them apply, as on a replay of the evidence."""
    spec = f"{SMALL},mends_after=8+missing-config-endpoint+agent-missing"
    common = (*SUITE, f"--ampls-group-by={by}")
    waiting = (f"--ampls-lab={spec}", "--ampls-wait=1m", "--ampls-snapshot-out=run.ampls", "-n", workers)
    waited = pytester.runpytest_subprocess(*common, *waiting)
    replayed = pytester.runpytest_inprocess(*common, "--ampls-snapshot=run.ampls")
    assert waited.ret == replayed.ret == pytest.ExitCode.OK
    for outcome in ("passed", "skipped"):
        assert waited.parseoutcomes()[outcome] == replayed.parseoutcomes()[outcome]
    for line in ("*501_agent_extension*", "*402_config_endpoint_association*"):
        waited.stdout.fnmatch_lines([f"became true after {line}"])
    (counted,) = [line for line in replayed.outlines if " held, " in line]
    waited.stdout.fnmatch_lines([counted])


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_did_not_apply_may_fail_in_the_end(pytester: pytest.Pytester, workers: str) -> None:
    """A test that skips while something is missing is judged when it is there, and is red if it does not hold."""
    pytester.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.ampls(name="spoke1")

        def test_arrives(vm):
            assert vm.config_endpoint is not None

        def test_where_it_is(vm):
            if vm.config_endpoint is None:
                pytest.skip("nothing to look at")
            assert vm.config_endpoint.location == "elsewhere"
        """
    )
    spec = "hub-and-spoke:mends_after=3+missing-config-endpoint"
    options = (f"--ampls-lab={spec}", "--ampls-wait=9s", "-n", workers, "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*== 'elsewhere'"])


@pytest.mark.parametrize("comes", [False, True])
def test_a_verdict_that_never_came_is_no_pass(comes: bool) -> None:
    """A run in which a test waited, and nothing was heard of it afterwards, does not end with 0."""
    session: Any = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    last: dict[str, Any] = {"nodeid": "test_x", "location": ("x", 0, "x"), "keywords": {}, "longrepr": None}
    lost = Lost()
    lost.pytest_runtest_logreport(pytest.TestReport(outcome=WAITING, when="call", **last))
    if comes:
        lost.pytest_runtest_logreport(pytest.TestReport(outcome="passed", when="teardown", **last))
    lost.pytest_sessionfinish(session, pytest.ExitCode.OK)
    assert session.exitstatus == (pytest.ExitCode.OK if comes else pytest.ExitCode.TESTS_FAILED)
