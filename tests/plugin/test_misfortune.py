"""When things go wrong: never green, never a hang, never a traceback for an answer."""

from __future__ import annotations

import pytest

SUITE = ("--pyargs", "pytest_ampls.conformance", "-p", "no:cacheprovider", "--ampls-dns-timeout=0.3")
TYPE = "Microsoft.Insights/dataCollectionRules"


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (f"denied={TYPE}", "*dataCollectionRules/read*"),
        ("denied=Microsoft.Compute/virtualMachines", "*virtualMachines/read*"),
        ("denied=Microsoft.Insights/privateLinkScopes", "*privateLinkScopes/read*"),
        (f"cut-page={TYPE}", "*dataCollectionRules*"),
        (f"foreign-next-link={TYPE}", "*must not leave for another host*"),
        (f"malformed-json={TYPE}", "*dataCollectionRules*"),
        (f"missing-properties={TYPE}", "*properties*"),
        (f"wrong-type={TYPE}", "*dataCollectionRules*"),
        (f"connection-reset={TYPE}", "*dataCollectionRules*"),
        (f"throttled-forever={TYPE}", "*throttled*"),
        ("dns-down", "*dns*"),
        ("dns-servfail", "*SERVFAIL*"),
        ("dns-truncated-forever", "*dns*"),
        ("dns-cname-loop", "*loop*"),
        ("dns-garbage", "*dns*"),
        ("dns-timeout", "*dns*"),
    ],
)
def test_part_of_the_evidence_is_missing(pytester: pytest.Pytester, faults: str, message: str) -> None:
    """What needs the missing part is an error that says why; the rest is judged; nothing fails because of it."""
    _judge_in_part(pytester, faults, message)


def test_pages_that_lead_in_a_circle(pytester: pytest.Pytester) -> None:
    """They come to an end, and what they listed does not count as read."""
    message = "*the pages lead in a circle: after 2 of them*"
    _judge_in_part(pytester, f"looping-next-link={TYPE}", message, "--ampls-discovery=arm")


def _judge_in_part(pytester: pytest.Pytester, faults: str, message: str, *options: str) -> None:
    result = pytester.runpytest_inprocess(
        *SUITE, f"--ampls-lab=hub-and-spoke+{faults}", "--ampls-throttle-budget=2", *options
    )
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes["errors"]
    assert outcomes["passed"]
    assert "failed" not in outcomes
    result.stdout.fnmatch_lines(["*AMPLS conformance*", "not verified: *", "evidence: *"])
    result.stdout.fnmatch_lines([message])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ("denied", "*the estate cannot be read*"),
        ("unauthenticated", "*the estate cannot be read*"),
        ("token-refused", "*the estate cannot be read*"),
        ("html-error", "*the estate cannot be read*"),
        ("throttled=6", "*the estate cannot be read*"),
    ],
)
def test_nothing_can_be_read(pytester: pytest.Pytester, faults: str, message: str) -> None:
    """Where not one listing succeeds there is one usage error, and no test is counted."""
    result = pytester.runpytest_inprocess(
        *SUITE, f"--ampls-lab=hub-and-spoke+{faults}", "--ampls-throttle-budget=1"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("faults", ["throttled=2", "dns-truncated", "no-resource-graph"])
def test_what_can_be_waited_out_or_gone_around_passes(pytester: pytest.Pytester, faults: str) -> None:
    """A few 429s, UDP answers that do not fit and a missing index cost time, not verdicts."""
    # A busy machine may take longer than the short time that is enough where no answer ever comes.
    patient = ("--ampls-throttle-budget=60", "--ampls-dns-timeout=10")
    result = pytester.runpytest_inprocess(*SUITE, f"--ampls-lab=hub-and-spoke+{faults}", *patient)
    assert result.ret == pytest.ExitCode.OK
    assert "errors" not in result.parseoutcomes()
