"""Discovery by Resource Graph: what grows with the machines is asked of the index, and held against ARM.

Listings whose number does not grow with machines are fresher, and say when they are refused: they
stay with ARM. Machines and network interfaces are listed by ARM as well where one page holds them.
The rest comes from the index, and every type of every subscription is held against ARM in a few
calls (:mod:`pytest_ampls.arm.sentinel`). Where the two differ, the provider is read instead.

Associations are no resources of their own in ARM's list, so only one machine's are compared. An
association that the index has not yet makes a rule fail, and what fails is read again; one that it
still has is the risk that remains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

import msgspec

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.graph import SUBSCRIPTIONS_A_CALL, Rows
from pytest_ampls.arm.operations import SUBSCRIPTIONS
from pytest_ampls.arm.reader import Reader, Task
from pytest_ampls.arm.references import decoded, fold
from pytest_ampls.arm.sentinel import Found, id_of, parent_of, subscription_of
from pytest_ampls.model.evidence import GapKind, Reading, Subscription

__all__ = ["WIDE", "Index", "Known"]

_ASSOCIATIONS: Final = "Microsoft.Insights/dataCollectionRuleAssociations"
_VMS: Final = "Microsoft.Compute/virtualMachines"
_ARC: Final = "Microsoft.HybridCompute/machines"
_SCALE_SETS: Final = "Microsoft.Compute/virtualMachineScaleSets"
_INSTANCES: Final = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"
_INTERFACES: Final = "Microsoft.Network/networkInterfaces"

WIDE: Final = (_VMS, _ARC, _INTERFACES)
"""Types of a subscription that are as many as its machines."""

_BELOW: Final = {_VMS: f"{_VMS}/extensions", _ARC: f"{_ARC}/extensions"}
_COUNTED: Final = frozenset({_VMS, _ARC, *_BELOW.values()})
"""Types that ARM's list of resources holds, and that verdicts rest on directly."""

_MOST_SINGLE: Final = 200
"""So many resources of a type are read one by one; where more are in doubt, all of the type are."""


class Index:
    """What is read from the index, and what it was held against.

    ``strict`` keeps a refusal of the index as a gap; otherwise its types are read from ARM.
    """

    def __init__(
        self, client: ArmClient, reader: Reader, found: Iterable[Subscription], *, strict: bool
    ) -> None:
        self._client = client
        self._reader = reader
        self._strict = strict
        self._cut: list[Reading] = []
        self._found: dict[tuple[str, str], Found] = {}
        self._covered: set[tuple[str, str]] = set()
        self._noted: set[GapKind] = set()
        # A subscription that the identity does not see gives no rows, and no word: only ARM tells.
        scopes = [f"/subscriptions/{own.id.lower()}" for own in found]
        self._scopes = {scope for scope in scopes if reader.reading(SUBSCRIPTIONS, scope) is None}

    def sees(self, own: str) -> bool:
        """Tell whether the index is asked about the subscription of an id."""
        return subscription_of(own) in self._scopes

    def has(self, resource_type: str, resource_id: str) -> bool:
        """Tell whether a type was read from the index, in the subscription of an id."""
        return (resource_type, subscription_of(resource_id)) in self._covered

    def covers(self, resource_type: str) -> bool:
        """Tell whether a type was read from the index, in any subscription."""
        return any(kind == resource_type for kind, _ in self._covered)

    def admit(self, readings: Iterable[Reading]) -> None:
        """Keep the listings that are whole or refused; those with more pages wait for the index."""
        for reading in readings:
            if reading.gap is not None and reading.gap.kind is GapKind.NOT_READ:
                self._cut.append(reading)
            else:
                self._reader.keep(reading)

    def read(self) -> None:
        """Read from the index what first pages left open, and what is below machines."""
        for reading in self._cut:
            place = (reading.type, subscription_of(reading.scope))
            self._found.setdefault(place, Found()).first_pages.append(reading)
        self._place_children()
        self._reader.together("the index", [*self._questions(), *self._comparisons()])
        for kind in (_VMS, _ARC, _INSTANCES, _INTERFACES):
            self._settle(kind)
        for kind in (*_BELOW.values(), _ASSOCIATIONS):
            self._settle_children(kind)

    # ------------------------------------------------------------ what is asked

    def _place_children(self) -> None:
        """Note the types below machines, each with one machine of the subscription to look at."""
        for kind in (_VMS, _ARC, _SCALE_SETS):
            children = (_BELOW[kind], _ASSOCIATIONS) if kind in _BELOW else (_ASSOCIATIONS,)
            for machine in self._machines(kind):
                scope = subscription_of(machine)
                for child in children if scope in self._scopes else ():
                    if (child, scope) not in self._found:
                        self._found[child, scope] = Found(parent=machine)

    def _machines(self, kind: str) -> Iterator[str]:
        """Return the ids of the machines that ARM listed so far; a Flexible set is none itself."""
        for document in self._reader.documents(kind):
            if kind != _SCALE_SETS or document.is_uniform:
                yield document.id
        for reading in self._cut:
            if reading.type == kind:
                yield from (own for raw in reading.documents if (own := decoded(kind, raw).id))

    def _questions(self) -> Iterator[Callable[[], None]]:
        for kind in dict.fromkeys(kind for kind, _ in self._found):
            scopes = [scope for own, scope in self._found if own == kind]
            for start in range(0, len(scopes), SUBSCRIPTIONS_A_CALL):
                yield partial(self._ask, kind, scopes[start : start + SUBSCRIPTIONS_A_CALL])

    def _ask(self, kind: str, scopes: list[str]) -> None:
        rows = self._client.ask(kind, [scope.rpartition("/")[2] for scope in scopes])
        for scope in scopes:
            self._found[kind, scope].asked = Rows(rows.request, rows.read_at, (), rows.gap)
        for raw in rows.documents if rows.gap is None else ():
            own = id_of(raw)
            found = self._found.get((kind, subscription_of(own)))
            if found is not None:
                found.documents[own] = raw

    def _comparisons(self) -> Iterator[Callable[[], None]]:
        for (kind, scope), found in self._found.items():
            if kind in _COUNTED:
                yield partial(found.count, self._client, kind, scope)
            if found.parent:
                yield partial(found.probe, self._client, kind)

    def _of(self, kind: str) -> Iterator[tuple[str, Found]]:
        return ((scope, found) for (own, scope), found in self._found.items() if own == kind)

    # ------------------------------------------------------------ what is kept

    def _settle(self, kind: str) -> None:
        """Keep the rows of a type that agree with ARM, and read the others from their provider."""
        tasks: list[Task] = []
        for scope, found in self._of(kind):
            lost = self._lost_interfaces(scope, found) if kind == _INTERFACES else []
            if self._is_refused(kind, scope, found):
                continue
            if found.gap is not None or self._is_doubtful(kind, found) or len(lost) > _MOST_SINGLE:
                self._note_difference(kind, scope, found)
                tasks += [Task(kind, page.scope) for page in found.first_pages]
                continue
            parents = {fold(page.scope) for page in found.first_pages} if kind == _INSTANCES else None
            self._keep(found.reading(kind, scope, parents), kind, scope)
            tasks += [Task(kind, own, single=True) for own in lost]
        self._reader.read("what the index does not tell", tasks)

    def _settle_children(self, kind: str) -> None:
        """Keep the rows below machines; machines of which the index knows otherwise are asked themselves."""
        tasks: list[Task] = []
        for scope, found in self._of(kind):
            if self._is_refused(kind, scope, found):
                continue
            if found.probed is not None and found.is_refused():
                self._keep(msgspec.structs.replace(found.probed, scope=scope), kind, scope)
                continue
            odd = {parent_of(own) for own in found.differing()}
            unsure = found.probed is None or found.probed.gap is not None or found.is_hidden()
            if found.gap is not None or unsure or len(odd) > _MOST_SINGLE:
                self._note_difference(kind, scope, found)
                continue
            tasks += self._keep_children(kind, scope, found, odd)
        self._reader.read("machines that the index knows otherwise", tasks)

    def _keep_children(self, kind: str, scope: str, found: Found, odd: set[str]) -> Iterator[Task]:
        """Keep the rows below the machines that are not odd, and return the reads of the others."""
        if found.is_uncounted() and kind in _COUNTED:
            self._client.note(
                f"The index's {kind} of {scope} could not be counted: ARM's own list was refused"
            )
        if found.probed is not None:
            self._reader.keep(found.probed)
        parents = {parent_of(own) for own in found.documents} - odd - {fold(found.parent)}
        self._keep(found.reading(kind, scope, parents), kind, scope)
        machines = kind.rpartition("/")[0]
        return (Task(kind, own) for own in sorted(odd) if self._reader.knows(machines, own))

    def _is_refused(self, kind: str, scope: str, found: Found) -> bool:
        """Tell whether the index refused, and that is to stay so."""
        if found.gap is None or not self._strict:
            return False
        self._keep(found.reading(kind, scope), kind, scope)
        return True

    def _is_doubtful(self, kind: str, found: Found) -> bool:
        uncounted = kind in _COUNTED and (found.is_uncounted() or bool(found.differing()))
        return uncounted or found.lacks_first_pages()

    def _lost_interfaces(self, scope: str, found: Found) -> list[str]:
        """Return the interfaces that machines and endpoints name, and the index does not have."""
        return [
            own
            for folded, own in self._reader.interfaces.items()
            if subscription_of(folded) == scope and folded not in found.documents
        ]

    def _keep(self, reading: Reading, kind: str, scope: str) -> None:
        self._reader.keep(reading)
        self._covered.add((kind, scope))

    def _note_difference(self, kind: str, scope: str, found: Found) -> None:
        if found.gap is None:
            self._client.note(f"The index and ARM differ on {kind} of {scope}: the provider was read instead")
        elif found.gap.kind not in self._noted:  # the other types say the same
            self._noted.add(found.gap.kind)
            self._client.note(f"Resource Graph was not used, ARM was read instead. {found.gap.message}")


class Known:
    """What the index told before and is kept, in the place of the index itself."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._covered = {
            (reading.type, subscription_of(reading.scope))
            for reading in readings
            if reading.source == "graph" and reading.gap is None
        }

    def sees(self, own: str) -> bool:
        """Tell whether the index is asked about a subscription: it is not."""
        del own
        return False

    def has(self, resource_type: str, resource_id: str) -> bool:
        """Tell whether the index told of a type in the subscription of an id."""
        return (resource_type, subscription_of(resource_id)) in self._covered

    def covers(self, resource_type: str) -> bool:
        """Tell whether the index told of a type anywhere."""
        return any(kind == resource_type for kind, _ in self._covered)
