"""The estate: everything that was read, navigable, with an error where something was not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from functools import cached_property
from typing import Final, TypeVar

import msgspec

from pytest_ampls.errors import NotReadError
from pytest_ampls.model.compute import (
    ArcMachine,
    ScaleSetInstance,
    UserAssignedIdentity,
    VirtualMachine,
    VirtualMachineScaleSet,
)
from pytest_ampls.model.dns_resolver import (
    DnsForwardingRuleset,
    DnsResolver,
    ForwardingRule,
    InboundEndpoint,
    RulesetLink,
)
from pytest_ampls.model.evidence import Answer, Gap, Reading, Snapshot, Subscription, VantagePoint
from pytest_ampls.model.holdings import Holdings
from pytest_ampls.model.joins import associations_by_target, links_by_network
from pytest_ampls.model.log_rows import LogReadings
from pytest_ampls.model.machine import ArcMachineExtension, Machine, VirtualMachineExtension
from pytest_ampls.model.monitor import (
    ApplicationInsights,
    DataCollectionEndpoint,
    DataCollectionRule,
    DataCollectionRuleAssociation,
    PrivateEndpointConnection,
    PrivateLinkResource,
    PrivateLinkScope,
    ScopedResource,
    Workspace,
)
from pytest_ampls.model.needs import ANSWERS, GUESTS, HANDSHAKES, LOGS, POWER
from pytest_ampls.model.network import NetworkInterface, PrivateEndpoint, VirtualNetwork
from pytest_ampls.model.network_security import NetworkSecurityGroup
from pytest_ampls.model.observations import Observations
from pytest_ampls.model.power import PowerReadings
from pytest_ampls.model.private_dns import PrivateDnsZone, PrivateDnsZoneGroup, RecordSet, VirtualNetworkLink
from pytest_ampls.model.resource import Resource, ResourceId, key
from pytest_ampls.model.table import Table

__all__ = ["RESOURCE_CLASSES", "Estate"]

# In the ids of machines and of what is below them: a gap there hides nothing of another machine.
_MACHINE_PROVIDERS = ("/providers/microsoft.compute/", "/providers/microsoft.hybridcompute/")
_BELOW: Mapping[type[Resource], tuple[type[Resource], ...]] = {
    VirtualMachine: (VirtualMachineExtension, DataCollectionRuleAssociation),
    ArcMachine: (ArcMachineExtension, DataCollectionRuleAssociation),
    VirtualMachineScaleSet: (ScaleSetInstance, DataCollectionRuleAssociation),
}
R = TypeVar("R", bound=Resource)
V = TypeVar("V")

_CLASSES: tuple[type[Resource], ...] = (
    ApplicationInsights,
    ArcMachine,
    ArcMachineExtension,
    DataCollectionEndpoint,
    DataCollectionRule,
    DataCollectionRuleAssociation,
    DnsForwardingRuleset,
    DnsResolver,
    ForwardingRule,
    InboundEndpoint,
    NetworkInterface,
    NetworkSecurityGroup,
    PrivateDnsZone,
    PrivateDnsZoneGroup,
    PrivateEndpoint,
    PrivateEndpointConnection,
    PrivateLinkResource,
    PrivateLinkScope,
    RecordSet,
    RulesetLink,
    ScaleSetInstance,
    ScopedResource,
    UserAssignedIdentity,
    VirtualMachine,
    VirtualMachineExtension,
    VirtualMachineScaleSet,
    VirtualNetwork,
    VirtualNetworkLink,
    Workspace,
)

RESOURCE_CLASSES: Final[Mapping[str, type[Resource]]] = {cls.ARM_TYPE.lower(): cls for cls in _CLASSES}
"""Resource type in lower case to the class of the model."""


class Estate(Holdings):
    """Everything that was read of an estate.

    Navigation never turns "could not be read" into "is not there": a collection that was not
    read completely raises an :class:`~pytest_ampls.errors.EvidenceError` that says what was
    refused and what to do.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        """Index a snapshot; documents are decoded when their type is first looked at."""
        self._watched: list[set[str]] = []
        self._load(snapshot)

    def renew(self, snapshot: Snapshot) -> None:
        """Take fresh evidence in place of the old; of a type with the very same readings, resources stay."""
        watched, tables = self._watched, self._tables
        self.__dict__.clear()
        self.__dict__["_watched"] = watched  # whoever watches is not to miss what is looked at now
        self._load(snapshot)
        for cls, table in tables.items():
            if table.is_of(self._readings.get(cls.ARM_TYPE.lower(), ())):
                self._tables[cls] = table

    def _load(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._readings: dict[str, list[Reading]] = {}
        for reading in snapshot.readings:
            self._readings.setdefault(reading.type.lower(), []).append(reading)
        self._tables: dict[type[Resource], Table[Resource]] = {}
        self._once: dict[tuple[object, ...], tuple[object, frozenset[str]]] = {}

    def once(self, compute: Callable[..., V], *subjects: Resource) -> V:
        """Return ``compute(self, *subjects)``, computed once for the life of the estate.

        Computations over many resources (who sends to whom) are asked for by many rules.
        """
        name = (compute, *(subject.key for subject in subjects))
        found = self._once.get(name)
        if found is None:
            with self.watched() as looked_at:
                value = compute(self, *subjects)
            found = self._once[name] = value, frozenset(looked_at)
        elif self._watched:
            self._watched[-1] |= found[1]
        return found[0]  # type: ignore[return-value]  # what this very function returned

    def remember(self, resource: Resource, rules: frozenset[str]) -> None:
        """Note the rules, by id, that hold for a resource as they are, until other documents are read."""
        resource.__dict__["_held"] = self.snapshot.readings, rules

    def holds(self, resource: Resource, rule_id: str) -> bool:
        """Tell whether a rule was seen to hold for a resource, on the very documents that the estate has now."""
        readings, rules = resource.__dict__.get("_held", (None, ()))
        return readings is self.snapshot.readings and rule_id in rules

    @contextmanager
    def watched(self) -> Iterator[set[str]]:
        """Collect what is looked at inside the ``with`` block: resource types, and whether DNS answers are."""
        looked_at: set[str] = set()
        self._watched.append(looked_at)
        watching = self._watched
        try:
            yield looked_at
        finally:
            watching.pop()
            if watching:
                watching[-1] |= looked_at

    def __repr__(self) -> str:
        names = ", ".join(subscription.id for subscription in self.subscriptions)
        return f"<Estate of {names or 'no subscription'}: {len(self.snapshot.readings)} readings>"

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """The subscriptions that are judged."""
        return self.snapshot.subscriptions

    @property
    def vantage_points(self) -> tuple[VantagePoint, ...]:
        """The places that DNS was asked from."""
        return self.snapshot.vantage_points

    @cached_property
    def _observed(self) -> Observations:
        return Observations(self.snapshot)

    @property
    def observations(self) -> Observations:
        """DNS answers, handshakes and guests, beside the configuration."""
        if self._watched:
            self._watched[-1] |= {ANSWERS, GUESTS, HANDSHAKES}
        return self._observed

    @cached_property
    def _logs(self) -> LogReadings:
        return LogReadings(self.snapshot.logs)

    @property
    def logs(self) -> LogReadings:
        """What workspaces answered when they were asked for heartbeats."""
        if self._watched:
            self._watched[-1].add(LOGS)
        return self._logs

    @cached_property
    def _power(self) -> PowerReadings:
        return PowerReadings(self.snapshot.power)

    @property
    def power(self) -> PowerReadings:
        """Which of the machines that showed no life are switched off."""
        if self._watched:
            self._watched[-1].add(POWER)
        return self._power

    def answer(self, vantage_point: VantagePoint, name: str) -> Answer:
        """Return what a vantage point answered for a name.

        Raises:
            EvidenceError: there was no usable answer, or the name was never asked there.
        """
        if self._watched:
            self._watched[-1].add(ANSWERS)
        return self._observed.answer(vantage_point, name)

    # ---------------------------------------------------------------- tables

    def _table(self, cls: type[R]) -> Table[R]:
        if self._watched:
            self._watched[-1].add(cls.ARM_TYPE)
        if cls not in self._tables:
            readings = self._readings.get(cls.ARM_TYPE.lower(), ())
            self._tables[cls] = Table(cls, readings, self)
        return self._tables[cls]  # type: ignore[return-value]  # keyed by its own class

    def known(self, cls: type[R]) -> tuple[R, ...]:
        """Return the resources of a class that were read, however incomplete the reading was."""
        return tuple(self._table(cls).resources.values())

    def unread(self, cls: type[Resource]) -> Mapping[str, Gap]:
        """Return what is missing of a class: the scope or id that was asked to the reason."""
        table = self._table(cls)
        return {**table.gaps, **table.defects}

    def missing(self, cls: type[Resource]) -> Mapping[str, Gap]:
        """Return what is missing of a class in the subscriptions that could be read: as :meth:`unread`.

        A subscription of which nothing could be read is to the others like one that was not named: what
        lies in it is unverified, and so is whatever leads into it; what lies elsewhere is judged by what is known.
        """
        found = self.unread(cls)
        return {
            where: gap for where, gap in found.items() if "/".join(where.split("/")[:3]) not in self._lost
        }

    @cached_property
    def _lost(self) -> frozenset[str]:
        """The subscriptions of which not one listing succeeded, as folded scopes."""
        listings = [reading for reading in self.snapshot.readings if reading.scope.count("/") == 2]
        read = {key(reading.scope) for reading in listings if reading.gap is None}
        return frozenset(key(reading.scope) for reading in listings) - read

    def scopes_read(self, cls: type[Resource]) -> Set[str]:
        """Return where a class was listed, as folded ids; a single resource that was read counts as well."""
        return self._table(cls).covered

    def all(self, cls: type[R]) -> tuple[R, ...]:
        """Return every resource of a class.

        Raises:
            EvidenceError: a listing of the class failed, so the answer would be incomplete.
        """
        for gap in self.missing(cls).values():
            raise gap.error()
        return self.known(cls)

    def get(self, cls: type[R], resource_id: str) -> R | None:
        """Return a resource by id, None where it is proven not to exist.

        Raises:
            EvidenceError: it could not be read, or was never read.
        """
        table, wanted = self._table(cls), key(resource_id)
        if wanted in table.resources:
            return table.resources[wanted]
        subscription = f"/subscriptions/{ResourceId.parse(resource_id).subscription.lower()}"
        gap = table.defects.get(wanted) or table.gaps.get(wanted)
        if gap is None and wanted not in table.covered:
            gap = table.gaps.get(subscription)
        if gap is not None:
            raise gap.error()
        if wanted in table.covered or subscription in table.covered:
            return None
        raise NotReadError(
            f"{cls.NOUN} {resource_id} was not read: its subscription is not among those that are judged, "
            "and nothing that was read led to it. Add --ampls-subscription for it"
        )

    def find(self, resource_id: str) -> Resource | None:
        """Return a resource of any class by id, None where it is proven not to exist.

        Raises:
            EvidenceError: it could not be read, was never read, or is of a type that is not read.
        """
        kind = ResourceId.parse(resource_id).type
        cls = RESOURCE_CLASSES.get(kind.lower())
        if cls is None:
            raise NotReadError(f"{resource_id} is of type {kind}, which is not read")
        return self.get(cls, resource_id)

    def children(self, cls: type[R], parent: Resource) -> tuple[R, ...]:
        """Return the children of a class that a resource has.

        Raises:
            EvidenceError: the listing failed, or was never made.
        """
        table = self._table(cls)
        gap = table.gaps.get(parent.key) or table.defect_below(parent.key)
        found = table.children(parent.key)
        if gap is None and found is None:
            gap = table.gaps.get(f"/subscriptions/{parent.subscription.lower()}")
        if gap is not None:
            raise gap.error()
        if found is None:
            raise NotReadError(f"the {cls.NOUN}s of {parent.NOUN} {parent.id} were not read")
        return found

    def require_complete(self) -> None:
        """Make sure that every listing succeeded and every document was understood.

        A resource that no listing named is judged by nobody; where a listing broke off, some may be missing.

        Raises:
            EvidenceError: something is missing; the message says how much, and the first of it why.
        """
        gaps = [reading.gap for reading in self.snapshot.readings if reading.gap and not reading.single]
        gaps += [gap for cls in RESOURCE_CLASSES.values() for gap in self._table(cls).defects.values()]
        if gaps:
            others = f" (and {len(gaps) - 1} more like this)" if len(gaps) > 1 else ""
            raise type(gaps[0].error())(f"the evidence is incomplete: {gaps[0].message}{others}")

    def document(self, resource: Resource) -> msgspec.Raw:
        """Return the document of a resource as it came over the wire."""
        raw: msgspec.Raw = resource.__dict__["_document"]
        return raw

    def source(self, resource: Resource) -> str:
        """Return where what is known of a resource came from: ``arm``, the providers, or ``graph``, the index.

        For a machine that is ``graph`` as well where its extensions, associations or instances
        came from the index, and the machine itself did not.
        """
        source: str = resource.__dict__["_source"]
        below = any(self._table(cls).is_indexed(resource.key) for cls in _BELOW.get(type(resource), ()))
        return "graph" if below else source

    # ---------------------------------------------------------------- joins

    def zone_links(self, network: VirtualNetwork) -> tuple[VirtualNetworkLink, ...]:
        """Return the links of all zones that were read to a VNet."""
        return self.once(links_by_network).get(network.key, ())

    def associations_of(self, machine: Machine) -> tuple[DataCollectionRuleAssociation, ...]:
        """Return a machine's associations, from its own listing where that was read.

        Otherwise from its subscription's, which only the index has, or from the listings of every
        rule and endpoint, which must then be complete.

        Raises:
            EvidenceError: what was read does not tell.
        """
        table = self._table(DataCollectionRuleAssociation)
        if machine.key not in table.gaps and not table.defect_below(machine.key):
            found = table.children(machine.key)
            if found is not None:
                return found
        for where, gap in self.unread(DataCollectionRuleAssociation).items():
            own = f"{where}/".startswith(f"{machine.key}/")
            if own or not any(part in where for part in _MACHINE_PROVIDERS):
                raise gap.error()
        return self.once(associations_by_target).get(machine.key, ())
