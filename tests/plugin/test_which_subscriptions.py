"""Which subscriptions are judged: all, those below management groups, and those that may not be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin.conftest import run_pytest
from tests.served import Served, place, serve, sign_in

SUITE = ("--pyargs", "pytest_ampls.conformance", "-q", "--ampls-group-by=rule")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a fleet of three subscriptions."""
    with serve(tmp_path_factory.mktemp("fleet"), "fleet:vms=6,subscriptions=3") as connection:
        yield connection


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a fleet of twenty subscriptions, of which the last may not be read."""
    spec = "fleet:vms=40,spoke_size=2,subscriptions=20+denied-subscription"
    with serve(tmp_path_factory.mktemp("guarded"), spec) as connection:
        yield connection


@pytest.mark.parametrize("workers", ["0", "2"])
def test_nothing_but_a_credential(tmp_path: Path, fleet: Served, workers: str) -> None:
    """The shipped suite without any estate named judges all that the credential sees, and says so."""
    result = run_pytest(tmp_path, *SUITE, "-v", f"-n{workers}", *place(fleet), **sign_in(fleet))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "subscription all that the credential sees (from the shipped suite" in result.stdout
    assert "3 subscriptions" in result.stdout
    assert fleet["client_secret"] not in result.stdout


def test_the_subscriptions_that_were_found_are_named(tmp_path: Path, fleet: Served) -> None:
    """Whoever named none reads which they are."""
    result = run_pytest(tmp_path, *SUITE, "-v", "--ampls-subscription=all", *place(fleet), **sign_in(fleet))
    assert result.returncode == 0, result.stdout + result.stderr
    for number, own in enumerate(fleet["subscriptions"]):
        assert f"fleet-{number} ({own})" in result.stdout


def test_own_tests_are_not_run_on_whatever_can_be_seen(tmp_path: Path, fleet: Served) -> None:
    """Tests of a project that names no estate stay an error: nobody asked for a whole tenant."""
    (tmp_path / "test_own.py").write_text("def test_own(ampls): assert ampls\n")
    result = run_pytest(tmp_path, *place(fleet), **sign_in(fleet))
    assert result.returncode == pytest.ExitCode.INTERRUPTED
    assert "no estate to judge" in result.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_management_group(tmp_path: Path, fleet: Served, workers: str) -> None:
    """All subscriptions below a group are judged, those of the groups below it included."""
    root = f"--ampls-management-group={fleet['tenant_id']}"
    result = run_pytest(tmp_path, *SUITE, "-v", f"-n{workers}", root, *place(fleet), **sign_in(fleet))
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"management-group {fleet['tenant_id']} (from --ampls-management-group)" in result.stdout
    assert "3 subscriptions" in result.stdout


def test_a_management_group_beside_a_subscription(tmp_path: Path, fleet: Served) -> None:
    """Both are judged, and a subscription that is in both once."""
    options = ["--ampls-management-group=platform", f"--ampls-subscription={fleet['subscriptions'][0]}"]
    options += [f"--ampls-subscription={fleet['subscriptions'][1]}"]
    result = run_pytest(tmp_path, *SUITE, "-v", *options, *place(fleet), **sign_in(fleet))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 subscriptions" in result.stdout


def test_a_management_group_that_does_not_exist(tmp_path: Path, fleet: Served) -> None:
    """It is named, and nothing is judged."""
    option = "--ampls-management-group=landing-zone"
    result = run_pytest(tmp_path, *SUITE, option, *place(fleet), **sign_in(fleet))
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "landing-zone" in result.stderr
    assert "cannot be read" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_group_beside_one_that_exists(tmp_path: Path, fleet: Served) -> None:
    """What can be read is judged, and the run is red because of the other."""
    groups = ["--ampls-management-group=nowhere", f"--ampls-management-group={fleet['tenant_id']}"]
    result = run_pytest(tmp_path, *SUITE, *groups, *place(fleet), **sign_in(fleet))
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "nowhere" in result.stdout
    assert "1 error" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ampls-management-group=a/b c"], "is not the name of a management group"),
        (
            ["--ampls-subscription=all", "--ampls-management-group=root"],
            "includes those of the management groups",
        ),
        (["--ampls-subscription=all", "--ampls-subscription=all"], "stands for every subscription"),
        (["--ampls-lab=hub-and-spoke", "--ampls-management-group=root"], "judged from one source"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: list[str], message: str) -> None:
    """They are refused before anything is read, with the reason."""
    result = run_pytest(tmp_path, *SUITE, *options)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("discovery", ["graph", "auto", "arm"])
def test_one_subscription_of_twenty_is_denied(tmp_path: Path, guarded: Served, discovery: str) -> None:
    """Whoever named it reads which permission is missing, and all other subscriptions are judged."""
    named = [f"--ampls-subscription={own}" for own in guarded["subscriptions"]]
    how = f"--ampls-discovery={discovery}"
    result = run_pytest(tmp_path, *SUITE, how, *named, *place(guarded), **sign_in(guarded))
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    assert "Microsoft.Compute/virtualMachines/read" in result.stdout
    assert guarded["subscriptions"][-1] in result.stdout
    assert " failed" not in result.stdout.splitlines()[-1]
    assert "0 broken" in result.stdout
    for rule in ("AMPLS401", "AMPLS402", "AMPLS404", "AMPLS407", "AMPLS501"):
        row = next(line for line in result.stdout.splitlines() if f"  {rule} " in line)
        assert row.split()[2] == "38", row  # all but the two machines of the subscription that is denied


def test_what_is_not_in_use_is_left_out_and_told(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whoever named none reads which are not judged, live, in the summary, and of a snapshot."""
    spec = "fleet:vms=6,spoke_size=2,subscriptions=3+deleted-subscription=1+disabled-subscription=2"
    with serve(tmp_path_factory.mktemp("old"), spec) as old:
        names = [f"fleet-{number} ({own}" for number, own in enumerate(old["subscriptions"])]
        live = (*place(old), "--ampls-subscription=all", "--ampls-snapshot-out=run.ampls")
        result = run_pytest(tmp_path, *SUITE, "-v", *live, **sign_in(old))
        named = (*place(old), f"--ampls-subscription={old['subscriptions'][2]}", "-k", "ampls401")
        judged = run_pytest(tmp_path, *SUITE, "-v", *named, **sign_in(old))
    replayed = run_pytest(tmp_path, *SUITE, "-v", "--ampls-snapshot=run.ampls")
    told = (
        f"left out are {names[1]}, Deleted), {names[2]}, Disabled): to judge a disabled subscription, name it"
    )
    for each in (result, replayed):
        assert each.returncode == 0, each.stdout + each.stderr
        assert f"ampls: {told}" in each.stdout
        assert f"note: {told}" in each.stdout
    assert f"ampls: judged are {names[0]})" in result.stdout
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert f"ampls: judged are {names[2]}, Disabled)" in judged.stdout
    assert "left out" not in judged.stdout
