"""What a machine's guest told, for the rules that ask, and findings on it; no rule of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from pytest_ampls.assertions.machine import flexible_instances_apart, identified_extensions
from pytest_ampls.catalogue import Finding, Fix, NotApplicable
from pytest_ampls.effective.guest_names import agent_names, right_addresses
from pytest_ampls.effective.live import AddressClass, address_class
from pytest_ampls.effective.power import said_of_power, switched_off_apart
from pytest_ampls.errors import EvidenceError, NotReadError, UnreachableError
from pytest_ampls.model.compute import ArcMachine, VirtualMachineScaleSet
from pytest_ampls.model.guest_state import GuestState, Lookup
from pytest_ampls.model.machine import Machine

__all__ = ["Resolved", "agent_guest", "answered_as", "guest_of", "on_guest", "resolved_names"]

_NO_ACCESS: Final = "no guest access was configured: --ampls-guests or --ampls-run-command"
_CLOCK_SECONDS: Final = 300
"""How far two clocks may be apart: the answer of Run Command takes minutes at worst."""
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60))
_NO_ARC_ACCESS: Final = (
    "an Arc machine needs --ampls-guests with {name} or {computer_name} in it, a pattern of ssh:// for Linux and of "
    "winrm:// for Windows"
)


def guest_of(machine: Machine) -> GuestState:
    """Return what a machine's guest told; it may have a gap.

    Raises:
        NotApplicable: the guest was not to be looked at, told nothing because its machine was seen switched off, or
            the machine is a scale set.
        NotReadError: it told nothing because its machine is about to be on or off.
        TypeError: it is no machine.
    """
    flexible_instances_apart(machine)
    if isinstance(machine, VirtualMachineScaleSet):
        raise NotApplicable(f"scale set {machine.label!r} as a whole has no guest to look at")
    state = machine.estate.observations.guest(machine)
    if state is None:
        reason = _NO_ARC_ACCESS if isinstance(machine, ArcMachine) else _NO_ACCESS
        raise NotApplicable(f"the guest of {machine.label!r} was not looked at: {reason}")
    if state.gap is None:
        return state
    switched_off_apart(machine, "nothing runs there that could be looked at")
    gap = msgspec.structs.replace(state.gap, message=f"{state.gap.message}{said_of_power(machine)}")
    return msgspec.structs.replace(state, gap=gap)


def agent_guest(machine: Machine) -> GuestState:
    """Return what the guest of a machine with the Azure Monitor Agent told.

    Raises:
        NotApplicable: as :func:`guest_of`, or the machine has no agent.
        EvidenceError: its extensions were not read.
    """
    state = guest_of(machine)
    if not any(part.is_agent for part in identified_extensions(machine)):
        raise NotApplicable(f"{machine.label!r} has no Azure Monitor Agent: AMPLS501 judges that")
    return state


def on_guest(
    machine: Machine,
    state: GuestState,
    path: str,
    *,
    expected: str,
    observed: str,
    shows: tuple[str, str],
    tokens: Mapping[str, str] | None = None,
    fix: Fix | None = None,
) -> Finding:
    """Return a finding on a guest.

    ``shows`` are the commands that show it, there: for Linux and for Windows.
    """
    windows = state.system.lower() == "windows"
    return Finding.on(
        machine,
        path,
        expected=expected,
        observed=f"{observed}{_clock(state)}",
        evidence=f"{shows[windows]}  # on {machine.label}",
        tokens={"shell": "RunPowerShellScript" if windows else "RunShellScript", **(tokens or {})},
        fix=fix,
    )


def _clock(state: GuestState) -> str:
    """Say how wrong the machine's clock is: tokens and certificates are valid by the time, and its log bears it."""
    if state.clock is None or abs(state.clock - state.read_at) <= _CLOCK_SECONDS:
        return ""
    ahead = state.clock - state.read_at
    unit, length = next(each for each in _UNITS if abs(ahead) >= 2 * each[1])
    return f" (the machine's clock is {abs(ahead) / length:.0f} {unit} {'ahead' if ahead > 0 else 'behind'})"


class Resolved(NamedTuple):
    """A name of the agent, what the guest's resolution gave for it, and what it should have given."""

    lookup: Lookup
    right: frozenset[str]

    @property
    def is_right(self) -> bool:
        """Tell whether every address is one of the private endpoint's."""
        return bool(self.lookup.addresses) and set(self.lookup.addresses) <= self.right


def resolved_names(machine: Machine, state: GuestState) -> Iterator[Resolved]:
    """Yield the names of a machine's agent that a private endpoint near it serves.

    Raises:
        NotApplicable: there is none.
        EvidenceError: the names or their addresses cannot be told, or the guest did not tell; raised last, behind
            the names that it did tell.
    """
    unheard: EvidenceError | None = None
    wanted: dict[str, frozenset[str]] = {}
    for name in agent_names(machine):
        try:
            wanted[name] = right_addresses(machine, name)
        except EvidenceError as error:
            unheard = unheard or error
    wanted = {name: right for name, right in wanted.items() if right}
    if not wanted and unheard is None:
        raise NotApplicable(
            f"no private endpoint in the virtual networks of {machine.label!r}, or peered with them, serves a name "
            "that its agent uses"
        )
    found = {lookup.name: lookup for lookup in state.told(state.lookups, "lookups")}
    for name, right in wanted.items():
        lookup = found.get(name)
        if lookup is None:
            unheard = unheard or NotReadError(f"the guest of {machine.label!r} was not asked for {name}")
        elif lookup.problem:
            unheard = unheard or UnreachableError(f"the guest of {machine.label!r}: {name}: {lookup.problem}")
        else:
            yield Resolved(lookup, right)
    if unheard is not None:
        raise unheard


def answered_as(resolved: Resolved) -> str:
    """Return what a guest's resolution gave, as a phrase that says what it amounts to."""
    lookup, right = resolved
    if not lookup.addresses:
        return "no address: the name does not exist there, or has none"
    parts = [
        f"{address} ({_nature(address, right)}{', from its hosts file' if address in lookup.in_hosts_file else ''})"
        for address in lookup.addresses
    ]
    return ", ".join(parts)


def _nature(address: str, right: frozenset[str]) -> str:
    if address in right:
        return "the private endpoint's"
    kind = address_class(address)
    return "private, but not the private endpoint's" if kind is AddressClass.PRIVATE else kind.value
