"""Whether a guest asks the DNS servers that its network hands out."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from pytest_ampls.effective.dns_path import AZURE_PROVIDED_DNS
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.compute import VirtualMachine
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.network import NetworkInterface

__all__ = ["foreign_servers"]


def foreign_servers(machine: Machine, asked: Sequence[str]) -> str:
    """Return, for the end of a message, that none of the servers which a guest asks is handed out to it.

    An empty text where one is, where the guest asks itself (a resolver of its own forwards to whom is not told), and
    where it is not known what is handed out: an interface's own servers take the place of its VNet's, and a VNet
    without any hands out Azure-provided DNS.
    """
    if not asked or not isinstance(machine, VirtualMachine) or any(map(_is_itself, asked)):
        return ""
    try:
        named = _handed_out(machine)
    except EvidenceError:
        return ""
    if not named or set(asked) & set(named):
        return ""
    return (
        f", where its virtual network hands out {', '.join(named)}: restart the machine, or mend its settings"
    )


def _is_itself(server: str) -> bool:
    try:
        return ip_address(server).is_loopback
    except ValueError:
        return True


def _handed_out(machine: VirtualMachine) -> tuple[str, ...]:
    profile = machine.properties.network_profile
    ids = [part.id for part in (profile.network_interfaces or () if profile else ()) if part.id]
    interfaces = [machine.estate.get(NetworkInterface, each) for each in ids]
    own = [server for each in interfaces if each is not None for server in each.dns_servers]
    shared = [
        server for each in machine.virtual_networks for server in each.dns_servers or (AZURE_PROVIDED_DNS,)
    ]
    found = dict.fromkeys([*own, *shared])
    return tuple(AZURE_PROVIDED_DNS if server.lower() == "azureprovideddns" else server for server in found)
