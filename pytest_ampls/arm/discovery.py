"""Discovery by Resource Graph: what is absent, and what grows with the machines, is told by few calls.

One list of ARM's for each subscription and one index over all of them say which types are where
(:mod:`pytest_ampls.arm.survey`). A type that neither has is absent where the identity's roles are known
to let it be read (:mod:`pytest_ampls.arm.roles`), and the provider of one subscription agrees. Elsewhere
its provider is asked, which says when it is refused.

What is there is listed by its provider where that is fresher than it is dear: containers, of which most
subscriptions have few. Rows of the index are taken for what is as many as the machines, and for networks,
security groups, endpoints and zones of many subscriptions, where their ids are those of ARM's list. Where
the two differ, the provider is read instead (:mod:`pytest_ampls.arm.sentinel`).

Associations are no resources of their own in ARM's list. An association that the index has not yet
makes a rule fail, and what fails is read again; one that it still has is the risk that remains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

import msgspec

from pytest_ampls.arm.client import ArmClient
from pytest_ampls.arm.kinds import (
    ARC,
    ASSOCIATIONS,
    BELOW,
    INDEXED,
    INSTANCES,
    INTERFACES,
    LISTED,
    PRIVATE_ENDPOINTS,
    SCALE_SETS,
    VMS,
    WIDE,
)
from pytest_ampls.arm.operations import SUBSCRIPTIONS
from pytest_ampls.arm.projection import projection_of
from pytest_ampls.arm.reader import Reader, Task
from pytest_ampls.arm.references import decoded, fold
from pytest_ampls.arm.sentinel import Found, parent_of, subscription_of
from pytest_ampls.arm.survey import Place, Survey, questions
from pytest_ampls.model.evidence import GapKind, Reading, Subscription

__all__ = ["Index", "Known"]

_COUNTED: Final = frozenset({VMS, ARC, *BELOW.values()})
"""Types that ARM's list of resources holds, and that verdicts rest on directly."""

_LIST_ACTION: Final = "Microsoft.Resources/subscriptions/resources/read"
_MOST_SINGLE: Final = 200
"""So many resources of a type are read one by one; where more are in doubt, all of the type are."""


class Index:
    """What is read from the index, and what it was held against.

    ``strict`` keeps a refusal of the index as a gap; otherwise its types are read from ARM. ``fresh`` is
    how many listings are asked of providers although the index could tell; as many as go at once when
    left out.
    """

    def __init__(
        self,
        client: ArmClient,
        reader: Reader,
        found: Iterable[Subscription],
        *,
        strict: bool,
        fresh: int | None = None,
    ) -> None:
        self._client = client
        self._reader = reader
        self._strict = strict
        self._fresh = client.concurrency if fresh is None else fresh
        self._cut: list[Reading] = []
        self._open: set[Place] = set()
        self._absent: dict[str, list[str]] = {}
        self._covered: set[Place] = set()
        self._noted: set[GapKind] = set()
        # A subscription that the identity does not see gives no rows, and no word: only ARM tells.
        scopes = [f"/subscriptions/{own.id.lower()}" for own in found]
        # A dict, for the order and for looking up: there may be very many machines.
        self._scopes = {scope: None for scope in scopes if reader.reading(SUBSCRIPTIONS, scope) is None}
        containers = len(self._scopes) > 1 or not self._fresh
        self._survey = Survey(client, reader, list(self._scopes), containers=containers)
        self._found = self._survey.found

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

    # ------------------------------------------------------------ subscriptions

    def plan(self) -> list[Task]:
        """Look at all subscriptions; keep what that tells, and return the listings that are left to read.

        When they are read, :meth:`reconsider` tells the rest.
        """
        if not self._scopes:
            return []
        self._survey.read()
        self._found = self._survey.found
        indexed = [place for place in self._found if self._is_told(*place)]
        chosen = frozenset(indexed if len(indexed) > self._fresh else ())
        tasks: list[Task] = []
        unknown = 0
        for scope in self._scopes:
            for kind in LISTED:
                if (kind, scope) in chosen:
                    tasks += self._take(kind, scope)
                elif self._is_readable(kind, scope):
                    tasks += self._decided(kind, scope)
                else:
                    unknown += 1
                    tasks.append(Task(kind, scope, first_page=kind in WIDE))
        self._note_unknown(unknown)
        return tasks

    def reconsider(self) -> list[Task]:
        """Believe that types are absent where the one provider that was asked says so, too.

        Of each type that is absent one subscription is asked for all the same. Where that is refused, or
        has some, the roles or the list are not what they seem, and all providers of the type are asked.
        """
        tasks: list[Task] = []
        for kind, (asked, *others) in self._absent.items():
            reading = self._reader.reading(kind, asked)
            doubtful = reading is None or reading.gap is not None or bool(reading.documents)
            for scope in others:
                if doubtful:
                    self._open.discard((kind, scope))
                    tasks.append(Task(kind, scope, first_page=kind in WIDE))
                elif kind not in WIDE:
                    self._reader.keep(self._found[kind, scope].nothing(kind, scope))
        return tasks

    def _is_readable(self, kind: str, scope: str) -> bool:
        """Tell whether what the index and ARM's list show of a type is all that there is."""
        found = self._found[kind, scope]
        # Interfaces are not in the list, but it has to have been told all the same.
        known = found.is_known if kind != INTERFACES else found.is_asked and found.gap is None
        return known and self._is_trusted(scope) and self._survey.roles.may_read(kind, scope)

    def _is_trusted(self, scope: str) -> bool:
        """Tell whether ARM's list of a subscription came, and holds all of it."""
        listed = self._found[VMS, scope].listed
        return listed is not None and listed.gap is None and self._survey.roles.allow(_LIST_ACTION, scope)

    def _is_told(self, kind: str, scope: str) -> bool:
        """Tell whether the rows of the index may be taken for the listing of a container."""
        if kind not in INDEXED or not self._is_readable(kind, scope):
            return False
        return bool(self._found[kind, scope].documents) and not self._found[kind, scope].differing()

    def _decided(self, kind: str, scope: str) -> Iterator[Task]:
        """Note what is known of a type that may be read, and yield the listing that is needed otherwise."""
        found = self._found[kind, scope]
        if found.is_empty() if kind != INTERFACES else not found.documents:
            scopes = self._absent.setdefault(kind, [])
            scopes.append(scope)
            if len(scopes) == 1:
                yield Task(kind, scope, first_page=kind in WIDE)
            elif kind in WIDE:
                self._open.add((kind, scope))
        elif kind in WIDE:
            self._open.add((kind, scope))
        else:
            yield Task(kind, scope)

    def _take(self, kind: str, scope: str) -> Iterator[Task]:
        """Keep the rows of a container; endpoints of private link scopes, which DNS rests on, are read fresh."""
        reading = self._found[kind, scope].reading(kind, scope)
        if kind == PRIVATE_ENDPOINTS:
            leading = [raw for raw in reading.documents if decoded(kind, raw).leads_to_scope]
            yield from (Task(kind, decoded(kind, raw).id, single=True) for raw in leading)
            others = tuple(raw for raw in reading.documents if raw not in leading)
            reading = msgspec.structs.replace(reading, documents=others)
        self._keep(reading, kind, scope)

    def _note_unknown(self, listings: int) -> None:
        refused = all(found.gap is not None for found in self._found.values() if found.is_asked)
        if listings > self._client.concurrency and not refused:
            self._client.note(
                f"What the identity may read could not be told from its own role assignments: {listings} more "
                "listings were asked of the providers"
            )

    # ------------------------------------------------------------ machines

    def read(self) -> None:
        """Settle what is as many as machines, and what is below them; ask what was not asked yet."""
        for reading in self._cut:
            place = (reading.type, subscription_of(reading.scope))
            self._found.setdefault(place, Found()).first_pages.append(reading)
            self._open.add(place)
        self._ask("the index", self._open)
        for kind in (VMS, ARC, INSTANCES, INTERFACES):
            self._settle(kind)
        children = self._place_children()
        self._ask("what is below machines", children)
        for kind in (*BELOW.values(), ASSOCIATIONS):
            self._settle_children(kind, children)

    def _place_children(self) -> set[Place]:
        """Return the types below machines where there are any, each with one machine to look at."""
        places: set[Place] = set()
        for kind in (VMS, ARC, SCALE_SETS):
            children = (BELOW[kind], ASSOCIATIONS) if kind in BELOW else (ASSOCIATIONS,)
            for machine in self._machines(kind):
                scope = subscription_of(machine)
                for child in children if scope in self._scopes else ():
                    if (child, scope) not in places:
                        places.add((child, scope))
                        self._found.setdefault((child, scope), Found()).parent = machine
        return places

    def _machines(self, kind: str) -> Iterator[str]:
        """Return the ids of the machines that are known so far; a Flexible set is none itself."""
        for document in self._reader.documents(kind):
            if kind != SCALE_SETS or document.is_uniform:
                yield document.id
        for reading in self._cut:
            if reading.type == kind:
                yield from (own for raw in reading.documents if (own := decoded(kind, raw).id))

    def _ask(self, stage: str, places: Iterable[Place]) -> None:
        """Ask the index and ARM's list about what the survey did not, and look at machines where it matters."""
        wanted = sorted(places)
        jobs: list[Callable[[], None]] = []
        for kind in dict.fromkeys(kind for kind, _ in wanted):
            scopes = [own for other, own in wanted if other == kind and not self._found[kind, own].is_asked]
            jobs += questions(self._client, self._found, projection_of(kind), (kind,), scopes)
        for kind, scope in wanted:
            if kind in _COUNTED and self._found[kind, scope].listed is None:
                jobs.append(partial(self._found[kind, scope].count, self._client, kind, scope))
        self._reader.together(stage, [*jobs, *self._probes(wanted)])
        self._reader.together(f"{stage}: machines", list(self._probes(wanted)))

    def _probes(self, places: Iterable[Place]) -> Iterator[Callable[[], None]]:
        """Yield a look at one machine where it has to say what the index cannot be trusted to say."""
        for kind, scope in places:
            found = self._found[kind, scope]
            if not found.parent or found.probed is not None:
                continue
            trusted = (VMS, scope) in self._found and self._is_trusted(scope)
            is_silent = found.is_asked and (found.gap is not None or not found.documents)
            if is_silent or not trusted or not self._survey.roles.may_read(kind, scope):
                yield partial(found.probe, self._client, kind)

    def _left_open(self, kind: str) -> Iterator[tuple[str, Found]]:
        return ((scope, self._found[own, scope]) for own, scope in sorted(self._open) if own == kind)

    # ------------------------------------------------------------ what is kept

    def _settle(self, kind: str) -> None:
        """Keep the rows of a type that agree with ARM, and read the others from their provider."""
        tasks: list[Task] = []
        named = self._named_interfaces() if kind == INTERFACES else {}
        for scope, found in self._left_open(kind):
            lost = [own for folded, own in named.get(scope, ()) if folded not in found.documents]
            if self._is_refused(kind, scope, found):
                continue
            if found.gap is not None or self._is_doubtful(kind, found) or len(lost) > _MOST_SINGLE:
                self._note_difference(kind, scope, found)
                pages = [page.scope for page in found.first_pages] or [scope]
                tasks += [Task(kind, page) for page in pages]
            elif kind in _COUNTED and found.is_empty():
                self._reader.keep(found.nothing(kind, scope))
            else:
                parents = {fold(page.scope) for page in found.first_pages} if kind == INSTANCES else None
                self._keep(found.reading(kind, scope, parents), kind, scope)
                tasks += [Task(kind, own, single=True) for own in lost]
        self._reader.read("what the index does not tell", tasks)

    def _settle_children(self, kind: str, places: set[Place]) -> None:
        """Keep the rows below machines; machines of which the index knows otherwise are asked themselves."""
        tasks: list[Task] = []
        for scope in sorted(scope for own, scope in places if own == kind):
            found = self._found[kind, scope]
            if self._is_refused(kind, scope, found):
                continue
            if found.probed is not None and found.is_refused():
                self._keep(msgspec.structs.replace(found.probed, scope=scope), kind, scope)
                continue
            odd = {parent_of(own) for own in found.differing()}
            unsure = found.is_hidden() or (found.probed is not None and found.probed.gap is not None)
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
        asked = set(odd)
        if found.probed is not None:
            self._reader.keep(found.probed)
            asked.add(fold(found.parent))
        parents = {parent_of(own) for own in found.documents} - asked
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

    def _named_interfaces(self) -> dict[str, list[tuple[str, str]]]:
        """Return folded id and id of the interfaces that machines and endpoints name, by subscription."""
        found: dict[str, list[tuple[str, str]]] = {}
        for folded, own in self._reader.interfaces.items():
            found.setdefault(subscription_of(folded), []).append((folded, own))
        return found

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
