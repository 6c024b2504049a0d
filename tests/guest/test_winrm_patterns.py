"""Host patterns for Windows guests: which machines they lead to, and what is refused before anything is sent."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_ampls.effective.guest_names import guest_questions
from pytest_ampls.errors import ConfigurationError
from pytest_ampls.guest import GuestAccess, WinrmLogin, gather_all, patterns
from pytest_ampls.guest.access import Secret
from pytest_ampls.guest.gather import guests_to_look_at
from pytest_ampls.model import Estate, GapKind
from tests.assertions.machines import monitored_estate
from tests.builders import ARC_MACHINES, VMS
from tests.guest.lab import looked_at
from tests.guest.sshd import free_port

LOGIN = WinrmLogin(password=Secret("x"))


def why_not(estate: Estate, access: GuestAccess, name: str) -> str:
    """Return why a machine's guest was not looked at."""
    states = gather_all(estate, access, questions=guest_questions, timeout=5)
    (gap,) = [state.gap for state in states if state.machine.endswith(f"/{name}")]
    assert gap is not None
    assert gap.kind is GapKind.NOT_READ
    return gap.message


def test_each_system_has_its_pattern() -> None:
    """The ssh pattern is for Linux, the WinRM pattern for Windows; a machine that has none is told."""
    both = patterns(["winrm://a@{private_ip}", "ssh://b@{name}"])
    assert both == ("ssh://b@{name}", "winrm://a@{private_ip}")
    estate = looked_at("hub-and-spoke")
    only_winrm = GuestAccess(windows_hosts=f"winrm://a@127.0.0.1:{free_port()}", login=LOGIN)
    said = "it is a Linux machine, to which no option leads. Add an ssh:// pattern"
    assert said in why_not(estate, only_winrm, "hub")
    only_ssh = GuestAccess(hosts=f"ssh://127.0.0.1:{free_port()}")
    said = "it is a Windows machine, to which no option leads. Add a winrm:// pattern"
    assert said in why_not(estate, only_ssh, "spoke2")


@pytest.mark.parametrize(("system", "own"), [("windows", "windows_hosts"), ("linux", "hosts")])
def test_arc_machines_by_name(system: str, own: str) -> None:
    """A machine of Arc is looked at where the pattern of its system names machines, and not by address."""
    plan = monitored_estate()
    plan[ARC_MACHINES, "arc"]["properties"]["osType"] = system
    estate = plan.build()
    other = {"hosts": "windows_hosts", "windows_hosts": "hosts"}[own]
    scheme = {"hosts": "ssh", "windows_hosts": "winrm"}
    for host, is_there in (("{name}", True), ("{private_ip}", False), ("", False)):
        pattern = {own: f"{scheme[own]}://a@{host}" if host else "", other: f"{scheme[other]}://a@{{name}}"}
        looked = guests_to_look_at(estate, GuestAccess(login=LOGIN, **pattern))  # type: ignore[arg-type]  # by name
        assert ("arc" in {each.label for each in looked}) is is_there


@pytest.mark.parametrize("name", ["a/../b", "u@other.test", "a:80", "a b", "a?no_verify_ssl=true", "a#"])
def test_names_of_documents_are_no_addresses(name: str) -> None:
    """A name that would turn into another address, or into an option, is not connected to."""
    plan = monitored_estate()
    plan[VMS, "vm1"]["properties"]["osProfile"] = {"computerName": name}
    plan[VMS, "vm1"]["properties"]["storageProfile"]["osDisk"]["osType"] = "Windows"
    access = GuestAccess(windows_hosts="winrm://a@{computer_name}", login=LOGIN)
    assert "is no host name to connect to" in why_not(plan.build(), access, "vm1")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("winrm://u:hunter2@{name}", "has a password in it, which ends in logs: set AMPLS_WINRM_PASSWORD"),
        ("winrm://u:hunter2/@{name}", "has a password in it"),
        ("winrm://u:hunter2@{vm}", "has a password in it"),
        ("https://u:hunter2@{name}", "has a password in it"),
        ("winrm://auditor@corp.example:hunter2@{name}", "has a password in it"),
        ("winrm://u:\nhunter2@{name}", "has a password in it"),
        ("winrm://u://hunter2@{name}", "has a password in it"),
        ("winrm:/u:hunter2@{name}", "has a password in it"),
        ("u:hunter2@{name}", "has a password in it"),
        ("winrm://u:hunter2", "that is no port"),
        ("ssh://u@{name}:hunter2", "that is no port, or brackets that are no address"),
        ("ssh://{name}:65536", "that is no port"),
        ("ssh://u@[{name}", "that is no port, or brackets that are no address"),
        ("winrm://{name}?transport=plaintext", "transport 'plaintext'; there are ntlm, kerberos, basic"),
        ("winrm://{name}?transport=basic&no_ssl=true", "would send the password in the clear"),
        ("winrm://{name}?no_ssl=perhaps", "no_ssl that is neither true nor false"),
        ("winrm://{name}?sudo=true", "that is not ?transport=ntlm, kerberos or basic"),
        ("winrm://{name}/wsman", "that is not ?transport="),
        ("http://{name}", "nor winrm://"),
    ],
)
def test_patterns_that_are_wrong(pattern: str, said: str) -> None:
    """A pattern is refused before anything is connected to; a password in it is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        patterns([pattern])
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_two_patterns_for_the_same_machines() -> None:
    """One for each system, and no more."""
    with pytest.raises(
        ConfigurationError, match="two winrm:// patterns for guests, and one leads to all Windows"
    ):
        patterns(["winrm://a@{name}", "winrm://b@{private_ip}"])


def test_what_is_missing_is_said() -> None:
    """Without a password or a user nothing is begun; a user may come from the environment."""
    with pytest.raises(ConfigurationError, match="set AMPLS_WINRM_PASSWORD"):
        GuestAccess(windows_hosts="winrm://a@{name}")
    with pytest.raises(ConfigurationError, match=r"names no user: .* AMPLS_WINRM_USER"):
        GuestAccess(windows_hosts="winrm://{name}", login=WinrmLogin.of({"AMPLS_WINRM_PASSWORD": "x"}))
    given = {"AMPLS_WINRM_PASSWORD": "x", "AMPLS_WINRM_USER": "CORP\\svc"}
    assert GuestAccess(windows_hosts="winrm://{name}", login=WinrmLogin.of(given)).login.user == "CORP\\svc"


@pytest.mark.parametrize(
    ("missing", "query", "said"),
    [
        ("winrm", "", "needs pywinrm, which is not installed: pip install 'pytest-ampls[winrm]'"),
        ("kerberos", "?transport=kerberos", "needs a Kerberos library, which is not installed"),
    ],
)
def test_without_its_library(missing: str, query: str, said: str) -> None:
    """What is not installed is said in one line, with the way to install it."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.modules['winkerberos'] = None\n"
        "from pytest_ampls.errors import ConfigurationError\n"
        "from pytest_ampls.guest import GuestAccess, WinrmLogin\n"
        "login = WinrmLogin.of({'AMPLS_WINRM_PASSWORD': 'x'})\n"
        f"try: GuestAccess(windows_hosts='winrm://a@{{name}}{query}', login=login)\n"
        "except ConfigurationError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said in done.stdout
