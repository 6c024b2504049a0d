"""Looking at guests: one call each where ssh leads there, a few where Run Command does; many at once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec

from pytest_ampls.errors import printable
from pytest_ampls.guest.access import GuestAccess, SshTarget, WinrmTarget, is_windows, pattern_for, target_of
from pytest_ampls.guest.run_command import LIMIT, POWERSHELL, SHELL, standard_output
from pytest_ampls.guest.script import LINUX, WINDOWS, Request, powershell_text, shell_text
from pytest_ampls.guest.ssh import GuestSsh, gap_of
from pytest_ampls.guest.state import state_of
from pytest_ampls.guest.transcript import MOST_BYTES, Transcript, merged, transcript
from pytest_ampls.model.compute import ArcMachine, VirtualMachine
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.gap import Gap, GapKind
from pytest_ampls.model.guest_questions import GuestQuestions
from pytest_ampls.model.guest_state import GuestState
from pytest_ampls.model.machine import Machine
from pytest_ampls.severable import Interruption, side_by_side, tenths

__all__ = ["Progress", "Questioner", "gather_all", "guests_to_look_at"]

_MOST_CALLS = 8

Questioner = Callable[[Machine], GuestQuestions]
Progress = Callable[[str], None]


class _Way(NamedTuple):
    """How guests are asked: within how many seconds, and what ends that before."""

    access: GuestAccess
    timeout: float
    interruption: Interruption


def guests_to_look_at(estate: Estate, access: GuestAccess) -> tuple[Machine, ...]:
    """Return the machines whose guests the access leads to.

    Virtual machines, instances of Flexible scale sets included; Arc machines only by a host pattern that can
    name them. A scale set as a whole has no guest.
    """
    if not access.hosts and not access.windows_hosts and access.run_command is None:
        return ()
    machines: tuple[Machine, ...] = estate.known(VirtualMachine)
    return (*machines, *(each for each in estate.known(ArcMachine) if _can_be_named(access, each)))


def _can_be_named(access: GuestAccess, machine: ArcMachine) -> bool:
    """Tell whether the pattern for its system names an Arc machine, whose address Azure does not know."""
    pattern = pattern_for(access, machine)
    return bool(pattern) and "{private_ip}" not in pattern


def gather_all(
    estate: Estate,
    access: GuestAccess,
    *,
    questions: Questioner,
    concurrency: int = 16,
    timeout: float = 60.0,
    on_progress: Progress | None = None,
) -> tuple[GuestState, ...]:
    """Ask every guest once, and return what each told, in the order of the machines.

    A guest that cannot be asked has a state with a gap; the others are not concerned.

    Args:
        estate: the machines.
        access: how guests are reached.
        questions: what to ask a machine's guest.
        concurrency: guests that are asked at once.
        timeout: seconds for one call of the script.
        on_progress: gets a line of text now and then.
    """
    machines = guests_to_look_at(estate, access)
    if not machines:
        return ()
    interruption = Interruption()
    way = _Way(access, timeout, interruption)
    jobs = {machine.key: partial(_gather, machine, questions(machine), way) for machine in machines}
    said = tenths(len(jobs), "guests: {} of {} looked at", on_progress)
    states = side_by_side(jobs, interruption.end, at_once=concurrency, on_done=said)
    return tuple(states[machine.key] for machine in machines)


def _gather(machine: Machine, questions: GuestQuestions, way: _Way) -> GuestState:
    """Ask one guest, by the pattern for its system where that can name it, else by Run Command."""
    target = target_of(way.access, machine) if pattern_for(way.access, machine) else None
    request = Request(nonce=secrets.token_hex(4), questions=questions)
    if isinstance(target, SshTarget):
        return _by_ssh(machine, target, request, way)
    if isinstance(target, WinrmTarget):
        return _by_winrm(machine, target, request, way)
    if way.access.run_command is not None and not isinstance(machine, ArcMachine):
        return _by_run_command(machine, questions, way)
    return _failed(machine, "winrm" if is_windows(machine) else "ssh", target or _no_option(machine))


def _no_option(machine: Machine) -> Gap:
    """Return the gap of a guest that no option leads to."""
    windows = is_windows(machine)
    more = "a winrm:// pattern" if windows else "an ssh:// pattern"
    run_command = "" if isinstance(machine, ArcMachine) else ", or --ampls-run-command"
    message = (
        f"the guest of {printable(machine.label)} was not looked at: it is a {WINDOWS if windows else LINUX} "
        f"machine, to which no option leads. Add {more} to --ampls-guests{run_command}"
    )
    return Gap(kind=GapKind.NOT_READ, message=message)


def _failed(machine: Machine, via: str, gap: Gap) -> GuestState:
    system = WINDOWS if is_windows(machine) else LINUX
    return GuestState(machine=machine.id, via=via, system=system, read_at=time.time(), gap=gap)


def _by_ssh(machine: Machine, target: SshTarget, request: Request, way: _Way) -> GuestState:
    ssh = GuestSsh(target, way.access, timeout=way.timeout, most=MOST_BYTES, interruption=way.interruption)
    try:
        done = ssh.feed(shell_text(request))
    except OSError as error:
        what = f"ssh cannot be started here ({error}). Install an OpenSSH client"
        return _failed(machine, "ssh", Gap(kind=GapKind.UNREACHABLE, message=what))
    found = gap_of(done, target, way.timeout)
    if found is not None:
        return _failed(machine, "ssh", found)
    told = transcript(done.stdout, request.nonce)
    return state_of(machine.id, "ssh", told, request, system=LINUX, read_at=time.time(), where=target.label)


def _by_winrm(machine: Machine, target: WinrmTarget, request: Request, way: _Way) -> GuestState:
    from pytest_ampls.guest.winrm import GuestWinrm, complaint  # pywinrm is there only where it was asked for

    winrm = GuestWinrm(
        target, way.access, timeout=way.timeout, most=MOST_BYTES, interruption=way.interruption
    )
    done = winrm.feed(powershell_text(request))
    if isinstance(done, Gap):
        return _failed(machine, "winrm", done)
    told = transcript(done.stdout, request.nonce)
    if not told.begun and not told.lines and done.stderr:
        return _failed(machine, "winrm", complaint(target, done.stderr))
    return state_of(
        machine.id, "winrm", told, request, system=WINDOWS, read_at=time.time(), where=target.label
    )


def _by_run_command(machine: Machine, questions: GuestQuestions, way: _Way) -> GuestState:
    """Ask by Run Command, in as many calls as the answer needs."""
    system = WINDOWS if is_windows(machine) else LINUX
    told = Transcript(begun=True, ended=True)
    request = Request(nonce=secrets.token_hex(4), questions=questions, limit=LIMIT)
    gap: Gap | None = None
    for _ in range(_MOST_CALLS):
        heard = _one_call(machine, way, request, system)
        if isinstance(heard, Gap):
            gap = heard
            break
        told = merged(told, heard)
        if told.resume is None or told.resume == (request.part, request.skip):
            break
        part, skip = told.resume
        request = msgspec.structs.replace(request, nonce=secrets.token_hex(4), part=part, skip=skip)
    if gap is not None and not told.lines:
        return GuestState(machine=machine.id, via="run-command", system=system, read_at=time.time(), gap=gap)
    where = f"Run Command on {printable(machine.label)}"
    return state_of(machine.id, "run-command", told, request, system=system, read_at=time.time(), where=where)


def _one_call(machine: Machine, way: _Way, request: Request, system: str) -> Transcript | Gap:
    assert way.access.run_command is not None  # the caller looked
    windows = system == WINDOWS
    script = powershell_text(request) if windows else shell_text(request)
    command = POWERSHELL if windows else SHELL
    message = way.access.run_command.run(machine.id, command, script, timeout=way.timeout)
    if isinstance(message, Gap):
        return message
    return transcript(standard_output(message).encode("utf-8", "backslashreplace"), request.nonce)
