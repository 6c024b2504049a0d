"""A testinfra host for a machine: what users write their own guest tests with."""

from __future__ import annotations

from testinfra.backend.base import BaseBackend
from testinfra.host import Host

from pytest_ampls.guest.access import (
    GuestAccess,
    SshTarget,
    WinrmTarget,
    is_windows,
    pattern_for,
    target_of,
)
from pytest_ampls.guest.run_command import RunCommandBackend
from pytest_ampls.guest.ssh import GuestSsh
from pytest_ampls.model.compute import ArcMachine
from pytest_ampls.model.gap import Gap
from pytest_ampls.model.machine import Machine

__all__ = ["host_of"]


def host_of(machine: Machine, access: GuestAccess, *, timeout: float = 60.0) -> Host | None:
    """Return a testinfra host for a machine, None where the access does not lead to it.

    Over ssh (Linux) or WinRM (Windows) where the host pattern can name the machine, else over Run Command.

    Raises:
        EvidenceError: the machine's address or name cannot be told.
    """
    windows = is_windows(machine)
    target: SshTarget | WinrmTarget | Gap | None = None
    if pattern_for(access, machine):
        target = target_of(access, machine)
    if isinstance(target, SshTarget):
        return _host(GuestSsh(target, access, timeout=timeout))
    if isinstance(target, WinrmTarget):
        from pytest_ampls.guest.winrm import GuestWinrm  # pywinrm is there only where it was asked for

        return _host(GuestWinrm(target, access, timeout=timeout))
    if access.run_command is not None and not isinstance(machine, ArcMachine):
        backend = RunCommandBackend(
            access.run_command, machine.id, name=machine.label, windows=windows, timeout=timeout
        )
        return _host(backend)
    if target is not None:
        raise target.error()
    return None


def _host(backend: BaseBackend) -> Host:
    host = Host(backend)
    backend.set_host(host)
    return host
