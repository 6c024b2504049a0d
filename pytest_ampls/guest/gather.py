"""Looking at guests: one call each where ssh leads there, a few where Run Command does; many at once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

import msgspec

from pytest_ampls.errors import printable
from pytest_ampls.guest.access import GuestAccess, is_windows, pattern_for, ssh_target, winrm_target
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

__all__ = ["Progress", "Questioner", "gather_all", "guests_to_look_at"]

_MOST_CALLS = 8

Questioner = Callable[[Machine], GuestQuestions]
Progress = Callable[[str], None]


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
    with ThreadPoolExecutor(max_workers=max(1, min(concurrency, len(machines)))) as pool:
        futures = {
            pool.submit(_gather, machine, access, questions(machine), timeout): machine.key
            for machine in machines
        }
        states = {futures[future]: future.result() for future in _in_turn(futures, on_progress)}
    return tuple(states[machine.key] for machine in machines)


def _in_turn(
    futures: dict[Future[GuestState], str], on_progress: Progress | None
) -> Iterator[Future[GuestState]]:
    step = max(1, len(futures) // 10)
    for number, future in enumerate(as_completed(futures), start=1):
        if on_progress is not None and (number % step == 0 or number == len(futures)):
            on_progress(f"guests: {number} of {len(futures)} looked at")
        yield future


def _gather(machine: Machine, access: GuestAccess, questions: GuestQuestions, timeout: float) -> GuestState:
    """Ask one guest, by the pattern for its system where that can name it, else by Run Command."""
    windows = is_windows(machine)
    by_pattern = _by_winrm if windows else _by_ssh
    commanded = access.run_command is not None and not isinstance(machine, ArcMachine)
    if pattern_for(access, machine):
        state = by_pattern(machine, access, questions, timeout)
        if state is not None or not commanded:
            return state or _unnamed(machine, access)
    if commanded:
        return _by_run_command(machine, access, questions, timeout, WINDOWS if windows else LINUX)
    return _unnamed(machine, access)


def _unnamed(machine: Machine, access: GuestAccess) -> GuestState:
    """Return the state of a guest that no option leads to."""
    windows = is_windows(machine)
    if pattern_for(access, machine):
        gap = winrm_target(access, machine) if windows else ssh_target(access, machine)
        assert isinstance(gap, Gap)  # the caller could not name it
    else:
        more = "a winrm:// pattern" if windows else "an ssh:// pattern"
        run_command = "" if isinstance(machine, ArcMachine) else ", or --ampls-run-command"
        message = (
            f"the guest of {printable(machine.label)} was not looked at: it is a {WINDOWS if windows else LINUX} "
            f"machine, to which no option leads. Add {more} to --ampls-guests{run_command}"
        )
        gap = Gap(kind=GapKind.NOT_READ, message=message)
    return _failed(machine, "winrm" if windows else "ssh", gap)


def _failed(machine: Machine, via: str, gap: Gap) -> GuestState:
    system = WINDOWS if is_windows(machine) else LINUX
    return GuestState(machine=machine.id, via=via, system=system, read_at=time.time(), gap=gap)


def _by_ssh(
    machine: Machine, access: GuestAccess, questions: GuestQuestions, timeout: float
) -> GuestState | None:
    """Ask by ssh; None where the pattern cannot name the machine."""
    target = ssh_target(access, machine)
    if isinstance(target, Gap):
        return None
    request = Request(nonce=secrets.token_hex(4), questions=questions)
    try:
        done = GuestSsh(target, access, timeout=timeout, most=MOST_BYTES).feed(shell_text(request))
    except OSError as error:
        what = f"ssh cannot be started here ({error}). Install an OpenSSH client"
        return _failed(machine, "ssh", Gap(kind=GapKind.UNREACHABLE, message=what))
    found = gap_of(done, target, timeout)
    if found is not None:
        return _failed(machine, "ssh", found)
    told = transcript(done.stdout, request.nonce)
    return state_of(machine.id, "ssh", told, request, system=LINUX, read_at=time.time(), where=target.label)


def _by_winrm(
    machine: Machine, access: GuestAccess, questions: GuestQuestions, timeout: float
) -> GuestState | None:
    """Ask by WinRM; None where the pattern cannot name the machine."""
    target = winrm_target(access, machine)
    if isinstance(target, Gap):
        return None
    from pytest_ampls.guest.winrm import GuestWinrm, complaint  # pywinrm is there only where it was asked for

    request = Request(nonce=secrets.token_hex(4), questions=questions)
    done = GuestWinrm(target, access, timeout=timeout, most=MOST_BYTES).feed(powershell_text(request))
    if isinstance(done, Gap):
        return _failed(machine, "winrm", done)
    told = transcript(done.stdout, request.nonce)
    if not told.begun and not told.lines and done.stderr:
        return _failed(machine, "winrm", complaint(target, done.stderr))
    return state_of(
        machine.id, "winrm", told, request, system=WINDOWS, read_at=time.time(), where=target.label
    )


def _by_run_command(
    machine: Machine, access: GuestAccess, questions: GuestQuestions, timeout: float, system: str
) -> GuestState:
    """Ask by Run Command, in as many calls as the answer needs."""
    told = Transcript(begun=True, ended=True)
    request = Request(nonce=secrets.token_hex(4), questions=questions, limit=LIMIT)
    gap: Gap | None = None
    for _ in range(_MOST_CALLS):
        heard = _one_call(machine, access, request, timeout, system)
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


def _one_call(
    machine: Machine, access: GuestAccess, request: Request, timeout: float, system: str
) -> Transcript | Gap:
    assert access.run_command is not None  # the caller looked
    windows = system == WINDOWS
    script = powershell_text(request) if windows else shell_text(request)
    command = POWERSHELL if windows else SHELL
    message = access.run_command.run(machine.id, command, script, timeout=timeout)
    if isinstance(message, Gap):
        return message
    return transcript(standard_output(message).encode("utf-8", "backslashreplace"), request.nonce)
