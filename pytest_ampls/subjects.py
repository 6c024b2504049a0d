"""What a test can be run on: for every fixture, the resources of the estate and what is missing of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from pytest_ampls.effective.clients import senders_are_known
from pytest_ampls.effective.zones import monitor_zones
from pytest_ampls.errors import ConfigurationError, EvidenceError
from pytest_ampls.model.compute import ArcMachine, VirtualMachine, VirtualMachineScaleSet
from pytest_ampls.model.estate import Estate
from pytest_ampls.model.evidence import Gap
from pytest_ampls.model.machine import Machine
from pytest_ampls.model.monitor import (
    ApplicationInsights,
    DataCollectionEndpoint,
    DataCollectionRule,
    PrivateLinkScope,
    Workspace,
)
from pytest_ampls.model.network import NetworkInterface, PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.private_dns import PrivateDnsZone
from pytest_ampls.model.resource import Resource, region
from pytest_ampls.model.vantage import Resolver

__all__ = [
    "SUBJECTS",
    "Bounds",
    "Kind",
    "Selector",
    "Subject",
    "is_empty",
    "is_out_of_bounds",
    "subjects",
]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of subject. ``classes`` are read completely before the list of resources is complete.

    ``hint`` is what to do where the estate has none.
    """

    noun: str
    plural: str
    classes: tuple[type[Resource], ...]
    choose: Callable[[Estate], Iterable[Any]] | None = None
    essential: bool = False
    hint: str = ""

    def resources(self, estate: Estate) -> tuple[Any, ...]:
        """Return the resources of this kind that were read.

        Raises:
            EvidenceError: the choice needs something that was not read.
        """
        if self.choose is not None:
            return tuple(self.choose(estate))
        return tuple(resource for cls in self.classes for resource in estate.known(cls))


def _machines(estate: Estate) -> Iterable[Machine]:
    yield from estate.known(VirtualMachine)
    yield from estate.known(ArcMachine)
    yield from (scale_set for scale_set in estate.known(VirtualMachineScaleSet) if not scale_set.is_flexible)


def _monitor_endpoints(estate: Estate) -> Iterable[PrivateEndpoint]:
    return (endpoint for endpoint in estate.known(PrivateEndpoint) if endpoint.is_azure_monitor)


def _monitor_zones(estate: Estate) -> Iterable[PrivateDnsZone]:
    wanted = monitor_zones(estate)
    return (zone for zone in estate.known(PrivateDnsZone) if zone.origin in wanted)


_AROUND_NETWORKS: Final = (
    VirtualNetwork,
    VirtualMachine,
    VirtualMachineScaleSet,
    NetworkInterface,
    PrivateEndpoint,
)


def _networks(estate: Estate) -> Iterable[VirtualNetwork]:
    """Return the VNets that machines are in, then those that only hold private endpoints of scopes.

    What could not be read hides networks; it is listed beside those that are known, and only where
    nothing would tell is it raised.
    """
    found: dict[str, VirtualNetwork] = {}
    problems: list[EvidenceError] = []
    for machine in (*estate.known(VirtualMachine), *estate.known(VirtualMachineScaleSet)):
        try:
            found.update(
                (network.key, network) for network in machine.virtual_networks if network.key not in found
            )
        except EvidenceError as error:
            problems.append(error)
    for endpoint in _monitor_endpoints(estate):
        try:
            place = endpoint.virtual_network_id
            network = estate.get(VirtualNetwork, place) if place else None
        except EvidenceError as error:
            problems.append(error)
            continue
        if network is not None:
            found.setdefault(network.key, network)
    if problems and not any(estate.unread(cls) for cls in _AROUND_NETWORKS):
        raise problems[0]
    return found.values()


def _looked_at(estate: Estate) -> Iterable[Machine]:
    if estate.snapshot.guests:
        for cls in (VirtualMachine, ArcMachine):
            estate.all(cls)  # a guest may have told, and its machine not be known any more
    return (machine for machine in _machines(estate) if estate.observations.guest(machine) is not None)


def _logged(estate: Estate) -> Iterable[Machine]:
    single: tuple[type[Machine], ...] = (VirtualMachine, ArcMachine) if estate.snapshot.logged else ()
    return [machine for cls in single for machine in estate.all(cls)]


def _queried(estate: Estate) -> Iterable[Workspace]:
    workspaces = estate.all(Workspace) if estate.snapshot.logged else ()
    return [
        each for each in workspaces if estate.logs.of(each.id) is not None or not senders_are_known(estate)
    ]


def _resolvers(estate: Estate) -> Iterable[Resolver]:
    return (Resolver(estate, point) for point in estate.vantage_points)


_LOGS: Final = "give --ampls-logs to ask workspaces for what arrives"
SUBJECTS: Final[Mapping[str, Kind]] = {
    "ampls": Kind(
        noun="private link scope", plural="private link scopes", classes=(PrivateLinkScope,), essential=True
    ),
    "workspace": Kind(noun="workspace", plural="workspaces", classes=(Workspace,)),
    "app_insights": Kind(
        noun="Application Insights component",
        plural="Application Insights components",
        classes=(ApplicationInsights,),
    ),
    "dce": Kind(
        noun="data collection endpoint", plural="data collection endpoints", classes=(DataCollectionEndpoint,)
    ),
    "dcr": Kind(noun="data collection rule", plural="data collection rules", classes=(DataCollectionRule,)),
    "machine": Kind(
        noun="machine",
        plural="machines",
        classes=(VirtualMachine, ArcMachine, VirtualMachineScaleSet),
        choose=_machines,
    ),
    "vm": Kind(noun="virtual machine", plural="virtual machines", classes=(VirtualMachine,)),
    "vmss": Kind(noun="scale set", plural="scale sets", classes=(VirtualMachineScaleSet,)),
    "arc_machine": Kind(noun="Arc machine", plural="Arc machines", classes=(ArcMachine,)),
    "virtual_network": Kind(
        noun="VNet with machines or private endpoints",
        plural="VNets with machines or private endpoints",
        classes=_AROUND_NETWORKS,
        choose=_networks,
    ),
    "private_endpoint": Kind(
        noun="private endpoint of a private link scope",
        plural="private endpoints of private link scopes",
        classes=(PrivateEndpoint,),
        choose=_monitor_endpoints,
    ),
    "private_dns_zone": Kind(
        noun="private DNS zone of Azure Monitor",
        plural="private DNS zones of Azure Monitor",
        classes=(PrivateDnsZone,),
        choose=_monitor_zones,
    ),
    "guest_machine": Kind(
        noun="machine whose guest was looked at",
        plural="machines whose guests were looked at",
        classes=(),
        choose=_looked_at,
        hint="give --ampls-guests or --ampls-run-command to look at guests",
    ),
    "logged_machine": Kind(
        noun="machine whose workspaces were asked",
        plural="machines whose workspaces were asked",
        classes=(),
        choose=_logged,
        hint=_LOGS,
    ),
    "queried_workspace": Kind(
        noun="queried workspace", plural="queried workspaces", classes=(), choose=_queried, hint=_LOGS
    ),
    "resolver": Kind(
        noun="vantage point", plural="vantage points", classes=(), choose=_resolvers, essential=True
    ),
}
"""Fixture name to the kind of subject that a test which asks for it runs on."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One subject of a test: a resource, or the reason why there is none.

    ``gap`` means unverified: the test is an error; ``where`` is then the scope or id that was asked. ``absent``
    means that the estate has none: the test is skipped, with this text as the reason. ``members`` and ``unread``
    make it a group: the test judges each of the first, and is no pass because of the second, which have a gap each.
    """

    label: str
    resource: Any = None
    members: tuple[Any, ...] = ()
    unread: tuple[Subject, ...] = ()
    gap: Gap | None = None
    where: str = ""
    problem: str = ""
    absent: str = ""

    def __repr__(self) -> str:
        return f"<Subject {self.label}>"


class Selector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the ``ampls`` marker narrows a test's subjects to; everything that is given must hold.

    Patterns are those of :mod:`fnmatch`, without regard to case. ``tags`` gives the expected value of
    each tag, or a pattern.
    """

    name: str | None = None
    resource_group: str | None = None
    location: str | None = None
    os: str | None = None
    tags: Mapping[str, str] = {}

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> Selector:
        """Return the selector that a marker's keywords say.

        Raises:
            ConfigurationError: a keyword is unknown, or its value is not text.
        """
        try:
            return msgspec.convert(dict(keywords), cls)
        except msgspec.ValidationError as error:
            known = ", ".join(cls.__struct_fields__)
            raise ConfigurationError(f"marker ampls({_spelt(keywords)}): {error}; it takes {known}") from None

    def takes(self, resource: Any) -> bool:
        """Tell whether a resource is selected."""
        if not isinstance(resource, Resource):
            return True
        tags = {name.lower(): value or "" for name, value in (resource.tags or {}).items()}
        return (
            _matches(self.name, resource.label)
            and _matches(self.resource_group, resource.resource_group)
            and (self.location is None or region(self.location) == region(resource.location))
            and _matches(self.os, getattr(resource, "os_type", None) or "")
            and all(
                name.lower() in tags and _matches(value, tags[name.lower()])
                for name, value in self.tags.items()
            )
        )


def _spelt(keywords: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in keywords.items())


def _matches(pattern: str | None, text: str) -> bool:
    return pattern is None or fnmatchcase(text.lower(), pattern.lower())


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole run is narrowed to: resource groups, of which one must match, and tags, which all must."""

    resource_groups: tuple[str, ...] = ()
    tags: Mapping[str, str] = {}

    def takes(self, resource: Any) -> bool:
        """Tell whether a resource is judged; what is no resource (a vantage point) always is."""
        if not (self.resource_groups or self.tags) or not isinstance(resource, Resource):
            return True
        group = resource.resource_group.lower() if self.resource_groups else ""
        return (
            not self.resource_groups or any(_matches(pattern, group) for pattern in self.resource_groups)
        ) and Selector(tags=self.tags).takes(resource)


def subjects(
    estate: Estate, fixture: str, selector: Selector | None = None, bounds: Bounds | None = None
) -> tuple[Subject, ...]:
    """Return what a test that asks for a fixture runs on; never an empty tuple.

    Args:
        estate: the estate.
        fixture: a key of :data:`SUBJECTS`.
        selector: narrows the resources of this test; None takes all.
        bounds: narrows those of the whole run; None takes all.
    """
    kind = SUBJECTS[fixture]
    try:
        found = kind.resources(estate)
    except EvidenceError as error:
        return (
            Subject(
                label="unverified", problem=f"which {kind.plural} there are could not be verified: {error}"
            ),
        )
    within = [resource for resource in found if bounds is None or bounds.takes(resource)]
    chosen = [resource for resource in within if selector is None or selector.takes(resource)]
    listed = [
        Subject(label=label, resource=resource)
        for label, resource in zip(_labels(chosen), chosen, strict=True)
    ]
    missing = [
        Subject(label=f"unread-{where.rpartition('/')[2]}", gap=gap, where=where)
        for cls in kind.classes
        for where, gap in estate.unread(cls).items()
    ]
    return (*listed, *missing) or (_nothing(kind, len(found), len(within), selector),)


def _nothing(kind: Kind, found: int, within: int, selector: Selector | None) -> Subject:
    if found and not within:
        text = (
            f"none of the {found} {kind.plural} has the resource group and tags that this run is narrowed to"
        )
        return Subject(label="none-chosen", absent=text)
    if within and selector is not None:
        return Subject(
            label="none-selected",
            problem=f"the ampls marker of this test selects none of the {within} {kind.plural}: correct the marker",
        )
    text = f"the estate has no {kind.noun}" + (f": {kind.hint}" if kind.hint else "")
    if kind.essential:
        return Subject(label="none", problem=f"{text}, so nothing that depends on one can be verified")
    return Subject(label="none", absent=text)


def _labels(resources: list[Any]) -> list[str]:
    """Return a readable name for each: the name, with the resource group or more where it takes it."""
    short = [resource.label for resource in resources]
    count = Counter(label.lower() for label in short)
    longer = [
        label if count[label.lower()] == 1 else f"{resource.resource_group}/{label}"
        for label, resource in zip(short, resources, strict=True)
    ]
    count = Counter(label.lower() for label in longer)
    return [
        label if count[label.lower()] == 1 else f"{resource.subscription}/{label}"
        for label, resource in zip(longer, resources, strict=True)
    ]


def _classes() -> set[type[Resource]]:
    return {cls for kind in SUBJECTS.values() for cls in kind.classes if cls is not VirtualNetwork}


def is_empty(estate: Estate) -> bool:
    """Tell whether the estate holds nothing that a test could run on, and nothing was refused."""
    return not any(estate.known(cls) or estate.unread(cls) for cls in _classes())


def is_out_of_bounds(estate: Estate, bounds: Bounds) -> bool:
    """Tell whether a run is narrowed to nothing: no resource that was read lies within the bounds."""
    return not any(bounds.takes(resource) for cls in _classes() for resource in estate.known(cls))
