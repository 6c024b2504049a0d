"""The examples run as they stand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="the examples are in the repository, not in the wheel"
)


def _run(pytester: pytest.Pytester, name: str, *arguments: str) -> pytest.RunResult:
    shutil.copytree(EXAMPLES / name, pytester.path, dirs_exist_ok=True)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_own_tests(pytester: pytest.Pytester) -> None:
    """Assertions, markers and navigation hold on the lab."""
    result = _run(pytester, "own_tests")
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["passed"] > 10


def test_requirements_file(pytester: pytest.Pytester) -> None:
    """The file makes the open query mode expected, and leaves the legacy agent out with its reason."""
    result = _run(pytester, "requirements_file", "-rs")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["SKIPPED *AMPLS507 left out: the legacy agent is removed*"])
    (pytester.path / "ampls.toml").unlink()
    without = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    without.stdout.fnmatch_lines_random(["FAILED *AMPLS102 *", "FAILED *AMPLS507 *"])


def test_own_credential(pytester: pytest.Pytester) -> None:
    """The hook of the example is accepted; in lab mode it is not asked."""
    result = _run(pytester, "own_credential", "--ampls-lab=hub-and-spoke")
    result.assert_outcomes(passed=1)
