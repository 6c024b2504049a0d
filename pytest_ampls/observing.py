"""Looking at the world beside the configuration: DNS answers, handshakes, guests, log rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from pytest_ampls import resolver
from pytest_ampls.effective.collection import workspaces_fed
from pytest_ampls.effective.computed_points import computed_answers, settled
from pytest_ampls.effective.guest_points import guest_answers, machines_of, questioner
from pytest_ampls.effective.silence import silent_machines
from pytest_ampls.effective.staying_public import names_that_stay_public
from pytest_ampls.errors import EvidenceError
from pytest_ampls.model.compute import ArcMachine, VirtualMachine
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import VantagePoint
from pytest_ampls.model.monitor import Workspace
from pytest_ampls.model.needs import ANSWERS, GUESTS, HANDSHAKES, LOGS, POWER, Needs
from pytest_ampls.model.network import PrivateEndpoint
from pytest_ampls.model.resource import ResourceId, key

if TYPE_CHECKING:
    from pytest_ampls.arm.client import ArmClient
    from pytest_ampls.guest import CommandRunner, GuestAccess
    from pytest_ampls.model.guest_questions import GuestQuestions
    from pytest_ampls.model.guest_state import GuestState
    from pytest_ampls.model.handshake import Handshake
    from pytest_ampls.model.log_rows import LogReading
    from pytest_ampls.model.machine import Machine
    from pytest_ampls.model.power import PowerReading
    from pytest_ampls.settings import Settings

__all__ = ["guest_access", "observe"]

Say = Callable[[str], None]


def observe(
    estate: Estate,
    settings: Settings,
    vantage_points: tuple[VantagePoint, ...],
    client: ArmClient,
    on_progress: Say,
    *,
    address_map: Mapping[str, str] | None = None,
    names: Iterable[str] = (),
    needs: Needs | None = None,
) -> None:
    """Look at what is beside the configuration, and let the estate have it.

    Args:
        estate: the documents; what it holds of earlier observations is kept where it is not needed anew.
        settings: what is to be looked at, and how.
        vantage_points: where DNS is asked.
        client: an opened client, for Run Command and log queries.
        on_progress: gets a line of text now and then.
        address_map: where probes connect to in place of each address; None is the address itself.
        names: further names that DNS is asked for.
        needs: what to look at again; None looks at everything.

    Raises:
        ConfigurationError: a computed vantage point names a VNet that there is not.
    """
    before = estate.snapshot
    machines = machines_of(estate, vantage_points)
    points = tuple(_placed(point, machines) for point in settled(estate, vantage_points))
    kept = () if needs is None or ANSWERS in needs.types else before.answers
    asked = {point.name for point in points if point.servers}
    kept = tuple(answer for answer in kept if answer.vantage_point in asked)
    known = {answer.name for answer in kept}  # every vantage point was asked for each of them
    names = _names_to_ask(estate, names)
    answers = resolver.resolve_all(
        points,
        [name for name in names if name not in known],
        concurrency=settings.concurrency * 2,
        timeout=settings.dns_timeout,
        on_progress=on_progress,
    )
    computed = computed_answers(estate, points, names)
    handshakes, guests, logs = before.handshakes, before.guests, before.logs
    if settings.probe and (needs is None or HANDSHAKES in needs.types):
        handshakes = _handshakes(estate, settings, address_map, on_progress)
    if needs is None or GUESTS in needs.types:
        guests = _guests(estate, settings, client, on_progress, questioner(machines.values(), names))
    if settings.logs and (needs is None or LOGS in needs.types):
        logs = _logs(estate, client, on_progress)
    power = before.power
    if needs is None or needs.types & {GUESTS, LOGS, POWER}:
        power = _power(estate, client, on_progress, needs, silent_machines(estate, guests, logs))
    computed += guest_answers(machines, guests, names)
    seen = {"answers": kept + answers + computed, "handshakes": handshakes, "guests": guests, "logs": logs}
    seen["power"] = power
    told = {"probed": settings.probe, "logged": settings.logs}
    estate.renew(msgspec.structs.replace(before, vantage_points=points, **told, **seen))


def _handshakes(
    estate: Estate, settings: Settings, address_map: Mapping[str, str] | None, on_progress: Say
) -> tuple[Handshake, ...]:
    from pytest_ampls import probe

    return probe.probe_all(
        probe.targets_of(estate),
        concurrency=settings.concurrency,
        ca_bundle=settings.ca_bundle or None,
        address_map=address_map,
        on_progress=on_progress,
    )


def _names_to_ask(estate: Estate, more: Iterable[str]) -> tuple[str, ...]:
    """Return every public name that a private endpoint serves, those that must stay public, and some more."""
    found = {name.rstrip(".").lower() for name in more}
    for endpoint in estate.known(PrivateEndpoint):
        with suppress(EvidenceError):  # the rules that need its names say why they are missing
            if endpoint.is_azure_monitor:
                found.update(endpoint.members)
    with suppress(EvidenceError):  # likewise
        found.update(names_that_stay_public(estate))
    return tuple(sorted(found))


def _placed(point: VantagePoint, machines: Mapping[str, VirtualMachine]) -> VantagePoint:
    """Return a vantage point with the VNet that its machine is in, where it is a machine."""
    machine = machines.get(point.name)
    if machine is None:
        return point
    with suppress(EvidenceError):  # then it speaks for no network that is known
        for network in machine.virtual_networks:
            return msgspec.structs.replace(point, virtual_network=network.id)
    return point


def guest_access(settings: Settings, runner: CommandRunner | None) -> GuestAccess:
    """Return how guests are reached by the options.

    Args:
        settings: the options in force.
        runner: runs Run Command, where that is asked for.

    Raises:
        ConfigurationError: something that WinRM needs is missing.
    """
    from pytest_ampls.guest import GuestAccess, WinrmLogin, patterns

    hosts, windows_hosts = patterns(settings.guests)
    return GuestAccess(
        hosts=hosts,
        windows_hosts=windows_hosts,
        ssh_config=settings.ssh_config,
        ssh_identity_file=settings.ssh_identity_file,
        login=WinrmLogin.of(os.environ),
        ca_bundle=settings.ca_bundle,
        run_command=runner,
    )


def _guests(
    estate: Estate,
    settings: Settings,
    client: ArmClient,
    on_progress: Say,
    questions: Callable[[Machine], GuestQuestions],
) -> tuple[GuestState, ...]:
    if not settings.guests and not settings.run_command:
        return ()
    from pytest_ampls.arm.run_command import RunCommand
    from pytest_ampls.guest import gather_all

    access = guest_access(settings, RunCommand(client) if settings.run_command else None)
    try:
        return gather_all(
            estate,
            access,
            questions=questions,
            concurrency=settings.concurrency,
            timeout=settings.guest_timeout,
            on_progress=on_progress,
        )
    except BaseException:
        client.stop()  # so that Ctrl-C is not kept waiting by scripts whose results do not come
        raise


def _logs(estate: Estate, client: ArmClient, on_progress: Say) -> tuple[LogReading, ...]:
    from pytest_ampls.logs import ask_all

    machines = (*estate.known(VirtualMachine), *estate.known(ArcMachine))
    workspaces = [(own, *_named(estate, own)) for own in workspaces_fed(estate)]
    return ask_all(client, workspaces, {machine.key for machine in machines}, on_progress=on_progress)


def _power(
    estate: Estate, client: ArmClient, on_progress: Say, needs: Needs | None, silent: Sequence[VirtualMachine]
) -> tuple[PowerReading, ...]:
    """Return the power states of machines that show no life, read anew where somebody waits for the machine."""
    if not silent:
        return ()
    from pytest_ampls.arm.power import read_power

    known: dict[str, PowerReading] = {}
    if needs is not None and not needs.all_machines:
        before = {key(reading.machine): reading for reading in estate.snapshot.power}
        known = {own: reading for own, reading in before.items() if own not in needs.machines}
    asked = [machine.id for machine in silent if machine.key not in known]
    fresh = {key(reading.machine): reading for reading in read_power(client, asked, on_progress=on_progress)}
    return tuple({**known, **fresh}[machine.key] for machine in silent)


def _named(estate: Estate, workspace_id: str) -> tuple[str, str]:
    """Return the name of a workspace, and the GUID that queries name it by; empty where it was not read."""
    try:
        found = estate.get(Workspace, workspace_id)
        label = found.label if found is not None else ResourceId.parse(workspace_id).name
    except EvidenceError:
        return workspace_id, ""
    return label, (found.properties.customer_id or "") if found is not None else ""
