"""How guests are reached: the host patterns taken apart, and filled in for a machine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final, Protocol, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from pytest_ampls.errors import ConfigurationError, EvidenceError, printable
from pytest_ampls.model.compute import ArcMachine, VirtualMachine
from pytest_ampls.model.gap import Gap, GapKind
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.network import NetworkInterface

__all__ = [
    "CommandRunner",
    "GuestAccess",
    "Secret",
    "SshTarget",
    "WinrmLogin",
    "WinrmTarget",
    "is_windows",
    "pattern_for",
    "patterns",
    "ssh_target",
    "target_of",
    "winrm_target",
]

_PLACEHOLDERS: Final = ("name", "computer_name", "private_ip", "resource_group")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
# A host or user that began with "-" would be an option of ssh, and -oProxyCommand runs a program here.
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}")
# What a document says is put into a pattern: it must not bring a user, a port or an option of its own.
_FILLED: Final = re.compile(r"[A-Za-z0-9._-]*")
# Behind a colon before the last "@" stands a password, whatever a parser of URLs makes of the characters in it; the
# colon of a scheme is the only other one there.
_SCHEME: Final = re.compile(r"\A[A-Za-z]+://")
_PASSWORD: Final = re.compile(r":.*@", re.DOTALL)
_TRANSPORTS: Final = ("ntlm", "kerberos", "basic")
_SWITCHES: Final = {"true": True, "false": False}
_KNOWN: Final = {
    "ssh": {"sudo", "sudo_user"},
    "winrm": {"transport", "no_ssl", "no_verify_ssl"},
}
_FORMS: Final = {
    "ssh": "?sudo=true or sudo_user=NAME",
    "winrm": "?transport=ntlm, kerberos or basic, no_verify_ssl=true or no_ssl=true",
}


class CommandRunner(Protocol):
    """Runs a script in a virtual machine by Azure Run Command."""

    def run(self, machine_id: str, command_id: str, script: str, *, timeout: float) -> str | Gap:
        """Return the message that the script left, or why there is none.

        Args:
            machine_id: resource id of the virtual machine.
            command_id: ``RunShellScript`` or ``RunPowerShellScript``.
            script: the script's text.
            timeout: seconds to wait for the result. The script itself cannot be stopped.
        """


class Secret(str):
    """A text that is never shown: in a repr, and so in logs and tracebacks with local variables, it is left out."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[not shown]'"


class WinrmLogin(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs in to Windows guests: a user, where the pattern names none, and the password."""

    user: str = ""
    password: Secret = Secret()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return what ``AMPLS_WINRM_USER`` and ``AMPLS_WINRM_PASSWORD`` say."""
        password = Secret(environment.get("AMPLS_WINRM_PASSWORD", ""))
        return cls(user=environment.get("AMPLS_WINRM_USER", "").strip(), password=password)


class GuestAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How guests are reached.

    ``hosts`` is a testinfra host pattern for Linux machines, such as ``ssh://azureuser@{private_ip}``, with
    ``{name}``, ``{computer_name}``, ``{private_ip}`` and ``{resource_group}``; ``?sudo=true`` behind it runs as
    root. ``ssh_config`` and ``ssh_identity_file`` are files for ssh. ``windows_hosts`` is the same for Windows
    machines, such as ``winrm://admin@{private_ip}``; ``login`` says who signs in there, and ``ca_bundle`` is the
    file of the authorities (PEM) that their certificates may be from. ``run_command`` runs scripts without a
    network path to the guest: in the machines that no pattern can name.

    Raises:
        ConfigurationError: a pattern is wrong, or something that WinRM needs is missing.
    """

    hosts: str = ""
    windows_hosts: str = ""
    ssh_config: str = ""
    ssh_identity_file: str = ""
    login: WinrmLogin = WinrmLogin()
    ca_bundle: str = ""
    run_command: CommandRunner | None = None

    def __post_init__(self) -> None:
        if self.hosts:
            _check(self.hosts, "ssh")
        if self.windows_hosts:
            _check(self.windows_hosts, "winrm")
            _check_winrm(self.windows_hosts, self.login)


class SshTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One host to reach by ssh."""

    host: str
    user: str = ""
    port: str = ""
    sudo: bool = False
    sudo_user: str | None = None

    @property
    def hostspec(self) -> str:
        """The host as testinfra's ssh backend takes it."""
        host = f"{self.host}:{self.port}" if self.port else self.host
        return f"{self.user}@{host}" if self.user else host

    @property
    def label(self) -> str:
        """The host for messages."""
        return f"ssh to {self.hostspec}"


class WinrmTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One host to reach by WinRM. ``user`` is as it signs in: plain, with its domain before it, or as user@realm."""

    host: str
    user: str = ""
    port: str = ""
    transport: str = "ntlm"
    no_ssl: bool = False
    no_verify_ssl: bool = False

    @property
    def hostspec(self) -> str:
        """The host as testinfra's winrm backend takes it; without a port of its own, the service's usual one."""
        place = f"{self.host}:{self.port or ('5985' if self.no_ssl else '5986')}"
        return f"{quote(self.user, safe='')}@{place}" if self.user else place

    @property
    def label(self) -> str:
        """The host for messages."""
        return f"WinRM to {self.hostspec}"


def patterns(given: Sequence[str]) -> tuple[str, str]:
    """Return the ssh pattern and the WinRM pattern of those that were given; empty where there is none.

    Raises:
        ConfigurationError: one is wrong, or there are two for the same machines.
    """
    found = {"ssh": "", "winrm": ""}
    for pattern in given:
        scheme = pattern.partition("://")[0]
        _check(pattern, scheme if scheme in found else "")
        if found[scheme]:
            whom = "Linux" if scheme == "ssh" else "Windows"
            raise ConfigurationError(
                f"there are two {scheme}:// patterns for guests, and one leads to all {whom} machines: leave one out"
            )
        found[scheme] = pattern
    return found["ssh"], found["winrm"]


def _check(pattern: str, scheme: str) -> None:
    _check_secrets(pattern, scheme)
    shown = printable(pattern)
    for name in _PLACEHOLDER.findall(pattern):
        if name not in _PLACEHOLDERS:
            offered = ", ".join("{" + each + "}" for each in _PLACEHOLDERS)
            raise ConfigurationError(
                f"the guests' host pattern {shown!r} has no {{{name}}}; there are {offered}"
            )
    parts = urlsplit(_PLACEHOLDER.sub("x", pattern))
    if not scheme or parts.scheme != scheme:
        raise ConfigurationError(
            f"the guests' host pattern {shown!r} is not ssh://[USER@]HOST[:PORT][?sudo=true] for Linux machines, nor "
            "winrm://[USER@]HOST[:PORT][?transport=NAME] for Windows machines"
        )
    unknown = {key for key, _ in parse_qsl(parts.query, keep_blank_values=True)} - _KNOWN[scheme]
    if unknown or parts.path not in ("", "/") or parts.fragment:
        raise ConfigurationError(
            f"the guests' host pattern {shown!r} has something behind the host that is not {_FORMS[scheme]}"
        )
    if scheme == "winrm":
        _check_options(shown, dict(parse_qsl(parts.query, keep_blank_values=True)))


def _check_secrets(pattern: str, scheme: str) -> None:
    """Refuse what is, or may be, a password, before anything of the pattern is shown."""
    instead = (
        "set AMPLS_WINRM_PASSWORD"
        if scheme == "winrm"
        else "name a key (--ampls-ssh-identity-file) or use an agent"
    )
    if _PASSWORD.search(_SCHEME.sub("", pattern)):
        raise ConfigurationError(
            f"the guests' host pattern has a password in it, which ends in logs: {instead}"
        )
    try:
        urlsplit(_PLACEHOLDER.sub("x", pattern)).port  # noqa: B018  # the property looks at it
    except ValueError:
        raise ConfigurationError(
            "the guests' host pattern has something behind a colon that is no port, or brackets that are no address. "
            f"If it is a password: {instead}"
        ) from None


def _check_options(shown: str, options: dict[str, str]) -> None:
    transport = options.get("transport", "ntlm")
    if transport not in _TRANSPORTS:
        offered = ", ".join(_TRANSPORTS)
        raise ConfigurationError(
            f"the guests' host pattern {shown!r} has the transport {transport!r}; there are {offered}"
        )
    for name in ("no_ssl", "no_verify_ssl"):
        if options.get(name, "false").lower() not in _SWITCHES:
            raise ConfigurationError(
                f"the guests' host pattern {shown!r} has a {name} that is neither true nor false"
            )
    if _is_on(options, "no_ssl") and transport == "basic":
        raise ConfigurationError(
            f"the guests' host pattern {shown!r} would send the password in the clear: leave out no_ssl, or use "
            "transport=ntlm or kerberos, which encrypt"
        )


def _is_on(options: Mapping[str, str], name: str) -> bool:
    return _SWITCHES.get(options.get(name, "").lower(), False)


def _check_winrm(pattern: str, login: WinrmLogin) -> None:
    """Find out what is missing here, before the first guest is looked at."""
    place, _, query = pattern.partition("://")[2].partition("?")
    kerberos = dict(parse_qsl(query)).get("transport") == "kerberos"
    if find_spec("winrm") is None:
        raise ConfigurationError(
            "the guests' winrm:// pattern needs pywinrm, which is not installed: pip install 'pytest-ampls[winrm]'"
        )
    if kerberos and find_spec("kerberos") is None and find_spec("winkerberos") is None:
        raise ConfigurationError(
            "transport=kerberos needs a Kerberos library, which is not installed: pip install 'pywinrm[kerberos]'"
        )
    if not kerberos and not login.password:
        raise ConfigurationError(
            "the guests' winrm:// pattern needs a password: set AMPLS_WINRM_PASSWORD, or use transport=kerberos"
        )
    if not kerberos and "@" not in place and not login.user:
        raise ConfigurationError(
            "the guests' winrm:// pattern names no user: winrm://USER@HOST, or set AMPLS_WINRM_USER"
        )


def is_windows(machine: Machine) -> bool:
    """Tell whether a machine is known to run Windows."""
    try:
        return "windows" in (machine.os_type or "").lower()
    except EvidenceError:
        return False


def pattern_for(access: GuestAccess, machine: Machine) -> str:
    """Return the pattern that leads to a machine: one for Windows, one for all others. Empty where there is none."""
    return access.windows_hosts if is_windows(machine) else access.hosts


class _Place(msgspec.Struct, frozen=True):
    """A pattern that was filled in."""

    user: str
    host: str
    port: str
    options: Mapping[str, str]


def target_of(access: GuestAccess, machine: Machine) -> SshTarget | WinrmTarget | Gap:
    """Return where the pattern for a machine's system leads, or why it cannot name the machine."""
    return winrm_target(access, machine) if is_windows(machine) else ssh_target(access, machine)


def ssh_target(access: GuestAccess, machine: Machine) -> SshTarget | Gap:
    """Return the host of a machine for ssh, or why it cannot be named."""
    place = _filled(access.hosts, machine)
    if isinstance(place, Gap):
        return place
    if place.user and not _USER.fullmatch(place.user):
        return _unfit(machine, place.user, "user to sign in as")
    sudo_user = place.options.get("sudo_user")
    sudo = place.options.get("sudo", "").lower() in ("true", "1", "yes") or sudo_user is not None
    return SshTarget(host=place.host, user=place.user, port=place.port, sudo=sudo, sudo_user=sudo_user)


def winrm_target(access: GuestAccess, machine: Machine) -> WinrmTarget | Gap:
    """Return the host of a machine for WinRM, or why it cannot be named."""
    place = _filled(access.windows_hosts, machine)
    if isinstance(place, Gap):
        return place
    user = unquote(place.user) or access.login.user
    if not user.isprintable():
        return _unfit(machine, user, "user to sign in as")
    return WinrmTarget(
        host=place.host,
        user=user,
        port=place.port,
        transport=place.options.get("transport", "ntlm"),
        no_ssl=_is_on(place.options, "no_ssl"),
        no_verify_ssl=_is_on(place.options, "no_verify_ssl"),
    )


def _filled(pattern: str, machine: Machine) -> _Place | Gap:
    try:
        values = _values(pattern, machine)
    except EvidenceError as error:
        return Gap(kind=GapKind.NOT_READ, message=f"the guest of {machine.label} was not looked at: {error}")
    for name in _PLACEHOLDER.findall(pattern):
        if not _FILLED.fullmatch(values[name]):
            return _unfit(machine, values[name], "host name to connect to")
    filled = _PLACEHOLDER.sub(lambda match: values[match[1]], pattern)
    _, _, rest = filled.partition("://")
    place, _, query = rest.partition("?")
    user, _, host = place.rstrip("/").rpartition("@")
    host, port = _split_port(host)
    # Names come from ARM documents, and end up on a command line.
    if not _HOST.fullmatch(host) or not re.fullmatch(r"\d{0,5}", port):
        return _unfit(machine, place, "host name to connect to")
    return _Place(user, host, port, dict(parse_qsl(query)))


def _unfit(machine: Machine, text: str, what: str) -> Gap:
    return Gap(
        kind=GapKind.NOT_READ,
        message=f"the guest of {machine.label} was not looked at: {printable(text)!r} is no {what}. "
        "Use another placeholder in --ampls-guests",
    )


def _split_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    return (name, port) if colon else (host, "")


def _values(pattern: str, machine: Machine) -> dict[str, str]:
    return {
        "name": machine.label,
        "computer_name": _computer_name(machine),
        "resource_group": machine.resource_group,
        "private_ip": _private_address(machine) if "{private_ip}" in pattern else "",
    }


def _computer_name(machine: Machine) -> str:
    """Return the host name that the machine was made with, which its document may leave out."""
    profile: Any = msgspec.json.decode(machine.estate.document(machine))
    for key in ("properties", "osProfile", "computerName"):
        profile = profile.get(key) if isinstance(profile, dict) else None
    return profile if isinstance(profile, str) and profile else machine.label


def _private_address(machine: Machine) -> str:
    """Return the first private address of a virtual machine.

    Raises:
        EvidenceError: its interfaces were not read, or have none.
    """
    if isinstance(machine, VirtualMachine) and machine.properties.network_profile is not None:
        for part in machine.properties.network_profile.network_interfaces or ():
            nic = machine.estate.get(NetworkInterface, part.id) if part.id else None
            if nic is not None and nic.addresses:
                return nic.addresses[0]
    what = (
        "an Arc machine's address is not known to Azure" if isinstance(machine, ArcMachine) else "it has none"
    )
    raise EvidenceError(f"its private address cannot be told: {what}")
