"""Run Command: the lab answers as Azure does, and what is made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.run_command import RunCommand
from pytest_ampls.errors import DocumentError, ReadOnlyError
from pytest_ampls.guest import GuestAccess, host_of
from pytest_ampls.guest.run_command import RunCommandBackend, standard_output
from pytest_ampls.lab import Lab
from pytest_ampls.model import Gap, GapKind
from tests.guest.lab import client_of, looked_at
from tests.lab.arm_client import ArmClient as PlainClient

VERSION = "2023-09-01"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """The healthy lab, and a machine in it that never returns."""
    with Lab.from_spec("hub-and-spoke+guest-silent") as started:
        yield started


@pytest.fixture(scope="module")
def client(lab: Lab) -> Iterator[ArmClient]:
    """A client that may run commands."""
    with client_of(lab) as opened:
        yield opened


def vm(lab: Lab, name: str = "hub") -> str:
    """Return the id of a machine."""
    machines = lab.estate.of_type("Microsoft.Compute/virtualMachines")
    return str(next(each["id"] for each in machines if each["name"] == name))


def start(
    plain: PlainClient, machine: str, script: str = "uname -s", command: str = "RunShellScript"
) -> tuple[int, str]:
    """Send a command as any client does; return the status and the code or the place of the result."""
    body = json.dumps({"commandId": command, "script": [script]}).encode()
    answered = plain.send(
        "POST", f"{machine}/runCommand?api-version={VERSION}", headers=plain.bearer(), body=body
    )
    return answered.status, answered.headers.get("azure-asyncoperation") or answered.code


def test_the_lab_answers_as_azure_does(lab: Lab) -> None:
    """202, then in progress, then the message in its frame; and one command at a time."""
    plain, machine = PlainClient(lab), vm(lab, "spoke3")
    status, place = start(plain, machine)
    assert status == 202
    assert start(plain, machine) == (409, "Conflict")
    assert plain.get(place).json["status"] == "InProgress"
    done = plain.get(place).json
    assert done["status"] == "Succeeded"
    (value,) = done["properties"]["output"]["value"]
    assert value["code"] == "ProvisioningState/succeeded"
    assert value["message"] == "Enable succeeded: \n[stdout]\nLinux\n\n[stderr]\n"
    assert start(plain, machine)[0] == 202


def test_the_lab_refuses_what_azure_refuses(lab: Lab) -> None:
    """A machine that does not exist, a command that does not exist, a machine that is busy."""
    plain = PlainClient(lab)
    assert start(plain, vm(lab) + "x") == (404, "ResourceNotFound")
    assert start(plain, vm(lab), command="RunAnything") == (404, "NotFound")


def test_nothing_is_run_unless_it_was_asked_for(lab: Lab) -> None:
    """A client that was not told to stops the request before it leaves the process."""
    before = len(lab.log)
    with client_of(lab, run_command=False) as reader, pytest.raises(ReadOnlyError, match="only reads"):
        RunCommand(reader).run(vm(lab), "RunShellScript", "true", timeout=5)
    assert not [asked for asked in lab.log[before:] if asked.method == "POST" and "runCommand" in asked.path]


@pytest.mark.parametrize("path", ["runCommands/x", "start", "extensions/runCommand"])
def test_only_run_command_is_let_through(lab: Lab, client: ArmClient, path: str) -> None:
    """With the option, other actions on a machine are stopped as before."""
    with pytest.raises(ReadOnlyError):
        RunCommand(client).run(f"{vm(lab)}/{path}", "RunShellScript", "true", timeout=5)


def test_a_result_that_never_comes(lab: Lab, client: ArmClient) -> None:
    """The wait is bounded, and nothing is known."""
    told = RunCommand(client).run(vm(lab, "spoke1"), "RunShellScript", "uname -s", timeout=0.5)
    assert isinstance(told, Gap)
    assert told.kind is GapKind.UNREACHABLE
    assert "did not arrive within 0 s" in told.message or "did not arrive within 1 s" in told.message
    again = RunCommand(client).run(vm(lab, "spoke1"), "RunShellScript", "uname -s", timeout=0.5)
    assert isinstance(again, Gap)
    assert "another Run Command is under way there" in again.message


def test_a_machine_that_does_not_exist(lab: Lab, client: ArmClient) -> None:
    """Refusals are gaps that say what was asked."""
    told = RunCommand(client).run(vm(lab) + "x", "RunShellScript", "true", timeout=5)
    assert isinstance(told, Gap)
    assert told.kind is GapKind.ABSENT
    assert told.message.startswith("Run Command on hubx: HTTP 404 ResourceNotFound")


def test_a_testinfra_host(lab: Lab, client: ArmClient) -> None:
    """Command, file and service of testinfra work through Run Command."""
    machines = {each.label: each for each in looked_at("hub-and-spoke").machines}
    host = host_of(machines["hub"], GuestAccess(run_command=RunCommand(client)))
    assert host is not None
    assert host.run("uname -s").stdout == "Linux\n"
    assert host.run("systemctl is-active azuremonitoragent").rc == 0
    assert host.run("no-such-command").rc == 127
    assert "not found" in host.run("no-such-command").stderr
    assert host.file("/etc/default/azuremonitoragent").exists
    assert host.file("/etc/default/azuremonitoragent").contains("ENABLE_MCS=true")
    assert "ENABLE_MCS=true" in host.check_output("cat /etc/default/azuremonitoragent")
    assert host.service("azuremonitoragent").is_running
    assert not host.service("nonesuch").is_running


def test_a_host_of_a_windows_machine(lab: Lab, client: ArmClient) -> None:
    """A Windows machine takes PowerShell, with status and output."""
    machines = {each.label: each for each in looked_at("hub-and-spoke").machines}
    host = host_of(machines["spoke2"], GuestAccess(run_command=RunCommand(client)))
    assert host is not None
    assert host.run("Get-Process -Name MonAgentCore").stdout == "MonAgentCore\n"
    assert host.run("uname -s").rc == 1


def test_a_set_as_a_whole_and_an_arc_machine_have_no_host(client: ArmClient) -> None:
    """Run Command leads to virtual machines only."""
    machines = {each.label: each for each in looked_at("hub-and-spoke").machines}
    assert host_of(machines["onprem1"], GuestAccess(run_command=RunCommand(client))) is None


class _Fixed:
    """A runner whose machine says the same whatever it is asked."""

    def __init__(self, message: str) -> None:
        self.message = message
        self.scripts: list[str] = []

    def run(self, machine_id: str, command_id: str, script: str, *, timeout: float) -> str | Gap:
        """Return the message."""
        del machine_id, command_id, timeout
        self.scripts.append(script)
        return self.message


def test_output_that_was_cut_is_an_error() -> None:
    """A part of an output is never taken for the whole."""
    backend = RunCommandBackend(
        _Fixed("Enable succeeded: \n[stdout]\nxxxx 0 eHh4\n[stderr]\n"), "/vm", name="vm"
    )
    with pytest.raises(DocumentError, match=r"the output was cut.*last 4,096 bytes"):
        backend.run("cat /var/log/syslog")


def test_powershell_for_windows() -> None:
    """A Windows machine gets PowerShell, with the command encoded."""
    runner = _Fixed("nothing")
    backend = RunCommandBackend(runner, "/vm", name="vm", windows=True)
    with pytest.raises(DocumentError):
        backend.run("Get-Service")
    assert "powershell.exe -NoProfile -NonInteractive -EncodedCommand RwBlAHQA" in runner.scripts[0]


@pytest.mark.parametrize(
    ("message", "output"),
    [
        ("Enable succeeded: \n[stdout]\na\n[stderr]\n b\n[stderr]\n", "a\n[stderr]\n b"),
        ("Enable succeeded: \n[stdout]\na\n\n[stderr]\nerror\n", "a\n"),
        ("the end of a\n[stderr]\n", "the end of a"),
        ("windows", "windows"),
    ],
)
def test_the_frame_of_a_message(message: str, output: str) -> None:
    """The output is what stands in the frame, or what is left of it."""
    assert standard_output(message) == output
