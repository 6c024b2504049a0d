"""Which rules decide the stages of a machine's data path; no rule of its own.

Configuration comes before DNS answers and these before guests, in every stage: what is wrong there is the cause of
what shows later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from ipaddress import IPv4Network
from typing import Any, Final, NamedTuple

from pytest_ampls.assertions.agent_log import known_error
from pytest_ampls.catalogue import Finding
from pytest_ampls.effective.client_subnets import places_of
from pytest_ampls.effective.identity import IdentityOutcome, agent_identity
from pytest_ampls.effective.surroundings import (
    concerns,
    configuration_names,
    endpoints_around,
    networks_around,
    resolvers_around,
    scopes_around,
    upload_names,
    zones_around,
)
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.resource import key

__all__ = ["STAGES", "Place", "StagePlan", "Step", "relevant", "rules_of_stages", "subjects_of"]


class Place(Enum):
    """What a rule is judged on."""

    MACHINE = auto()
    NETWORK = auto()
    SCOPE = auto()
    ENDPOINT = auto()
    ZONE = auto()
    ANSWER = auto()
    """An endpoint, together with a vantage point."""
    PROBE = auto()
    """An endpoint as it is reached from where the run is: only while the machine itself tells nothing."""


class Step(NamedTuple):
    """One rule of a stage, by id: on what, and for which names; without names every finding counts."""

    rule: str
    place: Place = Place.MACHINE
    names: Callable[[Machine], tuple[str, ...]] | None = None


class StagePlan(NamedTuple):
    """A stage before it is judged.

    ``proof`` is the rule that must have held for the stage to count as held: the others can only show that it is
    broken. ``missing`` says how to have the proof looked at.
    """

    number: int
    title: str
    proof: str
    steps: tuple[Step, ...]
    missing: str = ""


_GUESTS: Final = "give --ampls-guests or --ampls-run-command to look at the machine itself"
_LOGS: Final = "give --ampls-logs to ask the workspaces for its heartbeats"


def _network_steps(names: Callable[[Machine], tuple[str, ...]], *behind_records: Step) -> tuple[Step, ...]:
    """Return what decides whether names lead to the private endpoint and are reached there.

    ``behind_records`` are rules on the scope and on the network that records lead to: where another scope's endpoint
    overwrote one, both are the wrong ones, and it is the record that is to mend.
    """
    return (
        Step("AMPLS205", Place.ENDPOINT, names),
        Step("AMPLS308", Place.NETWORK, names),  # says more than 301 where it applies: which rule is wrong
        Step("AMPLS301", Place.NETWORK, names),
        Step("AMPLS305", Place.ZONE, names),
        Step("AMPLS302", Place.ENDPOINT, names),
        Step("AMPLS303", Place.ZONE, names),
        *behind_records,
        Step("AMPLS208", Place.ENDPOINT, names),
        Step("AMPLS310", Place.ANSWER, names),
        Step("AMPLS903", Place.PROBE, names),
        Step("AMPLS902", Place.PROBE, names),
        Step("AMPLS901", Place.PROBE, names),
        Step("AMPLS313", Place.MACHINE, names),
        Step("AMPLS522", Place.MACHINE, names),
        Step("AMPLS523", Place.MACHINE, names),
    )


STAGES: Final[tuple[StagePlan, ...]] = (
    StagePlan(1, "the agent is installed", "AMPLS501", (Step("AMPLS501"),)),
    StagePlan(
        2,
        "the agent runs and follows its settings",
        "AMPLS520",
        (Step("AMPLS520"), Step("AMPLS526")),
        _GUESTS,
    ),
    StagePlan(3, "the agent knows which identity to use", "AMPLS503", (Step("AMPLS503"),)),
    StagePlan(4, "the machine has that identity", "AMPLS502", (Step("AMPLS502"),)),
    StagePlan(
        5,
        "the identity gets a token",
        "AMPLS521",
        (Step("AMPLS521"), Step("AMPLS524")),
        _GUESTS,
    ),
    StagePlan(
        6,
        "the agent reaches its configuration endpoint",
        "AMPLS523",
        (
            Step("AMPLS402"),
            Step("AMPLS405"),
            Step("AMPLS201", Place.SCOPE),
            *_network_steps(configuration_names, Step("AMPLS404"), Step("AMPLS207", Place.NETWORK)),
            Step("AMPLS524"),
        ),
        _GUESTS,
    ),
    StagePlan(
        7,
        "the agent downloads its data collection rules",
        "AMPLS525",
        (Step("AMPLS401"), Step("AMPLS525")),
        _GUESTS,
    ),
    StagePlan(
        8,
        "the agent sets collection up",
        "AMPLS527",
        (Step("AMPLS410"), Step("AMPLS527")),
        _GUESTS,
    ),
    StagePlan(
        9,
        "the agent uploads to its workspaces",
        "AMPLS523",
        (
            *_network_steps(upload_names, Step("AMPLS407"), Step("AMPLS111", Place.NETWORK, upload_names)),
            Step("AMPLS524"),
        ),
        _GUESTS,
    ),
    StagePlan(10, "the data is in the workspace", "AMPLS601", (Step("AMPLS601"), Step("AMPLS602")), _LOGS),
)
"""The stages in causal order: each needs all before it."""


def rules_of_stages() -> tuple[str, ...]:
    """Return the ids of the rules that a stage rests on, each once, sorted."""
    return tuple(sorted({step.rule for plan in STAGES for step in plan.steps}))


def subjects_of(place: Place, machine: Machine) -> Iterator[tuple[Any, ...]]:
    """Yield the arguments to call a rule with, for what lies around a machine.

    Raises:
        EvidenceError: what lies around it was not read completely.
    """
    if place is Place.ANSWER:
        for endpoint in endpoints_around(machine):
            yield from ((endpoint, resolver) for resolver in resolvers_around(machine))
    elif place is not Place.PROBE:
        yield from ((subject,) for subject in _AROUND[place](machine))
    elif machine.estate.observations.guest(machine) is None:
        yield from ((endpoint,) for endpoint in endpoints_around(machine))


_AROUND: Final[Mapping[Place, Callable[[Machine], tuple[Any, ...]]]] = {
    Place.MACHINE: lambda machine: (machine,),
    Place.NETWORK: networks_around,
    Place.SCOPE: scopes_around,
    Place.ENDPOINT: endpoints_around,
    Place.ZONE: zones_around,
}


# ------------------------------------------------------------------- what a finding means for a stage


def relevant(step: Step, plan: StagePlan, machine: Machine, finding: Finding) -> bool | None:
    """Tell whether a finding stops the machine's data in this stage; None where it is real and stops nothing.

    False stands for a finding that another stage is about, or that no name of this machine meets.

    Raises:
        EvidenceError: it cannot be told.
    """
    if step.rule == "AMPLS524":
        return _stage_of_log(finding) == plan.number
    if step.rule == "AMPLS602":
        return None  # it arrived, by the wrong way
    if step.rule == "AMPLS503" and _is_implicit(machine):
        return None
    if step.rule == "AMPLS201":
        return _is_own_connection(machine, finding)
    if step.rule == "AMPLS208" and not _is_filtered(machine, finding, step.names):
        return False
    if step.rule in ("AMPLS207", "AMPLS208"):
        return None if _got_through(machine) else True
    if step.names is not None and not concerns(finding, step.names(machine), machine):
        return False
    return None if step.rule == "AMPLS901" and not _is_outdated(machine, finding) else True


def _is_implicit(machine: Machine) -> bool:
    """Tell whether the only identity answers for an agent that names none: a risk, and data still flows."""
    outcomes = {agent_identity(machine, agent).outcome for agent in machine.agents}
    return IdentityOutcome.AMBIGUOUS not in outcomes


def _got_through(machine: Machine) -> bool:
    """Tell whether the machine itself shook hands: then there is a way, by a gateway or an appliance, say."""
    state = machine.estate.observations.guest(machine)
    return state is not None and any(shake.trusted for shake in state.handshakes or ())


def _is_filtered(
    machine: Machine, finding: Finding, names: Callable[[Machine], tuple[str, ...]] | None
) -> bool:
    """Tell whether what a security group denies is one of the machine's connections to one of the names."""
    tokens = finding.tokens
    sources = [IPv4Network(each) for each in tokens["client-prefixes"].split()]
    here = any(
        (place.subnet, place.interface_group) == (key(tokens["client"]), key(tokens["client-nsg"]))
        and (place.address is None or any(place.address.subnet_of(source) for source in sources))
        for place in places_of(machine)
    )
    wanted = names(machine) if here and names is not None else ()
    used = {
        address
        for endpoint in endpoints_around(machine)
        for name in wanted
        for address in endpoint.members.get(name, ())
    }
    return not used.isdisjoint(tokens["denied"].split())


def _is_outdated(machine: Machine, finding: Finding) -> bool:
    """Tell whether an old TLS version was agreed on, which the agent refuses; one merely accepted stops nothing."""
    place = finding.tokens.get("host", ""), finding.tokens.get("address", "")
    shakes = machine.estate.observations.handshakes_with(*place)
    return any(shake.gap is None and shake.version in _OUTDATED for shake in shakes)


def _is_own_connection(machine: Machine, finding: Finding) -> bool:
    """Tell whether a finding on a scope is about the connection of an endpoint that the machine uses."""
    endpoints = endpoints_around(machine)
    own = {endpoint.key for endpoint in endpoints} | {endpoint.label for endpoint in endpoints}
    if finding.resource_id.lower() in own or finding.tokens.get("connection") in own:
        return True
    named = finding.tokens.get("connection", "")
    for scope in scopes_around(machine):
        for connection in scope.private_endpoint_connections:
            reference = connection.properties.private_endpoint
            if connection.label == named and reference is not None and reference.id:
                return reference.id.lower() in own
    return True


_OUTDATED: Final = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})
"""TLS versions that the agent does not speak: it needs 1.2 (Learn: Azure Monitor, data security)."""
_STAGES_OF_RULES: Final[Mapping[str, int]] = {
    "AMPLS402": 6,
    "AMPLS502": 5,
    "AMPLS503": 5,
    "AMPLS523": 6,
}


def _stage_of_log(finding: Finding) -> int:
    """Return the stage that an error of the agent's log belongs to."""
    error = known_error(finding.observed)
    if error is None:
        return 6
    if "ODS" in error.pattern:
        return 9
    return next((stage for rule, stage in _STAGES_OF_RULES.items() if rule in error.rules), 6)
