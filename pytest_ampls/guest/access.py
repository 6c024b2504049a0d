"""How guests are reached: the host pattern taken apart, and filled in for a machine."""

from __future__ import annotations

import re
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from pytest_ampls.errors import ConfigurationError, EvidenceError, printable
from pytest_ampls.model.compute import ArcMachine, VirtualMachine
from pytest_ampls.model.gap import Gap, GapKind
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.network import NetworkInterface

__all__ = ["CommandRunner", "GuestAccess", "SshTarget", "ssh_target", "uses_address"]

_PLACEHOLDERS: Final = ("name", "computer_name", "private_ip", "resource_group")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
# A host or user that began with "-" would be an option of ssh, and -oProxyCommand runs a program here.
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}")


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


class GuestAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How guests are reached.

    ``hosts`` is a testinfra host pattern such as ``ssh://azureuser@{private_ip}``, with ``{name}``,
    ``{computer_name}``, ``{private_ip}`` and ``{resource_group}``; ``?sudo=true`` behind it runs as root.
    ``ssh_config`` and ``ssh_identity_file`` are files for ssh. ``run_command`` runs scripts without a network
    path to the guest. With both, ssh goes to the machines that the pattern can name, Run Command to others.

    Raises:
        ConfigurationError: the pattern is wrong.
    """

    hosts: str = ""
    ssh_config: str = ""
    ssh_identity_file: str = ""
    run_command: CommandRunner | None = None

    def __post_init__(self) -> None:
        if self.hosts:
            _checked(self.hosts)


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


def _checked(pattern: str) -> None:
    shown = printable(pattern)
    for name in _PLACEHOLDER.findall(pattern):
        if name not in _PLACEHOLDERS:
            offered = ", ".join("{" + each + "}" for each in _PLACEHOLDERS)
            raise ConfigurationError(
                f"the guests' host pattern {shown!r} has no {{{name}}}; there are {offered}"
            )
    parts = urlsplit(_PLACEHOLDER.sub("x", pattern))
    if parts.scheme != "ssh":
        raise ConfigurationError(
            f"the guests' host pattern {shown!r} is not ssh://[USER@]HOST[:PORT][?sudo=true]: guests are gathered "
            "over ssh, or by Run Command"
        )
    if parts.password is not None:
        raise ConfigurationError(
            "the guests' host pattern has a password in it: name a key (--ampls-ssh-identity-file) or use an agent"
        )
    unknown = {key for key, _ in parse_qsl(parts.query, keep_blank_values=True)} - {"sudo", "sudo_user"}
    if unknown or parts.path not in ("", "/"):
        raise ConfigurationError(
            f"the guests' host pattern {shown!r} has something behind the host that is not ?sudo=true or sudo_user=NAME"
        )


def uses_address(access: GuestAccess) -> bool:
    """Tell whether the pattern names machines by their private address."""
    return "{private_ip}" in access.hosts


def ssh_target(access: GuestAccess, machine: Machine) -> SshTarget | Gap:
    """Return the host of a machine, or why it cannot be named."""
    try:
        values = _values(access, machine)
    except EvidenceError as error:
        return Gap(kind=GapKind.NOT_READ, message=f"the guest of {machine.label} was not looked at: {error}")
    filled = _PLACEHOLDER.sub(lambda match: values[match[1]], access.hosts)
    _, _, rest = filled.partition("://")
    place, _, query = rest.partition("?")
    options = dict(parse_qsl(query))
    user, _, host = place.rstrip("/").rpartition("@")
    host, port = _split_port(host)
    # Names come from ARM documents, and end up on a command line.
    if (
        not _HOST.fullmatch(host)
        or (user and not _USER.fullmatch(user))
        or not re.fullmatch(r"\d{0,5}", port)
    ):
        return Gap(
            kind=GapKind.NOT_READ,
            message=f"the guest of {machine.label} was not looked at: {printable(place)!r} is no host name to connect "
            "to. Use another placeholder in --ampls-guests",
        )
    sudo_user = options.get("sudo_user")
    sudo = options.get("sudo", "").lower() in ("true", "1", "yes") or sudo_user is not None
    return SshTarget(host=host, user=user, port=port, sudo=sudo, sudo_user=sudo_user)


def _split_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    return (name, port) if colon else (host, "")


def _values(access: GuestAccess, machine: Machine) -> dict[str, str]:
    return {
        "name": machine.label,
        "computer_name": _computer_name(machine),
        "resource_group": machine.resource_group,
        "private_ip": _private_address(machine) if uses_address(access) else "",
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
