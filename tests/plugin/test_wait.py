"""Waiting for an estate that settles after a deployment."""

from __future__ import annotations

import re

import pytest

SUITE = ("--pyargs", "pytest_ampls.conformance", "-p", "no:cacheprovider")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_becomes_true_is_waited_for(pytester: pytest.Pytester, workers: str) -> None:
    """Faults that go away during the wait leave a green run, which says how long each took."""
    spec = "hub-and-spoke:mends_after=12+missing-config-endpoint+zone-unlinked"
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
    spec = "hub-and-spoke:mends_after=10+missing-config-endpoint"
    result = pytester.runpytest_subprocess(f"--ampls-lab={spec}", "--ampls-wait=1m", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4)


def test_unverified_is_waited_for_too(pytester: pytest.Pytester) -> None:
    """A refused read that is granted during the wait becomes a verdict."""
    spec = "hub-and-spoke:mends_after=10+denied=Microsoft.Compute/virtualMachines/extensions"
    result = pytester.runpytest_subprocess(*SUITE, f"--ampls-lab={spec}", "--ampls-wait=1m", "-k", "ampls5")
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_could_not_be_listed_is_waited_for_before_the_tests_are_made(
    pytester: pytest.Pytester, workers: str
) -> None:
    """Machines that may be listed only after a while are judged, every one of them."""
    spec = "hub-and-spoke:mends_after=12+denied=Microsoft.Compute/virtualMachines"
    options = (f"--ampls-lab={spec}", "--ampls-wait=1m", "-k", "ampls402", "-n", workers)
    result = pytester.runpytest_subprocess(*SUITE, *options)
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["passed"] == 9


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
