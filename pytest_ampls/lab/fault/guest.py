"""Faults inside of a guest: what only the machine itself can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_ampls.lab.fault.pick import client
from pytest_ampls.lab.fault.registry import Meddling, guest_fault
from pytest_ampls.lab.store import Estate

__all__: list[str] = []

_GUEST_FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "hosts-override": ("a machine's hosts file has an old address of the workspace", "313 522"),
    "agent-stopped": ("a machine's agent does not run", "520"),
    "token-identity-not-found": ("a machine gets no token: the identity is not found", "521"),
    "token-multiple-identities": (
        "a machine gets no token: there are several identities to choose from",
        "521",
    ),
    "token-no-imds": ("a machine's instance metadata service does not answer", "521"),
    "guest-port-dropped": ("a machine's connections to port 443 are dropped on their way", "523"),
    "guest-chain-resigned": ("a firewall breaks a machine's TLS open and signs it anew", "523"),
    "mdsd-ods-403": ("a machine's agent is refused by the workspace's ingestion", "524"),
    "mdsd-dce-403": ("a machine's agent is refused its configuration over private link", "524"),
    "mdsd-no-token": ("a machine's agent got no token from the instance metadata service", "524"),
    "mdsd-ssl-handshake": ("a machine's agent could not agree on TLS", "524"),
    "public-gateway-answers": (
        "a machine has a DNS server of its own choice, and the public endpoints answer it",
        "522",
    ),
    "chunk-missing": ("a machine's agent has not downloaded its rules", "525"),
    "gcs-mode": ("a machine's agent is in its legacy mode", "526"),
    "disk-full": ("a machine's disk is nearly full", "527"),
    "guest-silent": ("a machine's Run Command never returns", ""),
    "guest-garbage": ("a machine answers garbage, with terminal escapes in it", ""),
}


def _declare(name: str, title: str, breaks: str) -> None:
    @guest_fault(name, title, breaks=breaks, estates="hub-and-spoke two-scopes fleet")
    def flaw(estate: Estate, meddling: Meddling, _argument: str | None) -> None:
        """Put the flaw into the guest of the machine that machine faults hit."""
        meddling.guest_flaws.setdefault(client(estate)["id"].lower(), set()).add(name)


for _name, (_title, _breaks) in _GUEST_FAULTS.items():
    _declare(_name, _title, _breaks)
