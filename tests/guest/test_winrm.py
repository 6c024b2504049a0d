"""Windows guests over a WinRM service on loopback: what they tell, and each way in which they do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import trustme
from testinfra.backend.winrm import WinRMBackend

from pytest_ampls.arm.run_command import RunCommand
from pytest_ampls.assertions import CATALOGUE
from pytest_ampls.catalogue import Evidence, Verdict
from pytest_ampls.effective.guest_names import guest_questions
from pytest_ampls.errors import AuthenticationError, UnreachableError
from pytest_ampls.guest import GuestAccess, WinrmLogin, gather_all, host_of
from pytest_ampls.guest.access import Secret
from pytest_ampls.guest.script import Request, powershell_text
from pytest_ampls.guest.winrm import LAUNCH
from pytest_ampls.lab import Lab
from pytest_ampls.model import Estate, GapKind, Machine
from pytest_ampls.model.guest_state import GuestState
from tests.assertions.machines import machine
from tests.guards.suite import explain, judge_all, rules_with
from tests.guest import wsman
from tests.guest.lab import client_of, looked_at
from tests.guest.sshd import free_port
from tests.guest.windows import lab_guest, machine_of

GUEST_RULES = {rule.id for rule in CATALOGUE.values() if Evidence.GUEST in rule.evidence and not rule.derived}
LINUX_ONLY = {"AMPLS524", "AMPLS526"}
Starter = Callable[..., wsman.Service]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that is thrown away."""
    return trustme.CA()


@pytest.fixture
def start(authority: trustme.CA, tmp_path: Path) -> Iterator[Starter]:
    """Start a service, with what is special about it."""
    with ExitStack() as stack:
        stack.enter_context(wsman.users(tmp_path))

        def started(
            *, answers: wsman.Machine | None = None, plain: bool = False, **how: object
        ) -> wsman.Service:
            service = wsman.Service(machine=answers or machine_of(lab_guest()))
            for name, value in how.items():
                setattr(service, name, value)
            return stack.enter_context(wsman.served(service, None if plain else authority))

        yield started


@pytest.fixture
def access(authority: trustme.CA, tmp_path: Path) -> Callable[..., GuestAccess]:
    """Return the access to a service."""
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())

    def of(port: int, query: str = "", *, password: str = wsman.PASSWORD, bundle: bool = True) -> GuestAccess:
        return GuestAccess(
            windows_hosts=f"winrm://{wsman.USER}@127.0.0.1:{port}{query}",
            login=WinrmLogin(password=Secret(password)),
            ca_bundle=str(tmp_path / "ca.pem") if bundle else "",
        )

    return of


Access = Callable[..., GuestAccess]


@pytest.fixture(scope="module")
def estate() -> Estate:
    """The lab's estate, which has one Windows machine; its guests were looked at by Run Command."""
    return looked_at("hub-and-spoke")


def windows(estate: Estate) -> Machine:
    """Return the Windows machine."""
    return machine(estate, "spoke2")


def one(estate: Estate, access: GuestAccess, timeout: float = 20.0) -> GuestState:
    """Look at the Windows machine's guest."""
    states = gather_all(estate, access, questions=guest_questions, timeout=timeout)
    return next(state for state in states if state.machine == windows(estate).id)


def why(state: GuestState, kind: GapKind) -> str:
    """Return why a guest told nothing."""
    assert state.gap is not None, state
    assert state.gap.kind is kind, state.gap
    assert wsman.PASSWORD not in state.gap.message
    return state.gap.message


def test_a_healthy_machine_holds(start: Starter, access: Access) -> None:
    """Linux machines by Run Command and the Windows machine by WinRM: every rule about guests holds."""
    service = start()
    with Lab.from_spec("hub-and-spoke") as lab, client_of(lab) as client:
        base = looked_at("hub-and-spoke").snapshot
        way = msgspec.structs.replace(access(service.port), run_command=RunCommand(client))
        states = gather_all(Estate(base), way, questions=guest_questions, timeout=30)
    assert {state.via for state in states} == {"winrm", "run-command"}
    outcomes = {
        key: verdict
        for key, verdict in judge_all(Estate(msgspec.structs.replace(base, guests=states))).items()
        if key[0] in GUEST_RULES
    }
    assert not explain(outcomes, Verdict.BROKEN, Verdict.UNVERIFIED)
    there = {key: verdict for key, verdict in outcomes.items() if key[1].endswith("machine=spoke2")}
    assert rules_with(there, Verdict.HELD) == GUEST_RULES - LINUX_ONLY


def test_it_tells_what_run_command_tells(start: Starter, access: Access, estate: Estate) -> None:
    """The same script and the same reader: but for the way and the clocks, the states are the same."""
    found = one(estate, access(start().port))
    before = next(state for state in estate.snapshot.guests if state.machine == found.machine)
    changes = {
        "via": before.via,
        "read_at": before.read_at,
        "clock": before.clock,
        "handshakes": before.handshakes,
    }
    assert found.via == "winrm"
    assert found.handshakes
    assert msgspec.structs.replace(found, **changes) == before


def test_one_shell_and_the_script_to_the_byte(start: Starter, access: Access, estate: Estate) -> None:
    """One shell, one command below cmd.exe's limit, the shipped script with its questions, and everything closed."""
    service = start(late=2, drip=700)
    assert one(estate, access(service.port)).gap is None
    received = [asked for asked in service.asked if asked != "Receive"]
    assert received == ["Create", "Command", "Send", "Signal", "Delete"]
    assert service.asked.count("Receive") > 4
    assert not service.shells
    assert service.commands == [LAUNCH]
    assert len(LAUNCH) < 8191
    assert {"WINRS_CODEPAGE": "65001"}.items() <= service.options[0].items()
    assert {"WINRS_CONSOLEMODE_STDIN": "FALSE"}.items() <= service.options[1].items()
    (script,) = service.inputs
    nonce = script.decode("ascii").rpartition("Invoke-AmplsGather '")[2][:8]
    request = Request(nonce=nonce, questions=guest_questions(windows(estate)))
    assert script == powershell_text(request).encode("ascii")


def test_basic_over_tls(start: Starter, access: Access, estate: Estate) -> None:
    """Basic is taken where TLS is around it."""
    assert (
        one(estate, access(start(schemes=("Basic realm=WSMAN", "Basic")).port, "?transport=basic")).gap
        is None
    )


def test_without_tls_the_messages_are_encrypted(start: Starter, access: Access, estate: Estate) -> None:
    """Where the pattern asks for http, nothing goes in the clear; a service that wants no login gets nothing."""
    service = start(plain=True)
    assert one(estate, access(service.port, "?no_ssl=true")).gap is None
    sent = [body for body in service.bodies_seen if body]
    assert len(sent) > 4
    assert not [body for body in sent if b"Envelope" in body or b"Stream" in body]
    open_door = start(plain=True, open_door=True)
    assert "no message of WS-Management" in why(
        one(estate, access(open_door.port, "?no_ssl=true")), GapKind.MALFORMED
    )
    assert not any(open_door.bodies_seen)


def test_an_unchecked_certificate(start: Starter, access: Access, estate: Estate) -> None:
    """Certificates are not checked where, and only where, the pattern says so."""
    service = start()
    assert one(estate, access(service.port, "?no_verify_ssl=true", bundle=False)).gap is None
    message = why(one(estate, access(service.port, bundle=False)), GapKind.UNREACHABLE)
    assert "its certificate is not trusted (" in message
    assert "--ampls-ca-bundle" in message


def test_a_name_that_the_certificate_is_not_for(start: Starter, access: Access, estate: Estate) -> None:
    """Another machine's certificate is not taken."""
    service = start()
    way = access(service.port)
    way = msgspec.structs.replace(way, windows_hosts=way.windows_hosts.replace("127.0.0.1", "localhost"))
    assert "its certificate is not trusted (" in why(one(estate, way), GapKind.UNREACHABLE)


def test_nothing_listens(access: Access, estate: Estate) -> None:
    """A refused connection says so, and which machine it was."""
    port = free_port()
    message = why(one(estate, access(port)), GapKind.UNREACHABLE)
    assert message == (
        f"WinRM to operator@127.0.0.1:{port}: the connection was refused. Check that WinRM listens on this port, and "
        "the firewall there"
    )


def test_no_tls_there(start: Starter, access: Access, estate: Estate) -> None:
    """A plain listener behind an https pattern is told apart from an untrusted certificate."""
    message = why(one(estate, access(start(plain=True).port)), GapKind.UNREACHABLE)
    assert "TLS was not agreed on" in message


def test_a_login_that_is_refused(start: Starter, access: Access, estate: Estate) -> None:
    """A wrong password is an authentication error, and no password is shown."""
    state = one(estate, access(start().port, password="wrong of the tests"))
    message = why(state, GapKind.UNAUTHENTICATED)
    assert "refused the login (HTTP 401). Check the user, AMPLS_WINRM_PASSWORD" in message
    assert "wrong of the tests" not in message
    assert state.gap is not None
    assert isinstance(state.gap.error(), AuthenticationError)


def test_a_way_of_signing_in_that_is_not_offered(start: Starter, access: Access, estate: Estate) -> None:
    """NTLM where only Basic is taken, and Basic where only NTLM is."""
    only_basic = start(schemes=("Basic",))
    assert "refused the login" in why(one(estate, access(only_basic.port)), GapKind.UNAUTHENTICATED)
    only_ntlm = start()
    found = one(estate, access(only_ntlm.port, "?transport=basic"))
    assert "refused the login" in why(found, GapKind.UNAUTHENTICATED)


@pytest.mark.parametrize("how", ["silent", "trickle"])
def test_a_service_that_does_not_answer(start: Starter, access: Access, estate: Estate, how: str) -> None:
    """Silence ends by the timeout here, and so does an answer that comes a byte at a time for ever."""
    state = one(estate, access(start(**{how: True}).port), timeout=1.0)
    message = why(state, GapKind.UNREACHABLE)
    assert "no answer in time" in message or "did not end within 1 s" in message


def test_a_script_that_does_not_end(start: Starter, access: Access, estate: Estate) -> None:
    """The service says again and again that there is nothing yet: the command is ended, and its shell closed."""
    service = start(late=10_000)
    message = why(one(estate, access(service.port), timeout=1.0), GapKind.UNREACHABLE)
    assert "did not end within 1 s. Raise --ampls-guest-timeout" in message
    assert service.asked[-2:] == ["Signal", "Delete"]


def test_no_shell_left(start: Starter, access: Access, estate: Estate) -> None:
    """The quota of shells is told apart: later it may work."""
    text = "This user is allowed a maximum number of 30 concurrent shells, which has been exceeded."
    service = start(faults={"Create": wsman.Fault("w:QuotaLimit", 2150859173, text)})
    message = why(one(estate, access(service.port)), GapKind.THROTTLED)
    assert "has no shell left (This user is allowed a maximum number of 30" in message


@pytest.mark.parametrize(("subcode", "code"), [("w:AccessDenied", 1234), ("w:InternalError", 5)])
def test_a_user_without_rights(
    start: Starter, access: Access, estate: Estate, subcode: str, code: int
) -> None:
    """Who may sign in, and not open a shell, is denied: WS-Management says it, or Windows does."""
    service = start(faults={"Create": wsman.Fault(subcode, code, "Access is denied. ")})
    message = why(one(estate, access(service.port)), GapKind.DENIED)
    assert f"may not open a shell (Access is denied.; fault {code})" in message


@pytest.mark.parametrize("action", ["Create", "Command", "Send", "Receive"])
def test_another_fault(start: Starter, access: Access, estate: Estate, action: str) -> None:
    """Any fault in any step is a gap with its reason, spelt out, and the shell is not left open."""
    fault = wsman.Fault("w:InternalError", 1726, "The remote\tprocedure call failed.\u202e\n" + "x" * 999)
    service = start(faults={action: fault})
    message = why(one(estate, access(service.port)), GapKind.UNREACHABLE)
    assert "WinRM failed (The remote procedure call failed.\\u202e xxx" in message
    assert message.count("x") < 220
    assert not service.shells


@pytest.mark.parametrize("action", ["Create", "Command", "Receive"])
@pytest.mark.parametrize(
    "body",
    [b"", b"<a", b"<a/>", b"\xff\x00", b"<e><Stream Name='stdout'>\xc3\xa4=</Stream></e>", b"<x>" * 5000],
)
def test_an_answer_that_is_no_message(
    start: Starter, access: Access, estate: Estate, action: str, body: bytes
) -> None:
    """Something else than WS-Management is malformed, in whatever step, or ends by the timeout."""
    endless = action == "Receive" and body == b"<a/>"  # nothing yet, for ever
    state = one(estate, access(start(bodies={action: body}).port), timeout=1.0 if endless else 60.0)
    if endless:
        message = why(state, GapKind.UNREACHABLE)
        assert "did not end within" in message or "no answer in time" in message
    else:
        assert "no message of WS-Management" in why(state, GapKind.MALFORMED)


def test_entities_are_not_blown_up(start: Starter, access: Access, estate: Estate) -> None:
    """An answer whose entities multiply is refused by the parser."""
    entities = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 20}'>" for n in range(1, 9))
    body = f"<!DOCTYPE a [<!ENTITY e0 '{'x' * 999}'>{entities}]><a>&e8;</a>".encode()
    state = one(estate, access(start(bodies={"Create": body}).port))
    assert "no message of WS-Management" in why(state, GapKind.MALFORMED)


def test_garbage_output(start: Starter, access: Access, estate: Estate) -> None:
    """Output that is not the script's is a gap, and nothing of it is shown."""
    service = start(answers=lambda _command, _stdin: (0, b"\x1b[2J<script>\r\n\x00\xff\r\n", b""))
    message = why(one(estate, access(service.port)), GapKind.MALFORMED)
    assert "did not answer as the script does" in message
    assert "script>" not in message


@pytest.mark.parametrize(
    "frame", [b"\r\n%s\r\n", b'#< CLIXML\r\n<Objs><S S="Error">%s_x000D__x000A_</S></Objs>']
)
def test_powershell_that_refuses(start: Starter, access: Access, estate: Estate, frame: bytes) -> None:
    """An error of PowerShell instead of an answer is told, spelt out, in either form that it has."""
    said = frame % b"Method invocation is supported only on core types in this language mode.\x1b[2J"
    service = start(answers=lambda _command, _stdin: (1, b"", said))
    message = why(one(estate, access(service.port)), GapKind.MALFORMED)
    assert "did not run the script (Method invocation is supported only on core types in this" in message
    assert "\x1b" not in message


def test_a_flood(start: Starter, access: Access, estate: Estate) -> None:
    """What is kept is bounded, and the command is ended."""
    service = start(answers=lambda _command, _stdin: (0, b"x" * (3 << 20), b""), drip=200_000)
    message = why(one(estate, access(service.port)), GapKind.MALFORMED)
    assert "far more than the script prints" in message
    assert not service.shells


def test_an_answer_without_end(start: Starter, access: Access, estate: Estate) -> None:
    """A message that is larger than all output could be is not read to its end."""
    service = start(bodies={"Create": b"<a>" + b"x" * (4 << 20)})
    message = why(one(estate, access(service.port)), GapKind.MALFORMED)
    assert "far more than the script prints" in message


def test_output_that_is_cut(start: Starter, access: Access, estate: Estate) -> None:
    """What arrived whole counts, the rest is a problem that says so."""
    whole = machine_of(lab_guest())

    def cut(command: str, stdin: bytes) -> wsman.Outcome:
        status, out, error = whole(command, stdin)
        return status, out[: len(out) // 2], error

    found = one(estate, access(start(answers=cut).port))
    assert found.services is not None
    assert found.disks is None
    assert "cut" in found.problems["disks"]


def test_another_service(start: Starter, access: Access, estate: Estate) -> None:
    """A web server that knows no WinRM is told with its status."""
    message = why(one(estate, access(start(status=404).port)), GapKind.UNREACHABLE)
    assert "it answered HTTP 404, and not as WinRM does" in message


def test_logins_are_not_taken_elsewhere(start: Starter, access: Access, estate: Estate) -> None:
    """A redirect is not followed: the login is for this machine."""
    other = start()
    service = start(location=f"https://127.0.0.1:{other.port}/wsman")
    message = why(one(estate, access(service.port)), GapKind.MALFORMED)
    assert "sends to another address" in message
    assert not other.asked


def test_a_testinfra_host(start: Starter, access: Access, estate: Estate) -> None:
    """Users get a host of testinfra: commands by cmd.exe, files, and an error where there is no answer."""
    service = start()
    host = host_of(windows(estate), access(service.port))
    assert host is not None
    assert isinstance(host.backend, WinRMBackend)
    assert host.run("hostname").stdout == "spoke2\r\n"
    assert host.run("echo ü").stdout == "ü\r\n"
    assert host.run("uname -s").rc == 1
    assert "not recognized" in host.run("uname -s").stderr
    assert host.system_info.type == "windows"
    assert host.file("C:/WindowsAzure").exists
    assert not host.file("C:/missing").exists
    assert not service.shells
    lost = host_of(windows(estate), access(free_port()))
    assert lost is not None
    with pytest.raises(UnreachableError, match="the connection was refused"):
        lost.run("hostname")


def test_the_password_is_in_no_text(start: Starter, access: Access, estate: Estate) -> None:
    """Neither an access nor a host nor a state shows it."""
    way = access(start().port)
    host = host_of(windows(estate), way)
    assert host is not None
    shown = (
        f"{way!r} {way.login!r} {vars(host.backend)!r} {host.backend.conn_args!r} {host.run('hostname')!r}"
    )
    assert "[not shown]" in shown
    assert wsman.PASSWORD not in shown
    assert wsman.PASSWORD.encode() not in msgspec.json.encode(one(estate, way))
