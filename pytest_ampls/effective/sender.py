"""Which way a row took, told by the address that the ingestion saw.

Behind a private endpoint Heartbeat.ComputerIP is an IPv6 address that begins with fd40 and whose last 32 bits are
the sender's private IPv4 address. That was read off the published output of a lab (five machines of five); no page
of Microsoft's says so, so that nothing but this very pattern is taken for private.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from enum import Enum, auto
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Final

from pytest_ampls.effective.live import AddressClass, address_class
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.compute import VirtualMachine
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.network import NetworkInterface

__all__ = ["Sender", "private_addresses", "sender"]

_PRIVATE_PATH: Final = IPv6Network("fd40::/16")


class Sender(Enum):
    """Which way a row took."""

    PRIVATE = auto()
    PUBLIC = auto()
    UNKNOWN = auto()


def sender(computer_ip: str, private: Iterable[str]) -> Sender:
    """Tell which way a row took.

    Args:
        computer_ip: the address that the ingestion saw.
        private: the machine's private IPv4 addresses; texts that are none are passed over.
    """
    try:
        seen = ip_address(computer_ip)
    except ValueError:
        return Sender.UNKNOWN
    if isinstance(seen, IPv4Address):
        public = address_class(computer_ip) is AddressClass.PUBLIC
        return Sender.PUBLIC if public else Sender.UNKNOWN
    last = IPv4Address(int(seen) & 0xFFFFFFFF)
    as_seen = seen in _PRIVATE_PATH and seen.scope_id is None
    return Sender.PRIVATE if as_seen and last in _addresses(private) else Sender.UNKNOWN


def _addresses(texts: Iterable[str]) -> set[IPv4Address]:
    found = set()
    for text in texts:
        with suppress(ValueError):
            found.add(IPv4Address(text))
    return found


def private_addresses(machine: Machine) -> tuple[str, ...]:
    """Return the IPv4 addresses of a machine's interfaces, as far as they were read; none outside of Azure."""
    if not isinstance(machine, VirtualMachine):
        return ()
    found: list[str] = []
    profile = machine.properties.network_profile
    for part in (profile.network_interfaces or ()) if profile else ():
        with suppress(EvidenceError):  # what the machine names itself is as good
            interface = machine.estate.get(NetworkInterface, part.id) if part.id else None
            found.extend(interface.addresses if interface is not None else ())
    return tuple(found)
