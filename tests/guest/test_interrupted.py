"""Ctrl-C while guests are looked at: what is under way is ended, the rest does not begin."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from pytest_ampls.lab import Lab
from tests import served
from tests.guest import wsman
from tests.guest.windows import lab_guest, machine_of
from tests.interrupting import LONG, interrupted, is_gone

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is SIGINT here, and ssh a script")

# Like an ssh that does not get through, with a child that keeps its outputs open.
SSH = f"""#!/bin/sh
sleep {LONG} &
echo $! > "$STARTED/$$.new"
mv "$STARTED/$$.new" "$STARTED/$$"
sleep {LONG}
"""
RUN = f"""
import sys, pytest
sys.exit(pytest.main([
    "-p", "no:cacheprovider", "--pyargs", "pytest_ampls.conformance.test_guest", "--ampls-guest-timeout={LONG}",
    *{{options}}
]))
"""
GATHER = f"""
import os
from pytest_ampls.guest import GuestAccess, WinrmLogin, gather_all
from pytest_ampls.guest.access import Secret
from pytest_ampls.model.guest_questions import GuestQuestions
from tests.assertions.machines import monitored_estate

plan = monitored_estate()
for document in plan.documents["Microsoft.Compute/virtualMachines"].values():
    document["properties"]["storageProfile"] = {{"osDisk": {{"osType": "Windows"}}}}
login = WinrmLogin(user={wsman.USER!r}, password=Secret({wsman.PASSWORD!r}))
access = GuestAccess(windows_hosts=f"winrm://127.0.0.1:{{os.environ['PORT']}}?no_verify_ssl=true", login=login)
gather_all(plan.build(), access, questions=lambda _: GuestQuestions(), timeout={LONG}, concurrency=2)
"""


def run_on(lab: Lab, *options: str) -> str:
    """Return the program that judges the guests of a lab as if it were Azure."""
    place = [f"--ampls-arm-endpoint={lab.arm_endpoint}", f"--ampls-ca-bundle={lab.ca_bundle}"]
    subscriptions = [f"--ampls-subscription={each}" for each in lab.subscriptions]
    return RUN.format(options=[*subscriptions, *place, *options])


def sign_in(lab: Lab) -> dict[str, str]:
    """Return the environment in which azure-identity signs in to a lab."""
    names = ("tenant_id", "client_id", "client_secret")
    return served.sign_in({name: getattr(lab, name) for name in names})


def test_a_run_stops_and_leaves_no_ssh(tmp_path: Path) -> None:
    """Two guests at once are asked: they, and the children of theirs, are ended, and no third one is begun."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(SSH)
    (tmp_path / "bin" / "ssh").chmod(0o755)
    started = tmp_path / "started"
    started.mkdir()

    def pids() -> list[int]:
        files = [each for each in started.iterdir() if each.suffix != ".new"]
        return [int(pid) for each in files for pid in (each.name, each.read_text())]

    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    with Lab.from_spec("hub-and-spoke") as lab:
        run = run_on(lab, "--ampls-guests=ssh://u@127.0.0.1", "--ampls-concurrency=2")
        environment = {**sign_in(lab), "PATH": path, "STARTED": str(started)}
        done = interrupted(run, tmp_path, lambda: len(pids()) == 4, **environment)
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout + done.stderr
    assert "KeyboardInterrupt" in done.stdout
    assert len(pids()) == 4
    assert all(is_gone(pid) for pid in pids())


def gathered(folder: Path, service: wsman.Service, is_under_way: Callable[[], bool]) -> str:
    """Ask two Windows guests at once, interrupt that, and return what was written to the standard error."""
    with wsman.users(folder), wsman.served(service, trustme.CA()):
        root = str(Path(__file__).parents[2])
        done = interrupted(GATHER, folder, is_under_way, PYTHONPATH=root, PORT=str(service.port))
        assert done.returncode != 0
        assert "Exception in thread" not in done.stderr
        return done.stderr


def test_a_machine_that_sends_for_ever_is_cut_off(tmp_path: Path) -> None:
    """A byte now and then ends no read."""
    service = wsman.Service(machine=machine_of(lab_guest()), trickle=True)
    said = gathered(tmp_path, service, lambda: service.asked.count("trickle") == 2)
    assert said.endswith("KeyboardInterrupt\n")
    assert service.asked.count("trickle") == 2


def test_shells_are_closed_where_a_command_runs(tmp_path: Path) -> None:
    """Windows has few of them, and would keep them for hours; no third one is opened."""
    service = wsman.Service(machine=machine_of(lab_guest()), late=1 << 30)
    said = gathered(
        tmp_path, service, lambda: service.asked.count("Receive") > 2 and len(service.shells) == 2
    )
    assert said.endswith("KeyboardInterrupt\n")
    assert service.asked.count("Create") == 2
    assert not service.shells


def test_a_run_command_is_waited_for_no_longer(tmp_path: Path) -> None:
    """The script in the machine goes on, as Azure has it; the run does not."""
    with Lab.from_spec("hub-and-spoke+guest-silent") as lab:

        def is_under_way() -> bool:
            return sum("/operations/" in asked.path for asked in lab.log) > 20

        done = interrupted(run_on(lab, "--ampls-run-command"), tmp_path, is_under_way, **sign_in(lab))
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout + done.stderr
