"""Guests: what a machine's own system says of its agent, over ssh, WinRM or Azure Run Command.

The only room that imports testinfra and pywinrm, and only when a guest is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ampls.guest.access import CommandRunner, GuestAccess, WinrmLogin, patterns

if TYPE_CHECKING:
    from testinfra.host import Host

    from pytest_ampls.guest.gather import Progress, Questioner
    from pytest_ampls.model.estate import Estate
    from pytest_ampls.model.guest_state import GuestState
    from pytest_ampls.model.machine import Machine

__all__ = ["CommandRunner", "GuestAccess", "WinrmLogin", "gather_all", "host_of", "patterns"]


def gather_all(
    estate: Estate,
    access: GuestAccess,
    *,
    questions: Questioner,
    concurrency: int = 16,
    timeout: float = 60.0,
    on_progress: Progress | None = None,
) -> tuple[GuestState, ...]:
    """Ask every guest once; see :func:`pytest_ampls.guest.gather.gather_all`."""
    from pytest_ampls.guest import gather

    return gather.gather_all(
        estate,
        access,
        questions=questions,
        concurrency=concurrency,
        timeout=timeout,
        on_progress=on_progress,
    )


def host_of(machine: Machine, access: GuestAccess, *, timeout: float = 60.0) -> Host | None:
    """Return a testinfra host for a machine, None where the access does not lead to it.

    Raises:
        EvidenceError: the machine's address or name cannot be told.
    """
    from pytest_ampls.guest.host import host_of

    return host_of(machine, access, timeout=timeout)
