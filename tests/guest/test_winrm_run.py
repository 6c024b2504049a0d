"""Whole runs with a WinRM pattern: from the options to the verdicts, and what is shown on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from pytest_ampls.guest.access import GuestAccess, Secret, WinrmLogin, WinrmTarget
from pytest_ampls.guest.winrm import GuestWinrm
from pytest_ampls.model.gap import Gap, GapKind
from tests.guest import wsman
from tests.guest.sshd import free_port
from tests.guest.windows import lab_guest, machine_of
from tests.plugin.conftest import run_pytest
from tests.served import place, serve, sign_in

SUITE = ("--pyargs", "pytest_ampls.conformance.test_guest")
FAILING = """
def test_the_machine_itself(guest, vm):
    if vm.os_type == "windows":
        assert guest.run("hostname").stdout == "another"
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[wsman.Service]:
    """Serve the lab's Windows machine."""
    authority = trustme.CA()
    (tmp_path / "windows.pem").write_bytes(authority.cert_pem.bytes())
    with (
        wsman.users(tmp_path),
        wsman.served(wsman.Service(machine=machine_of(lab_guest())), authority) as started,
    ):
        yield started


def test_a_run(tmp_path: Path, service: wsman.Service) -> None:
    """The shipped suite is green; a test that fails shows everything but the password, and so does a snapshot."""
    with serve(tmp_path, "hub-and-spoke") as lab:
        bundle = tmp_path / "both.pem"
        bundle.write_bytes(Path(lab["ca_bundle"]).read_bytes() + (tmp_path / "windows.pem").read_bytes())
        options = [
            *(f"--ampls-subscription={each}" for each in lab["subscriptions"]),
            *place(lab),
            f"--ampls-ca-bundle={bundle}",
            "--ampls-run-command",
        ]
        login = {"AMPLS_WINRM_PASSWORD": wsman.PASSWORD, "AMPLS_WINRM_USER": wsman.USER}
        environment = {**sign_in(lab), **login, "AMPLS_GUESTS": f"winrm://127.0.0.1:{service.port}"}
        green = run_pytest(tmp_path, *SUITE, *options, "--ampls-snapshot-out=kept.ampls", **environment)
        (tmp_path / "test_own.py").write_text(FAILING)
        own = run_pytest(tmp_path, "test_own.py", *options, "-n2", "-lvv", "--tb=long", **environment)
    assert green.returncode == 0, green.stdout + green.stderr
    assert f"guests winrm://127.0.0.1:{service.port} (from AMPLS_GUESTS)" in green.stdout
    assert "0 broken, 0 unverified" in green.stdout
    assert service.inputs
    assert own.returncode == 1
    assert "'spoke2\\r\\n' == 'another'" in own.stdout
    told = green.stdout + green.stderr + own.stdout + own.stderr
    assert wsman.PASSWORD not in told
    assert wsman.PASSWORD.encode() not in (tmp_path / "kept.ampls").read_bytes()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["winrm://u:hunter2@{name}"], "has a password in it, which ends in logs: set AMPLS_WINRM_PASSWORD"),
        (["winrm://u@{name}", "winrm://v@{name}"], "two winrm:// patterns"),
        (["winrm://u@{name}"], "needs a password: set AMPLS_WINRM_PASSWORD"),
    ],
)
def test_a_pattern_that_is_refused(tmp_path: Path, given: list[str], said: str) -> None:
    """A wrong pattern ends the run before anything is read, in one line, and a password in it is not repeated."""
    options = [f"--ampls-guests={each}" for each in given]
    source = "--ampls-subscription=11111111-2222-3333-4444-555555555555"
    result = run_pytest(tmp_path, *SUITE, source, *options, AZURE_TOKEN_CREDENTIALS="EnvironmentCredential")
    assert result.returncode == 4
    assert said in result.stderr
    assert "hunter2" not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_no_thread_stays_with_a_machine_that_sends_for_ever(tmp_path: Path) -> None:
    """A byte now and then ends no read: the connection is cut, and so the thread ends that reads from it."""
    target = {"host": "127.0.0.1", "user": wsman.USER, "no_ssl": True}
    access = GuestAccess(login=WinrmLogin(password=Secret(wsman.PASSWORD)))
    slow = wsman.Service(machine=machine_of(lab_guest()), trickle=True)
    with wsman.users(tmp_path), wsman.served(slow, None):
        found = GuestWinrm(WinrmTarget(**target, port=str(slow.port)), access, timeout=1.0).feed("x")  # type: ignore[arg-type]  # by name
        assert isinstance(found, Gap)
        assert found.kind is GapKind.UNREACHABLE
        for left in (each for each in threading.enumerate() if each.name == "ampls-winrm"):
            left.join(10)
            assert not left.is_alive()


def test_the_environment_is_left_alone() -> None:
    """No variable is set, not for a moment: other threads read them, for the proxy of Azure Resource Manager."""
    url = f"127.0.0.1:{free_port()}"
    code = (
        "import os, sys\n"
        "from pytest_ampls.guest.access import GuestAccess, Secret, WinrmLogin, WinrmTarget\n"
        "from pytest_ampls.guest.winrm import GuestWinrm\n"
        "access = GuestAccess(login=WinrmLogin(password=Secret('x')))\n"
        f"host, _, port = {url!r}.partition(':')\n"
        "guest = GuestWinrm(WinrmTarget(host=host, port=port, user='u'), access, timeout=20)\n"
        "changes = []\n"
        "names = ('os.putenv', 'os.unsetenv')\n"
        "sys.addaudithook(lambda name, arguments: changes.append(arguments) if name in names else None)\n"
        "print(guest.feed('x').message)\n"
        "print(changes)\n"
    )
    dead = {**os.environ, "https_proxy": "http://127.0.0.1:9", "all_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True, env=dead
    )
    message, changes = done.stdout.splitlines()
    assert message.startswith(f"WinRM to u@{url}: the connection was refused"), done.stderr
    assert changes == "[]"
