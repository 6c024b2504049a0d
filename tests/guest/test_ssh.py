"""Guests over a real sshd on loopback: what they tell, and each way in which they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_ampls.errors import AccessDeniedError, AuthenticationError, ConfigurationError, UnreachableError
from pytest_ampls.guest import GuestAccess, gather_all, host_of
from pytest_ampls.model import Estate, GapKind, Machine
from pytest_ampls.model.guest_questions import GuestQuestions
from pytest_ampls.model.guest_state import GuestState
from tests.assertions.machines import machine, monitored_estate
from tests.builders import VMS
from tests.guest.conftest import Starter
from tests.guest.sshd import CHUNKS, HANDLER, LOG, NOWHERE, ODS, RULE, SECRET, Keys, Server, free_port

QUESTIONS = GuestQuestions(names=(HANDLER, ODS, NOWHERE), identities=("client_id#1", "client_id#2"))


@pytest.fixture(scope="module")
def estate() -> Estate:
    """An estate with three virtual machines and an Arc machine."""
    return monitored_estate().build()


def gathered(estate: Estate, access: GuestAccess, timeout: float = 30.0) -> tuple[GuestState, ...]:
    """Look at all guests of the estate."""
    return gather_all(estate, access, questions=lambda _: QUESTIONS, timeout=timeout)


def one(estate: Estate, access: GuestAccess, timeout: float = 30.0) -> GuestState:
    """Look at the guests, and return the first state."""
    return gathered(estate, access, timeout)[0]


def why(state: GuestState) -> str:
    """Return why a guest told nothing."""
    assert state.gap is not None, state
    return state.gap.message


def test_a_guest_tells_everything(start: Starter, estate: Estate, root: Path) -> None:
    """Services, tokens, names, connections, files, log and disk come over in one go."""
    found = one(estate, start().access())
    assert found.gap is None
    assert found.problems == {}
    assert found.via == "ssh"
    assert found.services == dict.fromkeys(
        ("azuremonitoragent", "azuremonitor-coreagent", "azuremonitor-agentlauncher"), "active"
    )
    assert found.clock is not None
    assert found.started is not None
    assert found.clock - found.started == pytest.approx(7200, abs=5)
    assert found.mode == "mcs"
    assert found.dns_servers == ("192.168.0.4",)
    assert found.health == {HANDLER: "Healthy (HTTP 200)"}
    assert found.disks is not None
    assert all(disk.free > 0 for disk in found.disks)
    assert found.chunks is not None
    (chunk,) = found.chunks
    assert (chunk.file, chunk.rule, chunk.protocols) == ("1234.json", RULE, ("ods",))
    assert chunk.endpoints == (ODS, HANDLER)
    assert chunk.modified == pytest.approx((root / CHUNKS / "1234.json").stat().st_mtime, abs=1)
    assert found.log is not None
    assert [entry.line for entry in found.log] == [
        "Failed to upload to ODS: 403, RequestId: 18",
        "noise \\xff\x1b[31m 100%",
    ]


def test_names_and_connections(start: Starter, estate: Estate) -> None:
    """Names are looked up as programs do, hosts lines are told, TLS is shaken hands on with each address."""
    found = one(estate, start().access())
    assert found.lookups is not None
    by_name = {lookup.name: lookup for lookup in found.lookups}
    assert by_name[HANDLER].addresses == ("127.0.0.1",)
    assert by_name[HANDLER].in_hosts_file == ()
    assert by_name[ODS].addresses == ("127.0.0.1", "127.0.0.2")
    assert by_name[ODS].in_hosts_file == ("10.9.9.9",)
    assert by_name[NOWHERE].addresses == ()
    assert by_name[NOWHERE].problem == ""
    assert found.handshakes is not None
    shakes = {(shake.name, shake.address): shake for shake in found.handshakes}
    good = shakes[HANDLER, "127.0.0.1"]
    assert good.gap is None
    assert good.trusted
    assert good.version.startswith("TLSv1.")
    assert "trustme" in good.chain[0].issuer
    lost = shakes[ODS, "127.0.0.2"]
    assert lost.gap is not None
    assert not lost.reached
    assert "Connection refused" in lost.gap.message


def test_a_chain_that_is_not_trusted(start: Starter, estate: Estate) -> None:
    """Without the authority the handshake is there, and the reason why it is not trusted."""
    found = one(estate, start(SSL_CERT_FILE="/dev/null").access())
    assert found.handshakes is not None
    shake = next(each for each in found.handshakes if each.gap is None)
    assert not shake.trusted
    assert "unable to" in shake.distrust or "verify" in shake.distrust or "self" in shake.distrust


def test_tokens_stay_in_the_guest(start: Starter, estate: Estate) -> None:
    """Status and reason come over; the token does not."""
    found = one(estate, start().access())
    assert found.tokens is not None
    assert [(part.identity, part.status, part.description) for part in found.tokens] == [
        ("client_id#1", 200, ""),
        ("client_id#2", 400, "Identity not found"),
    ]
    assert SECRET not in repr(found)


def test_one_connection_for_each_guest(start: Starter, estate: Estate) -> None:
    """Four machines are looked at over four connections, each with one session."""
    server = start()
    assert len(gathered(estate, server.access())) == 4
    assert server.log.count("Accepted publickey") == 4
    assert server.log.count("Starting session: command") == 4


def test_a_shell_that_talks(start: Starter, estate: Estate, tmp_path: Path) -> None:
    """A banner, a message of the day and start-up files that print do not disturb, nor does another locale."""
    (tmp_path / "banner").write_text("NO TRESPASSING\n")
    talk = r"""printf 'Willkommen\n\033[31mmotd\033[0m\n'; sh -c "$SSH_ORIGINAL_COMMAND"; printf 'Tsch\303\274s\n'"""
    server = start(
        f"Banner {tmp_path / 'banner'}\nForceCommand {talk}\n",
        LANG="de_DE.UTF-8",
        LC_ALL="tr_TR.UTF-8",
        LANGUAGE="de",
    )
    found = one(estate, server.access())
    assert found.gap is None
    assert found.problems == {}


def test_a_log_of_two_gigabytes(start: Starter, estate: Estate, root: Path) -> None:
    """Only the end of the log is read."""
    text = (root / LOG).read_bytes()
    with (root / LOG).open("wb") as log:
        log.truncate(2 << 30)
        log.seek(0, 2)
        log.write(b"\n" + text)
    found = one(estate, start().access())
    assert found.log is not None
    assert [entry.line[:30] for entry in found.log] == [
        "Failed to upload to ODS: 403, ",
        "noise \\xff\x1b[31m 100%",
    ]


def test_parts_that_cannot_be_read_are_problems(start: Starter, estate: Estate, root: Path) -> None:
    """What is missing on the machine is told as missing, never as empty."""
    (root / "etc/default/azuremonitoragent").unlink()
    (root / "proc/uptime").unlink()
    for file in (root / "var/opt/microsoft/azuremonitoragent/log").iterdir():
        file.unlink()
    (root / "var/opt/microsoft/azuremonitoragent/log").rmdir()
    found = one(estate, start().access())
    assert (found.mode, found.started, found.log) == (None, None, None)
    assert set(found.problems) == {"mode", "started", "log"}
    assert "missing or not readable" in found.problems["log"]


def test_nothing_listens(estate: Estate, tmp_path: Path, keys: Keys) -> None:
    """A refused connection is a gap of every guest."""
    server = Server(free_port(), tmp_path, keys)
    states = gathered(estate, server.access())
    assert {state.gap.kind for state in states if state.gap} == {GapKind.UNREACHABLE}
    assert "the connection was refused. Check that sshd runs there" in why(states[0])


def test_an_unknown_host_key_is_not_accepted(start: Starter, estate: Estate) -> None:
    """Nothing is written to known_hosts, and nothing is sent."""
    server = start()
    access = server.access(host_key=None)
    state = one(estate, access)
    assert "the host key is not known, and is never accepted unseen" in why(state)
    assert (server.folder / "known_None").read_text() == ""
    assert "Accepted" not in server.log
    assert state.gap is not None
    assert isinstance(state.gap.error(), AuthenticationError)


def test_a_changed_host_key_is_told_apart(start: Starter, estate: Estate) -> None:
    """A key that is not the known one may be another machine's."""
    assert "another one than the known one" in why(one(estate, start().access(host_key="other_host")))


def test_a_key_that_is_refused(start: Starter, estate: Estate) -> None:
    """The login is refused, and the sentence says what would help."""
    state = one(estate, start().access(user_key="other_user"))
    assert "refused the login (it offers publickey" in why(state)
    assert "--ampls-ssh-identity-file" in why(state)
    assert state.gap is not None
    assert isinstance(state.gap.error(), AccessDeniedError)


def test_a_server_that_wants_a_password_is_not_waited_for(start: Starter, estate: Estate) -> None:
    """No password is ever asked for."""
    server = start("PubkeyAuthentication no\nPasswordAuthentication yes\n")
    assert "it offers password" in why(one(estate, server.access()))


def test_a_command_that_hangs_is_ended(start: Starter, estate: Estate) -> None:
    """The time is bounded here, whatever the guest does."""
    state = one(estate, start("ForceCommand sleep 60\n").access(), timeout=1.0)
    assert "did not end within 1 s" in why(state)
    assert state.gap is not None
    assert isinstance(state.gap.error(), UnreachableError)


def test_a_flood_is_ended(start: Starter, estate: Estate) -> None:
    """What is kept is bounded, and the connection is closed."""
    assert "far more than the script prints" in why(one(estate, start("ForceCommand yes\n").access()))


def test_output_that_is_cut(start: Starter, estate: Estate) -> None:
    """What arrived whole counts, the rest is a problem that says so."""
    found = one(estate, start('ForceCommand sh -c "$SSH_ORIGINAL_COMMAND" | head -c 900\n').access())
    assert found.services is not None
    assert found.log is None
    assert "cut" in found.problems["log"]


def test_something_else_answers(start: Starter, estate: Estate) -> None:
    """A menu, or a restricted shell, is a gap that says that it is not the script's answer."""
    assert "did not answer as the script does" in why(
        one(estate, start("ForceCommand echo choose: 1 2 3\n").access())
    )


@pytest.mark.parametrize(
    ("sudo", "said"),
    [
        ("echo 'sudo: a password is required' >&2; exit 1", "a password is required"),
        ("echo 'sh: 1: sudo: not found' >&2; exit 127", "sudo: not found"),
    ],
)
def test_sudo_that_does_not_work(start: Starter, estate: Estate, root: Path, sudo: str, said: str) -> None:
    """Where root was asked for and cannot be had, the guest tells nothing rather than half of it."""
    (root / "bin/sudo").write_text(f"#!/bin/sh\n{sudo}\n")
    (root / "bin/sudo").chmod(0o755)
    state = one(estate, start().access(query="?sudo=true"))
    assert f"sudo did not work there ({'sh: 1: ' if 'not found' in said else 'sudo: '}{said})" in why(state)


def test_sudo_that_works(start: Starter, estate: Estate, root: Path) -> None:
    """Sudo gets the script without a question."""
    (root / "bin/sudo").write_text('#!/bin/sh\necho "$*" >> "$AMPLS_ROOT/sudo"; shift; exec "$@"\n')
    (root / "bin/sudo").chmod(0o755)
    assert one(estate, start().access(query="?sudo=true")).problems == {}
    assert set((root / "sudo").read_text().splitlines()) == {"-n /bin/sh -c /bin/sh -s"}


def test_a_testinfra_host(start: Starter, estate: Estate, root: Path) -> None:
    """Users get a host of testinfra, with its modules."""
    host = host_of(machine(estate), start().access())
    assert host is not None
    assert host.run("printf %s hello").stdout == "hello"
    assert host.run("exit 3").rc == 3
    assert host.file(str(root / "etc/resolv.conf")).contains("nameserver")
    assert not host.file(str(root / "missing")).exists


def test_a_host_without_access_is_none(estate: Estate) -> None:
    """Where no access leads, there is no host."""
    assert host_of(machine(estate), GuestAccess()) is None


@pytest.mark.parametrize(
    "name", ["-oProxyCommand=touch${IFS}owned", "a;touch owned", "-Fowned", "$(touch owned)", "x y", "a%20b"]
)
def test_names_of_documents_are_no_commands(tmp_path: Path, name: str) -> None:
    """A machine whose name is an option or a command is not connected to."""
    plan = monitored_estate()
    plan[VMS, "vm1"]["properties"]["osProfile"] = {"computerName": name}
    access = GuestAccess(hosts="ssh://{computer_name}")
    states = gather_all(plan.build(), access, questions=lambda _: QUESTIONS, timeout=5)
    (state,) = [each for each in states if each.machine.endswith("/vm1")]
    assert "is no host name to connect to" in why(state)
    assert not (Path.cwd() / "owned").exists()


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("ssh://{vm}", "has no {vm}; there are {name}, {computer_name}, {private_ip}, {resource_group}"),
        ("docker://{name}", "is not ssh://"),
        ("ssh://user:secret@{name}", "has a password in it"),
        ("ssh://{name}?sodu=true", "that is not ?sudo=true"),
        ("{name}", "is not ssh://"),
    ],
)
def test_patterns_that_are_wrong(pattern: str, said: str) -> None:
    """A pattern is refused before anything is connected to; a password in it is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        GuestAccess(hosts=pattern)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_progress_is_told(start: Starter, estate: Estate) -> None:
    """Who waits for many guests hears how far it is."""
    heard: list[str] = []
    access = start().access()
    gather_all(estate, access, questions=lambda _: QUESTIONS, on_progress=heard.append)
    assert heard[-1] == "guests: 4 of 4 looked at"


def test_machines_by_name(estate: Estate, tmp_path: Path, keys: Keys) -> None:
    """A pattern by name leads to Arc machines too, one by address does not."""
    machines: list[Machine] = []

    def remembered(each: Machine) -> GuestQuestions:
        machines.append(each)
        return QUESTIONS

    port = free_port()
    gather_all(estate, GuestAccess(hosts=f"ssh://127.0.0.1:{port}"), questions=remembered, timeout=5)
    assert "arc" in {each.label for each in machines}
