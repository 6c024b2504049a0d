"""Faults: named, minimal things that go wrong in an estate, on the wire, or in DNS.

A fault is declared once, by the decorator on the function that causes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pytest_ampls.lab.messages import Request, Response
from pytest_ampls.lab.spec import LabError
from pytest_ampls.lab.store import Estate

__all__ = [
    "Datagram",
    "Fault",
    "Lag",
    "Meddling",
    "QueryFlaws",
    "dns_fault",
    "estate_fault",
    "guest_fault",
    "inflict",
    "logs_fault",
    "power_fault",
    "probe_fault",
    "registered",
    "wire_fault",
]

Answer = Callable[[Request], Response]
Wrapper = Callable[[Request, Answer], Response]


@dataclass(frozen=True)
class Datagram:
    """One DNS query as it arrived: the view it came to, the transport, the wire form."""

    view: str
    tcp: bool
    query: bytes


Tamper = Callable[[Datagram, bytes], "bytes | None"]
"""Gets a query and the good reply; returns what is sent instead, None for silence."""


Lag = Callable[[list[dict[str, Any]]], None]
"""Gets the rows of one table of the index, and changes the list to what the index has of them."""


@dataclass
class QueryFlaws:
    """How the query service of Log Analytics misbehaves, and what is wrong with its rows.

    ``from_internet`` puts the client on public networks, ``without_role`` takes its role, ``throttled`` is how many
    queries of each workspace are refused first, ``delay`` the seconds that a query takes, ``partial`` leaves out half
    of the machines, ``empty_body`` everything. ``missing``, ``stale`` and ``public`` are lower-cased ids of machines
    that send no heartbeats, sent the last one hours ago, or send them over the internet.
    """

    from_internet: bool = False
    without_role: bool = False
    throttled: int = 0
    delay: float = 0.0
    partial: bool = False
    empty_body: bool = False
    missing: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    public: set[str] = field(default_factory=set)


@dataclass
class Meddling:
    """How a lab misbehaves: filled by wire and DNS faults before it starts.

    ``wrappers`` stand around the answering of every HTTPS request, the last one outermost.
    ``hidden_types`` are the lower-cased types that the index leaves out, because the principal
    may not read them, ``lags`` are how else it differs from the estate. ``public_networks`` are
    the lower-cased ids of VNets whose resolver knows no private zone. ``stale_names`` maps public
    names to the address that resolvers still hold. ``guest_flaws`` maps lower-cased ids of machines to the
    names of the faults in their guests. ``endpoint_flaws`` maps addresses of private endpoints to the name of
    the fault in what answers there.
    """

    wrappers: list[Wrapper] = field(default_factory=list)
    hidden_types: set[str] = field(default_factory=set)
    lags: list[Lag] = field(default_factory=list)
    public_networks: set[str] = field(default_factory=set)
    stale_names: dict[str, str] = field(default_factory=dict)
    private_aliases: set[str] = field(default_factory=set)
    guest_flaws: dict[str, set[str]] = field(default_factory=dict)
    endpoint_flaws: dict[str, str] = field(default_factory=dict)
    tampers: list[Tamper] = field(default_factory=list)
    nameservers_down: bool = False
    queries: QueryFlaws = field(default_factory=QueryFlaws)


Cause = Callable[[Estate, Meddling, "str | None"], None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault.

    ``kind`` is ``estate`` (documents changed), ``power`` (a machine does not run), or ``wire``, ``dns``, ``guest``,
    ``probe``, ``logs`` (misbehaviour).
    ``breaks`` are the ids of the rules that must turn red, ``blinds`` of those that cannot be verified then,
    ``excuses`` of those that do not apply any more to the machine that it hits, ``estates`` the estates it applies to,
    ``argument`` what its optional argument means, None when it takes none. ``expects`` are the expectations under which
    it shows, (rule, keyword, value), where the defaults are content with it.
    """

    name: str
    kind: str
    title: str
    breaks: tuple[str, ...] = ()
    blinds: tuple[str, ...] = ()
    excuses: tuple[str, ...] = ()
    estates: tuple[str, ...] = ("hub-and-spoke",)
    argument: str | None = None
    expects: tuple[tuple[str, str, str], ...] = ()
    cause: Cause = field(repr=False, compare=False)


_FAULTS: dict[str, Fault] = {}


def registered() -> Mapping[str, Fault]:
    """Return every fault by name, in the order of declaration."""
    return MappingProxyType(_FAULTS)


def _register(fault: Fault) -> None:
    if fault.name in _FAULTS:
        raise ValueError(f"two faults are called {fault.name!r}")
    _FAULTS[fault.name] = fault


def estate_fault(
    name: str, title: str, *, breaks: str, estates: str = "hub-and-spoke", expects: str = "", blinds: str = ""
) -> Callable[[Callable[[Estate], None]], Callable[[Estate], None]]:
    """Declare a change of an estate's documents.

    ``breaks``, ``blinds`` and ``estates`` are separated by blanks; rule ids lack their prefix. ``expects`` is a rule
    with the expectation that the change is against, as ``209 expected Enabled``.
    """
    expected = [tuple(expects.split())] if expects else []

    def declare(change: Callable[[Estate], None]) -> Callable[[Estate], None]:
        _register(
            Fault(
                name=name,
                kind="estate",
                title=title,
                breaks=tuple(f"AMPLS{number}" for number in breaks.split()),
                blinds=tuple(f"AMPLS{number}" for number in blinds.split()),
                estates=tuple(estates.split()),
                expects=tuple((f"AMPLS{number}", keyword, value) for number, keyword, value in expected),
                cause=lambda estate, _meddling, _argument: change(estate),
            )
        )
        return change

    return declare


def _meddling_fault(
    kind: str,
    name: str,
    title: str,
    breaks: str,
    estates: str,
    argument: str | None,
    blinds: str = "",
    excuses: str = "",
) -> Callable[[Cause], Cause]:
    def declare(cause: Cause) -> Cause:
        _register(
            Fault(
                name=name,
                kind=kind,
                title=title,
                breaks=tuple(f"AMPLS{number}" for number in breaks.split()),
                blinds=tuple(f"AMPLS{number}" for number in blinds.split()),
                excuses=tuple(f"AMPLS{number}" for number in excuses.split()),
                estates=tuple(estates.split()),
                argument=argument,
                cause=cause,
            )
        )
        return cause

    return declare


_ALL = "hub-and-spoke two-scopes empty fleet"


def wire_fault(name: str, title: str, *, argument: str | None = None) -> Callable[[Cause], Cause]:
    """Declare a misbehaviour of the HTTPS side; it breaks no rule, it denies evidence."""
    return _meddling_fault("wire", name, title, "", _ALL, argument)


def dns_fault(
    name: str, title: str, *, breaks: str = "", estates: str = _ALL, argument: str | None = None
) -> Callable[[Cause], Cause]:
    """Declare a misbehaviour of the resolvers."""
    return _meddling_fault("dns", name, title, breaks, estates, argument)


def guest_fault(name: str, title: str, *, breaks: str = "", estates: str = _ALL) -> Callable[[Cause], Cause]:
    """Declare something that is wrong inside of a guest."""
    return _meddling_fault("guest", name, title, breaks, estates, None)


def power_fault(
    name: str, title: str, *, excuses: str, argument: str | None = None
) -> Callable[[Cause], Cause]:
    """Declare a machine that does not run; it breaks no rule, and keeps some from applying to it."""
    return _meddling_fault(
        "power", name, title, "", "hub-and-spoke two-scopes fleet", argument, excuses=excuses
    )


def probe_fault(
    name: str, title: str, *, breaks: str, blinds: str = "", estates: str = _ALL
) -> Callable[[Cause], Cause]:
    """Declare something that is wrong with what answers at an address of a private endpoint."""
    return _meddling_fault("probe", name, title, breaks, estates, None, blinds)


def logs_fault(
    name: str,
    title: str,
    *,
    breaks: str = "",
    blinds: str = "",
    estates: str = "hub-and-spoke two-scopes fleet",
    argument: str | None = None,
) -> Callable[[Cause], Cause]:
    """Declare something that is wrong with log queries, or with the rows that they find."""
    return _meddling_fault("logs", name, title, breaks, estates, argument, blinds)


def inflict(name: str, argument: str | None, estate: Estate, meddling: Meddling) -> None:
    """Cause one fault.

    Raises:
        LabError: there is nothing left of what it changes.
    """
    try:
        _FAULTS[name].cause(estate, meddling, argument)
    except (LookupError, StopIteration) as missing:
        raise LabError(
            f"the fault {name!r} finds nothing to change: a fault before it took away what it is about; "
            "leave one of them out"
        ) from missing
